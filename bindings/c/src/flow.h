/* Runs the core's flow for a call, and carries out its effects. */
#ifndef AGENTASSERT_FLOW_H
#define AGENTASSERT_FLOW_H

#include "agentassert_manager.h"
#include "context.h"
#include "memory.h"
#include "overlay.h"
#include "policy.h"

/* Is aa_call, or takes its place in tests. */
typedef int aa_core_call(agentassert *core, aa_arena *arena, const char *method, const aa_value *params,
			 aa_value **result, agentassert_error *error);

/* What flows are run with. Threads share it. */
struct aa_host {
	agentassert *core;
	aa_core_call *call;
	/* The caller's store, and what that would not take. */
	struct aa_overlay *store;
	/* The slots that are no store's. */
	struct aa_memory *memory;
	const aa_value *config;
	agentassert_send send;
	void *send_self;
	int64_t (*now)(void *self);
	void *now_self;
	int (*entropy)(void *self, void *buffer, size_t size);
	void *entropy_self;
	/* The time for which a flow may hold locks, in milliseconds. */
	int64_t held_ms;
};

/* Bounds the time for which a flow holds locks that others wait for, in milliseconds. A registration of
 * an identity and a task, with a backend that answers at the last moment each time, takes some three
 * minutes. */
enum { AA_LONGEST_HELD = 240000 };

/* What a flow is for. */
struct aa_flow_call {
	aa_bytes surface;
	aa_bytes thread; /* of size 0 for none */
	/* The task, or the instance, to replace, as the ABI has it; or NULL. */
	const aa_value *rejected;
};

/* What a flow came to. */
struct aa_flow_result {
	struct aa_answer answer;
	/* What the host said of the answer's cause; without a code where it said nothing. */
	agentassert_error detail;
	/* What aa_flow_again takes, of an answer with a runtime agent instance: data is NULL otherwise.
	 * The state is secret. */
	aa_bytes state;
	const aa_policy *policy;
};

/* Runs a flow. What the result points to is in the arena, or in the call. Returns 0, or -1 with the
 * error: policy_violation, sandbox_failed, no_entropy, no_memory, and those of the core. */
int aa_flow_run(const struct aa_host *host, struct aa_cancel *cancel, const struct aa_flow_call *call,
		const aa_value *credentials, aa_arena *arena, struct aa_flow_result *result, agentassert_error *error);

/* Makes another assertion of a flow's answer with a runtime agent instance: each is for one request. Any
 * number of threads can, with an arena each. */
int aa_flow_again(const struct aa_host *host, aa_bytes state, const aa_policy *policy, aa_arena *arena,
		  struct aa_answer *answer, agentassert_error *error);

#endif
