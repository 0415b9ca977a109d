/* The calls, with the vectors' values, and what they refuse. */
#include <stdlib.h>
#include <string.h>

#include "agentassert.h"
#include "captured.h"
#include "check.h"

static agentassert *core;

static int same(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static void test_keys(void)
{
	/* generate-rfc-8032-test-1 and generate-auth-api-counted of testvectors/keys.json. */
	static const unsigned char seed[] = {0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a,
					     0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32,
					     0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60};
	unsigned char counted[64];
	for (unsigned i = 0; i < sizeof counted; i++) {
		counted[i] = (unsigned char)i;
	}
	static const char rfc_key[] =
	    "MFECAQEwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9ggSEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIa"
	    "aPcHURo=";
	agentassert_error error;
	char *private_key, *public_key;
	CHECK(agentassert_generate_key(core, NULL, seed, sizeof seed, &private_key, &public_key, &error) == 0, "%s",
	      error.message);
	CHECK(same(private_key, rfc_key), "%s", private_key);
	CHECK(same(public_key, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"),
	      "%s", public_key);
	char *kept, *again;
	CHECK(agentassert_parse_key(core, private_key, &kept, &again, &error) == 0 && same(kept, private_key) &&
		  same(again, public_key),
	      "a key is parsed");
	agentassert_free(kept);
	agentassert_free(again);
	agentassert_free(private_key);
	agentassert_free(public_key);
	CHECK(agentassert_generate_key(core, "auth-api", counted, sizeof counted, NULL, &public_key, &error) == 0 &&
		  same(public_key, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDK3hQK72E09aJPLTC+tVGoy9j67/7U8edVXCabwfHZV"),
	      "the profile's way");
	agentassert_free(public_key);
	char *first, *second;
	CHECK(agentassert_generate_key(core, "biscuit", NULL, 0, NULL, &first, &error) == 0 &&
		  agentassert_generate_key(core, "auth-api", NULL, 0, NULL, &second, &error) == 0 &&
		  strcmp(first, second) != 0,
	      "the system's entropy");
	agentassert_free(first);
	agentassert_free(second);
}

/* Of testvectors/key-forms.json: import-rfc-8037, its exports, and RFC 8410's. */
static void test_key_forms(void)
{
	static const char jwk[] = "{\"crv\":\"Ed25519\",\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\","
				  "\"kty\":\"OKP\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}";
	static const char public_jwk[] = "{\"crv\":\"Ed25519\",\"kty\":\"OKP\","
					 "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}";
	static const char v1[] = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g";
	static const char public_key[] =
	    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";
	static const char *const private_formats[] = {"pkcs8-v1", "pem", "jwk", "openssh", "raw"};
	static const char *const public_formats[] = {"spki", "pem", "jwk", "raw"};
	agentassert_error error;
	char *kept, *imported, *exported;
	size_t size;
	CHECK(agentassert_import_key(core, jwk, sizeof jwk - 1, &kept, &imported, &error) == 0, "%s", error.message);
	CHECK(same(imported, public_key), "%s", imported);
	agentassert_free(imported);
	CHECK(agentassert_export_key(core, kept, "jwk", &exported, &size, &error) == 0 && same(exported, jwk) &&
		  size == sizeof jwk - 1,
	      "the JWK");
	agentassert_free(exported);
	CHECK(agentassert_export_key(core, kept, "pkcs8-v1", &exported, NULL, &error) == 0 && same(exported, v1),
	      "version 1");
	agentassert_free(exported);
	for (size_t i = 0; i < sizeof private_formats / sizeof private_formats[0]; i++) {
		char *again;
		CHECK(agentassert_export_key(core, kept, private_formats[i], &exported, &size, &error) == 0 &&
			  agentassert_import_key(core, exported, size, &again, NULL, &error) == 0 && same(again, kept),
		      "%s: %s", private_formats[i], error.message);
		CHECK(strcmp(private_formats[i], "raw") == 0 ? size == 32 : size == strlen(exported), "%zu", size);
		agentassert_free(exported);
		agentassert_free(again);
	}
	agentassert_free(kept);
	CHECK(agentassert_export_public_key(core, public_key, "jwk", &exported, &size, &error) == 0 &&
		  same(exported, public_jwk),
	      "the public JWK");
	agentassert_free(exported);
	for (size_t i = 0; i < sizeof public_formats / sizeof public_formats[0]; i++) {
		char *again;
		CHECK(agentassert_export_public_key(core, public_key, public_formats[i], &exported, &size, &error) ==
			      0 &&
			  agentassert_import_public_key(core, exported, size, &again, &error) == 0 &&
			  same(again, public_key),
		      "%s: %s", public_formats[i], error.message);
		agentassert_free(exported);
		agentassert_free(again);
	}
	CHECK(agentassert_import_key(core, NULL, 0, &kept, NULL, &error) == -1 && same(error.code, "invalid_request"),
	      "NULL");
	CHECK(agentassert_import_key(core, "", 0, &kept, NULL, &error) == -1 &&
		  same(error.code, "invalid_private_key") && strstr(error.message, "is empty") != NULL && kept == NULL,
	      "nothing: %s", error.message);
	CHECK(agentassert_import_public_key(core, jwk, sizeof jwk - 1, &imported, &error) == -1 &&
		  same(error.code, "invalid_public_key") && strstr(error.message, "is a private key") != NULL,
	      "%s", error.message);
	CHECK(agentassert_export_key(core, "", "jwk", &exported, &size, &error) == -1 &&
		  same(error.code, "invalid_private_key") && exported == NULL && size == 0,
	      "%s", error.code);
	CHECK(agentassert_export_key(core, NULL, "jwk", &exported, &size, &error) == -1 &&
		  same(error.code, "invalid_request"),
	      "%s", error.code);
	CHECK(agentassert_export_key(core, v1, "der", &exported, &size, &error) == -1 &&
		  same(error.code, "invalid_config"),
	      "%s", error.code);
	CHECK(agentassert_export_key(core, v1, NULL, &exported, &size, &error) == -1 &&
		  same(error.code, "invalid_request"),
	      "%s", error.code);
}

static void test_assertions(void)
{
	agentassert_error error;
	char *header;
	int64_t valid_until = 0;
	CHECK(agentassert_assert(core, CAPTURED_PRIVATE_KEY, CAPTURED_AGENT, CAPTURED_TASK, CAPTURED_NOW, &header,
				 &valid_until, &error) == 0,
	      "%s", error.message);
	CHECK(same(header, CAPTURED_HEADER) && valid_until == CAPTURED_NOW, "%s", header);
	agentassert_inspection *said;
	CHECK(agentassert_verify(core, CAPTURED_PUBLIC_KEY, header, CAPTURED_NOW + 300, AGENTASSERT_DEFAULT_SKEW, &said,
				 &error) == 0,
	      "%s", error.message);
	CHECK(said != NULL && same(said->form, "task") && said->canonical == 1 &&
		  same(said->agent_runtime_id, CAPTURED_AGENT) && same(said->task_id, CAPTURED_TASK) &&
		  same(said->timestamp, CAPTURED_TIMESTAMP) && same(said->signature, CAPTURED_SIGNATURE) &&
		  said->runtime_agent_instance == NULL && said->id == NULL && said->iat == 0,
	      "what it says");
	agentassert_free(said);
	CHECK(agentassert_verify(core, CAPTURED_PUBLIC_KEY, header, CAPTURED_NOW, 0, NULL, &error) == 0,
	      "nobody wants to know what it says");
	CHECK(agentassert_verify(core, CAPTURED_PUBLIC_KEY, header, CAPTURED_NOW + 301, 300, &said, &error) == -1 &&
		  same(error.code, "timestamp_skew") && said == NULL,
	      "%s", error.code);
	CHECK(agentassert_inspect(core, header, &said, &error) == 0 && same(said->task_id, CAPTURED_TASK), "%s",
	      error.message);
	agentassert_free(said);
	agentassert_free(header);
}

static void test_instances(void)
{
	/* instance-build-usual of testvectors/instances.json. */
	static const unsigned char entropy[] = {0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
						0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f};
	static const char expected[] =
	    "1.eyJhbGciOiJFZERTQSIsInR5cCI6Im9wZW5haS1hZ2VudC1hc3NlcnRpb24randzIn0."
	    "eyJ2ZXJzaW9uIjoxLCJydW50aW1lX2FnZW50X2luc3RhbmNlIjoicmFpLTEiLCJpYXQiOjE3OTU3MjU1MjEsImlkIjoiMTAxMTEyMTMt"
	    "MTQxNS00NjE3LTk4MTktMWExYjFjMWQxZTFmIn0.mSMvlaPs0Jot1I8EZLgQtqzmxsrkA_hPQnjqw9mFrP1Iw9Aihfyj6fYv5jI4oTVU"
	    "QHg0M4VG1bA31xvCDeIxDw";
	const int64_t now = 1795725521;
	agentassert_error error;
	char *value, *other;
	CHECK(agentassert_assert_instance(core, CAPTURED_PRIVATE_KEY, "rai-1", now, entropy, sizeof entropy, &value,
					  &error) == 0,
	      "%s", error.message);
	CHECK(same(value, expected), "%s", value);
	agentassert_inspection *said;
	CHECK(agentassert_verify_instance(core, CAPTURED_PUBLIC_KEY, value, now, 0, &said, &error) == 0, "%s",
	      error.message);
	CHECK(said != NULL && same(said->form, "instance") && same(said->runtime_agent_instance, "rai-1") &&
		  said->iat == now && same(said->id, "10111213-1415-4617-9819-1a1b1c1d1e1f") &&
		  said->agent_runtime_id == NULL && said->task_id == NULL && said->timestamp == NULL,
	      "what it says");
	agentassert_free(said);
	CHECK(agentassert_verify(core, CAPTURED_PUBLIC_KEY, value, now, 0, NULL, &error) == -1 &&
		  same(error.code, "invalid_assertion"),
	      "the one is not the other: %s", error.code);
	CHECK(agentassert_assert_instance(core, CAPTURED_PRIVATE_KEY, "rai-1", now, NULL, 0, &other, &error) == 0 &&
		  strcmp(value, other) != 0,
	      "the system's entropy");
	agentassert_free(value);
	agentassert_free(other);
}

static void test_registrations(void)
{
	/* sign-captured of testvectors/registrations.json. */
	static const char expected[] =
	    "wIgs2te8q89RvT0zWOy6KyosZASg6tna0KEDJ0+Mh676ZRZY6m/C24DniRqbU+UsPby38UUeqPXSCr5ZTIBoAw==";
	agentassert_error error;
	char *signature, *timestamp;
	CHECK(agentassert_sign_registration(core, CAPTURED_PRIVATE_KEY, CAPTURED_AGENT, CAPTURED_NOW, &signature,
					    &timestamp, &error) == 0,
	      "%s", error.message);
	CHECK(same(signature, expected) && same(timestamp, CAPTURED_TIMESTAMP), "%s %s", signature, timestamp);
	CHECK(agentassert_verify_registration(core, CAPTURED_PUBLIC_KEY, CAPTURED_AGENT, signature, timestamp,
					      CAPTURED_NOW, 0, &error) == 0,
	      "%s", error.message);
	CHECK(agentassert_verify_registration(core, CAPTURED_PUBLIC_KEY, "agent-rt-3", signature, timestamp,
					      CAPTURED_NOW, 0, &error) == -1 &&
		  same(error.code, "bad_signature"),
	      "%s", error.code);
	agentassert_free(signature);
	agentassert_free(timestamp);
}

static void test_task_ids(void)
{
	/* seal-for-captured of testvectors/sealed-boxes.json. */
	unsigned char entropy[32];
	for (unsigned i = 0; i < sizeof entropy; i++) {
		entropy[i] = (unsigned char)i;
	}
	agentassert_error error;
	char *sealed, *opened;
	CHECK(agentassert_seal_task_id(core, CAPTURED_PUBLIC_KEY, CAPTURED_TASK, entropy, sizeof entropy, &sealed,
				       &error) == 0,
	      "%s", error.message);
	CHECK(same(sealed, "j0DFrbaPJWJK5bIU6nZ6bslNgp09e14a0bpvPiE4KF/NX37pAUwXR2i11OE8fddSEix/v3A0"), "%s", sealed);
	CHECK(agentassert_open_task_id(core, CAPTURED_PRIVATE_KEY, sealed, &opened, &error) == 0 &&
		  same(opened, CAPTURED_TASK),
	      "%s", error.message);
	agentassert_free(sealed);
	agentassert_free(opened);
	CHECK(agentassert_seal_task_id(core, CAPTURED_PUBLIC_KEY, CAPTURED_TASK, NULL, 0, &sealed, &error) == 0 &&
		  agentassert_open_task_id(core, CAPTURED_PRIVATE_KEY, sealed, &opened, &error) == 0 &&
		  same(opened, CAPTURED_TASK),
	      "the system's entropy");
	agentassert_free(sealed);
	agentassert_free(opened);
}

#define HEADER_PARAMS                                                                                                  \
	"{\"private_key\":\"" CAPTURED_PRIVATE_KEY "\",\"agent_runtime_id\":\"agent-rt-2\",\"task_id\":\"task-4\","    \
	"\"now\":1795533368}"

static void test_json(void)
{
	static const struct {
		const char *method, *params, *result, *code;
	} cases[] = {
	    {"assertion.build", HEADER_PARAMS, "{\"header\":\"" CAPTURED_HEADER "\",\"valid_until\":1795533368}", NULL},
	    {"surface.match", "{\"path\":\"/codex/responses\"}", "{\"scope\":\"thread\",\"surface\":\"responses\"}",
	     NULL},
	    {"auth_json.set", "{\"document\":{\"utf8\":\"{}\"}}", "{\"document\":{\"hex\":\"7b7d\"}}", NULL},
	    {"no.method", "{}", NULL, "unknown_method"},
	    {"key.parse", "{\"private_key\":\"\"}", NULL, "invalid_private_key"},
	    {"key.parse", "{}", NULL, "invalid_request"},
	    {"key.parse", "{\"private_key\":null}", NULL, "invalid_request"},
	    {"key.parse", "{\"private_key\":\"x\",}", NULL, "invalid_request"},
	    {"key.parse", "", NULL, "invalid_request"},
	    {"key.parse", "[]", NULL, "invalid_request"},
	    {"key.parse", "\"\\ud800\"", NULL, "invalid_request"},
	    {"key.parse", NULL, NULL, "invalid_request"},
	    {NULL, "{}", NULL, "invalid_request"},
	    {"\377", "{}", NULL, "invalid_request"},
	    {"", "{}", NULL, "unknown_method"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		agentassert_error error = {"", ""};
		char *result = NULL;
		int failed = agentassert_call_json(core, cases[i].method, cases[i].params, &result, &error);
		if (cases[i].code == NULL) {
			CHECK(failed == 0 && same(result, cases[i].result), "%s %s: %s, %s", cases[i].method,
			      cases[i].params, result, error.message);
		} else {
			CHECK(failed == -1 && result == NULL && same(error.code, cases[i].code) &&
				  error.message[0] != '\0',
			      "case %zu: %s: %s", i, error.code, error.message);
		}
		agentassert_free(result);
	}
}

static void test_cbor(void)
{
	agentassert_error error;
	void *result;
	size_t size;
	/* {"path": "/"}, and {"surface": "background", "scope": "background"} */
	static const char params[] = "\xa1\x64path\x61/";
	static const char expected[] = "\xa2\x65scope\x6a"
				       "background\x67surface\x6a"
				       "background";
	CHECK(agentassert_call(core, "surface.match", params, sizeof params - 1, &result, &size, &error) == 0, "%s",
	      error.message);
	CHECK(size == sizeof expected - 1 && memcmp(result, expected, size) == 0, "the result");
	agentassert_free(result);
	CHECK(agentassert_call(core, "surface.match", "\xff", 1, &result, &size, &error) == -1 &&
		  same(error.code, "invalid_request") && result == NULL && size == 0,
	      "%s", error.code);
	/* The ABI itself: an error is an answer. */
	CHECK(agentassert_exchange(core, "\xff", 1, &result, &size, &error) == 0, "%s", error.message);
	CHECK(size > 8 && memcmp(result,
				 "\xa1\x65"
				 "error",
				 7) == 0,
	      "an error");
	agentassert_free(result);
	static char large[1024 * 1024 + 1];
	CHECK(agentassert_exchange(core, large, sizeof large, &result, &size, &error) == -1 &&
		  same(error.code, "invalid_request"),
	      "too large");
	CHECK(agentassert_exchange(core, large, sizeof large - 1, &result, &size, &error) == 0, "%s", error.message);
	agentassert_free(result);
	CHECK(agentassert_exchange(core, "", 0, &result, &size, &error) == -1 && same(error.code, "invalid_request"),
	      "empty");
	CHECK(agentassert_exchange(core, NULL, 1, &result, &size, &error) == -1 && same(error.code, "invalid_request"),
	      "NULL");
}

/* What is no argument is refused, and nothing is handed out. */
static void test_bad_input(void)
{
	static const struct {
		const char *key, *agent, *task;
		int64_t now;
		const char *code;
	} cases[] = {
	    {NULL, CAPTURED_AGENT, CAPTURED_TASK, 0, "invalid_request"},
	    {CAPTURED_PRIVATE_KEY, NULL, CAPTURED_TASK, 0, "invalid_request"},
	    {CAPTURED_PRIVATE_KEY, CAPTURED_AGENT, NULL, 0, "invalid_request"},
	    {"\355\240\200", CAPTURED_AGENT, CAPTURED_TASK, 0, "invalid_request"},
	    {CAPTURED_PRIVATE_KEY, "\300\200", CAPTURED_TASK, 0, "invalid_request"},
	    {"", CAPTURED_AGENT, CAPTURED_TASK, 0, "invalid_private_key"},
	    {CAPTURED_PRIVATE_KEY, "", CAPTURED_TASK, 0, "invalid_agent_runtime_id"},
	    {CAPTURED_PRIVATE_KEY, CAPTURED_AGENT, "", 0, "invalid_task_id"},
	    {CAPTURED_PRIVATE_KEY, CAPTURED_AGENT, CAPTURED_TASK, INT64_MAX, "invalid_time"},
	    {CAPTURED_PRIVATE_KEY, CAPTURED_AGENT, CAPTURED_TASK, INT64_MIN, "invalid_time"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		agentassert_error error = {"", ""};
		char unset, *header = &unset;
		int64_t valid_until = 1;
		CHECK(agentassert_assert(core, cases[i].key, cases[i].agent, cases[i].task, cases[i].now, &header,
					 &valid_until, &error) == -1 &&
			  same(error.code, cases[i].code) && header == NULL && valid_until == 0,
		      "case %zu: %s: %s", i, error.code, error.message);
		CHECK(strstr(error.message, "MFECAQ") == NULL, "the key is in the message");
		CHECK(agentassert_assert(core, cases[i].key, cases[i].agent, cases[i].task, cases[i].now, NULL, NULL,
					 NULL) == -1,
		      "case %zu, without places", i);
	}
	agentassert_error error;
	char *text = NULL, *other = NULL;
	agentassert_inspection *said;
	CHECK(agentassert_generate_key(core, NULL, "x", 1, &text, &other, &error) == -1 &&
		  same(error.code, "invalid_entropy") && text == NULL && other == NULL,
	      "%s", error.code);
	CHECK(agentassert_generate_key(core, "other", NULL, 0, &text, &other, &error) == -1 &&
		  same(error.code, "invalid_config"),
	      "%s", error.code);
	CHECK(agentassert_inspect(core, "Bearer x", &said, &error) == -1 && same(error.code, "invalid_assertion") &&
		  said == NULL,
	      "%s", error.code);
	CHECK(agentassert_inspect(core, NULL, &said, &error) == -1 && same(error.code, "invalid_request"), "%s",
	      error.code);
	CHECK(agentassert_inspect(NULL, "", &said, &error) == -1 && same(error.code, "invalid_request"), "%s",
	      error.code);
	CHECK(agentassert_verify(core, "x", CAPTURED_HEADER, CAPTURED_NOW, -1, NULL, &error) == -1, "a negative skew");
	CHECK(agentassert_open(NULL, NULL, &error) == -1 && same(error.code, "invalid_request"), "%s", error.code);
	CHECK(agentassert_call_json(core, "key.parse", "{}", NULL, &error) == -1 && same(error.code, "invalid_request"),
	      "%s", error.code);
	agentassert_free(NULL);
	agentassert_close(NULL);
	agentassert_forget(NULL);
}

/* An id with U+0000 in it is not taken for a shorter one. */
static void test_zero_bytes(void)
{
	/* {"agent_runtime_id":"a\u0000b","task_id":"t","timestamp":"2026-11-24T15:16:08Z","signature":"…"} */
	static const char header[] =
	    "AgentAssertion "
	    "eyJhZ2VudF9ydW50aW1lX2lkIjoiYVx1MDAwMGIiLCJzaWduYXR1cmUiOiJOSmhJOEM1YnRxV1hPZ2hoQ0FyWFBYSW9ZenFwV2tkb2VQ"
	    "OTRQSFJ6TXZzOHZvemhWcnhEV1NNWW9IcmtOeEpoYWNiK1M3S1dzUEJSRUxFUkRITENBdz09IiwidGFza19pZCI6InQiLCJ0aW1lc3Rh"
	    "bXAiOiIyMDI2LTExLTI0VDE1OjE2OjA4WiJ9";
	agentassert_error error;
	agentassert_inspection *said = NULL;
	CHECK(agentassert_inspect(core, header, &said, &error) == -1 && same(error.code, "invalid_assertion") &&
		  said == NULL,
	      "%s: %s", error.code, error.message);
	agentassert_free(said);
}

static void test_open(void)
{
	static const struct {
		agentassert_options options;
		const char *code;
	} cases[] = {
	    {{.size = sizeof(agentassert_options)}, NULL},
	    {{.size = sizeof(agentassert_options), .instances = 1, .memory_pages = 160}, NULL},
	    {{.size = sizeof(agentassert_options), .instances = 1024, .memory_pages = 512}, NULL},
	    {{.size = 0}, "invalid_request"},
	    {{.size = 1}, "invalid_request"},
	    {{.size = sizeof(agentassert_options), .instances = 1025}, "invalid_request"},
	    {{.size = sizeof(agentassert_options), .instances = (size_t)-1}, "invalid_request"},
	    {{.size = sizeof(agentassert_options), .memory_pages = 159}, "invalid_request"},
	    {{.size = sizeof(agentassert_options), .memory_pages = 513}, "invalid_request"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		agentassert *opened = NULL;
		agentassert_error error = {"", ""};
		int failed = agentassert_open(&cases[i].options, &opened, &error);
		CHECK((failed == 0) == (cases[i].code == NULL), "case %zu: %s", i, error.message);
		CHECK((opened == NULL) == (cases[i].code != NULL), "case %zu", i);
		CHECK(cases[i].code == NULL || same(error.code, cases[i].code), "case %zu: %s", i, error.code);
		agentassert_close(opened);
	}
	CHECK(same(agentassert_version(), AGENTASSERT_VERSION), "%s", agentassert_version());
	CHECK(strspn(agentassert_module_sha256(), "0123456789abcdef") == 64 &&
		  strlen(agentassert_module_sha256()) == 64,
	      "%s", agentassert_module_sha256());
}

/* A call that needs more memory than there may be fails, and the next one does not. */
static void test_memory_cap(void)
{
	/* So many hosts that the guest needs some 20 MiB for them. */
	enum { SIZE = 1000000 };
	char *params = malloc(SIZE + 64), *result, *header;
	size_t at = (size_t)sprintf(params, "{\"url\":\"https://chatgpt.com\",\"trusted_hosts\":[\"a.b\"");
	while (at < SIZE) {
		memcpy(params + at, ",\"a.b\"", 6);
		at += 6;
	}
	strcpy(params + at, "]}");
	agentassert_error error;
	CHECK(agentassert_call_json(core, "base_url.normalize", params, &result, &error) == 0, "with 32 MiB: %s",
	      error.message);
	agentassert_free(result);
	agentassert *small;
	agentassert_options options = {.size = sizeof options, .instances = 1, .memory_pages = 160};
	CHECK(agentassert_open(&options, &small, &error) == 0, "%s", error.message);
	for (int i = 0; i < 3; i++) {
		CHECK(agentassert_call_json(small, "base_url.normalize", params, &result, &error) == -1 &&
			  same(error.code, "sandbox_failed") && result == NULL,
		      "with 10 MiB: %s", error.code);
		CHECK(agentassert_assert(small, CAPTURED_PRIVATE_KEY, CAPTURED_AGENT, CAPTURED_TASK, CAPTURED_NOW,
					 &header, NULL, &error) == 0 &&
			  same(header, CAPTURED_HEADER),
		      "%s", error.message);
		agentassert_free(header);
	}
	/* Ten mebibytes are enough for assertions, however many. */
	for (int i = 0; i < 2000; i++) {
		CHECK(agentassert_assert(small, CAPTURED_PRIVATE_KEY, CAPTURED_AGENT, CAPTURED_TASK, i, &header, NULL,
					 &error) == 0,
		      "call %d: %s", i, error.message);
		agentassert_free(header);
	}
	agentassert_close(small);
	free(params);
}

int main(int argc, char **argv)
{
	/* Valgrind is slow. */
	int is_brief = argc > 1 && strcmp(argv[1], "--brief") == 0;
	agentassert_error error;
	test_open();
	CHECK(agentassert_open(NULL, &core, &error) == 0, "%s", error.message);
	if (core == NULL) {
		return test_result();
	}
	test_keys();
	test_key_forms();
	test_assertions();
	test_instances();
	test_registrations();
	test_task_ids();
	test_json();
	test_cbor();
	test_bad_input();
	test_zero_bytes();
	if (!is_brief) {
		test_memory_cap();
	}
	agentassert_forget(core);
	test_assertions();
	agentassert_close(core);
	return test_result();
}
