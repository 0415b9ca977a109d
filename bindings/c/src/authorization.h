/* What is behind an authorization that callers are given. */
#ifndef AGENTASSERT_AUTHORIZATION_H
#define AGENTASSERT_AUTHORIZATION_H

#include "agentassert_manager.h"
#include "policy.h"

/* An authorization, and what it was made for. */
struct aa_given {
	agentassert_authorization authorization; /* the first member: callers have its address */
	aa_arena *arena;                         /* has all of this */
	/* Which manager has made it, by its number: one that was freed is nobody's. */
	uint64_t manager;
	const char *surface;
	const char *thread; /* "" for none */
	/* Whether the caller's own Authorization stays: with an API key there is none of ours, but for
	 * an assertion. */
	int leaves_own;
};

/* Where an authorization comes from. */
struct aa_origin {
	uint64_t manager;
	aa_bytes surface, thread, kind;
};

/* Returns an authorization with a copy of an answer, and of what the host said of its cause, or NULL. NULL
 * if there is no memory. */
struct aa_given *aa_given_new(const struct aa_answer *answer, const agentassert_error *detail,
			      const struct aa_origin *origin);

/* Returns a copy, or NULL if there is no memory. */
struct aa_given *aa_given_copy(const struct aa_given *given);

/* Reports whether a call carries an assertion. */
int aa_asserts(const agentassert_authorization *authorization);

#endif
