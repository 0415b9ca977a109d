/* A store, and in memory what it has not taken: a Kubernetes secret is served from all the same. What is
 * kept counts as long as the store holds what it held then: a record that somebody has put there since
 * is newer. */
#ifndef AGENTASSERT_OVERLAY_H
#define AGENTASSERT_OVERLAY_H

#include <pthread.h>

#include "agentassert_manager.h"
#include "records.h"

struct aa_overlay {
	agentassert_store store;
	pthread_mutex_t mutex;
	/* What counts in the place of what the store had: of threads, and of the other slots, which
	 * are few. */
	struct aa_records threads, others;
	/* Beyond so many threads' records those go that were kept first. */
	size_t most_threads;
};

enum { AA_MOST_THREADS = 10000 };

/* Returns 0, or -1 if the system has no room for it. The store's methods are copied. */
int aa_overlay_init(struct aa_overlay *overlay, const agentassert_store *store, size_t most_threads);
void aa_overlay_destroy(struct aa_overlay *overlay);

/* Each of these returns 0, or -1 with the store's error, which has a code then. Data NULL stands for no
 * record. */

/* Gets the record in a slot, and what the store has there. */
int aa_overlay_load(struct aa_overlay *overlay, aa_arena *arena, const char *slot, const agentassert_context *context,
		    aa_bytes *record, aa_bytes *stored, agentassert_error *error);

/* Saves a record, or deletes it where there is none. What the store does not take because it is read-only
 * is kept, and so is what is remembered of failures in any case; it fails all the same. stored is what
 * was last loaded. */
int aa_overlay_write(struct aa_overlay *overlay, const char *slot, aa_bytes stored, aa_bytes record,
		     const agentassert_context *context, agentassert_error *error);

/* Is aa_overlay_write for the identity, which others may have replaced. What is kept of it takes the
 * place of what the store had then; one that the store does not let go stays. */
int aa_overlay_swap(struct aa_overlay *overlay, aa_arena *arena, const char *slot, aa_bytes expected, aa_bytes record,
		    const agentassert_context *context, agentassert_error *error);

/* Drops what is kept for a slot. */
void aa_overlay_forget(struct aa_overlay *overlay, const char *slot);

/* Fills in the code of a store's error that has none, and cleans its text. Returns -1. */
int aa_store_failed(agentassert_error *error);

#endif
