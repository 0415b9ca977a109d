/* Which calls an agent can make, and to which backend: the manager's own to say, from its options
 * and the credentials. Whoever says that decides who gets the user's token. */
#ifndef AGENTASSERT_DECISION_H
#define AGENTASSERT_DECISION_H

#include "value.h"

enum aa_scope { AA_NO_SCOPE, AA_BACKGROUND, AA_THREAD, AA_BEARER_ONLY };

/* Returns the scope of a surface of the protocol, or AA_NO_SCOPE. */
enum aa_scope aa_scope_of(aa_bytes surface);

/* The names of all surfaces, for people. */
#define AA_SURFACE_NAMES                                                                                               \
	"apps, connectors, plugins, mcp, analytics, skills, models, cloud-tasks, cloud-requirements, remote-control, " \
	"responses, file-upload, mcp-file-upload, safety-monitor, bootstrap, background"

/* Where the apps' MCP server is, below the base URL. */
#define AA_APPS_PATH "/wham/apps"

/* Returns the surface of a call by its path below the base URL, without the query. */
const char *aa_surface_of(aa_bytes path);

enum aa_mode { AA_NO_MODE, AA_NONE, AA_BEARER, AA_AGENT_ASSERTION, AA_DUAL_HEADER };

/* Returns the mode of a name, or AA_NO_MODE. */
enum aa_mode aa_mode_of(aa_bytes name);

enum aa_profile_name { AA_NO_PROFILE, AA_BISCUIT, AA_AUTH_API, AA_INSTANCES };

/* Returns the profile of a call, or AA_NO_PROFILE. With an identity in place of a sign-in there
 * is no access token, and so there are no biscuits. */
enum aa_profile_name aa_profile_of(const aa_value *config, const aa_value *credentials);

/* Returns the account that a call is for, or "". One workspace that is forced takes the place of
 * the credentials'. */
aa_bytes aa_account_of(const aa_value *config, const aa_value *credentials);

/* What a call carries, and why. */
struct aa_decided {
	enum aa_mode mode;
	const char *reason;
};

/* Returns what a call carries if the agent can be had, by the first six rules of the core's
 * decision; of AA_NO_MODE if there is nothing that it could be given. */
struct aa_decided aa_decide(const aa_value *config, aa_bytes surface, const aa_value *credentials);

#endif
