/* Tests of the manager, against a backend that is a function. */
#define _DEFAULT_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <string.h>

#include "backend.h"
#include "failing_store.h"
#include "check.h"
#include "manager.h"
#include "text.h"

static agentassert *core;
static const agentassert_credentials credentials = {
    .kind = "chatgpt", .access_token = BACKEND_TOKEN, .account_id = "acct-1", .user_id = "user-1"};

/* A manager with a backend, a store and a clock of its own. */
struct set_up {
	struct backend backend;
	agentassert_store *store;
	agentassert_manager_options options;
	agentassert_manager *manager;
};

/* Returns the options of a test, which are to be changed. */
static struct set_up *prepare(void)
{
	struct set_up *s = calloc(1, sizeof *s);
	REQUIRE(s, "memory");
	backend_init(&s->backend, core);
	REQUIRE(agentassert_memory_store(&s->store, NULL) == 0, "a store");
	s->options = (agentassert_manager_options){
	    .size = sizeof s->options,
	    .base_url = BACKEND_BASE,
	    .store = s->store,
	    .credentials = &credentials,
	    .agent_identity = 1,
	    .allow_http = 1,
	    .send = backend_send,
	    .send_self = &s->backend,
	    .now = backend_now,
	    .now_self = &s->backend,
	};
	return s;
}

static agentassert_manager *open_manager(struct set_up *s)
{
	agentassert_manager *manager = NULL;
	agentassert_error error = {{0}, {0}};
	int failed = agentassert_manager_open(core, &s->options, &manager, &error);
	REQUIRE(!failed, "%s: %s", error.code, error.message);
	return manager;
}

static struct set_up *set_up(void)
{
	struct set_up *s = prepare();
	s->manager = open_manager(s);
	return s;
}

static void tear_down(struct set_up *s)
{
	agentassert_manager_free(s->manager);
	agentassert_store_close(s->store);
	pthread_mutex_destroy(&s->backend.mutex);
	free(s);
}

/* Gets an authorization; none if there is an error, whose code is set. */
static char last_code[64], last_message[512];

static agentassert_authorization *ask(agentassert_manager *manager, const char *surface, const char *thread)
{
	agentassert_authorization *a;
	agentassert_error error = {{0}, {0}};
	int failed = agentassert_manager_authorization(manager, surface, thread, AGENTASSERT_FOREVER, &a, &error);
	CHECK(failed == (a == NULL ? -1 : 0), "an answer or an error");
	snprintf(last_code, sizeof last_code, "%s", error.code);
	snprintf(last_message, sizeof last_message, "%s", error.message);
	return a;
}

/* Checks what an answer is, "mode reason task cause", and frees it. */
static void check_answer(const char *name, agentassert_authorization *a, const char *want)
{
	char got[256];
	if (a) {
		snprintf(got, sizeof got, "%s %s %s%s %s", a->mode, a->reason, a->task_id, a->runtime_agent_instance,
			 a->cause_code);
	} else {
		snprintf(got, sizeof got, "%s", last_code);
	}
	while (*got && got[strlen(got) - 1] == ' ') {
		got[strlen(got) - 1] = 0;
	}
	CHECK(strcmp(got, want) == 0, "%s: %s, not %s (%s)", name, got, want, last_message);
	agentassert_authorization_free(a);
}

static void check_ask(struct set_up *s, const char *name, const char *surface, const char *thread, const char *want)
{
	check_answer(name, ask(s->manager, surface, thread), want);
}

static void test_who_gets_what(void)
{
	static const agentassert_credentials api_key = {.kind = "api-key"};
	static const agentassert_credentials no_account = {.kind = "chatgpt", .access_token = BACKEND_TOKEN};
	static const char *const trusted[] = {"example.org", NULL};
	const struct {
		const char *name, *surface, *base_url;
		const agentassert_credentials *credentials;
		const char *const *trusted_hosts;
		int gate_off;
		const char *want;
	} cases[] = {
	    {.name = "a background surface", .want = "agent-assertion background-task task-1"},
	    {.name = "a bearer-only surface", .surface = "bootstrap", .want = "bearer bearer-only-surface"},
	    {.name = "the gate off", .gate_off = 1, .want = "bearer feature-off"},
	    {.name = "an unsupported host", .base_url = "http://example.org/v1", .want = "bearer unsupported-host"},
	    {.name = "a trusted host",
	     .base_url = "http://example.org/v1",
	     .trusted_hosts = trusted,
	     .want = "bearer registration-failed  http_status"},
	    {.name = "an API key", .credentials = &api_key, .want = "none no-chatgpt-credentials"},
	    {.name = "no account", .credentials = &no_account, .want = "bearer no-account-id"},
	    {.name = "no such surface", .surface = "nothing", .want = "unknown_surface"},
	    {.name = "a thread's surface without a thread", .surface = "responses", .want = "thread_surface"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct set_up *s = prepare();
		s->options.credentials = cases[i].credentials ? cases[i].credentials : &credentials;
		s->options.base_url = cases[i].base_url ? cases[i].base_url : BACKEND_BASE;
		s->options.trusted_hosts = cases[i].trusted_hosts;
		s->options.agent_identity = !cases[i].gate_off;
		s->manager = open_manager(s);
		check_ask(s, cases[i].name, cases[i].surface ? cases[i].surface : "models", NULL, cases[i].want);
		tear_down(s);
	}
}

struct caller {
	pthread_t thread;
	agentassert_manager *manager;
	const char *surface;
	int64_t timeout_ms;
	agentassert_authorization *authorization;
	agentassert_error error;
	int failed;
	atomic_int is_back;
};

static void *call(void *self)
{
	struct caller *caller = self;
	caller->failed = agentassert_manager_authorization(caller->manager, caller->surface, NULL, caller->timeout_ms,
							   &caller->authorization, &caller->error);
	caller->is_back = 1;
	return NULL;
}

/* Is an on_authorization, which one flow at a time calls here. */
static void count_answers(void *self, const agentassert_authorization *authorization, const char *surface)
{
	int *count = self;
	*count += *authorization->header && *surface;
}

/* Takes note of the thread that sends. */
static int note_thread(struct backend *backend, const agentassert_http_request *request,
		       agentassert_http_response *response, const agentassert_context *context)
{
	(void)request;
	(void)response;
	(void)context;
	*(pthread_t *)backend->intercept_self = pthread_self();
	return -1;
}

static void test_whose_thread(void)
{
	static const int64_t timeouts[] = {AGENTASSERT_FOREVER, 60000};
	for (size_t i = 0; i < 2; i++) {
		struct set_up *s = set_up();
		agentassert_authorization *a;
		pthread_t sender;
		s->backend.intercept = note_thread;
		s->backend.intercept_self = &sender;
		CHECK(!agentassert_manager_authorization(s->manager, "models", NULL, timeouts[i], &a, NULL),
		      "an answer");
		CHECK((pthread_equal(sender, pthread_self()) != 0) == (timeouts[i] == AGENTASSERT_FOREVER), "%lld",
		      (long long)timeouts[i]);
		agentassert_authorization_free(a);
		tear_down(s);
	}
}

static void test_single_flight(void)
{
	static const char *const wanted[] = {"GET /authenticate_app_v2", "POST /v1/agent/register",
					     "GET /authenticate_app_v2", "POST /v1/agent/agent-1/task/register"};
	enum { count = 50 };
	int flows = 0;
	struct set_up *s = prepare();
	s->options.on_authorization = count_answers;
	s->options.on_authorization_self = &flows;
	s->manager = open_manager(s);
	struct caller callers[count];
	memset(callers, 0, sizeof callers);
	for (int i = 0; i < count; i++) {
		callers[i].manager = s->manager;
		callers[i].surface = i % 2 ? "models" : "analytics";
		callers[i].timeout_ms = i % 3 ? AGENTASSERT_FOREVER : 60000;
		pthread_create(&callers[i].thread, NULL, call, &callers[i]);
	}
	for (int i = 0; i < count; i++) {
		pthread_join(callers[i].thread, NULL);
		CHECK(!callers[i].failed, "%s", callers[i].error.message);
		CHECK(callers[i].failed ||
			  strcmp(callers[i].authorization->header, callers[0].authorization->header) == 0,
		      "one header for all");
	}
	for (int i = 0; i < count; i++) {
		agentassert_authorization_free(callers[i].authorization);
	}
	CHECK(flows == 1, "%d flows", flows);
	CHECK(s->backend.request_count == 4, "%zu requests", s->backend.request_count);
	for (size_t i = 0; i < 4 && i < s->backend.request_count; i++) {
		CHECK(strcmp(s->backend.requests[i], wanted[i]) == 0, "%s", s->backend.requests[i]);
	}
	agentassert_manager *next = open_manager(s);
	check_answer("the next manager", ask(next, "apps", NULL), "agent-assertion background-task task-1");
	CHECK(s->backend.request_count == 4, "%zu requests", s->backend.request_count);
	agentassert_manager_free(next);
	tear_down(s);
}

static void test_reuse(void)
{
	struct set_up *s = set_up();
	agentassert_authorization *first = ask(s->manager, "analytics", NULL);
	agentassert_authorization *second = ask(s->manager, "models", NULL);
	REQUIRE(first && second, "answers");
	CHECK(strcmp(first->header, second->header) == 0, "within a second");
	backend_sleep(&s->backend, 1);
	agentassert_authorization *later = ask(s->manager, "models", NULL);
	REQUIRE(later, "an answer");
	CHECK(strcmp(first->header, later->header) != 0, "in the next second");
	CHECK(later->valid_until == first->valid_until + 1, "valid until then");
	backend_sleep(&s->backend, -1); /* a clock that is set back */
	agentassert_authorization *before = ask(s->manager, "models", NULL);
	REQUIRE(before, "an answer");
	CHECK(strcmp(first->header, before->header) == 0, "in the second before");
	agentassert_authorization_free(first);
	agentassert_authorization_free(second);
	agentassert_authorization_free(later);
	agentassert_authorization_free(before);
	tear_down(s);
}

static void test_headers(void)
{
	struct set_up *s = set_up();
	agentassert_header headers[AGENTASSERT_HEADERS];
	const char *names[AGENTASSERT_HEADERS];
	agentassert_authorization *a = ask(s->manager, "models", NULL);
	REQUIRE(a, "an answer");
	CHECK(agentassert_authorization_headers(a, headers) == 2, "two fields");
	CHECK(strcmp(headers[0].name, "Authorization") == 0 && strcmp(headers[1].value, "acct-1") == 0, "the two");
	CHECK(agentassert_authorization_removals(a, names) == 3, "three are removed");
	agentassert_authorization_free(a);
	char *url;
	REQUIRE(agentassert_manager_apps_mcp_server(s->manager, NULL, 1000, &url, &a, NULL) == 0, "the server");
	CHECK(strcmp(url, BACKEND_BASE "/wham/apps") == 0, "%s", url);
	CHECK(strcmp(a->header, "Bearer " BACKEND_TOKEN) == 0, "the bearer token");
	agentassert_free(url);
	agentassert_authorization_free(a);
	REQUIRE(agentassert_manager_apps_mcp_server(s->manager, "Bearer other", 1000, &url, &a, NULL) == 0,
		"the server");
	CHECK(agentassert_authorization_headers(a, headers) == 2 && strcmp(headers[0].value, "Bearer other") == 0,
	      "explicit");
	agentassert_free(url);
	agentassert_authorization_free(a);
	CHECK(strcmp(agentassert_manager_base_url(s->manager), BACKEND_BASE) == 0, "the base URL");
	tear_down(s);

	static const agentassert_credentials api_key = {.kind = "api-key", .account_id = "acct-1"};
	s = prepare();
	s->options.credentials = &api_key;
	s->manager = open_manager(s);
	a = ask(s->manager, "models", NULL);
	REQUIRE(a, "an answer");
	CHECK(agentassert_authorization_headers(a, headers) == 0, "none of ours");
	CHECK(agentassert_authorization_removals(a, names) == 4 && strcmp(names[0], "Authorization") != 0,
	      "its own stays");
	agentassert_authorization_free(a);
	REQUIRE(agentassert_manager_apps_mcp_server(s->manager, "Bearer other", 1000, &url, &a, NULL) == 0,
		"the server");
	CHECK(agentassert_authorization_headers(a, headers) == 1 && strcmp(headers[0].value, "Bearer other") == 0,
	      "explicit");
	agentassert_free(url);
	agentassert_authorization_free(a);
	tear_down(s);
}

/* Answers everything with the status that it is handed. */
static int refuse(struct backend *backend, const agentassert_http_request *request, agentassert_http_response *response,
		  const agentassert_context *context)
{
	(void)request;
	(void)context;
	return backend_answer(response, *(int *)backend->intercept_self, "no");
}

static void test_threads(void)
{
	int status = 503;
	struct set_up *s = set_up();
	check_ask(s, "a", "responses", "a", "agent-assertion thread-task task-1");
	check_ask(s, "b", "responses", "b", "agent-assertion thread-task task-2");
	check_ask(s, "background", "models", NULL, "agent-assertion background-task task-3");
	check_ask(s, "a again", "file-upload", "a", "agent-assertion thread-task task-1");
	check_ask(s, "a background surface of a thread", "apps", "a", "thread_surface");
	check_ask(s, "an id with a control character", "responses", "a\n", "invalid_thread_id");
	check_ask(s, "an empty id", "responses", "", "thread_surface");
	CHECK(agentassert_manager_forget(s->manager, "a", NULL) == 0, "forget");
	backend_sleep(&s->backend, 1);
	check_ask(s, "a that was forgotten", "responses", "a", "agent-assertion thread-task task-4");
	s->backend.intercept = refuse;
	s->backend.intercept_self = &status;
	check_ask(s, "a turn that fails", "responses", "c", "thread_failed");
	CHECK(strstr(last_message, "(http_status)"), "%s", last_message);
	s->backend.intercept = NULL;
	check_ask(s, "the next", "responses", "c", "agent-assertion thread-task task-5");
	tear_down(s);
}

static agentassert_authorization *recover(agentassert_manager *manager, const agentassert_authorization *rejected,
					  const char *date, const char *body)
{
	agentassert_authorization *a;
	agentassert_error error = {{0}, {0}};
	const agentassert_refusal refusal = {.date = date, .body = body, .body_size = body ? strlen(body) : 0};
	agentassert_manager_recover(manager, rejected, &refusal, AGENTASSERT_FOREVER, &a, &error);
	snprintf(last_code, sizeof last_code, "%s", error.code);
	return a;
}

static void test_recovery(void)
{
	struct set_up *s = set_up();
	agentassert_authorization *first = ask(s->manager, "models", NULL);
	REQUIRE(first, "an answer");
	check_answer("a clock that is off", recover(s->manager, first, "Mon, 24 Nov 2025 17:00:00 GMT", "no JSON"),
		     "bearer registration-failed  clock_skew");
	CHECK(s->backend.task_count == 1, "it costs no task");
	static const char *const others[] = {
	    "{\"error\":{\"code\":\"gone_away\"}}",
	    "{\"detail\":{\"code\":\"gone_away\"}}",
	    "{\"code\":\"gone_away\"}",
	    "{\"error\":\"gone_away\"}",
	};
	backend_sleep(&s->backend, 1);
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		check_answer("another reason", recover(s->manager, first, NULL, others[i]),
			     "none assertion-rejected  assertion_rejected");
		check_ask(s, "the call after it", "models", NULL, "agent-assertion background-task task-1");
	}
	check_answer("a task that is replaced",
		     recover(s->manager, first, NULL, "{\"error\":{\"code\":\"task_expired\"}}"),
		     "agent-assertion background-task task-2");
	check_answer("the same again", recover(s->manager, first, NULL, NULL),
		     "agent-assertion background-task task-2");
	check_ask(s, "the next call", "models", NULL, "agent-assertion background-task task-2");
	CHECK(s->backend.task_count == 2, "%zu tasks", s->backend.task_count);
	agentassert_manager *other = open_manager(s);
	check_answer("another manager's", recover(other, first, NULL, NULL), "agent-assertion background-task task-1");
	agentassert_manager_free(other);
	agentassert_authorization *bearer;
	REQUIRE(agentassert_manager_bearer(s->manager, 1000, &bearer, NULL) == 0, "the bearer token");
	check_answer("a bearer token", recover(s->manager, bearer, NULL, NULL), "bearer bearer-only-surface");
	agentassert_authorization_free(bearer);
	agentassert_authorization *second = ask(s->manager, "models", NULL);
	REQUIRE(second, "an answer");
	agentassert_authorization *third =
	    recover(s->manager, second, NULL, "{\"error\":{\"code\":\"unknown_agent\"}}");
	REQUIRE(third, "%s", last_code);
	CHECK(strcmp(third->agent_runtime_id, "agent-2") == 0 && strcmp(third->notice_code, "identity_set_aside") == 0,
	      "%s %s", third->agent_runtime_id, third->notice_code);
	agentassert_authorization_free(first);
	agentassert_authorization_free(second);
	agentassert_authorization_free(third);
	tear_down(s);
}

/* A task that cannot be replaced stays, and costs one request for a pause. */
static void test_no_loop(void)
{
	int status = 503;
	struct set_up *s = set_up();
	agentassert_authorization *a = ask(s->manager, "models", NULL);
	REQUIRE(a, "an answer");
	s->backend.intercept = refuse;
	s->backend.intercept_self = &status;
	check_answer("a registration that fails", recover(s->manager, a, NULL, NULL),
		     "bearer registration-failed  http_status");
	for (int i = 0; i < 3; i++) {
		backend_sleep(&s->backend, 1);
		check_ask(s, "in the pause", "models", NULL, "bearer registration-failed  backing_off");
	}
	agentassert_manager *other = open_manager(s);
	agentassert_authorization *again = ask(other, "models", NULL);
	CHECK(again && strcmp(again->task_id, "task-1") == 0, "it is still stored");
	agentassert_authorization_free(again);
	agentassert_manager_free(other);
	s->backend.intercept = NULL;
	backend_sleep(&s->backend, 3600);
	check_ask(s, "after it", "models", NULL, "agent-assertion background-task task-1");
	check_answer("the next", recover(s->manager, a, NULL, NULL), "agent-assertion background-task task-2");
	agentassert_authorization_free(a);
	tear_down(s);
}

struct recovering {
	pthread_t thread;
	agentassert_manager *manager;
	const agentassert_authorization *rejected;
	agentassert_authorization *authorization;
};

static void *recover_alone(void *self)
{
	struct recovering *r = self;
	agentassert_manager_recover(r->manager, r->rejected, NULL, 60000, &r->authorization, NULL);
	return NULL;
}

static void test_many_recover_once(void)
{
	enum { count = 20 };
	struct set_up *s = set_up();
	struct recovering all[count];
	agentassert_authorization *first = ask(s->manager, "models", NULL);
	for (int i = 0; i < count; i++) {
		all[i] = (struct recovering){.manager = s->manager, .rejected = first};
		pthread_create(&all[i].thread, NULL, recover_alone, &all[i]);
	}
	for (int i = 0; i < count; i++) {
		pthread_join(all[i].thread, NULL);
		check_answer("each", all[i].authorization, "agent-assertion background-task task-2");
	}
	CHECK(s->backend.task_count == 2 && s->backend.agent_count == 1, "one registers");
	agentassert_authorization_free(first);
	tear_down(s);
}

/* Fails as it is told, with the credential in what it says. */
static int fail_with(struct backend *backend, const agentassert_http_request *request,
		     agentassert_http_response *response, const agentassert_context *context)
{
	(void)request;
	(void)context;
	agentassert_http_response_status(response, 200);
	agentassert_http_response_body(response, "HTTP/1.1 400 " BACKEND_TOKEN, 13 + sizeof BACKEND_TOKEN - 1);
	return *(int *)backend->intercept_self;
}

static int send_garbage(struct backend *backend, const agentassert_http_request *request,
			agentassert_http_response *response, const agentassert_context *context)
{
	(void)backend;
	(void)request;
	(void)context;
	return backend_answer(response, 200, "\xff\xfe");
}

static int send_too_much(struct backend *backend, const agentassert_http_request *request,
			 agentassert_http_response *response, const agentassert_context *context)
{
	static const char zeroes[4096];
	(void)backend;
	(void)context;
	agentassert_http_response_status(response, 200);
	for (size_t size = 0; size <= request->size_limit; size += sizeof zeroes) {
		if (agentassert_http_response_body(response, zeroes, sizeof zeroes)) {
			return AGENTASSERT_SENT; /* a client that does not look at what it is told */
		}
	}
	return AGENTASSERT_CONNECT;
}

static int send_nothing(struct backend *backend, const agentassert_http_request *request,
			agentassert_http_response *response, const agentassert_context *context)
{
	(void)backend;
	(void)request;
	(void)response;
	(void)context;
	return AGENTASSERT_SENT;
}

static void test_failing_backends(void)
{
	static int timeout = AGENTASSERT_TIMEOUT, connect = AGENTASSERT_CONNECT, tls = AGENTASSERT_TLS, unknown = 77,
		   forbidden = 403, redirect = 302;
	const struct {
		const char *name;
		int (*intercept)(struct backend *, const agentassert_http_request *, agentassert_http_response *,
				 const agentassert_context *);
		void *self;
		const char *code;
	} cases[] = {
	    {"does not answer in time", fail_with, &timeout, "request_failed"},
	    {"is not there", fail_with, &connect, "request_failed"},
	    {"has a certificate that nobody trusts", fail_with, &tls, "request_failed"},
	    {"fails in a way that there is not", fail_with, &unknown, "request_failed"},
	    {"answers with nothing", send_nothing, NULL, "request_failed"},
	    {"refuses", refuse, &forbidden, "http_status"},
	    {"leads elsewhere", refuse, &redirect, "http_status"},
	    {"sends garbage", send_garbage, NULL, "invalid_response"},
	    {"sends too much", send_too_much, NULL, "request_failed"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct set_up *s = set_up();
		s->backend.intercept = cases[i].intercept;
		s->backend.intercept_self = cases[i].self;
		agentassert_authorization *a = ask(s->manager, "models", NULL);
		REQUIRE(a, "%s: %s", cases[i].name, last_code);
		CHECK(strcmp(a->mode, "bearer") == 0 && strcmp(a->reason, "registration-failed") == 0 &&
			  strcmp(a->cause_code, cases[i].code) == 0,
		      "%s: %s %s %s", cases[i].name, a->mode, a->reason, a->cause_code);
		CHECK(a->retry_at > s->backend.now, "%s: it is tried again", cases[i].name);
		CHECK(strcmp(cases[i].code, "request_failed") != 0 || *a->detail_message, "%s: the host's words",
		      cases[i].name);
		CHECK(!strstr(a->cause_message, BACKEND_TOKEN) && !strstr(a->detail_message, BACKEND_TOKEN),
		      "%s: %s %s", cases[i].name, a->cause_message, a->detail_message);
		agentassert_authorization_free(a);
		size_t requests = s->backend.request_count;
		backend_sleep(&s->backend, 1);
		check_ask(s, cases[i].name, "models", NULL, "bearer registration-failed  backing_off");
		CHECK(s->backend.request_count == requests, "%s: the failure is remembered", cases[i].name);
		tear_down(s);
	}
}

/* Waits until its context is canceled, and says that it is there. */
static int hang(struct backend *backend, const agentassert_http_request *request, agentassert_http_response *response,
		const agentassert_context *context)
{
	atomic_int *is_asked = backend->intercept_self;
	(void)request;
	(void)response;
	*is_asked = 1;
	return agentassert_context_wait(context, 60000) ? AGENTASSERT_CANCELED : AGENTASSERT_TIMEOUT;
}

static void wait_for_flag(const atomic_int *flag)
{
	for (int i = 0; !*flag && i < 60000; i++) {
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	REQUIRE(*flag, "nothing has happened for a minute");
}

static void test_giving_up(void)
{
	atomic_int is_asked = 0;
	struct set_up *s = set_up();
	s->backend.intercept = hang;
	s->backend.intercept_self = &is_asked;
	struct caller patient = {.manager = s->manager, .surface = "models", .timeout_ms = AGENTASSERT_FOREVER};
	agentassert_authorization *a;
	agentassert_error error;
	/* Whoever began the flow gives up: it goes on for others. */
	CHECK(agentassert_manager_authorization(s->manager, "models", NULL, 1, &a, &error) == -1 && !a, "given up");
	CHECK(strcmp(error.code, "canceled") == 0, "%s", error.code);
	wait_for_flag(&is_asked);
	pthread_create(&patient.thread, NULL, call, &patient);
	CHECK(agentassert_manager_authorization(s->manager, "models", NULL, 0, &a, &error) == -1, "not waited for");
	CHECK(s->backend.request_count == 1, "%zu requests", s->backend.request_count);
	agentassert_manager_close(s->manager);
	pthread_join(patient.thread, NULL);
	if (patient.failed) { /* it came too late */
		CHECK(strcmp(patient.error.code, "closed") == 0, "%s", patient.error.code);
	} else {
		check_answer("who waited", patient.authorization, "bearer registration-failed  request_failed");
	}
	tear_down(s);
}

static void test_closing(void)
{
	/* The flow is on a thread of the manager's, or on the caller's. */
	static const int64_t timeouts[] = {60000, AGENTASSERT_FOREVER};
	for (size_t i = 0; i < 2; i++) {
		atomic_int is_asked = 0;
		struct set_up *s = set_up();
		s->backend.intercept = hang;
		s->backend.intercept_self = &is_asked;
		struct caller caller = {.manager = s->manager, .surface = "models", .timeout_ms = timeouts[i]};
		agentassert_error error;
		pthread_create(&caller.thread, NULL, call, &caller);
		wait_for_flag(&is_asked);
		agentassert_manager_close(s->manager);
		pthread_join(caller.thread, NULL);
		CHECK(!caller.failed, "%s", caller.error.message);
		check_answer("in the middle", caller.authorization, "bearer registration-failed  request_failed");
		check_ask(s, "a closed manager", "models", NULL, "closed");
		CHECK(agentassert_manager_forget(s->manager, "a", &error) == -1 && strcmp(error.code, "closed") == 0,
		      "forget");
		agentassert_manager_close(s->manager); /* once more is fine */
		/* The locks are free, and the flow that was canceled began no pause. */
		s->backend.intercept = NULL;
		backend_sleep(&s->backend, 1);
		agentassert_manager *next = open_manager(s);
		check_answer("the next manager", ask(next, "models", NULL), "agent-assertion background-task task-1");
		agentassert_manager_free(next);
		tear_down(s);
	}
}

/* Answers the registration of a task without a sealed box. */
static int register_task(struct backend *backend, const agentassert_http_request *request,
			 agentassert_http_response *response, const agentassert_context *context)
{
	(void)backend;
	(void)context;
	return aa_ends(aa_text_of(request->url), "/task/register")
		   ? backend_answer(response, 200, "{\"task_id\":\"task-9\"}")
		   : -1;
}

/* Answers registrations of the profile auth-api. */
static int register_all(struct backend *backend, const agentassert_http_request *request,
			agentassert_http_response *response, const agentassert_context *context)
{
	if (aa_ends(aa_text_of(request->url), "/v1/agent/register")) {
		return backend_answer(response, 200, "{\"agent_runtime_id\":\"agent-1\"}");
	}
	return register_task(backend, request, response, context);
}

static void test_surfaces_of_a_thread(void)
{
	struct set_up *s = prepare();
	s->options.profile = "auth-api";
	s->options.auth_api_url = "http://auth.example.org/api/accounts";
	s->backend.intercept = register_all;
	s->manager = open_manager(s);
	for (int i = 0; i < 2; i++) {
		check_ask(s, "responses", "responses", "a", "agent-assertion identity-task task-9");
		check_ask(s, "others", "file-upload", "a", "bearer bearer-surface");
	}
	tear_down(s);
}

static void test_jwt_identity(void)
{
	static const char claims[] =
	    "{\"iss\":\"https://chatgpt.com/codex-backend/agent-identity\",\"aud\":\"codex-app-server\","
	    "\"iat\":1763999000,\"exp\":1764009000,\"agent_runtime_id\":\"agent-jwt\",\"agent_private_key\":\"%s\","
	    "\"account_id\":\"acct-1\",\"chatgpt_user_id\":\"user-1\",\"plan_type\":\"pro\","
	    "\"chatgpt_account_is_fedramp\":true}";
	char *key;
	REQUIRE(!agentassert_generate_key(core, NULL, NULL, 0, &key, NULL, NULL), "a key");
	aa_arena *arena = aa_arena_new();
	aa_value *params = aa_set(aa_map(arena), "claims", aa_binary(arena, aa_format(arena, claims, key))), *read;
	params = aa_set(params, "now", aa_integer(arena, 1764000000));
	agentassert_error error = {{0}, {0}};
	REQUIRE(!aa_call(core, arena, "identity_jwt.read", params, &read, &error), "%s", error.message);
	const aa_value *who = aa_get_map(read, "credentials");
	const agentassert_credentials given = {
	    .kind = aa_copy(arena, aa_get_text(who, "kind")).data,
	    .account_id = aa_copy(arena, aa_get_text(who, "account_id")).data,
	    .user_id = aa_copy(arena, aa_get_text(who, "user_id")).data,
	    .fedramp = aa_get_boolean(who, "fedramp"),
	};
	aa_bytes record = aa_get_binary(read, "record");
	const agentassert_jwt_identity identity = {&given, record.data, record.size};
	struct set_up *s = prepare();
	s->options.store = NULL;
	s->options.credentials = NULL;
	s->options.jwt_identity = &identity;
	s->options.profile = "auth-api";
	s->options.auth_api_url = "http://auth.example.org/api/accounts";
	s->backend.intercept = register_task;
	s->manager = open_manager(s);
	agentassert_authorization *a = ask(s->manager, "models", NULL);
	REQUIRE(a, "%s: %s", last_code, last_message);
	CHECK(strcmp(a->agent_runtime_id, "agent-jwt") == 0 && strcmp(a->task_id, "task-9") == 0 && a->fedramp, "%s %s",
	      a->agent_runtime_id, a->task_id);
	CHECK(backend_count(&s->backend,
			    "POST http://auth.example.org/api/accounts/v1/agent/agent-jwt/task/register") == 1,
	      "%s", s->backend.requests[0]);
	agentassert_header headers[AGENTASSERT_HEADERS];
	CHECK(agentassert_authorization_headers(a, headers) == 3 && strcmp(headers[2].name, "X-OpenAI-Fedramp") == 0,
	      "three");
	agentassert_authorization_free(a);
	agentassert_free(key);
	aa_arena_free(arena);
	tear_down(s);
}

static void test_failing_stores(void)
{
	const struct {
		const char *method, *code, *want;
	} cases[] = {
	    {"load", "", "bearer store-failed  store_failed"},
	    {"load", "auth_file_unreadable", "bearer store-failed  store_failed"},
	    {"empty", "", "bearer store-failed  store_failed"},
	    {"lock", "", "bearer store-failed  store_failed"},
	    {"probe", "", "bearer store-failed  store_failed"},
	    {"swap", "", "bearer store-failed  store_failed"},
	    {"credentials", "", "credentials_failed"},
	    {"credentials", "auth_file_unreadable", "auth_file_unreadable"},
	    {"nothing", "", "agent-assertion background-task task-1"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct set_up *s = prepare();
		struct failing_store failing = {
		    .inner = s->store, .code = cases[i].code, .method = cases[i].method, .credentials = &credentials};
		const agentassert_store store = failing_store_methods(&failing);
		s->options.store = &store;
		s->options.credentials = NULL;
		s->manager = open_manager(s);
		agentassert_authorization *a = ask(s->manager, "models", NULL);
		CHECK(!a || !*a->cause_code || *a->detail_message, "%s: the store's own words are lost",
		      cases[i].method);
		check_answer(cases[i].method, a, cases[i].want);
		tear_down(s);
	}
}

static void test_failures_that_cannot_be_saved(void)
{
	int status = 500;
	struct set_up *s = prepare();
	struct failing_store failing = {.inner = s->store, .code = "", .method = "save"};
	const agentassert_store store = failing_store_methods(&failing);
	s->options.store = &store;
	s->manager = open_manager(s);
	s->backend.intercept = refuse;
	s->backend.intercept_self = &status;
	check_ask(s, "a failure", "models", NULL, "bearer registration-failed  http_status");
	backend_sleep(&s->backend, 1);
	check_ask(s, "is remembered", "models", NULL, "bearer registration-failed  backing_off");
	tear_down(s);
}

static void test_read_only(void)
{
	struct set_up *s = set_up();
	check_ask(s, "registered before", "models", NULL, "agent-assertion background-task task-1");
	check_ask(s, "and a thread", "responses", "kept", "agent-assertion thread-task task-2");
	struct failing_store failing = {.inner = s->store, .code = "store_read_only", .method = "writes"};
	const agentassert_store store = failing_store_methods(&failing);
	s->options.store = &store;
	agentassert_manager *first = s->manager;
	s->manager = open_manager(s);
	check_ask(s, "what it holds", "models", NULL, "agent-assertion background-task task-1");
	check_ask(s, "and a thread's", "responses", "kept", "agent-assertion thread-task task-2");
	for (int i = 0; i < 3; i++) {
		backend_sleep(&s->backend, 1);
		check_ask(s, "what it does not take", "responses", "new", "agent-assertion thread-task task-3");
	}
	agentassert_authorization *a = ask(s->manager, "models", NULL);
	REQUIRE(a, "an answer");
	check_answer("a task that was rejected", recover(s->manager, a, NULL, NULL),
		     "agent-assertion background-task task-4");
	agentassert_authorization_free(a);
	backend_sleep(&s->backend, 1);
	check_ask(s, "its successor", "models", NULL, "agent-assertion background-task task-4");
	check_ask(s, "a thread", "responses", "over", "agent-assertion thread-task task-5");
	agentassert_error error;
	CHECK(agentassert_manager_forget(s->manager, "over", &error) == -1 &&
		  strcmp(error.code, "store_read_only") == 0,
	      "%s", error.code);
	backend_sleep(&s->backend, 1);
	check_ask(s, "one that was forgotten", "responses", "over", "agent-assertion thread-task task-6");
	/* What somebody else has put there since counts. */
	agentassert_manager_authorization(first, "responses", "new", AGENTASSERT_FOREVER, &a, NULL);
	agentassert_authorization_free(a);
	backend_sleep(&s->backend, 1);
	check_ask(s, "another's", "responses", "new", "agent-assertion thread-task task-7");
	agentassert_manager_free(first);
	tear_down(s);

	s = prepare();
	failing = (struct failing_store){.inner = s->store, .code = "store_read_only", .method = "writes"};
	s->options.store = &store;
	s->manager = open_manager(s);
	check_ask(s, "registers nothing where it holds nothing", "models", NULL,
		  "bearer store-failed  store_read_only");
	CHECK(s->backend.request_count == 0, "%zu requests", s->backend.request_count);
	tear_down(s);
}

static void test_instances(void)
{
	static const agentassert_instance instance = {"dual_header", "installation", "harness", "role"};
	struct set_up *s = prepare();
	s->options.profile = "instances";
	s->options.auth_api_url = BACKEND_REGISTRAR "/";
	s->options.instance = &instance;
	s->manager = open_manager(s);
	agentassert_authorization *first = ask(s->manager, "models", NULL), *second = ask(s->manager, "models", NULL);
	REQUIRE(first && second, "%s %s", last_code, last_message);
	CHECK(strcmp(first->mode, "dual-header") == 0 && strcmp(first->header, "Bearer " BACKEND_TOKEN) == 0, "%s",
	      first->mode);
	CHECK(strcmp(first->agent_assertion, second->agent_assertion) != 0, "each is for one request");
	CHECK(s->backend.instance_count == 1 && s->backend.request_count == 1, "one registration");
	agentassert_header headers[AGENTASSERT_HEADERS];
	CHECK(agentassert_authorization_headers(first, headers) == 3, "three fields");
	check_answer("one that is rejected", recover(s->manager, first, NULL, NULL),
		     "dual-header runtime-instance instance-2");
	check_answer("by two calls", recover(s->manager, second, NULL, NULL),
		     "dual-header runtime-instance instance-2");
	CHECK(s->backend.instance_count == 2, "%zu instances", s->backend.instance_count);
	agentassert_authorization_free(first);
	agentassert_authorization_free(second);
	tear_down(s);
}

static void test_routing(void)
{
	struct set_up *s = prepare();
	s->options.workspace_routing = 1;
	s->manager = open_manager(s);
	check_ask(s, "an answer without the account", "responses", "a", "thread_failed");
	CHECK(strstr(last_message, "(unknown_workspace)"), "%s", last_message);
	tear_down(s);
}

static int no_entropy(void *self, void *buffer, size_t size)
{
	(void)self;
	(void)buffer;
	(void)size;
	return -1;
}

static void test_no_entropy(void)
{
	static const agentassert_instance instance = {"dual_header", "installation", "harness", "role"};
	struct set_up *s = prepare();
	s->options.entropy = no_entropy;
	s->manager = open_manager(s);
	agentassert_authorization *a = ask(s->manager, "models", NULL);
	CHECK(a && strcmp(a->mode, "bearer") == 0 && s->backend.agent_count == 0, "nothing is registered");
	agentassert_authorization_free(a);
	agentassert_manager_free(s->manager);
	s->options.profile = "instances";
	s->options.auth_api_url = BACKEND_REGISTRAR;
	s->options.instance = &instance;
	s->manager = open_manager(s);
	check_ask(s, "no id for an assertion", "models", NULL, "no_entropy");
	tear_down(s);
}

static void test_bad_options(void)
{
	static const char *const with_port[] = {"a:1", NULL};
	struct set_up *s = prepare();
	agentassert_manager_options good = s->options;
	agentassert_store lacking = *s->store;
	lacking.swap = NULL;
	struct {
		const char *name;
		agentassert_manager_options options;
		const char *want;
	} cases[16] = {
	    {"no size", good, "invalid_manager_config"},
	    {"no store", good, "invalid_manager_config"},
	    {"a store without swap", good, "invalid_manager_config"},
	    {"no credentials", good, "invalid_manager_config"},
	    {"no base URL", good, "invalid_manager_config"},
	    {"nothing that sends", good, "invalid_manager_config"},
	    {"a base URL that is none", good, "invalid_base_url"},
	    {"no encryption", good, "insecure_base_url"},
	    {"none to where agents register", good, "insecure_base_url"},
	    {"a trusted host with a port", good, "invalid_trusted_host"},
	    {"text that is not Unicode", good, "invalid_request"},
	    {"this machine", good, ""},
	    {"this machine by its address", good, ""},
	};
	cases[0].options.size = 0;
	cases[1].options.store = NULL;
	cases[2].options.store = &lacking;
	cases[3].options.credentials = NULL;
	cases[4].options.base_url = NULL;
	cases[5].options.send = NULL;
	cases[6].options.base_url = "chatgpt.com";
	cases[7].options.allow_http = 0;
	cases[8].options.allow_http = 0;
	cases[8].options.base_url = "https://chatgpt.com";
	cases[8].options.auth_api_url = "http://auth.example";
	cases[9].options.trusted_hosts = with_port;
	cases[10].options.base_url = "https://a\xff";
	cases[11].options.allow_http = 0;
	cases[11].options.base_url = "http://localhost:1/x";
	cases[12].options.allow_http = 0;
	cases[12].options.base_url = "http://[::1]:8080";
	for (size_t i = 0; i < 13; i++) {
		agentassert_manager *manager;
		agentassert_error error = {{0}, {0}};
		agentassert_manager_open(core, &cases[i].options, &manager, &error);
		CHECK(strcmp(error.code, cases[i].want) == 0, "%s: %s, not %s", cases[i].name, error.code,
		      cases[i].want);
		CHECK((manager == NULL) == (*cases[i].want != 0), "%s", cases[i].name);
		agentassert_manager_free(manager);
	}
	agentassert_manager *manager;
	CHECK(agentassert_manager_open(NULL, &good, &manager, NULL) == -1 && !manager, "no core");
	CHECK(agentassert_manager_open(core, NULL, &manager, NULL) == -1 && !manager, "no options");

	s->options.profile = "authapi";
	s->manager = open_manager(s);
	check_ask(s, "a profile that there is not", "models", NULL, "invalid_config");
	tear_down(s);
}

/* A core that takes another backend for the configured one. */
static int lie(agentassert *asked, aa_arena *arena, const char *method, const aa_value *params, aa_value **result,
	       agentassert_error *error)
{
	if (strcmp(method, "base_url.normalize") != 0) {
		return aa_call(asked, arena, method, params, result, error);
	}
	*result = aa_set(aa_map(arena), "base_url", aa_text(arena, AA_LITERAL("http://evil.example/backend-api")));
	return 0;
}

static void test_lying_core(void)
{
	struct set_up *s = prepare();
	agentassert_error error = {{0}, {0}};
	CHECK(aa_manager_open(core, lie, &s->options, &s->manager, &error) == -1, "another backend");
	CHECK(strcmp(error.code, "policy_violation") == 0 && !strstr(error.message, "evil"), "%s", error.message);
	tear_down(s);
}

static int credentials_that_change(void *self, const agentassert_context *context,
				   agentassert_credentials_answer *answer, agentassert_error *error)
{
	(void)context;
	(void)error;
	const agentassert_credentials *given = self;
	if (given) {
		agentassert_answer_credentials(answer, given);
	}
	return 0;
}

static void test_asked_credentials(void)
{
	agentassert_credentials given = {
	    .kind = "api-key", .problem_code = "api_key_sign_in", .problem_message = "sign in"};
	struct set_up *s = prepare();
	s->options.credentials = NULL;
	s->options.ask_credentials = credentials_that_change;
	s->options.ask_credentials_self = &given;
	s->manager = open_manager(s);
	check_ask(s, "why nobody is signed in", "models", NULL, "none no-chatgpt-credentials  api_key_sign_in");
	/* Such a turn goes out as it is. */
	check_ask(s, "is no failure of a turn", "responses", "a", "none no-chatgpt-credentials  api_key_sign_in");
	given = credentials;
	check_ask(s, "within the second", "models", NULL, "none no-chatgpt-credentials  api_key_sign_in");
	backend_sleep(&s->backend, 1);
	check_ask(s, "in the next", "models", NULL, "agent-assertion background-task task-1");
	given = (agentassert_credentials){.kind = "secret"};
	backend_sleep(&s->backend, 1);
	check_ask(s, "credentials that are none", "models", NULL, "invalid_credentials");
	tear_down(s);

	s = prepare();
	s->options.credentials = NULL;
	s->options.ask_credentials = credentials_that_change;
	s->manager = open_manager(s);
	check_ask(s, "nobody", "models", NULL, "none no-chatgpt-credentials");
	tear_down(s);
}

static void test_on_authorization(void)
{
	int count = 0;
	struct set_up *s = prepare();
	s->options.on_authorization = count_answers;
	s->options.on_authorization_self = &count;
	s->manager = open_manager(s);
	for (int i = 0; i < 3; i++) {
		agentassert_authorization_free(ask(s->manager, "models", NULL));
	}
	CHECK(count == 1, "%d", count);
	tear_down(s);
}

int main(void)
{
	agentassert_error error;
	REQUIRE(agentassert_open(NULL, &core, &error) == 0, "%s", error.message);
	test_who_gets_what();
	test_single_flight();
	test_whose_thread();
	test_reuse();
	test_headers();
	test_threads();
	test_recovery();
	test_no_loop();
	test_many_recover_once();
	test_failing_backends();
	test_giving_up();
	test_closing();
	test_surfaces_of_a_thread();
	test_jwt_identity();
	test_failing_stores();
	test_failures_that_cannot_be_saved();
	test_read_only();
	test_instances();
	test_routing();
	test_no_entropy();
	test_bad_options();
	test_lying_core();
	test_asked_credentials();
	test_on_authorization();
	agentassert_close(core);
	return test_result();
}
