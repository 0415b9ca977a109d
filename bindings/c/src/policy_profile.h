/* What the flows of one form of the protocol may do that others may not. Each profile has a file
 * of its own; what they share is in policy_profile.c and policy_task.c. */
#ifndef AGENTASSERT_POLICY_PROFILE_H
#define AGENTASSERT_POLICY_PROFILE_H

#include "policy.h"

/* The longest id, in bytes. */
enum { AA_LONGEST_ID = 4096 };

/* A biscuit that the backend has minted in a flow and that is not used, and the URL that it is
 * for. */
struct aa_biscuit {
	aa_bytes url, biscuit;
	struct aa_biscuit *next;
};

typedef struct aa_profile aa_profile;

struct aa_policy {
	struct aa_policy_call call;
	aa_arena *arena;
	aa_bytes account;
	/* What the call carries if the agent can be had. */
	struct aa_decided decided;
	/* Says which requests and slots are the flow's. */
	const aa_profile *profile;
	/* Below it are the registrations; data is NULL if nobody knows where they are. */
	aa_bytes registrar;
	/* What the id of the call's own assertion is made of, in the profile instances. */
	aa_bytes entropy;
	/* In the default profile. */
	struct aa_biscuit *minted;
	int requests;
	/* The slots whose locks the flow has asked for, and not given back. */
	const aa_bytes *locked[4];
	/* The last answer with an assertion. */
	struct aa_answer asserted;
};

/* Functions return 0, or -1 with policy_violation. */
struct aa_profile {
	/* Whether a request is sent again after a pause. */
	int waits;
	/* Returns where the registrations are, with data NULL if nobody knows. */
	aa_bytes (*registrar)(const aa_policy *policy);
	/* Lets pass the requests of a registration. */
	int (*check_request)(aa_policy *policy, aa_arena *arena, const struct aa_request *request,
			     agentassert_error *error);
	/* Takes note of the answer to one that was let pass. May be NULL. */
	void (*answered)(aa_policy *policy, const struct aa_request *request, const aa_value *response);
	/* Whether the flow has effects of a type on a slot. */
	int (*has_slot)(const aa_policy *policy, enum aa_effect_type type, aa_bytes slot);
	/* Lets pass a call of the flow's own, which carries what the call itself does, with these
	 * header fields, and no others beside an assertion. */
	int (*check_call)(const aa_policy *policy, aa_arena *arena, const struct aa_request *request,
			  const char *const *names, agentassert_error *error);
	/* Whether an answer says what its assertion does, in its canonical form, and nothing else. */
	int (*is_assertion)(const aa_policy *policy, aa_arena *arena, const struct aa_answer *answer, aa_bytes entropy);
};

extern const aa_profile aa_biscuit_profile, aa_auth_api_profile, aa_instances_profile;

/* Which slots effects of a type are on: lists that end with a NULL. */
struct aa_slots {
	const char *const *load, *const *save, *const *remove, *const *swap, *const *probe, *const *lock;
};

int aa_has_slot(const struct aa_slots *slots, enum aa_effect_type type, aa_bytes slot);

/* Reports whether an assertion can name an id. */
int aa_is_id(aa_bytes id);

/* Returns the URL that is configured or, where there is none, the one of the base URL's environment,
 * whatever its port. For every other backend nobody knows: the user's access token would go to a
 * party that has nothing to do with it. */
aa_bytes aa_registrar_of(const aa_value *config, const char *production, const char *staging);

/* Returns a header field, or NULL. */
const aa_bytes *aa_field_of(const struct aa_request *request, const char *name);
int aa_field_is(const struct aa_request *request, const char *name, aa_bytes value);

/* Lets a request ask for what every answer can have, and for one more header field, or NULL. */
int aa_check_response_headers(const struct aa_request *request, const char *other, agentassert_error *error);

/* Wants these header fields and no others; the list ends with a NULL. The access token is sent where
 * "authorization" is among them, and nothing else as an authorization. */
int aa_check_headers(const aa_policy *policy, const struct aa_request *request, const char *const *names,
		     agentassert_error *error);

/* Is for a registration, with these header fields, "content-type" among them. */
int aa_check_post(const aa_policy *policy, const struct aa_request *request, const char *const *names,
		  agentassert_error *error);

/* Reports whether a body is this beginning, some public key in OpenSSH form, and this end. */
int aa_is_body(aa_bytes body, aa_bytes beginning, aa_bytes end);

/* The slots that the profiles with a stored identity use. It is swapped, and not saved, and nothing but
 * the failures is ever removed. */
extern const struct aa_slots aa_identity_slots;

/* Reports whether a URL registers the identity, or a task for an agent of whatever id: one segment,
 * of which no server can make several. */
int aa_is_identity_url(const aa_policy *policy, aa_bytes url);
int aa_is_task_url(const aa_policy *policy, aa_bytes url);

/* Wants the registration of an identity to say what the configuration has it say, with some key that
 * the module has made. */
int aa_check_identity(const aa_policy *policy, aa_arena *arena, const struct aa_request *request,
		      agentassert_error *error);

/* Is is_assertion of the profiles whose agents assert tasks. */
int aa_is_task_assertion(const aa_policy *policy, aa_arena *arena, const struct aa_answer *answer, aa_bytes entropy);

/* Is check_call of these. */
int aa_check_task_call(const aa_policy *policy, aa_arena *arena, const struct aa_request *request,
		       const char *const *names, agentassert_error *error);

/* The question where the calls to responses go: whether an effect belongs to it; whether a request is
 * it, and may pass; and whether an answer's call goes where it may. */
int aa_routing_has_slot(const aa_policy *policy, enum aa_effect_type type, aa_bytes slot);
int aa_routing_is_question(const aa_policy *policy, aa_bytes url);
int aa_routing_check_question(const aa_policy *policy, aa_arena *arena, const struct aa_request *request,
			      agentassert_error *error);
int aa_routing_check_answer(const aa_policy *policy, const struct aa_answer *answer, agentassert_error *error);

/* Whether the flow has a slot's lock. */
int aa_has_locked(const aa_policy *policy, aa_bytes slot);

#endif
