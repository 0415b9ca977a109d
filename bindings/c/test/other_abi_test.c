/* A module of another version of the ABI: other_abi.wat. */
#include <string.h>

#include "agentassert.h"
#include "expect.h"

int main(void)
{
	agentassert *core;
	agentassert_error error;
	EXPECT(agentassert_open(NULL, &core, &error) == -1 && strcmp(error.code, "abi_version") == 0 && core == NULL,
	       "%s: %s", error.code, error.message);
	return expect_result();
}
