#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE

#include "runtime.h"

#include <setjmp.h>
#include <sys/mman.h>

#include "arena.h"

#if !defined(MAP_ANONYMOUS)
#define MAP_ANONYMOUS MAP_ANON
#endif
#if !defined(MAP_NORESERVE)
#define MAP_NORESERVE 0
#endif

/* Where a trap goes to: the innermost aa_run_guest of this thread. */
static _Thread_local jmp_buf *trap_target;

int aa_run_guest(void (*function)(void *argument), void *argument)
{
	jmp_buf target;
	jmp_buf *volatile before = trap_target;
	/* The mask of signals is nobody's concern here, and saving it would be a system call. */
	int trap = _setjmp(target);
	if (trap == 0) {
		trap_target = &target;
		function(argument);
	}
	trap_target = before;
	return trap;
}

static _Noreturn void stop_guest(int trap)
{
	_longjmp(*trap_target, trap);
}

void wasm_rt_trap(wasm_rt_trap_t trap)
{
	stop_guest((int)trap);
}

bool wasm_rt_is_initialized(void)
{
	return true; /* there is nothing to initialize */
}

/* How much address space a memory takes. */
static size_t reserved_size(const wasm_rt_memory_t *memory)
{
#if WASM_RT_MEMCHECK_GUARD_PAGES
	/* All that an address of 32 bits with an offset of 32 bits can reach. */
	(void)memory;
	return ((size_t)1 << 33) + WASM_DEFAULT_PAGE_SIZE;
#else
	return (size_t)memory->max_pages * WASM_DEFAULT_PAGE_SIZE;
#endif
}

/* Makes the first bytes of a memory readable and writable. Returns 0, or -1. */
static int commit(wasm_rt_memory_t *memory, uint64_t size)
{
	return size == 0 ? 0 : mprotect(memory->data, (size_t)size, PROT_READ | PROT_WRITE);
}

void aa_limit_memory(wasm_rt_memory_t *memory, uint64_t pages)
{
	memory->max_pages = pages;
}

/* The address space is taken at once, so that the memory never moves: a move would leave a
 * copy behind, with keys in it. */
void wasm_rt_allocate_memory(wasm_rt_memory_t *memory, uint64_t initial_pages, uint64_t max_pages, bool is64,
			     uint32_t page_size)
{
	uint64_t limit = memory->max_pages;
	*memory = (wasm_rt_memory_t){
	    .page_size = page_size,
	    .max_pages = max_pages < limit ? max_pages : limit,
	    .is64 = is64,
	};
	if (initial_pages > memory->max_pages) {
		stop_guest(AA_TRAP_NO_MEMORY);
	}
	void *data = mmap(NULL, reserved_size(memory), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (data == MAP_FAILED) {
		stop_guest(AA_TRAP_NO_MEMORY);
	}
	memory->data = data;
	memory->data_end = memory->data + reserved_size(memory);
	uint64_t size = initial_pages * page_size;
	if (commit(memory, size) != 0) {
		stop_guest(AA_TRAP_NO_MEMORY);
	}
#if defined(MADV_DONTDUMP)
	/* It holds keys, which are to be in no core dump. */
	(void)madvise(memory->data, reserved_size(memory), MADV_DONTDUMP);
#endif
	memory->pages = initial_pages;
	memory->size = size;
}

uint64_t wasm_rt_grow_memory(wasm_rt_memory_t *memory, uint64_t pages)
{
	uint64_t before = memory->pages;
	if (pages > memory->max_pages - before || commit(memory, (before + pages) * memory->page_size) != 0) {
		return UINT64_MAX;
	}
	memory->pages += pages;
	memory->size = memory->pages * memory->page_size;
	return before;
}

void wasm_rt_free_memory(wasm_rt_memory_t *memory)
{
	if (memory->data == NULL) {
		return;
	}
	aa_wipe(memory->data, (size_t)memory->size);
	munmap(memory->data, reserved_size(memory));
	memory->data = NULL;
}

void wasm_rt_allocate_funcref_table(wasm_rt_funcref_table_t *table, uint32_t elements, uint32_t max_elements)
{
	*table = (wasm_rt_funcref_table_t){.max_size = max_elements, .size = elements};
	table->data = calloc(elements == 0 ? 1 : elements, sizeof *table->data);
	if (table->data == NULL) {
		stop_guest(AA_TRAP_NO_MEMORY);
	}
}

void wasm_rt_free_funcref_table(wasm_rt_funcref_table_t *table)
{
	free(table->data);
	table->data = NULL;
}
