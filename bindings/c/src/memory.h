/* The slots that are in no store: the runtime agent instance ends with the manager, and so does what is
 * known of the workspace. */
#ifndef AGENTASSERT_MEMORY_H
#define AGENTASSERT_MEMORY_H

#include <pthread.h>

#include "records.h"
#include "turns.h"

struct aa_memory {
	pthread_mutex_t mutex;
	/* That of the instance holds its private key. */
	struct aa_records records;
	struct aa_turns turns;
};

/* Returns 0, or -1 if the system has no room for it. */
int aa_memory_init(struct aa_memory *memory);
void aa_memory_destroy(struct aa_memory *memory);

/* Forgets all of it. */
void aa_memory_clear(struct aa_memory *memory);

/* Reports whether a slot is one of these. */
int aa_memory_has(const char *slot);

/* Gets a copy of a record, with data NULL if there is none. Returns 0, or -1 if there is no memory. */
int aa_memory_load(struct aa_memory *memory, aa_arena *arena, const char *slot, aa_bytes *record);

/* Returns 0, or -1 if there is no memory. */
int aa_memory_save(struct aa_memory *memory, const char *slot, aa_bytes record);

#endif
