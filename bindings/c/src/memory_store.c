/* A store that ends with the program. */
#include <pthread.h>
#include <stdlib.h>

#include "agentassert_manager.h"
#include "no_memory.h"
#include "records.h"
#include "turns.h"

struct memory_store {
	agentassert_store methods;
	pthread_mutex_t mutex;
	struct aa_records records;
	struct aa_turns turns;
};

static const aa_bytes nothing = {NULL, 0};

static int load(void *self, const char *slot, const agentassert_context *context, agentassert_record_answer *answer,
		agentassert_error *error)
{
	struct memory_store *store = self;
	(void)context;
	(void)error;
	pthread_mutex_lock(&store->mutex);
	const struct aa_entry *entry = aa_records_find(&store->records, slot);
	if (entry) {
		agentassert_answer_record(answer, entry->record.data, entry->record.size);
	}
	pthread_mutex_unlock(&store->mutex);
	return 0;
}

static int save(void *self, const char *slot, const void *record, size_t size, const agentassert_context *context,
		agentassert_error *error)
{
	struct memory_store *store = self;
	(void)context;
	pthread_mutex_lock(&store->mutex);
	int failed = aa_records_put(&store->records, slot, (aa_bytes){record, size}, nothing);
	pthread_mutex_unlock(&store->mutex);
	return failed ? aa_no_memory(error) : 0;
}

static int empty(void *self, const char *slot, const agentassert_context *context, agentassert_error *error)
{
	struct memory_store *store = self;
	(void)context;
	(void)error;
	pthread_mutex_lock(&store->mutex);
	aa_records_remove(&store->records, slot);
	pthread_mutex_unlock(&store->mutex);
	return 0;
}

/* Is swap, for whoever has the mutex. */
static int replace(struct memory_store *store, const char *slot, aa_bytes expected, aa_bytes record,
		   agentassert_error *error)
{
	const struct aa_entry *entry = aa_records_find(&store->records, slot);
	if (!aa_is_same_record(entry ? entry->record : nothing, expected)) {
		return aa_fail(error, "record_changed", "another record has taken the place of the one to be replaced");
	}
	if (record.data) {
		return aa_records_put(&store->records, slot, record, nothing) ? aa_no_memory(error) : 0;
	}
	aa_records_remove(&store->records, slot);
	return 0;
}

static int swap(void *self, const char *slot, const void *expected, size_t expected_size, const void *record,
		size_t record_size, const agentassert_context *context, agentassert_error *error)
{
	struct memory_store *store = self;
	(void)context;
	pthread_mutex_lock(&store->mutex);
	int failed = replace(store, slot, (aa_bytes){expected, expected_size}, (aa_bytes){record, record_size}, error);
	pthread_mutex_unlock(&store->mutex);
	return failed;
}

static int lock(void *self, const char *slot, const agentassert_context *context, void **lock, agentassert_error *error)
{
	struct memory_store *store = self;
	struct aa_turn *turn;
	int failed = aa_turns_take(&store->turns, slot, context, &turn, error);
	*lock = turn;
	return failed;
}

static void unlock(void *self, void *lock)
{
	struct memory_store *store = self;
	aa_turns_end(&store->turns, lock);
}

static void close_store(void *self)
{
	struct memory_store *store = self;
	aa_records_clear(&store->records);
	aa_turns_destroy(&store->turns);
	pthread_mutex_destroy(&store->mutex);
	free(store);
}

int agentassert_memory_store(agentassert_store **out, agentassert_error *error)
{
	struct memory_store *store = calloc(1, sizeof *store);
	*out = NULL;
	if (!store) {
		return aa_no_memory(error);
	}
	if (pthread_mutex_init(&store->mutex, NULL) != 0) {
		free(store);
		return aa_no_memory(error);
	}
	if (aa_turns_init(&store->turns)) {
		pthread_mutex_destroy(&store->mutex);
		free(store);
		return aa_no_memory(error);
	}
	store->methods = (agentassert_store){
	    .size = sizeof store->methods,
	    .self = store,
	    .load = load,
	    .save = save,
	    .remove = empty,
	    .swap = swap,
	    .lock = lock,
	    .unlock = unlock,
	    .close = close_store,
	};
	*out = &store->methods;
	return 0;
}

void agentassert_store_close(agentassert_store *store)
{
	if (store && store->close) {
		store->close(store->self);
	}
}
