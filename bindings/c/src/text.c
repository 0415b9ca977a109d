#include "text.h"

#include <string.h>

aa_bytes aa_text_of(const char *text)
{
	return text ? (aa_bytes){text, strlen(text)} : AA_LITERAL("");
}

int aa_is(aa_bytes bytes, const char *text)
{
	return aa_equal(bytes, aa_text_of(text));
}

int aa_begins(aa_bytes bytes, const char *text)
{
	size_t size = strlen(text);
	return bytes.size >= size && memcmp(bytes.data, text, size) == 0;
}

int aa_ends(aa_bytes bytes, const char *text)
{
	size_t size = strlen(text);
	return bytes.size >= size && memcmp(bytes.data + (bytes.size - size), text, size) == 0;
}

aa_bytes aa_after(aa_bytes bytes, size_t n)
{
	return n < bytes.size ? (aa_bytes){bytes.data + n, bytes.size - n} : AA_LITERAL("");
}

int aa_is_among(aa_bytes bytes, const char *const *texts)
{
	for (; *texts; texts++) {
		if (aa_is(bytes, *texts)) {
			return 1;
		}
	}
	return 0;
}

int aa_is_joined(aa_bytes bytes, const aa_bytes *parts, size_t count)
{
	size_t at = 0;
	for (size_t i = 0; i < count; i++) {
		if (bytes.size - at < parts[i].size) {
			return 0;
		}
		if (!aa_equal((aa_bytes){bytes.data + at, parts[i].size}, parts[i])) {
			return 0;
		}
		at += parts[i].size;
	}
	return at == bytes.size;
}

aa_bytes aa_join(aa_arena *arena, const aa_bytes *parts, size_t count)
{
	size_t size = 0;
	for (size_t i = 0; i < count; i++) {
		if (!parts[i].data) {
			return (aa_bytes){NULL, 0};
		}
		size += parts[i].size;
	}
	char *text = aa_alloc(arena, size + 1);
	if (!text) {
		return (aa_bytes){NULL, 0};
	}
	size_t at = 0;
	for (size_t i = 0; i < count; i++) {
		memcpy(text + at, parts[i].data, parts[i].size);
		at += parts[i].size;
	}
	return (aa_bytes){text, size};
}

int aa_has_only(aa_bytes bytes, const char *others, unsigned char least, unsigned char most)
{
	for (size_t i = 0; i < bytes.size; i++) {
		unsigned char c = (unsigned char)bytes.data[i];
		if ((c < least || c > most) && (c == 0 || !strchr(others, c))) {
			return 0;
		}
	}
	return 1;
}

aa_bytes aa_quoted(aa_arena *arena, aa_bytes text)
{
	static const char hex[] = "0123456789abcdef";
	char *quoted = aa_alloc(arena, text.size * 6 + 3);
	if (!quoted) {
		return (aa_bytes){NULL, 0};
	}
	size_t n = 0;
	quoted[n++] = '"';
	for (size_t i = 0; i < text.size; i++) {
		unsigned char c = (unsigned char)text.data[i];
		static const char escaped[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
		const char *e = c == 0 ? NULL : strchr(escaped, c);
		if (e) {
			quoted[n++] = '\\';
			quoted[n++] = letters[e - escaped];
		} else if (c < 0x20) {
			memcpy(quoted + n, "\\u00", 4);
			quoted[n + 4] = hex[c >> 4];
			quoted[n + 5] = hex[c & 15];
			n += 6;
		} else {
			quoted[n++] = (char)c;
		}
	}
	quoted[n++] = '"';
	return (aa_bytes){quoted, n};
}
