/* What the manager lets a module do: which of the effects that a flow asks for it carries out, and
 * which answers it believes. wasm/ABI.md has the rules, and testvectors/hosts the vectors. The
 * module that runs may be anybody's, so nothing here asks it: what is right follows from the
 * manager's own options, from the call, and from what the backend has answered in the same flow. */
#ifndef AGENTASSERT_POLICY_H
#define AGENTASSERT_POLICY_H

#include "agentassert.h"
#include "decision.h"
#include "value.h"

/* What the manager knows of a flow. None of it comes from the module. It outlives the policy. */
struct aa_policy_call {
	const aa_value *config; /* with a base URL that was checked */
	aa_bytes surface;
	aa_bytes thread;  /* the conversation's id, of size 0 where there is none */
	aa_bytes entropy; /* what the call gave for the id of an instance's assertion, if anything */
	const aa_value *credentials;
};

enum aa_effect_type {
	AA_EFFECT_LOAD,
	AA_EFFECT_SAVE,
	AA_EFFECT_DELETE,
	AA_EFFECT_SWAP,
	AA_EFFECT_PROBE,
	AA_EFFECT_LOCK,
	AA_EFFECT_UNLOCK,
	AA_EFFECT_ENTROPY,
	AA_EFFECT_WAIT,
	AA_EFFECT_HTTP,
	AA_EFFECT_DONE,
};

/* A header field. */
struct aa_field {
	aa_bytes name, value;
};

/* A request that was let pass. */
struct aa_request {
	aa_bytes method, url;
	const struct aa_field *fields; /* each name once */
	size_t field_count;
	aa_bytes body; /* data is NULL if there is none */
	int64_t timeout_ms, size_limit;
	const aa_bytes *response_headers;
	size_t response_header_count;
};

/* An answer that can be believed. Absent text is "". */
struct aa_answer {
	enum aa_mode mode;
	aa_bytes mode_name, reason;
	aa_bytes header, agent_assertion, account_id;
	aa_bytes agent_runtime_id, task_id, runtime_agent_instance;
	aa_bytes responses_origin, account_routing_override;
	const aa_value *cause, *notice; /* {code, message}, as people can be shown it, or NULL */
	int64_t valid_until, retry_at;
	int fedramp;
};

/* An effect as it can be carried out. */
struct aa_effect {
	enum aa_effect_type type;
	aa_bytes slot;
	aa_bytes record, expected; /* data is NULL for none */
	int64_t size;              /* of AA_EFFECT_ENTROPY, in bytes */
	int64_t wait_ms;
	struct aa_request request;
	struct aa_answer answer;
};

/* How much entropy the id of an instance's assertion takes, in bytes. */
enum { AA_ID_SIZE = 16 };

/* Copies an answer, with every byte, into an arena. Returns 0, or -1 if there is no memory. */
int aa_answer_copy(aa_arena *arena, const struct aa_answer *answer, struct aa_answer *copy);

/* Checks the effects and the answer of one flow. One thread uses it at a time. */
typedef struct aa_policy aa_policy;

/* Returns the policy of a call, in the arena, or NULL if there is no memory. */
aa_policy *aa_policy_new(aa_arena *arena, const struct aa_policy_call *call);

/* Gets an effect as it can be carried out, or the answer as it can be believed: it points into the
 * message. now is the time of the event before it. Returns 0, or -1 with policy_violation, which
 * ends the flow. */
int aa_policy_effect(aa_policy *policy, aa_arena *arena, const aa_value *message, int64_t now, struct aa_effect *effect,
		     agentassert_error *error);

/* Takes note of the event that an effect came to. */
void aa_policy_answered(aa_policy *policy, const struct aa_effect *effect, const aa_value *event);

/* Gets the answer to the event again, with that entropy, as it can be believed: it is the flow's
 * last one, but for the assertion. Any number of threads can ask, with an arena each. */
int aa_policy_again(const aa_policy *policy, aa_arena *arena, const aa_value *authorization, aa_bytes entropy,
		    int64_t now, struct aa_answer *answer, agentassert_error *error);

/* Returns what aa_policy_again needs of a policy, in an arena of its own and with nothing else of
 * the flow's; or NULL if there is no memory. */
aa_policy *aa_policy_keep(aa_arena *arena, const aa_policy *policy);

#endif
