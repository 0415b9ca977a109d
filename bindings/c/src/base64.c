#include "base64.h"

#include <stdint.h>
#include <string.h>

static const char *alphabet(enum aa_base64 form)
{
	return form == AA_BASE64 ? "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
				 : "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
}

aa_bytes aa_base64_encode(aa_arena *arena, enum aa_base64 form, aa_bytes bytes)
{
	const char *digits = alphabet(form);
	char *text = aa_alloc(arena, (bytes.size / 3 + 1) * 4);
	if (!text) {
		return (aa_bytes){NULL, 0};
	}
	size_t n = 0;
	for (size_t i = 0; i < bytes.size; i += 3) {
		size_t some = bytes.size - i < 3 ? bytes.size - i : 3;
		uint32_t group = 0;
		for (size_t j = 0; j < 3; j++) {
			group = group << 8 | (j < some ? (unsigned char)bytes.data[i + j] : 0U);
		}
		for (size_t j = 0; j <= some; j++) {
			text[n++] = digits[group >> (18 - 6 * j) & 63];
		}
		for (size_t j = some; form == AA_BASE64 && j < 3; j++) {
			text[n++] = '=';
		}
	}
	return (aa_bytes){text, n};
}

enum aa_codec_result aa_base64_decode(aa_arena *arena, enum aa_base64 form, aa_bytes text, aa_bytes *out)
{
	const char *digits = alphabet(form);
	char *bytes = aa_alloc(arena, text.size / 4 * 3 + 3);
	if (bytes == NULL) {
		return AA_NO_MEMORY;
	}
	uint32_t group = 0;
	size_t count = 0, padding = 0, n = 0;
	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];
		if (c == '\r' || c == '\n') {
			continue;
		}
		if (c == '=') {
			padding++;
			continue;
		}
		const char *digit = c == 0 ? NULL : strchr(digits, c);
		if (!digit || padding > 0) {
			return AA_MALFORMED;
		}
		group = group << 6 | (uint32_t)(digit - digits);
		if (++count % 4 == 0) {
			for (int j = 2; j >= 0; j--) {
				bytes[n++] = (char)(group >> 8 * j & 0xff);
			}
		}
	}
	size_t rest = count % 4;
	size_t wanted = form == AA_BASE64 && rest > 0 ? 4 - rest : 0;
	if (rest == 1 || padding != wanted) {
		return AA_MALFORMED;
	}
	if (rest >= 2) {
		bytes[n++] = (char)(group >> (rest == 2 ? 4 : 10) & 0xff);
	}
	if (rest == 3) {
		bytes[n++] = (char)(group >> 2 & 0xff);
	}
	*out = (aa_bytes){bytes, n};
	return AA_OK;
}
