/* What tests of files have in common: text as the library has it, and numbers. */
#ifndef AGENTASSERT_TEST_FILE_VALUES_H
#define AGENTASSERT_TEST_FILE_VALUES_H

#include <string.h>

#include "arena.h"
#include "check.h"

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
