#include "manager.h"

#include <string.h>

#include "answers.h"
#include "no_memory.h"
#include "text.h"

aa_value *aa_list_of(aa_arena *arena, const char *const *texts, int *failed)
{
	if (!texts || !*texts) {
		return NULL;
	}
	aa_value *list = aa_array(arena);
	for (; *texts; texts++) {
		aa_bytes copy = aa_copy(arena, aa_text_of(*texts));
		list = aa_append(list, copy.data ? aa_text(arena, copy) : NULL);
	}
	*failed |= !list;
	return list;
}

/* Sets a member that is text and has to be there, also if it is empty: that is the core's to refuse. */
static aa_value *set_required(aa_arena *arena, aa_value *map, const char *name, const char *text)
{
	aa_bytes copy = aa_copy(arena, aa_text_of(text));
	return aa_set(map, name, copy.data ? aa_text(arena, copy) : NULL);
}

static aa_value *abom_of(aa_arena *arena, const agentassert_abom *given)
{
	static const agentassert_abom usual = {"0", "agentassert-c", "c"};
	const agentassert_abom *abom = given ? given : &usual;
	aa_value *map = set_required(arena, aa_map(arena), "agent_version", abom->agent_version);
	map = set_required(arena, map, "agent_harness_id", abom->agent_harness_id);
	return set_required(arena, map, "running_location", abom->running_location);
}

static aa_value *instance_of(aa_arena *arena, const agentassert_instance *instance)
{
	aa_value *map = set_required(arena, aa_map(arena), "header_mode", instance->header_mode);
	map = set_required(arena, map, "installation_id", instance->installation_id);
	map = set_required(arena, map, "harness", instance->harness);
	return set_required(arena, map, "role", instance->role);
}

aa_value *aa_config_of(aa_arena *arena, const agentassert_manager_options *options, aa_bytes base_url)
{
	int failed = 0;
	aa_value *trusted = aa_list_of(arena, options->trusted_hosts, &failed);
	aa_value *forced = aa_list_of(arena, options->forced_workspace_ids, &failed);
	aa_value *capabilities = aa_list_of(arena, options->capabilities, &failed);
	aa_value *config = aa_set(aa_map(arena), "base_url", aa_text(arena, base_url));
	config = aa_set(config, "agent_identity", aa_boolean(arena, options->agent_identity != 0));
	config = aa_set(config, "abom", abom_of(arena, options->abom));
	if (trusted) {
		config = aa_set(config, "trusted_hosts", trusted);
	}
	if (forced) {
		config = aa_set(config, "forced_workspace_ids", forced);
	}
	if (options->profile && strcmp(options->profile, "biscuit") != 0) {
		config = aa_set_text(arena, config, "profile", options->profile); /* others are the core's to refuse */
	}
	config = aa_set_text(arena, config, "auth_api_url", options->auth_api_url);
	if (options->all_surfaces) {
		config = aa_set(config, "all_surfaces", aa_boolean(arena, 1));
	}
	if (options->instance) {
		config = aa_set(config, "instance", instance_of(arena, options->instance));
	}
	if (options->workspace_routing) {
		config = aa_set(config, "workspace_routing", aa_boolean(arena, 1));
	}
	if (options->pauses) {
		aa_value *pauses = aa_set(aa_map(arena), "first", aa_integer(arena, options->pauses->first));
		config = aa_set(config, "pauses", aa_set(pauses, "most", aa_integer(arena, options->pauses->most)));
	}
	if (capabilities) {
		config = aa_set(config, "capabilities", capabilities);
	}
	return failed ? NULL : config;
}

int aa_bad_options(agentassert_error *error, const char *problem)
{
	return aa_fail(error, "invalid_manager_config", "the manager's options: %s", problem);
}

int aa_check_options(agentassert *core, const agentassert_manager_options *options, agentassert_error *error)
{
	const agentassert_store *store = options->store;
	const agentassert_jwt_identity *jwt = options->jwt_identity;
	if (!core) {
		return aa_bad_options(error, "there is no core; agentassert_open opens one");
	}
	if (!options->base_url) {
		return aa_bad_options(error, "there is no base_url");
	}
	if (jwt && (!jwt->credentials || !jwt->record || jwt->record_size == 0)) {
		return aa_bad_options(error, "jwt_identity has no credentials, or no record");
	}
	if (!jwt && !store) {
		return aa_bad_options(error,
				      "there is no store; use agentassert_file_store or agentassert_memory_store");
	}
	if (!jwt && (store->size < sizeof *store || !store->load || !store->save || !store->remove || !store->swap ||
		     !store->lock || !store->unlock)) {
		return aa_bad_options(error, "the store lacks a method, or its size");
	}
	if (!jwt && !options->credentials && !options->ask_credentials && !store->credentials) {
		return aa_bad_options(error, "there are no credentials, and the store knows of none");
	}
	if (!options->send && (options->agent_identity || options->workspace_routing)) {
		return aa_bad_options(error, "there is nothing that sends requests; use agentassert_curl_send");
	}
	return 0;
}
