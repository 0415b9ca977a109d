#include "manager.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "answers.h"
#include "base_url.h"
#include "clock.h"
#include "entropy.h"
#include "no_memory.h"
#include "text.h"
#include "untrusted.h"

/* Managers are counted, for their numbers. */
static atomic_uint_fast64_t managers;

static int64_t system_time(void *self)
{
	(void)self;
	return (int64_t)time(NULL);
}

static int system_entropy(void *self, void *buffer, size_t size)
{
	(void)self;
	return aa_draw_entropy(buffer, size, NULL);
}

/* Gets the base URL that the configured one stands for, in the arena. */
static int normalize(struct agentassert_manager *manager, const agentassert_manager_options *options,
		     aa_bytes *base_url, agentassert_error *error)
{
	aa_arena *arena = manager->arena;
	int failed = 0;
	aa_value *params = aa_set(aa_map(arena), "url", aa_text(arena, aa_text_of(options->base_url))), *answer;
	aa_value *trusted = aa_list_of(arena, options->trusted_hosts, &failed);
	if (trusted) {
		params = aa_set(params, "trusted_hosts", trusted);
	}
	if (failed || !params) {
		return aa_no_memory(error);
	}
	if (manager->host.call(manager->host.core, arena, "base_url.normalize", params, &answer, error)) {
		return -1;
	}
	aa_bytes configured = aa_text_of(options->base_url), auth_api = aa_text_of(options->auth_api_url);
	if (aa_untrusted_text(answer, "base_url", base_url, error) || aa_check_base_url(configured, *base_url, error)) {
		return -1;
	}
	if (!options->allow_http && (aa_check_secure("base_url", *base_url, error) ||
				     (auth_api.size > 0 && aa_check_secure("auth_api_url", auth_api, error)))) {
		return -1;
	}
	*base_url = aa_copy(arena, *base_url);
	return base_url->data ? 0 : aa_no_memory(error);
}

/* Opens a store that holds an identity which arrived as a JWT. */
static int jwt_store(const agentassert_jwt_identity *jwt, agentassert_store **store, agentassert_error *error)
{
	const agentassert_context context = {.deadline = AA_NEVER};
	if (agentassert_memory_store(store, error)) {
		return -1;
	}
	return (*store)->save((*store)->self, "identity", jwt->record, jwt->record_size, &context, error);
}

/* Copies what the options have into the manager. */
static int configure(struct agentassert_manager *manager, const agentassert_manager_options *options,
		     agentassert_error *error)
{
	aa_bytes base_url;
	const agentassert_credentials *credentials =
	    options->jwt_identity ? options->jwt_identity->credentials : options->credentials;
	if (normalize(manager, options, &base_url, error)) {
		return -1;
	}
	manager->base_url = base_url.data;
	manager->host.config = aa_config_of(manager->arena, options, base_url);
	if (credentials) {
		manager->credentials = aa_credentials_of(manager->arena, credentials);
	} else if (options->ask_credentials) {
		manager->ask_credentials = options->ask_credentials;
		manager->ask_credentials_self = options->ask_credentials_self;
	}
	if (!manager->host.config || (credentials && !manager->credentials)) {
		return aa_no_memory(error);
	}
	return options->jwt_identity ? jwt_store(options->jwt_identity, &manager->own_store, error) : 0;
}

/* Frees a manager that nobody uses. */
static void destroy(struct agentassert_manager *manager)
{
	aa_reuse_clear(manager);
	aa_rejection_free(&manager->rejection);
	if (manager->has_memory) {
		aa_memory_destroy(&manager->memory);
	}
	if (manager->has_overlay) {
		aa_overlay_destroy(&manager->overlay);
	}
	agentassert_store_close(manager->own_store);
	if (manager->has_mutex) {
		pthread_mutex_destroy(&manager->mutex);
	}
	if (manager->has_changed) {
		pthread_cond_destroy(&manager->changed);
	}
	aa_arena_free(manager->arena);
	free(manager);
}

/* Makes what the manager works with. */
static int set_up(struct agentassert_manager *manager, const agentassert_manager_options *options,
		  agentassert_error *error)
{
	manager->has_mutex = pthread_mutex_init(&manager->mutex, NULL) == 0;
	manager->has_changed = !aa_condition_init(&manager->changed);
	manager->has_memory = !aa_memory_init(&manager->memory);
	if (!manager->has_mutex || !manager->has_changed || !manager->has_memory) {
		return aa_no_memory(error);
	}
	if (configure(manager, options, error)) {
		return -1;
	}
	const agentassert_store *store = manager->own_store ? manager->own_store : options->store;
	manager->has_overlay = !aa_overlay_init(&manager->overlay, store, AA_MOST_THREADS);
	return manager->has_overlay ? 0 : aa_no_memory(error);
}

int aa_manager_open(agentassert *core, aa_core_call *call, const agentassert_manager_options *given,
		    agentassert_manager **out, agentassert_error *error)
{
	agentassert_manager_options options = AGENTASSERT_MANAGER_OPTIONS;
	*out = NULL;
	if (!given || given->size == 0) {
		return aa_bad_options(error,
				      "there are none, or without their size; begin with AGENTASSERT_MANAGER_OPTIONS");
	}
	/* Those of a later header can have more. */
	memcpy(&options, given, given->size < sizeof options ? given->size : sizeof options);
	if (aa_check_options(core, &options, error)) {
		return -1;
	}
	struct agentassert_manager *manager = calloc(1, sizeof *manager);
	if (!manager) {
		return aa_no_memory(error);
	}
	manager->arena = aa_arena_new();
	manager->id = ++managers;
	manager->host = (struct aa_host){
	    .core = core,
	    .call = call,
	    .store = &manager->overlay,
	    .memory = &manager->memory,
	    .send = options.send,
	    .send_self = options.send_self,
	    .now = options.now ? options.now : system_time,
	    .now_self = options.now_self,
	    .entropy = options.entropy ? options.entropy : system_entropy,
	    .entropy_self = options.entropy_self,
	    .held_ms = AA_LONGEST_HELD,
	};
	manager->on_authorization = options.on_authorization;
	manager->on_authorization_self = options.on_authorization_self;
	if (!manager->arena || set_up(manager, &options, error)) {
		if (!manager->arena) {
			aa_no_memory(error);
		}
		destroy(manager);
		return -1;
	}
	*out = manager;
	return 0;
}

int agentassert_manager_open(agentassert *core, const agentassert_manager_options *options,
			     agentassert_manager **manager, agentassert_error *error)
{
	return aa_manager_open(core, aa_call, options, manager, error);
}

const char *agentassert_manager_base_url(const agentassert_manager *manager)
{
	return manager->base_url;
}

void agentassert_manager_close(agentassert_manager *manager)
{
	pthread_mutex_lock(&manager->mutex);
	manager->is_closed = 1;
	for (struct aa_flight *flight = manager->flights; flight; flight = flight->next) {
		aa_cancel(&flight->cancel);
	}
	while (manager->flights) {
		pthread_cond_wait(&manager->changed, &manager->mutex);
	}
	aa_reuse_clear(manager);
	pthread_mutex_unlock(&manager->mutex);
	aa_memory_clear(&manager->memory);
	agentassert_forget(manager->host.core);
}

void agentassert_manager_free(agentassert_manager *manager)
{
	if (!manager) {
		return;
	}
	if (!manager->is_closed) {
		agentassert_manager_close(manager);
	}
	destroy(manager);
}
