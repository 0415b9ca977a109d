/* The values of messages in JSON, as testvectors/README.md has them under Values. */
#include "value.h"

#include <stdio.h>
#include <string.h>

#include "message_limits.h"
#include "members.h"
#include "utf8.h"

/* That of the CBOR, and one level for {"hex": …}. */
#define MAX_JSON_DEPTH (AA_MAX_DEPTH + 1)

typedef struct parser {
	aa_arena *arena;
	const char *at, *end;
} parser;

static void skip_space(parser *p)
{
	while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r')) {
		p->at++;
	}
}

/* Moves past a character if it is the next one. */
static int take(parser *p, char c)
{
	if (p->at == p->end || *p->at != c) {
		return 0;
	}
	p->at++;
	return 1;
}

static int take_word(parser *p, aa_bytes word)
{
	if ((size_t)(p->end - p->at) < word.size || memcmp(p->at, word.data, word.size) != 0) {
		return 0;
	}
	p->at += word.size;
	return 1;
}

/* Returns the value of a hexadecimal digit, or -1. */
static int digit_of(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	if (c >= 'a' && c <= 'f') {
		return c - 'a' + 10;
	}
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Reads what stands behind \u. Returns -1 if it is not four digits. */
static int32_t parse_unit(parser *p)
{
	if (p->end - p->at < 4) {
		return -1;
	}
	int32_t unit = 0;
	for (int i = 0; i < 4; i++) {
		int digit = digit_of(*p->at++);
		if (digit < 0) {
			return -1;
		}
		unit = unit << 4 | digit;
	}
	return unit;
}

/* Reads what stands behind \u, and the other half of a surrogate pair behind it. Returns -1
 * if there is no character. */
static int32_t parse_escaped_character(parser *p)
{
	int32_t first = parse_unit(p);
	if (first < 0xd800 || first > 0xdfff) {
		return first;
	}
	if (first > 0xdbff || !take_word(p, AA_LITERAL("\\u"))) {
		return -1;
	}
	int32_t second = parse_unit(p);
	return second < 0xdc00 || second > 0xdfff ? -1 : 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
}

/* Writes a character in UTF-8, and returns where the next one goes. */
static char *put_character(char *to, int32_t character)
{
	if (character < 0x80) {
		*to++ = (char)character;
		return to;
	}
	int more = character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
	static const unsigned char marks[] = {0, 0xc0, 0xe0, 0xf0};
	*to++ = (char)(marks[more] | character >> 6 * more);
	while (more-- > 0) {
		*to++ = (char)(0x80 | (character >> 6 * more & 0x3f));
	}
	return to;
}

/* Reads an escape, behind its backslash, and writes what it stands for. Returns NULL if it is
 * none. */
static char *parse_escape(parser *p, char *to)
{
	if (p->at == p->end) {
		return NULL;
	}
	static const char letters[] = "\"\\/bfnrt", characters[] = "\"\\/\b\f\n\r\t";
	char letter = *p->at++;
	if (letter == 'u') {
		int32_t character = parse_escaped_character(p);
		return character < 0 ? NULL : put_character(to, character);
	}
	const char *found = memchr(letters, letter, sizeof letters - 1);
	if (found == NULL) {
		return NULL;
	}
	*to++ = characters[found - letters];
	return to;
}

/* Reads a string, behind its first quote. Without an escape in it, it is the text's own bytes. */
static enum aa_codec_result parse_string(parser *p, aa_bytes *out)
{
	const char *start = p->at;
	int has_escapes = 0;
	for (; p->at < p->end && *p->at != '"'; p->at++) {
		if ((unsigned char)*p->at < 0x20) {
			return AA_MALFORMED;
		}
		if (*p->at == '\\') {
			has_escapes = 1;
			p->at++;
			if (p->at == p->end) {
				return AA_MALFORMED;
			}
		}
	}
	const char *end = p->at;
	if (!take(p, '"')) {
		return AA_MALFORMED;
	}
	*out = (aa_bytes){start, (size_t)(end - start)};
	if (!has_escapes) {
		return AA_OK;
	}
	/* No escape is shorter than what it stands for. */
	char *text = aa_alloc(p->arena, out->size);
	if (text == NULL) {
		return AA_NO_MEMORY;
	}
	char *to = text;
	parser inside = {.arena = p->arena, .at = start, .end = end};
	while (inside.at < inside.end) {
		char c = *inside.at++;
		if (c != '\\') {
			*to++ = c;
			continue;
		}
		to = parse_escape(&inside, to);
		if (to == NULL) {
			return AA_MALFORMED;
		}
	}
	*out = (aa_bytes){text, (size_t)(to - text)};
	return AA_OK;
}

static int is_digit(const parser *p)
{
	return p->at < p->end && *p->at >= '0' && *p->at <= '9';
}

/* Reads an integer of at most 64 bits: no message holds another number. */
static enum aa_codec_result parse_integer(parser *p, aa_value *value)
{
	int negative = take(p, '-');
	if (!is_digit(p)) {
		return AA_MALFORMED;
	}
	const uint64_t most = (uint64_t)INT64_MAX + (uint64_t)negative;
	uint64_t n = (uint64_t)(*p->at++ - '0');
	for (int leading = n == 0; is_digit(p); p->at++) {
		uint64_t digit = (uint64_t)(*p->at - '0');
		if (leading || n > (most - digit) / 10) {
			return AA_MALFORMED;
		}
		n = 10 * n + digit;
	}
	if (p->at < p->end && (*p->at == '.' || *p->at == 'e' || *p->at == 'E')) {
		return AA_MALFORMED;
	}
	value->integer = negative ? (n == 0 ? 0 : -(int64_t)(n - 1) - 1) : (int64_t)n;
	return AA_OK;
}

static enum aa_codec_result parse_value(parser *p, int depth, aa_value **out);

static enum aa_codec_result parse_array(parser *p, int depth, aa_value *array)
{
	array->kind = AA_ARRAY;
	skip_space(p);
	if (take(p, ']')) {
		return AA_OK;
	}
	do {
		aa_value *element;
		enum aa_codec_result result = parse_value(p, depth + 1, &element);
		if (result != AA_OK) {
			return result;
		}
		aa_append(array, element);
	} while (take(p, ','));
	return take(p, ']') ? AA_OK : AA_MALFORMED;
}

static enum aa_codec_result parse_name(parser *p, aa_bytes *name)
{
	skip_space(p);
	if (!take(p, '"')) {
		return AA_MALFORMED;
	}
	enum aa_codec_result result = parse_string(p, name);
	skip_space(p);
	return result == AA_OK && !take(p, ':') ? AA_MALFORMED : result;
}

/* Turns the text of {"hex": …} into bytes. */
static enum aa_codec_result parse_hex(parser *p, aa_bytes digits, aa_bytes *out)
{
	char *bytes = aa_alloc(p->arena, digits.size / 2);
	if (bytes == NULL) {
		return AA_NO_MEMORY;
	}
	if (digits.size % 2 != 0) {
		return AA_MALFORMED;
	}
	for (size_t i = 0; i < digits.size; i += 2) {
		int high = digit_of(digits.data[i]), low = digit_of(digits.data[i + 1]);
		if (high < 0 || low < 0) {
			return AA_MALFORMED;
		}
		bytes[i / 2] = (char)(high << 4 | low);
	}
	*out = (aa_bytes){bytes, digits.size / 2};
	return AA_OK;
}

/* Makes a byte string of an object that stands for one. */
static enum aa_codec_result unwrap(parser *p, aa_value *map)
{
	const aa_value *only = map->first;
	if (map->count != 1 || only->kind != AA_TEXT) {
		return AA_OK;
	}
	enum aa_codec_result result = AA_OK;
	aa_bytes bytes = only->bytes;
	if (aa_equal(only->name, AA_LITERAL("hex"))) {
		result = parse_hex(p, only->bytes, &bytes);
	} else if (!aa_equal(only->name, AA_LITERAL("utf8"))) {
		return AA_OK;
	}
	*map = (aa_value){.kind = AA_BYTES, .bytes = bytes};
	return result;
}

static enum aa_codec_result parse_object(parser *p, int depth, aa_value *map)
{
	map->kind = AA_MAP;
	skip_space(p);
	if (take(p, '}')) {
		return AA_OK;
	}
	do {
		aa_bytes name;
		aa_value *member;
		enum aa_codec_result result = parse_name(p, &name);
		if (result == AA_OK) {
			result = parse_value(p, depth + 1, &member);
		}
		if (result != AA_OK) {
			return result;
		}
		member->name = name;
		aa_append(map, member);
	} while (take(p, ','));
	const aa_value **sorted;
	enum aa_codec_result result = take(p, '}') ? aa_sort_members(p->arena, map, &sorted) : AA_MALFORMED;
	return result == AA_OK ? unwrap(p, map) : result;
}

/* Reads a value, with the white space around it. */
static enum aa_codec_result parse_value(parser *p, int depth, aa_value **out)
{
	aa_value *value = aa_integer(p->arena, 0);
	*out = value;
	if (value == NULL) {
		return AA_NO_MEMORY;
	}
	enum aa_codec_result result = AA_OK;
	skip_space(p);
	if (take(p, '"')) {
		value->kind = AA_TEXT;
		result = parse_string(p, &value->bytes);
	} else if (take_word(p, AA_LITERAL("true"))) {
		value->kind = AA_BOOLEAN;
		value->integer = 1;
	} else if (take_word(p, AA_LITERAL("false"))) {
		value->kind = AA_BOOLEAN;
	} else if (depth < MAX_JSON_DEPTH && take(p, '[')) {
		result = parse_array(p, depth, value);
	} else if (depth < MAX_JSON_DEPTH && take(p, '{')) {
		result = parse_object(p, depth, value);
	} else {
		result = parse_integer(p, value); /* or null, which no message holds */
	}
	skip_space(p);
	return result;
}

enum aa_codec_result aa_decode_json(aa_arena *arena, aa_bytes text, aa_value **out)
{
	if (text.size > AA_MAX_JSON) {
		return AA_TOO_LARGE;
	}
	if (text.size == 0 || !aa_is_utf8(text)) {
		return AA_MALFORMED;
	}
	parser p = {.arena = arena, .at = text.data, .end = text.data + text.size};
	enum aa_codec_result result = parse_value(&p, 0, out);
	if (result == AA_OK && p.at < p.end) {
		return AA_MALFORMED;
	}
	return result;
}

/* Encoding goes through the value twice, as in CBOR: first with nowhere to write to, which
 * says how long the text is. */
typedef struct printer {
	char *at; /* NULL while the text is measured */
	size_t size;
} printer;

static void print(printer *p, aa_bytes text)
{
	if (p->at != NULL && text.size > 0) {
		memcpy(p->at + p->size, text.data, text.size);
	}
	p->size += text.size;
}

static const char hex_digits[] = "0123456789abcdef";

static void print_escape(printer *p, unsigned char c)
{
	switch (c) {
	case '\n':
		print(p, AA_LITERAL("\\n"));
		break;
	case '\r':
		print(p, AA_LITERAL("\\r"));
		break;
	case '\t':
		print(p, AA_LITERAL("\\t"));
		break;
	case '"':
		print(p, AA_LITERAL("\\\""));
		break;
	case '\\':
		print(p, AA_LITERAL("\\\\"));
		break;
	default: {
		char escape[] = {'\\', 'u', '0', '0', hex_digits[c >> 4], hex_digits[c & 15]};
		print(p, (aa_bytes){escape, sizeof escape});
	}
	}
}

static void print_string(printer *p, aa_bytes text)
{
	print(p, AA_LITERAL("\""));
	size_t start = 0;
	for (size_t i = 0; i < text.size; i++) {
		unsigned char c = (unsigned char)text.data[i];
		if (c < 0x20 || c == '"' || c == '\\') {
			print(p, (aa_bytes){text.data + start, i - start});
			print_escape(p, c);
			start = i + 1;
		}
	}
	if (start < text.size) {
		print(p, (aa_bytes){text.data + start, text.size - start});
	}
	print(p, AA_LITERAL("\""));
}

static void print_integer(printer *p, int64_t n)
{
	char text[24];
	int size = snprintf(text, sizeof text, "%lld", (long long)n);
	print(p, (aa_bytes){text, (size_t)size});
}

static void print_bytes(printer *p, aa_bytes bytes)
{
	print(p, AA_LITERAL("{\"hex\":\""));
	for (size_t i = 0; i < bytes.size; i++) {
		unsigned char byte = (unsigned char)bytes.data[i];
		print(p, (aa_bytes){(char[]){hex_digits[byte >> 4], hex_digits[byte & 15]}, 2});
	}
	print(p, AA_LITERAL("\"}"));
}

static enum aa_codec_result print_value(printer *p, const aa_value *value, int depth);

static enum aa_codec_result print_elements(printer *p, const aa_value *container, int depth)
{
	for (const aa_value *element = container->first; element != NULL; element = element->next) {
		if (element != container->first) {
			print(p, AA_LITERAL(","));
		}
		if (container->kind == AA_MAP) {
			if (!aa_is_utf8(element->name)) {
				return AA_MALFORMED;
			}
			print_string(p, element->name);
			print(p, AA_LITERAL(":"));
		}
		enum aa_codec_result result = print_value(p, element, depth + 1);
		if (result != AA_OK) {
			return result;
		}
	}
	return AA_OK;
}

static enum aa_codec_result print_value(printer *p, const aa_value *value, int depth)
{
	enum aa_codec_result result;
	switch (value->kind) {
	case AA_INTEGER:
		print_integer(p, value->integer);
		return AA_OK;
	case AA_BOOLEAN:
		print(p, value->integer != 0 ? AA_LITERAL("true") : AA_LITERAL("false"));
		return AA_OK;
	case AA_BYTES:
		print_bytes(p, value->bytes);
		return AA_OK;
	case AA_TEXT:
		if (!aa_is_utf8(value->bytes)) {
			return AA_MALFORMED;
		}
		print_string(p, value->bytes);
		return AA_OK;
	case AA_ARRAY:
	case AA_MAP:
		if (depth >= MAX_JSON_DEPTH) {
			return AA_MALFORMED;
		}
		print(p, value->kind == AA_MAP ? AA_LITERAL("{") : AA_LITERAL("["));
		result = print_elements(p, value, depth);
		print(p, value->kind == AA_MAP ? AA_LITERAL("}") : AA_LITERAL("]"));
		return result;
	}
	return AA_MALFORMED;
}

enum aa_codec_result aa_encode_json(aa_arena *arena, const aa_value *value, aa_bytes *out)
{
	if (value == NULL) {
		return AA_NO_MEMORY; /* what a long expression has come to */
	}
	printer measured = {NULL, 0};
	enum aa_codec_result result = print_value(&measured, value, 0);
	if (result != AA_OK) {
		return result;
	}
	if (measured.size > AA_MAX_JSON) {
		return AA_TOO_LARGE;
	}
	/* And a zero byte behind it, for those who want text of C. */
	printer written = {aa_alloc(arena, measured.size + 1), 0};
	if (written.at == NULL) {
		return AA_NO_MEMORY;
	}
	print_value(&written, value, 0);
	*out = (aa_bytes){written.at, written.size};
	return AA_OK;
}
