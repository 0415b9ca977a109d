/* What tests check with: a line for each check that fails, after which a test goes on, and the
 * program's exit code. */
#ifndef AGENTASSERT_TEST_CHECK_H
#define AGENTASSERT_TEST_CHECK_H

#include <stdio.h>
#include <stdlib.h>

/* How many checks have failed, in all of a test's files and threads. */
__attribute__((weak)) int failures;

#define CHECK(condition, ...)                                                                                          \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			__atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);                                            \
			fprintf(stderr, "%s:%d: not so: %s: ", __FILE__, __LINE__, #condition);                        \
			fprintf(stderr, __VA_ARGS__);                                                                  \
			fputc('\n', stderr);                                                                           \
		}                                                                                                      \
	} while (0)

/* Ends the program where a test cannot go on. */
#define REQUIRE(condition, ...)                                                                                        \
	do {                                                                                                           \
		int failures_before = failures;                                                                        \
		CHECK(condition, __VA_ARGS__);                                                                         \
		if (failures > failures_before) {                                                                      \
			exit(1);                                                                                       \
		}                                                                                                      \
	} while (0)

static inline int test_result(void)
{
	if (failures > 0) {
		fprintf(stderr, "%d checks failed\n", failures);
	}
	return failures > 0;
}

#endif
