#include "posix.h"

#include "file_store.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "call.h"
#include "file_lock.h"
#include "file_operation.h"
#include "file_paths.h"
#include "file_policy.h"
#include "file_system.h"
#include "missing_file.h"
#include "no_memory.h"
#include "text.h"
#include "untrusted.h"

/* Longer than any host holds a lock, which is 250 s; in milliseconds. */
#define LOCK_TIMEOUT_MS 270000

/* How often the lock of a registration is tried again, which others hold for longer than one of
 * the client's. */
#define LOCK_POLL_MS 20

struct file_store {
	agentassert_store store;
	char *given, *path;
	int64_t lock_timeout_ms;
	int beside, only_here;
	void (*before)(void *self, const aa_file_effect *effect, const char *path);
	void *before_self;
};

/* An operation that is asked for, and what comes of it. */
struct request {
	const char *operation, *slot;
	aa_bytes record, expected; /* data is NULL if there is none */
};

struct operation {
	struct file_store *store;
	const agentassert_context *context;
	const struct request *request;
	aa_arena *arena; /* of what it needs to its end */
	aa_file_policy *policy;
	aa_file_operation *files;
};

static const char *text_or_nothing(aa_arena *arena, const aa_value *map, const char *name)
{
	aa_bytes text = aa_get_text(map, name);
	return text.size == 0 ? NULL : aa_copy(arena, text).data;
}

/* Returns what stands for a slot's thread in names of files. NULL in name if it has none. */
static int thread_name(const struct operation *o, const char *slot, const char **name, agentassert_error *error)
{
	*name = NULL;
	aa_bytes text = aa_text_of(slot);
	if (!aa_begins(text, "thread/")) {
		return 0;
	}
	aa_value *params = aa_set(aa_map(o->arena), "thread_id", aa_text(o->arena, aa_after(text, 7)));
	aa_value *result;
	if (params == NULL) {
		return aa_no_memory(error);
	}
	if (aa_call(agentassert_context_core(o->context), o->arena, "thread.file", params, &result, error) != 0) {
		return -1;
	}
	aa_bytes digits;
	if (aa_untrusted_text(result, "name", &digits, error) != 0) {
		return -1;
	}
	if (digits.size != 64 || !aa_has_only(digits, "abcdef", '0', '9')) {
		return aa_violation(error, "the name of a file", "that is no SHA-256");
	}
	*name = aa_copy(o->arena, digits).data;
	return *name == NULL ? aa_no_memory(error) : 0;
}

/* Returns the event that starts an operation. */
static aa_value *start_of(const struct operation *o)
{
	const struct request *r = o->request;
	aa_arena *arena = o->arena;
	aa_value *start = aa_set(aa_map(arena), "type", aa_text(arena, AA_LITERAL("start")));
	start = aa_set(start, "operation", aa_text(arena, aa_text_of(r->operation)));
	if (r->slot != NULL) {
		start = aa_set(start, "slot", aa_text(arena, aa_text_of(r->slot)));
	}
	if (r->record.size > 0) {
		start = aa_set(start, "record", aa_binary(arena, r->record));
	}
	if (r->expected.size > 0) {
		start = aa_set(start, "expected", aa_binary(arena, r->expected));
	}
	if (o->store->beside) {
		start = aa_set(start, "beside", aa_boolean(arena, 1));
	}
	return start;
}

/* Returns the event that answers an effect. */
static aa_value *event_of(aa_arena *arena, const aa_file_answer *answer)
{
	aa_value *event = aa_map(arena);
	if (answer->failure != NULL) {
		event = aa_set(event, "type", aa_text(arena, AA_LITERAL("failed")));
		return aa_set(event, "failure", aa_text(arena, aa_text_of(answer->failure)));
	}
	event = aa_set(event, "type", aa_text(arena, AA_LITERAL("done")));
	if (answer->has_stat) {
		const aa_file_stat *stat = &answer->stat;
		aa_bytes id = aa_copy(arena, aa_text_of(stat->id));
		aa_value *map = aa_set(aa_map(arena), "id", id.data == NULL ? NULL : aa_text(arena, id));
		map = aa_set(map, "size", aa_integer(arena, stat->size));
		map = aa_set(map, "modified", aa_integer(arena, stat->modified));
		map = aa_set(map, "mode", aa_integer(arena, stat->mode));
		map = aa_set(map, "links", aa_integer(arena, stat->links));
		event = aa_set(event, "stat", map);
	}
	if (answer->content.size > 0) {
		event = aa_set(event, "content", aa_binary(arena, answer->content));
	}
	if (answer->name_count > 0) {
		aa_value *names = aa_array(arena);
		for (size_t i = 0; i < answer->name_count; i++) {
			names = aa_append(names, aa_text(arena, answer->names[i]));
		}
		event = aa_set(event, "names", names);
	}
	return event;
}

/* Adds to an error of the flow's which file it is about, and what the system said, if the error
 * comes of that. */
static int fail_as(const struct operation *o, const aa_value *problem, agentassert_error *error)
{
	static const char *const of_system[] = {"store_read_only",
						"auth_file_unreadable",
						"auth_file_not_regular",
						"auth_file_locked",
						"auth_file_lock_unavailable",
						"auth_file_write_failed",
						NULL};
	aa_bytes code = aa_get_text(problem, "code"), message = aa_get_text(problem, "message");
	const char *why = aa_is_among(code, of_system) ? aa_file_operation_failure(o->files) : NULL;
	const char *code_text = aa_copy(o->arena, code).data;
	return aa_fail(error, code_text == NULL ? "no_memory" : code_text, "%.*s (%s)%s%s", (int)message.size,
		       message.data, o->store->path, why == NULL ? "" : ": ", why == NULL ? "" : why);
}

/* Takes steps until the operation is over. What is handed from one to the next is in an arena of
 * its own, and overwritten after it: documents are large, and steps many. */
static int take_steps(struct operation *o, aa_value *event, aa_arena **last, aa_file_effect *effect,
		      agentassert_error *error)
{
	agentassert *core = agentassert_context_core(o->context);
	aa_bytes state = {NULL, 0};
	for (;;) {
		aa_arena *arena = aa_arena_new();
		if (arena == NULL || event == NULL) {
			aa_arena_free(arena);
			return aa_no_memory(error);
		}
		int64_t now = (int64_t)time(NULL);
		aa_value *params = aa_set(aa_map(arena), "event", aa_set(event, "now", aa_integer(arena, now)));
		if (state.data != NULL) {
			params = aa_set(params, "state", aa_binary(arena, state));
		}
		aa_value *step = NULL;
		int result =
		    params == NULL ? aa_no_memory(error) : aa_call(core, arena, "file.step", params, &step, error);
		/* The event and the state before it are not needed any more. */
		aa_arena_free(*last);
		*last = arena;
		if (result != 0 ||
		    aa_file_policy_effect(o->policy, arena, aa_get(step, "effect"), now, effect, error) != 0) {
			return -1;
		}
		if (effect->type == AA_FILE_DONE) {
			return effect->error == NULL ? 0 : fail_as(o, effect->error, error);
		}
		aa_file_answer answer;
		aa_file_operation_carry_out(o->files, arena, effect, &answer);
		if (aa_file_policy_answered(o->policy, effect, &answer, error) != 0 ||
		    aa_untrusted_bytes(step, "state", &state, error) != 0) {
			return -1;
		}
		event = event_of(arena, &answer);
	}
}

/* Carries out an operation. What it came to is in last, an arena that the caller frees. */
static int carry_out(struct file_store *store, const struct request *request, const agentassert_context *context,
		     aa_arena **last, aa_file_effect *effect, agentassert_error *error)
{
	struct operation o = {.store = store, .context = context, .request = request, .arena = aa_arena_new()};
	int result = -1;
	*last = NULL;
	if (o.arena == NULL) {
		return aa_no_memory(error);
	}
	aa_file_settings settings = {
	    .only_here = store->only_here, .before = store->before, .before_self = store->before_self};
	if (thread_name(&o, request->slot, &settings.thread, error) == 0) {
		aa_value *start = start_of(&o);
		settings.target = aa_resolve_target(o.arena, store->path);
		o.policy = start == NULL ? NULL : aa_file_policy_new(start);
		o.files = settings.target == NULL ? NULL : aa_file_operation_new(&settings, context);
		result = o.policy == NULL || o.files == NULL ? aa_no_memory(error)
							     : take_steps(&o, start, last, effect, error);
	}
	aa_file_operation_free(o.files);
	aa_file_policy_free(o.policy);
	aa_arena_free(o.arena);
	return result;
}

/* Carries out an operation of which nothing more is wanted than whether it could be. */
static int change(struct file_store *store, const struct request *request, const agentassert_context *context,
		  agentassert_error *error)
{
	aa_arena *last;
	aa_file_effect effect;
	int result = carry_out(store, request, context, &last, &effect, error);
	aa_arena_free(last);
	return result;
}

static int load(void *self, const char *slot, const agentassert_context *context, agentassert_record_answer *answer,
		agentassert_error *error)
{
	struct request request = {.operation = "load", .slot = slot};
	aa_arena *last;
	aa_file_effect effect;
	int result = carry_out(self, &request, context, &last, &effect, error);
	if (result == 0 && effect.record.data != NULL) {
		agentassert_answer_record(answer, effect.record.data, effect.record.size);
	}
	aa_arena_free(last);
	return result;
}

/* Bytes of a caller's. */
static aa_bytes bytes_of(const void *data, size_t size)
{
	return size == 0 ? (aa_bytes){NULL, 0} : (aa_bytes){data, size};
}

static int save(void *self, const char *slot, const void *record, size_t record_size,
		const agentassert_context *context, agentassert_error *error)
{
	struct request request = {.operation = "save", .slot = slot, .record = bytes_of(record, record_size)};
	return change(self, &request, context, error);
}

static int remove_record(void *self, const char *slot, const agentassert_context *context, agentassert_error *error)
{
	struct request request = {.operation = "delete", .slot = slot};
	return change(self, &request, context, error);
}

static int swap(void *self, const char *slot, const void *expected, size_t expected_size, const void *record,
		size_t record_size, const agentassert_context *context, agentassert_error *error)
{
	struct request request = {.operation = "swap",
				  .slot = slot,
				  .record = bytes_of(record, record_size),
				  .expected = bytes_of(expected, expected_size)};
	return change(self, &request, context, error);
}

/* Puts auth.json in its own place, for the identity; or writes a record's file and removes it. */
static int probe(void *self, const char *slot, const agentassert_context *context, agentassert_error *error)
{
	struct request request = {.operation = "probe", .slot = slot};
	return change(self, &request, context, error);
}

/* Reports whether some text of credentials would be cut off in C. */
static int has_zero(const aa_value *map)
{
	for (const aa_value *member = map->first; member != NULL; member = member->next) {
		if (member->kind == AA_TEXT && member->bytes.size > 0 &&
		    memchr(member->bytes.data, 0, member->bytes.size) != NULL) {
			return 1;
		}
	}
	return 0;
}

static int answer_credentials(struct file_store *store, aa_arena *arena, const aa_value *found,
			      agentassert_credentials_answer *answer, agentassert_error *error)
{
	const aa_value *problem = aa_get_map(found, "problem");
	if (has_zero(found)) {
		return aa_fail(error, "invalid_credentials", "credentials in %s have U+0000 in them", store->path);
	}
	if (aa_is(aa_get_text(problem, "code"), "auth_file_missing")) {
		problem = aa_missing_file(arena, store->given, store->path);
		if (problem == NULL) {
			return aa_no_memory(error);
		}
	}
	agentassert_credentials credentials = {
	    .kind = text_or_nothing(arena, found, "kind"),
	    .access_token = text_or_nothing(arena, found, "access_token"),
	    .account_id = text_or_nothing(arena, found, "account_id"),
	    .user_id = text_or_nothing(arena, found, "user_id"),
	    .email = text_or_nothing(arena, found, "email"),
	    .plan_type = text_or_nothing(arena, found, "plan_type"),
	    .problem_code = text_or_nothing(arena, problem, "code"),
	    .problem_message = text_or_nothing(arena, problem, "message"),
	    .fedramp = aa_get_boolean(found, "fedramp"),
	};
	agentassert_answer_credentials(answer, &credentials);
	return 0;
}

static int credentials(void *self, const agentassert_context *context, agentassert_credentials_answer *answer,
		       agentassert_error *error)
{
	struct request request = {.operation = "credentials"};
	aa_arena *last;
	aa_file_effect effect;
	int result = carry_out(self, &request, context, &last, &effect, error);
	if (result == 0) {
		result = answer_credentials(self, last, effect.credentials, answer, error);
	}
	aa_arena_free(last);
	return result;
}

/* Fills in the error of a registration's lock. */
static int fail_to_lock(const char *path, const aa_file_failure *failure, agentassert_error *error)
{
	if (strcmp(failure->word, AA_FAILURE_CANCELED) == 0) {
		return aa_fail(error, "auth_file_locked", "the wait for %s was canceled", path);
	}
	if (strcmp(failure->word, AA_FAILURE_LOCKED) == 0) {
		return aa_fail(error, "auth_file_locked",
			       "%s is held by another process, or by others in this one who came first; wait, or end "
			       "that process",
			       path);
	}
	if (strcmp(failure->word, AA_FAILURE_UNSUPPORTED) == 0) {
		return aa_fail(error, "auth_file_lock_unavailable",
			       "%s cannot be locked: %s. If no other process uses the file, set the store's option "
			       "lock to AGENTASSERT_LOCK_PROCESS",
			       path, failure->text);
	}
	if (strcmp(failure->word, AA_FAILURE_DENIED) == 0 || strcmp(failure->word, AA_FAILURE_READ_ONLY) == 0) {
		return aa_fail(error, "store_read_only",
			       "%s cannot be made; check who may write its folder, and whether that is mounted "
			       "read-only: %s",
			       path, failure->text);
	}
	if (strcmp(failure->word, AA_FAILURE_NOT_REGULAR) == 0 || strcmp(failure->word, AA_FAILURE_FOLDER) == 0) {
		return aa_fail(error, "auth_file_not_regular",
			       "there is something else where the lock file %s belongs; remove it", path);
	}
	return aa_fail(error, "auth_file_write_failed", "%s cannot be made: %s", path, failure->text);
}

static int is_writable(const char *path)
{
	aa_file_failure ignored;
	int fd;
	if (aa_open_regular(path, O_RDWR, &fd, &ignored) != 0) {
		return 0;
	}
	close(fd);
	return 1;
}

/* Takes the lock of a registration. */
static int take_lock(const struct operation *o, const char *thread, aa_file_lock **lock, agentassert_error *error)
{
	const char *target = aa_resolve_target(o->arena, o->store->path);
	const char *path = target == NULL ? NULL : aa_registration_lock(o->arena, target, thread);
	const char *folder = target == NULL ? NULL : aa_thread_locks(o->arena, target);
	if (path == NULL || folder == NULL) {
		return aa_no_memory(error);
	}
	aa_lock_request request = {.path = path,
				   .target = target,
				   .timeout_ms = o->store->lock_timeout_ms,
				   .poll_ms = LOCK_POLL_MS,
				   .is_removed = thread != NULL, /* there are many */
				   .only_here = o->store->only_here};
	aa_file_failure failure;
	if (thread != NULL && !o->store->only_here && aa_make_folder(folder, target, &failure) != 0) {
		return fail_to_lock(path, &failure, error);
	}
	if (aa_file_lock_take(&request, o->context, lock, &failure) == 0) {
		return 0;
	}
	/* Where nothing can be put beside the file, it is its own lock. No client locks it. */
	int is_unwritable =
	    strcmp(failure.word, AA_FAILURE_DENIED) == 0 || strcmp(failure.word, AA_FAILURE_READ_ONLY) == 0;
	if (thread == NULL && is_unwritable && is_writable(target)) {
		request.path = target;
		if (aa_file_lock_take(&request, o->context, lock, &failure) == 0) {
			return 0;
		}
	}
	return fail_to_lock(request.path, &failure, error);
}

static int lock(void *self, const char *slot, const agentassert_context *context, void **lock, agentassert_error *error)
{
	int is_thread = slot != NULL && strncmp(slot, "thread/", 7) == 0 && slot[7] != '\0';
	if (!is_thread && (slot == NULL || strcmp(slot, "identity") != 0)) {
		return aa_fail(error, "invalid_request", "there is no lock of such a slot");
	}
	struct operation o = {.store = self, .context = context, .arena = aa_arena_new()};
	if (o.arena == NULL) {
		return aa_no_memory(error);
	}
	const char *thread;
	aa_file_lock *taken;
	int result = thread_name(&o, slot, &thread, error);
	if (result == 0) {
		result = take_lock(&o, thread, &taken, error);
	}
	if (result == 0) {
		*lock = taken;
	}
	aa_arena_free(o.arena);
	return result;
}

static void unlock(void *self, void *lock)
{
	(void)self;
	aa_file_lock_give(lock);
}

static void close_store(void *self)
{
	struct file_store *store = self;
	free(store->given);
	free(store->path);
	free(store);
}

void aa_file_store_before(agentassert_store *store,
			  void (*before)(void *self, const aa_file_effect *effect, const char *path), void *self)
{
	struct file_store *file_store = store->self;
	file_store->before = before;
	file_store->before_self = self;
}

static int refuse(agentassert_error *error, const char *problem)
{
	return aa_fail(error, "invalid_manager_config", "a file store %s", problem);
}

/* Checks options, and fills in what is absent. */
static int read_options(const agentassert_file_store_options *options, struct file_store *store,
			agentassert_error *error)
{
	static const agentassert_file_store_options defaults = AGENTASSERT_FILE_STORE_OPTIONS;
	const agentassert_file_store_options *o = options == NULL ? &defaults : options;
	if (o->size < sizeof *o) {
		return refuse(error, "has options that begin with AGENTASSERT_FILE_STORE_OPTIONS");
	}
	if (o->lock_timeout_ms < 0 || o->lock_timeout_ms > INT32_MAX) {
		return refuse(error, "has a lock_timeout_ms from 1 to 2147483647");
	}
	if (o->lock != AGENTASSERT_LOCK_PROCESSES && o->lock != AGENTASSERT_LOCK_PROCESS) {
		return refuse(error, "has a lock that is AGENTASSERT_LOCK_PROCESSES or AGENTASSERT_LOCK_PROCESS");
	}
	store->lock_timeout_ms = o->lock_timeout_ms == 0 ? LOCK_TIMEOUT_MS : o->lock_timeout_ms;
	store->only_here = o->lock == AGENTASSERT_LOCK_PROCESS;
	store->beside = o->beside != 0;
	return 0;
}

int agentassert_file_store(const char *path, const agentassert_file_store_options *options, agentassert_store **store,
			   agentassert_error *error)
{
	if (path == NULL || path[0] == '\0') {
		return refuse(error, "needs the path of an auth.json");
	}
	struct file_store *made = calloc(1, sizeof *made);
	aa_arena *arena = aa_arena_new();
	if (made != NULL && arena != NULL) {
		const char *absolute = aa_absolute_path(arena, path);
		made->given = strdup(path);
		made->path = absolute == NULL ? NULL : strdup(absolute);
	}
	aa_arena_free(arena);
	if (made == NULL || made->given == NULL || made->path == NULL) {
		if (made != NULL) {
			close_store(made);
		}
		return aa_no_memory(error);
	}
	if (read_options(options, made, error) != 0) {
		close_store(made);
		return -1;
	}
	made->store = (agentassert_store){.size = sizeof made->store,
					  .self = made,
					  .load = load,
					  .save = save,
					  .remove = remove_record,
					  .swap = swap,
					  .lock = lock,
					  .unlock = unlock,
					  .probe = probe,
					  .credentials = credentials,
					  .close = close_store};
	*store = &made->store;
	return 0;
}
