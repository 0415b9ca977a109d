/* Where the files of a store are: beside the target, which is auth.json behind all links. The
 * hosts in other languages use the same names. Paths are an arena's; NULL if there is no
 * memory. */
#ifndef AGENTASSERT_FILE_PATHS_H
#define AGENTASSERT_FILE_PATHS_H

#include "arena.h"

/* Returns an absolute path, as seen from the current folder, without "." and "..". */
char *aa_absolute_path(aa_arena *arena, const char *path);

/* Follows symbolic links, also where the last leads to a file that does not exist yet. The path
 * is absolute. */
char *aa_resolve_target(aa_arena *arena, const char *path);

/* Return the folder that a path is in, and the name that it has there. */
char *aa_folder_of(aa_arena *arena, const char *path);
const char *aa_base_of(const char *path);

/* Returns the lock of a registration: the identity's, or that of a thread with that name of
 * files; and the folder of the threads' locks. */
char *aa_registration_lock(aa_arena *arena, const char *target, const char *thread);
char *aa_thread_locks(aa_arena *arena, const char *target);

/* Hands out the path of a file of file.step. thread is the name of the operation's thread in
 * names of files, or NULL. Returns 0, or -1 for a name that is none of file.step's, or if there
 * is no memory. */
int aa_file_path(aa_arena *arena, const char *target, const char *thread, aa_bytes name, char **path);

/* Reports whether a name is that of a temporary of the target, its journal, or a record beside
 * it. */
int aa_is_leftover(const char *target, aa_bytes name);

/* How the names of files begin that are to take the place of another. */
#define AA_TEMPORARY ".tmp-"

#endif
