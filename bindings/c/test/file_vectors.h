/* The operations of testvectors/files.json, for the tests of the file policy. */
#ifndef AGENTASSERT_TEST_FILE_VECTORS_H
#define AGENTASSERT_TEST_FILE_VECTORS_H

#include "file_values.h"
#include "file_effect.h"
#include "value.h"

/* Returns the vectors in a file, which is the arena's. */
static inline const aa_value *read_vectors(aa_arena *arena, const char *folder, const char *name)
{
	aa_bytes path = aa_format(arena, "%s/%s", folder, name);
	FILE *file = fopen(path.data, "rb");
	REQUIRE(file != NULL, "%s cannot be opened", path.data);
	static char content[8 << 20];
	size_t size = fread(content, 1, sizeof content, file);
	fclose(file);
	aa_value *root = NULL;
	enum aa_codec_result result = aa_decode_json(arena, aa_copy(arena, (aa_bytes){content, size}), &root);
	REQUIRE(result == AA_OK, "%s: %d", path.data, (int)result);
	REQUIRE(aa_get_integer(root, "version") == 1, "%s has another version", path.data);
	return aa_get_array(root, "vectors");
}

/* Returns an event as the answer that it stands for. */
static inline aa_file_answer answer_of(aa_arena *arena, const aa_value *event)
{
	const aa_value *stat = aa_get_map(event, "stat"), *names = aa_get_array(event, "names");
	aa_file_answer answer = {.has_stat = stat != NULL, .content = aa_get_binary(event, "content")};
	if (aa_equal(aa_get_text(event, "type"), AA_LITERAL("failed"))) {
		answer.failure = aa_copy(arena, aa_get_text(event, "failure")).data;
	}
	answer.stat.mode = aa_get_integer(stat, "mode");
	answer.stat.links = aa_get_integer(stat, "links");
	if (names != NULL) {
		aa_bytes *list = aa_alloc(arena, names->count * sizeof *list);
		for (const aa_value *name = names->first; name != NULL; name = name->next) {
			list[answer.name_count++] = name->bytes;
		}
		answer.names = list;
	}
	return answer;
}

#endif
