/* What the file store lets a module do to files: every operation of the vectors passes whole,
 * and whatever else a module asks for, the user's tokens stay what they were. */
#include "file_policy.h"

#include "file_journal.h"
#include "file_vectors.h"

/* The largest operation that is remembered, for effects that are changed. */
#define MAX_STEPS 64

static const aa_value *vectors;
static aa_arena *memory;

static int is(aa_bytes bytes, const char *text)
{
	return aa_equal(bytes, text_of(text));
}

/* Reports whether an effect is carried out as it was asked for. */
static void check_carried_out(const char *id, const aa_value *message, const aa_file_effect *effect)
{
	CHECK(is(aa_get_text(message, "type"), aa_file_effect_name(effect->type)), "%s", id);
	CHECK(aa_equal(aa_get_text(message, "name"), effect->name), "%s", id);
	CHECK(aa_equal(aa_get_text(message, "to"), effect->to), "%s", id);
	CHECK(aa_equal(aa_get_binary(message, "content"), effect->content), "%s", id);
	CHECK(aa_get_integer(message, "timeout_ms") == effect->timeout_ms, "%s", id);
	CHECK(aa_get_integer(message, "size") == effect->size, "%s", id);
	CHECK(aa_get_integer(message, "limit") == effect->limit, "%s", id);
	CHECK(aa_get_integer(message, "older_than") == effect->older_than, "%s", id);
	CHECK(aa_get_integer(message, "wait_ms") == effect->wait_ms, "%s", id);
	const aa_value *result = aa_get_map(message, "result");
	CHECK(aa_equal(aa_get_binary(result, "record"), effect->record), "%s", id);
	CHECK((aa_get_map(result, "error") != NULL) == (effect->error != NULL), "%s", id);
	const aa_value *credentials = aa_get_map(result, "credentials");
	CHECK((credentials != NULL) == (effect->credentials != NULL), "%s", id);
	if (credentials != NULL && effect->credentials != NULL) {
		CHECK(credentials->count == effect->credentials->count, "%s", id);
		CHECK(aa_equal(aa_get_text(credentials, "access_token"),
			       aa_get_text(effect->credentials, "access_token")),
		      "%s", id);
	}
}

static void test_vectors(void)
{
	int effects = 0, results = 0;
	for (const aa_value *vector = vectors->first; vector != NULL; vector = vector->next) {
		const char *id = aa_copy(memory, aa_get_text(vector, "id")).data;
		const aa_value *steps = aa_get_array(vector, "steps");
		aa_file_policy *policy = NULL;
		aa_file_effect effect;
		agentassert_error error = {0};
		aa_arena *arena = aa_arena_new();
		int has_effect = 0;
		for (const aa_value *step = steps == NULL ? NULL : steps->first; step != NULL; step = step->next) {
			const aa_value *event = aa_get_map(step, "event"), *message = aa_get_map(step, "effect");
			if (message == NULL) {
				continue; /* it is refused, and the state before it is still good */
			}
			if (is(aa_get_text(event, "type"), "start")) {
				aa_file_policy_free(policy);
				policy = aa_file_policy_new(event);
			} else if (has_effect) {
				aa_file_answer answer = answer_of(arena, event);
				CHECK(aa_file_policy_answered(policy, &effect, &answer, &error) == 0, "%s", id);
			}
			REQUIRE(policy != NULL, "%s", id);
			has_effect = 1;
			int result = aa_file_policy_effect(policy, arena, message, aa_get_integer(event, "now"),
							   &effect, &error);
			aa_bytes text;
			aa_encode_json(arena, message, &text);
			CHECK(result == 0, "%s: %s: %.*s", id, error.code, (int)text.size, text.data);
			if (result != 0) {
				break;
			}
			check_carried_out(id, message, &effect);
			if (effect.type == AA_FILE_DONE) {
				results++;
			} else {
				effects++;
			}
		}
		aa_arena_free(arena);
		aa_file_policy_free(policy);
	}
	CHECK(effects > 2400 && results > 200, "%d effects and %d results; are all of them read?", effects, results);
	printf("%d effects and %d results\n", effects, results);
}

/* The credentials that the core reads in a document are those that are in it. */
static void test_credentials(const char *folder)
{
	const aa_value *credentials = read_vectors(memory, folder, "credentials.json");
	int count = 0;
	for (const aa_value *vector = credentials->first; vector != NULL; vector = vector->next) {
		const aa_value *ok = aa_get_map(vector, "ok");
		if (ok == NULL || !is(aa_get_text(vector, "method"), "credentials.read")) {
			continue;
		}
		aa_arena *arena = aa_arena_new();
		aa_value *start = aa_set(aa_map(arena), "operation", aa_text(arena, AA_LITERAL("credentials")));
		aa_file_policy *policy = aa_file_policy_new(start);
		aa_value *read = aa_set(aa_set(aa_map(arena), "type", aa_text(arena, AA_LITERAL("read"))), "name",
					aa_text(arena, AA_LITERAL("target")));
		agentassert_error error = {0};
		aa_file_effect effect;
		CHECK(aa_file_policy_effect(policy, arena, read, 0, &effect, &error) == 0, "%s", error.code);
		aa_file_answer answer = {.has_stat = 1, .stat = {.mode = 0600, .links = 1}};
		answer.content = aa_get_binary(aa_get_map(vector, "params"), "document");
		CHECK(aa_file_policy_answered(policy, &effect, &answer, &error) == 0, "%s", error.code);
		aa_value *result = aa_set(aa_map(arena), "credentials", aa_clone(arena, ok));
		aa_value *done =
		    aa_set(aa_set(aa_map(arena), "type", aa_text(arena, AA_LITERAL("done"))), "result", result);
		CHECK(aa_file_policy_effect(policy, arena, done, 0, &effect, &error) == 0, "%.*s: %s",
		      (int)aa_get_text(vector, "id").size, aa_get_text(vector, "id").data, error.code);
		/* Others are not. */
		aa_value *other = aa_set(aa_clone(arena, ok), "user_id", aa_text(arena, AA_LITERAL("somebody")));
		if (aa_get(ok, "user_id") == NULL) {
			result = aa_set(aa_map(arena), "credentials", other);
			done =
			    aa_set(aa_set(aa_map(arena), "type", aa_text(arena, AA_LITERAL("done"))), "result", result);
			CHECK(aa_file_policy_effect(policy, arena, done, 0, &effect, &error) == -1 &&
				  strcmp(error.code, "policy_violation") == 0,
			      "%s", error.code);
		}
		count++;
		aa_file_policy_free(policy);
		aa_arena_free(arena);
	}
	CHECK(count > 40, "%d documents; are all of them read?", count);
}

static void test_end(void)
{
	aa_arena *arena = aa_arena_new();
	aa_value *start = aa_set(aa_map(arena), "operation", aa_text(arena, AA_LITERAL("credentials")));
	aa_value *read = aa_set(aa_set(aa_map(arena), "type", aa_text(arena, AA_LITERAL("read"))), "name",
				aa_text(arena, AA_LITERAL("target")));
	aa_file_policy *policy = aa_file_policy_new(start);
	aa_file_effect effect;
	agentassert_error error = {0};
	for (int i = 0; i < 1000; i++) {
		CHECK(aa_file_policy_effect(policy, arena, read, 0, &effect, &error) == 0, "%d: %s", i, error.code);
	}
	CHECK(aa_file_policy_effect(policy, arena, read, 0, &effect, &error) == -1, "an operation has no end");
	CHECK(strcmp(error.code, "policy_violation") == 0, "%s", error.code);
	aa_file_policy_free(policy);
	aa_arena_free(arena);
}

/* Effects that no module may have, and the operation that they are refused in at once. */
static void test_refusals(void)
{
	static const struct {
		const char *start, *effect;
	} cases[] = {
	    {"{\"operation\":\"credentials\"}", "{\"type\":\"read\",\"name\":\"record/backoff\"}"},
	    {"{\"operation\":\"credentials\"}", "{\"type\":\"read\",\"name\":\"previous\"}"},
	    {"{\"operation\":\"credentials\"}", "{\"type\":\"read\",\"name\":\"../auth.json\"}"},
	    {"{\"operation\":\"credentials\"}", "{\"type\":\"read\"}"},
	    {"{\"operation\":\"credentials\"}", "{\"type\":\"read\",\"name\":7}"},
	    {"{\"operation\":\"credentials\"}", "{\"type\":\"remove\",\"name\":\"target\"}"},
	    {"{\"operation\":\"credentials\"}", "{\"type\":\"execute\",\"name\":\"target\"}"},
	    {"{\"operation\":\"credentials\"}", "{\"type\":\"lock\",\"name\":\"client-lock\",\"timeout_ms\":5001}"},
	    {"{\"operation\":\"credentials\"}", "{\"type\":\"lock\",\"name\":\"target-lock\",\"timeout_ms\":5000}"},
	    {"{\"operation\":\"credentials\"}", "{\"type\":\"wait\",\"wait_ms\":11}"},
	    {"{\"operation\":\"credentials\"}", "{\"type\":\"wait\"}"},
	    {"{\"operation\":\"credentials\"}", "{\"type\":\"done\"}"},
	    {"{\"operation\":\"credentials\"}", "{\"type\":\"done\",\"result\":{\"credentials\":{\"kind\":\"none\"}}}"},
	    {"{\"operation\":\"credentials\"}",
	     "{\"type\":\"done\",\"result\":{\"error\":{\"code\":\"A\",\"message\":\"m\"}}}"},
	    {"{\"operation\":\"load\",\"slot\":\"backoff\"}", "{\"type\":\"read\",\"name\":\"target\"}"},
	    {"{\"operation\":\"load\",\"slot\":\"backoff\"}", "{\"type\":\"read\",\"name\":\"record/backend\"}"},
	    {"{\"operation\":\"load\",\"slot\":\"backoff\"}",
	     "{\"type\":\"done\",\"result\":{\"record\":{\"utf8\":\"{}\"}}}"},
	    {"{\"operation\":\"load\",\"slot\":\"backoff\"}", "{\"type\":\"done\",\"result\":{}}"},
	    {"{\"operation\":\"load\",\"slot\":\"identity\"}", "{\"type\":\"done\",\"result\":{}}"},
	    {"{\"operation\":\"load\",\"slot\":\"thread/1\"}", "{\"type\":\"read\",\"name\":\"thread/2026-07\"}"},
	    {"{\"operation\":\"load\",\"slot\":\"thread/1\"}",
	     "{\"type\":\"make-folder\",\"name\":\"threads/2026-11\"}"},
	    {"{\"operation\":\"load\",\"slot\":\"thread/1\"}",
	     "{\"type\":\"move\",\"name\":\"thread/2026-10\",\"to\":\"thread/2026-11\"}"},
	    {"{\"operation\":\"delete\",\"slot\":\"backoff\"}", "{\"type\":\"remove\",\"name\":\"record/backend\"}"},
	    {"{\"operation\":\"save\",\"slot\":\"backoff\",\"record\":{\"utf8\":\"{}\"}}",
	     "{\"type\":\"create\",\"name\":\"record/backoff\",\"content\":{\"utf8\":\"[]\"}}"},
	    {"{\"operation\":\"save\",\"slot\":\"backoff\",\"record\":{\"utf8\":\"{}\"}}",
	     "{\"type\":\"install\",\"name\":\"record/backoff\"}"},
	    {"{\"operation\":\"save\",\"slot\":\"backoff\",\"record\":{\"utf8\":\"{}\"}}",
	     "{\"type\":\"list\",\"name\":\"leftovers\",\"limit\":16,\"older_than\":3600}"},
	    {"{\"operation\":\"save\",\"slot\":\"thread/1\",\"record\":{\"utf8\":\"{}\"}}",
	     "{\"type\":\"list\",\"name\":\"threads/2026-07\",\"limit\":16}"},
	    {"{\"operation\":\"save\",\"slot\":\"thread/1\",\"record\":{\"utf8\":\"{}\"}}",
	     "{\"type\":\"remove\",\"name\":\"threads/2026-07/x\"}"},
	    {"{\"operation\":\"swap\",\"slot\":\"identity\",\"record\":{\"utf8\":\"{}\"}}",
	     "{\"type\":\"create\",\"name\":\"target\",\"content\":{\"utf8\":\"{}\"}}"},
	    {"{\"operation\":\"swap\",\"slot\":\"identity\",\"record\":{\"utf8\":\"{}\"}}",
	     "{\"type\":\"write\",\"name\":\"target\",\"content\":{\"utf8\":\"{}\"}}"},
	    {"{\"operation\":\"swap\",\"slot\":\"identity\",\"record\":{\"utf8\":\"{}\"}}",
	     "{\"type\":\"remove\",\"name\":\"journal\"}"},
	    {"{\"operation\":\"swap\",\"slot\":\"identity\",\"record\":{\"utf8\":\"{}\"}}",
	     "{\"type\":\"list\",\"name\":\"leftovers\",\"limit\":16,\"older_than\":3599}"},
	    {"{\"operation\":\"swap\",\"slot\":\"identity\",\"record\":{\"utf8\":\"{}\"}}",
	     "{\"type\":\"list\",\"name\":\"leftovers\",\"limit\":17,\"older_than\":3600}"},
	    {"{\"operation\":\"swap\",\"slot\":\"identity\",\"record\":{\"utf8\":\"{}\"}}",
	     "{\"type\":\"truncate\",\"name\":\"target\",\"size\":1}"},
	    {"{\"operation\":\"swap\",\"slot\":\"identity\",\"record\":{\"utf8\":\"{}\"}}",
	     "{\"type\":\"unlock\",\"name\":\"client-lock\"}"},
	    {"{\"operation\":\"swap\",\"slot\":\"identity\",\"record\":{\"utf8\":\"{}\"}}",
	     "{\"type\":\"discard\",\"name\":\"target\"}"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		aa_arena *arena = aa_arena_new();
		aa_value *start = NULL, *message = NULL;
		REQUIRE(aa_decode_json(arena, text_of(cases[i].start), &start) == AA_OK, "%s", cases[i].start);
		REQUIRE(aa_decode_json(arena, text_of(cases[i].effect), &message) == AA_OK, "%s", cases[i].effect);
		aa_file_policy *policy = aa_file_policy_new(start);
		aa_file_effect effect;
		agentassert_error error = {0};
		int result = aa_file_policy_effect(policy, arena, message, 1795533368, &effect, &error);
		CHECK(result == -1 && strcmp(error.code, "policy_violation") == 0, "%s in %s: %d %s", cases[i].effect,
		      cases[i].start, result, error.code);
		aa_file_policy_free(policy);
		aa_arena_free(arena);
	}
}

/* An operation of the vectors that goes another way: up to a step, without one of those before it
 * (-1: with all), with another answer to one (-1: with all as they were), or for another expected
 * record; and what is asked for then: NULL for what the vector has there, and @ with a step and a
 * type for what it has at another one, as an effect of that type. */
struct detour {
	const char *id;
	int at, without, failed;
	const char *failure, *expected, *effect;
	int is_allowed;
};

static const struct detour detours[] = {
    {"file-swap-plain", 4, -1, -1, NULL, NULL, NULL, 1},
    {"file-swap-plain", 1, 0, -1, NULL, NULL, NULL, 0},
    {"file-swap-plain", 4, 1, -1, NULL, NULL, NULL, 0},
    {"file-swap-plain", 4, 2, -1, NULL, NULL, NULL, 0},
    {"file-swap-plain", 4, 3, -1, NULL, NULL, NULL, 0},
    {"file-swap-plain", 4, -1, 1, "locked", NULL, NULL, 0},
    {"file-swap-plain", 4, -1, 2, "unsupported", NULL, NULL, 0},
    {"file-swap-plain", 4, -1, 2, "failed", NULL, NULL, 0},
    {"file-swap-plain", 4, -1, 2, "denied", NULL, NULL, 1},
    {"file-swap-plain", 4, -1, 1, "read-only", NULL, NULL, 1},
    {"file-swap-plain", 4, -1, 4, "denied", NULL, NULL, 0},
    {"file-swap-plain", 4, -1, -1, NULL, "{\"agent_runtime_id\":\"agent-z\"}", NULL, 0},
    {"file-swap-plain", 4, -1, -1, NULL, "", NULL, 0},
    {"file-swap-plain", 5, -1, -1, NULL, NULL, "{\"type\":\"own\",\"name\":\"journal\"}", 0},
    {"file-swap-plain", 5, -1, 5, "no-room", NULL, NULL, 0},
    {"file-swap-plain", 7, 5, -1, NULL, NULL, NULL, 0},
    {"file-swap-plain", 7, 6, -1, NULL, NULL, NULL, 0},
    {"file-swap-plain", 7, -1, 6, "denied", NULL, NULL, 0},
    {"file-swap-plain", 7, -1, 7, "denied", NULL, NULL, 0},
    {"file-swap-plain", 8, -1, -1, NULL, NULL, "{\"type\":\"install\",\"name\":\"target\"}", 0},
    {"file-swap-plain", 8, -1, -1, NULL, NULL, "{\"type\":\"discard\",\"name\":\"target\"}", 0},
    {"file-swap-plain", 8, -1, 8, "busy", NULL, "{\"type\":\"discard\",\"name\":\"target\"}", 1},
    {"file-swap-plain", 8, -1, -1, NULL, NULL, "{\"type\":\"sync\",\"name\":\"target\"}", 0},
    {"file-swap-plain", 8, -1, -1, NULL, NULL, "{\"type\":\"sync\",\"name\":\"threads/2026-11\"}", 0},
    {"file-swap-plain", 8, -1, -1, NULL, NULL, "{\"type\":\"lock\",\"name\":\"client-lock\",\"timeout_ms\":1}", 0},
    {"file-swap-plain", 12, -1, -1, NULL, NULL, "{\"type\":\"remove\",\"name\":\"leftovers/.tmp-auth.json1\"}", 0},
    {"file-swap-plain", 12, -1, -1, NULL, NULL,
     "{\"type\":\"list\",\"name\":\"leftovers\",\"limit\":16,\"older_than\":3600}", 0},
    {"file-swap-plain", 13, -1, -1, NULL, NULL, "{\"type\":\"read\",\"name\":\"target\"}", 0},
    {"file-swap-plain", 13, -1, -1, NULL, NULL, "{\"type\":\"unlock\",\"name\":\"target-lock\"}", 0},
    {"file-swap-plain", 14, -1, -1, NULL, NULL, "{\"type\":\"done\",\"result\":{\"record\":{\"utf8\":\"{}\"}}}", 0},
    {"file-load", 2, -1, -1, NULL, NULL, "{\"type\":\"done\",\"result\":{}}", 0},
    {"file-load", 2, -1, -1, NULL, NULL,
     "{\"type\":\"done\",\"result\":{\"record\":{\"utf8\":"
     "\"{ \\\"agent_runtime_id\\\":\\\"agent-a\\\",\\\"agent_private_key\\\":\\\"key-a\\\"}\"}}}",
     0},
    {"file-load", 2, 0, -1, NULL, NULL, NULL, 0},
    {"file-load", 2, -1, 1, "denied", NULL, NULL, 0},
    {"file-load", 1, -1, -1, NULL, NULL, "{\"type\":\"lock\",\"name\":\"client-lock\",\"timeout_ms\":5000}", 1},
    {"file-load", 1, -1, -1, NULL, NULL, "{\"type\":\"create\",\"name\":\"target\",\"content\":{\"utf8\":\"{}\\n\"}}",
     0},
    {"file-swap-hard-link", 4, -1, -1, NULL, NULL,
     "{\"type\":\"create\",\"name\":\"journal\",\"content\":{\"utf8\":"
     "\"{\\\"old\\\":\\\"e30=\\\",\\\"new\\\":\\\"e30=\\\"}\"}}",
     0},
    {"file-swap-hard-link", 4, -1, -1, NULL, NULL, "{\"type\":\"remove\",\"name\":\"journal\"}", 0},
    {"file-swap-hard-link", 8, 7, -1, NULL, NULL, NULL, 0},
    {"file-swap-hard-link", 9, -1, -1, NULL, NULL, "{\"type\":\"truncate\",\"name\":\"target\",\"size\":20}", 0},
    {"file-swap-hard-link", 10, -1, 9, "no-room", NULL, NULL, 0},
    {"file-swap-hard-link", 10, -1, -1, NULL, NULL, NULL, 1},
    {"file-torn-middle-swap", 4, -1, -1, NULL, NULL, "{\"type\":\"remove\",\"name\":\"journal\"}", 0},
    {"file-torn-middle-swap", 4, -1, -1, NULL, NULL,
     "{\"type\":\"write\",\"name\":\"target\",\"content\":{\"utf8\":\"{}\\n\"}}", 0},
    {"file-torn-middle-swap", 4, 1, -1, NULL, NULL, NULL, 0},
    {"file-torn-middle-swap", 5, -1, -1, NULL, NULL, "{\"type\":\"truncate\",\"name\":\"target\",\"size\":20}", 0},
    {"file-torn-middle-swap", 7, -1, 5, "failed", NULL, NULL, 0},
    {"file-thread-save-expiry-3", 5, -1, -1, NULL, NULL,
     "{\"type\":\"list\",\"name\":\"threads/2026-07\",\"limit\":16}", 0},
    {"file-thread-save-expiry-3", 6, -1, -1, NULL, NULL,
     "{\"type\":\"list\",\"name\":\"threads/2026-08\",\"limit\":16}", 0},
    {"file-thread-save-expiry-3", 6, -1, -1, NULL, NULL, "{\"type\":\"list\",\"name\":\"threads\",\"limit\":64}", 0},
    {"file-thread-save-expiry-3", 6, -1, -1, NULL, NULL, "{\"type\":\"remove\",\"name\":\"threads/2026-07\"}", 0},
    {"file-thread-save-expiry-3", 8, -1, -1, NULL, NULL, "{\"type\":\"remove\",\"name\":\"threads/2026-07/00.json\"}",
     0},
    {"file-thread-save-expiry-3", 8, -1, -1, NULL, NULL, "{\"type\":\"remove\",\"name\":\"threads/2026-07\"}", 0},
    {"file-thread-save-expiry-3", 8, -1, -1, NULL, NULL, "{\"type\":\"remove\",\"name\":\"thread/2026-11\"}", 0},
    {"file-thread-save-expiry-3", 8, -1, -1, NULL, NULL, "{\"type\":\"remove\",\"name\":\"threads/2026-07/99.json\"}",
     0},
    {"file-swap-plain", 2, -1, -1, NULL, NULL, "{\"type\":\"lock\",\"name\":\"target-lock\",\"timeout_ms\":1}", 0},
    {"file-swap-plain", 3, -1, -1, NULL, NULL, "{\"type\":\"lock\",\"name\":\"target-lock\",\"timeout_ms\":1}", 0},
    {"file-swap-plain", 4, 3, -1, NULL, NULL,
     "{\"type\":\"create\",\"name\":\"target\",\"content\":{\"utf8\":\"{}\\n\"}}", 0},
    {"file-swap-plain", 4, -1, -1, NULL, NULL, "@4 write", 0},
    {"file-swap-plain", 5, -1, -1, NULL, NULL, "@4 create", 0},
    {"file-swap-hard-link", 4, -1, -1, NULL, NULL, "@8 create", 0},
    {"file-swap-hard-link", 9, -1, 9, "no-room", NULL, "@8 write", 1},
    {"file-swap-hard-link", 8, -1, 8, "denied", NULL, NULL, 0},
    {"file-swap-hard-link", 4, -1, -1, NULL, NULL,
     "{\"type\":\"create\",\"name\":\"journal\",\"content\":{\"utf8\":\"{\\\"old\\\":\\\"e30=\\\",\\\"new\\\":\\\""
     "eyJhdXRoX21vZGUiOiJjaGF0Z3B0IiwidG9rZW5zIjp7ImFjY2Vzc190b2tlbiI6InRva2VuLTEiLCJhY2NvdW50X2lkIjoiYWNjdC0xIn0s"
     "ImFnZW50X2lkZW50aXR5Ijp7ImFnZW50X3J1bnRpbWVfaWQiOiJhZ2VudC1iIiwiYWdlbnRfcHJpdmF0ZV9rZXkiOiJhIGxvbmdlciBrZXkt"
     "YiJ9fQ==\\\"}\"}}",
     0},
    {"file-swap-full-write", 9, -1, -1, NULL, NULL, "@8 create", 0},
    {"file-swap-previous-and-other-target", 11, -1, -1, NULL, NULL, NULL, 1},
    {"file-journal-old-swap", 4, -1, -1, NULL, NULL, NULL, 1},
    {"file-journal-old-swap", 4, -1, 1, "locked", NULL, NULL, 0},
    {"file-journal-old-swap", 4, -1, 2, "unsupported", NULL, NULL, 0},
    {"file-journal-old-swap", 4, 3, -1, NULL, NULL, NULL, 0},
    {"file-beside-probe", 0, -1, -1, NULL, NULL,
     "{\"type\":\"create\",\"name\":\"record/identity\",\"content\":{\"utf8\":\"{}\"}}", 0},
    {"file-beside-probe", 1, -1, -1, NULL, NULL, "{\"type\":\"install\",\"name\":\"record/identity\"}", 0},
    {"file-thread-load-last-month", 3, -1, -1, NULL, NULL,
     "{\"type\":\"move\",\"name\":\"thread/2026-10\",\"to\":\"thread/2026-09\"}", 0},
    {"file-thread-load-last-month", 3, -1, -1, NULL, NULL,
     "{\"type\":\"move\",\"name\":\"thread/2026-11\",\"to\":\"thread/2026-11\"}", 0},
    {"file-thread-load-last-month", 3, -1, -1, NULL, NULL,
     "{\"type\":\"move\",\"name\":\"thread/2026-10\",\"to\":\"target\"}", 0},
    {"file-thread-load-last-month", 2, -1, -1, NULL, NULL,
     "{\"type\":\"done\",\"result\":{\"record\":{\"utf8\":\"{}\"}}}", 0},
    {"file-beside-swap", 2, 0, -1, NULL, NULL, NULL, 0},
    {"file-beside-swap", 2, 1, -1, NULL, NULL, NULL, 0},
    {"file-beside-swap", 2, -1, 1, "locked", NULL, NULL, 0},
    {"file-beside-swap", 2, -1, -1, NULL, "{}", NULL, 0},
    {"file-beside-swap", 2, -1, -1, NULL, NULL, "{\"type\":\"remove\",\"name\":\"record/identity\"}", 0},
    {"file-beside-swap", 2, -1, -1, NULL, NULL, "{\"type\":\"read\",\"name\":\"target\"}", 0},
};

static const aa_value *vector_of(const char *id)
{
	for (const aa_value *vector = vectors->first; vector != NULL; vector = vector->next) {
		if (is(aa_get_text(vector, "id"), id)) {
			return vector;
		}
	}
	REQUIRE(0, "there is no vector %s", id);
	return NULL;
}

/* Returns the event that starts an operation for another expected record. */
static const aa_value *expecting(aa_arena *arena, const aa_value *start, const char *expected)
{
	aa_value *copy = aa_map(arena);
	for (const aa_value *member = start->first; member != NULL; member = member->next) {
		if (!aa_equal(member->name, AA_LITERAL("expected"))) {
			copy = aa_set(copy, aa_copy(arena, member->name).data, aa_clone(arena, member));
		}
	}
	return expected[0] == 0 ? copy : aa_set(copy, "expected", aa_binary(arena, text_of(expected)));
}

/* Returns the effect of a step as one of another type: both are in the text. */
static aa_value *as_type(aa_arena *arena, const aa_value *steps, const char *text)
{
	const aa_value *step = steps->first;
	for (int n = atoi(text); n > 0; n--) {
		step = step->next;
	}
	aa_value *copy = aa_set(aa_map(arena), "type", aa_text(arena, text_of(strchr(text, ' ') + 1)));
	const aa_value *effect = aa_get_map(step, "effect");
	copy = aa_set(copy, "name", aa_text(arena, aa_get_text(effect, "name")));
	return aa_set(copy, "content", aa_binary(arena, aa_get_binary(effect, "content")));
}

static void test_detours(void)
{
	for (size_t i = 0; i < sizeof detours / sizeof detours[0]; i++) {
		const struct detour *d = &detours[i];
		aa_arena *arena = aa_arena_new();
		aa_file_policy *policy = NULL;
		aa_file_effect effect;
		int n = 0, result = 0, was_taken = 0;
		const aa_value *step = aa_get_array(vector_of(d->id), "steps")->first;
		for (; step != NULL && n <= d->at; step = step->next, n++) {
			const aa_value *event = aa_get_map(step, "event");
			aa_value *message = aa_clone(arena, aa_get_map(step, "effect"));
			aa_file_answer answer = answer_of(arena, event);
			if (n == d->failed) {
				answer = (aa_file_answer){.failure = d->failure};
			}
			if (n == 0) {
				policy = aa_file_policy_new(d->expected == NULL ? event
										: expecting(arena, event, d->expected));
			} else if (was_taken) {
				REQUIRE(aa_file_policy_answered(policy, &effect, &answer, NULL) == 0, "%s", d->id);
			}
			if (n == d->at && d->effect != NULL && d->effect[0] == '@') {
				message = as_type(arena, aa_get_array(vector_of(d->id), "steps"), d->effect + 1);
			} else if (n == d->at && d->effect != NULL) {
				REQUIRE(aa_decode_json(arena, text_of(d->effect), &message) == AA_OK, "%s", d->effect);
			}
			was_taken = n != d->without;
			if (was_taken) {
				result = aa_file_policy_effect(policy, arena, message, aa_get_integer(event, "now"),
							       &effect, NULL);
				CHECK(n == d->at || result == 0, "%s goes to step %d", d->id, n);
			}
		}
		CHECK((result == 0) == d->is_allowed, "detour %zu: %s at %d, without %d, %s", i, d->id, d->at,
		      d->without, d->effect == NULL ? "" : d->effect);
		aa_file_policy_free(policy);
		aa_arena_free(arena);
	}
}

/* Text for people is cleaned, and cut. */
static void test_text(void)
{
	aa_arena *arena = aa_arena_new();
	aa_value *start = NULL, *message = NULL;
	aa_decode_json(arena, text_of("{\"operation\":\"load\",\"slot\":\"backoff\"}"), &start);
	aa_decode_json(arena,
		       text_of("{\"type\":\"done\",\"result\":{\"error\":{\"code\":\"c\",\"message\":"
			       "\"a\\u001b[2J\\u202e\\u0085\\u061c\\u2066\\u00e4\"}}}"),
		       &message);
	aa_file_policy *policy = aa_file_policy_new(start);
	aa_file_effect effect;
	CHECK(aa_file_policy_effect(policy, arena, message, 0, &effect, NULL) == 0, "an error is believed");
	CHECK(is(aa_get_text(effect.error, "message"),
		 "a\xef\xbf\xbd[2J\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xc3\xa4"),
	      "%.*s", (int)aa_get_text(effect.error, "message").size, aa_get_text(effect.error, "message").data);
	aa_file_policy_free(policy);
	aa_arena_free(arena);
}

/* What a module could send in place of a value. */
static aa_value *odd_value(aa_arena *arena, const aa_value *message, unsigned long long *seed)
{
	static const char *const texts[] = {"",
					    "target",
					    "journal",
					    "read",
					    "create",
					    "write",
					    "install",
					    "remove",
					    "done",
					    "home",
					    "leftovers/x",
					    "record/identity",
					    "own",
					    "truncate",
					    "previous",
					    "unlock",
					    "threads/2020-01",
					    "auth.json",
					    "list",
					    "leftovers",
					    "{}\n",
					    "{}",
					    "sync",
					    "discard"};
	switch (draw(seed, 6)) {
	case 0:
		return aa_integer(arena, (int64_t)draw(seed, 5000) - 10);
	case 1:
		return aa_binary(arena, text_of(texts[draw(seed, sizeof texts / sizeof texts[0])]));
	case 2:
		return aa_boolean(arena, 1);
	case 3:
		return aa_map(arena);
	case 4:
		if (message->kind == AA_MAP && aa_get_binary(message, "content").size > 4) {
			aa_bytes content = aa_get_binary(message, "content");
			aa_bytes other = aa_copy(arena, content);
			char *bytes = aa_alloc(arena, other.size);
			memcpy(bytes, other.data, other.size);
			for (size_t n = 1 + draw(seed, 3); n > 0; n--) {
				bytes[draw(seed, other.size)] = "x\" {}0"[draw(seed, 6)];
			}
			return aa_binary(arena, (aa_bytes){bytes, other.size - draw(seed, 2)});
		}
		/* fall through */
	default:
		return aa_text(arena, text_of(texts[draw(seed, sizeof texts / sizeof texts[0])]));
	}
}

/* Returns a message with a member changed, added or left out. */
static aa_value *mutated(aa_arena *arena, const aa_value *message, unsigned long long *seed)
{
	static const char *const names[] = {"type", "name", "content", "size", "limit", "older_than", "to", "result"};
	const char *chosen = names[draw(seed, sizeof names / sizeof names[0])];
	if (aa_get(message, "content") != NULL && draw(seed, 2) == 0) {
		chosen = "content";
	} else if (draw(seed, 8) > 0) {
		const aa_value *member = message->first;
		for (size_t n = draw(seed, message->count); n > 0; n--) {
			member = member->next;
		}
		chosen = aa_copy(arena, member->name).data;
	}
	int is_left_out = draw(seed, 8) == 0;
	aa_value *copy = aa_map(arena);
	for (const aa_value *member = message->first; member != NULL; member = member->next) {
		const char *name = aa_copy(arena, member->name).data;
		if (strcmp(name, chosen) != 0) {
			copy = aa_set(copy, name, aa_clone(arena, member));
		}
	}
	return is_left_out ? copy : aa_set(copy, chosen, odd_value(arena, message, seed));
}

/* Returns the tokens in a document: "tokens": and the object behind it; data is NULL if there are none. */
static aa_bytes tokens_in(aa_bytes document)
{
	static const char name[] = "\"tokens\":";
	for (size_t i = 0; i + sizeof name <= document.size; i++) {
		if (memcmp(document.data + i, name, sizeof name - 1) == 0) {
			const char *end = memchr(document.data + i, '}', document.size - i);
			return end == NULL ? (aa_bytes){NULL, 0}
					   : (aa_bytes){document.data + i, (size_t)(end - document.data) - i + 1};
		}
	}
	return (aa_bytes){NULL, 0};
}

static int contains(aa_bytes text, aa_bytes part)
{
	for (size_t i = 0; i + part.size <= text.size; i++) {
		if (memcmp(text.data + i, part.data, part.size) == 0) {
			return 1;
		}
	}
	return 0;
}

static void test_mutations(void)
{
	unsigned long long seed = 2;
	int passed = 0;
	for (int i = 0; i < 20000; i++) {
		const aa_value *vector = vectors->first;
		for (size_t n = draw(&seed, vectors->count); n > 0; n--) {
			vector = vector->next;
		}
		const aa_value *steps = aa_get_array(vector, "steps");
		if (steps == NULL) {
			continue;
		}
		aa_arena *arena = aa_arena_new();
		aa_bytes documents[4 * MAX_STEPS] = {AA_LITERAL("{}\n")};
		size_t count = 1, at = draw(&seed, steps->count < 40 ? steps->count : 40), n = 0;
		aa_file_policy *policy = NULL;
		aa_file_effect last;
		int has_last = 0;
		for (const aa_value *step = steps->first; step != NULL && n <= at; step = step->next, n++) {
			const aa_value *event = aa_get_map(step, "event"), *message = aa_get_map(step, "effect");
			if (message == NULL) {
				continue;
			}
			aa_bytes content = aa_get_binary(event, "content");
			aa_journal journal;
			documents[count++] = content;
			if (content.size > 0 && aa_journal_read(arena, content, &journal) == 1) {
				documents[count++] = journal.before;
				documents[count++] = journal.after;
			}
			if (is(aa_get_text(event, "type"), "start")) {
				aa_file_policy_free(policy);
				policy = aa_file_policy_new(event);
			} else if (has_last) {
				aa_file_answer answer = answer_of(arena, event);
				aa_file_policy_answered(policy, &last, &answer, NULL);
			}
			int64_t now = aa_get_integer(event, "now");
			if (n < at) {
				CHECK(aa_file_policy_effect(policy, arena, message, now, &last, NULL) == 0,
				      "it passes");
				has_last = 1;
				continue;
			}
			agentassert_error error = {0};
			aa_value *other = mutated(arena, message, &seed);
			if (aa_file_policy_effect(policy, arena, other, now, &last, &error) != 0) {
				CHECK(strcmp(error.code, "policy_violation") == 0, "%s", error.code);
				continue;
			}
			passed++;
			CHECK(last.type != AA_FILE_REMOVE || !is(last.name, "target"), "the target is removed");
			CHECK(last.type != AA_FILE_MOVE || !is(last.name, "target"), "the target is moved");
			if (!is(last.name, "target") || (last.type != AA_FILE_CREATE && last.type != AA_FILE_WRITE)) {
				continue;
			}
			aa_bytes tokens = tokens_in(last.content);
			int is_known = tokens.data == NULL;
			for (size_t j = 0; j < count && !is_known; j++) {
				is_known = contains(documents[j], tokens);
			}
			CHECK(is_known, "%.*s", (int)last.content.size, last.content.data);
		}
		aa_file_policy_free(policy);
		aa_arena_free(arena);
	}
	CHECK(passed > 500, "%d have passed", passed);
	printf("%d of the changed effects have passed\n", passed);
}

int main(int count, char **arguments)
{
	REQUIRE(count == 2, "the folder of the vectors is the argument");
	memory = aa_arena_new();
	vectors = read_vectors(memory, arguments[1], "files.json");
	test_vectors();
	test_credentials(arguments[1]);
	test_end();
	test_refusals();
	test_detours();
	test_text();
	test_mutations();
	aa_arena_free(memory);
	return test_result();
}
