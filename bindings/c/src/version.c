#include "agentassert.h"

const char *agentassert_version(void)
{
	return AGENTASSERT_VERSION;
}

const char *agentassert_module_sha256(void)
{
	return AGENTASSERT_MODULE_SHA256; /* the build says so */
}
