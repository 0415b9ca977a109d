/* What programs ask a manager for. */
#include <string.h>

#include "buffer.h"
#include "clock.h"
#include "json.h"
#include "manager.h"
#include "no_memory.h"
#include "text.h"
#include "utf8.h"

/* Between the parts of a key. No id has it. */
#define SEPARATOR AA_LITERAL("\1")

enum {
	/* How much of a refusal's body is looked at, in bytes. */
	largest_refusal = 64 << 10,
	/* The longest code of an error that means something here, in bytes. */
	longest_code = 128,
};

/* Gets the key under which a call's answer is kept: of background surfaces one, of those that are bearer
 * only, and for each thread one of responses and one of its other surfaces. */
static int key_of(aa_arena *arena, aa_bytes surface, aa_bytes thread, aa_bytes *key, agentassert_error *error)
{
	enum aa_scope scope = aa_scope_of(surface);
	switch (scope) {
	case AA_NO_SCOPE:
		return aa_fail(error, "unknown_surface",
			       "there is no surface of that name; the protocol has " AA_SURFACE_NAMES);
	case AA_THREAD:
		if (thread.size == 0) {
			return aa_fail(error, "thread_surface",
				       "calls on that surface belong to a conversation; give its id");
		}
		break;
	default:
		if (thread.size > 0) {
			return aa_fail(error, "thread_surface", "calls on that surface belong to no conversation");
		}
	}
	const aa_bytes parts[] = {
	    scope == AA_THREAD       ? AA_LITERAL("thread")
	    : scope == AA_BACKGROUND ? AA_LITERAL("background")
				     : AA_LITERAL("bearer-only"),
	    SEPARATOR,
	    aa_is(surface, "responses") ? surface : AA_LITERAL("others"),
	    SEPARATOR,
	    thread,
	};
	*key = aa_join(arena, parts, 5);
	return key->data ? 0 : aa_no_memory(error);
}

/* Makes an error of what is not to be sent because something failed. That nobody is signed in is no
 * failure: such calls go out as they are. */
static int turn(const struct aa_given *given, agentassert_error *error)
{
	const agentassert_authorization *a = &given->authorization;
	if (strcmp(a->mode, "none") == 0 && *a->cause_code && strcmp(a->reason, "no-chatgpt-credentials") != 0) {
		return aa_fail(error, "thread_failed",
			       "the turn cannot be authorized; try again with the next; what failed: %s (%s)",
			       a->cause_message, a->cause_code);
	}
	return 0;
}

/* Hands an answer to the caller; of a conversation's only if it can be sent. */
static int hand_out(struct aa_given *given, agentassert_authorization **authorization, agentassert_error *error)
{
	if (*given->thread && turn(given, error)) {
		agentassert_authorization_free(&given->authorization);
		return -1;
	}
	*authorization = &given->authorization;
	return 0;
}

/* Gets the answer to a call, in an arena that has the key. */
static int ask(agentassert_manager *manager, aa_arena *arena, aa_bytes surface, aa_bytes thread, int64_t timeout_ms,
	       struct aa_given **given, agentassert_error *error)
{
	struct aa_question question = {.surface = surface, .thread = thread};
	if (key_of(arena, surface, thread, &question.key, error)) {
		return -1;
	}
	question.kept_key = question.key;
	int recalled = aa_recall(manager, question.kept_key.data, given, error);
	if (recalled != 0) {
		return recalled == 1 ? 0 : -1;
	}
	return aa_ask(manager, &question, timeout_ms, given, error);
}

int agentassert_manager_authorization(agentassert_manager *manager, const char *surface, const char *thread,
				      int64_t timeout_ms, agentassert_authorization **authorization,
				      agentassert_error *error)
{
	struct aa_given *given;
	aa_arena *arena = aa_arena_new();
	*authorization = NULL;
	if (!arena) {
		return aa_no_memory(error);
	}
	int failed = ask(manager, arena, aa_text_of(surface), aa_text_of(thread), timeout_ms, &given, error);
	aa_arena_free(arena);
	return failed ? -1 : hand_out(given, authorization, error);
}

int agentassert_manager_bearer(agentassert_manager *manager, int64_t timeout_ms,
			       agentassert_authorization **authorization, agentassert_error *error)
{
	return agentassert_manager_authorization(manager, "bootstrap", NULL, timeout_ms, authorization, error);
}

int agentassert_manager_prewarm(agentassert_manager *manager, const char *thread, int64_t timeout_ms,
				agentassert_error *error)
{
	const char *surface = thread && *thread ? "responses" : "background";
	agentassert_authorization *authorization;
	int failed = agentassert_manager_authorization(manager, surface, thread, timeout_ms, &authorization, error);
	agentassert_authorization_free(authorization);
	return failed;
}

/* Reports whether text is a code, and no sentence. */
static int is_code(aa_bytes text)
{
	return text.size > 0 && text.size <= longest_code &&
	       aa_has_only(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-", 'a', 'z');
}

/* Returns the code in the body of a refusal, in the forms that backends use, or no bytes:
 * {"error":{"code":…}}, {"detail":{"code":…}}, {"code":…} or {"error":…}. */
static aa_bytes code_in(aa_arena *arena, const agentassert_refusal *refusal)
{
	aa_bytes body = {refusal->body, refusal->body_size};
	const aa_json *json;
	if (!body.data || aa_json_read(arena, body, largest_refusal, &json) != AA_OK) {
		return AA_LITERAL("");
	}
	const aa_bytes candidates[] = {
	    aa_json_get_text(aa_json_get(json, "error"), "code"),
	    aa_json_get_text(aa_json_get(json, "detail"), "code"),
	    aa_json_get_text(json, "code"),
	    aa_json_get_text(json, "error"),
	};
	for (size_t i = 0; i < sizeof candidates / sizeof candidates[0]; i++) {
		if (is_code(candidates[i])) {
			return candidates[i];
		}
	}
	return AA_LITERAL("");
}

static aa_value *set_if(aa_arena *arena, aa_value *map, const char *name, aa_bytes text)
{
	return text.size > 0 ? aa_set(map, name, aa_text(arena, text)) : map;
}

/* Gets the answer in place of a rejected one. */
static int replace(agentassert_manager *manager, aa_arena *arena, const struct aa_given *rejected,
		   const agentassert_refusal *refusal, int64_t timeout_ms, struct aa_given **given,
		   agentassert_error *error)
{
	const agentassert_authorization *a = &rejected->authorization;
	aa_bytes instance = aa_text_of(a->runtime_agent_instance);
	aa_bytes agent = aa_text_of(instance.size > 0 ? NULL : a->agent_runtime_id);
	aa_bytes task = aa_text_of(instance.size > 0 ? NULL : a->task_id);
	aa_bytes code = refusal ? code_in(arena, refusal) : AA_LITERAL("");
	aa_bytes date = refusal ? aa_text_of(refusal->date) : AA_LITERAL("");
	struct aa_question question = {.surface = aa_text_of(rejected->surface),
				       .thread = aa_text_of(rejected->thread)};
	if (key_of(arena, question.surface, question.thread, &question.kept_key, error)) {
		return -1;
	}
	aa_value *rejection = set_if(arena, aa_map(arena), "runtime_agent_instance", instance);
	rejection = set_if(arena, rejection, "agent_runtime_id", agent);
	rejection = set_if(arena, rejection, "task_id", task);
	rejection = set_if(arena, rejection, "code", code);
	rejection = set_if(arena, rejection, "date", aa_is_utf8(date) ? date : AA_LITERAL(""));
	const aa_bytes key[] = {
	    AA_LITERAL("recover"),
	    SEPARATOR,
	    question.kept_key,
	    SEPARATOR,
	    agent,
	    SEPARATOR,
	    task,
	    SEPARATOR,
	    instance,
	    SEPARATOR,
	    code,
	};
	question.key = aa_join(arena, key, sizeof key / sizeof key[0]);
	question.rejected = rejection;
	if (!rejection || !question.key.data) {
		return aa_no_memory(error);
	}
	return aa_ask(manager, &question, timeout_ms, given, error);
}

int agentassert_manager_recover(agentassert_manager *manager, const agentassert_authorization *rejected,
				const agentassert_refusal *refusal, int64_t timeout_ms,
				agentassert_authorization **authorization, agentassert_error *error)
{
	const struct aa_given *before = (const struct aa_given *)rejected;
	struct aa_given *given;
	*authorization = NULL;
	if (!aa_asserts(rejected) || before->manager != manager->id) {
		given = aa_given_copy(before);
		if (!given) {
			return aa_no_memory(error);
		}
		*authorization = &given->authorization;
		return 0;
	}
	aa_arena *arena = aa_arena_new();
	if (!arena) {
		return aa_no_memory(error);
	}
	int failed = replace(manager, arena, before, refusal, timeout_ms, &given, error);
	aa_arena_free(arena);
	return failed ? -1 : hand_out(given, authorization, error);
}

int agentassert_manager_forget(agentassert_manager *manager, const char *thread, agentassert_error *error)
{
	const agentassert_store *store = &manager->overlay.store;
	struct aa_flight *flight;
	agentassert_error problem = {{0}, {0}};
	if (!thread || !*thread) {
		return aa_fail(error, "invalid_thread_id", "there is no id of a conversation");
	}
	if (aa_flight_begin(manager, &flight, error)) {
		return -1;
	}
	const aa_bytes parts[] = {AA_LITERAL("thread/"), aa_text_of(thread)};
	aa_bytes slot = aa_join(flight->arena, parts, 2);
	const agentassert_context context = {
	    .core = manager->host.core,
	    .cancel = &flight->cancel,
	    .deadline = AA_NEVER,
	};
	int failed = slot.data ? 0 : aa_no_memory(&problem);
	if (!failed) {
		aa_overlay_forget(&manager->overlay, slot.data);
		failed = store->remove(store->self, slot.data, &context, &problem) ? aa_store_failed(&problem) : 0;
	}
	aa_flight_end(flight);
	return failed ? aa_fail(error, problem.code, "%s", problem.message) : 0;
}

int agentassert_manager_apps_mcp_server(agentassert_manager *manager, const char *explicit_authorization,
					int64_t timeout_ms, char **url, agentassert_authorization **authorization,
					agentassert_error *error)
{
	*url = NULL;
	if (agentassert_manager_bearer(manager, timeout_ms, authorization, error)) {
		return -1;
	}
	struct aa_given *given = (struct aa_given *)*authorization;
	const aa_bytes parts[] = {aa_text_of(manager->base_url), AA_LITERAL(AA_APPS_PATH)};
	aa_bytes joined = aa_join(given->arena, parts, 2);
	*url = joined.data ? aa_buffer_copy(joined) : NULL;
	if (explicit_authorization && *explicit_authorization) {
		given->authorization.header = aa_copy(given->arena, aa_text_of(explicit_authorization)).data;
		given->leaves_own = 0;
	}
	if (!*url || !given->authorization.header) {
		agentassert_free(*url);
		*url = NULL;
		agentassert_authorization_free(*authorization);
		*authorization = NULL;
		return aa_no_memory(error);
	}
	return 0;
}
