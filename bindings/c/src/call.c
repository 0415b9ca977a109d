#include "call.h"

#include <string.h>

#include "buffer.h"
#include "message_limits.h"
#include "pool.h"
#include "untrusted.h"

/* Fills in why an instance is of no more use. */
static int fail_exchange(enum aa_guest_result result, agentassert_error *error)
{
	if (result == AA_GUEST_NO_ROOM) {
		return aa_fail(error, "sandbox_failed", "there is no memory for the core's answer");
	}
	return aa_fail(error, "sandbox_failed", "the sandboxed core failed, and its instance was thrown away");
}

static int fail_codec(enum aa_codec_result result, const char *what, agentassert_error *error)
{
	switch (result) {
	case AA_TOO_LARGE:
		return aa_fail(error, "invalid_request", "%s is too large: a message has at most %d bytes", what,
			       AA_MAX_MESSAGE);
	case AA_NO_MEMORY:
		return aa_fail(error, "sandbox_failed", "there is no memory for %s", what);
	default:
		return aa_fail(error, "invalid_request", "%s is no message of the ABI", what);
	}
}

/* Encodes a request. The parameters are another's, and stay as they are. */
static int encode_request(aa_arena *arena, const char *method, const aa_value *params, aa_bytes *request,
			  agentassert_error *error)
{
	if (params == NULL) {
		return fail_codec(AA_NO_MEMORY, "the request", error);
	}
	aa_value member = *params;
	member.next = NULL;
	aa_value *message = aa_set(aa_set(aa_map(arena), "method", aa_text(arena, (aa_bytes){method, strlen(method)})),
				   "params", &member);
	enum aa_codec_result result = aa_encode_cbor(arena, message, request);
	return result == AA_OK ? 0 : fail_codec(result, "the request", error);
}

/* Hands an error of the core's on. The module can be anybody's, and so its text. */
static int fail_as_core(aa_arena *arena, const aa_value *failure, agentassert_error *error)
{
	aa_bytes code = aa_copy(arena, aa_get_text(failure, "code"));
	aa_bytes message = aa_presentable(arena, aa_get_text(failure, "message"));
	if (code.data == NULL || message.data == NULL) {
		return fail_exchange(AA_GUEST_NO_ROOM, error);
	}
	return aa_fail(error, code.data, "%.*s", (int)message.size, message.data);
}

/* Reports whether an answer is one: a map with a result, or with an error. */
static int is_response(const aa_value *response)
{
	if (response->kind != AA_MAP || response->count != 1) {
		return 0;
	}
	const aa_value *failure = aa_get_map(response, "error");
	if (failure == NULL) {
		return aa_get_map(response, "ok") != NULL;
	}
	const aa_value *message = aa_get(failure, "message");
	return failure->count == 2 && message != NULL && message->kind == AA_TEXT &&
	       aa_is_code(aa_get_text(failure, "code"));
}

int aa_call(agentassert *core, aa_arena *arena, const char *method, const aa_value *params, aa_value **result,
	    agentassert_error *error)
{
	aa_bytes request, answer;
	aa_lease lease;
	if (core == NULL) {
		return aa_fail(error, "invalid_request", "there is no core");
	}
	if (encode_request(arena, method, params, &request, error) != 0 || aa_pool_take(core, &lease, error) != 0) {
		return -1;
	}
	enum aa_guest_result exchanged = aa_guest_exchange(lease.guest, arena, request, &answer);
	aa_value *response = NULL;
	enum aa_codec_result decoded = AA_MALFORMED;
	if (exchanged == AA_GUEST_OK) {
		decoded = aa_decode_cbor(arena, answer, &response);
		if (decoded == AA_OK && !is_response(response)) {
			decoded = AA_MALFORMED;
		}
	}
	aa_pool_give(&lease, decoded == AA_OK);
	if (exchanged != AA_GUEST_OK) {
		return fail_exchange(exchanged, error);
	}
	if (decoded != AA_OK) {
		return decoded == AA_NO_MEMORY
			   ? fail_exchange(AA_GUEST_NO_ROOM, error)
			   : aa_fail(error, "sandbox_failed", "the core's answer is no message of the ABI");
	}
	const aa_value *failure = aa_get_map(response, "error");
	if (failure != NULL) {
		return fail_as_core(arena, failure, error);
	}
	*result = response->first;
	return 0;
}

int agentassert_exchange(agentassert *core, const void *request, size_t request_size, void **response,
			 size_t *response_size, agentassert_error *error)
{
	if (core == NULL || response == NULL || response_size == NULL) {
		return aa_fail(error, "invalid_request", "there is no core, or no place for the response");
	}
	*response = NULL;
	*response_size = 0;
	if (request == NULL || request_size == 0 || request_size > AA_MAX_MESSAGE) {
		return aa_fail(error, "invalid_request", "a request has 1 to %d bytes", AA_MAX_MESSAGE);
	}
	aa_arena *arena = aa_arena_new();
	if (arena == NULL) {
		return fail_codec(AA_NO_MEMORY, "the request", error);
	}
	aa_lease lease;
	aa_bytes answer;
	int failed = aa_pool_take(core, &lease, error);
	if (failed == 0) {
		enum aa_guest_result result =
		    aa_guest_exchange(lease.guest, arena, (aa_bytes){request, request_size}, &answer);
		aa_pool_give(&lease, result == AA_GUEST_OK);
		failed = result == AA_GUEST_OK ? 0 : fail_exchange(result, error);
	}
	if (failed == 0) {
		*response = aa_buffer_copy(answer);
		*response_size = answer.size;
		failed = *response == NULL ? fail_exchange(AA_GUEST_NO_ROOM, error) : 0;
	}
	aa_arena_free(arena);
	return failed;
}

/* One of the two encodings of messages. */
typedef struct codec {
	enum aa_codec_result (*decode)(aa_arena *arena, aa_bytes message, aa_value **out);
	enum aa_codec_result (*encode)(aa_arena *arena, const aa_value *value, aa_bytes *out);
} codec;

/* Makes a call whose parameters and whose result are encoded. */
static int call_encoded(agentassert *core, const char *method, aa_bytes params, const codec *as, aa_bytes *result,
			agentassert_error *error)
{
	if (method == NULL || params.data == NULL) {
		return aa_fail(error, "invalid_request", "the method or its parameters are NULL");
	}
	aa_arena *arena = aa_arena_new();
	aa_value *decoded = NULL, *answer;
	enum aa_codec_result codec_result = arena == NULL ? AA_NO_MEMORY : as->decode(arena, params, &decoded);
	int failed = codec_result == AA_OK ? aa_call(core, arena, method, decoded, &answer, error)
					   : fail_codec(codec_result, "what the parameters are", error);
	if (failed == 0) {
		/* A result without the name that it has in the response. */
		aa_bytes encoded;
		codec_result = as->encode(arena, answer, &encoded);
		result->data = codec_result == AA_OK ? aa_buffer_copy(encoded) : NULL;
		result->size = codec_result == AA_OK ? encoded.size : 0;
		failed = result->data == NULL ? fail_exchange(AA_GUEST_NO_ROOM, error) : 0;
	}
	aa_arena_free(arena);
	return failed;
}

int agentassert_call(agentassert *core, const char *method, const void *params, size_t params_size, void **result,
		     size_t *result_size, agentassert_error *error)
{
	static const codec cbor = {aa_decode_cbor, aa_encode_cbor};
	if (result == NULL || result_size == NULL) {
		return aa_fail(error, "invalid_request", "there is no place for the result");
	}
	aa_bytes encoded = {NULL, 0};
	int failed = call_encoded(core, method, (aa_bytes){params, params_size}, &cbor, &encoded, error);
	*result = (char *)encoded.data;
	*result_size = encoded.size;
	return failed;
}

int agentassert_call_json(agentassert *core, const char *method, const char *params, char **result,
			  agentassert_error *error)
{
	static const codec json = {aa_decode_json, aa_encode_json};
	if (result == NULL) {
		return aa_fail(error, "invalid_request", "there is no place for the result");
	}
	aa_bytes encoded = {NULL, 0};
	aa_bytes text = {params, params == NULL ? 0 : strlen(params)};
	int failed = call_encoded(core, method, text, &json, &encoded, error);
	*result = (char *)encoded.data;
	return failed;
}
