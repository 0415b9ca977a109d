/* System calls on files in folders that others may write to: nothing here follows a link or
 * waits for a pipe's other end, and what is opened is looked at once more.
 *
 * Functions return 0, or -1 with the failure filled in. */
#ifndef AGENTASSERT_FILE_SYSTEM_H
#define AGENTASSERT_FILE_SYSTEM_H

#include "arena.h"
#include "file_effect.h"
#include "file_failure.h"

struct stat;

/* The largest file that is read, in bytes. */
#define AA_MAX_FILE ((size_t)512 << 10)

/* For files with secrets, and folders of them, where there is no auth.json whose mode says
 * more. */
#define AA_SECRET_FILE 0600
#define AA_SECRET_FOLDER 0700

/* Opens a file with O_CLOEXEC, O_NOFOLLOW and O_NONBLOCK beside the flags. Returns the descriptor,
 * or -1 with errno. */
int aa_open_carefully(const char *path, int flags, unsigned mode);

/* Opens a regular file, and nothing else. */
int aa_open_regular(const char *path, int flags, int *fd, aa_file_failure *failure);

/* Opens a folder, and nothing else. */
int aa_open_folder(const char *path, int *fd, aa_file_failure *failure);

/* Fails unless that is a regular file. */
int aa_check_regular(const struct stat *stat, aa_file_failure *failure);

/* Fails if something else is in a folder's place: a link above all, which would lead somewhere
 * else. */
int aa_check_folder(const char *path, aa_file_failure *failure);

/* Answers with a file's content, and what else is known of it; of a file that is open. */
int aa_read_file(aa_arena *arena, const char *path, aa_file_answer *answer, aa_file_failure *failure);
int aa_read_open(aa_arena *arena, int fd, aa_file_answer *answer, aa_file_failure *failure);

/* Hands out the first bytes of an open file. */
int aa_read_beginning(aa_arena *arena, int fd, size_t limit, aa_bytes *content, aa_file_failure *failure);

/* Answers with what is known of a file beside its content. */
int aa_look_at_file(const char *path, aa_file_answer *answer, aa_file_failure *failure);

/* Writes bytes over the beginning of an open file. */
int aa_write_over(int fd, aa_bytes bytes, aa_file_failure *failure);

/* Writes bytes over the beginning of a file, or cuts it off, or brings it to the disk. */
int aa_write_file(const char *path, aa_bytes bytes, aa_file_failure *failure);
int aa_cut_file(const char *path, int64_t size, aa_file_failure *failure);
int aa_sync_file(const char *path, aa_file_failure *failure);

/* Brings the names in a folder to the disk. */
int aa_sync_folder(const char *path, aa_file_failure *failure);

/* Gives a file another name, unless there is a file of that name. */
int aa_move_file(const char *from, const char *to, aa_file_failure *failure);

/* Removes a file, or a folder that is empty. */
int aa_remove_file(const char *path, aa_file_failure *failure);

/* Answers with the names of some entries of a folder, of those that are wanted, and were last
 * modified so many seconds ago, or longer. */
int aa_list_folder(aa_arena *arena, const char *path, int64_t limit, int64_t older_than,
		   int (*is_wanted)(const void *self, aa_bytes name), const void *self, aa_file_answer *answer,
		   aa_file_failure *failure);

#endif
