/* Many threads on one core, some of which have it forget, and one with a small stack that asks
 * for what nests most deeply. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "agentassert.h"
#include "captured.h"
#include "check.h"

enum { THREADS = 8, CALLS = 150 };

static agentassert *core;

static void make_calls(int calls, int forgets)
{
	for (int i = 0; i < calls; i++) {
		agentassert_error error = {"", ""};
		char *header;
		CHECK(agentassert_assert(core, CAPTURED_PRIVATE_KEY, CAPTURED_AGENT, CAPTURED_TASK, CAPTURED_NOW,
					 &header, NULL, &error) == 0 &&
			  strcmp(header, CAPTURED_HEADER) == 0,
		      "%s", error.message);
		CHECK(agentassert_verify(core, CAPTURED_PUBLIC_KEY, header == NULL ? "" : header, CAPTURED_NOW, 0, NULL,
					 &error) == 0,
		      "%s", error.message);
		CHECK(agentassert_verify(core, CAPTURED_PUBLIC_KEY, header == NULL ? "" : header, CAPTURED_NOW + 1, 0,
					 NULL, &error) == -1 &&
			  strcmp(error.code, "timestamp_skew") == 0,
		      "%s", error.code);
		agentassert_free(header);
		if (forgets && i % 25 == 0) {
			agentassert_forget(core);
		}
	}
}

static void *run(void *argument)
{
	make_calls(CALLS, argument != NULL);
	return NULL;
}

/* Documents that nest as deeply as the core reads, and more: each is an answer, not a crash. */
static void *nest(void *argument)
{
	(void)argument;
	static const size_t depths[] = {64, 65, 1000, 100000};
	make_calls(10, 0);
	for (size_t i = 0; i < sizeof depths / sizeof depths[0]; i++) {
		size_t depth = depths[i];
		char *params = malloc(2 * depth + 128), *result;
		agentassert_error error = {"", ""};
		size_t at = (size_t)sprintf(params, "{\"document\":{\"utf8\":\"{\\\"x\\\":");
		memset(params + at, '[', depth);
		memset(params + at + depth, ']', depth);
		strcpy(params + at + 2 * depth, "}\"}}");
		int failed = agentassert_call_json(core, "credentials.read", params, &result, &error);
		CHECK(failed == 0 || strcmp(error.code, "invalid_auth_json") == 0, "%zu levels: %s: %s", depth,
		      error.code, error.message);
		agentassert_free(result);
		free(params);
	}
	return NULL;
}

int main(void)
{
	agentassert_error error;
	agentassert_options options = {.size = sizeof options, .instances = 3};
	CHECK(agentassert_open(&options, &core, &error) == 0, "%s", error.message);
	pthread_t threads[THREADS], small;
	pthread_attr_t attributes;
	int started = 0;
	while (started < THREADS && pthread_create(&threads[started], NULL, run, started == 0 ? core : NULL) == 0) {
		started++;
	}
	CHECK(started == THREADS, "%d threads", started);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, AGENTASSERT_STACK_SIZE);
	int is_small_started = pthread_create(&small, &attributes, nest, NULL) == 0;
	CHECK(is_small_started, "a thread with a small stack");
	if (is_small_started) {
		pthread_join(small, NULL);
	}
	while (started > 0) {
		pthread_join(threads[--started], NULL);
	}
	pthread_attr_destroy(&attributes);
	agentassert_close(core);
	return test_result();
}
