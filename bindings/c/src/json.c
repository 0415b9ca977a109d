#include "json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

/* How deeply arrays and objects can be nested. */
#define MAX_DEPTH 64

/* A document that is being read. */
struct reader {
	aa_arena *arena;
	const char *at, *end;
	enum aa_codec_result failure; /* the first; what follows from it is not looked at */
};

static int read_value(struct reader *r, int depth, aa_json *out);

static int malformed(struct reader *r)
{
	if (r->failure == AA_OK) {
		r->failure = AA_MALFORMED;
	}
	return 0;
}

static int no_memory(struct reader *r)
{
	r->failure = AA_NO_MEMORY;
	return 0;
}

static int is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_space(struct reader *r)
{
	while (r->at < r->end && is_space(*r->at)) {
		r->at++;
	}
}

/* Returns the next byte, or 0 at the end, with which no token begins. */
static char peek(const struct reader *r)
{
	return r->at < r->end ? *r->at : 0;
}

/* Moves on behind a byte, if that is the next one. */
static int take(struct reader *r, char c)
{
	if (peek(r) != c || r->at == r->end) {
		return 0;
	}
	r->at++;
	return 1;
}

static int read_word(struct reader *r, const char *word)
{
	size_t size = strlen(word);
	if ((size_t)(r->end - r->at) < size || memcmp(r->at, word, size) != 0) {
		return malformed(r);
	}
	r->at += size;
	return 1;
}

static int is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int read_digits(struct reader *r)
{
	const char *start = r->at;
	while (is_digit(peek(r))) {
		r->at++;
	}
	return r->at > start || malformed(r);
}

static int read_number(struct reader *r)
{
	take(r, '-');
	if (!take(r, '0') && !read_digits(r)) {
		return 0;
	}
	if (take(r, '.') && !read_digits(r)) {
		return 0;
	}
	if (take(r, 'e') || take(r, 'E')) {
		if (!take(r, '+')) {
			take(r, '-');
		}
		return read_digits(r);
	}
	return 1;
}

/* Reads the four digits of a \u. */
static int read_hex(struct reader *r, uint32_t *out)
{
	if (r->end - r->at < 4) {
		return malformed(r);
	}
	*out = 0;
	for (int i = 0; i < 4; i++) {
		char c = *r->at++;
		int digit = is_digit(c)            ? c - '0'
			    : c >= 'a' && c <= 'f' ? c - 'a' + 10
			    : c >= 'A' && c <= 'F' ? c - 'A' + 10
						   : -1;
		if (digit < 0) {
			return malformed(r);
		}
		*out = *out << 4 | (uint32_t)digit;
	}
	return 1;
}

/* Reads an escape sequence, behind its backslash, or two that are a surrogate pair. */
static int read_escape(struct reader *r, uint32_t *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	char c = peek(r);
	if (r->at == r->end) {
		return malformed(r);
	}
	r->at++;
	if (c != 'u') {
		const char *found = c == 0 ? NULL : strchr(from, c);
		if (!found) {
			return malformed(r);
		}
		*out = (unsigned char)to[found - from];
		return 1;
	}
	if (!read_hex(r, out)) {
		return 0;
	}
	if (*out < 0xd800 || *out >= 0xe000) {
		return 1;
	}
	uint32_t low;
	if (*out >= 0xdc00 || !take(r, '\\') || !take(r, 'u') || !read_hex(r, &low)) {
		return malformed(r);
	}
	if (low < 0xdc00 || low >= 0xe000) {
		return malformed(r);
	}
	*out = ((*out - 0xd800) << 10) + (low - 0xdc00) + 0x10000;
	return 1;
}

static size_t put_utf8(char *to, uint32_t c)
{
	if (c < 0x80) {
		to[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (char)(0xc0 | c >> 6);
		to[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		to[0] = (char)(0xe0 | c >> 12);
		to[1] = (char)(0x80 | (c >> 6 & 0x3f));
		to[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | c >> 18);
	to[1] = (char)(0x80 | (c >> 12 & 0x3f));
	to[2] = (char)(0x80 | (c >> 6 & 0x3f));
	to[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* Finds the end of a string, behind its opening quote, and whether it has escape sequences. */
static const char *string_end(const struct reader *r, int *has_escapes)
{
	*has_escapes = 0;
	const char *p = r->at;
	while (p < r->end && *p != '"') {
		if (*p == '\\') {
			*has_escapes = 1;
			p++;
		}
		if (p < r->end) {
			p++;
		}
	}
	return p;
}

static int read_string(struct reader *r, aa_bytes *out)
{
	r->at++;
	int has_escapes;
	const char *end = string_end(r, &has_escapes);
	if (end == r->end || !aa_is_utf8((aa_bytes){r->at, (size_t)(end - r->at)})) {
		return malformed(r);
	}
	*out = (aa_bytes){r->at, 0};
	/* What is escaped is longer than what it stands for. */
	char *text = has_escapes ? aa_alloc(r->arena, (size_t)(end - r->at)) : NULL;
	if (has_escapes && text == NULL) {
		return no_memory(r);
	}
	while (r->at < end) {
		char c = *r->at++;
		uint32_t escaped;
		if ((unsigned char)c < 0x20) {
			return malformed(r);
		}
		if (c != '\\') {
			if (text != NULL) {
				text[out->size] = c;
			}
			out->size++;
		} else if (read_escape(r, &escaped)) {
			out->size += put_utf8(text + out->size, escaped);
		} else {
			return 0;
		}
	}
	if (text != NULL) {
		out->data = text;
	}
	r->at = end + 1;
	return 1;
}

static int read_array(struct reader *r, int depth)
{
	r->at++;
	skip_space(r);
	if (take(r, ']')) {
		return 1;
	}
	for (;;) {
		aa_json element;
		skip_space(r);
		if (!read_value(r, depth + 1, &element)) {
			return 0;
		}
		skip_space(r);
		if (take(r, ']')) {
			return 1;
		}
		if (!take(r, ',')) {
			return malformed(r);
		}
	}
}

static int compare_names(const void *a, const void *b)
{
	const aa_json *x = *(const aa_json *const *)a, *y = *(const aa_json *const *)b;
	size_t size = x->name.size < y->name.size ? x->name.size : y->name.size;
	int order = size == 0 ? 0 : memcmp(x->name.data, y->name.data, size);
	return order != 0 ? order : (x->name.size > y->name.size) - (x->name.size < y->name.size);
}

/* Refuses a name that an object has twice. */
static int check_names(struct reader *r, const aa_json *object)
{
	if (object->count < 2) {
		return 1;
	}
	const aa_json **sorted = aa_alloc(r->arena, object->count * sizeof(*sorted));
	if (!sorted) {
		return no_memory(r);
	}
	size_t n = 0;
	for (const aa_json *m = object->first; m; m = m->next) {
		sorted[n++] = m;
	}
	qsort(sorted, n, sizeof(*sorted), compare_names);
	for (size_t i = 1; i < n; i++) {
		if (aa_equal(sorted[i - 1]->name, sorted[i]->name)) {
			return malformed(r);
		}
	}
	return 1;
}

static int read_object(struct reader *r, int depth, aa_json *out)
{
	aa_json *last = NULL;
	r->at++;
	skip_space(r);
	if (take(r, '}')) {
		return 1;
	}
	for (;;) {
		skip_space(r);
		if (peek(r) != '"') {
			return malformed(r);
		}
		aa_json *member = aa_alloc(r->arena, sizeof(*member));
		if (!member) {
			return no_memory(r);
		}
		aa_bytes name;
		if (!read_string(r, &name)) {
			return 0;
		}
		skip_space(r);
		if (!take(r, ':')) {
			return malformed(r);
		}
		skip_space(r);
		if (!read_value(r, depth + 1, member)) {
			return 0;
		}
		member->name = name;
		if (last) {
			last->next = member;
		} else {
			out->first = member;
		}
		last = member;
		out->count++;
		skip_space(r);
		if (take(r, '}')) {
			return check_names(r, out);
		}
		if (!take(r, ',')) {
			return malformed(r);
		}
	}
}

static int read_by_kind(struct reader *r, int depth, aa_json *out)
{
	char c = peek(r);
	switch (c) {
	case '{':
		out->kind = AA_JSON_OBJECT;
		return read_object(r, depth, out);
	case '[':
		out->kind = AA_JSON_ARRAY;
		return read_array(r, depth);
	case '"':
		out->kind = AA_JSON_STRING;
		return read_string(r, &out->text);
	case 'n':
		return read_word(r, "null");
	case 't':
		out->kind = AA_JSON_BOOLEAN;
		out->truth = 1;
		return read_word(r, "true");
	case 'f':
		out->kind = AA_JSON_BOOLEAN;
		return read_word(r, "false");
	}
	if (c != '-' && !is_digit(c)) {
		return malformed(r);
	}
	out->kind = AA_JSON_NUMBER;
	return read_number(r);
}

static int read_value(struct reader *r, int depth, aa_json *out)
{
	memset(out, 0, sizeof(*out));
	if (depth > MAX_DEPTH) {
		return malformed(r);
	}
	const char *start = r->at;
	if (!read_by_kind(r, depth, out)) {
		return 0;
	}
	out->source = (aa_bytes){start, (size_t)(r->at - start)};
	return 1;
}

enum aa_codec_result aa_json_read(aa_arena *arena, aa_bytes document, size_t limit, const aa_json **out)
{
	*out = NULL;
	if (document.size > limit) {
		return AA_TOO_LARGE;
	}
	if (document.size == 0) {
		return AA_MALFORMED;
	}
	struct reader r = {arena, document.data, document.data + document.size, AA_OK};
	aa_json *root = aa_alloc(arena, sizeof(*root));
	if (!root) {
		return AA_NO_MEMORY;
	}
	skip_space(&r);
	if (!read_value(&r, 0, root)) {
		return r.failure;
	}
	skip_space(&r);
	if (r.at != r.end) {
		return AA_MALFORMED;
	}
	*out = root;
	return AA_OK;
}

const aa_json *aa_json_get(const aa_json *object, const char *name)
{
	if (!object) {
		return NULL;
	}
	aa_bytes wanted = {name, strlen(name)};
	for (const aa_json *m = object->first; m; m = m->next) {
		if (aa_equal(m->name, wanted)) {
			return m;
		}
	}
	return NULL;
}

aa_bytes aa_json_get_text(const aa_json *object, const char *name)
{
	const aa_json *member = aa_json_get(object, name);
	return member && member->kind == AA_JSON_STRING ? member->text : (aa_bytes){NULL, 0};
}

int aa_json_is_true(const aa_json *object, const char *name)
{
	const aa_json *member = aa_json_get(object, name);
	return member && member->kind == AA_JSON_BOOLEAN && member->truth;
}

/* A text of which one byte after another is taken, but for white space between tokens. */
struct tokens {
	const char *at, *end;
	int in_string, is_escaped;
};

/* Returns the next byte, or -1 at the end. */
static int next_byte(struct tokens *t)
{
	while (t->at < t->end && !t->in_string && is_space(*t->at)) {
		t->at++;
	}
	if (t->at == t->end) {
		return -1;
	}
	char c = *t->at++;
	if (c == '"' && !t->is_escaped) {
		t->in_string = !t->in_string;
	}
	t->is_escaped = t->in_string && c == '\\' && !t->is_escaped;
	return (unsigned char)c;
}

static struct tokens tokens_of(aa_bytes text)
{
	return (struct tokens){text.data, text.size > 0 ? text.data + text.size : text.data, 0, 0};
}

int aa_json_same_tokens(aa_bytes a, aa_bytes b)
{
	struct tokens p = tokens_of(a), q = tokens_of(b);
	for (;;) {
		int c = next_byte(&p), d = next_byte(&q);
		if (c != d) {
			return 0;
		}
		if (c < 0) {
			return 1;
		}
	}
}
