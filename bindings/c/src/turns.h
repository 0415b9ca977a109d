/* Locks by name, in this process. */
#ifndef AGENTASSERT_TURNS_H
#define AGENTASSERT_TURNS_H

#include <pthread.h>

#include "context.h"

/* Somebody who has a turn, or waits for it. */
struct aa_turn {
	struct aa_turn *next;
	char *name;
	const agentassert_context *context;
	int has_come;
};

/* Lets one caller in at a time for each name, in the order in which they came. */
struct aa_turns {
	pthread_mutex_t mutex;
	struct aa_turn *first;
};

/* Returns 0, or -1 if the system has no room for it. */
int aa_turns_init(struct aa_turns *turns);

/* Nobody may have a turn, or wait for one. */
void aa_turns_destroy(struct aa_turns *turns);

/* Waits for a turn of that name. Errors: canceled, no_memory. */
int aa_turns_take(struct aa_turns *turns, const char *name, const agentassert_context *context, struct aa_turn **turn,
		  agentassert_error *error);

/* Ends a turn. */
void aa_turns_end(struct aa_turns *turns, struct aa_turn *turn);

#endif
