#define _DEFAULT_SOURCE
#include "records.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a: whoever chooses slots that collide, ids of threads, makes their own lookups slow. */
static size_t hash_of(const char *slot)
{
	uint32_t hash = 2166136261U;
	for (; *slot; slot++) {
		hash = (hash ^ (unsigned char)*slot) * 16777619U;
	}
	return hash;
}

static void free_bytes(aa_bytes bytes)
{
	/* It is memory of this file's, from copy. */
	char *memory = (char *)(uintptr_t)bytes.data;
	if (memory) {
		aa_wipe(memory, bytes.size);
		free(memory);
	}
}

static int copy(aa_bytes bytes, aa_bytes *out)
{
	*out = (aa_bytes){NULL, bytes.size};
	if (!bytes.data) {
		return 0;
	}
	char *memory = malloc(bytes.size > 0 ? bytes.size : 1);
	if (!memory) {
		return -1;
	}
	memcpy(memory, bytes.data, bytes.size);
	out->data = memory;
	return 0;
}

static void free_entry(struct aa_entry *entry)
{
	free_bytes(entry->record);
	free_bytes(entry->stored);
	free(entry->slot);
	free(entry);
}

static struct aa_entry **bucket_of(const struct aa_records *records, const char *slot)
{
	return &records->buckets[hash_of(slot) % records->bucket_count];
}

void aa_records_clear(struct aa_records *records)
{
	for (struct aa_entry *entry = records->first; entry;) {
		struct aa_entry *after = entry->after;
		free_entry(entry);
		entry = after;
	}
	free(records->buckets);
	*records = (struct aa_records){0};
}

struct aa_entry *aa_records_find(const struct aa_records *records, const char *slot)
{
	struct aa_entry *entry = records->bucket_count > 0 ? *bucket_of(records, slot) : NULL;
	while (entry && strcmp(entry->slot, slot) != 0) {
		entry = entry->next_of_bucket;
	}
	return entry;
}

/* Makes room for one entry more. */
static int grow(struct aa_records *records)
{
	if (records->count < records->bucket_count) {
		return 0;
	}
	size_t count = records->bucket_count * 2 + 16;
	struct aa_entry **buckets = calloc(count, sizeof *buckets);
	if (!buckets) {
		return -1;
	}
	free(records->buckets);
	records->buckets = buckets;
	records->bucket_count = count;
	for (struct aa_entry *entry = records->first; entry; entry = entry->after) {
		struct aa_entry **bucket = bucket_of(records, entry->slot);
		entry->next_of_bucket = *bucket;
		*bucket = entry;
	}
	return 0;
}

static struct aa_entry *entry_of(const char *slot, aa_bytes record, aa_bytes stored)
{
	struct aa_entry *entry = calloc(1, sizeof *entry);
	if (!entry) {
		return NULL;
	}
	entry->slot = strdup(slot);
	if (!entry->slot || copy(record, &entry->record) || copy(stored, &entry->stored)) {
		free_entry(entry);
		return NULL;
	}
	return entry;
}

int aa_records_put(struct aa_records *records, const char *slot, aa_bytes record, aa_bytes stored)
{
	struct aa_entry *entry = entry_of(slot, record, stored);
	if (!entry) {
		return -1;
	}
	if (grow(records)) {
		free_entry(entry);
		return -1;
	}
	aa_records_remove(records, slot);
	struct aa_entry **bucket = bucket_of(records, slot);
	entry->next_of_bucket = *bucket;
	*bucket = entry;
	entry->before = records->last;
	*(records->last ? &records->last->after : &records->first) = entry;
	records->last = entry;
	records->count++;
	return 0;
}

void aa_records_remove(struct aa_records *records, const char *slot)
{
	struct aa_entry *entry = aa_records_find(records, slot);
	if (!entry) {
		return;
	}
	struct aa_entry **at = bucket_of(records, slot);
	while (*at != entry) {
		at = &(*at)->next_of_bucket;
	}
	*at = entry->next_of_bucket;
	*(entry->before ? &entry->before->after : &records->first) = entry->after;
	*(entry->after ? &entry->after->before : &records->last) = entry->before;
	records->count--;
	free_entry(entry);
}

int aa_is_same_record(aa_bytes a, aa_bytes b)
{
	return !a.data == !b.data && aa_equal(a, b);
}
