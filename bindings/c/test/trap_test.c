/* The module whose every call traps (testvectors/hosts/trap.hex), in place of agentassert's. */
#include <string.h>

#include "agentassert.h"
#include "captured.h"
#include "check.h"

int main(void)
{
	agentassert *core;
	agentassert_error error;
	CHECK(agentassert_open(NULL, &core, &error) == 0, "%s", error.message);
	for (int i = 0; core != NULL && i < 100; i++) {
		char *header;
		CHECK(agentassert_assert(core, CAPTURED_PRIVATE_KEY, CAPTURED_AGENT, CAPTURED_TASK, CAPTURED_NOW,
					 &header, NULL, &error) == -1 &&
			  strcmp(error.code, "sandbox_failed") == 0 && header == NULL,
		      "call %d: %s: %s", i, error.code, error.message);
	}
	agentassert_close(core);
	return test_result();
}
