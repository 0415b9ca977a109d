/* The journal of a write over auth.json: {"old":…,"new":…}, in base64, which is there before the
 * first byte changes and goes after the last. */
#ifndef AGENTASSERT_FILE_JOURNAL_H
#define AGENTASSERT_FILE_JOURNAL_H

#include "arena.h"

/* The documents before a write and after it. They are an arena's. */
typedef struct aa_journal {
	aa_bytes before, after;
} aa_journal;

/* Reads a journal as the core does. Returns 1, or 0 if it says nothing, or -1 if there is no
 * memory. */
int aa_journal_read(aa_arena *arena, aa_bytes content, aa_journal *out);

/* The same, but of a journal only that is in the one form that is written. */
int aa_journal_read_exactly(aa_arena *arena, aa_bytes content, aa_journal *out);

/* Reports whether content is what a write of a journal's document over the one before it can
 * have left: as much of the new as was written, and the rest of the old, unless that was cut
 * off; or, where the write was being undone, as much of the old again before that. */
int aa_journal_is_torn(const aa_journal *journal, aa_bytes content);

/* Reports whether content is a document with spaces after it, or nothing but spaces. */
int aa_is_padded(aa_bytes content, aa_bytes document);
int aa_is_blank(aa_bytes content);

#endif
