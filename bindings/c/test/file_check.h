/* What the tests of files check with: a line for each that fails, and the number of them as the
 * program's exit code. */
#ifndef AGENTASSERT_TEST_FILE_CHECK_H
#define AGENTASSERT_TEST_FILE_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"

/* How many checks have failed, in all of a test's files. */
__attribute__((weak)) int failures;

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
		int before_ = failures;                                                                                \
		CHECK(condition, __VA_ARGS__);                                                                         \
		if (failures > before_) {                                                                              \
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

static inline aa_bytes text_of(const char *text)
{
	return text == NULL ? (aa_bytes){NULL, 0} : (aa_bytes){text, strlen(text)};
}

/* The same numbers in every run, below a bound (xorshift). */
static inline size_t draw(unsigned long long *seed, size_t below)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return (size_t)(*seed % (below == 0 ? 1 : below));
}

#endif
