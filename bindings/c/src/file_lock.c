#include "posix.h"

#include "file_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "context.h"
#include "file_rights.h"
#include "file_system.h"
#include "turns.h"

/* By files, not by stores: two stores in one process can have the same one. */
static struct aa_turns turns = {PTHREAD_MUTEX_INITIALIZER, NULL};

/* Whether a fork takes care of them. */
static pthread_mutex_t registering = PTHREAD_MUTEX_INITIALIZER;
static int is_registered;

struct aa_file_lock {
	pid_t process; /* whose it is: a child has a copy of it, and not the lock */
	struct aa_turn *turn;
	int fd;     /* or -1 */
	char *path; /* of a file that is to be removed, or NULL */
};

/* What became of a try. */
enum tried { FAILED = -1, NOT_FREE, LOCKED };

static void before_fork(void)
{
	pthread_mutex_lock(&turns.mutex);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&turns.mutex);
}

/* Those who have turns, and wait for them, are the parent's. */
static void after_fork_in_child(void)
{
	while (turns.first != NULL) {
		struct aa_turn *turn = turns.first;
		turns.first = turn->next;
		free(turn->name);
		free(turn);
	}
	pthread_mutex_unlock(&turns.mutex);
}

static void register_fork(void)
{
	pthread_mutex_lock(&registering);
	if (!is_registered) {
		is_registered = 1;
		(void)pthread_atfork(before_fork, after_fork, after_fork_in_child); /* it fails only without memory */
	}
	pthread_mutex_unlock(&registering);
}

/* Waits until those in this process have had the lock. */
static int take_turn(const aa_lock_request *request, const agentassert_context *context, int64_t deadline,
		     struct aa_turn **turn, aa_file_failure *failure)
{
	struct aa_cancel never;
	struct agentassert_context limited = *context;
	limited.deadline = deadline < context->deadline ? deadline : context->deadline;
	if (context->cancel == NULL) {
		if (aa_cancel_init(&never) != 0) {
			return aa_file_fail(failure, AA_FAILURE_FAILED, "the system has no room for a lock");
		}
		limited.cancel = &never;
	}
	agentassert_error error;
	int result = aa_turns_take(&turns, request->path, &limited, turn, &error);
	if (context->cancel == NULL) {
		aa_cancel_destroy(&never);
	}
	if (result == 0) {
		return 0;
	}
	*turn = NULL;
	if (agentassert_context_canceled(context)) {
		return aa_file_fail(failure, AA_FAILURE_CANCELED, "the wait was canceled");
	}
	return strcmp(error.code, "canceled") == 0 ? aa_file_fail(failure, AA_FAILURE_LOCKED, "the lock is held")
						   : aa_file_fail(failure, AA_FAILURE_FAILED, error.message);
}

/* Makes the file, empty. One that the target's owner could not open is not left: their client
 * would wait for it in vain. That there is one by now is as good. */
static int make_file(const aa_lock_request *request, aa_file_failure *failure)
{
	int fd = aa_open_carefully(request->path, O_RDONLY | O_CREAT | O_EXCL, AA_SECRET_FILE);
	if (fd < 0) {
		return errno == EEXIST ? 0 : aa_file_fail_system(failure);
	}
	int result = aa_share_file(fd, request->target, failure);
	if (result != 0) {
		unlink(request->path);
	}
	close(fd);
	return result;
}

/* Opens the file. NFS locks only what is open for writing; elsewhere a lock file may be somebody
 * else's. */
static int open_file(const char *path, int *fd, aa_file_failure *failure)
{
	*fd = aa_open_carefully(path, O_RDWR, 0);
	if (*fd < 0 && (errno == EACCES || errno == EPERM || errno == EROFS)) {
		*fd = aa_open_carefully(path, O_RDONLY, 0);
		if (*fd < 0 && errno != ENOENT) {
			/* Unlike one that cannot be made, somebody may hold it. */
			return aa_file_fail(failure, AA_FAILURE_FAILED,
					    "it is there, and cannot be opened; see whom it belongs to");
		}
	}
	return *fd < 0 ? aa_file_fail_system(failure) : 0;
}

static int is_gone(const aa_file_failure *failure)
{
	return failure->number == ENOENT;
}

/* Locks an open file, if nobody has, and if it is the one that the path leads to: who had the
 * lock before may have removed it. */
static enum tried lock_open(int fd, const char *path, aa_file_failure *failure)
{
	struct stat opened, named;
	int result;
	do {
		result = flock(fd, LOCK_EX | LOCK_NB);
	} while (result != 0 && errno == EINTR);
	if (result != 0 && errno == EWOULDBLOCK) {
		return NOT_FREE;
	}
	if (result != 0 || fstat(fd, &opened) != 0) {
		return (enum tried)aa_file_fail_system(failure);
	}
	if (aa_check_regular(&opened, failure) != 0) {
		return FAILED;
	}
	if (lstat(path, &named) != 0) {
		return errno == ENOENT ? NOT_FREE : (enum tried)aa_file_fail_system(failure);
	}
	return opened.st_dev == named.st_dev && opened.st_ino == named.st_ino ? LOCKED : NOT_FREE;
}

/* Tries to have the lock. */
static enum tried try_lock(const aa_lock_request *request, int *fd, aa_file_failure *failure)
{
	struct stat named;
	int result = lstat(request->path, &named);
	if (result != 0 && errno == ENOENT) {
		if (make_file(request, failure) != 0) {
			return FAILED;
		}
		result = lstat(request->path, &named);
	}
	if (result != 0) {
		return errno == ENOENT ? NOT_FREE : (enum tried)aa_file_fail_system(failure);
	}
	if (aa_check_regular(&named, failure) != 0) {
		return FAILED; /* a device can do something when it is opened */
	}
	if (open_file(request->path, fd, failure) != 0) {
		return is_gone(failure) ? NOT_FREE : FAILED;
	}
	enum tried tried = lock_open(*fd, request->path, failure);
	if (tried != LOCKED) {
		close(*fd);
	}
	return tried;
}

/* Waits until other processes give the lock back. */
static int wait_for_lock(const aa_lock_request *request, const agentassert_context *context, int64_t deadline, int *fd,
			 aa_file_failure *failure)
{
	for (;;) {
		if (agentassert_context_canceled(context)) {
			return aa_file_fail(failure, AA_FAILURE_CANCELED, "the wait was canceled");
		}
		enum tried tried = try_lock(request, fd, failure);
		if (tried != NOT_FREE) {
			return tried == LOCKED ? 0 : -1;
		}
		int64_t left = deadline - aa_monotonic();
		if (left <= 0) {
			return aa_file_fail(failure, AA_FAILURE_LOCKED, "the lock is held");
		}
		agentassert_context_wait(context, left < request->poll_ms ? left : request->poll_ms);
	}
}

int aa_file_lock_take(const aa_lock_request *request, const agentassert_context *context, aa_file_lock **lock,
		      aa_file_failure *failure)
{
	int64_t deadline = aa_monotonic_after(request->timeout_ms);
	aa_file_lock *taken = calloc(1, sizeof *taken);
	char *path = request->is_removed ? strdup(request->path) : NULL;
	if (taken == NULL || (request->is_removed && path == NULL)) {
		free(taken);
		free(path);
		return aa_file_fail(failure, AA_FAILURE_FAILED, "there is too little memory");
	}
	*taken = (aa_file_lock){getpid(), NULL, -1, path};
	register_fork();
	if (take_turn(request, context, deadline, &taken->turn, failure) != 0 ||
	    (!request->only_here && wait_for_lock(request, context, deadline, &taken->fd, failure) != 0)) {
		taken->fd = -1; /* closed by whoever failed */
		aa_file_lock_give(taken);
		return -1;
	}
	*lock = taken;
	return 0;
}

void aa_file_lock_give(aa_file_lock *lock)
{
	if (lock == NULL) {
		return;
	}
	int is_ours = lock->process == getpid();
	if (lock->fd >= 0) {
		if (lock->path != NULL && is_ours) {
			unlink(lock->path); /* while it is held: who gets it next sees that it is gone */
		}
		if (is_ours) {
			/* Closing it would not do where a child has inherited the open file. */
			flock(lock->fd, LOCK_UN);
		}
		close(lock->fd);
	}
	if (lock->turn != NULL && is_ours) {
		aa_turns_end(&turns, lock->turn);
	}
	free(lock->path);
	free(lock);
}
