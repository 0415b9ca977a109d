/* Tests of requests by libcurl, against a server that answers with whatever bytes. */
#define _DEFAULT_SOURCE
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agentassert_curl.h"
#include "check.h"
#include "clock.h"
#include "context.h"
#include "exchange.h"
#include "text.h"

/* A server for one connection. */
static struct {
	int listener;
	char origin[64];
	const char *answer; /* NULL for none */
	int waits;          /* until the client is gone */
	int is_hasty;       /* answers to whatever comes first */
	char request[8192];
} server;

static void listen_somewhere(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	server.listener = socket(AF_INET, SOCK_STREAM, 0);
	REQUIRE(!bind(server.listener, (struct sockaddr *)&address, size) && !listen(server.listener, 8) &&
		    !getsockname(server.listener, (struct sockaddr *)&address, &size),
		"a server");
	snprintf(server.origin, sizeof server.origin, "http://127.0.0.1:%d", ntohs(address.sin_port));
}

/* Whether a request is there as a whole: none of those here has a body with a blank line in it. */
static int is_whole(const char *request)
{
	const char *end = strstr(request, "\r\n\r\n");
	return end && (strncmp(request, "POST", 4) != 0 || end[4]);
}

static void *serve(void *self)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE); /* for clients that are gone; there is one thread for each */
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	size_t size = 0;
	char rest[256];
	int connection = accept(server.listener, NULL, NULL);
	(void)self;
	memset(server.request, 0, sizeof server.request);
	while (size < sizeof server.request - 1 && !is_whole(server.request)) {
		ssize_t n = read(connection, server.request + size, sizeof server.request - 1 - size);
		if (n <= 0) {
			break;
		}
		size += (size_t)n;
		if (server.is_hasty) {
			break;
		}
	}
	for (size_t sent = 0; server.answer && sent < strlen(server.answer);) {
		ssize_t n = send(connection, server.answer + sent, strlen(server.answer) - sent, 0);
		if (n <= 0) {
			break;
		}
		sent += (size_t)n;
	}
	while (server.waits && read(connection, rest, sizeof rest) > 0) {
	}
	close(connection);
	return NULL;
}

#define OK "HTTP/1.1 200 OK\r\n"

static const struct {
	const char *name, *answer, *want; /* "200 body date", or a failure */
	int waits;
} answers[] = {
    {"a body", OK "Date: today\r\nContent-Length: 4\r\n\r\nbody", "200 body today", 0},
    {"no body", OK "DATE:  today \r\nOther: x\r\nContent-Length: 0\r\n\r\n", "200  today", 0},
    {"a field that stands twice", OK "Date: first\r\nDate: second\r\nContent-Length: 0\r\n\r\n", "200  first", 0},
    {"an interim response", "HTTP/1.1 103 Early Hints\r\nDate: early\r\n\r\n" OK "Content-Length: 2\r\n\r\nok",
     "200 ok ", 0},
    {"a status that is no success", "HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno", "503 no ", 0},
    {"a redirect", "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "302  ", 0},
    {"chunks", OK "Transfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n", "200 body ", 0},
    {"too much", OK "Content-Length: 17\r\n\r\n01234567890123456", "too-large", 0},
    {"too much in chunks", OK "Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
     "too-large", 0},
    {"just as much", OK "Content-Length: 16\r\n\r\n0123456789012345", "200 0123456789012345 ", 0},
    {"a body that is cut off", OK "Content-Length: 10\r\n\r\nhalf", "connect", 0},
    {"nothing", NULL, "connect", 0},
    {"no HTTP", "220 mail.example ESMTP\r\n", "connect", 0},
    {"an encoding that nobody knows", OK "Content-Encoding: secret\r\nContent-Length: 1\r\n\r\nx", "connect", 0},
    {"no answer in time", NULL, "timeout", 1},
    {"half an answer in time", OK "Content-Length: 10\r\n\r\nhalf", "timeout", 1},
};

/* Sends a request, and returns what it came to as text. */
static const char *exchange(aa_arena *arena, const char *method, const char *url, int64_t timeout_ms,
			    const agentassert_context *context, agentassert_error *error)
{
	const aa_bytes wanted[] = {AA_LITERAL("date")};
	const struct aa_field fields[] = {{AA_LITERAL("authorization"), AA_LITERAL("Bearer secret-token")},
					  {AA_LITERAL("content-type"), AA_LITERAL("application/json")}};
	const struct aa_request request = {
	    .method = aa_text_of(method),
	    .url = aa_text_of(url),
	    .fields = fields,
	    .field_count = 2,
	    .body = strcmp(method, "POST") == 0 ? AA_LITERAL("{\"a\":1}") : (aa_bytes){NULL, 0},
	    .timeout_ms = timeout_ms,
	    .size_limit = 16,
	    .response_headers = wanted,
	    .response_header_count = 1,
	};
	agentassert_curl_options options = {.size = sizeof options, .proxy = ""};
	*error = (agentassert_error){{0}, {0}};
	const aa_value *event = aa_exchange(arena, agentassert_curl_send, &options, &request, context, error);
	REQUIRE(event, "memory");
	CHECK(!strstr(error->message, "secret"), "%s", error->message);
	if (aa_is(aa_get_text(event, "type"), "failed")) {
		return aa_copy(arena, aa_get_text(event, "failure")).data;
	}
	const aa_value *headers = aa_get_array(event, "headers");
	aa_bytes body = aa_get_binary(event, "body"), date = aa_get_text(headers ? headers->first : NULL, "value");
	return aa_format(arena, "%d %.*s %.*s", (int)aa_get_integer(event, "status"), (int)body.size,
			 body.data ? body.data : "", (int)date.size, date.data)
	    .data;
}

static void test_answers(void)
{
	const agentassert_context context = {.deadline = AA_NEVER};
	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
		pthread_t thread;
		agentassert_error error;
		aa_arena *arena = aa_arena_new();
		const char *method = i % 2 ? "POST" : "GET";
		server.answer = answers[i].answer;
		server.waits = answers[i].waits;
		pthread_create(&thread, NULL, serve, NULL);
		const char *got = exchange(arena, method, aa_format(arena, "%s/a/../b", server.origin).data,
					   answers[i].waits ? 200 : 30000, &context, &error);
		pthread_join(thread, NULL);
		CHECK(strcmp(got, answers[i].want) == 0, "%s: %s (%s)", answers[i].name, got, error.message);
		const char *line = aa_format(arena, "%s /a/../b HTTP/1.1\r\n", method).data;
		CHECK(strncmp(server.request, line, strlen(line)) == 0, "%s: %s", answers[i].name, server.request);
		CHECK(strstr(server.request, "authorization: Bearer secret-token\r\n"), "%s", server.request);
		CHECK(strstr(server.request, "content-type: application/json\r\n"), "%s", server.request);
		CHECK(!strstr(server.request, "100-continue"), "%s", server.request);
		CHECK(i % 2 == 0 || strstr(server.request, "\r\n\r\n{\"a\":1}"), "%s", server.request);
		aa_arena_free(arena);
	}
}

static void test_no_server(void)
{
	const agentassert_context context = {.deadline = AA_NEVER};
	aa_arena *arena = aa_arena_new();
	agentassert_error error;
	/* A server that speaks no TLS. */
	pthread_t thread;
	server.answer = "220 no\r\n\r\n";
	server.waits = 0;
	server.is_hasty = 1;
	pthread_create(&thread, NULL, serve, NULL);
	const char *url = aa_format(arena, "https%s/", server.origin + 4).data;
	const char *got = exchange(arena, "GET", url, 30000, &context, &error);
	shutdown(server.listener, SHUT_RDWR);
	pthread_join(thread, NULL);
	CHECK(strcmp(got, "tls") == 0, "no TLS: %s (%s)", got, error.message);
	close(server.listener);
	/* Nobody listens there any more. */
	got = exchange(arena, "GET", server.origin, 30000, &context, &error);
	CHECK(strcmp(got, "connect") == 0 && *error.message, "nobody: %s (%s)", got, error.message);
	got = exchange(arena, "GET", "http://name.invalid/", 30000, &context, &error);
	CHECK(strcmp(got, "connect") == 0, "no such name: %s (%s)", got, error.message);
	got = exchange(arena, "GET", "file:///etc/passwd", 30000, &context, &error);
	CHECK(strcmp(got, "connect") == 0, "another protocol: %s", got);
	aa_arena_free(arena);
}

static void test_canceled(void)
{
	struct aa_cancel cancel;
	aa_cancel_init(&cancel);
	const agentassert_context context = {.cancel = &cancel, .deadline = aa_monotonic_after(300)};
	aa_arena *arena = aa_arena_new();
	agentassert_error error;
	pthread_t thread;
	server.answer = NULL;
	server.waits = 1;
	pthread_create(&thread, NULL, serve, NULL);
	int64_t before = aa_monotonic();
	const char *got = exchange(arena, "GET", server.origin, 30000, &context, &error);
	CHECK(strcmp(got, "canceled") == 0, "%s (%s)", got, error.message);
	CHECK(aa_monotonic() - before < 20000, "it is given up long before its time-out");
	pthread_join(thread, NULL);
	aa_cancel(&cancel);
	got = exchange(arena, "GET", server.origin, 30000, &context, &error);
	CHECK(strcmp(got, "canceled") == 0, "before it was sent: %s", got);
	aa_cancel_destroy(&cancel);
	aa_arena_free(arena);
}

int main(void)
{
	listen_somewhere();
	test_answers();
	test_canceled();
	test_no_server();
	return test_result();
}
