/* A module of another version of the ABI: other_abi.wat. */
#include <string.h>

#include "agentassert.h"
#include "check.h"

int main(void)
{
	agentassert *core;
	agentassert_error error;
	CHECK(agentassert_open(NULL, &core, &error) == -1 && strcmp(error.code, "abi_version") == 0 && core == NULL,
	      "%s: %s", error.code, error.message);
	return test_result();
}
