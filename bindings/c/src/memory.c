#include "memory.h"

#include <string.h>

int aa_memory_init(struct aa_memory *memory)
{
	memory->records = (struct aa_records){0};
	if (pthread_mutex_init(&memory->mutex, NULL) != 0) {
		return -1;
	}
	if (aa_turns_init(&memory->turns)) {
		pthread_mutex_destroy(&memory->mutex);
		return -1;
	}
	return 0;
}

void aa_memory_destroy(struct aa_memory *memory)
{
	aa_memory_clear(memory);
	aa_turns_destroy(&memory->turns);
	pthread_mutex_destroy(&memory->mutex);
}

void aa_memory_clear(struct aa_memory *memory)
{
	pthread_mutex_lock(&memory->mutex);
	aa_records_clear(&memory->records);
	pthread_mutex_unlock(&memory->mutex);
}

int aa_memory_has(const char *slot)
{
	return strcmp(slot, "instance") == 0 || strcmp(slot, "workspace") == 0;
}

int aa_memory_load(struct aa_memory *memory, aa_arena *arena, const char *slot, aa_bytes *record)
{
	*record = (aa_bytes){NULL, 0};
	pthread_mutex_lock(&memory->mutex);
	const struct aa_entry *entry = aa_records_find(&memory->records, slot);
	if (entry) {
		*record = aa_copy(arena, entry->record);
	}
	pthread_mutex_unlock(&memory->mutex);
	return entry && !record->data ? -1 : 0;
}

int aa_memory_save(struct aa_memory *memory, const char *slot, aa_bytes record)
{
	pthread_mutex_lock(&memory->mutex);
	int failed = aa_records_put(&memory->records, slot, record, (aa_bytes){NULL, 0});
	pthread_mutex_unlock(&memory->mutex);
	return failed;
}
