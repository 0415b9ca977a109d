/* The instances of a core. */
#ifndef AGENTASSERT_POOL_H
#define AGENTASSERT_POOL_H

#include "agentassert.h"
#include "guest.h"

/* An instance that one thread uses. */
typedef struct aa_lease {
	agentassert *core;
	aa_guest *guest;
	/* The instances of a core that are overwritten together have the same number. */
	uint64_t generation;
	size_t index;
} aa_lease;

/* Takes an instance that nobody uses, makes one, or waits for one where there are as many as
 * there may be. Returns 0, or fills the error in and returns -1. */
int aa_pool_take(agentassert *core, aa_lease *lease, agentassert_error *error);

/* Gives an instance back, or has it overwritten and freed, where it is of no more use. */
void aa_pool_give(aa_lease *lease, int is_good);

/* What fork.c calls: before a fork, and after it, in the process itself and in its child. The
 * child gets the instances that nobody uses, and no other. */
void aa_pool_before_fork(agentassert *core);
void aa_pool_after_fork(agentassert *core, int is_child);

/* Calls a function for each instance that nobody uses, for tests. */
void aa_pool_visit(agentassert *core, void (*visit)(const aa_guest *guest, void *context), void *context);

#endif
