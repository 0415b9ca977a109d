#include "guest.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "guest_module.h"
#include "message_limits.h"
#include "runtime.h"

/* The version of the ABI that this library speaks: wasm/ABI.md. */
#define ABI_VERSION 2

/* How much of its thread's stack a guest may use, in bytes, beside the frame of one function.
 * All vectors pass with a tenth of it on x86-64, for Go keeps most of its stack in the guest's
 * memory; where the compiler optimizes less, frames are larger. agentassert.h says how much
 * stack a thread needs. */
#define GUEST_STACK (160 * 1024)

struct aa_guest {
	/* The lowest address that the stack pointer may have; guest_stack.h reads it there. */
	uint64_t stack_limit;
	w2c_agentassert module;
};

_Static_assert(offsetof(struct aa_guest, module) == sizeof(uint64_t), "the limit stands in front of the module");

/* Lets the guest use the stack from here on. */
static void limit_stack(aa_guest *guest)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	guest->stack_limit = here > GUEST_STACK ? here - GUEST_STACK : 0;
}

typedef struct making {
	aa_guest *guest;
	uint32_t version;
} making;

static void make(void *argument)
{
	making *m = argument;
	limit_stack(m->guest);
	wasm2c_agentassert_instantiate(&m->guest->module);
	m->version = w2c_agentassert_agentassert_abi(&m->guest->module);
}

enum aa_guest_result aa_guest_new(uint64_t max_pages, aa_guest **out)
{
	making m = {.guest = calloc(1, sizeof *m.guest)};
	if (m.guest == NULL) {
		return AA_GUEST_NO_MEMORY;
	}
	aa_limit_memory(&m.guest->module.w2c_memory, max_pages);
	int trap = aa_run_guest(make, &m);
	if (trap == 0 && m.version == ABI_VERSION) {
		*out = m.guest;
		return AA_GUEST_OK;
	}
	aa_guest_free(m.guest);
	return trap == AA_TRAP_NO_MEMORY ? AA_GUEST_NO_MEMORY : trap != 0 ? AA_GUEST_TRAPPED : AA_GUEST_ABI;
}

void aa_guest_free(aa_guest *guest)
{
	if (guest == NULL) {
		return;
	}
	wasm2c_agentassert_free(&guest->module);
	aa_wipe(guest, sizeof *guest);
	free(guest);
}

typedef struct exchanging {
	aa_guest *guest;
	aa_arena *arena;
	aa_bytes request, response;
	enum aa_guest_result result;
} exchanging;

/* Reports whether a part is inside a memory, which can have grown meanwhile. */
static int is_inside(const wasm_rt_memory_t *memory, uint64_t address, uint64_t size)
{
	return address <= memory->size && size <= memory->size - address;
}

static void exchange(void *argument)
{
	exchanging *e = argument;
	w2c_agentassert *module = &e->guest->module;
	const wasm_rt_memory_t *memory = &module->w2c_memory;
	limit_stack(e->guest);
	uint32_t input = w2c_agentassert_agentassert_alloc(module, (uint32_t)e->request.size);
	if (input == 0 || !is_inside(memory, input, e->request.size)) {
		e->result = AA_GUEST_ANSWER;
		return;
	}
	memcpy(memory->data + input, e->request.data, e->request.size);
	uint64_t packed = w2c_agentassert_agentassert_call(module, input, (uint32_t)e->request.size);
	uint32_t output = (uint32_t)(packed >> 32), size = (uint32_t)packed;
	if (size == 0 || size > AA_MAX_MESSAGE || !is_inside(memory, output, size)) {
		e->result = AA_GUEST_ANSWER;
		return;
	}
	e->response = aa_copy(e->arena, (aa_bytes){(const char *)memory->data + output, size});
	if (e->response.data == NULL) {
		e->result = AA_GUEST_NO_ROOM;
		return;
	}
	w2c_agentassert_agentassert_free(module, output);
	w2c_agentassert_agentassert_free(module, input);
}

enum aa_guest_result aa_guest_exchange(aa_guest *guest, aa_arena *arena, aa_bytes request, aa_bytes *response)
{
	exchanging e = {.guest = guest, .arena = arena, .request = request, .result = AA_GUEST_OK};
	if (aa_run_guest(exchange, &e) != 0) {
		return AA_GUEST_TRAPPED;
	}
	*response = e.response;
	return e.result;
}

uint64_t aa_guest_size(const aa_guest *guest)
{
	return guest->module.w2c_memory.size;
}

const unsigned char *aa_guest_memory(const aa_guest *guest)
{
	return guest->module.w2c_memory.data;
}
