#include "posix.h"

#include "file_operation.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "entropy.h"
#include "file_lock.h"
#include "file_paths.h"
#include "file_rights.h"
#include "file_system.h"
#include "text.h"

/* How often one of the client's locks is tried again, in milliseconds: they are held for
 * milliseconds. */
#define LOCK_POLL_MS 2

/* How many temporaries there can be at once: with the names that there are, no more. */
#define MAX_TEMPORARIES 8

/* How often a temporary's name is drawn, if there is such a file. */
#define MAX_DRAWS 100

/* A file that is to take the place of another. */
struct temporary {
	char *name; /* of the file that it is for; NULL: there is none here */
	char *path;
	/* Of the file that was made: when it is opened again, somebody may have put another under
	 * its name. */
	dev_t device;
	ino_t inode;
};

struct aa_file_operation {
	aa_file_settings settings;
	const agentassert_context *context;
	struct temporary temporaries[MAX_TEMPORARIES];
	aa_file_lock *client_lock, *target_lock;
	int previous; /* the file that was the target, open since before it was replaced; or -1 */
	int has_failed;
	aa_file_failure last;
};

aa_file_operation *aa_file_operation_new(const aa_file_settings *settings, const agentassert_context *context)
{
	aa_file_operation *operation = calloc(1, sizeof *operation);
	if (operation != NULL) {
		operation->settings = *settings;
		operation->context = context;
		operation->previous = -1;
	}
	return operation;
}

static void close_previous(aa_file_operation *o)
{
	if (o->previous >= 0) {
		close(o->previous);
		o->previous = -1;
	}
}

/* Forgets a temporary, which is gone, or in its place. */
static void forget(struct temporary *temporary)
{
	free(temporary->name);
	free(temporary->path);
	*temporary = (struct temporary){.name = NULL};
}

void aa_file_operation_free(aa_file_operation *o)
{
	if (o == NULL) {
		return;
	}
	for (size_t i = 0; i < MAX_TEMPORARIES; i++) {
		if (o->temporaries[i].name != NULL) {
			unlink(o->temporaries[i].path);
			forget(&o->temporaries[i]);
		}
	}
	aa_file_lock_give(o->target_lock);
	aa_file_lock_give(o->client_lock);
	close_previous(o);
	free(o);
}

const char *aa_file_operation_failure(const aa_file_operation *o)
{
	return o->has_failed ? o->last.text : NULL;
}

/* Returns the temporary of a file, or NULL. */
static struct temporary *temporary_of(aa_file_operation *o, aa_bytes name)
{
	for (size_t i = 0; i < MAX_TEMPORARIES; i++) {
		if (o->temporaries[i].name != NULL && aa_is(name, o->temporaries[i].name)) {
			return &o->temporaries[i];
		}
	}
	return NULL;
}

static int no_temporary(aa_file_failure *failure)
{
	return aa_file_fail(failure, AA_FAILURE_MISSING, "there is no such temporary file");
}

static int no_memory(aa_file_failure *failure)
{
	return aa_file_fail(failure, AA_FAILURE_FAILED, "there is too little memory");
}

/* Looks at the folders of threads that a file is in: who may write the target's folder may have
 * put a link, which leads anywhere, in the place of one. */
static int check_folders(const aa_file_operation *o, aa_arena *arena, aa_bytes name, const char *path,
			 aa_file_failure *failure)
{
	if (!aa_begins(name, "thread/") && !aa_begins(name, "threads/")) {
		return 0;
	}
	const char *threads = aa_format(arena, "%s.threads", o->settings.target).data;
	const char *folder = aa_folder_of(arena, path);
	if (threads == NULL || folder == NULL) {
		return no_memory(failure);
	}
	if (aa_check_folder(threads, failure) != 0) {
		return -1;
	}
	return strcmp(folder, threads) == 0 ? 0 : aa_check_folder(folder, failure);
}

/* Hands out where a file is. */
static int path_of(const aa_file_operation *o, aa_arena *arena, aa_bytes name, char **path, aa_file_failure *failure)
{
	if (aa_file_path(arena, o->settings.target, o->settings.thread, name, path) != 0) {
		return aa_file_fail(failure, AA_FAILURE_FAILED,
				    "the core names a file that this library does not know");
	}
	return check_folders(o, arena, name, *path, failure);
}

/* Takes one of the client's locks. */
static int lock(aa_file_operation *o, const aa_file_effect *effect, const char *path, aa_file_failure *failure)
{
	int is_client = aa_is(effect->name, "client-lock");
	if (!is_client && strcmp(aa_base_of(path), "auth.lock") == 0) {
		return 0; /* of a target named auth its second lock is its first */
	}
	aa_lock_request request = {.path = path,
				   .target = o->settings.target,
				   .timeout_ms = effect->timeout_ms,
				   .poll_ms = LOCK_POLL_MS,
				   .only_here = o->settings.only_here};
	return aa_file_lock_take(&request, o->context, is_client ? &o->client_lock : &o->target_lock, failure);
}

/* Gives a lock back. */
static void unlock(aa_file_operation *o, aa_bytes name)
{
	aa_file_lock **held = aa_is(name, "client-lock") ? &o->client_lock : &o->target_lock;
	aa_file_lock_give(*held);
	*held = NULL;
}

/* Opens a new file beside another one, under a name that nobody has. */
static int open_temporary(const char *path, char **made, int *fd, aa_file_failure *failure)
{
	const char *base = aa_base_of(path);
	size_t room = strlen(path) + sizeof AA_TEMPORARY + 20;
	*made = malloc(room);
	if (*made == NULL) {
		return no_memory(failure);
	}
	for (int i = 0; i < MAX_DRAWS; i++) {
		uint64_t digits;
		agentassert_error error;
		if (aa_draw_entropy(&digits, sizeof digits, &error) != 0) {
			aa_file_fail(failure, AA_FAILURE_FAILED, "there is no entropy");
			break;
		}
		snprintf(*made, room, "%.*s%s%s%" PRIu64, (int)(base - path), path, AA_TEMPORARY, base, digits);
		*fd = aa_open_carefully(*made, O_WRONLY | O_CREAT | O_EXCL, AA_SECRET_FILE);
		if (*fd >= 0) {
			return 0;
		}
		aa_file_fail_system(failure);
		if (failure->number != EEXIST) {
			break;
		}
	}
	free(*made);
	return -1;
}

/* Fills a temporary, and brings it to the disk. */
static int fill(const aa_file_operation *o, aa_bytes name, int fd, aa_bytes content, struct temporary *temporary,
		aa_file_failure *failure)
{
	/* Before it has content: it is for nobody yet. The target's own temporary is given what the
	 * target has, later; and the journal is for us where nobody else can have it. Any other
	 * record that only we could read would be in the way of those whose file this is. */
	if (aa_share_file(fd, o->settings.target, failure) != 0 && !aa_is(name, "target") && !aa_is(name, "journal")) {
		return -1;
	}
	struct stat stat;
	if (aa_write_over(fd, content, failure) != 0) {
		return -1;
	}
	if (fsync(fd) != 0 || fstat(fd, &stat) != 0) {
		return aa_file_fail_system(failure);
	}
	temporary->device = stat.st_dev;
	temporary->inode = stat.st_ino;
	return 0;
}

/* Writes a file's temporary. */
static int create(aa_file_operation *o, const aa_file_effect *effect, const char *path, aa_file_failure *failure)
{
	struct temporary temporary, *place = NULL;
	for (size_t i = 0; i < MAX_TEMPORARIES && place == NULL; i++) {
		place = o->temporaries[i].name == NULL ? &o->temporaries[i] : NULL;
	}
	temporary.name = place == NULL ? NULL : strndup(effect->name.data, effect->name.size);
	if (temporary.name == NULL) {
		return no_memory(failure);
	}
	int fd = -1;
	if (open_temporary(path, &temporary.path, &fd, failure) != 0) {
		free(temporary.name);
		return -1;
	}
	int result = fill(o, effect->name, fd, effect->content, &temporary, failure);
	if (close(fd) != 0 && errno != EINTR && result == 0) {
		result = aa_file_fail_system(failure);
	}
	if (result != 0) {
		unlink(temporary.path);
		forget(&temporary);
		return -1;
	}
	*place = temporary;
	return 0;
}

/* Gives the target's temporary what the target has. */
static int own(const struct temporary *temporary, const char *path, aa_file_failure *failure)
{
	int source, copy;
	if (aa_open_regular(path, O_RDONLY, &source, failure) != 0) {
		return -1;
	}
	int result = aa_open_regular(temporary->path, O_RDONLY, &copy, failure);
	if (result == 0) {
		struct stat stat;
		if (fstat(copy, &stat) != 0 || stat.st_dev != temporary->device || stat.st_ino != temporary->inode) {
			result = aa_file_fail(failure, AA_FAILURE_NOT_REGULAR,
					      "the temporary file is another than the one that was made");
		} else {
			result = aa_keep_attributes(source, copy, failure);
		}
		close(copy);
	}
	close(source);
	return result;
}

/* Renames a temporary. Of the target it keeps the file that was there. */
static int install(aa_file_operation *o, aa_bytes name, struct temporary *temporary, const char *path,
		   aa_file_failure *failure)
{
	if (aa_is(name, "target")) {
		aa_file_failure ignored;
		close_previous(o);
		if (aa_open_regular(path, O_RDONLY, &o->previous, &ignored) != 0) {
			o->previous = -1;
		}
	}
	if (rename(temporary->path, path) != 0) {
		return aa_file_fail_system(failure);
	}
	forget(temporary);
	return 0;
}

static int discard(struct temporary *temporary, aa_file_failure *failure)
{
	if (unlink(temporary->path) != 0) {
		return aa_file_fail_system(failure);
	}
	forget(temporary);
	return 0;
}

int aa_make_folder(const char *path, const char *target, aa_file_failure *failure)
{
	int fd;
	if (mkdir(path, AA_SECRET_FOLDER) != 0) {
		return errno == EEXIST ? aa_check_folder(path, failure) : aa_file_fail_system(failure);
	}
	int result = aa_open_folder(path, &fd, failure);
	if (result == 0) {
		result = aa_share_file(fd, target, failure);
		close(fd);
	}
	if (result != 0) {
		rmdir(path);
	}
	return result;
}

static int move(const aa_file_operation *o, aa_arena *arena, const aa_file_effect *effect, const char *from,
		aa_file_failure *failure)
{
	char *to;
	return path_of(o, arena, effect->to, &to, failure) != 0 ? -1 : aa_move_file(from, to, failure);
}

static int is_leftover(const void *self, aa_bytes name)
{
	return aa_is_leftover(self, name);
}

/* Lists a folder: of the target's own only what is left of temporaries. */
static int list(const aa_file_operation *o, aa_arena *arena, const aa_file_effect *effect, const char *path,
		aa_file_answer *answer, aa_file_failure *failure)
{
	int is_home = aa_is(effect->name, "leftovers");
	return aa_list_folder(arena, path, effect->limit, effect->older_than, is_home ? is_leftover : NULL,
			      o->settings.target, answer, failure);
}

/* Hands out where an effect's file is: NULL where it is none, or is open. */
static int place_of(const aa_file_operation *o, aa_arena *arena, const aa_file_effect *effect, char **path,
		    aa_file_failure *failure)
{
	*path = NULL;
	if (effect->type == AA_FILE_WAIT || aa_is(effect->name, "previous")) {
		return 0;
	}
	aa_bytes name = effect->name;
	if (effect->type == AA_FILE_LIST && aa_is(name, "leftovers")) {
		name = AA_LITERAL("home");
	}
	return path_of(o, arena, name, path, failure);
}

static int try_effect(aa_file_operation *o, aa_arena *arena, const aa_file_effect *effect, aa_file_answer *answer,
		      aa_file_failure *failure)
{
	char *path;
	struct temporary *temporary = temporary_of(o, effect->name);
	if (place_of(o, arena, effect, &path, failure) != 0) {
		return -1;
	}
	if (o->settings.before != NULL) {
		o->settings.before(o->settings.before_self, effect, path);
	}
	if (path == NULL && effect->type != AA_FILE_WAIT) {
		/* Of what was in the target's place there is a file that is open, or none. */
		return effect->type != AA_FILE_READ || o->previous < 0
			   ? 0
			   : aa_read_open(arena, o->previous, answer, failure);
	}
	switch (effect->type) {
	case AA_FILE_READ:
		return aa_read_file(arena, path, answer, failure);
	case AA_FILE_LOOK:
		return aa_look_at_file(path, answer, failure);
	case AA_FILE_LOCK:
		return lock(o, effect, path, failure);
	case AA_FILE_UNLOCK:
		unlock(o, effect->name);
		return 0;
	case AA_FILE_CREATE:
		return create(o, effect, path, failure);
	case AA_FILE_OWN:
		return temporary == NULL ? no_temporary(failure) : own(temporary, path, failure);
	case AA_FILE_INSTALL:
		return temporary == NULL ? no_temporary(failure) : install(o, effect->name, temporary, path, failure);
	case AA_FILE_DISCARD:
		return temporary == NULL ? no_temporary(failure) : discard(temporary, failure);
	case AA_FILE_WRITE:
		return aa_write_file(path, effect->content, failure);
	case AA_FILE_TRUNCATE:
		return aa_cut_file(path, effect->size, failure);
	case AA_FILE_SYNC:
		return aa_is(effect->name, "target") ? aa_sync_file(path, failure) : aa_sync_folder(path, failure);
	case AA_FILE_MAKE_FOLDER:
		return aa_make_folder(path, o->settings.target, failure);
	case AA_FILE_MOVE:
		return move(o, arena, effect, path, failure);
	case AA_FILE_REMOVE:
		return aa_remove_file(path, failure);
	case AA_FILE_LIST:
		return list(o, arena, effect, path, answer, failure);
	case AA_FILE_WAIT:
		return agentassert_context_wait(o->context, effect->wait_ms)
			   ? aa_file_fail(failure, AA_FAILURE_CANCELED, "the wait was canceled")
			   : 0;
	case AA_FILE_DONE:
		break; /* which nobody carries out */
	}
	return 0;
}

void aa_file_operation_carry_out(aa_file_operation *o, aa_arena *arena, const aa_file_effect *effect,
				 aa_file_answer *answer)
{
	aa_file_failure failure;
	*answer = (aa_file_answer){.failure = NULL};
	if (try_effect(o, arena, effect, answer, &failure) == 0) {
		return;
	}
	*answer = (aa_file_answer){.failure = NULL};
	int is_question = effect->type == AA_FILE_READ || effect->type == AA_FILE_LOOK;
	if (is_question && failure.number == ENOENT) {
		return; /* which is an answer, too */
	}
	o->last = failure;
	o->has_failed = 1;
	answer->failure = failure.word;
}
