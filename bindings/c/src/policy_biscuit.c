/* The default profile. The one request that carries the access token is that for a biscuit, and each
 * registration carries a biscuit that was minted for it. */
#define _DEFAULT_SOURCE
#include "policy_profile.h"

#include <strings.h>

#include "text.h"
#include "untrusted.h"

static const char biscuit_path[] = "/authenticate_app_v2";
static const char biscuit_header[] = "x-openai-authorization";

static aa_bytes registrar(const aa_policy *policy)
{
	return aa_get_text(policy->call.config, "base_url");
}

static int is_biscuit_url(const aa_policy *policy, aa_bytes url)
{
	const aa_bytes parts[] = {policy->registrar, AA_LITERAL(biscuit_path)};
	return aa_is_joined(url, parts, 2);
}

static int is_registration_url(const aa_policy *policy, aa_bytes url)
{
	return aa_is_identity_url(policy, url) || aa_is_task_url(policy, url);
}

/* Reports whether an id is of such a request: 16 bytes in base64url. */
static int is_request_id(aa_bytes id)
{
	static const char prefix[] = "codex-agent-identity-";
	aa_bytes rest = aa_after(id, sizeof prefix - 1);
	return aa_begins(id, prefix) && rest.size == 22 &&
	       aa_has_only(rest, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", 'a', 'z');
}

/* Is for the request that mints a biscuit. */
static int check_mint(const aa_policy *policy, const struct aa_request *request, agentassert_error *error)
{
	static const char *const names[] = {"authorization", "x-request-id", "x-original-method", "x-original-url",
					    NULL};
	const aa_bytes *id = aa_field_of(request, "x-request-id");
	const aa_bytes *original = aa_field_of(request, "x-original-url");
	if (!aa_is(request->method, "GET") || request->body.data) {
		return aa_violation(error, "a request for a biscuit", "that is more than that");
	}
	if (!id || !is_request_id(*id)) {
		return aa_violation(error, "a request's id", "that is no such id");
	}
	if (!aa_field_is(request, "x-original-method", AA_LITERAL("POST")) || !original ||
	    !is_registration_url(policy, *original)) {
		return aa_violation(error, "a biscuit", "for something else than a registration");
	}
	return aa_check_headers(policy, request, names, error);
}

static struct aa_biscuit *minted_for(const aa_policy *policy, aa_bytes url)
{
	for (struct aa_biscuit *each = policy->minted; each; each = each->next) {
		if (each->biscuit.size > 0 && aa_equal(each->url, url)) {
			return each;
		}
	}
	return NULL;
}

static int check_request(aa_policy *policy, aa_arena *arena, const struct aa_request *request, agentassert_error *error)
{
	static const char *const names[] = {biscuit_header, "content-type", NULL};
	if (is_biscuit_url(policy, request->url)) {
		if (aa_check_response_headers(request, biscuit_header, error)) {
			return -1;
		}
		return check_mint(policy, request, error);
	}
	if (aa_check_response_headers(request, NULL, error)) {
		return -1;
	}
	if (!is_registration_url(policy, request->url)) {
		return aa_violation(error, "a request to a URL", "that is none of a registration's");
	}
	struct aa_biscuit *minted = minted_for(policy, request->url);
	if (!minted || !aa_field_is(request, biscuit_header, minted->biscuit)) {
		return aa_violation(error, "a biscuit", "that was not minted for this");
	}
	minted->biscuit = AA_LITERAL(""); /* it is good for one request */
	if (aa_is_identity_url(policy, request->url) && aa_check_identity(policy, arena, request, error)) {
		return -1;
	}
	return aa_check_post(policy, request, names, error);
}

/* Keeps a biscuit, which can be used once, for what it was minted for. */
static void answered(aa_policy *policy, const struct aa_request *request, const aa_value *response)
{
	const aa_bytes *original = aa_field_of(request, "x-original-url");
	if (!is_biscuit_url(policy, request->url) || !original) {
		return;
	}
	const aa_value *headers = aa_get_array(response, "headers");
	for (const aa_value *each = headers ? headers->first : NULL; each; each = each->next) {
		aa_bytes name = aa_get_text(each, "name"), value = aa_get_text(each, "value");
		/* In whichever case the HTTP client hands them out. */
		if (name.size != sizeof biscuit_header - 1 || strncasecmp(name.data, biscuit_header, name.size) != 0 ||
		    value.size == 0) {
			continue;
		}
		struct aa_biscuit *minted = minted_for(policy, *original);
		if (!minted) {
			minted = aa_alloc(policy->arena, sizeof *minted);
			if (!minted) {
				return; /* without it nothing is registered */
			}
			minted->url = aa_copy(policy->arena, *original);
			minted->next = policy->minted;
			policy->minted = minted;
		}
		minted->biscuit = aa_copy(policy->arena, value);
		return;
	}
}

/* Lets pass the slot of the call's thread, too. Its task is replaced, and never removed. */
static int has_slot(const aa_policy *policy, enum aa_effect_type type, aa_bytes slot)
{
	const aa_bytes parts[] = {AA_LITERAL("thread/"), policy->call.thread};
	int is_thread = policy->call.thread.size > 0 && aa_is_joined(slot, parts, 2) && type != AA_EFFECT_SWAP &&
			type != AA_EFFECT_DELETE;
	return is_thread || aa_has_slot(&aa_identity_slots, type, slot);
}

const aa_profile aa_biscuit_profile = {
    .waits = 0,
    .registrar = registrar,
    .check_request = check_request,
    .answered = answered,
    .has_slot = has_slot,
    .check_call = aa_check_task_call,
    .is_assertion = aa_is_task_assertion,
};
