#include "untrusted.h"

#include <string.h>

#include "call.h"
#include "no_memory.h"

/* The longest text for people, in bytes. */
#define MAX_TEXT 4096

/* What takes the place of a character that is not shown: U+FFFD. And what of the rest: U+2026. */
#define REPLACEMENT "\xef\xbf\xbd"
#define ELLIPSIS "\xe2\x80\xa6"

int aa_violation(agentassert_error *error, const char *what, const char *which)
{
	return aa_fail(error, "policy_violation",
		       "the module was refused %s %s; it is not agentassert's, or not of this library's version", what,
		       which);
}

/* Hands out a member of that kind, or NULL. */
static int member_of(const aa_value *map, const char *name, enum aa_kind kind, const char *what, const aa_value **out,
		     agentassert_error *error)
{
	if (map != NULL && map->kind != AA_MAP) {
		return aa_violation(error, "a part of a message", "that is none");
	}
	*out = aa_get(map, name);
	return *out != NULL && (*out)->kind != kind ? aa_violation(error, what, "that is none") : 0;
}

int aa_untrusted_text(const aa_value *map, const char *name, aa_bytes *out, agentassert_error *error)
{
	const aa_value *member;
	if (member_of(map, name, AA_TEXT, "a text", &member, error) != 0) {
		return -1;
	}
	*out = member == NULL ? AA_LITERAL("") : member->bytes;
	return 0;
}

int aa_untrusted_bytes(const aa_value *map, const char *name, aa_bytes *out, agentassert_error *error)
{
	const aa_value *member;
	if (member_of(map, name, AA_BYTES, "a byte string", &member, error) != 0) {
		return -1;
	}
	*out = member == NULL || member->bytes.size == 0 ? (aa_bytes){NULL, 0} : member->bytes;
	return 0;
}

int aa_untrusted_integer(const aa_value *map, const char *name, int64_t least, int64_t most, int64_t *out,
			 agentassert_error *error)
{
	const aa_value *member;
	if (member_of(map, name, AA_INTEGER, "a number", &member, error) != 0) {
		return -1;
	}
	*out = member == NULL ? 0 : member->integer;
	return *out < least || *out > most ? aa_violation(error, "a number", "that is out of bounds") : 0;
}

int aa_untrusted_map(const aa_value *map, const char *name, const aa_value **out, agentassert_error *error)
{
	return member_of(map, name, AA_MAP, "a part of a message", out, error);
}

int aa_untrusted_problem(aa_arena *arena, const aa_value *map, const char *name, const aa_value **out,
			 agentassert_error *error)
{
	const aa_value *problem;
	aa_bytes code, message;
	*out = NULL;
	if (aa_untrusted_map(map, name, &problem, error) != 0) {
		return -1;
	}
	if (problem == NULL) {
		return 0;
	}
	if (aa_untrusted_text(problem, "code", &code, error) != 0 ||
	    aa_untrusted_text(problem, "message", &message, error) != 0) {
		return -1;
	}
	if (!aa_is_code(code)) {
		return aa_violation(error, "an error", "whose code is none");
	}
	message = aa_presentable(arena, message);
	*out = aa_set(aa_set(aa_map(arena), "code", aa_text(arena, code)), "message", aa_text(arena, message));
	return *out == NULL ? aa_no_memory(error) : 0;
}

int aa_is_code(aa_bytes code)
{
	for (size_t i = 0; i < code.size; i++) {
		char c = code.data[i];
		if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_') {
			return 0;
		}
	}
	return code.size >= 1 && code.size <= 64;
}

/* Reports whether a character, of that many bytes of UTF-8, controls a terminal (U+0000 to
 * U+001F, U+007F to U+009F), or changes the direction of text (U+061C, U+200E and U+200F,
 * U+202A to U+202E, U+2066 to U+2069). */
static int is_control(const unsigned char *c, size_t size)
{
	switch (size) {
	case 1:
		return c[0] < 0x20 || c[0] == 0x7f;
	case 2:
		return (c[0] == 0xc2 && c[1] < 0xa0) || (c[0] == 0xd8 && c[1] == 0x9c);
	case 3:
		return c[0] == 0xe2 &&
		       ((c[1] == 0x80 && (c[2] == 0x8e || c[2] == 0x8f || (c[2] >= 0xaa && c[2] <= 0xae))) ||
			(c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9));
	}
	return 0;
}

aa_bytes aa_presentable(aa_arena *arena, aa_bytes text)
{
	char *shown = aa_alloc(arena, MAX_TEXT + sizeof ELLIPSIS);
	if (shown == NULL) {
		return (aa_bytes){NULL, 0};
	}
	size_t n = 0;
	for (size_t i = 0; i < text.size;) {
		/* It is UTF-8: the decoder of messages has seen to that. */
		const unsigned char *c = (const unsigned char *)text.data + i;
		size_t size = c[0] < 0x80 ? 1 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;
		int is_shown = size <= text.size - i && !is_control(c, size);
		aa_bytes next = is_shown ? (aa_bytes){text.data + i, size} : AA_LITERAL(REPLACEMENT);
		if (n + next.size > MAX_TEXT) {
			memcpy(shown + n, ELLIPSIS, sizeof ELLIPSIS - 1);
			n += sizeof ELLIPSIS - 1;
			break;
		}
		memcpy(shown + n, next.data, next.size);
		n += next.size;
		i += size;
	}
	return (aa_bytes){shown, n};
}
