#include "vectors.h"

#include <stdio.h>
#include <stdlib.h>

const aa_value *first_vector(aa_arena *arena, const char *folder, const char *name)
{
	enum { largest = 8 << 20 };
	const char *path = aa_format(arena, "%s/%s.json", folder, name).data;
	FILE *file = fopen(path, "rb");
	char *content = aa_alloc(arena, largest);
	if (!file || !content) {
		fprintf(stderr, "%s cannot be opened\n", path);
		exit(1);
	}
	size_t size = fread(content, 1, largest, file);
	fclose(file);
	aa_value *root;
	if (aa_decode_json(arena, (aa_bytes){content, size}, &root) != AA_OK || aa_get_integer(root, "version") != 1) {
		fprintf(stderr, "%s has another form, or version\n", path);
		exit(1);
	}
	return aa_get_array(root, "vectors")->first;
}
