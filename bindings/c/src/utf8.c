#include "utf8.h"

#include <stdint.h>
#include <string.h>

/* Returns how many bytes the character at text has, of the size that are left, or 0 if there
 * is none. RFC 3629, section 4. */
static size_t character(const unsigned char *text, size_t size)
{
	unsigned char first = text[0];
	if (first < 0x80) {
		return 1;
	}
	size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	if (first < 0xc2 || first > 0xf4 || length > size) {
		return 0;
	}
	/* The second byte's range keeps out long forms, surrogates and what is too large. */
	unsigned char least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
	unsigned char most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
	if (text[1] < least || text[1] > most) {
		return 0;
	}
	for (size_t i = 2; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80) {
			return 0;
		}
	}
	return length;
}

int aa_is_utf8(aa_bytes bytes)
{
	const unsigned char *text = (const unsigned char *)bytes.data;
	size_t i = 0;
	while (i < bytes.size) {
		/* Most text is ASCII, and is looked through eight bytes at a time. */
		if (bytes.size - i >= sizeof(uint64_t)) {
			uint64_t word;
			memcpy(&word, text + i, sizeof word);
			if ((word & UINT64_C(0x8080808080808080)) == 0) {
				i += sizeof word;
				continue;
			}
		}
		size_t length = character(text + i, bytes.size - i);
		if (length == 0) {
			return 0;
		}
		i += length;
	}
	return 1;
}
