/* That keys are overwritten: in the guest's memory before that is given back, and in the
 * library's own. The linker puts the functions of this file in the place of free and munmap
 * (--wrap). */
#define _DEFAULT_SOURCE

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agentassert.h"
#include "captured.h"
#include "check.h"
#include "pool.h"

void __real_free(void *memory);
void __wrap_free(void *memory);
int __real_munmap(void *memory, size_t size);
int __wrap_munmap(void *memory, size_t size);

/* The private key as it is sent, and its seed as the guest has it: base64 of these 32 bytes is
 * in CAPTURED_PRIVATE_KEY. */
static const char text[] = "BCIEIMtkxP/NRX9pjndXQgO0LwhgpVD";
static const unsigned char seed[] = {0xcb, 0x64, 0xc4, 0xff, 0xcd, 0x45, 0x7f, 0x69, 0x8e, 0x77, 0x57,
				     0x42, 0x03, 0xb4, 0x2f, 0x08, 0x60, 0xa5, 0x50, 0xff, 0x75, 0x9c,
				     0x24, 0x34, 0x3f, 0x10, 0x02, 0x4a, 0xa0, 0x92, 0x91, 0xf4};

static int contains(const unsigned char *memory, size_t size, const void *what, size_t what_size)
{
	for (size_t i = 0; i + what_size <= size; i++) {
		if (memory[i] == *(const unsigned char *)what && memcmp(memory + i, what, what_size) == 0) {
			return 1;
		}
	}
	return 0;
}

static int freed, unmapped;

void __wrap_free(void *memory)
{
	if (memory != NULL) {
		freed++;
		size_t size = malloc_usable_size(memory);
		CHECK(!contains(memory, size, text, sizeof text - 1), "a key in %zu bytes that are freed", size);
		CHECK(!contains(memory, size, seed, sizeof seed), "a seed in %zu bytes that are freed", size);
	}
	__real_free(memory);
}

/* Looks through what can be read of memory: a pipe does not take what cannot. */
int __wrap_munmap(void *memory, size_t size)
{
	enum { PAGE = 4096 };
	unsigned char page[PAGE];
	int ends[2];
	unmapped++;
	if (pipe(ends) == 0) {
		for (size_t at = 0; at + PAGE <= size; at += PAGE) {
			if (write(ends[1], (char *)memory + at, PAGE) != PAGE || read(ends[0], page, PAGE) != PAGE) {
				break;
			}
			static const unsigned char zeroes[PAGE];
			CHECK(memcmp(page, zeroes, PAGE) == 0, "page %zu of a guest's memory", at / PAGE);
		}
		close(ends[0]);
		close(ends[1]);
	}
	return __real_munmap(memory, size);
}

static void find_seed(const aa_guest *guest, void *context)
{
	if (contains(aa_guest_memory(guest), aa_guest_size(guest), seed, sizeof seed)) {
		*(int *)context = 1;
	}
}

static void sign(agentassert *core)
{
	agentassert_error error;
	char *header, *kept, *public_key;
	CHECK(agentassert_assert(core, CAPTURED_PRIVATE_KEY, CAPTURED_AGENT, CAPTURED_TASK, CAPTURED_NOW, &header, NULL,
				 &error) == 0,
	      "%s", error.message);
	agentassert_free(header);
	/* Results hold keys, too. */
	CHECK(agentassert_parse_key(core, CAPTURED_PRIVATE_KEY, &kept, &public_key, &error) == 0, "%s", error.message);
	agentassert_free(kept);
	agentassert_free(public_key);
	CHECK(agentassert_call_json(core, "key.parse", "{\"private_key\":\"" CAPTURED_PRIVATE_KEY "\"}", &kept,
				    &error) == 0,
	      "%s", error.message);
	agentassert_free(kept);
}

static void test_overwritten(void)
{
	agentassert *core;
	agentassert_error error;
	int is_there = 0;
	CHECK(agentassert_open(NULL, &core, &error) == 0, "%s", error.message);
	sign(core);
	/* Otherwise there would be nothing to see below. */
	aa_pool_visit(core, find_seed, &is_there);
	CHECK(is_there, "the core keeps the last key");
	agentassert_forget(core);
	is_there = 0;
	aa_pool_visit(core, find_seed, &is_there);
	CHECK(!is_there && unmapped == 1, "it has forgotten it, in %d instances", unmapped);
	sign(core);
	agentassert_close(core);
	CHECK(unmapped == 2 && freed > 0, "%d instances", unmapped);
}

int main(void)
{
	test_overwritten();
	return test_result();
}
