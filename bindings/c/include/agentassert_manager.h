/* The manager: decides which authorization a backend call gets, and gets it. It loads the
 * agent's identity, registers one if there is none, signs, and falls back to the bearer token
 * where the protocol says so. wasm/ABI.md has the rules.
 *
 * Text is UTF-8 and ends with a zero byte; NULL and "" are the same, and stand for nothing.
 * Functions return 0, or -1 with the error filled in, which may be NULL. */
#ifndef AGENTASSERT_MANAGER_H
#define AGENTASSERT_MANAGER_H

#include "agentassert.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A wait without an end, in place of a time-out. */
#define AGENTASSERT_FOREVER (-1)

/* What a callback may ask while it works. It is good until the callback returns, and any
 * thread may ask. */
typedef struct agentassert_context agentassert_context;

/* Returns 1 once nobody waits for the result any more, or no longer: return soon then. */
AGENTASSERT_API int agentassert_context_canceled(const agentassert_context *context);

/* Waits some milliseconds, or until the work is canceled. Returns 1 if it is. */
AGENTASSERT_API int agentassert_context_wait(const agentassert_context *context, int64_t milliseconds);

/* The manager's core. */
AGENTASSERT_API agentassert *agentassert_context_core(const agentassert_context *context);

/* Who is signed in: the members of the ABI's credentials, of which all but kind can be absent.
 * The problem is why there are none, or none that can be used. */
typedef struct agentassert_credentials {
	const char *kind;         /* "none", "chatgpt", "api-key", "agent-identity", "other" */
	const char *access_token; /* secret; with an API key the key */
	const char *account_id;
	const char *user_id;
	const char *email;
	const char *plan_type;
	const char *problem_code;
	const char *problem_message;
	int fedramp;
} agentassert_credentials;

/* Where a callback puts credentials, and where a store puts a record. */
typedef struct agentassert_credentials_answer agentassert_credentials_answer;
typedef struct agentassert_record_answer agentassert_record_answer;

/* Answers with a copy of credentials. */
AGENTASSERT_API void agentassert_answer_credentials(agentassert_credentials_answer *answer,
						    const agentassert_credentials *credentials);

/* Answers with a copy of a record, of at least one byte. */
AGENTASSERT_API void agentassert_answer_record(agentassert_record_answer *answer, const void *record, size_t size);

/* Keeps records between runs, in slots: "identity" holds the agent identity, "backoff" what is
 * remembered of failed registrations, "backend" which backend an identity belongs to,
 * "set-aside" identities that others have taken the place of, "thread/" and a thread's id that
 * thread's task. Records are JSON in UTF-8, and secret.
 *
 * A method returns 0, or -1 with the error filled in; without a code that is store_failed. The
 * code store_read_only says that the store can be read all the same: what it holds is then
 * used, and what a call needs beside that is kept in memory. Several threads call methods at
 * the same time. A method that waits looks at its context: the manager waits for it. */
typedef struct agentassert_store {
	size_t size; /* sizeof(agentassert_store) */
	void *self;  /* handed to each method */
	/* Answers with the record in a slot, or not at all where there is none. */
	int (*load)(void *self, const char *slot, const agentassert_context *context, agentassert_record_answer *answer,
		    agentassert_error *error);
	/* Replaces the record in a slot: whoever loads it meanwhile gets the old one or the new
	 * one, whole. */
	int (*save)(void *self, const char *slot, const void *record, size_t record_size,
		    const agentassert_context *context, agentassert_error *error);
	/* Empties a slot. */
	int (*remove)(void *self, const char *slot, const agentassert_context *context, agentassert_error *error);
	/* Replaces the record in a slot if that is still the expected one, and otherwise fails
	 * with record_changed and changes nothing; NULL, as either, stands for none. The identity
	 * is never changed in another way: others may write it, too. */
	int (*swap)(void *self, const char *slot, const void *expected, size_t expected_size, const void *record,
		    size_t record_size, const agentassert_context *context, agentassert_error *error);
	/* Waits until nobody else holds the lock of that slot, the identity's or a thread's, in
	 * this program or another, and sets what unlock is then called with, by any thread. It is
	 * held while what the slot is for is registered: for four minutes, at the worst. Loading
	 * and saving are possible without it. The locks of different slots do not wait for each
	 * other. */
	int (*lock)(void *self, const char *slot, const agentassert_context *context, void **lock,
		    agentassert_error *error);
	void (*unlock)(void *self, void *lock);
	/* Fails as saving a record in the slot would, where the store can tell by trying. It is
	 * asked before anything is registered: what cannot be kept would stay with the backend,
	 * and nobody would have it. May be NULL. */
	int (*probe)(void *self, const char *slot, const agentassert_context *context, agentassert_error *error);
	/* Answers with the credentials of who is signed in, where the store knows. May be NULL. */
	int (*credentials)(void *self, const agentassert_context *context, agentassert_credentials_answer *answer,
			   agentassert_error *error);
	/* Frees the store, this structure included. May be NULL. */
	void (*close)(void *self);
} agentassert_store;

/* Makes a store that ends with the program, and is empty. */
AGENTASSERT_API int agentassert_memory_store(agentassert_store **store, agentassert_error *error);

/* Closes a store, which no manager may use any more. NULL is fine. */
AGENTASSERT_API void agentassert_store_close(agentassert_store *store);

/* A header field. */
typedef struct agentassert_header {
	const char *name;
	const char *value;
} agentassert_header;

/* A request of a registration, for an HTTP client: one request to one URL, without redirects,
 * cookies and anything else from requests before. */
typedef struct agentassert_http_request {
	const char *method; /* "GET" or "POST" */
	const char *url;
	const agentassert_header *headers; /* names in lower case; secret */
	size_t header_count;
	const void *body; /* secret */
	size_t body_size;
	int64_t timeout_ms; /* from the look-up of the name to the body's last byte */
	size_t size_limit;  /* of the answer's body, decoded as its Content-Encoding says, in bytes */
} agentassert_http_request;

/* Where an HTTP client puts what it got. */
typedef struct agentassert_http_response agentassert_http_response;

/* Sets the status, from 100 to 599, and forgets header fields and body: for clients that are
 * told of interim responses, too. */
AGENTASSERT_API void agentassert_http_response_status(agentassert_http_response *response, int status);

/* Adds a header field. Its name is in any case. All can be handed over: what nobody asked for is
 * not kept. Of a field that stands twice the first counts. */
AGENTASSERT_API void agentassert_http_response_header(agentassert_http_response *response, const char *name,
						      size_t name_size, const char *value, size_t value_size);

/* Adds a piece of the body. Returns -1 if it is larger than it may be: give up then, with
 * AGENTASSERT_TOO_LARGE. */
AGENTASSERT_API int agentassert_http_response_body(agentassert_http_response *response, const void *data, size_t size);

/* Says in a few words why there is no response. It is shown to people: let it be a text of this
 * machine's making, and never one that quotes what was sent or received. It is copied. */
AGENTASSERT_API void agentassert_http_response_reason(agentassert_http_response *response, const char *reason);

/* What became of a request. */
typedef enum agentassert_sent {
	AGENTASSERT_SENT = 0,  /* there is a whole response, of whatever status */
	AGENTASSERT_TIMEOUT,   /* it took longer than timeout_ms */
	AGENTASSERT_CONNECT,   /* no whole response: no such name, refused, reset, cut off */
	AGENTASSERT_TLS,       /* a certificate or a hand-shake that is no good */
	AGENTASSERT_TOO_LARGE, /* a body of more than size_limit bytes */
	AGENTASSERT_CANCELED   /* given up, because the context is canceled */
} agentassert_sent;

/* Sends a request, and returns what became of it. Several threads call it at the same time. It
 * keeps to the time-out by itself, and looks at its context now and then. agentassert_curl_send
 * is one, of a library of its own. */
typedef agentassert_sent (*agentassert_send)(void *self, const agentassert_http_request *request,
					     agentassert_http_response *response, const agentassert_context *context);

/* What a call carries, and why: the ABI's authorization. It does not change. Absent text is "". */
typedef struct agentassert_authorization {
	const char *mode;             /* "none", "bearer", "agent-assertion", "dual-header" */
	const char *reason;           /* the ABI's */
	const char *header;           /* the value of Authorization; secret */
	const char *agent_assertion;  /* that of X-OpenAI-Agent-Assertion; secret, and for one request */
	const char *account_id;       /* that of ChatGPT-Account-ID */
	const char *agent_runtime_id; /* those of a task's assertion */
	const char *task_id;
	const char *runtime_agent_instance; /* that of an instance's */
	/* The origin, with https, that the call goes to in place of the base URL's, with the same
	 * path and query, and without following redirects. */
	const char *responses_origin;
	const char *account_routing_override; /* the value of X-OpenAI-Account-Routing-Override */
	const char *cause_code;               /* what failed, where something did; the call can be made all the same */
	const char *cause_message;
	const char *detail_code; /* of the cause, in the words of the store, or of the HTTP client */
	const char *detail_message;
	const char *notice_code; /* what the user should know although nothing failed; show it once */
	const char *notice_message;
	int64_t valid_until; /* the last second in which this stays right, in Unix seconds */
	int64_t retry_at;    /* after a failed registration, from when on it is tried again; or 0 */
	int fedramp;         /* whether the call goes with X-OpenAI-Fedramp: true */
} agentassert_authorization;

/* Overwrites and frees an authorization. NULL is fine. */
AGENTASSERT_API void agentassert_authorization_free(agentassert_authorization *authorization);

/* The most header fields that an authorization is about. */
#define AGENTASSERT_HEADERS 5

/* Writes down the header fields to set on the call, and returns how many. They are good as long
 * as the authorization, and secret. */
AGENTASSERT_API size_t agentassert_authorization_headers(const agentassert_authorization *authorization,
							 agentassert_header headers[AGENTASSERT_HEADERS]);

/* Writes down the names of the header fields that the call must not carry, and returns how
 * many. Who signed in with an API key sends that, so that the caller's own Authorization is not
 * among them, unless an assertion takes its place. */
AGENTASSERT_API size_t agentassert_authorization_removals(const agentassert_authorization *authorization,
							  const char *names[AGENTASSERT_HEADERS]);

/* Describes the agent to the backend. */
typedef struct agentassert_abom {
	const char *agent_version;
	const char *agent_harness_id;
	const char *running_location;
} agentassert_abom;

/* What the profile "instances" needs. */
typedef struct agentassert_instance {
	const char *header_mode; /* "dual_header" or "assertion_only" */
	const char *installation_id;
	const char *harness;
	const char *role;
} agentassert_instance;

/* How long the backend is left alone after a registration has failed, in seconds, less what chance
 * takes away: first after one failure, and twice as long after each more, up to most, 86400 at most.
 * Where both are 0 there are no pauses, and nothing is remembered of failures. */
typedef struct agentassert_pauses {
	int64_t first, most;
} agentassert_pauses;

/* An identity that arrived as a JWT, from identity_jwt.read. Its signature is the caller's to
 * verify. */
typedef struct agentassert_jwt_identity {
	const agentassert_credentials *credentials;
	const void *record; /* secret */
	size_t record_size;
} agentassert_jwt_identity;

/* Whose calls a manager authorizes, and with what. Begin with
 * AGENTASSERT_MANAGER_OPTIONS: what is 0 or NULL is absent. All is copied, but for the store and
 * what callbacks are handed. Lists end with a NULL. */
typedef struct agentassert_manager_options {
	size_t size; /* sizeof(agentassert_manager_options) */
	/* The backend's base URL, as configured; the manager normalizes it. Required. */
	const char *base_url;
	/* Keeps the agent's identity; it stays the caller's. Required. */
	const agentassert_store *store;
	/* Who is signed in. Where the store knows (agentassert_file_store does), both can be left
	 * out. The callback is asked each second in which credentials are wanted. */
	const agentassert_credentials *credentials;
	int (*ask_credentials)(void *self, const agentassert_context *context, agentassert_credentials_answer *answer,
			       agentassert_error *error);
	void *ask_credentials_self;
	/* In place of store and credentials. */
	const agentassert_jwt_identity *jwt_identity;
	/* The feature gate. While it is 0 every call gets the bearer token. */
	int agent_identity;
	/* Hosts, without port, whose background calls carry assertions too: self-hosted backends. */
	const char *const *trusted_hosts;
	/* One takes the place of the account id of the credentials. If there are several, calls of
	 * another account are not authorized at all (workspace-not-allowed). */
	const char *const *forced_workspace_ids;
	const agentassert_abom *abom; /* absent: one that says little */
	const char *profile;          /* "biscuit", "auth-api" or "instances"; absent: "biscuit" */
	/* Below it the profiles "auth-api" and "instances" register, and the tasks of a
	 * jwt_identity. Absent: that of the base URL's environment; another backend has none, and
	 * without a URL nothing is registered (no_auth_api). */
	const char *auth_api_url;
	/* Has calls on all surfaces assert in the profile "auth-api", and not only those to
	 * responses: for backends that want it. */
	int all_surfaces;
	const agentassert_instance *instance; /* for the profile "instances", which needs it */
	/* Has calls to responses go where the account's workspace is kept: the backend is asked
	 * once in a while, and a turn fails where that fails. */
	int workspace_routing;
	const agentassert_pauses *pauses; /* absent: the profile's own */
	/* What an identity is registered with, at most 16 texts of 1 to 64 bytes. Absent: the
	 * profile's own; "instances" has none. */
	const char *const *capabilities;
	/* Lets base_url and auth_api_url have http where they lead to another machine: everybody on
	 * the way can then read the user's token. This machine (localhost, 127.0.0.0/8, [::1])
	 * needs no leave. */
	int allow_http;
	/* Sends requests. Required with agent_identity and with workspace_routing. */
	agentassert_send send;
	void *send_self;
	/* The clock, in Unix seconds. Absent: the system's. */
	int64_t (*now)(void *self);
	void *now_self;
	/* Fills a buffer with entropy, and returns 0, or -1 if there is none. Absent: the system's. */
	int (*entropy)(void *self, void *buffer, size_t size);
	void *entropy_self;
	/* Called with every answer that was not just reused: for logs. The answer is good until it
	 * returns. It must not call the manager. */
	void (*on_authorization)(void *self, const agentassert_authorization *authorization, const char *surface);
	void *on_authorization_self;
} agentassert_manager_options;

#define AGENTASSERT_MANAGER_OPTIONS {.size = sizeof(agentassert_manager_options)}

/* Any number of threads can use a manager at once. */
typedef struct agentassert_manager agentassert_manager;

/* Opens a manager. It makes no request, and touches no store, until it is asked. The core
 * stays the caller's, and several managers can share one.
 *
 * Errors: invalid_manager_config, invalid_base_url, insecure_base_url, invalid_trusted_host,
 * policy_violation. */
AGENTASSERT_API int agentassert_manager_open(agentassert *core, const agentassert_manager_options *options,
					     agentassert_manager **manager, agentassert_error *error);

/* The normalized base URL, below which the surfaces' paths are. It is the manager's. */
AGENTASSERT_API const char *agentassert_manager_base_url(const agentassert_manager *manager);

/* Gets what a call on a surface carries now. A surface of scope "thread" needs the
 * conversation's id, up to 4096 bytes of the harness's choice, and all others have none: NULL.
 * Where the agent cannot be had the answer is the bearer token, or nothing, and its cause says
 * why: that is no error. On a thread's surface it is one, because a conversation does not change
 * from the agent to the user in its middle.
 *
 * The first call may register an identity and a task, which can take as long as the backend
 * does; calls at the same time wait for the same registration. Within one second the answer is
 * kept; of one with a runtime agent instance each call gets another assertion.
 *
 * timeout_ms bounds the wait, and not the registration: others may wait for the same one. With
 * AGENTASSERT_FOREVER the calling thread may do the work itself, and call the callbacks; with a
 * bound another thread does, of the manager's. Programs whose callbacks have to be called by
 * their own threads (interpreters, by an FFI) give no bound.
 *
 * Errors: unknown_surface, thread_surface, invalid_thread_id, thread_failed, canceled, closed,
 * credentials_failed, no_entropy, policy_violation; those of the core, and of ask_credentials. */
AGENTASSERT_API int agentassert_manager_authorization(agentassert_manager *manager, const char *surface,
						      const char *thread, int64_t timeout_ms,
						      agentassert_authorization **authorization,
						      agentassert_error *error);

/* Gets the bearer token's authorization: what a bootstrap call carries. */
AGENTASSERT_API int agentassert_manager_bearer(agentassert_manager *manager, int64_t timeout_ms,
					       agentassert_authorization **authorization, agentassert_error *error);

/* Registers what background calls will need, or the task of a conversation, so that the first
 * call does not wait. That background calls cannot have it is no error. */
AGENTASSERT_API int agentassert_manager_prewarm(agentassert_manager *manager, const char *thread, int64_t timeout_ms,
						agentassert_error *error);

/* What the backend has answered to an assertion: the header field Date, or NULL, and the body,
 * of which up to 64 KiB are looked at. */
typedef struct agentassert_refusal {
	const char *date;
	const void *body;
	size_t body_size;
} agentassert_refusal;

/* Gets what a call carries in place of an assertion that the backend has answered with 401. It
 * drops that assertion's task, if it is still the stored one, and registers another; of any
 * number of calls that were rejected with one task, one registers. It is the same with a runtime
 * agent instance, in this manager. Of any other authorization, and of another manager's, a copy
 * comes back: a rejected bearer token says nothing about a task. Send the call once more with
 * the answer, if its mode has an assertion.
 *
 * The refusal, which may be NULL, says more: that the backend does not know the agent, whose
 * identity is then replaced, or that a clock is wrong, which costs no task.
 *
 * Its errors are those of agentassert_manager_authorization. */
AGENTASSERT_API int agentassert_manager_recover(agentassert_manager *manager, const agentassert_authorization *rejected,
						const agentassert_refusal *refusal, int64_t timeout_ms,
						agentassert_authorization **authorization, agentassert_error *error);

/* Removes the stored task of a conversation that is over. The next call of it registers another;
 * none may be under way. Errors: closed, and the store's. */
AGENTASSERT_API int agentassert_manager_forget(agentassert_manager *manager, const char *thread,
					       agentassert_error *error);

/* How an MCP client is configured for the apps' server: with the URL, and the header fields of an
 * authorization, in which an explicit value of Authorization takes the bearer token's place. The URL is
 * for agentassert_free. */
AGENTASSERT_API int agentassert_manager_apps_mcp_server(agentassert_manager *manager,
							const char *explicit_authorization, int64_t timeout_ms,
							char **url, agentassert_authorization **authorization,
							agentassert_error *error);

/* Ends what is under way, and waits for it. The store's locks are free then, what the manager
 * knew is forgotten, and so is what the core did; other managers can go on using that. Calls
 * after it end with the error closed. */
AGENTASSERT_API void agentassert_manager_close(agentassert_manager *manager);

/* Closes a manager, if it is not closed, and frees it. Nobody may use it any more. NULL is
 * fine. */
AGENTASSERT_API void agentassert_manager_free(agentassert_manager *manager);

#ifdef __cplusplus
}
#endif

#endif
