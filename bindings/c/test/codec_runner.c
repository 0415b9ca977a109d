/* Reads messages in hexadecimal, one a line, and writes each as the codec encodes it again, or
 * "refused": for tests that hold it against another codec. */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "value.h"

/* Turns hexadecimal into bytes, in place. Returns how many, or -1. */
static long unhex(char *text)
{
	static const char digits[] = "0123456789abcdef";
	long size = 0;
	for (const char *at = text; *at != '\0' && *at != '\n'; at += 2) {
		const char *high = strchr(digits, at[0]), *low = at[1] == '\0' ? NULL : strchr(digits, at[1]);
		if (high == NULL || low == NULL) {
			return -1;
		}
		text[size++] = (char)((high - digits) << 4 | (low - digits));
	}
	return size;
}

int main(void)
{
	char *line = NULL;
	size_t room = 0;
	while (getline(&line, &room, stdin) > 0) {
		aa_arena *arena = aa_arena_new();
		long size = unhex(line);
		aa_value *value;
		aa_bytes again;
		if (arena == NULL || size < 0) {
			fprintf(stderr, "codec_runner: a line is not hexadecimal\n");
			return 1;
		}
		if (aa_decode_cbor(arena, (aa_bytes){line, (size_t)size}, &value) != AA_OK) {
			fputs("refused", stdout);
		} else if (aa_encode_cbor(arena, value, &again) == AA_OK) {
			for (size_t i = 0; i < again.size; i++) {
				printf("%02x", (unsigned)(unsigned char)again.data[i]);
			}
		} else {
			fputs("not encoded", stdout);
		}
		putchar('\n');
		fflush(stdout);
		aa_arena_free(arena);
	}
	free(line);
	return 0;
}
