/* What the typed calls have in common: parameters of C's types, and results. */
#ifndef AGENTASSERT_TYPED_H
#define AGENTASSERT_TYPED_H

#include "agentassert.h"
#include "arena.h"
#include "value.h"

/* A call that is being made. */
typedef struct aa_typed {
	agentassert *core;
	aa_arena *arena;
	aa_value *params;
	aa_value *result;
	agentassert_error *error;
	/* Where results go; NULL where there is no such. */
	char **places[2];
	/* Whether something has failed. What comes then does nothing. */
	int failed;
} aa_typed;

/* Begins a call, with places for up to two results that are text; either may be NULL. They get
 * NULL for the time being. aa_typed_end has to follow, whatever comes between. */
aa_typed aa_typed_begin(agentassert *core, char **first, char **second, agentassert_error *error);

/* Adds text, which has to be there, and UTF-8. */
void aa_typed_text(aa_typed *call, const char *name, const char *text);

/* Adds bytes, which have to be there; without any, nothing, for the ABI has no empty members. */
void aa_typed_bytes(aa_typed *call, const char *name, const void *data, size_t size);

void aa_typed_integer(aa_typed *call, const char *name, int64_t n);

/* Adds entropy: the caller's, or size bytes of the system's, where that is NULL. */
void aa_typed_entropy(aa_typed *call, const void *entropy, size_t entropy_size, size_t size);

/* Makes the call. */
void aa_typed_call(aa_typed *call, const char *method);

/* Hands out a copy of a text of the result, unless the place is NULL: one of those of
 * aa_typed_begin. The code is that of text with U+0000 in it, which C would take for shorter
 * text. */
void aa_typed_result(aa_typed *call, const char *name, char **out, const char *code);

/* Frees what the call has used, and where it has failed what it has handed out. Returns 0, or
 * -1. */
int aa_typed_end(aa_typed *call);

#endif
