/* The question where the calls to responses go: what a flow may do beside what its profile has,
 * whatever the call carries, and where the answer may lead. */
#include "policy_profile.h"

#include "base_url.h"
#include "text.h"
#include "untrusted.h"

/* Whether the flow may ask at all. */
static int may_ask(const aa_policy *policy)
{
	const struct aa_policy_call *call = &policy->call;
	return aa_get_boolean(call->config, "workspace_routing") && aa_is(call->surface, "responses") &&
	       aa_is(aa_get_text(call->credentials, "kind"), "chatgpt") &&
	       aa_get_text(call->credentials, "access_token").size > 0 && policy->decided.mode != AA_NO_MODE &&
	       policy->decided.mode != AA_NONE;
}

int aa_routing_has_slot(const aa_policy *policy, enum aa_effect_type type, aa_bytes slot)
{
	int is_type =
	    type == AA_EFFECT_LOAD || type == AA_EFFECT_LOCK || type == AA_EFFECT_UNLOCK || type == AA_EFFECT_SAVE;
	return is_type && aa_is(slot, "workspace") && may_ask(policy);
}

int aa_routing_is_question(const aa_policy *policy, aa_bytes url)
{
	const aa_bytes parts[] = {aa_get_text(policy->call.config, "base_url"), AA_LITERAL("/wham/accounts/check")};
	return may_ask(policy) && aa_is_joined(url, parts, 2);
}

int aa_routing_check_question(const aa_policy *policy, aa_arena *arena, const struct aa_request *request,
			      agentassert_error *error)
{
	static const char what[] = "a question where a workspace's calls go";
	if (aa_check_response_headers(request, NULL, error)) {
		return -1;
	}
	if (!aa_is(request->method, "GET") || request->body.data || !aa_has_locked(policy, AA_LITERAL("workspace"))) {
		return aa_violation(error, what, "that is more than that, or without its lock");
	}
	/* It is a backend call: what it carries is the user's, or a runtime agent instance's. */
	const char *names[4] = {"authorization", NULL};
	size_t count = 1;
	if (policy->account.size > 0) {
		if (!aa_field_is(request, "chatgpt-account-id", policy->account)) {
			return aa_violation(error, what, "that is another account's");
		}
		names[count++] = "chatgpt-account-id";
	}
	if (aa_get_boolean(policy->call.credentials, "fedramp")) {
		if (!aa_field_is(request, "x-openai-fedramp", AA_LITERAL("true"))) {
			return aa_violation(error, what, "that is not marked as FedRAMP's");
		}
		names[count++] = "x-openai-fedramp";
	}
	names[count] = NULL;
	return policy->profile->check_call(policy, arena, request, names, error);
}

int aa_routing_check_answer(const aa_policy *policy, const struct aa_answer *answer, agentassert_error *error)
{
	static const char *const overrides[] = {"", "us", "us_cr", NULL};
	const aa_value *trusted = aa_get_array(policy->call.config, "trusted_hosts");
	if (answer->responses_origin.size == 0 && answer->account_routing_override.size == 0) {
		return 0;
	}
	if (!may_ask(policy) || answer->mode == AA_NONE) {
		return aa_violation(error, "an origin", "for a call that goes to the base URL");
	}
	if (!aa_is_among(answer->account_routing_override, overrides)) {
		return aa_violation(error, "a routing override", "that is none");
	}
	if (answer->responses_origin.size > 0 && !aa_is_supported_origin(answer->responses_origin, trusted)) {
		return aa_violation(error, "an origin", "that is not supported");
	}
	return 0;
}
