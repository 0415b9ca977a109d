/* Answers, each of which several callers can be given until the end of its second. */
#define _DEFAULT_SOURCE
#include <stdlib.h>
#include <string.h>

#include "manager.h"
#include "no_memory.h"
#include "text.h"

void aa_outcome_release(struct aa_outcome *outcome)
{
	if (--outcome->references > 0) {
		return;
	}
	agentassert_authorization_free(&outcome->given->authorization);
	aa_arena_free(outcome->arena);
	free(outcome->key);
	free(outcome);
}

/* Keeps what another assertion takes, in memory of its own: the flow's has all that it came across. */
static int keep_state(struct aa_outcome *outcome, const struct aa_flow_result *result)
{
	outcome->arena = aa_arena_new();
	if (!outcome->arena) {
		return -1;
	}
	outcome->state = aa_copy(outcome->arena, result->state);
	outcome->policy = aa_policy_keep(outcome->arena, result->policy);
	return outcome->state.data && outcome->policy ? 0 : -1;
}

struct aa_outcome *aa_outcome_new(const agentassert_manager *manager, const struct aa_flow_result *result,
				  const struct aa_flow_call *call, aa_bytes kind)
{
	struct aa_outcome *outcome = calloc(1, sizeof *outcome);
	const struct aa_origin origin = {manager->id, call->surface, call->thread, kind};
	if (!outcome) {
		return NULL;
	}
	outcome->references = 1;
	outcome->given = aa_given_new(&result->answer, result->detail.code[0] ? &result->detail : NULL, &origin);
	if (!outcome->given) {
		free(outcome);
		return NULL;
	}
	outcome->kind = aa_copy(outcome->given->arena, kind);
	if (!outcome->kind.data || (result->state.data && keep_state(outcome, result))) {
		aa_outcome_release(outcome);
		return NULL;
	}
	return outcome;
}

int aa_outcome_give(agentassert_manager *manager, const struct aa_outcome *outcome, struct aa_given **given,
		    agentassert_error *error)
{
	if (!outcome->state.data) {
		*given = aa_given_copy(outcome->given);
		return *given ? 0 : aa_no_memory(error);
	}
	const struct aa_origin origin = {manager->id, aa_text_of(outcome->given->surface),
					 aa_text_of(outcome->given->thread), outcome->kind};
	struct aa_answer answer;
	aa_arena *arena = aa_arena_new();
	if (!arena) {
		return aa_no_memory(error);
	}
	int failed = aa_flow_again(&manager->host, outcome->state, outcome->policy, arena, &answer, error);
	if (!failed) {
		*given = aa_given_new(&answer, NULL, &origin);
		failed = *given ? 0 : aa_no_memory(error);
	}
	aa_arena_free(arena);
	return failed;
}

/* Lets go of those that are kept under that key, or for another second than that. */
static void drop(agentassert_manager *manager, const char *kept_key, int64_t now)
{
	for (struct aa_outcome **at = &manager->kept; *at;) {
		struct aa_outcome *outcome = *at;
		if (outcome->given->authorization.valid_until == now && strcmp(outcome->key, kept_key) != 0) {
			at = &outcome->next;
			continue;
		}
		*at = outcome->next;
		aa_outcome_release(outcome);
	}
}

void aa_reuse_keep(agentassert_manager *manager, struct aa_outcome *outcome, const char *kept_key, int64_t now)
{
	drop(manager, kept_key, now);
	outcome->key = strdup(kept_key);
	if (!outcome->key) {
		return; /* the next call runs a flow */
	}
	outcome->references++;
	outcome->next = manager->kept;
	manager->kept = outcome;
}

struct aa_outcome *aa_reuse_find(agentassert_manager *manager, const char *kept_key, int64_t now)
{
	for (struct aa_outcome *outcome = manager->kept; outcome; outcome = outcome->next) {
		if (outcome->given->authorization.valid_until == now && strcmp(outcome->key, kept_key) == 0) {
			outcome->references++;
			return outcome;
		}
	}
	return NULL;
}

void aa_reuse_clear(agentassert_manager *manager)
{
	while (manager->kept) {
		struct aa_outcome *outcome = manager->kept;
		manager->kept = outcome->next;
		aa_outcome_release(outcome);
	}
}
