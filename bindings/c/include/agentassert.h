/* agentassert: "Authorization: AgentAssertion …" for C, and whatever calls C.
 *
 * Text is UTF-8 and ends with a zero byte, unless a size stands beside it. Times are Unix
 * seconds. Functions return 0, or -1 with the error filled in, which may be NULL; what they
 * would have handed out is then NULL or 0. */
#ifndef AGENTASSERT_H
#define AGENTASSERT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define AGENTASSERT_API
#else
#define AGENTASSERT_API __attribute__((visibility("default")))
#endif

/* The version of this header. agentassert_version has the library's. */
#define AGENTASSERT_VERSION "0.1.0"

/* How much of its stack a thread has to have left when it calls a function of this header, in
 * bytes. The core uses less; it is stopped with sandbox_failed where it would use more. */
#define AGENTASSERT_STACK_SIZE (256 * 1024)

/* How far a timestamp may be from the verifier's clock, either way, where there is no reason
 * for another number, in seconds. */
#define AGENTASSERT_DEFAULT_SKEW 300

/* The core: the sandboxed module and a pool of its instances. Threads can share one. */
typedef struct agentassert agentassert;

/* What went wrong. The code is stable, and the same in every language; the message is for
 * people. Both end with a zero byte; neither holds a secret. */
typedef struct agentassert_error {
	char code[64];
	char message[448];
} agentassert_error;

/* How a core is opened. What is zero is as it is by default. */
typedef struct agentassert_options {
	size_t size; /* sizeof(agentassert_options) */
	/* How many calls can be answered at the same time: others wait. Each takes an instance,
	 * which is made when it is needed first, and then kept: some 9 MiB. By default as many as
	 * there are processors, up to 16; at most 1024. */
	size_t instances;
	/* The most memory of an instance, in pages of 64 KiB: 160 to 512, by default 512. */
	size_t memory_pages;
} agentassert_options;

/* Returns the version of the library. */
AGENTASSERT_API const char *agentassert_version(void);

/* Returns the SHA-256 of the module that the library was made from, in hexadecimal. */
AGENTASSERT_API const char *agentassert_module_sha256(void);

/* Opens a core, and makes its first instance. The options may be NULL.
 *
 * Errors: invalid_request (options), abi_version, invalid_module, sandbox_failed (no memory). */
AGENTASSERT_API int agentassert_open(const agentassert_options *options, agentassert **core, agentassert_error *error);

/* Overwrites the memory of all instances with zeroes and frees them, and the core. Waits for
 * calls that other threads are making; none may make one afterwards. NULL is fine. */
AGENTASSERT_API void agentassert_close(agentassert *core);

/* Overwrites the memory of all instances and frees them; those that make calls now, when they
 * are over, for which it waits. The core keeps the last private key that it parsed there, and
 * what else it worked with. The next call takes a fresh instance. */
AGENTASSERT_API void agentassert_forget(agentassert *core);

/* Overwrites and frees what a function of this header has handed out. NULL is fine. */
AGENTASSERT_API void agentassert_free(void *memory);

/* All of the following are functions of their arguments alone, but for entropy that they draw,
 * and safe for concurrent use. Each can fail with sandbox_failed: there is no memory, or the
 * module trapped, and its instance was thrown away; and with invalid_request, for an argument
 * that is NULL, not UTF-8, or too large. */

/* Makes a key from 32 bytes of entropy, in the profile "auth-api" from 64. Without a profile,
 * which may be NULL, it is "biscuit"'s; without entropy the system's is taken. The private key
 * is secret: base64 of PKCS#8. The public key is in OpenSSH form.
 *
 * Errors: invalid_entropy, no_entropy, invalid_config (the profile). */
AGENTASSERT_API int agentassert_generate_key(agentassert *core, const char *profile, const void *entropy,
					     size_t entropy_size, char **private_key, char **public_key,
					     agentassert_error *error);

/* Checks a private key, and hands out the form that is kept, and its public key. Either place
 * may be NULL.
 *
 * Errors: invalid_private_key. */
AGENTASSERT_API int agentassert_parse_key(agentassert *core, const char *private_key, char **kept_key,
					  char **public_key, agentassert_error *error);

/* Reads an Ed25519 private key in any form that is around, and hands out the form that is kept,
 * and its public key; either place may be NULL. The key is a text of that size, or a file's
 * bytes: PKCS#8 in PEM, in base64 or as DER; a JWK; OpenSSH's own form without a passphrase; the
 * seed, alone or with the public key behind it, as bytes, in base64 or in hexadecimal. 32 bytes
 * are a seed, whatever they are.
 *
 * Errors: invalid_private_key, which says what was found instead, and what to do. */
AGENTASSERT_API int agentassert_import_key(agentassert *core, const void *key, size_t key_size, char **kept_key,
					   char **public_key, agentassert_error *error);

/* The same of a public key, of which it hands out the form that the other functions take:
 * OpenSSH's form, with a comment or without; SubjectPublicKeyInfo in PEM, in base64 or as DER; a
 * JWK; the 32 bytes, as such, in base64 or in hexadecimal.
 *
 * Errors: invalid_public_key, also for a private key, which is in the wrong place there. */
AGENTASSERT_API int agentassert_import_public_key(agentassert *core, const void *key, size_t key_size,
						  char **public_key, agentassert_error *error);

/* Hands out a private key, which is secret, in a form that other software reads: "pkcs8-v1"
 * (base64 of PKCS#8 version 1, which OpenSSL 3.0 reads), "pem" (the same in PEM), "jwk",
 * "openssh", or "raw" (the 32 bytes of the seed). The size is without the zero behind it, and
 * may be NULL for a text.
 *
 * Errors: invalid_private_key, invalid_config (the format). */
AGENTASSERT_API int agentassert_export_key(agentassert *core, const char *private_key, const char *format,
					   char **exported, size_t *size, agentassert_error *error);

/* The same of a public key: "spki" (base64 of SubjectPublicKeyInfo), "pem", "jwk" or "raw".
 *
 * Errors: invalid_public_key, invalid_config. */
AGENTASSERT_API int agentassert_export_public_key(agentassert *core, const char *public_key, const char *format,
						  char **exported, size_t *size, agentassert_error *error);

/* Hands out the value of the header field Authorization for a call that is made now:
 * "AgentAssertion …". It stays the same until the end of this second, which valid_until names;
 * that may be NULL.
 *
 * Errors: invalid_private_key, invalid_agent_runtime_id, invalid_task_id, invalid_time. */
AGENTASSERT_API int agentassert_assert(agentassert *core, const char *private_key, const char *agent_runtime_id,
				       const char *task_id, int64_t now, char **header, int64_t *valid_until,
				       agentassert_error *error);

/* Hands out the assertion of a runtime agent instance for one request that is made now: what
 * X-OpenAI-Agent-Assertion carries and, behind "AgentAssertion ", Authorization. Its id is made
 * of 16 bytes of entropy, other ones for each request; where they are NULL, the system's.
 *
 * Errors: invalid_private_key, invalid_agent_runtime_id, invalid_time, invalid_entropy,
 * no_entropy. */
AGENTASSERT_API int agentassert_assert_instance(agentassert *core, const char *private_key,
						const char *runtime_agent_instance, int64_t now, const void *entropy,
						size_t entropy_size, char **value, agentassert_error *error);

/* What an assertion says. Text that its form does not have is NULL. */
typedef struct agentassert_inspection {
	const char *form; /* "task" or "instance" */
	/* Whether it is, byte for byte, as the client would have written it. */
	int canonical;
	const char *agent_runtime_id;       /* of a task's */
	const char *task_id;                /* of a task's */
	const char *timestamp;              /* of a task's: RFC 3339, UTC, whole seconds */
	const char *runtime_agent_instance; /* of an instance's */
	int64_t iat;                        /* of an instance's: when it was made */
	const char *id;                     /* of an instance's: no two have the same */
	const char *signature;              /* base64, or of an instance's base64url */
} agentassert_inspection;

/* Takes the value of Authorization, or of X-OpenAI-Agent-Assertion, apart, without checking
 * its signature. agentassert_free frees the inspection.
 *
 * Errors: invalid_assertion; also for one with U+0000 in it, which agentassert_call can read. */
AGENTASSERT_API int agentassert_inspect(agentassert *core, const char *header, agentassert_inspection **inspection,
					agentassert_error *error);

/* Checks the signature of a task's assertion, and that its timestamp is within skew seconds of
 * now. Hands out what it says, unless the place is NULL; agentassert_free frees it.
 *
 * Errors: bad_signature, timestamp_skew, invalid_assertion, invalid_public_key, invalid_skew,
 * invalid_time. */
AGENTASSERT_API int agentassert_verify(agentassert *core, const char *public_key, const char *header, int64_t now,
				       int64_t skew, agentassert_inspection **inspection, agentassert_error *error);

/* The same for the assertion of a runtime agent instance. That it was not used before is for
 * the caller to check, by its id. */
AGENTASSERT_API int agentassert_verify_instance(agentassert *core, const char *public_key, const char *header,
						int64_t now, int64_t skew, agentassert_inspection **inspection,
						agentassert_error *error);

/* Hands out the proof that registers a task: a signature in base64, and the timestamp that it
 * is of.
 *
 * Errors: invalid_private_key, invalid_agent_runtime_id, invalid_time. */
AGENTASSERT_API int agentassert_sign_registration(agentassert *core, const char *private_key,
						  const char *agent_runtime_id, int64_t now, char **signature,
						  char **timestamp, agentassert_error *error);

/* Checks such a proof.
 *
 * Errors: bad_signature, timestamp_skew, invalid_public_key, invalid_agent_runtime_id,
 * invalid_registration, invalid_time, invalid_skew. */
AGENTASSERT_API int agentassert_verify_registration(agentassert *core, const char *public_key,
						    const char *agent_runtime_id, const char *signature,
						    const char *timestamp, int64_t now, int64_t skew,
						    agentassert_error *error);

/* Seals a task's id for an agent's public key: base64 of a sealed box. It takes 32 bytes of
 * entropy; where they are NULL, the system's.
 *
 * Errors: invalid_public_key, invalid_task_id, invalid_entropy, no_entropy. */
AGENTASSERT_API int agentassert_seal_task_id(agentassert *core, const char *public_key, const char *task_id,
					     const void *entropy, size_t entropy_size, char **encrypted_task_id,
					     agentassert_error *error);

/* Opens a sealed task id.
 *
 * Errors: invalid_private_key, invalid_sealed_task_id, invalid_task_id. */
AGENTASSERT_API int agentassert_open_task_id(agentassert *core, const char *private_key, const char *encrypted_task_id,
					     char **task_id, agentassert_error *error);

/* Calls any method of the ABI, in JSON: wasm/ABI.md says what there is. Byte strings are
 * {"hex": "…"} or {"utf8": "…"}, and {"hex": "…"} in results; numbers are integers; there is
 * no null. The result, too, ends with a zero byte; U+0000 is escaped in it.
 *
 * Errors: the method's; invalid_request, for what is no JSON, or none that a message can hold. */
AGENTASSERT_API int agentassert_call_json(agentassert *core, const char *method, const char *params, char **result,
					  agentassert_error *error);

/* The same in CBOR, as the ABI has it: RFC 8949, core deterministic. */
AGENTASSERT_API int agentassert_call(agentassert *core, const char *method, const void *params, size_t params_size,
				     void **result, size_t *result_size, agentassert_error *error);

/* Answers one encoded request, {"method": …, "params": …}, with the encoded response, {"ok": …}
 * or {"error": …}: the ABI itself, for those who bring a codec of their own. An error of the
 * core's is a response. A request has 1 byte to 1 MiB. */
AGENTASSERT_API int agentassert_exchange(agentassert *core, const void *request, size_t request_size, void **response,
					 size_t *response_size, agentassert_error *error);

#ifdef __cplusplus
}
#endif

#endif
