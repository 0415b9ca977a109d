/* A manager that is driven by the lines of standard input: bindings/managers has the test, for all
 * languages, and says what the lines are. */
#define _DEFAULT_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentassert_curl.h"
#include "agentassert_file.h"
#include "call.h"
#include "failing_store.h"
#include "text.h"

enum { most_callers = 256, most_texts = 16 };

/* What is driven. */
struct driver {
	agentassert *core;
	agentassert_store *store;
	struct failing_store failing;
	agentassert_store failing_methods;
	agentassert_manager *manager;
	agentassert_authorization *last;
};

/* Returns text that ends with a zero byte, or NULL. */
static const char *text_in(aa_arena *arena, const aa_value *map, const char *name)
{
	aa_bytes text = aa_get_text(map, name);
	return text.size > 0 ? aa_copy(arena, text).data : NULL;
}

/* Fills in a list of texts, which ends with a NULL. */
static const char *const *texts_in(aa_arena *arena, const aa_value *map, const char *name,
				   const char *texts[most_texts])
{
	const aa_value *list = aa_get_array(map, name);
	size_t count = 0;
	for (const aa_value *each = list ? list->first : NULL; each && count < most_texts - 1; each = each->next) {
		texts[count++] = aa_copy(arena, each->bytes).data;
	}
	texts[count] = NULL;
	return texts;
}

static aa_value *error_value(aa_arena *arena, const char *code, const char *message)
{
	aa_value *value = aa_set(aa_map(arena), "code", aa_text(arena, aa_copy(arena, aa_text_of(code))));
	return aa_set(value, "message", aa_text(arena, aa_copy(arena, aa_text_of(message))));
}

static aa_value *failure(aa_arena *arena, const agentassert_error *error)
{
	return aa_set(aa_map(arena), "error", error_value(arena, error->code, error->message));
}

static aa_value *success(aa_arena *arena)
{
	return aa_set(aa_map(arena), "ok", aa_map(arena));
}

/* Opens the store that the options ask for. */
static int open_store(struct driver *driver, aa_arena *arena, const aa_value *options, agentassert_error *error)
{
	const char *path = text_in(arena, options, "auth_json");
	if (path) {
		agentassert_file_store_options file = AGENTASSERT_FILE_STORE_OPTIONS;
		file.beside = aa_get_boolean(options, "beside");
		return agentassert_file_store(path, &file, &driver->store, error);
	}
	if (agentassert_memory_store(&driver->store, error)) {
		return -1;
	}
	int is_broken = aa_get_boolean(options, "broken"), is_read_only = aa_get_boolean(options, "read_only");
	driver->failing = (struct failing_store){
	    .inner = driver->store,
	    .code = is_read_only ? "store_read_only" : "",
	    .method = is_broken      ? "all"
		      : is_read_only ? "writes"
				     : "none",
	};
	driver->failing_methods = failing_store_methods(&driver->failing);
	driver->failing_methods.credentials = NULL;
	return 0;
}

static aa_value *open_manager(struct driver *driver, aa_arena *arena, const aa_value *given)
{
	agentassert_error error = {{0}, {0}};
	const char *trusted[most_texts], *forced[most_texts];
	const aa_value *who = aa_get_map(given, "credentials"), *process = aa_get_map(given, "instance");
	const agentassert_credentials credentials = {
	    .kind = text_in(arena, who, "kind"),
	    .access_token = text_in(arena, who, "access_token"),
	    .account_id = text_in(arena, who, "account_id"),
	    .user_id = text_in(arena, who, "user_id"),
	    .fedramp = aa_get_boolean(who, "fedramp"),
	};
	const agentassert_instance instance = {
	    .header_mode = text_in(arena, process, "header_mode"),
	    .installation_id = text_in(arena, process, "installation_id"),
	    .harness = text_in(arena, process, "harness"),
	    .role = text_in(arena, process, "role"),
	};
	if (open_store(driver, arena, given, &error)) {
		return failure(arena, &error);
	}
	agentassert_manager_options options = AGENTASSERT_MANAGER_OPTIONS;
	options.base_url = text_in(arena, given, "base_url");
	options.store = aa_get_text(given, "auth_json").size > 0 ? driver->store : &driver->failing_methods;
	options.credentials = who ? &credentials : NULL;
	options.agent_identity = aa_get_boolean(given, "agent_identity");
	options.trusted_hosts = texts_in(arena, given, "trusted_hosts", trusted);
	options.forced_workspace_ids = texts_in(arena, given, "forced_workspace_ids", forced);
	options.profile = text_in(arena, given, "profile");
	options.auth_api_url = text_in(arena, given, "auth_api_url");
	options.all_surfaces = aa_get_boolean(given, "all_surfaces");
	options.instance = process ? &instance : NULL;
	options.workspace_routing = aa_get_boolean(given, "workspace_routing");
	options.send = agentassert_curl_send;
	if (agentassert_manager_open(driver->core, &options, &driver->manager, &error)) {
		return failure(arena, &error);
	}
	return success(arena);
}

/* Adds text, if there is any. */
static void set_text(aa_arena *arena, aa_value *map, const char *name, const char *text)
{
	if (*text) {
		aa_set(map, name, aa_text(arena, aa_copy(arena, aa_text_of(text))));
	}
}

static aa_value *authorization_value(aa_arena *arena, const agentassert_authorization *a)
{
	aa_value *value = aa_map(arena), *headers = aa_map(arena);
	set_text(arena, value, "mode", a->mode);
	set_text(arena, value, "reason", a->reason);
	set_text(arena, value, "header", a->header);
	set_text(arena, value, "agent_assertion", a->agent_assertion);
	set_text(arena, value, "account_id", a->account_id);
	set_text(arena, value, "agent_runtime_id", a->agent_runtime_id);
	set_text(arena, value, "task_id", a->task_id);
	set_text(arena, value, "runtime_agent_instance", a->runtime_agent_instance);
	set_text(arena, value, "responses_origin", a->responses_origin);
	set_text(arena, value, "account_routing_override", a->account_routing_override);
	aa_set(value, "fedramp", aa_boolean(arena, a->fedramp));
	aa_set(value, "retry_at", aa_integer(arena, a->retry_at));
	if (*a->cause_code) {
		aa_set(value, "cause", error_value(arena, a->cause_code, a->cause_message));
	}
	if (*a->notice_code) {
		aa_set(value, "notice", error_value(arena, a->notice_code, a->notice_message));
	}
	agentassert_header fields[AGENTASSERT_HEADERS];
	size_t count = agentassert_authorization_headers(a, fields);
	for (size_t i = 0; i < count; i++) {
		set_text(arena, headers, fields[i].name, fields[i].value);
	}
	return aa_set(value, "headers", headers);
}

/* Returns what one caller got. */
static aa_value *result(aa_arena *arena, const agentassert_authorization *a, const agentassert_error *error)
{
	return a ? aa_set(aa_map(arena), "authorization", authorization_value(arena, a)) : failure(arena, error);
}

/* One who asks. */
struct caller {
	pthread_t thread;
	const struct driver *driver;
	const char *surface, *conversation;
	int64_t timeout_ms;
	agentassert_authorization *authorization;
	agentassert_error error;
};

static void *call(void *self)
{
	struct caller *c = self;
	agentassert_manager_authorization(c->driver->manager, c->surface, c->conversation, c->timeout_ms,
					  &c->authorization, &c->error);
	return NULL;
}

/* Remembers the last authorization, for recover. */
static void remember(struct driver *driver, agentassert_authorization *authorization)
{
	if (authorization) {
		agentassert_authorization_free(driver->last);
		driver->last = authorization;
	}
}

static aa_value *authorize(struct driver *driver, aa_arena *arena, const aa_value *line)
{
	int64_t count = aa_get_integer(line, "callers"), timeout = aa_get_integer(line, "timeout_ms");
	count = count < 1 ? 1 : count > most_callers ? most_callers : count;
	struct caller *callers = aa_alloc(arena, (size_t)count * sizeof *callers);
	aa_value *results = aa_array(arena);
	for (int64_t i = 0; i < count; i++) {
		callers[i] = (struct caller){
		    .driver = driver,
		    .surface = text_in(arena, line, "surface"),
		    .conversation = text_in(arena, line, "thread"),
		    .timeout_ms = timeout > 0 ? timeout : AGENTASSERT_FOREVER,
		};
		if (pthread_create(&callers[i].thread, NULL, call, &callers[i]) != 0) {
			exit(1);
		}
	}
	for (int64_t i = 0; i < count; i++) {
		pthread_join(callers[i].thread, NULL);
		aa_append(results, result(arena, callers[i].authorization, &callers[i].error));
	}
	for (int64_t i = count - 1; i > 0; i--) {
		agentassert_authorization_free(callers[i].authorization);
	}
	remember(driver, callers[0].authorization);
	return aa_set(aa_map(arena), "ok", results);
}

static aa_value *recover(struct driver *driver, aa_arena *arena, const aa_value *line)
{
	aa_bytes body = aa_get_text(line, "body");
	const agentassert_refusal refusal = {
	    .date = text_in(arena, aa_get_map(line, "headers"), "Date"),
	    .body = body.data,
	    .body_size = body.size,
	};
	agentassert_authorization *a;
	agentassert_error error = {{0}, {0}};
	if (!driver->last) {
		return aa_set(aa_map(arena), "error", error_value(arena, "invalid_request", "nothing was authorized"));
	}
	agentassert_manager_recover(driver->manager, driver->last, &refusal, AGENTASSERT_FOREVER, &a, &error);
	aa_value *ok = aa_append(aa_array(arena), result(arena, a, &error));
	remember(driver, a);
	return aa_set(aa_map(arena), "ok", ok);
}

static aa_value *answer(struct driver *driver, aa_arena *arena, const aa_value *line)
{
	aa_bytes op = aa_get_text(line, "op");
	agentassert_error error = {{0}, {0}};
	if (aa_is(op, "open") && !driver->manager) {
		return open_manager(driver, arena, aa_get_map(line, "options"));
	}
	if (aa_is(op, "authorization") && driver->manager) {
		return authorize(driver, arena, line);
	}
	if (aa_is(op, "recover") && driver->manager) {
		return recover(driver, arena, line);
	}
	if (aa_is(op, "forget") && driver->manager) {
		int failed = agentassert_manager_forget(driver->manager, text_in(arena, line, "thread"), &error);
		return failed ? failure(arena, &error) : success(arena);
	}
	if (aa_is(op, "close") && driver->manager) {
		agentassert_manager_close(driver->manager);
		return success(arena);
	}
	return aa_set(aa_map(arena), "error",
		      error_value(arena, "invalid_request", "this driver does not know that line"));
}

int main(void)
{
	struct driver driver = {0};
	agentassert_error error;
	if (agentassert_open(NULL, &driver.core, &error)) {
		fprintf(stderr, "driver: %s (%s)\n", error.message, error.code);
		return 1;
	}
	char *line = NULL;
	size_t room = 0;
	for (ssize_t size; (size = getline(&line, &room, stdin)) >= 0;) {
		aa_arena *arena = aa_arena_new();
		aa_value *question;
		aa_bytes text;
		if (!arena || aa_decode_json(arena, (aa_bytes){line, (size_t)size}, &question) != AA_OK ||
		    aa_encode_json(arena, answer(&driver, arena, question), &text) != AA_OK) {
			fprintf(stderr, "driver: a line is none\n");
			return 1;
		}
		fwrite(text.data, 1, text.size, stdout);
		putchar('\n');
		fflush(stdout);
		aa_arena_free(arena);
	}
	free(line);
	agentassert_authorization_free(driver.last);
	agentassert_manager_free(driver.manager);
	agentassert_store_close(driver.store);
	agentassert_close(driver.core);
	return 0;
}
