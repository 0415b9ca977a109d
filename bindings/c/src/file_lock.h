/* Locks of files, by flock: they exclude everybody who opens the file for themselves, in this
 * process too, and end with the process that holds them, however that ends. */
#ifndef AGENTASSERT_FILE_LOCK_H
#define AGENTASSERT_FILE_LOCK_H

#include "agentassert_manager.h"
#include "file_failure.h"

typedef struct aa_file_lock aa_file_lock;

/* A file that is to be locked. */
typedef struct aa_lock_request {
	const char *path;
	const char *target; /* whose lock it is: a file that has to be made is for those who have it */
	int64_t timeout_ms;
	int64_t poll_ms; /* how often a lock that another process has is tried again */
	int is_removed;  /* whether the file goes when the lock is given back */
	int only_here;   /* whether only this process is excluded, and the file is not touched */
} aa_lock_request;

/* Waits for a lock: first until those in this process who came before have had it, then for
 * other processes. The file is made if there is none. Fails with "locked" after the time-out,
 * with "canceled", and with what kept the file from being made or opened. */
int aa_file_lock_take(const aa_lock_request *request, const agentassert_context *context, aa_file_lock **lock,
		      aa_file_failure *failure);

/* Gives a lock back, by any thread. NULL is fine. */
void aa_file_lock_give(aa_file_lock *lock);

#endif
