#include "flow.h"

#include <string.h>

#include "clock.h"
#include "exchange.h"
#include "no_memory.h"
#include "text.h"
#include "untrusted.h"

enum {
	/* Bounds a flow. The longest takes some 60 steps. */
	most_steps = 96,
	/* How many steps a flow has left when the time is over for which it may hold locks: to store what
	 * the backend has granted, and that it is to be left alone. */
	steps_after = 8,
	/* Bounds a save, in milliseconds: hundreds of threads can save at once, on a slow disk. */
	longest_save = 30000,
	/* More than the profiles have at once. */
	most_locks = 4,
};

static const char late[] = "the registration took too long for others who wait for it";

/* A lock that a flow holds. */
struct held {
	const char *slot; /* NULL where none is */
	int is_memory;
	void *lock;
};

/* What the store had in a slot that was loaded. */
struct stored {
	const char *slot;
	aa_bytes record;
	struct stored *next;
};

/* Carries out the effects of one flow. */
struct carrier {
	const struct aa_host *host;
	aa_policy *policy;
	/* The flow's. That of a step goes sooner. */
	aa_arena *arena;
	/* Canceled when the manager is closed and, from when a lock is held, after a time. */
	agentassert_context context;
	struct held held[most_locks];
	struct stored *stored;
	/* The last failures, in the host's own words: of the store, and of a request or what it needs. */
	agentassert_error store_error, request_error;
};

/* Whether the time is over for which the flow can hold a lock. What it does then fails, except that
 * records are saved. */
static int is_late(const struct carrier *carrier)
{
	return aa_monotonic() >= carrier->context.deadline;
}

static aa_value *event_of(aa_arena *arena, const char *type)
{
	return aa_set(aa_map(arena), "type", aa_text(arena, aa_text_of(type)));
}

static aa_value *failed(aa_arena *arena, const char *failure)
{
	return aa_set(event_of(arena, "failed"), "failure", aa_text(arena, aa_text_of(failure)));
}

static int draw(const struct aa_host *host, aa_arena *arena, size_t size, aa_bytes *entropy)
{
	char *buffer = aa_alloc(arena, size);
	if (!buffer || host->entropy(host->entropy_self, buffer, size)) {
		return -1;
	}
	*entropy = (aa_bytes){buffer, size};
	return 0;
}

/* Draws what the id of an instance's assertion is made of. */
static int draw_id(const struct aa_host *host, aa_arena *arena, aa_bytes *entropy, agentassert_error *error)
{
	if (draw(host, arena, AA_ID_SIZE, entropy)) {
		return aa_fail(error, "no_entropy", "there is no entropy for an assertion's id");
	}
	return 0;
}

/* Remembers what the store had in a slot. */
static int set_stored(struct carrier *carrier, const char *slot, aa_bytes record)
{
	struct stored *stored = carrier->stored;
	while (stored && strcmp(stored->slot, slot) != 0) {
		stored = stored->next;
	}
	if (!stored) {
		stored = aa_alloc(carrier->arena, sizeof *stored);
		aa_bytes copy = aa_copy(carrier->arena, aa_text_of(slot));
		if (!stored || !copy.data) {
			return -1;
		}
		*stored = (struct stored){.slot = copy.data, .next = carrier->stored};
		carrier->stored = stored;
	}
	stored->record = record.data ? aa_copy(carrier->arena, record) : record;
	return record.data && !stored->record.data ? -1 : 0;
}

static aa_bytes stored_in(const struct carrier *carrier, const char *slot)
{
	for (const struct stored *stored = carrier->stored; stored; stored = stored->next) {
		if (strcmp(stored->slot, slot) == 0) {
			return stored->record;
		}
	}
	return (aa_bytes){NULL, 0};
}

static aa_value *load(struct carrier *carrier, aa_arena *arena, const char *slot, agentassert_error *error)
{
	aa_bytes record = {NULL, 0}, stored;
	aa_value *event = event_of(arena, "loaded");
	if (aa_memory_has(slot)) {
		if (aa_memory_load(carrier->host->memory, arena, slot, &record)) {
			aa_no_memory(error);
			return NULL;
		}
	} else {
		if (aa_overlay_load(carrier->host->store, arena, slot, &carrier->context, &record, &stored, error)) {
			return NULL;
		}
		if (set_stored(carrier, slot, stored)) {
			aa_no_memory(error);
			return NULL;
		}
	}
	return record.data ? aa_set(event, "record", aa_binary(arena, record)) : event;
}

static void unlock(struct carrier *carrier, struct held *held)
{
	const struct aa_host *host = carrier->host;
	if (held->is_memory) {
		aa_turns_end(&host->memory->turns, held->lock);
	} else {
		host->store->store.unlock(host->store->store.self, held->lock);
	}
	held->slot = NULL;
}

static struct held *held_for(struct carrier *carrier, const char *slot)
{
	for (size_t i = 0; i < most_locks; i++) {
		const char *name = carrier->held[i].slot;
		if (slot ? name && strcmp(name, slot) == 0 : !name) {
			return &carrier->held[i];
		}
	}
	return NULL;
}

static int lock(struct carrier *carrier, const char *slot, agentassert_error *error)
{
	const struct aa_host *host = carrier->host;
	const agentassert_store *store = &host->store->store;
	aa_bytes name = aa_copy(carrier->arena, aa_text_of(slot));
	struct held *held = held_for(carrier, NULL);
	if (!name.data || !held) {
		return aa_no_memory(error);
	}
	struct held got = {.slot = name.data, .is_memory = aa_memory_has(slot)};
	if (got.is_memory) {
		struct aa_turn *turn;
		if (aa_turns_take(&host->memory->turns, slot, &carrier->context, &turn, error)) {
			return -1;
		}
		got.lock = turn;
	} else if (store->lock(store->self, slot, &carrier->context, &got.lock, error)) {
		return aa_store_failed(error);
	}
	*held = got;
	if (carrier->context.deadline == AA_NEVER) {
		carrier->context.deadline = aa_monotonic_after(host->held_ms);
	}
	if (agentassert_context_canceled(&carrier->context)) {
		/* Nobody waits for it any more; it is given back when the flow ends. */
		return aa_fail(error, "canceled", "the lock was had too late");
	}
	return 0;
}

static int probe(struct carrier *carrier, const char *slot, agentassert_error *error)
{
	const agentassert_store *store = &carrier->host->store->store;
	if (store->probe && store->probe(store->self, slot, &carrier->context, error)) {
		return aa_store_failed(error);
	}
	return 0;
}

static int write_record(struct carrier *carrier, aa_arena *arena, const struct aa_effect *effect, const char *slot,
			agentassert_error *error)
{
	const struct aa_host *host = carrier->host;
	if (aa_memory_has(slot)) {
		return aa_memory_save(host->memory, slot, effect->record) ? aa_no_memory(error) : 0;
	}
	agentassert_context context = carrier->context;
	if (effect->record.data) {
		/* The backend has registered it: even a manager that is being closed keeps it. */
		context = (agentassert_context){.core = host->core, .deadline = aa_monotonic_after(longest_save)};
	}
	int failure =
	    effect->type == AA_EFFECT_SWAP
		? aa_overlay_swap(host->store, arena, slot, effect->expected, effect->record, &context, error)
		: aa_overlay_write(host->store, slot, stored_in(carrier, slot), effect->record, &context, error);
	if (failure) {
		return -1;
	}
	return set_stored(carrier, slot, effect->record) ? aa_no_memory(error) : 0;
}

/* Does what an effect asks for. Returns the event, or NULL with the error filled in. */
static aa_value *try(struct carrier *carrier, aa_arena *arena, const struct aa_effect *effect, agentassert_error *error)
{
	const char *slot = aa_copy(arena, effect->slot.data ? effect->slot : AA_LITERAL("")).data;
	if (!slot) {
		aa_no_memory(error);
		return NULL;
	}
	/* What the backend has registered is saved all the same, and what others wait for given back. */
	int is_kept = effect->record.data || effect->type == AA_EFFECT_UNLOCK || effect->type == AA_EFFECT_ENTROPY;
	if (!is_kept && agentassert_context_canceled(&carrier->context)) {
		aa_fail(error, "canceled", "%s",
			is_late(carrier) ? late : "the manager was closed before there was an authorization");
		return NULL;
	}
	switch (effect->type) {
	case AA_EFFECT_LOAD:
		return load(carrier, arena, slot, error);
	case AA_EFFECT_LOCK:
		return lock(carrier, slot, error) ? NULL : event_of(arena, "done");
	case AA_EFFECT_UNLOCK: {
		struct held *held = held_for(carrier, slot);
		if (held) { /* it is not there if its lock failed */
			unlock(carrier, held);
		}
		return event_of(arena, "done");
	}
	case AA_EFFECT_PROBE:
		return probe(carrier, slot, error) ? NULL : event_of(arena, "done");
	case AA_EFFECT_SAVE:
	case AA_EFFECT_DELETE:
	case AA_EFFECT_SWAP:
		return write_record(carrier, arena, effect, slot, error) ? NULL : event_of(arena, "done");
	case AA_EFFECT_ENTROPY: {
		aa_bytes entropy;
		if (draw(carrier->host, arena, (size_t)effect->size, &entropy)) {
			aa_fail(error, "no_entropy", "the source of entropy has none");
			return NULL;
		}
		return aa_set(event_of(arena, "entropy"), "entropy", aa_binary(arena, entropy));
	}
	case AA_EFFECT_WAIT:
		if (agentassert_context_wait(&carrier->context, effect->wait_ms)) {
			aa_fail(error, "canceled", "a pause was ended early");
			return NULL;
		}
		return event_of(arena, "woke");
	case AA_EFFECT_HTTP:
	case AA_EFFECT_DONE:
		break;
	}
	aa_fail(error, "internal", "there is an effect that this library does not know");
	return NULL;
}

/* Names a failure in the flow's words. */
static const char *failure_of(const struct carrier *carrier, const agentassert_error *error)
{
	if (strcmp(error->code, "record_changed") == 0) {
		return "changed";
	}
	if (strcmp(error->code, "store_read_only") == 0) {
		return "read-only";
	}
	return agentassert_context_canceled(&carrier->context) && !is_late(carrier) ? "canceled" : "store";
}

static aa_value *send(struct carrier *carrier, aa_arena *arena, const struct aa_effect *effect)
{
	const struct aa_host *host = carrier->host;
	agentassert_error error = {{0}, {0}};
	aa_value *event = aa_exchange(arena, host->send, host->send_self, &effect->request, &carrier->context, &error);
	if (error.code[0]) {
		carrier->request_error = error;
		if (is_late(carrier)) {
			aa_fail(&carrier->request_error, "request_failed", "%s", late);
			return failed(arena, "timeout");
		}
	}
	return event;
}

/* Does what an effect asks for. A failure becomes an event: what follows from it is the core's to say.
 * Returns NULL with the error filled in if the flow has to end. */
static aa_value *carry_out(struct carrier *carrier, aa_arena *arena, const struct aa_effect *effect,
			   agentassert_error *error)
{
	agentassert_error problem = {{0}, {0}};
	aa_value *event =
	    effect->type == AA_EFFECT_HTTP ? send(carrier, arena, effect) : try(carrier, arena, effect, &problem);
	if (event) {
		aa_policy_answered(carrier->policy, effect, event);
		return event;
	}
	if (!problem.code[0]) {
		aa_no_memory(error);
		return NULL;
	}
	if (strcmp(problem.code, "policy_violation") == 0) {
		*error = problem; /* the store runs the module, too */
		return NULL;
	}
	if (effect->type == AA_EFFECT_ENTROPY || effect->type == AA_EFFECT_WAIT) {
		carrier->request_error = problem;
	} else if (strcmp(problem.code, "record_changed") != 0) { /* which is nobody's fault */
		carrier->store_error = problem;
	}
	int is_write = effect->type == AA_EFFECT_SAVE || effect->type == AA_EFFECT_DELETE;
	if (is_write && aa_is(effect->slot, "backoff")) {
		return event_of(arena, "done"); /* the failure that is to be remembered is the one to report */
	}
	return failed(arena, failure_of(carrier, &problem));
}

/* Gives the locks back. */
static void end(struct carrier *carrier)
{
	for (size_t i = 0; i < most_locks; i++) {
		if (carrier->held[i].slot) {
			unlock(carrier, &carrier->held[i]);
		}
	}
}

/* Asks the core for the next step. The event gets the time. */
static int step(const struct aa_host *host, aa_arena *arena, aa_bytes state, aa_value *event, int64_t now,
		aa_value **result, agentassert_error *error)
{
	aa_value *params = aa_map(arena);
	if (state.data) {
		params = aa_set(params, "state", aa_binary(arena, state));
	}
	params = aa_set(params, "event", aa_set(event, "now", aa_integer(arena, now)));
	if (!params) {
		return aa_no_memory(error);
	}
	return host->call(host->core, arena, "flow.step", params, result, error);
}

static int endless(agentassert_error *error)
{
	return aa_fail(error, "sandbox_failed", "the core's flow does not end");
}

/* Returns the event that a flow begins with. */
static aa_value *start(aa_arena *arena, const struct aa_policy_call *call, const aa_value *rejected)
{
	aa_value *event = event_of(arena, "start");
	event = aa_set(event, "config", aa_clone(arena, call->config));
	event = aa_set(event, "surface", aa_text(arena, call->surface));
	event = aa_set(event, "credentials", aa_clone(arena, call->credentials));
	if (call->thread.size > 0) {
		event = aa_set(event, "thread_id", aa_text(arena, call->thread));
	}
	if (rejected) {
		event = aa_set(event, "rejected", aa_clone(arena, rejected));
	}
	if (call->entropy.size > 0) {
		event = aa_set(event, "entropy", aa_binary(arena, call->entropy));
	}
	return event;
}

/* Copies what the last step has led to out of that step's memory. */
static int finish(const struct carrier *carrier, const struct aa_effect *effect, aa_bytes state,
		  struct aa_flow_result *result, agentassert_error *error)
{
	aa_arena *arena = carrier->arena;
	struct aa_answer *answer = &result->answer;
	if (aa_answer_copy(arena, &effect->answer, answer)) {
		return aa_no_memory(error);
	}
	aa_bytes cause = aa_get_text(answer->cause, "code");
	if (aa_is(cause, "store_failed") || aa_is(cause, "store_read_only")) {
		result->detail = carrier->store_error;
	} else if (aa_is(cause, "request_failed")) {
		result->detail = carrier->request_error;
	}
	if (answer->runtime_agent_instance.size > 0 && state.data) {
		result->state = aa_copy(arena, state);
		if (!result->state.data) {
			return aa_no_memory(error);
		}
	}
	result->policy = carrier->policy;
	return 0;
}

/* Takes one step, and does what it leads to. Returns 1 if the flow goes on, 0 if it has ended, and -1. */
static int go_on(struct carrier *carrier, aa_arena *arena, aa_bytes *state, aa_value **event,
		 struct aa_flow_result *result, agentassert_error *error)
{
	const struct aa_host *host = carrier->host;
	int64_t now = host->now(host->now_self);
	aa_value *answer;
	struct aa_effect effect;
	if (step(host, arena, *state, *event, now, &answer, error) ||
	    aa_policy_effect(carrier->policy, arena, aa_get(answer, "effect"), now, &effect, error) ||
	    aa_untrusted_bytes(answer, "state", state, error)) {
		return -1;
	}
	if (effect.type == AA_EFFECT_DONE) {
		return finish(carrier, &effect, *state, result, error);
	}
	*event = carry_out(carrier, arena, &effect, error);
	return *event ? 1 : -1;
}

static int run(struct carrier *carrier, const struct aa_policy_call *call, const aa_value *rejected,
	       struct aa_flow_result *result, agentassert_error *error)
{
	/* A step's memory is there until the next one is over: that is made of the state and the event. */
	aa_arena *arenas[2] = {aa_arena_new(), aa_arena_new()};
	aa_bytes state = {NULL, 0};
	aa_value *event = arenas[0] && arenas[1] ? start(arenas[1], call, rejected) : NULL;
	int goes_on = event ? 1 : aa_no_memory(error);
	int after = 0, i = 0;
	for (; goes_on == 1 && i < most_steps && after <= steps_after; i++) {
		goes_on = go_on(carrier, arenas[i % 2], &state, &event, result, error);
		after += is_late(carrier);
		aa_arena_free(arenas[(i + 1) % 2]);
		arenas[(i + 1) % 2] = aa_arena_new();
		if (goes_on == 1 && !arenas[(i + 1) % 2]) {
			goes_on = aa_no_memory(error);
		}
	}
	aa_arena_free(arenas[0]);
	aa_arena_free(arenas[1]);
	return goes_on == 1 ? endless(error) : goes_on;
}

int aa_flow_run(const struct aa_host *host, struct aa_cancel *cancel, const struct aa_flow_call *call,
		const aa_value *credentials, aa_arena *arena, struct aa_flow_result *result, agentassert_error *error)
{
	struct aa_policy_call known = {
	    .config = host->config,
	    .surface = call->surface,
	    .thread = call->thread,
	    .entropy = AA_LITERAL(""),
	    .credentials = credentials,
	};
	*result = (struct aa_flow_result){0};
	if (aa_is(aa_get_text(host->config, "profile"), "instances") && draw_id(host, arena, &known.entropy, error)) {
		return -1;
	}
	struct carrier carrier = {
	    .host = host,
	    .policy = aa_policy_new(arena, &known),
	    .arena = arena,
	    .context = {.core = host->core, .cancel = cancel, .deadline = AA_NEVER},
	};
	if (!carrier.policy) {
		return aa_no_memory(error);
	}
	int failure = run(&carrier, &known, call->rejected, result, error);
	end(&carrier);
	return failure;
}

int aa_flow_again(const struct aa_host *host, aa_bytes state, const aa_policy *policy, aa_arena *arena,
		  struct aa_answer *answer, agentassert_error *error)
{
	aa_bytes entropy, type;
	aa_value *result;
	if (draw_id(host, arena, &entropy, error)) {
		return -1;
	}
	int64_t now = host->now(host->now_self);
	aa_value *event = aa_set(event_of(arena, "again"), "entropy", aa_binary(arena, entropy));
	if (step(host, arena, state, event, now, &result, error)) {
		return -1;
	}
	const aa_value *effect = aa_get(result, "effect");
	if (aa_untrusted_text(effect, "type", &type, error)) {
		return -1;
	}
	if (!aa_is(type, "done")) {
		return endless(error);
	}
	return aa_policy_again(policy, arena, aa_get(effect, "authorization"), entropy, now, answer, error);
}
