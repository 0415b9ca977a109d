/* Changes encoded messages at random, and holds what the codec makes of them against the
 * core's own, which is another program in another language: a call of a method that there is
 * not is refused for its name if the core could read the parameters, and otherwise as no
 * message. JSON is held against the reader of auth.json, which shares no code with it. The
 * random numbers are the same every time, unless an argument seeds them. */
#include <stdlib.h>
#include <string.h>

#include "agentassert.h"
#include "check.h"
#include "json.h"
#include "value.h"

enum { ROUNDS = 100000, ROOM = 512 };

static uint64_t state;

/* xorshift64*, by Vigna. */
static uint32_t random_below(uint32_t n)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)((state * UINT64_C(0x2545f4914f6cdd1d)) >> 32) % n;
}

/* {"method": "x", "params": … */
static const unsigned char prefix[] = {0xa2, 0x66, 'm', 'e', 't', 'h', 'o', 'd', 0x61,
				       'x',  0x66, 'p', 'a', 'r', 'a', 'm', 's'};

/* What messages are made of, and what they must not be. */
static const char *const seeds[] = {
    "\xa2"
    "\x61"
    "a"
    "\x01"
    "\x61"
    "b"
    "\x82"
    "\x02"
    "\x03",
    "\xa3"
    "\x61"
    "a"
    "\xf5"
    "\x61"
    "b"
    "\x43xyz"
    "\x62"
    "aa"
    "\x66"
    "\xc3\xa9\xf0\x9f\xa6\x80",
    "\xa1"
    "\x61"
    "n"
    "\x84\x18\x18\x19\x01\x02\x1a\x01\x01\x01\x01\x38\x64",
    "\xa1"
    "\x61"
    "d"
    "\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x20",
};

static const unsigned char interesting[] = {0x00, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1f, 0x20, 0x3b, 0x40,
					    0x5f, 0x60, 0x61, 0x7f, 0x80, 0x81, 0x9f, 0xa0, 0xa1, 0xbf,
					    0xc0, 0xed, 0xf4, 0xf5, 0xf6, 0xf9, 0xfb, 0xff};

/* Changes an item in up to four places. Returns its size. */
static size_t change(unsigned char *item, size_t size)
{
	for (uint32_t n = random_below(5); n > 0; n--) {
		size_t at = random_below((uint32_t)size + 1);
		unsigned char byte =
		    random_below(2) ? (unsigned char)random_below(256) : interesting[random_below(sizeof interesting)];
		switch (random_below(3)) {
		case 0:
			if (at < size) {
				item[at] = byte;
			}
			break;
		case 1:
			memmove(item + at + 1, item + at, size - at);
			item[at] = byte;
			size++;
			break;
		default:
			if (at < size && size > 1) {
				memmove(item + at, item + at + 1, size - at - 1);
				size--;
			}
		}
	}
	return size;
}

/* Reports whether the core could read a message. */
static int core_reads(agentassert *core, aa_arena *arena, aa_bytes message)
{
	agentassert_error error;
	void *response;
	size_t size;
	aa_value *value = NULL;
	if (agentassert_exchange(core, message.data, message.size, &response, &size, &error) != 0) {
		CHECK(0, "%s", error.message);
		return -1;
	}
	CHECK(aa_decode_cbor(arena, (aa_bytes){response, size}, &value) == AA_OK, "a response that is none");
	int reads = aa_equal(aa_get_text(aa_get(value, "error"), "code"), AA_LITERAL("unknown_method"));
	agentassert_free(response);
	return reads;
}

static void try_message(agentassert *core, aa_bytes message)
{
	aa_arena *arena = aa_arena_new();
	aa_value *value = NULL;
	aa_bytes again, text;
	int reads = aa_decode_cbor(arena, message, &value) == AA_OK;
	if (reads) {
		CHECK(aa_encode_cbor(arena, value, &again) == AA_OK && aa_equal(message, again), "it has one encoding");
		CHECK(aa_encode_json(arena, value, &text) == AA_OK, "it can be written in JSON");
		/* An object of text named hex or utf8 alone is a byte string in JSON. */
		if (aa_decode_json(arena, text, &value) == AA_OK && strstr(text.data, "\"hex\"") == NULL &&
		    strstr(text.data, "\"utf8\"") == NULL) {
			CHECK(aa_encode_cbor(arena, value, &again) == AA_OK && aa_equal(message, again),
			      "and read from it: %s", text.data);
		}
	}
	int core_result = core_reads(core, arena, message);
	if (core_result >= 0 && core_result != reads) {
		CHECK(0, "the codec %s what the core %s", reads ? "reads" : "refuses", reads ? "refuses" : "reads");
		for (size_t i = 0; i < message.size; i++) {
			fprintf(stderr, "%02x", (unsigned)(unsigned char)message.data[i]);
		}
		fputc('\n', stderr);
	}
	aa_arena_free(arena);
}

/* The same in JSON. */
static const char *const json_seeds[] = {
    "{\"a\":1,\"b\":[2,-3,true,false],\"aa\":\"\\u00e9\\ud83e\\udd80\\n\"}",
    "{\"hex\":\"00ff\"}",
    "[{\"utf8\":\"x\"},\"\303\251\",9223372036854775807,{}]",
};

static const char json_characters[] = "{}[]\",:\\u0123456789abcdefDd8C-+.eEtrufalsn \t\n\303\251\377\001";

/* What the decoder reads is JSON, and what it says comes back from its other encodings. */
static void try_json(aa_bytes text)
{
	aa_arena *arena = aa_arena_new();
	aa_value *value, *again;
	const aa_json *read;
	aa_bytes written, first, second;
	if (aa_decode_json(arena, text, &value) == AA_OK) {
		CHECK(aa_json_read(arena, text, text.size, &read) == AA_OK, "no JSON: %.*s", (int)text.size, text.data);
		CHECK(aa_encode_json(arena, value, &written) == AA_OK &&
			  aa_decode_json(arena, written, &again) == AA_OK &&
			  aa_encode_cbor(arena, value, &first) == AA_OK &&
			  aa_encode_cbor(arena, again, &second) == AA_OK && aa_equal(first, second),
		      "another value: %.*s", (int)text.size, text.data);
	}
	aa_arena_free(arena);
}

static void fuzz_json(void)
{
	for (int i = 0; i < ROUNDS && failures < 10; i++) {
		char text[ROOM];
		size_t size = strlen(json_seeds[i % 3]);
		memcpy(text, json_seeds[i % 3], size);
		for (uint32_t n = random_below(4); n > 0; n--) {
			size_t at = random_below((uint32_t)size);
			char c = json_characters[random_below(sizeof json_characters - 1)];
			if (random_below(2)) {
				text[at] = c;
			} else {
				memmove(text + at + 1, text + at, size - at);
				text[at] = c;
				size++;
			}
		}
		try_json((aa_bytes){text, size});
	}
}

int main(int argc, char **argv)
{
	agentassert *core;
	agentassert_error error;
	state = argc > 1 ? strtoull(argv[1], NULL, 10) | 1 : 1;
	if (agentassert_open(NULL, &core, &error) != 0) {
		CHECK(0, "%s", error.message);
		return test_result();
	}
	for (int i = 0; i < ROUNDS && failures < 10; i++) {
		unsigned char message[ROOM];
		const char *seed = seeds[random_below(sizeof seeds / sizeof seeds[0])];
		size_t size = strlen(seed);
		memcpy(message, prefix, sizeof prefix);
		memcpy(message + sizeof prefix, seed, size);
		size = change(message + sizeof prefix, size);
		try_message(core, (aa_bytes){(const char *)message, sizeof prefix + size});
	}
	agentassert_close(core);
	fuzz_json();
	return test_result();
}
