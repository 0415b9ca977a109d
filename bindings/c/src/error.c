#include "call.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Takes a cut-off character off the end of text. */
static void trim(char *text)
{
	size_t size = strlen(text), start = size;
	while (start > 0 && ((unsigned char)text[start - 1] & 0xc0) == 0x80) {
		start--;
	}
	if (start == 0) {
		return;
	}
	unsigned char first = (unsigned char)text[start - 1];
	size_t length = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	if (start - 1 + length > size) {
		text[start - 1] = '\0';
	}
}

int aa_fail(agentassert_error *error, const char *code, const char *format, ...)
{
	if (error == NULL) {
		return -1;
	}
	snprintf(error->code, sizeof error->code, "%s", code);
	va_list arguments;
	va_start(arguments, format);
	int size = vsnprintf(error->message, sizeof error->message, format, arguments);
	va_end(arguments);
	if (size < 0) {
		error->message[0] = '\0';
	} else if ((size_t)size >= sizeof error->message) {
		trim(error->message);
	}
	return -1;
}
