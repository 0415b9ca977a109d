#include "backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "text.h"

void backend_init(struct backend *backend, agentassert *core)
{
	memset(backend, 0, sizeof *backend);
	backend->core = core;
	backend->now = 1764000000;
	backend->accounts = "{\"accounts\":[]}";
	pthread_mutex_init(&backend->mutex, NULL);
}

int64_t backend_now(void *self)
{
	struct backend *backend = self;
	pthread_mutex_lock(&backend->mutex);
	int64_t now = backend->now;
	pthread_mutex_unlock(&backend->mutex);
	return now;
}

void backend_sleep(struct backend *backend, int64_t seconds)
{
	pthread_mutex_lock(&backend->mutex);
	backend->now += seconds;
	pthread_mutex_unlock(&backend->mutex);
}

size_t backend_count(struct backend *backend, const char *end)
{
	size_t count = 0;
	pthread_mutex_lock(&backend->mutex);
	for (size_t i = 0; i < backend->request_count; i++) {
		count += (size_t)aa_ends(aa_text_of(backend->requests[i]), end);
	}
	pthread_mutex_unlock(&backend->mutex);
	return count;
}

int backend_answer(agentassert_http_response *response, int status, const char *body)
{
	agentassert_http_response_status(response, status);
	return agentassert_http_response_body(response, body, strlen(body)) ? AGENTASSERT_TOO_LARGE : AGENTASSERT_SENT;
}

/* Ends the test: a request is not what the protocol has. */
static void wrong(const char *what)
{
	fprintf(stderr, "the backend got a wrong request: %s\n", what);
	abort();
}

static const char *header_of(const agentassert_http_request *request, const char *name)
{
	for (size_t i = 0; i < request->header_count; i++) {
		if (strcmp(request->headers[i].name, name) == 0) {
			return request->headers[i].value;
		}
	}
	return "";
}

/* Copies a member of a flat JSON object that is a string. */
static void member_of(const agentassert_http_request *request, const char *name, char *value, size_t size)
{
	char body[8192], quoted[64];
	snprintf(body, sizeof body, "%.*s", (int)request->body_size, request->body ? (const char *)request->body : "");
	snprintf(quoted, sizeof quoted, "\"%s\":\"", name);
	const char *at = strstr(body, quoted);
	if (!at) {
		wrong(name);
	}
	at += strlen(quoted);
	snprintf(value, size, "%.*s", (int)strcspn(at, "\""), at);
}

static int mint(struct backend *backend, const agentassert_http_request *request, agentassert_http_response *response)
{
	char biscuit[64];
	if (strcmp(header_of(request, "authorization"), "Bearer " BACKEND_TOKEN) != 0) {
		wrong("a biscuit without the token");
	}
	snprintf(biscuit, sizeof biscuit, "biscuit-%zu", backend->request_count);
	int sent = backend_answer(response, 200, "{}");
	agentassert_http_response_header(response, "X-OpenAI-Authorization", 22, biscuit, strlen(biscuit));
	return sent;
}

static int register_agent(struct backend *backend, const agentassert_http_request *request,
			  agentassert_http_response *response)
{
	char body[64];
	member_of(request, "agent_public_key", backend->agent_keys[backend->agent_count],
		  sizeof backend->agent_keys[0]);
	snprintf(body, sizeof body, "{\"agent_runtime_id\":\"agent-%zu\"}", ++backend->agent_count);
	return backend_answer(response, 200, body);
}

static int register_task(struct backend *backend, const agentassert_http_request *request, const char *agent,
			 agentassert_http_response *response)
{
	char id[64], signature[128], timestamp[64], task[64], body[512];
	size_t number = 0;
	if (sscanf(agent, "agent-%zu", &number) != 1 || number < 1 || number > backend->agent_count) {
		return backend_answer(response, 404, "{}");
	}
	snprintf(id, sizeof id, "agent-%zu", number);
	member_of(request, "signature", signature, sizeof signature);
	member_of(request, "timestamp", timestamp, sizeof timestamp);
	const char *key = backend->agent_keys[number - 1];
	agentassert_error error;
	if (agentassert_verify_registration(backend->core, key, id, signature, timestamp, backend->now, 300, &error)) {
		wrong(error.message);
	}
	snprintf(task, sizeof task, "task-%zu", ++backend->task_count);
	char *sealed;
	if (agentassert_seal_task_id(backend->core, key, task, NULL, 0, &sealed, &error)) {
		wrong(error.message);
	}
	snprintf(body, sizeof body, "{\"encrypted_task_id\":\"%s\"}", sealed);
	agentassert_free(sealed);
	return backend_answer(response, 200, body);
}

static int register_instance(struct backend *backend, agentassert_http_response *response)
{
	char body[64];
	snprintf(body, sizeof body, "{\"runtime_agent_instance_id\":\"instance-%zu\"}", ++backend->instance_count);
	return backend_answer(response, 200, body);
}

static int answer(struct backend *backend, const agentassert_http_request *request, const char *path,
		  agentassert_http_response *response)
{
	static const char agents[] = "/v1/agent/";
	if (strcmp(path, "/authenticate_app_v2") == 0) {
		return mint(backend, request, response);
	}
	if (strcmp(path, "/v1/agent/register") == 0) {
		return register_agent(backend, request, response);
	}
	if (strncmp(path, agents, sizeof agents - 1) == 0) {
		return register_task(backend, request, path + sizeof agents - 1, response);
	}
	if (strcmp(path, "/wham/accounts/check") == 0) {
		return backend_answer(response, 200, backend->accounts);
	}
	return backend_answer(response, 404, "{}");
}

agentassert_sent backend_send(void *self, const agentassert_http_request *request, agentassert_http_response *response,
			      const agentassert_context *context)
{
	struct backend *backend = self;
	int is_ours = strncmp(request->url, BACKEND_BASE, sizeof BACKEND_BASE - 1) == 0;
	const char *path = is_ours ? request->url + sizeof BACKEND_BASE - 1 : request->url;
	pthread_mutex_lock(&backend->mutex);
	if (backend->request_count == BACKEND_MOST) {
		wrong("one too many");
	}
	snprintf(backend->requests[backend->request_count++], sizeof backend->requests[0], "%s %s", request->method,
		 path);
	pthread_mutex_unlock(&backend->mutex);
	int sent = backend->intercept ? backend->intercept(backend, request, response, context) : -1;
	if (sent < 0) {
		pthread_mutex_lock(&backend->mutex);
		sent = strcmp(request->url, BACKEND_REGISTRAR "/agent/register") == 0
			   ? register_instance(backend, response)
			   : answer(backend, request, path, response);
		pthread_mutex_unlock(&backend->mutex);
	}
	return (agentassert_sent)sent;
}
