/* Entropy of the operating system's. */
#ifndef AGENTASSERT_ENTROPY_H
#define AGENTASSERT_ENTROPY_H

#include "agentassert.h"

/* Fills memory, of at most 256 bytes. Returns 0, or -1 with no_entropy. */
int aa_draw_entropy(void *memory, size_t size, agentassert_error *error);

#endif
