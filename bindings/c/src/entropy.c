#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE

#include "entropy.h"

#include <unistd.h>
#if defined(__APPLE__)
#include <sys/random.h>
#endif

#include "call.h"

int aa_draw_entropy(void *memory, size_t size, agentassert_error *error)
{
	if (getentropy(memory, size) != 0) {
		return aa_fail(error, "no_entropy", "the operating system has no entropy");
	}
	return 0;
}
