#include "overlay.h"

#include <string.h>

#include "answers.h"
#include "call.h"
#include "no_memory.h"
#include "text.h"
#include "untrusted.h"

int aa_overlay_init(struct aa_overlay *overlay, const agentassert_store *store, size_t most_threads)
{
	*overlay = (struct aa_overlay){.store = *store, .most_threads = most_threads};
	return pthread_mutex_init(&overlay->mutex, NULL) == 0 ? 0 : -1;
}

void aa_overlay_destroy(struct aa_overlay *overlay)
{
	aa_records_clear(&overlay->threads);
	aa_records_clear(&overlay->others);
	pthread_mutex_destroy(&overlay->mutex);
}

int aa_store_failed(agentassert_error *error)
{
	if (error && !aa_is_code(aa_text_of(error->code))) {
		char message[sizeof error->message];
		memcpy(message, error->message, sizeof message);
		message[sizeof message - 1] = 0;
		return aa_fail(error, "store_failed", "%s",
			       *message ? message : "the store does not say why it failed");
	}
	return -1;
}

static int is_thread(const char *slot)
{
	return aa_begins(aa_text_of(slot), "thread/");
}

static struct aa_records *records_of(struct aa_overlay *overlay, const char *slot)
{
	return is_thread(slot) ? &overlay->threads : &overlay->others;
}

void aa_overlay_forget(struct aa_overlay *overlay, const char *slot)
{
	pthread_mutex_lock(&overlay->mutex);
	aa_records_remove(records_of(overlay, slot), slot);
	pthread_mutex_unlock(&overlay->mutex);
}

/* Gets copies of what is kept for a slot. Returns whether something is. */
static int find(struct aa_overlay *overlay, aa_arena *arena, const char *slot, aa_bytes *record, aa_bytes *stored)
{
	*record = *stored = (aa_bytes){NULL, 0};
	pthread_mutex_lock(&overlay->mutex);
	const struct aa_entry *entry = aa_records_find(records_of(overlay, slot), slot);
	int is_whole = 1;
	if (entry && entry->record.data) {
		*record = aa_copy(arena, entry->record);
		is_whole = record->data != NULL;
	}
	if (entry && entry->stored.data) {
		*stored = aa_copy(arena, entry->stored);
		is_whole = is_whole && stored->data;
	}
	pthread_mutex_unlock(&overlay->mutex);
	return entry && is_whole;
}

static void keep(struct aa_overlay *overlay, const char *slot, aa_bytes stored, aa_bytes record)
{
	struct aa_records *records = records_of(overlay, slot);
	pthread_mutex_lock(&overlay->mutex);
	aa_records_put(records, slot, record, stored);
	while (records == &overlay->threads && records->count > overlay->most_threads) {
		aa_records_remove(records, records->first->slot);
	}
	pthread_mutex_unlock(&overlay->mutex);
}

/* Gets what the store has in a slot. */
static int load(struct aa_overlay *overlay, aa_arena *arena, const char *slot, const agentassert_context *context,
		aa_bytes *stored, agentassert_error *error)
{
	struct agentassert_record_answer answer = {.arena = arena};
	*stored = (aa_bytes){NULL, 0};
	if (overlay->store.load(overlay->store.self, slot, context, &answer, error)) {
		return aa_store_failed(error);
	}
	if (answer.has_no_memory) {
		return aa_no_memory(error);
	}
	if (answer.is_wrong) {
		return aa_fail(error, "store_failed", "the store returned a record that is empty");
	}
	*stored = answer.record;
	return 0;
}

int aa_overlay_load(struct aa_overlay *overlay, aa_arena *arena, const char *slot, const agentassert_context *context,
		    aa_bytes *record, aa_bytes *stored, agentassert_error *error)
{
	aa_bytes kept, before;
	if (load(overlay, arena, slot, context, stored, error)) {
		/* What is stored of failures, if anything, is older. */
		if (strcmp(slot, "backoff") == 0 && !agentassert_context_canceled(context) &&
		    find(overlay, arena, slot, record, stored)) {
			return 0;
		}
		return -1;
	}
	*record = *stored;
	if (find(overlay, arena, slot, &kept, &before)) {
		if (aa_is_same_record(before, *stored)) {
			*record = kept;
		} else {
			aa_overlay_forget(overlay, slot);
		}
	}
	return 0;
}

/* Goes by what became of a write. */
static int written(struct aa_overlay *overlay, const char *slot, aa_bytes stored, aa_bytes record, int failed,
		   agentassert_error *error)
{
	if (!failed) {
		aa_overlay_forget(overlay, slot);
		return 0;
	}
	aa_store_failed(error);
	if (strcmp(error->code, "store_read_only") == 0 || strcmp(slot, "backoff") == 0) {
		keep(overlay, slot, stored, record);
	}
	return -1;
}

int aa_overlay_write(struct aa_overlay *overlay, const char *slot, aa_bytes stored, aa_bytes record,
		     const agentassert_context *context, agentassert_error *error)
{
	const agentassert_store *store = &overlay->store;
	int failed = record.data ? store->save(store->self, slot, record.data, record.size, context, error)
				 : store->remove(store->self, slot, context, error);
	return written(overlay, slot, stored, record, failed, error);
}

int aa_overlay_swap(struct aa_overlay *overlay, aa_arena *arena, const char *slot, aa_bytes expected, aa_bytes record,
		    const agentassert_context *context, agentassert_error *error)
{
	const agentassert_store *store = &overlay->store;
	aa_bytes kept, stored;
	aa_bytes old =
	    find(overlay, arena, slot, &kept, &stored) && aa_is_same_record(kept, expected) ? stored : expected;
	int failed = store->swap(store->self, slot, old.data, old.size, record.data, record.size, context, error);
	if (failed && !record.data) {
		return aa_store_failed(error);
	}
	return written(overlay, slot, old, record, failed, error);
}
