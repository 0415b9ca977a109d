#define _DEFAULT_SOURCE
#include "agentassert_curl.h"

#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* How long a request goes on that is canceled, in milliseconds. */
enum { longest_poll = 50 };

/* Prepares libcurl, once. Others in the program may do so, too: it counts. */
static int prepare(void)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static int is_done;
	pthread_mutex_lock(&mutex);
	is_done = is_done || curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
	int done = is_done;
	pthread_mutex_unlock(&mutex);
	return done ? 0 : -1;
}

static size_t take_header(char *line, size_t size, size_t count, void *self)
{
	agentassert_http_response *response = self;
	size *= count;
	if (size > 5 && memcmp(line, "HTTP/", 5) == 0) {
		/* Each response begins with one, interim ones too: only the last counts. */
		const char *space = memchr(line, ' ', size);
		int status = space ? atoi(space + 1) : 0;
		agentassert_http_response_status(response, status);
		return size;
	}
	const char *colon = memchr(line, ':', size);
	if (colon) {
		const char *value = colon + 1, *end = line + size;
		while (value < end && (*value == ' ' || *value == '\t')) {
			value++;
		}
		while (end > value && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' ' || end[-1] == '\t')) {
			end--;
		}
		agentassert_http_response_header(response, line, (size_t)(colon - line), value, (size_t)(end - value));
	}
	return size;
}

static size_t take_body(char *data, size_t size, size_t count, void *self)
{
	return agentassert_http_response_body(self, data, size * count) ? 0 : size * count;
}

/* Overwrites and frees header fields. */
static void free_headers(struct curl_slist *headers)
{
	for (struct curl_slist *each = headers; each; each = each->next) {
		for (volatile char *c = each->data; *c; c++) {
			*c = 0;
		}
	}
	curl_slist_free_all(headers);
}

/* Returns the request's header fields as libcurl takes them, or NULL if there is no memory. */
static struct curl_slist *headers_of(const agentassert_http_request *request)
{
	/* Without it libcurl waits for leave to send a body. */
	struct curl_slist *list = curl_slist_append(NULL, "expect:");
	for (size_t i = 0; list && i < request->header_count; i++) {
		const agentassert_header *header = &request->headers[i];
		size_t name = strlen(header->name), value = strlen(header->value);
		char *line = malloc(name + value + 3);
		struct curl_slist *longer = NULL;
		if (line) {
			memcpy(line, header->name, name);
			memcpy(line + name, ": ", 2);
			memcpy(line + name + 2, header->value, value + 1);
			longer = curl_slist_append(list, line);
			for (volatile char *c = line; *c; c++) {
				*c = 0;
			}
		}
		free(line);
		if (!longer) {
			free_headers(list);
		}
		list = longer;
	}
	return list;
}

static const char *in_environment(const char *name)
{
	const char *value = getenv(name);
	return value && *value ? value : NULL;
}

/* Says where requests go, and whom they trust. */
static CURLcode set_route(CURL *curl, const agentassert_curl_options *options)
{
	const char *ca_file = options->ca_file;
	if (!ca_file) {
		ca_file = in_environment("CURL_CA_BUNDLE");
	}
	if (!ca_file) {
		ca_file = in_environment("SSL_CERT_FILE");
	}
	CURLcode code = ca_file ? curl_easy_setopt(curl, CURLOPT_CAINFO, ca_file) : CURLE_OK;
	if (code == CURLE_OK && options->proxy) {
		code = curl_easy_setopt(curl, CURLOPT_PROXY, options->proxy);
	}
	if (code == CURLE_OK) {
		code =
		    curl_easy_setopt(curl, CURLOPT_USERAGENT,
				     options->user_agent ? options->user_agent : "agentassert-c/" AGENTASSERT_VERSION);
	}
	return code;
}

/* Says what is sent, and what becomes of the answer. It follows no redirect and has no cookies, for that
 * is how libcurl begins. */
static CURLcode set_request(CURL *curl, const agentassert_http_request *request, struct curl_slist *headers,
			    agentassert_http_response *response)
{
	CURLcode codes[] = {
	    curl_easy_setopt(curl, CURLOPT_URL, request->url),
#if LIBCURL_VERSION_NUM >= 0x075500
	    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https"),
#else
	    curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS)),
#endif
	    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L),
	    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L),
	    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms),
	    curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, ""),
	    curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L),
	    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers),
	    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header),
	    curl_easy_setopt(curl, CURLOPT_HEADERDATA, response),
	    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body),
	    curl_easy_setopt(curl, CURLOPT_WRITEDATA, response),
	};
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		if (codes[i] != CURLE_OK) {
			return codes[i];
		}
	}
	if (strcmp(request->method, "POST") != 0) {
		return CURLE_OK;
	}
	CURLcode code = curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)request->body_size);
	return code == CURLE_OK ? curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body ? request->body : "") : code;
}

static agentassert_sent sent_of(CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return AGENTASSERT_SENT;
	case CURLE_OPERATION_TIMEDOUT:
		return AGENTASSERT_TIMEOUT;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CRL_BADFILE:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return AGENTASSERT_TLS;
	default:
		return AGENTASSERT_CONNECT; /* a body that is too large is known to whoever refused it */
	}
}

/* Sends what is set, until it is over or canceled. */
static agentassert_sent perform(CURLM *multi, CURL *curl, agentassert_http_response *response,
				const agentassert_context *context)
{
	int running = 1;
	CURLMcode code = curl_multi_add_handle(multi, curl);
	while (code == CURLM_OK && running) {
		code = curl_multi_perform(multi, &running);
		if (code != CURLM_OK || !running) {
			break;
		}
		if (agentassert_context_canceled(context)) {
			return AGENTASSERT_CANCELED;
		}
		code = curl_multi_poll(multi, NULL, 0, longest_poll, NULL);
	}
	if (code != CURLM_OK) {
		agentassert_http_response_reason(response, curl_multi_strerror(code));
		return AGENTASSERT_CONNECT;
	}
	int left;
	const CURLMsg *message = curl_multi_info_read(multi, &left);
	if (!message || message->msg != CURLMSG_DONE) {
		return AGENTASSERT_CONNECT;
	}
	if (message->data.result != CURLE_OK) {
		/* The text is libcurl's own, by the code alone: it quotes nothing. */
		agentassert_http_response_reason(response, curl_easy_strerror(message->data.result));
	}
	return sent_of(message->data.result);
}

/* What this thread did with SIGPIPE. */
struct pipe_signal {
	sigset_t mask;
	int was_pending;
};

static int is_pending(void)
{
	sigset_t pending;
	return sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

/* Holds SIGPIPE back on this thread: a connection that breaks while something is sent would raise it,
 * and libcurl leaves it alone where it must not use signals. */
static void hold_pipe_signal(struct pipe_signal *before)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	before->was_pending = is_pending();
	pthread_sigmask(SIG_BLOCK, &set, &before->mask);
}

/* Takes back one that was raised meanwhile, and has the next ones be as before. */
static void release_pipe_signal(const struct pipe_signal *before)
{
	sigset_t set;
	int number;
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	if (!before->was_pending && is_pending()) {
		sigwait(&set, &number);
	}
	pthread_sigmask(SIG_SETMASK, &before->mask, NULL);
}

agentassert_sent agentassert_curl_send(void *self, const agentassert_http_request *request,
				       agentassert_http_response *response, const agentassert_context *context)
{
	agentassert_curl_options options = {.size = sizeof options};
	const agentassert_curl_options *given = self;
	if (given) {
		memcpy(&options, given, given->size < sizeof options ? given->size : sizeof options);
	}
	agentassert_sent sent = AGENTASSERT_CONNECT;
	struct pipe_signal before;
	hold_pipe_signal(&before);
	CURL *curl = prepare() ? NULL : curl_easy_init();
	CURLM *multi = curl ? curl_multi_init() : NULL;
	struct curl_slist *headers = multi ? headers_of(request) : NULL;
	if (headers) {
		CURLcode code = set_request(curl, request, headers, response);
		code = code == CURLE_OK ? set_route(curl, &options) : code;
		if (code == CURLE_OK) {
			sent = perform(multi, curl, response, context);
		} else {
			agentassert_http_response_reason(response, curl_easy_strerror(code));
		}
		curl_multi_remove_handle(multi, curl);
	}
	free_headers(headers);
	curl_easy_cleanup(curl);
	curl_multi_cleanup(multi);
	release_pipe_signal(&before);
	return sent;
}
