/* A backend for tests that answers requests without a network, and a clock that stands still until it is
 * set forward. The real one is the Go authority. */
#ifndef AGENTASSERT_TEST_BACKEND_H
#define AGENTASSERT_TEST_BACKEND_H

#include <pthread.h>

#include "agentassert_manager.h"

#define BACKEND_BASE "http://agent.chatgpt.com/backend-api"
/* Below it runtime agent instances are registered. */
#define BACKEND_REGISTRAR "http://auth.example.org"
#define BACKEND_TOKEN "secret-access-token"

enum { BACKEND_MOST = 512 };

struct backend {
	agentassert *core;
	pthread_mutex_t mutex;
	/* The clock, in Unix seconds. */
	int64_t now;
	/* The requests that came, "GET /authenticate_app_v2" for one. */
	size_t request_count;
	char requests[BACKEND_MOST][128];
	/* Agents are called agent-1 and so on, tasks task-1, instances instance-1. */
	size_t agent_count, task_count, instance_count;
	char agent_keys[BACKEND_MOST][128];
	/* The answer to who asks where the calls of accounts go. */
	const char *accounts;
	/* Answers in place of the backend; or returns -1 to leave it to that. */
	int (*intercept)(struct backend *backend, const agentassert_http_request *request,
			 agentassert_http_response *response, const agentassert_context *context);
	void *intercept_self;
};

void backend_init(struct backend *backend, agentassert *core);

/* Is an agentassert_send, whose self is the backend. */
agentassert_sent backend_send(void *self, const agentassert_http_request *request, agentassert_http_response *response,
			      const agentassert_context *context);

/* Is the clock. */
int64_t backend_now(void *self);
void backend_sleep(struct backend *backend, int64_t seconds);

/* Counts the requests whose text ends like that. */
size_t backend_count(struct backend *backend, const char *end);

/* Answers with a status and a body. */
int backend_answer(agentassert_http_response *response, int status, const char *body);

#endif
