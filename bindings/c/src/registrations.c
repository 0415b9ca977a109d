#include "typed.h"

int agentassert_sign_registration(agentassert *core, const char *private_key, const char *agent_runtime_id, int64_t now,
				  char **signature, char **timestamp, agentassert_error *error)
{
	aa_typed call = aa_typed_begin(core, signature, timestamp, error);
	aa_typed_text(&call, "private_key", private_key);
	aa_typed_text(&call, "agent_runtime_id", agent_runtime_id);
	aa_typed_integer(&call, "now", now);
	aa_typed_call(&call, "registration.sign");
	aa_typed_result(&call, "signature", signature, "sandbox_failed");
	aa_typed_result(&call, "timestamp", timestamp, "sandbox_failed");
	return aa_typed_end(&call);
}

int agentassert_verify_registration(agentassert *core, const char *public_key, const char *agent_runtime_id,
				    const char *signature, const char *timestamp, int64_t now, int64_t skew,
				    agentassert_error *error)
{
	aa_typed call = aa_typed_begin(core, NULL, NULL, error);
	aa_typed_text(&call, "public_key", public_key);
	aa_typed_text(&call, "agent_runtime_id", agent_runtime_id);
	aa_typed_text(&call, "signature", signature);
	aa_typed_text(&call, "timestamp", timestamp);
	aa_typed_integer(&call, "now", now);
	aa_typed_integer(&call, "skew", skew);
	aa_typed_call(&call, "registration.verify");
	return aa_typed_end(&call);
}
