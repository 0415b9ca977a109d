/* The JSON reader, and auth.json as the library reads it itself, held against tables, the vectors,
 * and the core: which reads the same documents, some thousands of which are changed. */
#include "auth_json.h"
#include "base64.h"
#include "call.h"
#include "file_journal.h"
#include "file_vectors.h"
#include "json.h"
#include "month.h"

static const struct {
	const char *text;
	enum aa_codec_result want;
} texts[] = {
    {"{}", AA_OK},
    {" \t\r\n[ ] ", AA_OK},
    {"0", AA_OK},
    {"-0.5e+10", AA_OK},
    {"1E9", AA_OK},
    {"\"\\u0041\\n\\/\\\\ \\ud83d\\ude00\xf0\x9f\x98\x80\"", AA_OK},
    {"{\"a\":{\"a\":1},\"b\":[1,2,{\"a\":null}],\"\":true}", AA_OK},
    {"", AA_MALFORMED},
    {" ", AA_MALFORMED},
    {"{", AA_MALFORMED},
    {"{\"a\"", AA_MALFORMED},
    {"{\"a\":", AA_MALFORMED},
    {"{\"a\":1", AA_MALFORMED},
    {"{\"a\":1,}", AA_MALFORMED},
    {"{\"a\" 1}", AA_MALFORMED},
    {"{a:1}", AA_MALFORMED},
    {"{1:1}", AA_MALFORMED},
    {"[1,]", AA_MALFORMED},
    {"[1 2]", AA_MALFORMED},
    {"[", AA_MALFORMED},
    {"01", AA_MALFORMED},
    {"-", AA_MALFORMED},
    {"+1", AA_MALFORMED},
    {".5", AA_MALFORMED},
    {"1.", AA_MALFORMED},
    {"1e", AA_MALFORMED},
    {"1e+", AA_MALFORMED},
    {"NaN", AA_MALFORMED},
    {"nul", AA_MALFORMED},
    {"nulll", AA_MALFORMED},
    {"TRUE", AA_MALFORMED},
    {"{} {}", AA_MALFORMED},
    {"'a'", AA_MALFORMED},
    {"\"", AA_MALFORMED},
    {"\"\\\"", AA_MALFORMED},
    {"\"\\", AA_MALFORMED},
    {"\"\\x\"", AA_MALFORMED},
    {"\"\\u12\"", AA_MALFORMED},
    {"\"\\u12G4\"", AA_MALFORMED},
    {"\"\\ud83d\"", AA_MALFORMED},
    {"\"\\ud83d\\n\"", AA_MALFORMED},
    {"\"\\ud83d\\u0041\"", AA_MALFORMED},
    {"\"\\ude00\"", AA_MALFORMED},
    {"\"\x01\"", AA_MALFORMED},
    {"\"\n\"", AA_MALFORMED},
    {"\"\xc3\"", AA_MALFORMED},
    {"\"\xc0\x80\"", AA_MALFORMED},
    {"\"\xed\xa0\x80\"", AA_MALFORMED},
    {"\"\xf4\x90\x80\x80\"", AA_MALFORMED},
    {"\xef\xbb\xbf{}", AA_MALFORMED},
    {"{\"a\":1,\"a\":2}", AA_MALFORMED},
    {"{\"a\":1,\"\\u0061\":2}", AA_MALFORMED},
    {"{\"b\":{\"c\":1,\"d\":2,\"c\":3}}", AA_MALFORMED},
    {"[{\"c\":1,\"d\":2,\"c\":3}]", AA_MALFORMED},
    {"/**/{}", AA_MALFORMED},
};

static void test_texts(void)
{
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		aa_arena *arena = aa_arena_new();
		const aa_json *root;
		enum aa_codec_result result = aa_json_read(arena, text_of(texts[i].text), 64, &root);
		CHECK(result == texts[i].want && (root != NULL) == (result == AA_OK), "%s: %d", texts[i].text,
		      (int)result);
		aa_arena_free(arena);
	}
	aa_arena *arena = aa_arena_new();
	const aa_json *root;
	char deep[140];
	for (int depth = 65; depth <= 66; depth++) {
		memset(deep, '[', 70);
		memset(deep + depth, ']', 70);
		CHECK(aa_json_read(arena, (aa_bytes){deep, 2 * (size_t)depth}, 1000, &root) ==
			  (depth == 65 ? AA_OK : AA_MALFORMED),
		      "%d levels", depth);
	}
	CHECK(aa_json_read(arena, AA_LITERAL("{}"), 2, &root) == AA_OK, "as large as may be");
	CHECK(aa_json_read(arena, AA_LITERAL("{} "), 2, &root) == AA_TOO_LARGE, "too large");
	CHECK(aa_json_read(arena, AA_LITERAL("[\0]"), 64, &root) == AA_MALFORMED, "a zero byte");
	aa_arena_free(arena);
}

static void test_members(void)
{
	static const char document[] = " { \"a\" : \"x\\u00e4\\ny\" , \"list\":[1, {\"b\":2}],\"n\" :-1.50e1,\"o\":{ "
				       "\"t\":true},\"\\u0065\":null}\n";
	aa_arena *arena = aa_arena_new();
	const aa_json *root;
	REQUIRE(aa_json_read(arena, text_of(document), sizeof document, &root) == AA_OK, "a document");
	CHECK(root->kind == AA_JSON_OBJECT && root->count == 5, "%zu members", root->count);
	CHECK(root->source.data == document + 1 && root->source.size == sizeof document - 3, "where it stands");
	static const char *const sources[] = {"\"x\\u00e4\\ny\"", "[1, {\"b\":2}]", "-1.50e1", "{ \"t\":true}", "null"};
	static const char *const names[] = {"a", "list", "n", "o", "e"};
	size_t i = 0;
	for (const aa_json *m = root->first; m != NULL; m = m->next, i++) {
		CHECK(aa_equal(m->name, text_of(names[i])) && aa_equal(m->source, text_of(sources[i])), "%s", names[i]);
		CHECK(m->source.data > document && m->source.data < document + sizeof document, "%s", names[i]);
		CHECK(aa_json_get(root, names[i]) == m, "%s", names[i]);
	}
	CHECK(aa_equal(aa_json_get_text(root, "a"), AA_LITERAL("x\xc3\xa4\ny")), "what it says");
	CHECK(aa_json_get_text(root, "n").data == NULL && aa_json_get_text(root, "x").data == NULL, "no text");
	CHECK(aa_json_is_true(aa_json_get(root, "o"), "t") && !aa_json_is_true(root, "e"), "what is true");
	CHECK(aa_json_get(NULL, "a") == NULL && aa_json_get(aa_json_get(root, "a"), "a") == NULL, "no object");
	aa_arena_free(arena);
	static const struct {
		const char *a, *b;
		int same;
	} pairs[] = {
	    {"{}", " { } ", 1},
	    {"{\"a b\":[1,2]}", "{\n\"a b\" : [1 ,\t2]\r\n}", 1},
	    {"{\"a b\":1}", "{\"ab\":1}", 0},
	    {"{\"a\\\" b\":1}", "{\"a\\\"b\":1}", 0},
	    {"{\"a\\\\\" : 1}", "{\"a\\\\\":1}", 1},
	    {"[1]", "[1 ", 0},
	    {"1.0", "1", 0},
	    {"\"\\u0061\"", "\"a\"", 0},
	};
	for (i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		CHECK(aa_json_same_tokens(text_of(pairs[i].a), text_of(pairs[i].b)) == pairs[i].same, "%s and %s",
		      pairs[i].a, pairs[i].b);
		CHECK(aa_json_same_tokens(text_of(pairs[i].b), text_of(pairs[i].a)) == pairs[i].same, "%s and %s",
		      pairs[i].b, pairs[i].a);
	}
}

static void test_base64(void)
{
	static const struct {
		const char *bytes, *standard, *url;
	} pairs[] = {{"", "", ""},
		     {"f", "Zg==", "Zg"},
		     {"fo", "Zm8=", "Zm8"},
		     {"foo", "Zm9v", "Zm9v"},
		     {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
		     {"\xff\xef\xbe", "/+++",
		      "_--"
		      "-"}};
	aa_arena *arena = aa_arena_new();
	aa_bytes out;
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		aa_bytes bytes = text_of(pairs[i].bytes);
		CHECK(aa_equal(aa_base64_encode(arena, AA_BASE64, bytes), text_of(pairs[i].standard)), "%s",
		      pairs[i].standard);
		CHECK(aa_equal(aa_base64_encode(arena, AA_BASE64_URL, bytes), text_of(pairs[i].url)), "%s",
		      pairs[i].url);
		CHECK(aa_base64_decode(arena, AA_BASE64, text_of(pairs[i].standard), &out) == AA_OK &&
			  aa_equal(out, bytes),
		      "%s", pairs[i].standard);
		CHECK(aa_base64_decode(arena, AA_BASE64_URL, text_of(pairs[i].url), &out) == AA_OK &&
			  aa_equal(out, bytes),
		      "%s", pairs[i].url);
	}
	static const char *const none[] = {
	    "Z", "Zg", "Zg=", "Zg===", "Z=g=", "Zm8=Zg==", "Zm9v=", "Zm-v", "Zm9\xc3", "*"};
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
		CHECK(aa_base64_decode(arena, AA_BASE64, text_of(none[i]), &out) == AA_MALFORMED, "%s", none[i]);
	}
	CHECK(aa_base64_decode(arena, AA_BASE64_URL, AA_LITERAL("Zg=="), &out) == AA_MALFORMED, "padding");
	CHECK(aa_base64_decode(arena, AA_BASE64_URL, AA_LITERAL("Zm9/"), &out) == AA_MALFORMED, "the other alphabet");
	CHECK(aa_base64_decode(arena, AA_BASE64, AA_LITERAL("Zm\r\n9v\n"), &out) == AA_OK, "line ends");
	aa_arena_free(arena);
}

static void test_months(void)
{
	static const struct {
		int64_t now;
		int before;
		const char *want;
	} cases[] = {
	    {0, 0, "1970-01"},
	    {-1, 0, "1969-12"},
	    {951782399, 0, "2000-02"},
	    {951868800, 0, "2000-03"},
	    {1795533368, 0, "2026-11"},
	    {1795533368, 3, "2026-08"},
	    {1798761599, 0, "2026-12"},
	    {1798761600, 0, "2027-01"},
	    {1798761600, 3, "2026-10"},
	    {253402300799, 0, "9999-12"},
	    {-62167219200, 0, "0000-01"},
	    {INT64_MAX, 0, "9999-12"},
	    {-62167219200, 3, "0000-01"},
	    {4107542399, 0, "2100-02"},
	    {4107542400, 0, "2100-03"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		aa_month month = aa_month_before(cases[i].now, cases[i].before);
		CHECK(strcmp(month.text, cases[i].want) == 0, "%s, and not %s", month.text, cases[i].want);
		CHECK(aa_is_month(text_of(month.text)), "%s", month.text);
	}
	static const char *const none[] = {"", "2026-1", "2026-00", "2026-13", "2026/11", "2026-11x", "x026-11"};
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
		CHECK(!aa_is_month(text_of(none[i])), "%s", none[i]);
	}
}

static void test_journals(void)
{
	static const struct {
		const char *text;
		int reads, exactly;
	} cases[] = {
	    {"{\"old\":\"e30=\",\"new\":\"e30=\"}", 1, 1},
	    {"{\"old\":\"\",\"new\":\"e30=\"}", 1, 1},
	    {"{\"old\":\"e30=\",\"new\":\"e30=\"}\n", 1, 0},
	    {"{\"new\":\"e30=\",\"old\":\"e30=\"}", 1, 0},
	    {"{\"old\":\"e31=\",\"new\":\"e30=\"}", 1, 0}, /* bits behind the last byte */
	    {"{\"old\":\"e30=\",\"new\":\"e30=\",\"x\":1}", 1, 0},
	    {"{\"old\":\"e30=\",\"new\":\"\"}", 0, 0},
	    {"{\"old\":\"e30=\",\"new\":\"e30\"}", 0, 0},
	    {"{\"old\":\"e30=\"}", 0, 0},
	    {"{\"old\":7,\"new\":\"e30=\"}", 0, 0},
	    {"[]", 0, 0},
	    {"", 0, 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		aa_arena *arena = aa_arena_new();
		aa_journal journal;
		CHECK(aa_journal_read(arena, text_of(cases[i].text), &journal) == cases[i].reads, "%s", cases[i].text);
		CHECK(aa_journal_read_exactly(arena, text_of(cases[i].text), &journal) == cases[i].exactly, "%s",
		      cases[i].text);
		aa_arena_free(arena);
	}
	aa_journal journal = {AA_LITERAL("abcdef"), AA_LITERAL("ABC")};
	static const struct {
		const char *content;
		int torn;
	} contents[] = {
	    {"abcdef", 0}, {"ABC", 0},    {"Abcdef", 1},  {"ABcdef", 1}, {"ABCdef", 1},  {"ABC ef", 1},
	    {"ABC  f", 1}, {"ABC   ", 1}, {"ABC    ", 1}, {"aBcdef", 1}, {"abCdef", 1},  {"abC", 1},
	    {"AB", 0},     {"xbcdef", 0}, {"ABCxef", 0},  {"", 0},       {"abcdefg", 0},
	};
	for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
		CHECK(aa_journal_is_torn(&journal, text_of(contents[i].content)) == contents[i].torn, "%s",
		      contents[i].content);
	}
}

/* What the core makes of a document, by the vectors. */
static void test_identities(const aa_value *vectors)
{
	int read = 0, written = 0;
	for (const aa_value *vector = vectors->first; vector != NULL; vector = vector->next) {
		aa_bytes method = aa_get_text(vector, "method"), id = aa_get_text(vector, "id");
		const aa_value *ok = aa_get_map(vector, "ok"), *params = aa_get_map(vector, "params");
		aa_arena *arena = aa_arena_new();
		aa_auth_reader reader = {arena, 0};
		const aa_json *document = aa_auth_json_read(&reader, aa_get_binary(params, "document"));
		aa_bytes record = aa_get_binary(aa_equal(method, AA_LITERAL("auth_json.set")) ? params : ok, "record");
		record = record.size == 0 ? (aa_bytes){NULL, 0} : record;
		if (ok != NULL && aa_equal(method, AA_LITERAL("auth_json.get"))) {
			CHECK(document != NULL && aa_auth_json_has_exactly(&reader, document, record) &&
				  aa_auth_json_has(&reader, document, record),
			      "%.*s", (int)id.size, id.data);
			CHECK(document != NULL && !aa_auth_json_has(&reader, document, AA_LITERAL("{\"other\":1}")),
			      "%.*s", (int)id.size, id.data);
			read++;
		}
		if (ok != NULL && aa_equal(method, AA_LITERAL("auth_json.set"))) {
			const aa_json *after = aa_auth_json_read(&reader, aa_get_binary(ok, "document"));
			CHECK(document != NULL && after != NULL && aa_auth_json_is_replacement(after, document, record),
			      "%.*s", (int)id.size, id.data);
			written++;
		}
		aa_arena_free(arena);
	}
	CHECK(read > 5 && written > 10, "%d read and %d written; are all of them looked at?", read, written);
}

/* Replacements that are none. */
static void test_replacements(void)
{
	static const struct {
		const char *before, *after, *record;
		int want;
	} cases[] = {
	    {"{\"a\":1}", "{\"a\":1,\"agent_identity\":{}}", "{ }", 1},
	    {"{\"a\":1}", "{\"agent_identity\":{},\"a\":1}", "{}", 1},
	    {"{\"a\":1}", "{\"a\":1}", "{}", 0},
	    {"{\"a\":1}", "{\"a\":1,\"agent_identity\":{}}", NULL, 0},
	    {"{\"a\":1}", "{\"a\":2,\"agent_identity\":{}}", "{}", 0},
	    {"{\"a\":1}", "{\"a\": 1,\"agent_identity\":{}}", "{}", 1},
	    {"{\"a\":[1]}", "{\"a\":[1 ],\"agent_identity\":{}}", "{}", 0},
	    {"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1,\"agent_identity\":{}}", "{}", 0},
	    {"{\"a\":1,\"b\":2}", "{\"a\":1,\"agent_identity\":{}}", "{}", 0},
	    {"{\"a\":1}", "{\"a\":1,\"b\":2,\"agent_identity\":{}}", "{}", 0},
	    {"{\"a\":1,\"agent_identity\":{}}", "{\"a\":1}", NULL, 1},
	    {"{\"a\":1,\"agent_identity\":null}", "{\"a\":1,\"agent_identity\":null}", NULL, 0},
	    {"{\"agent_runtime_id\":\"i\",\"agent_private_key\":\"k\",\"task_id\":\"t\",\"email\":\"e\"}",
	     "{\"email\":\"e\"}", NULL, 1},
	    {"{\"agent_runtime_id\":\"i\",\"agent_private_key\":\"k\",\"email\":\"e\"}", "{}", NULL, 0},
	    {"{\"agent_runtime_id\":\"i\",\"email\":\"e\"}", "{\"email\":\"e\"}", NULL, 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		aa_arena *arena = aa_arena_new();
		aa_auth_reader reader = {arena, 0};
		const aa_json *before = aa_auth_json_read(&reader, text_of(cases[i].before));
		const aa_json *after = aa_auth_json_read(&reader, text_of(cases[i].after));
		REQUIRE(before != NULL && after != NULL, "%s", cases[i].before);
		CHECK(aa_auth_json_is_replacement(after, before, text_of(cases[i].record)) == cases[i].want,
		      "%s after %s", cases[i].after, cases[i].before);
		aa_arena_free(arena);
	}
}

/* Returns a document with some of it changed. */
static aa_bytes changed(aa_arena *arena, aa_bytes document, unsigned long long *seed)
{
	static const char bytes[] = "{}[]\",:\\u0123456789abcdefe-+. \t\n\rtrue\0\x01\xc3\xa4\xed\xa0\xff";
	char *copy = aa_alloc(arena, document.size + 16);
	size_t size = document.size;
	if (size > 0) {
		memcpy(copy, document.data, size);
	}
	for (size_t n = draw(seed, 4); n > 0 && size > 0; n--) {
		size_t at = draw(seed, size);
		char c = bytes[draw(seed, sizeof bytes - 1)];
		switch (draw(seed, 4)) {
		case 0:
			copy[at] = c;
			break;
		case 1: /* one more */
			memmove(copy + at + 1, copy + at, size - at);
			copy[at] = c;
			size++;
			break;
		case 2: /* one less */
			memmove(copy + at, copy + at + 1, size - at - 1);
			size--;
			break;
		default: /* a piece over another */
			memmove(copy + at, copy + draw(seed, size - (size - at) / 2), (size - at) / 2);
		}
	}
	return (aa_bytes){copy, size};
}

/* Every value that was read is JSON where it stands. */
static void check_sources(aa_arena *arena, const aa_json *value)
{
	const aa_json *again;
	CHECK(aa_json_read(arena, value->source, AA_JSON_STORED_LIMIT, &again) == AA_OK, "%.*s",
	      (int)value->source.size, value->source.data);
	for (const aa_json *m = value->first; m != NULL; m = m->next) {
		check_sources(arena, m);
	}
}

/* The core reads a document if we do, and finds the same in it. */
static void check_against_core(agentassert *core, aa_arena *arena, aa_bytes document)
{
	aa_auth_reader reader = {arena, 0};
	const aa_json *root = aa_auth_json_read(&reader, document);
	aa_value *got = NULL;
	agentassert_error error = {0};
	aa_value *params = aa_set(aa_map(arena), "document", aa_binary(arena, document));
	int result = aa_call(core, arena, "auth_json.get", params, &got, &error);
	CHECK((result == 0) == (root != NULL), "%s: %.*s", error.code, (int)document.size, document.data);
	if (result != 0 || root == NULL) {
		return;
	}
	check_sources(arena, root);
	aa_bytes record = aa_get_binary(got, "record");
	CHECK(aa_auth_json_has_exactly(&reader, root, record.size == 0 ? (aa_bytes){NULL, 0} : record), "%.*s",
	      (int)document.size, document.data);
	/* Of the credentials nothing is there that we do not find. */
	REQUIRE(aa_call(core, arena, "credentials.read", params, &got, &error) == 0, "%s", error.code);
	const aa_value *credentials = aa_auth_json_credentials(&reader, root);
	for (const aa_value *member = got->first; member != NULL; member = member->next) {
		const char *name = aa_copy(arena, member->name).data;
		const aa_value *found = aa_get(credentials, name);
		CHECK(strcmp(name, "problem") == 0 ||
			  (found != NULL && found->integer == member->integer && aa_equal(found->bytes, member->bytes)),
		      "%s in %.*s", name, (int)document.size, document.data);
	}
	CHECK(aa_equal(aa_get_text(got, "access_token"), aa_get_text(credentials, "access_token")), "%.*s",
	      (int)document.size, document.data);
	CHECK(aa_equal(aa_get_text(got, "kind"), aa_get_text(credentials, "kind")), "%.*s", (int)document.size,
	      document.data);
}

static void test_changed(const aa_value *vectors, int rounds)
{
	agentassert *core;
	agentassert_error error;
	REQUIRE(agentassert_open(NULL, &core, &error) == 0, "%s", error.message);
	aa_bytes documents[512];
	size_t count = 0;
	for (const aa_value *vector = vectors->first; vector != NULL; vector = vector->next) {
		aa_bytes document = aa_get_binary(aa_get_map(vector, "params"), "document");
		if (document.size > 0 && document.size < 4096 && count < 512) {
			documents[count++] = document;
		}
	}
	unsigned long long seed = 3;
	for (int i = 0; i < rounds; i++) {
		aa_arena *arena = aa_arena_new();
		check_against_core(core, arena, changed(arena, documents[draw(&seed, count)], &seed));
		aa_arena_free(arena);
	}
	agentassert_close(core);
}

/* Whatever is read as a journal or base64, nothing is read that is not there. */
static void test_changed_journals(int rounds)
{
	static const char *const journals[] = {"{\"old\":\"e30=\",\"new\":\"e30=\"}",
					       "{\"old\":\"eyJhIjoxfQ==\",\"new\":\"eyJhIjoxLCJiIjoyfQ==\"}"};
	unsigned long long seed = 4;
	for (int i = 0; i < rounds; i++) {
		aa_arena *arena = aa_arena_new();
		aa_bytes content = changed(arena, text_of(journals[draw(&seed, 2)]), &seed);
		aa_journal journal = {{NULL, 0}, {NULL, 0}};
		if (aa_journal_read(arena, content, &journal) == 1) {
			aa_bytes torn = changed(arena, journal.before, &seed);
			int is_torn = aa_journal_is_torn(&journal, torn);
			CHECK(!is_torn || !aa_equal(torn, journal.before), "%.*s", (int)content.size, content.data);
		}
		if (aa_journal_read_exactly(arena, content, &journal) == 1) {
			CHECK(aa_json_same_tokens(content, content), "%.*s", (int)content.size, content.data);
		}
		aa_arena_free(arena);
	}
}

int main(int count, char **arguments)
{
	REQUIRE(count >= 2, "the folder of the vectors is the argument");
	int rounds = count > 2 ? atoi(arguments[2]) : 20000;
	aa_arena *memory = aa_arena_new();
	const aa_value *vectors = read_vectors(memory, arguments[1], "credentials.json");
	test_texts();
	test_members();
	test_base64();
	test_months();
	test_journals();
	test_identities(vectors);
	test_replacements();
	test_changed(vectors, rounds);
	test_changed_journals(rounds);
	aa_arena_free(memory);
	return test_result();
}
