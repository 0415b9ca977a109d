/* An auth.json as this library reads it itself, to see whether what the module makes of one
 * can be true. The module reads and writes the document; nothing here changes it. */
#ifndef AGENTASSERT_AUTH_JSON_H
#define AGENTASSERT_AUTH_JSON_H

#include "arena.h"
#include "json.h"
#include "value.h"

/* What reads documents: where it puts what it reads, and whether there was too little memory
 * for some of it, which then counts as different from everything. */
typedef struct aa_auth_reader {
	aa_arena *arena;
	int no_memory;
} aa_auth_reader;

/* Returns a document that is a JSON object, or NULL. */
const aa_json *aa_auth_json_read(aa_auth_reader *reader, aa_bytes document);

/* Reports whether a record, or with data NULL none, is the identity of a document: byte for
 * byte, or in whatever white space. */
int aa_auth_json_has_exactly(aa_auth_reader *reader, const aa_json *document, aa_bytes record);
int aa_auth_json_has(aa_auth_reader *reader, const aa_json *document, aa_bytes record);

/* Reports whether a document is another one with the record for its identity, or with data
 * NULL without one, and is the same but for that: the same members, in their order, with the
 * same text. */
int aa_auth_json_is_replacement(const aa_json *after, const aa_json *before, aa_bytes record);

/* Returns who is signed in by a document: the credentials of a message, without a problem. Why
 * they cannot be used it does not say. */
const aa_value *aa_auth_json_credentials(aa_auth_reader *reader, const aa_json *document);

#endif
