/* RFC 8949, core deterministic (section 4.2.1), of what wasm/ABI.md has in a message. */
#include "value.h"

#include <string.h>

#include "message_limits.h"
#include "members.h"
#include "utf8.h"

/* The major types of RFC 8949, section 3.1, shifted to where they stand in an item's first
 * byte. */
enum {
	MAJOR_UNSIGNED = 0 << 5,
	MAJOR_NEGATIVE = 1 << 5,
	MAJOR_BYTES = 2 << 5,
	MAJOR_TEXT = 3 << 5,
	MAJOR_ARRAY = 4 << 5,
	MAJOR_MAP = 5 << 5,
	ITEM_FALSE = 0xf4,
	ITEM_TRUE = 0xf5,
};

/* Encoding goes through the value twice: once to check it and to sort the members of its
 * maps, which says how long the message is, and once to write it. */

/* Returns the size of an item's first bytes with an argument of n. */
static size_t head_size(uint64_t n)
{
	return n < 24 ? 1 : n <= UINT8_MAX ? 2 : n <= UINT16_MAX ? 3 : n <= UINT32_MAX ? 5 : 9;
}

/* What is measured: the sorted members of each map, in the order in which they are met. */
typedef struct plan {
	aa_arena *arena;
	const aa_value ***maps;
	size_t count, room;
	size_t size;
} plan;

/* Keeps the sorted members of a map. */
static enum aa_codec_result add_map(plan *p, const aa_value *map, const aa_value ***members)
{
	if (p->count == p->room) {
		size_t room = p->room == 0 ? 8 : 2 * p->room;
		const aa_value ***maps = aa_alloc(p->arena, room * sizeof *maps);
		if (maps == NULL) {
			return AA_NO_MEMORY;
		}
		if (p->count > 0) {
			memcpy(maps, p->maps, p->count * sizeof *maps);
		}
		p->maps = maps;
		p->room = room;
	}
	enum aa_codec_result result = aa_sort_members(p->arena, map, members);
	if (result == AA_OK) {
		p->maps[p->count++] = *members;
	}
	return result;
}

static enum aa_codec_result add_size(plan *p, size_t size)
{
	if (size > AA_MAX_MESSAGE - p->size) {
		return AA_TOO_LARGE;
	}
	p->size += size;
	return AA_OK;
}

static enum aa_codec_result measure_string(plan *p, aa_bytes bytes)
{
	if (bytes.size > AA_MAX_MESSAGE) {
		return AA_TOO_LARGE;
	}
	return add_size(p, head_size(bytes.size) + bytes.size);
}

static enum aa_codec_result measure_text(plan *p, aa_bytes text)
{
	/* The size first: nobody has to look through what is too large. */
	enum aa_codec_result result = measure_string(p, text);
	return result == AA_OK && !aa_is_utf8(text) ? AA_MALFORMED : result;
}

static enum aa_codec_result measure(plan *p, const aa_value *value, int depth)
{
	enum aa_codec_result result;
	switch (value->kind) {
	case AA_INTEGER:
		return add_size(p, head_size((uint64_t)(value->integer < 0 ? -(value->integer + 1) : value->integer)));
	case AA_BOOLEAN:
		return add_size(p, 1);
	case AA_BYTES:
		return measure_string(p, value->bytes);
	case AA_TEXT:
		return measure_text(p, value->bytes);
	case AA_ARRAY:
		if (depth >= AA_MAX_DEPTH) {
			return AA_MALFORMED;
		}
		result = add_size(p, head_size(value->count));
		for (const aa_value *element = value->first; element != NULL && result == AA_OK;
		     element = element->next) {
			result = measure(p, element, depth + 1);
		}
		return result;
	case AA_MAP:
		if (depth >= AA_MAX_DEPTH) {
			return AA_MALFORMED;
		}
		result = add_size(p, head_size(value->count));
		const aa_value **members = NULL;
		if (result == AA_OK) {
			result = add_map(p, value, &members);
		}
		for (size_t i = 0; i < value->count && result == AA_OK; i++) {
			result = measure_text(p, members[i]->name);
			if (result == AA_OK) {
				result = measure(p, members[i], depth + 1);
			}
		}
		return result;
	}
	return AA_MALFORMED;
}

/* What is written, in the order in which it was measured. */
typedef struct writer {
	unsigned char *at;
	const aa_value ***maps;
} writer;

static void write_head(writer *w, unsigned major, uint64_t n)
{
	size_t bytes = head_size(n) - 1;
	static const unsigned char information[] = {0, 24, 25, 0, 26, 0, 0, 0, 27};
	*w->at++ = (unsigned char)(major | (bytes == 0 ? (unsigned)n : information[bytes]));
	while (bytes > 0) {
		*w->at++ = (unsigned char)(n >> 8 * --bytes);
	}
}

static void write_string(writer *w, unsigned major, aa_bytes bytes)
{
	write_head(w, major, bytes.size);
	if (bytes.size > 0) {
		memcpy(w->at, bytes.data, bytes.size);
	}
	w->at += bytes.size;
}

static void write_value(writer *w, const aa_value *value)
{
	switch (value->kind) {
	case AA_INTEGER:
		if (value->integer < 0) {
			write_head(w, MAJOR_NEGATIVE, (uint64_t)(-(value->integer + 1)));
		} else {
			write_head(w, MAJOR_UNSIGNED, (uint64_t)value->integer);
		}
		break;
	case AA_BOOLEAN:
		*w->at++ = value->integer != 0 ? ITEM_TRUE : ITEM_FALSE;
		break;
	case AA_BYTES:
		write_string(w, MAJOR_BYTES, value->bytes);
		break;
	case AA_TEXT:
		write_string(w, MAJOR_TEXT, value->bytes);
		break;
	case AA_ARRAY:
		write_head(w, MAJOR_ARRAY, value->count);
		for (const aa_value *element = value->first; element != NULL; element = element->next) {
			write_value(w, element);
		}
		break;
	case AA_MAP:
		write_head(w, MAJOR_MAP, value->count);
		const aa_value **members = *w->maps++;
		for (size_t i = 0; i < value->count; i++) {
			write_string(w, MAJOR_TEXT, members[i]->name);
			write_value(w, members[i]);
		}
		break;
	}
}

enum aa_codec_result aa_encode_cbor(aa_arena *arena, const aa_value *value, aa_bytes *out)
{
	if (value == NULL) {
		return AA_NO_MEMORY; /* what a long expression has come to */
	}
	plan p = {.arena = arena};
	enum aa_codec_result result = measure(&p, value, 0);
	if (result != AA_OK) {
		return result;
	}
	unsigned char *message = aa_alloc(arena, p.size);
	if (message == NULL) {
		return AA_NO_MEMORY;
	}
	write_value(&(writer){.at = message, .maps = p.maps}, value);
	*out = (aa_bytes){(const char *)message, p.size};
	return AA_OK;
}

typedef struct reader {
	aa_arena *arena;
	const unsigned char *at, *end;
} reader;

static size_t left(const reader *r)
{
	return (size_t)(r->end - r->at);
}

/* Reads an item's first byte and its argument, which is in the shortest form or refused. */
static enum aa_codec_result read_head(reader *r, unsigned *major, uint64_t *n)
{
	if (left(r) == 0) {
		return AA_MALFORMED;
	}
	unsigned first = *r->at++;
	*major = first & 0xe0;
	unsigned information = first & 0x1f;
	if (information < 24) {
		*n = information;
		return AA_OK;
	}
	if (information > 27) {
		return AA_MALFORMED; /* an indefinite length, or reserved */
	}
	size_t bytes = (size_t)1 << (information - 24);
	if (left(r) < bytes) {
		return AA_MALFORMED;
	}
	*n = 0;
	for (size_t i = 0; i < bytes; i++) {
		*n = *n << 8 | *r->at++;
	}
	return head_size(*n) == 1 + bytes ? AA_OK : AA_MALFORMED;
}

static enum aa_codec_result read_string(reader *r, uint64_t size, aa_bytes *bytes)
{
	if (size > left(r)) {
		return AA_MALFORMED;
	}
	*bytes = (aa_bytes){(const char *)r->at, (size_t)size};
	r->at += size;
	return AA_OK;
}

static enum aa_codec_result read_text(reader *r, uint64_t size, aa_bytes *text)
{
	enum aa_codec_result result = read_string(r, size, text);
	return result == AA_OK && !aa_is_utf8(*text) ? AA_MALFORMED : result;
}

/* Reads a member's name, which has to sort behind the one before. */
static enum aa_codec_result read_name(reader *r, const aa_bytes *before, aa_bytes *name)
{
	unsigned major;
	uint64_t size;
	enum aa_codec_result result = read_head(r, &major, &size);
	if (result != AA_OK) {
		return result;
	}
	if (major != MAJOR_TEXT) {
		return AA_MALFORMED;
	}
	result = read_text(r, size, name);
	if (result == AA_OK && before != NULL && aa_compare_names(*before, *name) >= 0) {
		return AA_MALFORMED;
	}
	return result;
}

static enum aa_codec_result read_value(reader *r, int depth, aa_value **out);

static enum aa_codec_result read_container(reader *r, int depth, uint64_t count, aa_value *container)
{
	/* Every element takes a byte at least, and every member two. */
	size_t least = container->kind == AA_MAP ? 2 : 1;
	if (depth >= AA_MAX_DEPTH || count > left(r) / least) {
		return AA_MALFORMED;
	}
	for (uint64_t i = 0; i < count; i++) {
		aa_bytes name = {NULL, 0};
		enum aa_codec_result result = AA_OK;
		if (container->kind == AA_MAP) {
			result = read_name(r, i == 0 ? NULL : &container->last->name, &name);
		}
		aa_value *element;
		if (result == AA_OK) {
			result = read_value(r, depth + 1, &element);
		}
		if (result != AA_OK) {
			return result;
		}
		element->name = name;
		aa_append(container, element);
	}
	return AA_OK;
}

static enum aa_codec_result read_value(reader *r, int depth, aa_value **out)
{
	*out = aa_integer(r->arena, 0);
	aa_value *value = *out;
	if (value == NULL) {
		return AA_NO_MEMORY;
	}
	if (left(r) > 0 && (*r->at == ITEM_FALSE || *r->at == ITEM_TRUE)) {
		value->kind = AA_BOOLEAN;
		value->integer = *r->at++ == ITEM_TRUE;
		return AA_OK;
	}
	unsigned major;
	uint64_t n;
	enum aa_codec_result result = read_head(r, &major, &n);
	if (result != AA_OK) {
		return result;
	}
	switch (major) {
	case MAJOR_UNSIGNED:
	case MAJOR_NEGATIVE:
		if (n > INT64_MAX) {
			return AA_MALFORMED;
		}
		value->integer = major == MAJOR_NEGATIVE ? -(int64_t)n - 1 : (int64_t)n;
		return AA_OK;
	case MAJOR_BYTES:
		value->kind = AA_BYTES;
		return read_string(r, n, &value->bytes);
	case MAJOR_TEXT:
		value->kind = AA_TEXT;
		return read_text(r, n, &value->bytes);
	case MAJOR_ARRAY:
		value->kind = AA_ARRAY;
		return read_container(r, depth, n, value);
	case MAJOR_MAP:
		value->kind = AA_MAP;
		return read_container(r, depth, n, value);
	default: /* a tag, a float, or a simple value that no message has */
		return AA_MALFORMED;
	}
}

enum aa_codec_result aa_decode_cbor(aa_arena *arena, aa_bytes message, aa_value **out)
{
	if (message.size > AA_MAX_MESSAGE) {
		return AA_TOO_LARGE;
	}
	const unsigned char *data = (const unsigned char *)message.data;
	reader r = {.arena = arena, .at = data, .end = data + message.size};
	if (message.size == 0) {
		return AA_MALFORMED;
	}
	enum aa_codec_result result = read_value(&r, 0, out);
	return result == AA_OK && left(&r) > 0 ? AA_MALFORMED : result;
}
