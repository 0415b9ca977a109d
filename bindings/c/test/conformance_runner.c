/* Answers the conformance kit (testvectors/README.md):
 *
 *     agentassert conformance --complete --exec build/conformance_runner
 *
 * hosts_runner.c answers what it asks of hosts. */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentassert.h"
#include "value.h"

/* Ends the program, for the kit to see: it sends nothing that could not be answered. */
static void stop(const char *why)
{
	fprintf(stderr, "conformance_runner: %s\n", why);
	exit(1);
}

/* Answers what cannot be encoded as the core would have: it refuses it, too. */
static aa_value *refuse(aa_arena *arena)
{
	aa_value *failure = aa_set(aa_map(arena), "code", aa_text(arena, AA_LITERAL("invalid_request")));
	aa_set(failure, "message", aa_text(arena, AA_LITERAL("the request is no message")));
	return aa_set(aa_map(arena), "error", failure);
}

/* Answers a request. The response has to be the encoding of what it says. */
static aa_value *exchange(agentassert *core, aa_arena *arena, const aa_value *request)
{
	aa_bytes message, again;
	void *response;
	size_t size;
	agentassert_error error;
	aa_value *value;
	if (aa_encode_cbor(arena, request, &message) != AA_OK) {
		return refuse(arena);
	}
	if (agentassert_exchange(core, message.data, message.size, &response, &size, &error) != 0) {
		stop(error.message);
	}
	aa_bytes answer = aa_copy(arena, (aa_bytes){response, size});
	agentassert_free(response);
	if (aa_decode_cbor(arena, answer, &value) != AA_OK || aa_encode_cbor(arena, value, &again) != AA_OK ||
	    !aa_equal(answer, again)) {
		stop("the response is not the deterministic encoding of what it says");
	}
	return value;
}

int main(void)
{
	agentassert *core;
	agentassert_error error;
	if (agentassert_open(NULL, &core, &error) != 0) {
		stop(error.message);
	}
	char *line = NULL;
	size_t room = 0;
	ssize_t size;
	while ((size = getline(&line, &room, stdin)) > 0) {
		aa_arena *arena = aa_arena_new();
		aa_value *call;
		aa_bytes text;
		if (strspn(line, " \t\r\n") == (size_t)size) {
			aa_arena_free(arena);
			continue;
		}
		if (aa_decode_json(arena, (aa_bytes){line, (size_t)size}, &call) != AA_OK) {
			stop("a line is no call");
		}
		aa_value *reply = aa_set(aa_map(arena), "id", aa_text(arena, aa_get_text(call, "id")));
		reply = aa_set(reply, "response", exchange(core, arena, aa_get_map(call, "request")));
		if (aa_encode_json(arena, reply, &text) != AA_OK) {
			stop("an answer cannot be written");
		}
		fwrite(text.data, 1, text.size, stdout);
		putchar('\n');
		fflush(stdout);
		aa_arena_free(arena);
	}
	free(line);
	agentassert_close(core);
	return 0;
}
