#include "typed.h"

#include <string.h>

#include "buffer.h"
#include "call.h"
#include "entropy.h"
#include "utf8.h"

aa_typed aa_typed_begin(agentassert *core, char **first, char **second, agentassert_error *error)
{
	aa_typed call = {.core = core, .arena = aa_arena_new(), .error = error, .places = {first, second}};
	if (first != NULL) {
		*first = NULL;
	}
	if (second != NULL) {
		*second = NULL;
	}
	if (call.arena == NULL) {
		call.failed = aa_fail(error, "sandbox_failed", "there is no memory for the request");
	} else {
		call.params = aa_map(call.arena);
	}
	return call;
}

void aa_typed_text(aa_typed *call, const char *name, const char *text)
{
	if (call->failed) {
		return;
	}
	aa_bytes bytes = {text, text == NULL ? 0 : strlen(text)};
	if (text == NULL) {
		call->failed = aa_fail(call->error, "invalid_request", "%s is NULL", name);
	} else if (!aa_is_utf8(bytes)) {
		call->failed = aa_fail(call->error, "invalid_request", "%s is not UTF-8", name);
	} else {
		call->params = aa_set(call->params, name, aa_text(call->arena, bytes));
	}
}

void aa_typed_bytes(aa_typed *call, const char *name, const void *data, size_t size)
{
	if (call->failed) {
		return;
	}
	if (data == NULL) {
		call->failed = aa_fail(call->error, "invalid_request", "%s is NULL", name);
	} else if (size > 0) {
		call->params = aa_set(call->params, name, aa_binary(call->arena, (aa_bytes){data, size}));
	}
}

void aa_typed_integer(aa_typed *call, const char *name, int64_t n)
{
	if (!call->failed) {
		call->params = aa_set(call->params, name, aa_integer(call->arena, n));
	}
}

void aa_typed_entropy(aa_typed *call, const void *entropy, size_t entropy_size, size_t size)
{
	if (call->failed) {
		return;
	}
	aa_bytes bytes = {entropy, entropy_size};
	if (entropy == NULL) {
		char *drawn = aa_alloc(call->arena, size);
		call->failed = drawn == NULL
				   ? aa_fail(call->error, "sandbox_failed", "there is no memory for the request")
				   : aa_draw_entropy(drawn, size, call->error);
		bytes = (aa_bytes){drawn, size};
	}
	if (!call->failed) {
		call->params = aa_set(call->params, "entropy", aa_binary(call->arena, bytes));
	}
}

void aa_typed_call(aa_typed *call, const char *method)
{
	if (!call->failed) {
		call->failed = aa_call(call->core, call->arena, method, call->params, &call->result, call->error);
	}
}

void aa_typed_result(aa_typed *call, const char *name, char **out, const char *code)
{
	if (call->failed || out == NULL) {
		return;
	}
	const aa_value *member = aa_get(call->result, name);
	if (member == NULL || member->kind != AA_TEXT) {
		call->failed = aa_fail(call->error, "sandbox_failed", "the core's answer lacks %s", name);
		return;
	}
	if (member->bytes.size > 0 && memchr(member->bytes.data, 0, member->bytes.size) != NULL) {
		call->failed = aa_fail(call->error, code, "%s has U+0000 in it, which text in C cannot", name);
		return;
	}
	*out = aa_buffer_copy(member->bytes);
	if (*out == NULL) {
		call->failed = aa_fail(call->error, "sandbox_failed", "there is no memory for the core's answer");
	}
}

int aa_typed_end(aa_typed *call)
{
	aa_arena_free(call->arena);
	for (size_t i = 0; i < sizeof call->places / sizeof call->places[0]; i++) {
		char **place = call->places[i];
		if (call->failed && place != NULL) {
			agentassert_free(*place);
			*place = NULL;
		}
	}
	return call->failed ? -1 : 0;
}
