/* Requests of the manager's by libcurl: a library of its own, libagentassert-curl, so that the other has
 * no dependencies. */
#ifndef AGENTASSERT_CURL_H
#define AGENTASSERT_CURL_H

#include "agentassert_manager.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How requests are sent. What is 0 or NULL is as curl has it. */
typedef struct agentassert_curl_options {
	size_t size; /* sizeof(agentassert_curl_options) */
	/* A file with the certificates of those who may vouch for servers, in PEM. Absent: that of
	 * CURL_CA_BUNDLE, or else of SSL_CERT_FILE, in the environment, or the system's. */
	const char *ca_file;
	/* The URL of a proxy. Absent: that of https_proxy, http_proxy or all_proxy in the environment,
	 * unless no_proxy has the host; "" for none. */
	const char *proxy;
	/* Absent: one of this library's. */
	const char *user_agent;
} agentassert_curl_options;

/* Sends a request with libcurl. Is an agentassert_send, whose self is NULL, or an
 * agentassert_curl_options that outlives the manager. Safe for concurrent use. */
AGENTASSERT_API agentassert_sent agentassert_curl_send(void *self, const agentassert_http_request *request,
						       agentassert_http_response *response,
						       const agentassert_context *context);

#ifdef __cplusplus
}
#endif

#endif
