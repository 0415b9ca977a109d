/* Memory of one call, or of one flow: taken in pieces, given back at once, and
 * overwritten then, for most of it holds keys and tokens. */
#ifndef AGENTASSERT_ARENA_H
#define AGENTASSERT_ARENA_H

#include <stddef.h>

typedef struct aa_arena aa_arena;

/* Has the compiler check the arguments of a function that takes a printf format. */
#if defined(__GNUC__)
#define AA_PRINTF(format_index, first_index) __attribute__((format(printf, format_index, first_index)))
#else
#define AA_PRINTF(format_index, first_index)
#endif

/* Bytes with their length: text in UTF-8, in which U+0000 can be, or anything else. It is
 * nobody's to free: an arena's, a literal's or the caller's. */
typedef struct aa_bytes {
	const char *data;
	size_t size;
} aa_bytes;

/* The bytes of a string literal. */
#define AA_LITERAL(s) ((aa_bytes){(s), sizeof(s) - 1})

/* Returns an arena, or NULL if there is no memory. One thread uses it at a time. */
aa_arena *aa_arena_new(void);

/* Overwrites and frees everything that was taken from an arena. NULL is fine. */
void aa_arena_free(aa_arena *arena);

/* Returns size zeroed bytes, aligned for any type, or NULL if there is no memory. Zero
 * bytes are a pointer that is not NULL, too. */
void *aa_alloc(aa_arena *arena, size_t size);

/* Returns a copy with a zero byte behind it, which size does not count; data is NULL if
 * there is no memory. */
aa_bytes aa_copy(aa_arena *arena, aa_bytes bytes);

/* Returns text by a printf format; data is NULL if there is no memory. */
aa_bytes aa_format(aa_arena *arena, const char *format, ...) AA_PRINTF(2, 3);

/* Reports whether two are the same, byte for byte. */
int aa_equal(aa_bytes a, aa_bytes b);

/* Overwrites memory in a way that no compiler takes out. */
void aa_wipe(void *memory, size_t size);

#endif
