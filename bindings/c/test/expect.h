/* What tests say of failures. A test goes on after one; main returns expect_result(). */
#ifndef AGENTASSERT_EXPECT_H
#define AGENTASSERT_EXPECT_H

#include <stdatomic.h>
#include <stdio.h>

static atomic_int expect_failures;

#define EXPECT(condition, ...)                                                                                         \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			expect_failures++;                                                                             \
			fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);                                \
			fprintf(stderr, __VA_ARGS__);                                                                  \
			fputc('\n', stderr);                                                                           \
		}                                                                                                      \
	} while (0)

static inline int expect_result(void)
{
	return expect_failures == 0 ? 0 : 1;
}

#endif
