#include "failing_store.h"

#include <stdio.h>
#include <string.h>

static int fails(const struct failing_store *store, const char *method, agentassert_error *error)
{
	int is_write = strcmp(method, "load") != 0 && strcmp(method, "credentials") != 0;
	if (strcmp(store->method, method) != 0 && strcmp(store->method, "all") != 0 &&
	    !(strcmp(store->method, "writes") == 0 && is_write)) {
		return 0;
	}
	snprintf(error->code, sizeof error->code, "%s", store->code);
	snprintf(error->message, sizeof error->message, "the disk is gone");
	return 1;
}

static int load(void *self, const char *slot, const agentassert_context *context, agentassert_record_answer *answer,
		agentassert_error *error)
{
	struct failing_store *store = self;
	if (strcmp(store->method, "empty") == 0) {
		agentassert_answer_record(answer, "", 0);
		return 0;
	}
	return fails(store, "load", error) ? -1 : store->inner->load(store->inner->self, slot, context, answer, error);
}

static int save(void *self, const char *slot, const void *record, size_t size, const agentassert_context *context,
		agentassert_error *error)
{
	struct failing_store *store = self;
	return fails(store, "save", error) ? -1
					   : store->inner->save(store->inner->self, slot, record, size, context, error);
}

static int empty(void *self, const char *slot, const agentassert_context *context, agentassert_error *error)
{
	struct failing_store *store = self;
	return fails(store, "remove", error) ? -1 : store->inner->remove(store->inner->self, slot, context, error);
}

static int swap(void *self, const char *slot, const void *expected, size_t expected_size, const void *record,
		size_t record_size, const agentassert_context *context, agentassert_error *error)
{
	struct failing_store *store = self;
	return fails(store, "swap", error) ? -1
					   : store->inner->swap(store->inner->self, slot, expected, expected_size,
								record, record_size, context, error);
}

static int lock(void *self, const char *slot, const agentassert_context *context, void **lock, agentassert_error *error)
{
	struct failing_store *store = self;
	return fails(store, "lock", error) ? -1 : store->inner->lock(store->inner->self, slot, context, lock, error);
}

static void unlock(void *self, void *lock)
{
	struct failing_store *store = self;
	store->inner->unlock(store->inner->self, lock);
}

static int probe(void *self, const char *slot, const agentassert_context *context, agentassert_error *error)
{
	(void)slot;
	(void)context;
	return fails(self, "probe", error) ? -1 : 0;
}

static int credentials(void *self, const agentassert_context *context, agentassert_credentials_answer *answer,
		       agentassert_error *error)
{
	(void)context;
	if (fails(self, "credentials", error)) {
		return -1;
	}
	agentassert_answer_credentials(answer, ((const struct failing_store *)self)->credentials);
	return 0;
}

agentassert_store failing_store_methods(struct failing_store *store)
{
	return (agentassert_store){
	    .size = sizeof(agentassert_store),
	    .self = store,
	    .load = load,
	    .save = save,
	    .remove = empty,
	    .swap = swap,
	    .lock = lock,
	    .unlock = unlock,
	    .probe = probe,
	    .credentials = credentials,
	};
}
