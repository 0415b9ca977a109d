#include "answers.h"

#include "text.h"

aa_value *aa_set_text(aa_arena *arena, aa_value *map, const char *name, const char *text)
{
	if (!text || !*text) {
		return map;
	}
	aa_bytes copy = aa_copy(arena, aa_text_of(text));
	return aa_set(map, name, copy.data ? aa_text(arena, copy) : NULL);
}

aa_value *aa_credentials_of(aa_arena *arena, const agentassert_credentials *given)
{
	/* The kind is there in any case, and the core's to refuse. */
	aa_value *credentials = aa_map(arena);
	aa_bytes kind = aa_copy(arena, aa_text_of(given->kind));
	credentials = aa_set(credentials, "kind", kind.data ? aa_text(arena, kind) : NULL);
	credentials = aa_set_text(arena, credentials, "access_token", given->access_token);
	credentials = aa_set_text(arena, credentials, "account_id", given->account_id);
	credentials = aa_set_text(arena, credentials, "user_id", given->user_id);
	credentials = aa_set_text(arena, credentials, "email", given->email);
	credentials = aa_set_text(arena, credentials, "plan_type", given->plan_type);
	if (given->fedramp) {
		credentials = aa_set(credentials, "fedramp", aa_boolean(arena, 1));
	}
	if (given->problem_code && *given->problem_code) {
		aa_value *problem = aa_set_text(arena, aa_map(arena), "code", given->problem_code);
		problem = aa_set_text(arena, problem, "message", given->problem_message);
		credentials = aa_set(credentials, "problem", problem);
	}
	return credentials;
}

void agentassert_answer_credentials(agentassert_credentials_answer *answer, const agentassert_credentials *credentials)
{
	answer->credentials = aa_credentials_of(answer->arena, credentials);
	answer->has_no_memory = !answer->credentials;
}

void agentassert_answer_record(agentassert_record_answer *answer, const void *record, size_t size)
{
	answer->is_wrong = !record || size == 0;
	if (answer->is_wrong) {
		return;
	}
	answer->record = aa_copy(answer->arena, (aa_bytes){record, size});
	answer->has_no_memory = !answer->record.data;
}
