#include "policy_profile.h"

#include "base_url.h"
#include "text.h"
#include "untrusted.h"

int aa_has_slot(const struct aa_slots *slots, enum aa_effect_type type, aa_bytes slot)
{
	const char *const *list = type == AA_EFFECT_LOAD     ? slots->load
				  : type == AA_EFFECT_SAVE   ? slots->save
				  : type == AA_EFFECT_DELETE ? slots->remove
				  : type == AA_EFFECT_SWAP   ? slots->swap
				  : type == AA_EFFECT_PROBE  ? slots->probe
				  : type == AA_EFFECT_LOCK   ? slots->lock
							     : NULL;
	return list && aa_is_among(slot, list);
}

int aa_is_id(aa_bytes id)
{
	for (size_t i = 0; i < id.size; i++) {
		unsigned char c = (unsigned char)id.data[i];
		unsigned char before = i > 0 ? (unsigned char)id.data[i - 1] : 0;
		if (c < 0x20 || c == 0x7f || (before == 0xc2 && c < 0xa0)) {
			return 0; /* a control character, the second half of them in two bytes */
		}
	}
	return id.size > 0 && id.size <= AA_LONGEST_ID;
}

aa_bytes aa_registrar_of(const aa_value *config, const char *production, const char *staging)
{
	static const char *const public_hosts[] = {"chatgpt.com", "chat.openai.com", NULL};
	aa_bytes url = aa_get_text(config, "auth_api_url");
	struct aa_place base;
	if (url.size > 0) {
		while (aa_ends(url, "/")) {
			url.size--;
		}
		return url;
	}
	if (aa_place_of(aa_get_text(config, "base_url"), &base) || !base.is_https) {
		return (aa_bytes){NULL, 0};
	}
	if (aa_is_among(base.host, public_hosts)) {
		return aa_text_of(production);
	}
	return aa_is(base.host, "chatgpt-staging.com") ? aa_text_of(staging) : (aa_bytes){NULL, 0};
}

const aa_bytes *aa_field_of(const struct aa_request *request, const char *name)
{
	for (size_t i = 0; i < request->field_count; i++) {
		if (aa_is(request->fields[i].name, name)) {
			return &request->fields[i].value;
		}
	}
	return NULL;
}

int aa_field_is(const struct aa_request *request, const char *name, aa_bytes value)
{
	const aa_bytes *field = aa_field_of(request, name);
	return field && aa_equal(*field, value);
}

/* Reports whether text is the public key of 32 bytes in OpenSSH form. What they are is the backend's
 * to check. */
static int is_public_key(aa_bytes text)
{
	static const char prefix[] = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI";
	aa_bytes rest = aa_after(text, sizeof prefix - 1);
	return aa_begins(text, prefix) && rest.size == 43 && rest.data[0] >= 'A' && rest.data[0] <= 'P' &&
	       aa_has_only(rest, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/", 'a', 'z');
}

int aa_is_body(aa_bytes body, aa_bytes beginning, aa_bytes end)
{
	enum { key_size = 80 };
	if (!body.data || !beginning.data || !end.data || body.size != beginning.size + key_size + end.size) {
		return 0;
	}
	aa_bytes key = {body.data + beginning.size, key_size};
	const aa_bytes whole[] = {beginning, key, end};
	return aa_is_joined(body, whole, 3) && is_public_key(key);
}

int aa_check_response_headers(const struct aa_request *request, const char *other, agentassert_error *error)
{
	const char *const names[] = {"date", "retry-after", other, NULL};
	for (size_t i = 0; i < request->response_header_count; i++) {
		if (!aa_is_among(request->response_headers[i], names)) {
			return aa_violation(error, "a header field of the answer", "that is not the flow's");
		}
	}
	return 0;
}

int aa_check_headers(const aa_policy *policy, const struct aa_request *request, const char *const *names,
		     agentassert_error *error)
{
	aa_bytes token = aa_get_text(policy->call.credentials, "access_token");
	const aa_bytes bearer[] = {AA_LITERAL("Bearer "), token};
	size_t count = 0;
	for (; names[count]; count++) {
		const aa_bytes *field = aa_field_of(request, names[count]);
		if (!field) {
			return aa_violation(error, "a request", "with other header fields than its own");
		}
		if (aa_is(aa_text_of(names[count]), "authorization") &&
		    (token.size == 0 || !aa_is_joined(*field, bearer, 2))) {
			return aa_violation(error, "an authorization", "that is not the user's");
		}
	}
	return count == request->field_count
		   ? 0
		   : aa_violation(error, "a request", "with other header fields than its own");
}

int aa_check_post(const aa_policy *policy, const struct aa_request *request, const char *const *names,
		  agentassert_error *error)
{
	if (!aa_is(request->method, "POST") || !aa_field_is(request, "content-type", AA_LITERAL("application/json"))) {
		return aa_violation(error, "a registration", "that is none, or of another content type");
	}
	return aa_check_headers(policy, request, names, error);
}
