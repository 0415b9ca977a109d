/* What ends the work of a flow early: that its manager is closed, or that its time is over. */
#ifndef AGENTASSERT_CONTEXT_H
#define AGENTASSERT_CONTEXT_H

#include <pthread.h>

#include "agentassert_manager.h"
#include "call.h"

/* Tells those who wait that they need not any more. */
struct aa_cancel {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	int is_canceled;
};

/* Returns 0, or -1 if the system has no room for it. */
int aa_cancel_init(struct aa_cancel *cancel);
void aa_cancel_destroy(struct aa_cancel *cancel);

/* Cancels. It stays so. */
void aa_cancel(struct aa_cancel *cancel);

struct agentassert_context {
	agentassert *core;
	/* NULL: what has begun is not canceled. */
	struct aa_cancel *cancel;
	/* From when on it is canceled in any case, by aa_monotonic. */
	int64_t deadline;
};

/* Waits until somebody has set a flag with aa_context_set, until that time, or until the context is
 * canceled, which has to have an aa_cancel. Returns the flag. */
int aa_context_wait_for(const agentassert_context *context, const int *flag, int64_t time);

/* Sets the flag that somebody may wait for in a context. */
void aa_context_set(const agentassert_context *context, int *flag);

#endif
