#define _DEFAULT_SOURCE
#include "turns.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "no_memory.h"

int aa_turns_init(struct aa_turns *turns)
{
	turns->first = NULL;
	return pthread_mutex_init(&turns->mutex, NULL) == 0 ? 0 : -1;
}

void aa_turns_destroy(struct aa_turns *turns)
{
	pthread_mutex_destroy(&turns->mutex);
}

/* Returns a new turn at the end of the line. */
static struct aa_turn *queue(struct aa_turns *turns, const char *name, const agentassert_context *context)
{
	struct aa_turn *turn = calloc(1, sizeof *turn);
	char *copy = turn ? strdup(name) : NULL;
	if (!copy) {
		free(turn);
		return NULL;
	}
	turn->name = copy;
	turn->context = context;
	turn->has_come = 1;
	struct aa_turn **end = &turns->first;
	for (; *end; end = &(*end)->next) {
		turn->has_come &= strcmp((*end)->name, name) != 0;
	}
	*end = turn;
	return turn;
}

/* Takes a turn out of the line, and lets in who is next, if it was that one's. */
static void leave(struct aa_turns *turns, struct aa_turn *turn)
{
	int was_let_in = turn->has_come;
	struct aa_turn **at = &turns->first;
	while (*at != turn) {
		at = &(*at)->next;
	}
	*at = turn->next;
	for (struct aa_turn *next = turn->next; was_let_in && next; next = next->next) {
		if (strcmp(next->name, turn->name) == 0) {
			/* Who waits reads the flag with another mutex: see aa_context_wait_for. */
			aa_context_set(next->context, &next->has_come);
			break;
		}
	}
	free(turn->name);
	free(turn);
}

int aa_turns_take(struct aa_turns *turns, const char *name, const agentassert_context *context, struct aa_turn **turn,
		  agentassert_error *error)
{
	pthread_mutex_lock(&turns->mutex);
	*turn = queue(turns, name, context);
	int has_come = *turn && (*turn)->has_come;
	pthread_mutex_unlock(&turns->mutex);
	if (!*turn) {
		return aa_no_memory(error);
	}
	if (has_come || aa_context_wait_for(context, &(*turn)->has_come, AA_NEVER)) {
		return 0;
	}
	pthread_mutex_lock(&turns->mutex);
	leave(turns, *turn);
	pthread_mutex_unlock(&turns->mutex);
	return aa_fail(error, "canceled", "others had the lock for longer than anybody waited for it");
}

void aa_turns_end(struct aa_turns *turns, struct aa_turn *turn)
{
	pthread_mutex_lock(&turns->mutex);
	leave(turns, turn);
	pthread_mutex_unlock(&turns->mutex);
}
