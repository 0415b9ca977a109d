/* The values that messages are made of, and their two encodings: the ABI's CBOR, and the
 * JSON of the test vectors (testvectors/README.md, Values). Both are read strictly. */
#ifndef AGENTASSERT_VALUE_H
#define AGENTASSERT_VALUE_H

#include <stddef.h>
#include <stdint.h>

#include "arena.h"

enum aa_kind { AA_INTEGER, AA_BYTES, AA_TEXT, AA_ARRAY, AA_MAP, AA_BOOLEAN };

typedef struct aa_value aa_value;

/* A value of a message. It and what it points to are an arena's. */
struct aa_value {
	enum aa_kind kind;
	int64_t integer; /* of an AA_INTEGER; 0 or 1 of an AA_BOOLEAN */
	aa_bytes bytes;  /* of AA_BYTES and AA_TEXT */
	/* Of an AA_ARRAY and an AA_MAP, in order: the first element, or member. */
	aa_value *first, *last;
	size_t count;
	/* Of an element or a member: the one behind it; of a member also its name. */
	aa_value *next;
	aa_bytes name;
};

/* New values. Each is NULL if there is no memory, and so is what is made of a NULL: one look
 * at the end of a long expression is enough. */
aa_value *aa_integer(aa_arena *arena, int64_t n);
aa_value *aa_boolean(aa_arena *arena, int b);
aa_value *aa_text(aa_arena *arena, aa_bytes text);   /* not copied */
aa_value *aa_binary(aa_arena *arena, aa_bytes data); /* not copied */
aa_value *aa_array(aa_arena *arena);
aa_value *aa_map(aa_arena *arena);

/* Adds an element, or a member, and returns the container, or NULL if either is NULL. A name
 * is a literal's, and not copied. An encoder sorts members; nobody else needs to. */
aa_value *aa_append(aa_value *array, aa_value *element);
aa_value *aa_set(aa_value *map, const char *name, aa_value *member);

/* Returns the member of a map, or NULL: also of what is NULL or no map. */
const aa_value *aa_get(const aa_value *map, const char *name);

/* Returns the member of a map if it is of that kind, or what an absent one stands for: 0,
 * no bytes (size 0, data not NULL), NULL. */
int64_t aa_get_integer(const aa_value *map, const char *name);
int aa_get_boolean(const aa_value *map, const char *name);
aa_bytes aa_get_text(const aa_value *map, const char *name);
aa_bytes aa_get_binary(const aa_value *map, const char *name);
const aa_value *aa_get_array(const aa_value *map, const char *name);
const aa_value *aa_get_map(const aa_value *map, const char *name);

/* Returns a copy, deep, with every byte in the arena; NULL if there is no memory. */
aa_value *aa_clone(aa_arena *arena, const aa_value *value);

/* What became of a conversion. */
enum aa_codec_result { AA_OK, AA_MALFORMED, AA_TOO_LARGE, AA_NO_MEMORY };

/* Encodes a message in CBOR, RFC 8949, core deterministic, as wasm/ABI.md says. AA_MALFORMED
 * if text is no UTF-8, or a map has a name twice. */
enum aa_codec_result aa_encode_cbor(aa_arena *arena, const aa_value *value, aa_bytes *out);

/* Decodes a message, strictly: AA_MALFORMED if it is anything but the one encoding of one
 * value. The bytes of the value are the message's own, which has to outlive it. */
enum aa_codec_result aa_decode_cbor(aa_arena *arena, aa_bytes message, aa_value **out);

/* The same in the vectors' JSON. Byte strings become {"hex": …}. */
enum aa_codec_result aa_encode_json(aa_arena *arena, const aa_value *value, aa_bytes *out);
enum aa_codec_result aa_decode_json(aa_arena *arena, aa_bytes text, aa_value **out);

#endif
