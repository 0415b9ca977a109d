#include "authorization.h"

#include <string.h>

#include "text.h"

/* Copies text, and takes note if there is no memory. */
static const char *copied(aa_arena *arena, aa_bytes text, int *failed)
{
	aa_bytes copy = aa_copy(arena, text.data ? text : AA_LITERAL(""));
	*failed |= !copy.data;
	return copy.data;
}

static struct aa_given *new_given(void)
{
	aa_arena *arena = aa_arena_new();
	struct aa_given *given = arena ? aa_alloc(arena, sizeof *given) : NULL;
	if (!given) {
		aa_arena_free(arena);
		return NULL;
	}
	given->arena = arena;
	return given;
}

struct aa_given *aa_given_new(const struct aa_answer *answer, const agentassert_error *detail,
			      const struct aa_origin *origin)
{
	struct aa_given *given = new_given();
	if (!given) {
		return NULL;
	}
	aa_arena *arena = given->arena;
	int failed = 0;
	const char *detail_code = answer->cause && detail ? detail->code : "";
	const char *detail_message = answer->cause && detail ? detail->message : "";
	given->authorization = (agentassert_authorization){
	    .mode = copied(arena, answer->mode_name, &failed),
	    .reason = copied(arena, answer->reason, &failed),
	    .header = copied(arena, answer->header, &failed),
	    .agent_assertion = copied(arena, answer->agent_assertion, &failed),
	    .account_id = copied(arena, answer->account_id, &failed),
	    .agent_runtime_id = copied(arena, answer->agent_runtime_id, &failed),
	    .task_id = copied(arena, answer->task_id, &failed),
	    .runtime_agent_instance = copied(arena, answer->runtime_agent_instance, &failed),
	    .responses_origin = copied(arena, answer->responses_origin, &failed),
	    .account_routing_override = copied(arena, answer->account_routing_override, &failed),
	    .cause_code = copied(arena, aa_get_text(answer->cause, "code"), &failed),
	    .cause_message = copied(arena, aa_get_text(answer->cause, "message"), &failed),
	    .detail_code = copied(arena, aa_text_of(detail_code), &failed),
	    .detail_message = copied(arena, aa_text_of(detail_message), &failed),
	    .notice_code = copied(arena, aa_get_text(answer->notice, "code"), &failed),
	    .notice_message = copied(arena, aa_get_text(answer->notice, "message"), &failed),
	    .valid_until = answer->valid_until,
	    .retry_at = answer->retry_at,
	    .fedramp = answer->fedramp,
	};
	given->manager = origin->manager;
	given->surface = copied(arena, origin->surface, &failed);
	given->thread = copied(arena, origin->thread, &failed);
	given->leaves_own = aa_is(origin->kind, "api-key") && answer->header.size == 0;
	if (failed) {
		aa_arena_free(arena);
		return NULL;
	}
	return given;
}

struct aa_given *aa_given_copy(const struct aa_given *given)
{
	struct aa_given *copy = new_given();
	if (!copy) {
		return NULL;
	}
	aa_arena *arena = copy->arena;
	int failed = 0;
	*copy = *given;
	copy->arena = arena;
	agentassert_authorization *a = &copy->authorization;
	const char **texts[] = {
	    &a->mode,
	    &a->reason,
	    &a->header,
	    &a->agent_assertion,
	    &a->account_id,
	    &a->agent_runtime_id,
	    &a->task_id,
	    &a->runtime_agent_instance,
	    &a->responses_origin,
	    &a->account_routing_override,
	    &a->cause_code,
	    &a->cause_message,
	    &a->detail_code,
	    &a->detail_message,
	    &a->notice_code,
	    &a->notice_message,
	    &copy->surface,
	    &copy->thread,
	};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		*texts[i] = copied(arena, aa_text_of(*texts[i]), &failed);
	}
	if (failed) {
		aa_arena_free(arena);
		return NULL;
	}
	return copy;
}

int aa_asserts(const agentassert_authorization *authorization)
{
	enum aa_mode mode = aa_mode_of(aa_text_of(authorization->mode));
	return mode == AA_AGENT_ASSERTION || mode == AA_DUAL_HEADER;
}

void agentassert_authorization_free(agentassert_authorization *authorization)
{
	if (authorization) {
		aa_arena_free(((struct aa_given *)authorization)->arena);
	}
}

/* Writes down all header fields that a call could have of the manager's, with "" for those that it has
 * not. */
static void fields_of(const struct aa_given *given, agentassert_header fields[AGENTASSERT_HEADERS])
{
	const agentassert_authorization *a = &given->authorization;
	int is_none = strcmp(a->mode, "none") == 0;
	const agentassert_header all[AGENTASSERT_HEADERS] = {
	    {"Authorization", a->header},
	    {"X-OpenAI-Agent-Assertion", a->agent_assertion},
	    {"ChatGPT-Account-ID", is_none ? "" : a->account_id},
	    {"X-OpenAI-Fedramp", a->fedramp ? "true" : ""},
	    {"X-OpenAI-Account-Routing-Override", a->account_routing_override},
	};
	memcpy(fields, all, sizeof all);
}

size_t agentassert_authorization_headers(const agentassert_authorization *authorization,
					 agentassert_header headers[AGENTASSERT_HEADERS])
{
	agentassert_header all[AGENTASSERT_HEADERS];
	size_t count = 0;
	fields_of((const struct aa_given *)authorization, all);
	for (size_t i = 0; i < AGENTASSERT_HEADERS; i++) {
		if (*all[i].value) {
			headers[count++] = all[i];
		}
	}
	return count;
}

size_t agentassert_authorization_removals(const agentassert_authorization *authorization,
					  const char *names[AGENTASSERT_HEADERS])
{
	const struct aa_given *given = (const struct aa_given *)authorization;
	agentassert_header all[AGENTASSERT_HEADERS];
	size_t count = 0;
	fields_of(given, all);
	/* Authorization is the first. */
	for (size_t i = given->leaves_own ? 1 : 0; i < AGENTASSERT_HEADERS; i++) {
		if (!*all[i].value) {
			names[count++] = all[i].name;
		}
	}
	return count;
}
