/* The profile of runtime agent instances. The access token, or the API key, is in the body of the one
 * registration, and nowhere else. */
#include "policy_profile.h"

#include <string.h>

#include "base64.h"
#include "text.h"
#include "untrusted.h"

/* Nothing of the store's but the failures. */
static const char *const instance[] = {"instance", NULL};
static const char *const backoff[] = {"backoff", NULL};
static const char *const both[] = {"instance", "backoff", NULL};
static const char *const none[] = {NULL};
static const struct aa_slots slots = {
    .load = both,
    .save = both,
    .remove = backoff,
    .swap = none,
    .probe = none,
    .lock = instance,
};

static const char assertion_header[] = "x-openai-agent-assertion";
static const char scheme[] = "AgentAssertion ";

/* The header of each assertion's JWS. */
static const char jws_header[] = "{\"alg\":\"EdDSA\",\"typ\":\"openai-agent-assertion+jws\"}";

static aa_bytes registrar(const aa_policy *policy)
{
	return aa_registrar_of(policy->call.config, "https://auth.openai.com", "https://auth.api.openai.org");
}

/* Whether assertions are in place of the token. */
static int asserts_alone(const aa_policy *policy)
{
	const aa_value *config = aa_get_map(policy->call.config, "instance");
	return aa_is(aa_get_text(config, "header_mode"), "assertion_only");
}

/* Reports whether text is a UUID in lower case. */
static int is_uuid(aa_bytes text)
{
	for (size_t i = 0; i < text.size; i++) {
		int is_dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (is_dash ? text.data[i] != '-' : !aa_has_only((aa_bytes){text.data + i, 1}, "abcdef", '0', '9')) {
			return 0;
		}
	}
	return text.size == 36;
}

/* Reports whether a body is the registration of this call, with some public key. */
static int is_registration(const aa_policy *policy, aa_arena *arena, aa_bytes body)
{
	const aa_value *credentials = policy->call.credentials;
	const aa_value *config = aa_get_map(policy->call.config, "instance");
	const aa_value *abom = aa_get_map(policy->call.config, "abom");
	int is_key = aa_is(aa_get_text(credentials, "kind"), "api-key");
	const aa_bytes before[] = {
	    AA_LITERAL("{\"actor_auth\":{\"type\":"),
	    is_key ? AA_LITERAL("\"platform_api_key\"") : AA_LITERAL("\"oauth\""),
	    AA_LITERAL(",\"credential\":"),
	    aa_quoted(arena, aa_get_text(credentials, "access_token")),
	    AA_LITERAL("},\"agent_host_auth\":{\"type\":\"installation_id\",\"installation_id\":"),
	    aa_quoted(arena, aa_get_text(config, "installation_id")),
	    AA_LITERAL("},\"public_key\":\""),
	};
	const aa_bytes after[] = {
	    AA_LITERAL("\",\"metadata\":{\"harness\":"),
	    aa_quoted(arena, aa_get_text(config, "harness")),
	    AA_LITERAL(",\"harness_version\":"),
	    aa_quoted(arena, aa_get_text(abom, "agent_version")),
	    AA_LITERAL(",\"role\":"),
	    aa_quoted(arena, aa_get_text(config, "role")),
	    AA_LITERAL("}}"),
	};
	return config && aa_is_body(body, aa_join(arena, before, 7), aa_join(arena, after, 7));
}

static int check_request(aa_policy *policy, aa_arena *arena, const struct aa_request *request, agentassert_error *error)
{
	static const char *const names[] = {"idempotency-key", "content-type", NULL};
	const aa_bytes url[] = {policy->registrar, AA_LITERAL("/agent/register")};
	const aa_bytes *key = aa_field_of(request, "idempotency-key");
	if (aa_check_response_headers(request, NULL, error)) {
		return -1;
	}
	if (!aa_is_joined(request->url, url, 2)) {
		return aa_violation(error, "a request to a URL", "that is none of a registration's");
	}
	if (!key || !is_uuid(*key)) {
		return aa_violation(error, "an idempotency key", "that is no UUID");
	}
	if (!is_registration(policy, arena, request->body)) {
		return aa_violation(error, "a registration", "that is not this call's");
	}
	return aa_check_post(policy, request, names, error);
}

static int has_slot(const aa_policy *policy, enum aa_effect_type type, aa_bytes slot)
{
	(void)policy;
	return aa_has_slot(&slots, type, slot);
}

/* Returns the UUID of version 4 that is made of 16 random bytes (RFC 9562, section 5.4). */
static aa_bytes uuid_of(aa_arena *arena, aa_bytes entropy)
{
	unsigned b[AA_ID_SIZE];
	for (size_t i = 0; i < AA_ID_SIZE; i++) {
		b[i] = (unsigned char)entropy.data[i];
	}
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	return aa_format(arena, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
			 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

/* Returns what an instance's assertion begins with, its version and what is signed, header and payload
 * of its JWS; data is NULL where there can be none. */
static aa_bytes beginning_of(aa_arena *arena, aa_bytes id, int64_t now, aa_bytes entropy)
{
	if (!aa_is_id(id) || entropy.size != AA_ID_SIZE) {
		return (aa_bytes){NULL, 0};
	}
	const aa_bytes payload[] = {
	    AA_LITERAL("{\"version\":1,\"runtime_agent_instance\":"),
	    aa_quoted(arena, id),
	    aa_format(arena, ",\"iat\":%lld,\"id\":\"", (long long)now),
	    uuid_of(arena, entropy),
	    AA_LITERAL("\"}"),
	};
	aa_bytes text = aa_join(arena, payload, 5);
	if (!text.data) {
		return text;
	}
	const aa_bytes parts[] = {
	    AA_LITERAL("1."), aa_base64_encode(arena, AA_BASE64_URL, AA_LITERAL(jws_header)),
	    AA_LITERAL("."),  aa_base64_encode(arena, AA_BASE64_URL, text),
	    AA_LITERAL("."),
	};
	return aa_join(arena, parts, 5);
}

/* Reports whether an assertion is one that begins like that. Its signature's 64 bytes in base64url are
 * the one part that only the module knows. */
static int is_made(aa_bytes value, aa_bytes beginning)
{
	aa_bytes signature = aa_after(value, beginning.size);
	const aa_bytes parts[] = {beginning, signature};
	return beginning.data && signature.size == 86 && aa_is_joined(value, parts, 2) &&
	       aa_has_only((aa_bytes){signature.data, 85}, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", 'a', 'z') &&
	       memchr("AQgw", signature.data[85], 4);
}

/* Gets what an assertion says of its instance and time, as far as it has the form of one. Whoever asks
 * makes the assertion of that again, and compares. */
static int claims_in(aa_arena *arena, aa_bytes value, aa_bytes *id, int64_t *iat)
{
	static const char prefix[] = "{\"version\":1,\"runtime_agent_instance\":\"";
	/* "1.", the header and a dot. */
	size_t start = 2 + ((sizeof jws_header - 1) * 4 + 2) / 3 + 1, end = start;
	while (end < value.size && value.data[end] != '.') {
		end++;
	}
	aa_bytes text;
	if (end >= value.size ||
	    aa_base64_decode(arena, AA_BASE64_URL, (aa_bytes){value.data + start, end - start}, &text)) {
		return -1;
	}
	if (!aa_begins(text, prefix)) {
		return -1;
	}
	text = aa_after(text, sizeof prefix - 1);
	char *unescaped = aa_alloc(arena, text.size);
	if (!unescaped) {
		return -1;
	}
	size_t n = 0, i = 0;
	for (; i < text.size && text.data[i] != '"'; i++) {
		if (text.data[i] == '\\' && i + 1 < text.size) {
			i++; /* only a quote and a backslash are escaped in an id */
		}
		unescaped[n++] = text.data[i];
	}
	*id = (aa_bytes){unescaped, n};
	text = aa_after(text, i);
	if (!aa_begins(text, "\",\"iat\":")) {
		return -1;
	}
	text = aa_after(text, sizeof "\",\"iat\":" - 1);
	int is_negative = aa_begins(text, "-");
	text = aa_after(text, (size_t)is_negative);
	*iat = 0;
	/* 16 digits: more than a time has. */
	for (i = 0; i < text.size && i < 16 && text.data[i] >= '0' && text.data[i] <= '9'; i++) {
		*iat = *iat * 10 + (text.data[i] - '0');
	}
	*iat = is_negative ? -*iat : *iat;
	return 0;
}

/* Wants the user's token alone, where there is no instance; or an assertion of whichever instance, of
 * this very entropy, beside the token or in its place. */
static int check_call(const aa_policy *policy, aa_arena *arena, const struct aa_request *request,
		      const char *const *names, agentassert_error *error)
{
	const aa_bytes *beside = aa_field_of(request, assertion_header);
	const aa_bytes *authorization = aa_field_of(request, "authorization");
	int is_alone = !beside && authorization && aa_begins(*authorization, scheme);
	if ((beside && asserts_alone(policy)) || (is_alone && !asserts_alone(policy))) {
		return aa_violation(error, "a call", "whose assertion is in the other mode's header field");
	}
	if (beside || is_alone) {
		aa_bytes value = beside ? *beside : aa_after(*authorization, sizeof scheme - 1), id;
		int64_t iat;
		if (claims_in(arena, value, &id, &iat) ||
		    !is_made(value, beginning_of(arena, id, iat, policy->entropy))) {
			return aa_violation(error, "a call", "whose assertion is none, or of other entropy");
		}
	}
	const char *all[8];
	size_t count = 0;
	for (; names[count]; count++) {
		all[count] = names[count];
	}
	if (is_alone) {
		if (count != request->field_count) {
			return aa_violation(error, "a request", "with other header fields than its own");
		}
		return 0;
	}
	if (beside) {
		all[count++] = assertion_header;
	}
	all[count] = NULL;
	return aa_check_headers(policy, request, all, error);
}

/* Wants an assertion of this very entropy, in the header field that the mode has for it, and in the
 * other the user's token or nothing. */
static int is_assertion(const aa_policy *policy, aa_arena *arena, const struct aa_answer *answer, aa_bytes entropy)
{
	const aa_value *credentials = policy->call.credentials;
	aa_bytes beginning = beginning_of(arena, answer->runtime_agent_instance, answer->valid_until, entropy);
	int is_alone = answer->mode == AA_AGENT_ASSERTION;
	if (answer->agent_runtime_id.size > 0 || answer->task_id.size > 0 || is_alone != asserts_alone(policy)) {
		return 0;
	}
	if (is_alone) {
		return answer->agent_assertion.size == 0 && aa_begins(answer->header, scheme) &&
		       is_made(aa_after(answer->header, sizeof scheme - 1), beginning);
	}
	const aa_bytes bearer[] = {AA_LITERAL("Bearer "), aa_get_text(credentials, "access_token")};
	int is_key = aa_is(aa_get_text(credentials, "kind"), "api-key");
	return is_made(answer->agent_assertion, beginning) &&
	       (is_key ? answer->header.size == 0 : aa_is_joined(answer->header, bearer, 2));
}

const aa_profile aa_instances_profile = {
    .waits = 1,
    .registrar = registrar,
    .check_request = check_request,
    .has_slot = has_slot,
    .check_call = check_call,
    .is_assertion = is_assertion,
};
