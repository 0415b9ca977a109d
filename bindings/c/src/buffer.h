/* Results that the caller frees. */
#ifndef AGENTASSERT_BUFFER_H
#define AGENTASSERT_BUFFER_H

#include "agentassert.h"
#include "arena.h"

/* Returns size zeroed bytes, aligned for any type, for agentassert_free; NULL if there is no
 * memory. */
void *aa_buffer_new(size_t size);

/* Returns a copy of bytes, with a zero byte behind it. */
char *aa_buffer_copy(aa_bytes bytes);

#endif
