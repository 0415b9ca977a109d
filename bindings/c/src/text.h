/* Text as it is looked at and put together, byte by byte. */
#ifndef AGENTASSERT_TEXT_H
#define AGENTASSERT_TEXT_H

#include <stddef.h>

#include "arena.h"

/* The bytes of a text that ends with a zero byte; none of NULL. */
aa_bytes aa_text_of(const char *text);

/* Reports whether bytes are that text, whether they begin with it, or end with it. */
int aa_is(aa_bytes bytes, const char *text);
int aa_begins(aa_bytes bytes, const char *text);
int aa_ends(aa_bytes bytes, const char *text);

/* Returns what is behind the first n bytes. */
aa_bytes aa_after(aa_bytes bytes, size_t n);

/* Reports whether bytes are one of these texts, which end with a NULL. */
int aa_is_among(aa_bytes bytes, const char *const *texts);

/* Reports whether bytes are these parts, one behind the other, and puts them together; data is
 * NULL if there is no memory, and behind the bytes is a zero byte. */
int aa_is_joined(aa_bytes bytes, const aa_bytes *parts, size_t count);
aa_bytes aa_join(aa_arena *arena, const aa_bytes *parts, size_t count);

/* Reports whether every byte is in the range, or is one of the others. */
int aa_has_only(aa_bytes bytes, const char *others, unsigned char least, unsigned char most);

/* Returns a string of JSON, quoted, in its shortest form: only what has to be escaped is. Data is
 * NULL if there is no memory. */
aa_bytes aa_quoted(aa_arena *arena, aa_bytes text);

#endif
