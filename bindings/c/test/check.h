/* What the tests of the manager check with: a line for each that fails, and whether any did as the
 * program's exit code. */
#ifndef AGENTASSERT_TEST_CHECK_H
#define AGENTASSERT_TEST_CHECK_H

#include <stdio.h>
#include <stdlib.h>

static int failures;

#define CHECK(condition, ...)                                                                                          \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			failures++;                                                                                    \
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
	return failures > 0;
}

#endif
