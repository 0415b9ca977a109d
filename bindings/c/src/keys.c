#include <string.h>

#include "buffer.h"
#include "call.h"
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

int agentassert_import_key(agentassert *core, const void *key, size_t key_size, char **kept_key, char **public_key,
			   agentassert_error *error)
{
	aa_typed call = aa_typed_begin(core, kept_key, public_key, error);
	aa_typed_bytes(&call, "bytes", key, key_size);
	aa_typed_call(&call, "key.import");
	aa_typed_result(&call, "private_key", kept_key, "sandbox_failed");
	aa_typed_result(&call, "public_key", public_key, "sandbox_failed");
	return aa_typed_end(&call);
}

int agentassert_import_public_key(agentassert *core, const void *key, size_t key_size, char **public_key,
				  agentassert_error *error)
{
	aa_typed call = aa_typed_begin(core, public_key, NULL, error);
	aa_typed_bytes(&call, "bytes", key, key_size);
	aa_typed_call(&call, "public_key.import");
	aa_typed_result(&call, "public_key", public_key, "sandbox_failed");
	return aa_typed_end(&call);
}

/* Exports one of the two, and hands out what it became: a text, or 32 bytes. */
static int export_key(agentassert *core, const char *half, const char *key, const char *format, char **exported,
		      size_t *size, agentassert_error *error)
{
	aa_typed call = aa_typed_begin(core, exported, NULL, error);
	if (size != NULL) {
		*size = 0;
	}
	/* The ABI has no empty members. */
	if (key == NULL || key[0] != '\0') {
		aa_typed_text(&call, half, key);
	}
	aa_typed_text(&call, "format", format);
	aa_typed_call(&call, "key.export");
	if (!call.failed && exported != NULL) {
		const aa_value *made = aa_get(call.result, strcmp(format, "raw") == 0 ? "bytes" : "key");
		*exported = made == NULL ? NULL : aa_buffer_copy(made->bytes);
		if (made == NULL) {
			call.failed = aa_fail(error, "sandbox_failed", "the core's answer lacks the exported key");
		} else if (*exported == NULL) {
			call.failed = aa_fail(error, "sandbox_failed", "there is no memory for the core's answer");
		} else if (size != NULL) {
			*size = made->bytes.size;
		}
	}
	return aa_typed_end(&call);
}

int agentassert_export_key(agentassert *core, const char *private_key, const char *format, char **exported,
			   size_t *size, agentassert_error *error)
{
	return export_key(core, "private_key", private_key, format, exported, size, error);
}

int agentassert_export_public_key(agentassert *core, const char *public_key, const char *format, char **exported,
				  size_t *size, agentassert_error *error)
{
	return export_key(core, "public_key", public_key, format, exported, size, error);
}
