/* A module that does what it must not do: hostile.wat, in place of agentassert's. */
#include <pthread.h>
#include <string.h>

#include "agentassert.h"
#include "check.h"

static agentassert *core;

/* What the module does, by a letter, and what comes of it. */
static const struct {
	char letter;
	const char *what, *code;
} cases[] = {
    {'a', "a trap", "sandbox_failed"},
    {'b', "an answer outside of the memory", "sandbox_failed"},
    {'c', "an empty answer", "sandbox_failed"},
    {'d', "an answer that is too large", "sandbox_failed"},
    {'e', "a recursion without an end", "sandbox_failed"},
    {'f', "a load outside of the memory", "sandbox_failed"},
    {'g', "a division by zero", "sandbox_failed"},
    {'h', "a call of a function of another type", "sandbox_failed"},
    {'i', "all the memory that there is", NULL},
    {'j', "a result that is none", "sandbox_failed"},
    {'k', "a code that is none", "sandbox_failed"},
    {'l', "a message that a terminal obeys", "bad"},
    {'m', "a result and an error", "sandbox_failed"},
    {'n', "neither", "sandbox_failed"},
    {'o', "what it should", NULL},
};

static void test_cases(void)
{
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		agentassert_error error = {"", ""};
		char method[] = {cases[i].letter, 0}, *result = NULL;
		int failed = agentassert_call_json(core, method, "{}", &result, &error);
		if (cases[i].code == NULL) {
			CHECK(failed == 0 && strcmp(result, "{}") == 0, "%s: %s", cases[i].what, error.message);
		} else {
			CHECK(failed == -1 && strcmp(error.code, cases[i].code) == 0, "%s: %s", cases[i].what,
			      error.code);
			CHECK(strchr(error.message, 0x1b) == NULL && error.message[0] != '\0', "%s: %s", cases[i].what,
			      error.message);
		}
		agentassert_free(result);
		/* The next call has an instance that knows nothing of this. */
		CHECK(agentassert_call_json(core, "o", "{}", &result, &error) == 0, "after %s: %s", cases[i].what,
		      error.message);
		agentassert_free(result);
	}
	/* The ABI itself, where nothing is decoded: answers that are outside, empty and too large. */
	for (char letter = 1; letter <= 3; letter++) {
		agentassert_error error = {"", ""};
		void *response = NULL;
		size_t response_size;
		CHECK(agentassert_exchange(core, &letter, 1, &response, &response_size, &error) == -1 &&
			  strcmp(error.code, "sandbox_failed") == 0 && response == NULL && response_size == 0,
		      "%d: %s", letter, error.code);
	}
	/* A buffer that there is not, and one outside of the memory. */
	for (size_t size = 2; size <= 3; size++) {
		agentassert_error error = {"", ""};
		void *response = NULL;
		size_t response_size;
		CHECK(agentassert_exchange(core, "\x0e\x0e\x0e", size, &response, &response_size, &error) == -1 &&
			  strcmp(error.code, "sandbox_failed") == 0,
		      "%s", error.code);
	}
}

/* A thread with as little stack as the header asks for survives each of these. */
static void *run_cases(void *argument)
{
	(void)argument;
	test_cases();
	return NULL;
}

static void test_small_stack(void)
{
	pthread_attr_t attributes;
	pthread_t thread;
	pthread_attr_init(&attributes);
	CHECK(pthread_attr_setstacksize(&attributes, AGENTASSERT_STACK_SIZE) == 0, "a stack of that size");
	if (pthread_create(&thread, &attributes, run_cases, NULL) == 0) {
		pthread_join(thread, NULL);
	} else {
		CHECK(0, "there is no thread");
	}
	pthread_attr_destroy(&attributes);
}

/* Traps of several threads go each to its own. */
static void test_threads(void)
{
	enum { THREADS = 8 };
	pthread_t threads[THREADS];
	int started = 0;
	while (started < THREADS && pthread_create(&threads[started], NULL, run_cases, NULL) == 0) {
		started++;
	}
	CHECK(started == THREADS, "%d threads", started);
	while (started > 0) {
		pthread_join(threads[--started], NULL);
	}
}

int main(int argc, char **argv)
{
	/* Sanitizers take stack of their own. */
	int has_large_stack = argc > 1 && strcmp(argv[1], "--large-stack") == 0;
	agentassert_error error;
	agentassert_options options = {.size = sizeof options, .instances = 3};
	CHECK(agentassert_open(&options, &core, &error) == 0, "%s", error.message);
	if (core != NULL) {
		test_cases();
		if (!has_large_stack) {
			test_small_stack();
		}
		test_threads();
		agentassert_close(core);
	}
	return test_result();
}
