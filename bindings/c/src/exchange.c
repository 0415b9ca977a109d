#define _DEFAULT_SOURCE
#include "exchange.h"

#include <string.h>
#include <strings.h>

#include "call.h"
#include "text.h"
#include "untrusted.h"
#include "utf8.h"

/* The longest reason that is shown, in bytes. */
enum { longest_reason = 256 };

struct agentassert_http_response {
	aa_arena *arena;
	const struct aa_request *request;
	int status;
	struct aa_field *fields; /* those that the request asks for; data is NULL until they are there */
	char *body;              /* has room for as much as the limit */
	size_t body_size;
	int is_too_large, has_no_memory;
	char reason[longest_reason];
};

void agentassert_http_response_status(agentassert_http_response *response, int status)
{
	response->status = status;
	response->body_size = 0;
	for (size_t i = 0; i < response->request->response_header_count; i++) {
		response->fields[i].value = (aa_bytes){NULL, 0};
	}
}

void agentassert_http_response_header(agentassert_http_response *response, const char *name, size_t name_size,
				      const char *value, size_t value_size)
{
	const struct aa_request *request = response->request;
	aa_bytes text = {value, value_size};
	/* What does not fit into a message, or into HTTP, is nothing that the protocol knows. */
	if (value_size == 0 || value_size > (size_t)request->size_limit || !aa_is_utf8(text) ||
	    !aa_has_only(text, "\t", 0x20, 0xff) || memchr(value, 0x7f, value_size)) {
		return;
	}
	for (size_t i = 0; i < request->response_header_count; i++) {
		aa_bytes wanted = request->response_headers[i];
		if (wanted.size == name_size && strncasecmp(wanted.data, name, name_size) == 0 &&
		    !response->fields[i].value.data) {
			response->fields[i] = (struct aa_field){wanted, aa_copy(response->arena, text)};
			response->has_no_memory |= !response->fields[i].value.data;
		}
	}
}

int agentassert_http_response_body(agentassert_http_response *response, const void *data, size_t size)
{
	size_t limit = (size_t)response->request->size_limit;
	if (response->is_too_large || size > limit - response->body_size) {
		response->is_too_large = 1;
		return -1;
	}
	if (size > 0) {
		memcpy(response->body + response->body_size, data, size);
		response->body_size += size;
	}
	return 0;
}

void agentassert_http_response_reason(agentassert_http_response *response, const char *reason)
{
	aa_bytes text = aa_text_of(reason);
	size_t size = text.size < longest_reason - 1 ? text.size : longest_reason - 1;
	while (size < text.size && size > 0 && ((unsigned char)text.data[size] & 0xc0) == 0x80) {
		size--;
	}
	memcpy(response->reason, text.data, size);
	response->reason[size] = 0;
}

/* Returns the request as the client sees it, or -1 if there is no memory. */
static int to_client(aa_arena *arena, const struct aa_request *request, agentassert_http_request *out)
{
	agentassert_header *headers = aa_alloc(arena, request->field_count * sizeof *headers);
	aa_bytes method = aa_copy(arena, request->method), url = aa_copy(arena, request->url);
	if (!headers || !method.data || !url.data) {
		return -1;
	}
	for (size_t i = 0; i < request->field_count; i++) {
		headers[i].name = aa_copy(arena, request->fields[i].name).data;
		headers[i].value = aa_copy(arena, request->fields[i].value).data;
		if (!headers[i].name || !headers[i].value) {
			return -1;
		}
	}
	*out = (agentassert_http_request){
	    .method = method.data,
	    .url = url.data,
	    .headers = headers,
	    .header_count = request->field_count,
	    .body = request->body.data,
	    .body_size = request->body.size,
	    .timeout_ms = request->timeout_ms,
	    .size_limit = (size_t)request->size_limit,
	};
	return 0;
}

/* Returns the event of a whole response. */
static aa_value *response_event(const struct agentassert_http_response *response)
{
	aa_arena *arena = response->arena;
	aa_value *event = aa_map(arena), *headers = NULL;
	event = aa_set(event, "type", aa_text(arena, AA_LITERAL("response")));
	event = aa_set(event, "status", aa_integer(arena, response->status));
	for (size_t i = 0; i < response->request->response_header_count; i++) {
		const struct aa_field *field = &response->fields[i];
		if (!field->value.data) {
			continue;
		}
		aa_value *header = aa_set(aa_map(arena), "name", aa_text(arena, field->name));
		header = aa_set(header, "value", aa_text(arena, field->value));
		headers = aa_append(headers ? headers : aa_array(arena), header);
		if (!headers) {
			return NULL;
		}
	}
	if (headers) {
		event = aa_set(event, "headers", headers);
	}
	if (response->body_size > 0) {
		event = aa_set(event, "body", aa_binary(arena, (aa_bytes){response->body, response->body_size}));
	}
	return event;
}

/* What became of a request, in the flow's words and for people. */
static const struct {
	const char *failure, *message;
} failures[] = {
    [AGENTASSERT_SENT] = {"connect", "the HTTP client returned no response"},
    [AGENTASSERT_TIMEOUT] = {"timeout", "the backend did not answer in time"},
    [AGENTASSERT_CONNECT] = {"connect", "the request got no whole response"},
    [AGENTASSERT_TLS] = {"tls", "the certificate or the hand-shake is no good"},
    [AGENTASSERT_TOO_LARGE] = {"too-large", "the response is larger than the protocol allows"},
    [AGENTASSERT_CANCELED] = {"canceled", "the request was given up, because the manager was closed"},
};

static aa_value *failed_event(const struct agentassert_http_response *response, agentassert_sent sent,
			      agentassert_error *error)
{
	aa_arena *arena = response->arena;
	aa_bytes reason = aa_presentable(arena, aa_text_of(response->reason));
	const char *failure = failures[sent].failure, *message = failures[sent].message;
	if (reason.data && reason.size > 0 && sent != AGENTASSERT_CANCELED) {
		aa_fail(error, "request_failed", "%s: %.*s", message, (int)reason.size, reason.data);
	} else {
		aa_fail(error, sent == AGENTASSERT_CANCELED ? "canceled" : "request_failed", "%s", message);
	}
	aa_value *event = aa_set(aa_map(arena), "type", aa_text(arena, AA_LITERAL("failed")));
	return aa_set(event, "failure", aa_text(arena, aa_text_of(failure)));
}

aa_value *aa_exchange(aa_arena *arena, agentassert_send send, void *self, const struct aa_request *request,
		      const agentassert_context *context, agentassert_error *error)
{
	struct agentassert_http_response response = {.arena = arena, .request = request};
	agentassert_http_request outgoing;
	response.fields = aa_alloc(arena, request->response_header_count * sizeof *response.fields);
	response.body = aa_alloc(arena, (size_t)request->size_limit);
	if (!response.fields || !response.body || to_client(arena, request, &outgoing)) {
		return NULL;
	}
	agentassert_sent sent = AGENTASSERT_CANCELED;
	if (!agentassert_context_canceled(context)) {
		sent = send(self, &outgoing, &response, context);
	}
	if (response.has_no_memory) {
		return NULL;
	}
	if (response.is_too_large && sent != AGENTASSERT_CANCELED) {
		sent = AGENTASSERT_TOO_LARGE;
	}
	if (sent == AGENTASSERT_SENT && response.status >= 100 && response.status <= 599) {
		return response_event(&response);
	}
	/* A client of somebody else's can return any number. */
	int is_known = (int)sent >= 0 && (int)sent <= AGENTASSERT_CANCELED;
	return failed_event(&response, is_known ? sent : AGENTASSERT_CONNECT, error);
}
