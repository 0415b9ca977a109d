/* What the profiles have in common whose agents assert tasks. */
#include "policy_profile.h"

#include <string.h>

#include "base64.h"
#include "calendar.h"
#include "text.h"
#include "untrusted.h"

static const char *const loaded[] = {"identity", "backoff", "backend", "set-aside", NULL};
static const char *const saved[] = {"backoff", "backend", "set-aside", NULL};
static const char *const identity[] = {"identity", NULL};
static const char *const backoff[] = {"backoff", NULL};

const struct aa_slots aa_identity_slots = {
    .load = loaded,
    .save = saved,
    .remove = backoff,
    .swap = identity,
    .probe = identity,
    .lock = identity,
};

int aa_is_identity_url(const aa_policy *policy, aa_bytes url)
{
	const aa_bytes parts[] = {policy->registrar, AA_LITERAL("/v1/agent/register")};
	return aa_is_joined(url, parts, 2);
}

/* Returns texts as a list in JSON; data is NULL if there is no memory. */
static aa_bytes quoted_list(aa_arena *arena, const aa_value *list)
{
	aa_bytes text = AA_LITERAL("[");
	for (const aa_value *each = list ? list->first : NULL; each && text.data; each = each->next) {
		const aa_bytes parts[] = {text, each == list->first ? AA_LITERAL("") : AA_LITERAL(","),
					  aa_quoted(arena, each->bytes)};
		text = aa_join(arena, parts, 3);
	}
	const aa_bytes parts[] = {text, AA_LITERAL("]")};
	return text.data ? aa_join(arena, parts, 2) : text;
}

int aa_check_identity(const aa_policy *policy, aa_arena *arena, const struct aa_request *request,
		      agentassert_error *error)
{
	const aa_value *config = policy->call.config;
	const aa_value *abom = aa_get_map(config, "abom"), *listed = aa_get_array(config, "capabilities");
	int is_auth_api = aa_is(aa_get_text(config, "profile"), "auth-api");
	aa_bytes capabilities = quoted_list(arena, listed);
	if (!listed && is_auth_api) {
		capabilities = AA_LITERAL("[\"responsesapi\"]");
	}
	const aa_bytes before[] = {
	    AA_LITERAL("{\"abom\":{\"agent_version\":"), aa_quoted(arena, aa_get_text(abom, "agent_version")),
	    AA_LITERAL(",\"agent_harness_id\":"),        aa_quoted(arena, aa_get_text(abom, "agent_harness_id")),
	    AA_LITERAL(",\"running_location\":"),        aa_quoted(arena, aa_get_text(abom, "running_location")),
	    AA_LITERAL("},\"agent_public_key\":\""),
	};
	const aa_bytes after[] = {
	    AA_LITERAL("\",\"capabilities\":"),
	    capabilities,
	    is_auth_api ? AA_LITERAL(",\"ttl\":null}") : AA_LITERAL("}"),
	};
	if (!aa_is_body(request->body, aa_join(arena, before, 7), aa_join(arena, after, 3))) {
		return aa_violation(error, "a registration", "that is not this call's");
	}
	return 0;
}

/* Reports whether a segment of a path is an id as it is escaped. */
static int is_segment(aa_bytes id)
{
	for (size_t i = 0; i < id.size; i++) {
		if (id.data[i] == '%') {
			aa_bytes digits = i + 2 < id.size ? (aa_bytes){id.data + i + 1, 2} : AA_LITERAL("-");
			if (!aa_has_only(digits, "ABCDEF", '0', '9')) {
				return 0;
			}
			i += 2;
		} else if (!aa_has_only((aa_bytes){id.data + i, 1}, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~-", 'a',
					'z')) {
			return 0;
		}
	}
	/* With every byte escaped it is thrice as long. */
	return id.size > 0 && id.size <= (size_t)3 * AA_LONGEST_ID && !aa_is(id, ".") && !aa_is(id, "..");
}

int aa_is_task_url(const aa_policy *policy, aa_bytes url)
{
	static const char before[] = "/v1/agent/", after[] = "/task/register";
	size_t around = policy->registrar.size + sizeof before - 1 + sizeof after - 1;
	if (url.size <= around) {
		return 0;
	}
	aa_bytes id = {url.data + policy->registrar.size + sizeof before - 1, url.size - around};
	const aa_bytes parts[] = {policy->registrar, AA_LITERAL(before), id, AA_LITERAL(after)};
	return aa_is_joined(url, parts, 4) && is_segment(id);
}

int aa_check_task_call(const aa_policy *policy, aa_arena *arena, const struct aa_request *request,
		       const char *const *names, agentassert_error *error)
{
	(void)arena;
	return aa_check_headers(policy, request, names, error);
}

/* Reports whether text is the base64 of 64 bytes. */
static int is_signature(aa_bytes text)
{
	return text.size == 88 &&
	       aa_has_only((aa_bytes){text.data, 85}, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/", 'a', 'z') &&
	       memchr("AQgw", text.data[85], 4) && aa_is(aa_after(text, 86), "==");
}

int aa_is_task_assertion(const aa_policy *policy, aa_arena *arena, const struct aa_answer *answer, aa_bytes entropy)
{
	(void)policy;
	(void)entropy;
	static const char scheme[] = "AgentAssertion ";
	aa_bytes agent = answer->agent_runtime_id, text;
	for (size_t i = 0; i < agent.size; i++) {
		if (agent.data[i] == ':') {
			return 0;
		}
	}
	if (answer->runtime_agent_instance.size > 0 || answer->agent_assertion.size > 0 || !aa_is_id(agent) ||
	    !aa_is_id(answer->task_id) || !aa_begins(answer->header, scheme)) {
		return 0;
	}
	aa_bytes encoded = aa_after(answer->header, sizeof scheme - 1);
	if (aa_base64_decode(arena, AA_BASE64_URL, encoded, &text)) {
		return 0;
	}
	/* The signature is the one part that only the module knows. */
	const aa_bytes before[] = {AA_LITERAL("{\"agent_runtime_id\":"), aa_quoted(arena, agent),
				   AA_LITERAL(",\"signature\":\"")};
	const aa_bytes after[] = {AA_LITERAL("\",\"task_id\":"), aa_quoted(arena, answer->task_id),
				  AA_LITERAL(",\"timestamp\":\""), aa_timestamp(arena, answer->valid_until),
				  AA_LITERAL("\"}")};
	aa_bytes beginning = aa_join(arena, before, 3), end = aa_join(arena, after, 5);
	if (!beginning.data || !end.data || text.size != beginning.size + 88 + end.size) {
		return 0;
	}
	aa_bytes signature = {text.data + beginning.size, 88};
	const aa_bytes whole[] = {beginning, signature, end};
	aa_bytes canonical = aa_base64_encode(arena, AA_BASE64_URL, text);
	return is_signature(signature) && aa_is_joined(text, whole, 3) && canonical.data &&
	       aa_equal(canonical, encoded);
}
