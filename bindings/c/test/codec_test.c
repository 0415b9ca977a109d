/* The two codecs: what they write, and what they refuse. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "value.h"

static aa_bytes bytes_of(const char *text)
{
	return (aa_bytes){text, strlen(text)};
}

/* Returns what hexadecimal stands for. */
static aa_bytes unhex(aa_arena *arena, const char *hex)
{
	size_t size = strlen(hex) / 2;
	char *bytes = aa_alloc(arena, size);
	for (size_t i = 0; i < size; i++) {
		bytes[i] = (char)strtol((char[]){hex[2 * i], hex[2 * i + 1], 0}, NULL, 16);
	}
	return (aa_bytes){bytes, size};
}

/* The pairs, and what is refused, are those of the vectors' own tests, which another codec has
 * to agree with; and RFC 8949's. */
static const struct {
	const char *json, *cbor, *back; /* back: what is written, where that is not the same */
} pairs[] = {
    {"{}", "a0", NULL},
    {"[]", "80", NULL},
    {"{\"a\":1,\"b\":[2,3]}", "a26161016162820203", NULL},
    {"{\"aa\":true,\"b\":false}", "a26162f4626161f5", "{\"b\":false,\"aa\":true}"},
    {"0", "00", NULL},
    {"-0", "00", "0"},
    {"23", "17", NULL},
    {"24", "1818", NULL},
    {"255", "18ff", NULL},
    {"256", "190100", NULL},
    {"65535", "19ffff", NULL},
    {"65536", "1a00010000", NULL},
    {"4294967295", "1affffffff", NULL},
    {"4294967296", "1b0000000100000000", NULL},
    {"-1", "20", NULL},
    {"-24", "37", NULL},
    {"-25", "3818", NULL},
    {"-62167219200", "3b0000000e79747bff", NULL},
    {"9223372036854775807", "1b7fffffffffffffff", NULL},
    {"-9223372036854775808", "3b7fffffffffffffff", NULL},
    {"\"\"", "60", NULL},
    {"\"a\\u2028\360\237\246\200\"", "6861e280a8f09fa680", "\"a\342\200\250\360\237\246\200\""},
    {"\"\\ud83e\\udd80\\\\ud800\\ufffd\"", "6df09fa6805c7564383030efbfbd", "\"\360\237\246\200\\\\ud800\357\277\275\""},
    {"\"\\u0000\\u001f\\b\\f\\n\\r\\t\\/\\\"\"", "69001f080c0a0d092f22",
     "\"\\u0000\\u001f\\u0008\\u000c\\n\\r\\t/\\\"\""},
    {"\"\\u007f\\u0080\\u07ff\\u0800\"", "687fc280dfbfe0a080", "\"\177\302\200\337\277\340\240\200\""},
    {"\"\357\273\277\"", "63efbbbf", NULL}, /* a byte order mark is a character */
    {"{\"hex\":\"00ff\"}", "4200ff", NULL},
    {"{\"hex\":\"00FF\"}", "4200ff", "{\"hex\":\"00ff\"}"},
    {"{\"hex\":\"\"}", "40", NULL},
    {"{\"utf8\":\"{\\\"a\\\": \\\"\303\251\\\"}\\n\"}", "4c7b2261223a2022c3a9227d0a",
     "{\"hex\":\"7b2261223a2022c3a9227d0a\"}"},
    {"{\"utf8\":\"\"}", "40", "{\"hex\":\"\"}"},
    {"{\"hex\":\"00\",\"utf8\":\"\"}", "a263686578623030647574663860", NULL},
    {"{\"hex\":1}", "a16368657801", NULL},
    {" \t\r\n[ true , false ] \n", "82f5f4", "[true,false]"},
    {"{ \"\" : { } }", "a160a0", "{\"\":{}}"},
};

static void test_pairs(void)
{
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		aa_arena *arena = aa_arena_new();
		aa_bytes want = unhex(arena, pairs[i].cbor), got = {0}, text = {0};
		aa_value *value = NULL, *decoded = NULL;
		int from_json = aa_decode_json(arena, bytes_of(pairs[i].json), &value) == AA_OK &&
				aa_encode_cbor(arena, value, &got) == AA_OK && aa_equal(got, want);
		CHECK(from_json, "%s", pairs[i].json);
		int to_json =
		    aa_decode_cbor(arena, want, &decoded) == AA_OK && aa_encode_json(arena, decoded, &text) == AA_OK;
		CHECK(to_json, "%s", pairs[i].cbor);
		const char *back = pairs[i].back != NULL ? pairs[i].back : pairs[i].json;
		CHECK(!to_json || aa_equal(text, bytes_of(back)), "%s becomes %s, not %s", pairs[i].cbor, text.data,
		      back);
		aa_arena_free(arena);
	}
}

static const char *const refused_json[] = {
    "",
    " ",
    "null",
    "1.5",
    "1e3",
    "1E3",
    "01",
    "-",
    "-01",
    "+1",
    "0x1",
    ".5",
    "9223372036854775808",
    "-9223372036854775809",
    "99999999999999999999",
    "[null]",
    "{\"a\":null}",
    "{\"hex\":\"0\"}",
    "{\"hex\":\"0g\"}",
    "{} {}",
    "[",
    "{",
    "{\"a\"",
    "{\"a\":",
    "{\"a\":1",
    "[1",
    "[1,]",
    "[,1]",
    "{\"a\":1,}",
    "{,}",
    "{1:2}",
    "[1}",
    "{\"a\":1]",
    "{\"a\" 1}",
    "{\"a\":1,\"a\":1}",
    "{\"a\":1,\"\\u0061\":1}",
    "{\"b\":1,\"a\":1,\"b\":2}",
    "{\"hex\":\"00\",\"hex\":\"00\"}",
    "\"\\ud800\"",
    "\"\\udc00\"",
    "\"\\ud800\\ud800\"",
    "\"\\udc00\\ud800\"",
    "\"\\ud800\\n\"",
    "\"\\ud800x\"",
    "{\"\\udfff\":1}",
    "\"\377\"",
    "\"\355\240\200\"",
    "\"\300\200\"",
    "\"\364\220\200\200\"",
    "\"\342\202\"",
    "\"",
    "\"\\",
    "\"\\\"",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\u123g\"",
    "\"a\nb\"",
    "\"\001\"",
    "'a'",
    "tru",
    "True",
    "truex",
    "falsefalse",
    "NaN",
    "\357\273\277{}",
    "// x\n1",
    "[1 2]",
};

static const char *const refused_cbor[] = {
    "",
    "f6",
    "f7",
    "f90000",
    "fa00000000",
    "fb0000000000000000",
    "c000",
    "d81800",
    "e0",
    "f8ff",
    "a10000",
    "a14000",
    "1800",
    "1817",
    "190000",
    "1900ff",
    "1a0000ffff",
    "1b00000000ffffffff",
    "1b8000000000000000",
    "3b8000000000000000",
    "3bffffffffffffffff",
    "1c",
    "1d",
    "1e",
    "1f",
    "5f",
    "7f",
    "9fff",
    "bfff",
    "5f4100ff",
    "ff",
    "5800",
    "7800",
    "9800",
    "b800",
    "a2616200616100",
    "a2616100616100",
    "a2626161006162f5",
    "61ff",
    "61c3",
    "63eda080",
    "62c080",
    "0000",
    "8000",
    "41",
    "4200",
    "61",
    "81",
    "8200",
    "a1",
    "a16161",
    "a161",
    "18",
    "19ff",
    "1b7fffffffffffff",
    "9bffffffffffffffff",
    "bbffffffffffffffff",
    "5bffffffffffffffff",
    "7bffffffffffffffff",
    "9a00100000",
    "ba00100000",
};

static void test_refusals(void)
{
	for (size_t i = 0; i < sizeof refused_json / sizeof refused_json[0]; i++) {
		aa_arena *arena = aa_arena_new();
		aa_value *value;
		CHECK(aa_decode_json(arena, bytes_of(refused_json[i]), &value) == AA_MALFORMED, "%s", refused_json[i]);
		aa_arena_free(arena);
	}
	for (size_t i = 0; i < sizeof refused_cbor / sizeof refused_cbor[0]; i++) {
		aa_arena *arena = aa_arena_new();
		aa_value *value;
		CHECK(aa_decode_cbor(arena, unhex(arena, refused_cbor[i]), &value) == AA_MALFORMED, "%s",
		      refused_cbor[i]);
		aa_arena_free(arena);
	}
}

/* Returns n arrays around nothing. */
static aa_value *nest(aa_arena *arena, int n)
{
	aa_value *value = aa_array(arena);
	while (--n > 0) {
		value = aa_append(aa_array(arena), value);
	}
	return value;
}

static void test_depth(void)
{
	static const struct {
		int depth;
		enum aa_codec_result cbor, json;
	} cases[] = {
	    {1, AA_OK, AA_OK}, {16, AA_OK, AA_OK}, {17, AA_MALFORMED, AA_OK}, {18, AA_MALFORMED, AA_MALFORMED}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		aa_arena *arena = aa_arena_new();
		int n = cases[i].depth;
		aa_bytes out;
		aa_value *value;
		CHECK(aa_encode_cbor(arena, nest(arena, n), &out) == cases[i].cbor, "%d", n);
		CHECK(aa_encode_json(arena, nest(arena, n), &out) == cases[i].json, "%d", n);
		char cbor[32] = {0}, json[64] = {0};
		memset(cbor, '\201', (size_t)n - 1);
		cbor[n - 1] = '\200';
		memset(json, '[', (size_t)n);
		memset(json + n, ']', (size_t)n);
		CHECK(aa_decode_cbor(arena, (aa_bytes){cbor, (size_t)n}, &value) == cases[i].cbor, "%d", n);
		CHECK(aa_decode_json(arena, bytes_of(json), &value) == cases[i].json, "%d", n);
		aa_arena_free(arena);
	}
	/* However deep: no stack is used up. */
	enum { DEEP = 1 << 20 };
	static char deep[DEEP];
	aa_arena *arena = aa_arena_new();
	aa_value *value;
	memset(deep, '[', DEEP);
	CHECK(aa_decode_json(arena, (aa_bytes){deep, DEEP}, &value) == AA_MALFORMED, "open arrays");
	memset(deep, '\201', DEEP);
	CHECK(aa_decode_cbor(arena, (aa_bytes){deep, DEEP}, &value) == AA_MALFORMED, "open arrays");
	aa_arena_free(arena);
}

static void test_sizes(void)
{
	enum { MOST = 1024 * 1024, JSON_MOST = 8 * 1024 * 1024 };
	static char data[JSON_MOST + 1];
	aa_arena *arena = aa_arena_new();
	aa_bytes out;
	aa_value *value;
	/* The head of a string of this size has 5 bytes. */
	CHECK(aa_encode_cbor(arena, aa_binary(arena, (aa_bytes){data, MOST - 5}), &out) == AA_OK && out.size == MOST,
	      "the largest message");
	CHECK(aa_decode_cbor(arena, out, &value) == AA_OK && value->bytes.size == MOST - 5, "the largest message");
	CHECK(aa_encode_cbor(arena, aa_binary(arena, (aa_bytes){data, MOST - 4}), &out) == AA_TOO_LARGE, "one more");
	CHECK(aa_encode_cbor(arena, aa_text(arena, (aa_bytes){data, SIZE_MAX}), &out) == AA_TOO_LARGE, "no sum wraps");
	CHECK(aa_decode_cbor(arena, (aa_bytes){data, MOST + 1}, &value) == AA_TOO_LARGE, "one more");
	memset(data, ' ', sizeof data);
	data[0] = '1';
	CHECK(aa_decode_json(arena, (aa_bytes){data, JSON_MOST}, &value) == AA_OK, "the largest text");
	CHECK(aa_decode_json(arena, (aa_bytes){data, JSON_MOST + 1}, &value) == AA_TOO_LARGE, "one more");
	aa_arena_free(arena);
}

static void test_values(void)
{
	aa_arena *arena = aa_arena_new();
	aa_bytes out;
	CHECK(aa_encode_cbor(arena, NULL, &out) == AA_NO_MEMORY, "NULL");
	CHECK(aa_set(NULL, "a", aa_integer(arena, 1)) == NULL && aa_set(aa_map(arena), "a", NULL) == NULL, "NULL");
	aa_value *twice = aa_set(aa_set(aa_map(arena), "a", aa_integer(arena, 1)), "a", aa_integer(arena, 2));
	CHECK(aa_encode_cbor(arena, twice, &out) == AA_MALFORMED, "a name twice");
	CHECK(aa_encode_cbor(arena, aa_text(arena, AA_LITERAL("\377")), &out) == AA_MALFORMED, "no UTF-8");
	CHECK(aa_encode_json(arena, aa_text(arena, AA_LITERAL("\377")), &out) == AA_MALFORMED, "no UTF-8");

	aa_value *map = aa_map(arena), *copy;
	aa_set(map, "text", aa_text(arena, AA_LITERAL("t")));
	aa_set(map, "bytes", aa_binary(arena, AA_LITERAL("b")));
	aa_set(map, "yes", aa_boolean(arena, 7));
	aa_set(map, "n", aa_integer(arena, -5));
	aa_set(map, "array", aa_append(aa_array(arena), aa_set(aa_map(arena), "x", aa_integer(arena, 1))));
	copy = aa_clone(arena, map);
	CHECK(aa_equal(aa_get_text(copy, "text"), AA_LITERAL("t")), "text");
	CHECK(aa_get_text(copy, "bytes").size == 0 && aa_get_text(copy, "none").data != NULL, "another kind, and none");
	CHECK(aa_equal(aa_get_binary(copy, "bytes"), AA_LITERAL("b")), "bytes");
	CHECK(aa_get_boolean(copy, "yes") == 1 && aa_get_boolean(copy, "n") == 0, "booleans");
	CHECK(aa_get_integer(copy, "n") == -5 && aa_get_integer(copy, "yes") == 0, "integers");
	CHECK(aa_get_array(copy, "array")->count == 1 && aa_get_map(copy, "array") == NULL, "containers");
	CHECK(aa_get_integer(aa_get_array(copy, "array")->first, "x") == 1, "inside");
	CHECK(aa_get(NULL, "x") == NULL && aa_get(aa_get(copy, "text"), "x") == NULL, "no maps");
	aa_bytes a, b;
	CHECK(aa_encode_cbor(arena, map, &a) == AA_OK && aa_encode_cbor(arena, copy, &b) == AA_OK && aa_equal(a, b),
	      "a copy is the same");
	aa_arena_free(arena);
	aa_arena_free(NULL);
}

int main(void)
{
	test_pairs();
	test_refusals();
	test_depth();
	test_sizes();
	test_values();
	return test_result();
}
