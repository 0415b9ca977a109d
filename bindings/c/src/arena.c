#include "arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first block has room for a call that signs or verifies; each further one is as large
 * as all before it, up to a bound, so that there are few of them. */
#define FIRST_BLOCK 2048
#define LARGEST_BLOCK (256 * 1024)

/* What malloc aligns for is enough for any type, and so is a multiple of its size. */
#define ALIGNMENT sizeof(max_align_t)

typedef struct block block;

struct block {
	block *before;
	size_t size, used;
	/* The memory itself, aligned. */
	max_align_t memory[];
};

struct aa_arena {
	block *last;
	size_t next;
};

aa_arena *aa_arena_new(void)
{
	aa_arena *arena = malloc(sizeof *arena);
	if (arena != NULL) {
		*arena = (aa_arena){.last = NULL, .next = FIRST_BLOCK};
	}
	return arena;
}

void aa_arena_free(aa_arena *arena)
{
	if (arena == NULL) {
		return;
	}
	for (block *b = arena->last; b != NULL;) {
		block *before = b->before;
		aa_wipe(b->memory, b->used);
		free(b);
		b = before;
	}
	free(arena);
}

/* Adds a block that has room for size bytes. Its memory is zeroed. */
static block *add_block(aa_arena *arena, size_t size)
{
	size_t room = size > arena->next ? size : arena->next;
	if (room > SIZE_MAX - sizeof(block)) {
		return NULL;
	}
	block *b = calloc(1, sizeof *b + room);
	if (b == NULL) {
		return NULL;
	}
	b->size = room;
	b->before = arena->last;
	arena->last = b;
	if (arena->next < LARGEST_BLOCK) {
		arena->next *= 2;
	}
	return b;
}

void *aa_alloc(aa_arena *arena, size_t size)
{
	if (size > SIZE_MAX - ALIGNMENT) {
		return NULL;
	}
	/* At least one, so that two pieces never have the same address. */
	size_t rounded = size == 0 ? ALIGNMENT : (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	block *b = arena->last;
	if (b == NULL || b->size - b->used < rounded) {
		b = add_block(arena, rounded);
		if (b == NULL) {
			return NULL;
		}
	}
	void *memory = (unsigned char *)b->memory + b->used;
	b->used += rounded;
	return memory;
}

aa_bytes aa_copy(aa_arena *arena, aa_bytes bytes)
{
	char *copy = bytes.size == SIZE_MAX ? NULL : aa_alloc(arena, bytes.size + 1);
	if (copy == NULL) {
		return (aa_bytes){NULL, 0};
	}
	if (bytes.size > 0) {
		memcpy(copy, bytes.data, bytes.size);
	}
	return (aa_bytes){copy, bytes.size};
}

aa_bytes aa_format(aa_arena *arena, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int size = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	char *text = size < 0 ? NULL : aa_alloc(arena, (size_t)size + 1);
	if (text == NULL) {
		return (aa_bytes){NULL, 0};
	}
	va_start(arguments, format);
	vsnprintf(text, (size_t)size + 1, format, arguments);
	va_end(arguments);
	return (aa_bytes){text, (size_t)size};
}

int aa_equal(aa_bytes a, aa_bytes b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

void aa_wipe(void *memory, size_t size)
{
#if defined(__GNUC__)
	if (size > 0) {
		memset(memory, 0, size);
	}
	/* Says that somebody could look at the memory: so the compiler has to write to it. */
	__asm__ __volatile__("" : : "r"(memory) : "memory");
#else
	volatile unsigned char *bytes = memory;
	while (size > 0) {
		bytes[--size] = 0;
	}
#endif
}
