/* A runner for `agentassert conformance --hosts`: answers which effects of a module this library
 * carries out. testvectors/README.md has the lines. */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <stdlib.h>

#include "call.h"
#include "policy.h"
#include "text.h"

/* Returns the event that an effect came to which was carried out before. */
static const aa_value *event_of(aa_arena *arena, const aa_value *before)
{
	aa_value *event = aa_map(arena);
	const aa_value *headers = aa_get_array(before, "response_headers");
	aa_bytes entropy = aa_get_binary(before, "entropy");
	if (entropy.size > 0) {
		aa_set(event, "type", aa_text(arena, AA_LITERAL("entropy")));
		return aa_set(event, "entropy", aa_binary(arena, entropy));
	}
	aa_set(event, "type", aa_text(arena, AA_LITERAL("response")));
	aa_set(event, "status", aa_integer(arena, 200));
	return headers ? aa_set(event, "headers", aa_clone(arena, headers)) : event;
}

/* Asks the policy about an effect, after those before it. */
static int ask(aa_arena *arena, const aa_value *question, agentassert_error *error)
{
	const struct aa_policy_call call = {
	    .config = aa_get_map(question, "config"),
	    .surface = aa_get_text(question, "surface"),
	    .thread = aa_get_text(question, "thread_id"),
	    .entropy = aa_get_binary(question, "entropy"),
	    .credentials = aa_get_map(question, "credentials"),
	};
	const aa_value *before = aa_get_array(question, "before");
	int64_t now = aa_get_integer(question, "now");
	aa_policy *policy = aa_policy_new(arena, &call);
	struct aa_effect effect;
	for (const aa_value *each = before ? before->first : NULL; each; each = each->next) {
		if (aa_policy_effect(policy, arena, aa_get(each, "effect"), now, &effect, error)) {
			return -1;
		}
		aa_policy_answered(policy, &effect, event_of(arena, each));
	}
	return aa_policy_effect(policy, arena, aa_get(question, "effect"), now, &effect, error);
}

/* Returns the answer to a line. */
static aa_value *answer(aa_arena *arena, const aa_value *line)
{
	const aa_value *request = aa_get_map(line, "request");
	aa_value *answer = aa_set(aa_map(arena), "id", aa_text(arena, aa_get_text(line, "id")));
	agentassert_error error;
	if (!aa_is(aa_get_text(request, "method"), "host.effect")) {
		return aa_set(answer, "unsupported", aa_boolean(arena, 1));
	}
	aa_value *response = aa_map(arena);
	if (ask(arena, aa_get_map(request, "params"), &error)) {
		aa_value *failure =
		    aa_set(aa_map(arena), "code", aa_text(arena, aa_copy(arena, aa_text_of(error.code))));
		aa_set(failure, "message", aa_text(arena, aa_copy(arena, aa_text_of(error.message))));
		aa_set(response, "error", failure);
	} else {
		aa_set(response, "ok", aa_map(arena));
	}
	return aa_set(answer, "response", response);
}

int main(void)
{
	char *line = NULL;
	size_t room = 0;
	for (ssize_t size; (size = getline(&line, &room, stdin)) >= 0;) {
		while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r')) {
			size--;
		}
		if (size == 0) {
			continue;
		}
		aa_arena *arena = aa_arena_new();
		aa_value *question;
		aa_bytes text;
		if (!arena || aa_decode_json(arena, (aa_bytes){line, (size_t)size}, &question) != AA_OK ||
		    aa_encode_json(arena, answer(arena, question), &text) != AA_OK) {
			fprintf(stderr, "hosts_runner: a line is no question\n");
			return 1;
		}
		fwrite(text.data, 1, text.size, stdout);
		putchar('\n');
		fflush(stdout);
		aa_arena_free(arena);
	}
	free(line);
	return 0;
}
