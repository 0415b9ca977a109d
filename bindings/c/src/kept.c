#include "kept.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int aa_keep(aa_kept *kept, aa_bytes bytes)
{
	char *copy = NULL;
	if (bytes.data != NULL) {
		copy = malloc(bytes.size == 0 ? 1 : bytes.size);
		if (copy != NULL && bytes.size > 0) {
			memcpy(copy, bytes.data, bytes.size);
		}
	}
	aa_drop(kept);
	if (bytes.data == NULL) {
		return 0;
	}
	if (copy == NULL) {
		return -1;
	}
	kept->bytes = (aa_bytes){copy, bytes.size};
	return 0;
}

void aa_drop(aa_kept *kept)
{
	if (kept->bytes.data != NULL) {
		char *copy = (char *)(uintptr_t)kept->bytes.data;
		aa_wipe(copy, kept->bytes.size);
		free(copy);
	}
	kept->bytes = (aa_bytes){NULL, 0};
}
