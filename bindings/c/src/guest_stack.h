/* How the translated module notices that it is about to run out of stack. This is included
 * in front of each of its files.
 *
 * wasm2c counts calls, in a variable of the thread, and traps beyond a number of them. A
 * number of calls says little about bytes, and a variable of the thread is slow in a shared
 * library. So here what stands for the count is made of the stack pointer instead: at the
 * start of a function, "++wasm_rt_call_stack_depth > WASM_RT_MAX_CALL_STACK_DEPTH", with a
 * most of 0, says whether the pointer is below the guest's limit; at its end,
 * "--wasm_rt_call_stack_depth" does nothing, and the compiler takes it out. */
#ifndef AGENTASSERT_GUEST_STACK_H
#define AGENTASSERT_GUEST_STACK_H

#define WASM_RT_MAX_CALL_STACK_DEPTH 0

#include "wasm-rt.h"

/* Returns 1 if the stack pointer is below the limit that stands in front of the module's
 * instance (guest.c), or else 0. */
static inline int aa_out_of_stack(const void *instance)
{
	uintptr_t pointer;
#if defined(__GNUC__) && defined(__x86_64__) && !defined(__ILP32__)
	__asm__("movq %%rsp, %0" : "=r"(pointer));
#elif defined(__GNUC__) && defined(__i386__)
	__asm__("movl %%esp, %0" : "=r"(pointer));
#elif defined(__GNUC__) && defined(__aarch64__)
	__asm__("mov %0, sp" : "=r"(pointer));
#else
	/* Everywhere else it is near enough, and costs a register. */
	pointer = (uintptr_t)__builtin_frame_address(0);
#endif
	return pointer < ((const uint64_t *)instance)[-1];
}

/* Every function of the module has an instance, under this name. */
#define wasm_rt_call_stack_depth (*(int[1]){aa_out_of_stack(instance) - 1})

#endif
