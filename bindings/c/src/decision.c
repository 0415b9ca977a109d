#include "decision.h"

#include "base_url.h"
#include "text.h"

/* The longest id, and the longest access token, in bytes. */
enum { longest_id = 4096, longest_token = 64 << 10 };

/* The surfaces of the protocol, and whose authorization each gets. */
static const struct {
	const char *surface;
	enum aa_scope scope;
} scopes[] = {
    {"apps", AA_BACKGROUND},
    {"connectors", AA_BACKGROUND},
    {"plugins", AA_BACKGROUND},
    {"mcp", AA_BACKGROUND},
    {"analytics", AA_BACKGROUND},
    {"skills", AA_BACKGROUND},
    {"models", AA_BACKGROUND},
    {"cloud-tasks", AA_BACKGROUND},
    {"cloud-requirements", AA_BACKGROUND},
    {"remote-control", AA_BACKGROUND},
    {"responses", AA_THREAD},
    {"file-upload", AA_THREAD},
    {"mcp-file-upload", AA_THREAD},
    {"safety-monitor", AA_THREAD},
    {"bootstrap", AA_BEARER_ONLY},
    {"background", AA_BACKGROUND},
};

enum aa_scope aa_scope_of(aa_bytes surface)
{
	for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++) {
		if (aa_is(surface, scopes[i].surface)) {
			return scopes[i].scope;
		}
	}
	return AA_NO_SCOPE;
}

/* Which surface the calls to a path below the base URL, and below that, belong to. None of the
 * paths is below another. */
static const struct {
	const char *path, *surface;
} paths[] = {
    {"/authenticate_app_v2", "bootstrap"},
    {"/v1/agent", "bootstrap"},
    {"/connectors/directory/list", "connectors"},
    {"/plugins", "plugins"},
    {"/ps/plugins", "plugins"},
    {AA_APPS_PATH, "mcp"},
    {"/codex/analytics-events", "analytics"},
    {"/hazelnuts", "skills"},
    {"/codex/models", "models"},
    {"/wham/tasks", "cloud-tasks"},
    {"/wham/config/requirements", "cloud-requirements"},
    {"/wham/remote/control/server", "remote-control"},
    {"/codex/responses", "responses"},
    {"/files", "file-upload"},
};

const char *aa_surface_of(aa_bytes path)
{
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		aa_bytes rest = aa_after(path, aa_text_of(paths[i].path).size);
		if (aa_begins(path, paths[i].path) && (rest.size == 0 || rest.data[0] == '/')) {
			return paths[i].surface;
		}
	}
	return "background";
}

enum aa_mode aa_mode_of(aa_bytes name)
{
	static const char *const names[] = {"", "none", "bearer", "agent-assertion", "dual-header"};
	for (int mode = AA_NONE; mode <= AA_DUAL_HEADER; mode++) {
		if (aa_is(name, names[mode])) {
			return (enum aa_mode)mode;
		}
	}
	return AA_NO_MODE;
}

enum aa_profile_name aa_profile_of(const aa_value *config, const aa_value *credentials)
{
	aa_bytes name = aa_get_text(config, "profile");
	enum aa_profile_name profile = name.size == 0 || aa_is(name, "biscuit") ? AA_BISCUIT
				       : aa_is(name, "auth-api")                ? AA_AUTH_API
				       : aa_is(name, "instances")               ? AA_INSTANCES
										: AA_NO_PROFILE;
	int is_identity = aa_is(aa_get_text(credentials, "kind"), "agent-identity");
	return is_identity && profile != AA_NO_PROFILE ? AA_AUTH_API : profile;
}

aa_bytes aa_account_of(const aa_value *config, const aa_value *credentials)
{
	const aa_value *forced = aa_get_array(config, "forced_workspace_ids");
	if (forced && forced->count == 1 && forced->first->bytes.size > 0) {
		return forced->first->bytes;
	}
	return aa_get_text(credentials, "account_id");
}

/* Reports whether text can be a header's value, and is no longer than that. */
static int is_value(aa_bytes value, size_t most)
{
	return value.size <= most && aa_has_only(value, "", 0x21, 0x7e);
}

/* Reports whether credentials can be sent in a header, and would be read as one. */
static int is_sendable(const aa_value *credentials, const aa_value *forced)
{
	static const char *const kinds[] = {"none", "chatgpt", "api-key", "agent-identity", "other", NULL};
	aa_bytes user = aa_get_text(credentials, "user_id");
	for (const aa_value *id = forced ? forced->first : NULL; id; id = id->next) {
		if (!is_value(id->bytes, longest_id)) {
			return 0;
		}
	}
	for (size_t i = 0; i < user.size; i++) {
		if ((unsigned char)user.data[i] < 0x20) {
			return 0;
		}
	}
	return aa_is_among(aa_get_text(credentials, "kind"), kinds) && user.size <= longest_id &&
	       is_value(aa_get_text(credentials, "access_token"), longest_token) &&
	       is_value(aa_get_text(credentials, "account_id"), longest_id);
}

/* Reports whether credentials of a kind can have an agent, by the profile. */
static int can_have_agent(enum aa_profile_name profile, aa_bytes kind)
{
	return aa_is(kind, "chatgpt") || (profile == AA_AUTH_API && aa_is(kind, "agent-identity")) ||
	       (profile == AA_INSTANCES && aa_is(kind, "api-key"));
}

/* Returns what a call on a surface asserts, or AA_NO_MODE where its profile has it carry the
 * user's token. */
static struct aa_decided asserted_on(aa_bytes surface, enum aa_profile_name profile, const aa_value *config,
				     aa_bytes kind)
{
	switch (profile) {
	case AA_BISCUIT:
		return (struct aa_decided){AA_AGENT_ASSERTION,
					   aa_scope_of(surface) == AA_THREAD ? "thread-task" : "background-task"};
	case AA_AUTH_API:
		if (aa_is(surface, "responses") || aa_is(kind, "agent-identity")) {
			return (struct aa_decided){AA_AGENT_ASSERTION, "identity-task"};
		}
		if (aa_get_boolean(config, "all_surfaces")) {
			return (struct aa_decided){AA_AGENT_ASSERTION, "all-surfaces"};
		}
		break;
	case AA_INSTANCES: {
		const aa_value *instance = aa_get_map(config, "instance");
		int alone = aa_is(aa_get_text(instance, "header_mode"), "assertion_only");
		return (struct aa_decided){alone ? AA_AGENT_ASSERTION : AA_DUAL_HEADER, "runtime-instance"};
	}
	case AA_NO_PROFILE:
		break;
	}
	return (struct aa_decided){AA_NO_MODE, ""};
}

/* Returns what a call carries that no agent makes. */
static struct aa_decided bearer(const aa_value *credentials, const char *reason)
{
	if (aa_is(aa_get_text(credentials, "kind"), "api-key")) {
		return (struct aa_decided){AA_NONE, reason};
	}
	if (aa_get_text(credentials, "access_token").size == 0) {
		return (struct aa_decided){AA_NONE, "no-access-token"};
	}
	return (struct aa_decided){AA_BEARER, reason};
}

static int has_text(const aa_value *list, aa_bytes text)
{
	for (const aa_value *each = list->first; each; each = each->next) {
		if (aa_equal(each->bytes, text)) {
			return 1;
		}
	}
	return 0;
}

struct aa_decided aa_decide(const aa_value *config, aa_bytes surface, const aa_value *credentials)
{
	aa_bytes kind = aa_get_text(credentials, "kind");
	enum aa_scope scope = aa_scope_of(surface);
	enum aa_profile_name profile = aa_profile_of(config, credentials);
	const aa_value *forced = aa_get_array(config, "forced_workspace_ids");
	struct aa_place base;
	if (scope == AA_NO_SCOPE || profile == AA_NO_PROFILE || aa_place_of(aa_get_text(config, "base_url"), &base) ||
	    !is_sendable(credentials, forced)) {
		return (struct aa_decided){AA_NO_MODE, ""};
	}
	aa_bytes account = aa_account_of(config, credentials);
	if (!can_have_agent(profile, kind)) {
		return (struct aa_decided){AA_NONE, "no-chatgpt-credentials"};
	}
	if (forced && forced->count > 1 && !has_text(forced, account)) {
		return (struct aa_decided){AA_NONE, "workspace-not-allowed"};
	}
	if (scope == AA_BEARER_ONLY && !aa_is(kind, "agent-identity")) {
		return bearer(credentials, "bearer-only-surface");
	}
	if (!aa_get_boolean(config, "agent_identity")) {
		return bearer(credentials, "feature-off");
	}
	struct aa_decided asserted = asserted_on(surface, profile, config, kind);
	if (asserted.mode == AA_NO_MODE) {
		return bearer(credentials, "bearer-surface");
	}
	if (scope != AA_THREAD && !aa_is_supported_host(base.host, aa_get_array(config, "trusted_hosts"))) {
		return bearer(credentials, "unsupported-host");
	}
	if (account.size == 0 && !aa_is(kind, "api-key")) {
		return bearer(credentials, "no-account-id");
	}
	return asserted;
}
