#include "typed.h"

int agentassert_seal_task_id(agentassert *core, const char *public_key, const char *task_id, const void *entropy,
			     size_t entropy_size, char **encrypted_task_id, agentassert_error *error)
{
	aa_typed call = aa_typed_begin(core, encrypted_task_id, NULL, error);
	aa_typed_text(&call, "public_key", public_key);
	aa_typed_entropy(&call, entropy, entropy_size, 32);
	aa_typed_text(&call, "task_id", task_id);
	aa_typed_call(&call, "task_id.seal");
	aa_typed_result(&call, "encrypted_task_id", encrypted_task_id, "sandbox_failed");
	return aa_typed_end(&call);
}

int agentassert_open_task_id(agentassert *core, const char *private_key, const char *encrypted_task_id, char **task_id,
			     agentassert_error *error)
{
	aa_typed call = aa_typed_begin(core, task_id, NULL, error);
	aa_typed_text(&call, "private_key", private_key);
	aa_typed_text(&call, "encrypted_task_id", encrypted_task_id);
	aa_typed_call(&call, "task_id.open");
	aa_typed_result(&call, "task_id", task_id, "invalid_task_id");
	return aa_typed_end(&call);
}
