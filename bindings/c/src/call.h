/* A call of the core with values, for what is built on it: typed calls, flows, files. */
#ifndef AGENTASSERT_CALL_H
#define AGENTASSERT_CALL_H

#include "agentassert.h"
#include "value.h"

/* Answers a request with an instance of the pool; result is the arena's. Returns 0, or fills
 * the error in and returns -1. Safe for concurrent use, with an arena each. */
int aa_call(agentassert *core, aa_arena *arena, const char *method, const aa_value *params, aa_value **result,
	    agentassert_error *error);

/* Fills an error in, which may be NULL, and returns -1. What does not fit is cut off, between
 * two characters. */
int aa_fail(agentassert_error *error, const char *code, const char *format, ...) AA_PRINTF(3, 4);

#endif
