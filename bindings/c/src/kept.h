/* A copy of bytes that lives longer than the call they came with: an operation takes many
 * steps, and each step's arena goes with it. */
#ifndef AGENTASSERT_KEPT_H
#define AGENTASSERT_KEPT_H

#include "arena.h"

/* Begins as {0}, which is nothing at all. */
typedef struct aa_kept {
	aa_bytes bytes; /* data is NULL if there is nothing; of no bytes it is not */
} aa_kept;

/* Keeps a copy in place of what there was; of bytes with data NULL nothing. Returns -1, with
 * nothing kept, if there is no memory. */
int aa_keep(aa_kept *kept, aa_bytes bytes);

/* Overwrites and frees what is kept. */
void aa_drop(aa_kept *kept);

#endif
