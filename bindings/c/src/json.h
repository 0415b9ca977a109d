/* JSON (RFC 8259) as strictly as the core reads it, which is where other readers differ:
 * UTF-8, no half of a surrogate pair, no name twice in an object, no byte order mark, and 64
 * levels below the outermost at most. What is read says where it stands, so that documents can be compared, and
 * changed, with every other byte as it is. */
#ifndef AGENTASSERT_JSON_H
#define AGENTASSERT_JSON_H

#include <stddef.h>

#include "arena.h"
#include "value.h"

/* The largest JSON text that is read from the network, or from an assertion, and the largest
 * one from a store, in bytes: the core's limits. */
#define AA_JSON_NETWORK_LIMIT ((size_t)64 << 10)
#define AA_JSON_STORED_LIMIT ((size_t)512 << 10)

enum aa_json_kind { AA_JSON_NULL, AA_JSON_BOOLEAN, AA_JSON_NUMBER, AA_JSON_STRING, AA_JSON_ARRAY, AA_JSON_OBJECT };

typedef struct aa_json aa_json;

/* A value, or a member of an object. The elements of an array are read, and not kept: half a
 * megabyte of text can hold a quarter of a million. */
struct aa_json {
	enum aa_json_kind kind;
	int truth;            /* of a boolean */
	aa_bytes source;      /* the value as it is written, where it stands in the document */
	aa_bytes text;        /* of a string: what it says */
	const aa_json *first; /* of an object: its members, in their order */
	size_t count;
	aa_bytes name; /* of a member */
	const aa_json *next;
};

/* Reads one JSON text, of at most limit bytes, which has to outlive what is read. AA_MALFORMED
 * if it is none, AA_TOO_LARGE, AA_NO_MEMORY. */
enum aa_codec_result aa_json_read(aa_arena *arena, aa_bytes document, size_t limit, const aa_json **out);

/* Returns an object's member, or NULL: also of what is NULL or no object. */
const aa_json *aa_json_get(const aa_json *object, const char *name);

/* Returns what an object's member says that is a string, or no bytes with data NULL. */
aa_bytes aa_json_get_text(const aa_json *object, const char *name);

/* Reports whether an object's member is there and true. */
int aa_json_is_true(const aa_json *object, const char *name);

/* Reports whether two valid JSON texts are the same but for white space between tokens. */
int aa_json_same_tokens(aa_bytes a, aa_bytes b);

#endif
