#include <string.h>

#include "typed.h"

int agentassert_generate_key(agentassert *core, const char *profile, const void *entropy, size_t entropy_size,
			     char **private_key, char **public_key, agentassert_error *error)
{
	aa_typed call = aa_typed_begin(core, private_key, public_key, error);
	int is_auth_api = profile != NULL && strcmp(profile, "auth-api") == 0;
	aa_typed_entropy(&call, entropy, entropy_size, is_auth_api ? 64 : 32);
	/* The default profile has no name in the ABI. */
	if (profile != NULL && strcmp(profile, "biscuit") != 0) {
		aa_typed_text(&call, "profile", profile);
	}
	aa_typed_call(&call, "key.generate");
	aa_typed_result(&call, "private_key", private_key, "sandbox_failed");
	aa_typed_result(&call, "public_key", public_key, "sandbox_failed");
	return aa_typed_end(&call);
}

int agentassert_parse_key(agentassert *core, const char *private_key, char **kept_key, char **public_key,
			  agentassert_error *error)
{
	aa_typed call = aa_typed_begin(core, kept_key, public_key, error);
	aa_typed_text(&call, "private_key", private_key);
	aa_typed_call(&call, "key.parse");
	aa_typed_result(&call, "private_key", kept_key, "sandbox_failed");
	aa_typed_result(&call, "public_key", public_key, "sandbox_failed");
	return aa_typed_end(&call);
}
