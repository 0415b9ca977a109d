/* What a manager is made of. */
#ifndef AGENTASSERT_MANAGER_INTERNAL_H
#define AGENTASSERT_MANAGER_INTERNAL_H

#include <pthread.h>

#include "agentassert_manager.h"
#include "authorization.h"
#include "flow.h"
#include "memory.h"
#include "overlay.h"
#include "rejection.h"

/* What a flow came to, and what it takes to make another assertion of it. It does not change. */
struct aa_outcome {
	struct aa_given *given;
	aa_bytes kind; /* of the credentials */
	/* Of an answer with a runtime agent instance; NULL otherwise. They are secret. */
	aa_arena *arena;
	aa_bytes state;
	const aa_policy *policy;
	/* How many know it, with the manager's mutex. */
	int references;
	/* Among those that are kept until the end of their second. */
	char *key;
	struct aa_outcome *next;
};

/* A flow that is under way, or something else that the manager waits for when it is closed. */
struct aa_flight {
	struct aa_flight *next;
	aa_arena *arena;
	agentassert_manager *manager;
	/* The same for calls that one flow can serve; NULL if no other can. */
	const char *key;
	/* Where the answer is kept for the rest of its second. */
	const char *kept_key;
	struct aa_flow_call call;
	struct aa_cancel cancel;
	/* With the manager's mutex: */
	int references;
	int is_over;
	struct aa_outcome *outcome; /* NULL if it has failed */
	agentassert_error error;
};

struct agentassert_manager {
	aa_arena *arena;
	uint64_t id;
	const char *base_url;
	struct aa_host host;
	struct aa_overlay overlay;
	struct aa_memory memory;
	/* Of a jwt_identity. */
	agentassert_store *own_store;
	/* The credentials, as the ABI has them, or who is asked for them; or else the store is. */
	const aa_value *credentials;
	int (*ask_credentials)(void *self, const agentassert_context *context, agentassert_credentials_answer *answer,
			       agentassert_error *error);
	void *ask_credentials_self;
	void (*on_authorization)(void *self, const agentassert_authorization *authorization, const char *surface);
	void *on_authorization_self;
	int has_mutex, has_changed, has_memory, has_overlay;

	/* For what is below; and what changes when a flight is over. */
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	int is_closed;
	struct aa_flight *flights;
	/* The answers of this second. */
	struct aa_outcome *kept;
	/* What calls do without until the pause is over. */
	struct aa_rejection rejection;
};

/* Is agentassert_manager_open, with something else in the place of aa_call: for tests. */
int aa_manager_open(agentassert *core, aa_core_call *call, const agentassert_manager_options *given,
		    agentassert_manager **out, agentassert_error *error);

/* Refuses options that would fail later, and less clearly; and fills in the error for some. Errors:
 * invalid_manager_config. */
int aa_check_options(agentassert *core, const agentassert_manager_options *options, agentassert_error *error);
int aa_bad_options(agentassert_error *error, const char *problem);

/* Returns the ABI's config, in the arena, or NULL if there is no memory. */
aa_value *aa_config_of(aa_arena *arena, const agentassert_manager_options *options, aa_bytes base_url);

/* Returns a list of texts, or NULL for none. *failed is set if there is no memory. */
aa_value *aa_list_of(aa_arena *arena, const char *const *texts, int *failed);

/* What is asked of a manager. */
struct aa_question {
	aa_bytes surface, thread;
	aa_bytes key, kept_key;
	const aa_value *rejected; /* or NULL */
};

/* Gets the answer to a question from a flow, or from the one that is under way for the same key. */
int aa_ask(agentassert_manager *manager, const struct aa_question *question, int64_t timeout_ms,
	   struct aa_given **given, agentassert_error *error);

/* Gets what is kept for a key in this second. Returns 1 if something is, 0, or -1 with the error. */
int aa_recall(agentassert_manager *manager, const char *kept_key, struct aa_given **given, agentassert_error *error);

/* Begins, and ends, something that the manager waits for when it is closed. Begin fails with closed, or
 * no_memory. */
int aa_flight_begin(agentassert_manager *manager, struct aa_flight **flight, agentassert_error *error);
void aa_flight_end(struct aa_flight *flight);

/* Keeps an outcome under its key until its second is over, and lets go of those whose second is. With the
 * manager's mutex. */
void aa_reuse_keep(agentassert_manager *manager, struct aa_outcome *outcome, const char *kept_key, int64_t now);

/* Returns what is kept under a key for that second, or NULL; the caller has a reference then. With the
 * manager's mutex. */
struct aa_outcome *aa_reuse_find(agentassert_manager *manager, const char *kept_key, int64_t now);

/* Lets go of everything that is kept. With the manager's mutex. */
void aa_reuse_clear(agentassert_manager *manager);

/* Returns a new outcome with one reference, or NULL if there is no memory. */
struct aa_outcome *aa_outcome_new(const agentassert_manager *manager, const struct aa_flow_result *result,
				  const struct aa_flow_call *call, aa_bytes kind);

/* Lets go of an outcome. With the manager's mutex, unless nobody else knows it. */
void aa_outcome_release(struct aa_outcome *outcome);

/* Gets what one caller is given of an outcome: of one with a runtime agent instance another assertion
 * each time. The caller has a reference. */
int aa_outcome_give(agentassert_manager *manager, const struct aa_outcome *outcome, struct aa_given **given,
		    agentassert_error *error);

#endif
