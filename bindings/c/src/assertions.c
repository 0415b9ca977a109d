#include "typed.h"

int agentassert_assert(agentassert *core, const char *private_key, const char *agent_runtime_id, const char *task_id,
		       int64_t now, char **header, int64_t *valid_until, agentassert_error *error)
{
	aa_typed call = aa_typed_begin(core, header, NULL, error);
	aa_typed_text(&call, "private_key", private_key);
	aa_typed_text(&call, "agent_runtime_id", agent_runtime_id);
	aa_typed_text(&call, "task_id", task_id);
	aa_typed_integer(&call, "now", now);
	aa_typed_call(&call, "assertion.build");
	aa_typed_result(&call, "header", header, "sandbox_failed");
	if (valid_until != NULL) {
		*valid_until = call.failed ? 0 : aa_get_integer(call.result, "valid_until");
	}
	return aa_typed_end(&call);
}

int agentassert_assert_instance(agentassert *core, const char *private_key, const char *runtime_agent_instance,
				int64_t now, const void *entropy, size_t entropy_size, char **value,
				agentassert_error *error)
{
	aa_typed call = aa_typed_begin(core, value, NULL, error);
	aa_typed_text(&call, "private_key", private_key);
	aa_typed_text(&call, "runtime_agent_instance", runtime_agent_instance);
	aa_typed_entropy(&call, entropy, entropy_size, 16);
	aa_typed_integer(&call, "now", now);
	aa_typed_call(&call, "instance.build");
	aa_typed_result(&call, "value", value, "sandbox_failed");
	return aa_typed_end(&call);
}
