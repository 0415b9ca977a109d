#include "file_journal.h"

#include <string.h>

#include "base64.h"
#include "json.h"
#include "text.h"

int aa_journal_read(aa_arena *arena, aa_bytes content, aa_journal *out)
{
	const aa_json *root, *after;
	enum aa_codec_result result = aa_json_read(arena, content, AA_JSON_STORED_LIMIT, &root);
	aa_bytes old_text = aa_json_get_text(root, "old"), new_text = aa_json_get_text(root, "new");
	if (result == AA_OK && (old_text.data == NULL || new_text.data == NULL)) {
		return 0;
	}
	if (result == AA_OK) {
		result = aa_base64_decode(arena, AA_BASE64, old_text, &out->before);
	}
	if (result == AA_OK) {
		result = aa_base64_decode(arena, AA_BASE64, new_text, &out->after);
	}
	if (result == AA_OK) {
		result = aa_json_read(arena, out->after, AA_JSON_STORED_LIMIT, &after);
	}
	return result == AA_OK ? 1 : result == AA_NO_MEMORY ? -1 : 0;
}

int aa_journal_read_exactly(aa_arena *arena, aa_bytes content, aa_journal *out)
{
	int result = aa_journal_read(arena, content, out);
	if (result != 1) {
		return result;
	}
	aa_bytes before = aa_base64_encode(arena, AA_BASE64, out->before);
	aa_bytes after = aa_base64_encode(arena, AA_BASE64, out->after);
	if (before.data == NULL || after.data == NULL) {
		return -1;
	}
	aa_bytes parts[] = {AA_LITERAL("{\"old\":\""), before, AA_LITERAL("\",\"new\":\""), after, AA_LITERAL("\"}")};
	return aa_is_joined(content, parts, sizeof parts / sizeof parts[0]);
}

/* Returns a byte of a document that is padded with spaces. */
static char byte_at(aa_bytes document, size_t i)
{
	return i < document.size ? document.data[i] : ' ';
}

int aa_journal_is_torn(const aa_journal *journal, aa_bytes content)
{
	aa_bytes before = journal->before, after = journal->after;
	if (aa_equal(content, before) || aa_equal(content, after)) {
		return 0;
	}
	if (aa_is_padded(content, after)) {
		return 1;
	}
	size_t written = 0;
	size_t padded_size = after.size > before.size ? after.size : before.size;
	while (written < content.size && written < before.size && content.data[written] == before.data[written]) {
		written++;
	}
	while (written < content.size && written < padded_size && content.data[written] == byte_at(after, written)) {
		written++;
	}
	if (written == content.size && written >= after.size) {
		return 1;
	}
	/* What is left has to be what the old document has there. */
	size_t rest = content.size - written, rest_before = written < before.size ? before.size - written : 0;
	return rest == rest_before && (rest == 0 || memcmp(content.data + written, before.data + written, rest) == 0);
}

int aa_is_padded(aa_bytes content, aa_bytes document)
{
	if (content.size < document.size || !aa_equal((aa_bytes){content.data, document.size}, document)) {
		return 0;
	}
	for (size_t i = document.size; i < content.size; i++) {
		if (content.data[i] != ' ') {
			return 0;
		}
	}
	return 1;
}

int aa_is_blank(aa_bytes content)
{
	return aa_is_padded(content, (aa_bytes){"", 0});
}
