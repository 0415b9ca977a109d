/* What file.step asks for, and what comes of it: the ABI's effects and events, checked and
 * taken apart. */
#ifndef AGENTASSERT_FILE_EFFECT_H
#define AGENTASSERT_FILE_EFFECT_H

#include <stdint.h>

#include "arena.h"
#include "value.h"

enum aa_file_effect_type {
	AA_FILE_READ,
	AA_FILE_LOOK,
	AA_FILE_LOCK,
	AA_FILE_UNLOCK,
	AA_FILE_CREATE,
	AA_FILE_OWN,
	AA_FILE_INSTALL,
	AA_FILE_DISCARD,
	AA_FILE_WRITE,
	AA_FILE_TRUNCATE,
	AA_FILE_SYNC,
	AA_FILE_MAKE_FOLDER,
	AA_FILE_MOVE,
	AA_FILE_REMOVE,
	AA_FILE_LIST,
	AA_FILE_WAIT,
	AA_FILE_DONE
};

/* An effect. What its type does not have is 0. The bytes are the message's. */
typedef struct aa_file_effect {
	enum aa_file_effect_type type;
	aa_bytes name; /* of all but AA_FILE_WAIT and AA_FILE_DONE */
	aa_bytes to;
	aa_bytes content; /* data is never NULL in AA_FILE_CREATE and AA_FILE_WRITE */
	int64_t timeout_ms, size, limit, older_than, wait_ms;
	/* Of AA_FILE_DONE, one at most: an error {code, message}, which can be shown to a person; a
	 * record, or data NULL; credentials. */
	const aa_value *error;
	aa_bytes record;
	const aa_value *credentials;
} aa_file_effect;

/* What is known of a file beside its content. */
typedef struct aa_file_stat {
	char id[48];      /* device and inode */
	int64_t size;     /* bytes */
	int64_t modified; /* nanoseconds since the Unix epoch */
	int64_t mode;     /* the nine permission bits */
	int64_t links;
} aa_file_stat;

/* What came of an effect. */
typedef struct aa_file_answer {
	const char *failure; /* the ABI's word, or NULL: it is done */
	int has_stat;
	aa_file_stat stat;
	aa_bytes content;
	const aa_bytes *names;
	size_t name_count;
} aa_file_answer;

/* Returns the name of an effect's type, as the ABI has it. */
const char *aa_file_effect_name(enum aa_file_effect_type type);

#endif
