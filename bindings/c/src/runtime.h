/* What the translated module runs on: its memory, its table, its traps. The functions that
 * its code calls are declared in wasm-rt.h, which comes with wasm2c; that has a runtime, too,
 * which ends the process where there is no memory, leaves copies of it behind when it grows,
 * and overwrites nothing. */
#ifndef AGENTASSERT_RUNTIME_H
#define AGENTASSERT_RUNTIME_H

#include "wasm-rt.h"

/* Why a guest was stopped. Others are of wasm_rt_trap_t. */
enum { AA_TRAP_NO_MEMORY = 1000 };

/* Runs a function until it returns or the guest traps. Returns 0, or why it trapped. What is
 * called must keep nothing that has to be given back. Different threads can run at the same
 * time. */
int aa_run_guest(void (*function)(void *argument), void *argument);

/* Limits the memory of an instance that is about to be made, to a number of pages of 64 KiB.
 * The module's own limit holds as well. */
void aa_limit_memory(wasm_rt_memory_t *memory, uint64_t pages);

#endif
