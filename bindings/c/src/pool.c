#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE

#include "pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "call.h"
#include "fork.h"

/* An instance that has grown beyond this is replaced, in bytes. It settles at 9 MiB. */
#define LARGEST_KEPT (16 * 1024 * 1024)

/* The pages of 64 KiB that the module declares as the most, and the least with which it works
 * for good: wasm/ABI.md. */
#define MOST_PAGES 512
#define LEAST_PAGES 160

/* How many instances there are at most, where nobody has said and where somebody has. */
#define DEFAULT_INSTANCES_LIMIT 16
#define MOST_INSTANCES 1024

/* A place for an instance. */
typedef struct place {
	aa_guest *guest; /* NULL if there is none yet, or no more */
	int is_taken;
} place;

struct agentassert {
	aa_fork_link link;
	uint64_t memory_pages;
	pthread_mutex_t mutex;
	/* Whoever waits for a place, or until none of an older generation is taken. */
	pthread_cond_t changed;
	uint64_t generation;
	size_t taken;       /* places that are taken */
	size_t taken_older; /* of these, the ones of an older generation */
	size_t place_count;
	place places[];
};

/* How many threads can run at once. */
static size_t processors(void)
{
	long count = sysconf(_SC_NPROCESSORS_ONLN);
	return count < 1 ? 1 : count > DEFAULT_INSTANCES_LIMIT ? DEFAULT_INSTANCES_LIMIT : (size_t)count;
}

/* Says why there is no instance. */
static int fail_new(enum aa_guest_result result, agentassert_error *error)
{
	switch (result) {
	case AA_GUEST_ABI:
		return aa_fail(error, "abi_version", "the module speaks another version of the ABI than this library");
	case AA_GUEST_NO_MEMORY:
		return aa_fail(error, "sandbox_failed", "there is no memory for an instance of the sandboxed core");
	default:
		return aa_fail(error, "invalid_module", "the module cannot be instantiated");
	}
}

int agentassert_open(const agentassert_options *options, agentassert **core, agentassert_error *error)
{
	if (core == NULL) {
		return aa_fail(error, "invalid_request", "there is no place for the core");
	}
	*core = NULL;
	agentassert_options chosen = {.size = sizeof chosen};
	if (options != NULL) {
		if (options->size != sizeof chosen) {
			return aa_fail(error, "invalid_request", "the options are of another size: set their size");
		}
		chosen = *options;
	}
	if (chosen.instances == 0) {
		chosen.instances = processors();
	}
	if (chosen.memory_pages == 0) {
		chosen.memory_pages = MOST_PAGES;
	}
	if (chosen.instances > MOST_INSTANCES) {
		return aa_fail(error, "invalid_request", "there can be %d instances", MOST_INSTANCES);
	}
	if (chosen.memory_pages < LEAST_PAGES || chosen.memory_pages > MOST_PAGES) {
		return aa_fail(error, "invalid_request", "an instance needs %d to %d pages of memory", LEAST_PAGES,
			       MOST_PAGES);
	}
	agentassert *made = calloc(1, sizeof *made + chosen.instances * sizeof made->places[0]);
	if (made == NULL) {
		return aa_fail(error, "sandbox_failed", "there is no memory for the core");
	}
	made->memory_pages = chosen.memory_pages;
	made->place_count = chosen.instances;
	enum aa_guest_result result = aa_guest_new(made->memory_pages, &made->places[0].guest);
	if (result != AA_GUEST_OK) {
		free(made);
		return fail_new(result, error);
	}
	pthread_mutex_init(&made->mutex, NULL);
	pthread_cond_init(&made->changed, NULL);
	aa_fork_add(made, &made->link);
	*core = made;
	return 0;
}

/* Returns a place that nobody has taken, one with an instance rather than one without, or
 * NULL. */
static place *find_place(agentassert *core)
{
	place *found = NULL;
	for (size_t i = 0; i < core->place_count; i++) {
		place *p = &core->places[i];
		if (!p->is_taken && p->guest != NULL) {
			return p;
		}
		if (!p->is_taken && found == NULL) {
			found = p;
		}
	}
	return found;
}

/* Makes an instance for a place that is taken. */
static int fill_place(aa_lease *lease, agentassert_error *error)
{
	agentassert *core = lease->core;
	enum aa_guest_result result = aa_guest_new(core->memory_pages, &lease->guest);
	if (result != AA_GUEST_OK) {
		aa_pool_give(lease, 0);
		return fail_new(result, error);
	}
	pthread_mutex_lock(&core->mutex);
	core->places[lease->index].guest = lease->guest;
	pthread_mutex_unlock(&core->mutex);
	return 0;
}

/* Waits until something has changed. A thread that is canceled meanwhile ends later: it would
 * take the mutex with it. */
static void wait_for_change(agentassert *core)
{
	int state;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_cond_wait(&core->changed, &core->mutex);
	pthread_setcancelstate(state, &state);
}

int aa_pool_take(agentassert *core, aa_lease *lease, agentassert_error *error)
{
	pthread_mutex_lock(&core->mutex);
	place *p;
	while ((p = find_place(core)) == NULL) {
		wait_for_change(core);
	}
	p->is_taken = 1;
	core->taken++;
	*lease = (aa_lease){core, p->guest, core->generation, (size_t)(p - core->places)};
	pthread_mutex_unlock(&core->mutex);
	return lease->guest != NULL ? 0 : fill_place(lease, error);
}

void aa_pool_give(aa_lease *lease, int is_good)
{
	agentassert *core = lease->core;
	pthread_mutex_lock(&core->mutex);
	place *p = &core->places[lease->index];
	if (!is_good || lease->generation != core->generation || aa_guest_size(lease->guest) > LARGEST_KEPT) {
		/* With the mutex, so that no child of fork gets half of it. */
		aa_guest_free(lease->guest);
		p->guest = NULL;
	}
	p->is_taken = 0;
	core->taken--;
	if (lease->generation != core->generation) {
		core->taken_older--;
	}
	pthread_cond_broadcast(&core->changed);
	pthread_mutex_unlock(&core->mutex);
}

/* Overwrites and frees the instances in places that are taken, or in the others. */
static void free_places(agentassert *core, int are_taken)
{
	for (size_t i = 0; i < core->place_count; i++) {
		if (core->places[i].is_taken == are_taken) {
			aa_guest_free(core->places[i].guest);
			core->places[i].guest = NULL;
		}
	}
}

void agentassert_forget(agentassert *core)
{
	if (core == NULL) {
		return;
	}
	pthread_mutex_lock(&core->mutex);
	core->generation++;
	core->taken_older = core->taken;
	free_places(core, 0);
	while (core->taken_older > 0) {
		wait_for_change(core);
	}
	pthread_mutex_unlock(&core->mutex);
}

void agentassert_close(agentassert *core)
{
	if (core == NULL) {
		return;
	}
	agentassert_forget(core);
	aa_fork_remove(&core->link);
	pthread_cond_destroy(&core->changed);
	pthread_mutex_destroy(&core->mutex);
	free(core);
}

void aa_pool_before_fork(agentassert *core)
{
	pthread_mutex_lock(&core->mutex);
}

void aa_pool_after_fork(agentassert *core, int is_child)
{
	if (is_child) {
		/* The threads that have taken these do not exist here. */
		free_places(core, 1);
		for (size_t i = 0; i < core->place_count; i++) {
			core->places[i].is_taken = 0;
		}
		core->taken = core->taken_older = 0;
		pthread_cond_init(&core->changed, NULL); /* and those who wait do not, either */
	}
	pthread_mutex_unlock(&core->mutex);
}

void aa_pool_visit(agentassert *core, void (*visit)(const aa_guest *guest, void *context), void *context)
{
	pthread_mutex_lock(&core->mutex);
	for (size_t i = 0; i < core->place_count; i++) {
		if (!core->places[i].is_taken && core->places[i].guest != NULL) {
			visit(core->places[i].guest, context);
		}
	}
	pthread_mutex_unlock(&core->mutex);
}
