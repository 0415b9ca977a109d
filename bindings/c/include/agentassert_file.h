/* A store of files: it keeps the agent's identity where the reference client does, in auth.json
 * beside the user's tokens. For Unix. wasm/ABI.md says what it does to files. */
#ifndef AGENTASSERT_FILE_H
#define AGENTASSERT_FILE_H

#include "agentassert_manager.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whom a file store's locks exclude. */
typedef enum agentassert_lock {
	/* Every process with that file, the reference client and hosts in other languages among
	 * them. */
	AGENTASSERT_LOCK_PROCESSES = 0,
	/* Those who use the file in this process: right where nobody else does, and for file systems
	 * that have no locks. */
	AGENTASSERT_LOCK_PROCESS
} agentassert_lock;

/* How a file store behaves. Begin with AGENTASSERT_FILE_STORE_OPTIONS: what is 0 is the
 * default. */
typedef struct agentassert_file_store_options {
	size_t size; /* sizeof(agentassert_file_store_options) */
	/* How long to wait for a registration that is under way, in milliseconds, up to
	 * 2147483647. The default is 270000: longer than any host holds a lock. */
	int64_t lock_timeout_ms;
	agentassert_lock lock;
	/* Keeps the identity in a file of its own beside auth.json, which is then left unwritten: for
	 * those who share it with clients from 0.132 to 0.140, which accept no identity in it, and
	 * for anyone who wants that. */
	int beside;
} agentassert_file_store_options;

#define AGENTASSERT_FILE_STORE_OPTIONS {sizeof(agentassert_file_store_options), 0, AGENTASSERT_LOCK_PROCESSES, 0}

/* Makes a store of the auth.json at that path, which need not exist; a relative one begins at
 * the current folder. options may be NULL. The path is copied. The store knows who is signed in.
 * Close it with agentassert_store_close.
 *
 * The file is the client's, in any of its versions, and it is no worse off for being shared:
 * the reference client and hosts in other languages can use it at the same time. Whatever this
 * library does not own stays as it is, byte for byte: content, owner, mode, access control list
 * and other names. What others write at the same time is not lost. The client's own locks are
 * held for milliseconds, never during a request.
 *
 * Beside the file there will be more, and all their names begin with its own; where it is a
 * symbolic link, or several are, they are beside what that leads to:
 *
 * - ".lock", and beside it auth.lock, are the client's locks;
 * - ".registration.lock" is held while an identity or a background task is registered, a file in
 *   ".locks" while a thread's task is;
 * - ".backoff" remembers failed registrations, ".backend" which backend an identity belongs to,
 *   ".set-aside" identities that others have taken the place of;
 * - ".threads" has a folder for each month with the tasks of the threads that were last used in
 *   it, in files named after the SHA-256 of the thread's id; what was not used for 90 days goes;
 * - ".journal" is there while the file is written over, where it cannot be replaced;
 * - ".identity" is there instead of all writing to the file, if the identity is kept beside it.
 *
 * They belong to whom the file belongs to, and only who can read and write the file can read and
 * write them.
 *
 * Any number of threads can use a store at once, and a forked child can, too. A lock of a
 * registration ends with the process that has it; a child that was forked meanwhile, and runs no
 * other program, can only keep it from ending with a parent that is killed.
 *
 * Errors: invalid_manager_config; later, of its methods, store_read_only, record_changed,
 * auth_file_unreadable, auth_file_folder, auth_file_not_regular, auth_file_locked,
 * auth_file_lock_unavailable, auth_file_write_failed, auth_file_busy, invalid_auth_json,
 * auth_json_byte_order_mark, auth_json_utf16, invalid_record, invalid_credentials (with U+0000 in
 * them), policy_violation, no_memory, and those of the core. Credentials that are none say why
 * in their problem: auth_file_missing, auth_file_tilde, auth_file_keyring, and what the core
 * finds in the file. */
AGENTASSERT_API int agentassert_file_store(const char *path, const agentassert_file_store_options *options,
					   agentassert_store **store, agentassert_error *error);

#ifdef __cplusplus
}
#endif

#endif
