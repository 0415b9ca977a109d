#include "policy_profile.h"

#include "calendar.h"
#include "no_memory.h"
#include "text.h"
#include "untrusted.h"

/* The bounds, in bytes and milliseconds. Each is above what the core ever asks for. */
enum {
	/* A key and the ids of two requests. */
	most_entropy = 64,
	/* One pause between two tries. */
	longest_wait = 10000,
	/* The longest that a client of the protocol waits for an answer. */
	longest_timeout = 30000,
	/* The largest answer that the protocol has. */
	largest_response = 64 << 10,
	/* A registration's body: three texts of 4096 bytes, with every byte escaped, and the rest. */
	largest_request = 80 << 10,
	/* Two registrations, each tried three times, and the same again for an agent that the
	 * backend does not know. */
	most_requests = 16,
	largest_record = 512 << 10,
};

static const char *const reasons[] = {
    "no-chatgpt-credentials",
    "workspace-not-allowed",
    "bearer-only-surface",
    "feature-off",
    "bearer-surface",
    "unsupported-host",
    "no-account-id",
    "background-task",
    "thread-task",
    "identity-task",
    "all-surfaces",
    "runtime-instance",
    "registration-failed",
    "registration-unavailable",
    "store-failed",
    "workspace-routing-failed",
    "assertion-rejected",
    "no-access-token",
    NULL,
};

int aa_answer_copy(aa_arena *arena, const struct aa_answer *answer, struct aa_answer *copy)
{
	*copy = *answer;
	aa_bytes *texts[] = {&copy->mode_name,        &copy->reason,
			     &copy->header,           &copy->agent_assertion,
			     &copy->account_id,       &copy->agent_runtime_id,
			     &copy->task_id,          &copy->runtime_agent_instance,
			     &copy->responses_origin, &copy->account_routing_override};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		*texts[i] = aa_copy(arena, *texts[i]);
		if (!texts[i]->data) {
			return -1;
		}
	}
	copy->cause = answer->cause ? aa_clone(arena, answer->cause) : NULL;
	copy->notice = answer->notice ? aa_clone(arena, answer->notice) : NULL;
	return (answer->cause && !copy->cause) || (answer->notice && !copy->notice) ? -1 : 0;
}

/* Returns what the call's profile adds. Of a profile that there is not nothing is decided, and so
 * nothing done. */
static const aa_profile *profile_of(const struct aa_policy_call *call)
{
	switch (aa_profile_of(call->config, call->credentials)) {
	case AA_AUTH_API:
		return &aa_auth_api_profile;
	case AA_INSTANCES:
		return &aa_instances_profile;
	default:
		return &aa_biscuit_profile;
	}
}

aa_policy *aa_policy_new(aa_arena *arena, const struct aa_policy_call *call)
{
	aa_policy *policy = aa_alloc(arena, sizeof *policy);
	if (!policy) {
		return NULL;
	}
	policy->call = *call;
	policy->arena = arena;
	policy->account = aa_account_of(call->config, call->credentials);
	policy->decided = aa_decide(call->config, call->surface, call->credentials);
	policy->profile = profile_of(call);
	policy->registrar = policy->profile->registrar(policy);
	policy->entropy = call->entropy;
	return policy;
}

/* Whether the call carries an assertion if the agent can be had. */
static int asserts(const aa_policy *policy)
{
	return policy->decided.mode == AA_AGENT_ASSERTION || policy->decided.mode == AA_DUAL_HEADER;
}

int aa_has_locked(const aa_policy *policy, aa_bytes slot)
{
	for (size_t i = 0; i < sizeof policy->locked / sizeof policy->locked[0]; i++) {
		if (policy->locked[i] && aa_equal(*policy->locked[i], slot)) {
			return 1;
		}
	}
	return 0;
}

/* Whether nothing is remembered of failures. */
static int has_no_pauses(const aa_policy *policy)
{
	const aa_value *pauses = aa_get_map(policy->call.config, "pauses");
	return pauses && aa_get_integer(pauses, "most") == 0;
}

/* Gets an effect's slot: one that the profile, or the question where the call goes, has for effects of
 * its type. */
static int check_slot(const aa_policy *policy, const aa_value *message, struct aa_effect *effect,
		      agentassert_error *error)
{
	if (aa_untrusted_text(message, "slot", &effect->slot, error)) {
		return -1;
	}
	if (aa_is(effect->slot, "backoff") && has_no_pauses(policy)) {
		return aa_violation(error, "what is remembered of failures", "where there are no pauses");
	}
	if (!policy->profile->has_slot(policy, effect->type, effect->slot) &&
	    !aa_routing_has_slot(policy, effect->type, effect->slot)) {
		return aa_violation(error, "a slot", "that is none of this call's for such an effect");
	}
	return 0;
}

static int record_in(const aa_value *message, const char *name, aa_bytes *record, agentassert_error *error)
{
	if (aa_untrusted_bytes(message, name, record, error)) {
		return -1;
	}
	return record->size > largest_record ? aa_violation(error, "a record", "that is too large") : 0;
}

static int check_save(aa_policy *policy, const aa_value *message, struct aa_effect *effect, agentassert_error *error)
{
	if (check_slot(policy, message, effect, error) || record_in(message, "record", &effect->record, error)) {
		return -1;
	}
	if (!effect->record.data) {
		return aa_violation(error, "a record", "that is empty");
	}
	return 0;
}

/* Lets an identity be replaced, and never removed. */
static int check_swap(const aa_policy *policy, const aa_value *message, struct aa_effect *effect,
		      agentassert_error *error)
{
	if (check_slot(policy, message, effect, error) || record_in(message, "expected", &effect->expected, error) ||
	    record_in(message, "record", &effect->record, error)) {
		return -1;
	}
	if (!effect->record.data) {
		return aa_violation(error, "the removal of an identity", "that no other takes the place of");
	}
	return 0;
}

/* Lets pass a lock that the flow does not have, and none after the identity's: two flows could then
 * wait for each other. */
static int check_lock(aa_policy *policy, const aa_value *message, struct aa_effect *effect, agentassert_error *error)
{
	if (check_slot(policy, message, effect, error)) {
		return -1;
	}
	if (aa_has_locked(policy, effect->slot) || aa_has_locked(policy, AA_LITERAL("identity"))) {
		return aa_violation(error, "a lock", "that it could wait for for good");
	}
	aa_bytes *slot = aa_alloc(policy->arena, sizeof *slot);
	if (!slot) {
		return aa_no_memory(error);
	}
	*slot = aa_copy(policy->arena, effect->slot);
	if (!slot->data) {
		return aa_no_memory(error);
	}
	for (size_t i = 0; i < sizeof policy->locked / sizeof policy->locked[0]; i++) {
		if (!policy->locked[i]) {
			policy->locked[i] = slot;
			return 0;
		}
	}
	return aa_violation(error, "a lock", "beside all others"); /* there are fewer slots to lock */
}

static int check_unlock(aa_policy *policy, const aa_value *message, struct aa_effect *effect, agentassert_error *error)
{
	if (aa_untrusted_text(message, "slot", &effect->slot, error)) {
		return -1;
	}
	for (size_t i = 0; i < sizeof policy->locked / sizeof policy->locked[0]; i++) {
		if (policy->locked[i] && aa_equal(*policy->locked[i], effect->slot)) {
			policy->locked[i] = NULL;
			return 0;
		}
	}
	return aa_violation(error, "to give back a lock", "that it does not have");
}

/* Gets a member that is a list; NULL where there is none. */
static int list_in(const aa_value *message, const char *name, const aa_value **list, agentassert_error *error)
{
	*list = aa_get(message, name);
	return *list && (*list)->kind != AA_ARRAY ? aa_violation(error, "a list", "that is none") : 0;
}

/* Gets a request's header fields, each of which is there once. */
static int fields_in(aa_arena *arena, const aa_value *message, struct aa_request *request, agentassert_error *error)
{
	const aa_value *list;
	if (list_in(message, "headers", &list, error)) {
		return -1;
	}
	struct aa_field *fields = aa_alloc(arena, (list ? list->count : 0) * sizeof *fields);
	if (!fields) {
		return aa_no_memory(error);
	}
	request->fields = fields;
	for (const aa_value *each = list ? list->first : NULL; each; each = each->next) {
		struct aa_field *field = &fields[request->field_count];
		if (each->kind != AA_MAP) {
			return aa_violation(error, "a part of a message", "that is none");
		}
		if (aa_untrusted_text(each, "name", &field->name, error) ||
		    aa_untrusted_text(each, "value", &field->value, error)) {
			return -1;
		}
		for (size_t i = 0; i < request->field_count; i++) {
			if (aa_equal(fields[i].name, field->name)) {
				return aa_violation(error, "a header field", "that stands twice");
			}
		}
		/* More than any request has. */
		if (++request->field_count > 16) {
			return aa_violation(error, "a request", "with other header fields than its own");
		}
	}
	return 0;
}

static int response_headers_in(aa_arena *arena, const aa_value *message, struct aa_request *request,
			       agentassert_error *error)
{
	const aa_value *list;
	if (list_in(message, "response_headers", &list, error)) {
		return -1;
	}
	aa_bytes *names = aa_alloc(arena, (list ? list->count : 0) * sizeof *names);
	if (!names) {
		return aa_no_memory(error);
	}
	request->response_headers = names;
	for (const aa_value *each = list ? list->first : NULL; each; each = each->next) {
		if (each->kind != AA_TEXT) {
			return aa_violation(error, "a text", "that is none");
		}
		names[request->response_header_count++] = each->bytes;
	}
	return 0;
}

/* Lets pass the requests of a registration, as the profile has them, and the question where the call
 * goes. */
static int check_http(aa_policy *policy, aa_arena *arena, const aa_value *message, struct aa_request *request,
		      agentassert_error *error)
{
	int has_lock = 0;
	for (size_t i = 0; i < sizeof policy->locked / sizeof policy->locked[0]; i++) {
		has_lock |= policy->locked[i] != NULL;
	}
	if (fields_in(arena, message, request, error) ||
	    aa_untrusted_text(message, "method", &request->method, error) ||
	    aa_untrusted_text(message, "url", &request->url, error) ||
	    aa_untrusted_bytes(message, "body", &request->body, error) ||
	    aa_untrusted_integer(message, "timeout_ms", 1, longest_timeout, &request->timeout_ms, error) ||
	    aa_untrusted_integer(message, "size_limit", 1, largest_response, &request->size_limit, error) ||
	    response_headers_in(arena, message, request, error)) {
		return -1;
	}
	if ((!aa_is(request->method, "GET") && !aa_is(request->method, "POST")) ||
	    request->body.size > largest_request) {
		return aa_violation(error, "a request", "of another method, or that is too large");
	}
	if (++policy->requests > most_requests || !has_lock) {
		return aa_violation(error, "a request", "without a lock, or after more than any flow makes");
	}
	if (aa_routing_is_question(policy, request->url)) {
		return aa_routing_check_question(policy, arena, request, error);
	}
	if (!policy->registrar.data) {
		return aa_violation(error, "a request", "to an auth API that nobody knows");
	}
	return policy->profile->check_request(policy, arena, request, error);
}

/* Whether a call can carry the user's token: one in a conversation does not where the agent could have
 * been had, except in the profile auth-api. */
static int may_bear(const aa_policy *policy)
{
	const struct aa_policy_call *call = &policy->call;
	aa_bytes kind = aa_get_text(call->credentials, "kind");
	if (aa_get_text(call->credentials, "access_token").size == 0 || aa_is(kind, "api-key") ||
	    policy->decided.mode == AA_NONE) {
		return 0;
	}
	int is_turn = call->thread.size > 0 && !aa_is(kind, "agent-identity");
	return !asserts(policy) || !is_turn || aa_is(aa_get_text(call->config, "profile"), "auth-api");
}

/* Checks what an answer has the call carry. */
static int check_carried(const aa_policy *policy, aa_arena *arena, const struct aa_answer *answer, aa_bytes entropy,
			 agentassert_error *error)
{
	const aa_bytes bearer[] = {AA_LITERAL("Bearer "), aa_get_text(policy->call.credentials, "access_token")};
	int has_agent = answer->agent_runtime_id.size > 0 || answer->task_id.size > 0 ||
			answer->runtime_agent_instance.size > 0 || answer->agent_assertion.size > 0;
	switch (answer->mode) {
	case AA_NONE:
		if (answer->header.size > 0 || has_agent) {
			return aa_violation(error, "an authorization", "where there is none");
		}
		return 0;
	case AA_BEARER:
		if (!may_bear(policy) || !aa_is_joined(answer->header, bearer, 2) || has_agent) {
			return aa_violation(error, "a bearer token", "that is not the user's, or not for this call");
		}
		return 0;
	case AA_AGENT_ASSERTION:
	case AA_DUAL_HEADER:
		if (policy->decided.mode != answer->mode || !aa_is(answer->reason, policy->decided.reason) ||
		    !policy->profile->is_assertion(policy, arena, answer, entropy)) {
			return aa_violation(error, "an assertion",
					    "that is not the answer's, or for a call that no agent can make");
		}
		return 0;
	case AA_NO_MODE:
		break;
	}
	return aa_violation(error, "a mode", "that is none");
}

/* Gets an answer that can be believed. Whether the assertion's signature is good is not looked at:
 * whoever makes a wrong one has only made a call that fails. */
static int check_answer(const aa_policy *policy, aa_arena *arena, const aa_value *message, int64_t now,
			aa_bytes entropy, struct aa_answer *a, agentassert_error *error)
{
	const aa_value *fedramp = aa_get(message, "fedramp");
	*a = (struct aa_answer){0};
	if (!message || message->kind != AA_MAP) {
		return aa_violation(error, "a part of a message", "that is none");
	}
	if (aa_untrusted_text(message, "mode", &a->mode_name, error) ||
	    aa_untrusted_text(message, "reason", &a->reason, error) ||
	    aa_untrusted_text(message, "header", &a->header, error) ||
	    aa_untrusted_text(message, "agent_assertion", &a->agent_assertion, error) ||
	    aa_untrusted_text(message, "account_id", &a->account_id, error) ||
	    aa_untrusted_text(message, "agent_runtime_id", &a->agent_runtime_id, error) ||
	    aa_untrusted_text(message, "task_id", &a->task_id, error) ||
	    aa_untrusted_text(message, "runtime_agent_instance", &a->runtime_agent_instance, error) ||
	    aa_untrusted_text(message, "responses_origin", &a->responses_origin, error) ||
	    aa_untrusted_text(message, "account_routing_override", &a->account_routing_override, error) ||
	    aa_untrusted_integer(message, "valid_until", AA_LEAST_TIME, AA_MOST_TIME, &a->valid_until, error) ||
	    aa_untrusted_integer(message, "retry_at", 0, AA_MOST_TIME, &a->retry_at, error) ||
	    aa_untrusted_problem(arena, message, "cause", &a->cause, error) ||
	    aa_untrusted_problem(arena, message, "notice", &a->notice, error)) {
		return -1;
	}
	a->mode = aa_mode_of(a->mode_name);
	a->fedramp = aa_get_boolean(policy->call.credentials, "fedramp") && a->mode != AA_NONE;
	if (policy->decided.mode == AA_NO_MODE || a->valid_until != now || !aa_is_among(a->reason, reasons)) {
		return aa_violation(error, "an answer",
				    "to a call that has none, for another second, or without a reason");
	}
	if (!aa_equal(a->account_id, policy->account) && (a->account_id.size > 0 || a->mode != AA_NONE)) {
		return aa_violation(error, "an account", "that is not the call's");
	}
	if ((fedramp && fedramp->kind != AA_BOOLEAN) || aa_get_boolean(message, "fedramp") != a->fedramp) {
		return aa_violation(error, "a mark for FedRAMP", "that is not the call's");
	}
	if (aa_routing_check_answer(policy, a, error)) {
		return -1;
	}
	return check_carried(policy, arena, a, entropy, error);
}

static int type_of(const aa_value *message, enum aa_effect_type *type, agentassert_error *error)
{
	static const char *const names[] = {"load",   "save",    "delete", "swap", "probe", "lock",
					    "unlock", "entropy", "wait",   "http", "done"};
	aa_bytes name;
	if (!message || message->kind != AA_MAP) {
		return aa_violation(error, "a part of a message", "that is none");
	}
	if (aa_untrusted_text(message, "type", &name, error)) {
		return -1;
	}
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (aa_is(name, names[i])) {
			*type = (enum aa_effect_type)i;
			return 0;
		}
	}
	return aa_violation(error, "an effect", "that this library does not know");
}

/* Lets the flow end, with an answer that can be believed. */
static int check_done(aa_policy *policy, aa_arena *arena, const aa_value *message, int64_t now,
		      struct aa_answer *answer, agentassert_error *error)
{
	if (check_answer(policy, arena, aa_get(message, "authorization"), now, policy->entropy, answer, error)) {
		return -1;
	}
	if (asserts(policy) && answer->mode == policy->decided.mode &&
	    aa_answer_copy(policy->arena, answer, &policy->asserted)) {
		return aa_no_memory(error);
	}
	return 0;
}

/* Whether an effect belongs to the question where the call goes. */
static int is_routing(const aa_policy *policy, enum aa_effect_type type, const aa_value *message)
{
	return type == AA_EFFECT_HTTP ? aa_routing_is_question(policy, aa_get_text(message, "url"))
				      : aa_routing_has_slot(policy, type, aa_get_text(message, "slot"));
}

int aa_policy_effect(aa_policy *policy, aa_arena *arena, const aa_value *message, int64_t now, struct aa_effect *effect,
		     agentassert_error *error)
{
	*effect = (struct aa_effect){0};
	if (type_of(message, &effect->type, error)) {
		return -1;
	}
	if (effect->type == AA_EFFECT_DONE) {
		return check_done(policy, arena, message, now, &effect->answer, error);
	}
	if (!asserts(policy) && !is_routing(policy, effect->type, message)) {
		return aa_violation(error, "an effect", "for a call that no agent can make");
	}
	switch (effect->type) {
	case AA_EFFECT_LOAD:
	case AA_EFFECT_PROBE:
	case AA_EFFECT_DELETE:
		return check_slot(policy, message, effect, error);
	case AA_EFFECT_SAVE:
		return check_save(policy, message, effect, error);
	case AA_EFFECT_SWAP:
		return check_swap(policy, message, effect, error);
	case AA_EFFECT_LOCK:
		return check_lock(policy, message, effect, error);
	case AA_EFFECT_UNLOCK:
		return check_unlock(policy, message, effect, error);
	case AA_EFFECT_ENTROPY:
		return aa_untrusted_integer(message, "size", 1, most_entropy, &effect->size, error);
	case AA_EFFECT_WAIT:
		if (!policy->profile->waits) {
			return aa_violation(error, "a pause", "in a profile that has none");
		}
		return aa_untrusted_integer(message, "wait_ms", 1, longest_wait, &effect->wait_ms, error);
	case AA_EFFECT_HTTP:
		return check_http(policy, arena, message, &effect->request, error);
	case AA_EFFECT_DONE:
		break;
	}
	return aa_violation(error, "an effect", "that this library does not know");
}

void aa_policy_answered(aa_policy *policy, const struct aa_effect *effect, const aa_value *event)
{
	aa_bytes entropy = aa_get_binary(event, "entropy");
	if (effect->type == AA_EFFECT_ENTROPY && entropy.size == AA_ID_SIZE) {
		policy->entropy = aa_copy(policy->arena, entropy); /* for the call's own assertion */
	}
	if (effect->type == AA_EFFECT_HTTP && policy->profile->answered &&
	    aa_is(aa_get_text(event, "type"), "response")) {
		policy->profile->answered(policy, &effect->request, event);
	}
}

int aa_policy_again(const aa_policy *policy, aa_arena *arena, const aa_value *authorization, aa_bytes entropy,
		    int64_t now, struct aa_answer *answer, agentassert_error *error)
{
	const struct aa_answer *last = &policy->asserted;
	if (check_answer(policy, arena, authorization, now, entropy, answer, error)) {
		return -1;
	}
	if (answer->mode != last->mode || !aa_equal(answer->reason, last->reason) ||
	    !aa_equal(answer->agent_runtime_id, last->agent_runtime_id) || !aa_equal(answer->task_id, last->task_id) ||
	    !aa_equal(answer->runtime_agent_instance, last->runtime_agent_instance) ||
	    !aa_equal(answer->responses_origin, last->responses_origin) ||
	    !aa_equal(answer->account_routing_override, last->account_routing_override)) {
		return aa_violation(error, "an answer", "that is not the last one's");
	}
	return 0;
}

aa_policy *aa_policy_keep(aa_arena *arena, const aa_policy *policy)
{
	struct aa_policy_call call = {
	    .config = aa_clone(arena, policy->call.config),
	    .surface = aa_copy(arena, policy->call.surface),
	    .thread = aa_copy(arena, policy->call.thread),
	    .entropy = AA_LITERAL(""),
	    .credentials = aa_clone(arena, policy->call.credentials),
	};
	if (!call.config || !call.surface.data || !call.thread.data || !call.credentials) {
		return NULL;
	}
	aa_policy *kept = aa_policy_new(arena, &call);
	if (!kept || aa_answer_copy(arena, &policy->asserted, &kept->asserted)) {
		return NULL;
	}
	return kept;
}
