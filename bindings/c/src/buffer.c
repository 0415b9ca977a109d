#include "buffer.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What stands in front of a buffer: its size, so that it can be overwritten. */
typedef struct buffer {
	size_t size;
	max_align_t memory[];
} buffer;

void *aa_buffer_new(size_t size)
{
	if (size > SIZE_MAX - sizeof(buffer)) {
		return NULL;
	}
	buffer *b = calloc(1, sizeof *b + size);
	if (b == NULL) {
		return NULL;
	}
	b->size = size;
	return b->memory;
}

char *aa_buffer_copy(aa_bytes bytes)
{
	char *copy = bytes.size == SIZE_MAX ? NULL : aa_buffer_new(bytes.size + 1);
	if (copy != NULL && bytes.size > 0) {
		memcpy(copy, bytes.data, bytes.size);
	}
	return copy;
}

void agentassert_free(void *memory)
{
	if (memory == NULL) {
		return;
	}
	buffer *b = (buffer *)((char *)memory - offsetof(buffer, memory));
	aa_wipe(b->memory, b->size);
	free(b);
}
