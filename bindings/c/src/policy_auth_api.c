/* The profile auth-api. The access token authorizes the registration of an identity, and a task's is
 * authorized by what is signed. */
#include "policy_profile.h"

#include "text.h"
#include "untrusted.h"

static aa_bytes registrar(const aa_policy *policy)
{
	return aa_registrar_of(policy->call.config, "https://auth.openai.com/api/accounts",
			       "https://auth.api.openai.org/api/accounts");
}

static int check_request(aa_policy *policy, aa_arena *arena, const struct aa_request *request, agentassert_error *error)
{
	static const char *const of_task[] = {"content-type", NULL};
	static const char *const of_identity[] = {"authorization", "content-type", NULL};
	static const char *const of_fedramp[] = {"authorization", "x-openai-fedramp", "content-type", NULL};
	const aa_value *credentials = policy->call.credentials;
	if (aa_check_response_headers(request, NULL, error)) {
		return -1;
	}
	if (aa_is_task_url(policy, request->url)) {
		return aa_check_post(policy, request, of_task, error);
	}
	if (!aa_is_identity_url(policy, request->url) || !aa_is(aa_get_text(credentials, "kind"), "chatgpt")) {
		return aa_violation(error, "a request to a URL", "that is none of a registration's");
	}
	if (aa_check_identity(policy, arena, request, error)) {
		return -1;
	}
	if (!aa_get_boolean(credentials, "fedramp")) {
		return aa_check_post(policy, request, of_identity, error);
	}
	if (!aa_field_is(request, "x-openai-fedramp", AA_LITERAL("true"))) {
		return aa_violation(error, "a registration", "that is not marked as FedRAMP's");
	}
	return aa_check_post(policy, request, of_fedramp, error);
}

static int has_slot(const aa_policy *policy, enum aa_effect_type type, aa_bytes slot)
{
	(void)policy;
	return aa_has_slot(&aa_identity_slots, type, slot);
}

const aa_profile aa_auth_api_profile = {
    .waits = 1,
    .registrar = registrar,
    .check_request = check_request,
    .has_slot = has_slot,
    .check_call = aa_check_task_call,
    .is_assertion = aa_is_task_assertion,
};
