/* Records by their slots, in the order in which they were put there. */
#ifndef AGENTASSERT_RECORDS_H
#define AGENTASSERT_RECORDS_H

#include "arena.h"

/* What is known of a slot: a record, and what a store had in its place. Data is NULL for none. */
struct aa_entry {
	char *slot;
	aa_bytes record, stored;
	/* Of the same hash, and in order. */
	struct aa_entry *next_of_bucket, *before, *after;
};

struct aa_records {
	struct aa_entry **buckets;
	size_t bucket_count, count;
	struct aa_entry *first, *last;
};

/* Overwrites and frees all entries; what is left is empty. Records that are zeroed are empty, too. */
void aa_records_clear(struct aa_records *records);

/* Returns the entry of a slot, or NULL. */
struct aa_entry *aa_records_find(const struct aa_records *records, const char *slot);

/* Puts copies of a record and of a stored one into a slot, as the last. Returns 0, or -1 if there is no
 * memory: nothing has changed then. */
int aa_records_put(struct aa_records *records, const char *slot, aa_bytes record, aa_bytes stored);

/* Overwrites and frees the entry of a slot, if there is one. */
void aa_records_remove(struct aa_records *records, const char *slot);

/* Reports whether two records are the same, byte for byte, or both none. */
int aa_is_same_record(aa_bytes a, aa_bytes b);

#endif
