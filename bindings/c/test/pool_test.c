/* The pool, from inside: which instances there are after forget, fork, and a call that needed
 * much memory; and text that C would take for shorter text. */
#define _POSIX_C_SOURCE 200809L

#include "pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "typed.h"

static void count_guest(const aa_guest *guest, void *context)
{
	(void)guest;
	++*(int *)context;
}

static int idle_guests(agentassert *core)
{
	int count = 0;
	aa_pool_visit(core, count_guest, &count);
	return count;
}

static agentassert *open_core(size_t instances)
{
	agentassert *core = NULL;
	agentassert_error error = {"", ""};
	agentassert_options options = {.size = sizeof options, .instances = instances};
	CHECK(agentassert_open(&options, &core, &error) == 0, "%s", error.message);
	return core;
}

static void *forget(void *core)
{
	agentassert_forget(core);
	return NULL;
}

/* An instance that makes a call while its core forgets is not kept afterwards. */
static void test_forget(void)
{
	agentassert *core = open_core(2);
	aa_lease first, second;
	agentassert_error error;
	CHECK(aa_pool_take(core, &first, &error) == 0 && aa_pool_take(core, &second, &error) == 0, "two instances");
	aa_pool_give(&second, 1);
	CHECK(idle_guests(core) == 1, "one is kept");
	pthread_t thread;
	CHECK(pthread_create(&thread, NULL, forget, core) == 0, "a thread");
	/* It has begun once it has freed the other one. */
	for (int i = 0; i < 10000 && idle_guests(core) > 0; i++) {
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	CHECK(idle_guests(core) == 0, "the other one is gone");
	aa_pool_give(&first, 1);
	pthread_join(thread, NULL);
	CHECK(idle_guests(core) == 0, "and so is this one");
	agentassert_close(core);
}

/* A child does not get an instance that is in the middle of a call, but can make one. */
static void test_fork(void)
{
	agentassert *core = open_core(1);
	aa_lease lease;
	agentassert_error error;
	CHECK(aa_pool_take(core, &lease, &error) == 0, "%s", error.message);
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		int has_none = idle_guests(core) == 0;
		int can_take = aa_pool_take(core, &lease, NULL) == 0;
		_exit(has_none && can_take ? 0 : 1);
	}
	int status = -1;
	CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0, "the child: %d", status);
	aa_pool_give(&lease, 1);
	CHECK(idle_guests(core) == 1, "the parent has it still");
	agentassert_close(core);
}

static void find_largest(const aa_guest *guest, void *context)
{
	uint64_t *largest = context;
	*largest = aa_guest_size(guest) > *largest ? aa_guest_size(guest) : *largest;
}

/* An instance that has grown beyond 16 MiB is not kept. */
static void test_growth(void)
{
	enum { SIZE = 1300000 };
	agentassert *core = open_core(1);
	agentassert_error error = {"", ""};
	char *params = malloc(SIZE + 64), *result;
	size_t at = (size_t)sprintf(params, "{\"url\":\"https://chatgpt.com\",\"trusted_hosts\":[\"a.b\"");
	while (at < SIZE) {
		memcpy(params + at, ",\"a.b\"", 6);
		at += 6;
	}
	strcpy(params + at, "]}");
	CHECK(agentassert_call_json(core, "base_url.normalize", params, &result, &error) == 0, "%s", error.message);
	agentassert_free(result);
	uint64_t largest = 0;
	aa_pool_visit(core, find_largest, &largest);
	CHECK(largest <= 16 * 1024 * 1024, "%llu bytes", (unsigned long long)largest);
	CHECK(agentassert_call_json(core, "surface.match", "{\"path\":\"/\"}", &result, &error) == 0, "%s",
	      error.message);
	agentassert_free(result);
	aa_pool_visit(core, find_largest, &largest);
	CHECK(largest > 0 && largest <= 16 * 1024 * 1024, "%llu bytes", (unsigned long long)largest);
	free(params);
	agentassert_close(core);
}

/* The core refuses such text; another module might not. */
static void test_zero_bytes(void)
{
	static const struct {
		const char *text;
		size_t size;
		const char *code;
	} cases[] = {{"ab", 2, NULL}, {"", 0, NULL}, {"a\0b", 3, "invalid_task_id"}, {"\0", 1, "invalid_task_id"}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		agentassert_error error = {"", ""};
		char *out;
		aa_typed call = aa_typed_begin(NULL, &out, NULL, &error);
		aa_bytes text = {cases[i].text, cases[i].size};
		call.result = aa_set(aa_map(call.arena), "task_id", aa_text(call.arena, text));
		aa_typed_result(&call, "task_id", &out, "invalid_task_id");
		int failed = aa_typed_end(&call);
		CHECK((failed != 0) == (cases[i].code != NULL), "case %zu", i);
		CHECK(failed == 0 ? strcmp(out, cases[i].text) == 0
				  : out == NULL && strcmp(error.code, cases[i].code) == 0,
		      "case %zu: %s", i, error.code);
		agentassert_free(out);
	}
}

int main(void)
{
	test_forget();
	test_fork();
	test_growth();
	test_zero_bytes();
	return test_result();
}
