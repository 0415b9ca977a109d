/* Flows, of which one at a time serves all calls that want the same. A flow belongs to the manager, and
 * not to whoever asked first. */
#define _DEFAULT_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "answers.h"
#include "clock.h"
#include "manager.h"
#include "no_memory.h"
#include "text.h"
#include "untrusted.h"

/* How much stack a flow's own thread has, in bytes: the core's, and room for an HTTP client. */
enum { stack_size = 1 << 20 };

static int closed(agentassert_error *error)
{
	return aa_fail(error, "closed", "the manager is closed");
}

/* Lets go of a flight. With the manager's mutex. */
static void release(struct aa_flight *flight)
{
	if (--flight->references > 0) {
		return;
	}
	if (flight->outcome) {
		aa_outcome_release(flight->outcome);
	}
	aa_cancel_destroy(&flight->cancel);
	aa_arena_free(flight->arena);
	free(flight);
}

/* Returns a flight with one reference, that the manager knows; or NULL if there is no memory. With the
 * manager's mutex. */
static struct aa_flight *begin(agentassert_manager *manager)
{
	struct aa_flight *flight = calloc(1, sizeof *flight);
	aa_arena *arena = aa_arena_new();
	if (!flight || !arena || aa_cancel_init(&flight->cancel)) {
		aa_arena_free(arena);
		free(flight);
		return NULL;
	}
	flight->arena = arena;
	flight->manager = manager;
	flight->references = 1;
	flight->next = manager->flights;
	manager->flights = flight;
	return flight;
}

/* Takes a flight off the manager's list, lets those know who wait for it, and lets go of it. With the
 * manager's mutex. */
static void end(struct aa_flight *flight)
{
	agentassert_manager *manager = flight->manager;
	struct aa_flight **at = &manager->flights;
	while (*at != flight) {
		at = &(*at)->next;
	}
	*at = flight->next;
	flight->is_over = 1;
	pthread_cond_broadcast(&manager->changed);
	release(flight);
}

int aa_flight_begin(agentassert_manager *manager, struct aa_flight **flight, agentassert_error *error)
{
	pthread_mutex_lock(&manager->mutex);
	int is_closed = manager->is_closed;
	*flight = is_closed ? NULL : begin(manager);
	pthread_mutex_unlock(&manager->mutex);
	if (is_closed) {
		return closed(error);
	}
	return *flight ? 0 : aa_no_memory(error);
}

void aa_flight_end(struct aa_flight *flight)
{
	pthread_mutex_t *mutex = &flight->manager->mutex;
	pthread_mutex_lock(mutex);
	end(flight);
	pthread_mutex_unlock(mutex);
}

/* Gets the credentials, as the ABI has them. */
static int ask_credentials(const struct aa_flight *flight, const aa_value **credentials, agentassert_error *error)
{
	const agentassert_manager *manager = flight->manager;
	const agentassert_store *store = &manager->overlay.store;
	const agentassert_context context = {
	    .core = manager->host.core,
	    .cancel = (struct aa_cancel *)&flight->cancel,
	    .deadline = AA_NEVER,
	};
	agentassert_credentials_answer answer = {.arena = flight->arena};
	agentassert_error problem = {{0}, {0}};
	if (manager->credentials) {
		*credentials = manager->credentials;
		return 0;
	}
	int failed = manager->ask_credentials
			 ? manager->ask_credentials(manager->ask_credentials_self, &context, &answer, &problem)
			 : store->credentials(store->self, &context, &answer, &problem);
	if (failed) {
		problem.code[sizeof problem.code - 1] = problem.message[sizeof problem.message - 1] = 0;
		int has_code = aa_is_code(aa_text_of(problem.code));
		return aa_fail(error, has_code ? problem.code : "credentials_failed", "%s",
			       problem.message[0] ? problem.message : "the credentials cannot be had");
	}
	if (!answer.credentials && !answer.has_no_memory) {
		answer.credentials = aa_set(aa_map(flight->arena), "kind", aa_text(flight->arena, AA_LITERAL("none")));
	}
	*credentials = answer.credentials;
	return *credentials ? 0 : aa_no_memory(error);
}

/* Whether a call waits for the end of a pause: of a conversation's, those of the profile auth-api do. */
static int pauses(const struct aa_flight *flight)
{
	return flight->call.thread.size == 0 || aa_is(aa_get_text(flight->manager->host.config, "profile"), "auth-api");
}

/* Returns what a flight's flow begins with: a call does without what was rejected until the pause is
 * over. */
static struct aa_flow_call call_of(const struct aa_flight *flight)
{
	agentassert_manager *manager = flight->manager;
	struct aa_flow_call call = flight->call;
	if (!call.rejected && pauses(flight)) {
		int64_t now = manager->host.now(manager->host.now_self);
		pthread_mutex_lock(&manager->mutex);
		call.rejected = aa_rejection_at(&manager->rejection, flight->arena, now);
		pthread_mutex_unlock(&manager->mutex);
	}
	return call;
}

/* Runs a flight's flow. Returns the outcome, or NULL with the error filled in. */
static struct aa_outcome *run(struct aa_flight *flight, agentassert_error *error)
{
	agentassert_manager *manager = flight->manager;
	const aa_value *credentials;
	struct aa_flow_result result;
	const struct aa_flow_call call = call_of(flight);
	if (ask_credentials(flight, &credentials, error) ||
	    aa_flow_run(&manager->host, &flight->cancel, &call, credentials, flight->arena, &result, error)) {
		return NULL;
	}
	struct aa_outcome *outcome = aa_outcome_new(manager, &result, &flight->call, aa_get_text(credentials, "kind"));
	if (!outcome) {
		aa_no_memory(error);
	} else if (manager->on_authorization) {
		manager->on_authorization(manager->on_authorization_self, &outcome->given->authorization,
					  outcome->given->surface);
	}
	return outcome;
}

/* Reports whether an outcome is a turn's that fails: the next call tries again. */
static int is_failed_turn(const struct aa_outcome *outcome)
{
	const agentassert_authorization *a = &outcome->given->authorization;
	return *outcome->given->thread && strcmp(a->mode, "none") == 0 && *a->cause_code;
}

/* Runs a flight to its end. */
static void fly(struct aa_flight *flight)
{
	agentassert_manager *manager = flight->manager;
	pthread_mutex_t *mutex = &manager->mutex;
	agentassert_error error = {{0}, {0}};
	struct aa_outcome *outcome = run(flight, &error);
	pthread_mutex_lock(mutex);
	flight->outcome = outcome;
	flight->error = error;
	if (outcome && flight->call.rejected && pauses(flight)) {
		aa_rejection_note(&manager->rejection, flight->call.rejected, outcome->given->authorization.retry_at);
	}
	/* That one assertion was rejected is no answer for other calls. */
	if (outcome && !is_failed_turn(outcome) &&
	    strcmp(outcome->given->authorization.reason, "assertion-rejected") != 0) {
		aa_reuse_keep(manager, outcome, flight->kept_key, outcome->given->authorization.valid_until);
	}
	end(flight);
	/* Nothing of the manager is used after this: whoever closes it has seen the flight's end. */
	pthread_mutex_unlock(mutex);
}

static void *fly_alone(void *flight)
{
	fly(flight);
	return NULL;
}

/* Runs a flight on a thread of its own. Returns 0, or -1 if there can be none. */
static int fly_elsewhere(struct aa_flight *flight)
{
	pthread_t thread;
	pthread_attr_t attributes;
	sigset_t all, before;
	if (pthread_attr_init(&attributes) != 0) {
		return -1;
	}
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, stack_size);
	/* Signals are the program's threads' to handle. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failed = pthread_create(&thread, &attributes, fly_alone, flight) != 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return failed ? -1 : 0;
}

/* Copies what is asked into a flight. */
static int prepare(struct aa_flight *flight, const struct aa_question *question)
{
	flight->key = aa_copy(flight->arena, question->key).data;
	flight->kept_key = aa_copy(flight->arena, question->kept_key).data;
	flight->call.surface = aa_copy(flight->arena, question->surface);
	flight->call.thread = aa_copy(flight->arena, question->thread);
	flight->call.rejected = question->rejected ? aa_clone(flight->arena, question->rejected) : NULL;
	return flight->key && flight->kept_key && flight->call.surface.data && flight->call.thread.data &&
		       (!question->rejected || flight->call.rejected)
		   ? 0
		   : -1;
}

/* Gets the flight that serves a question, to which the caller has a reference then, and whether it was
 * begun for it. */
static int board(agentassert_manager *manager, const struct aa_question *question, struct aa_flight **flight,
		 int *is_new, agentassert_error *error)
{
	*is_new = 0;
	if (manager->is_closed) {
		return closed(error);
	}
	for (*flight = manager->flights; *flight; *flight = (*flight)->next) {
		if ((*flight)->key && strcmp((*flight)->key, question->key.data) == 0) {
			(*flight)->references++;
			return 0;
		}
	}
	*flight = begin(manager);
	if (!*flight) {
		return aa_no_memory(error);
	}
	if (prepare(*flight, question)) {
		end(*flight);
		return aa_no_memory(error);
	}
	(*flight)->references++; /* the caller's, beside its own */
	*is_new = 1;
	return 0;
}

/* Waits for a flight, whose outcome the caller has a reference to then. With the manager's mutex. */
static int wait_for(agentassert_manager *manager, struct aa_flight *flight, int64_t deadline,
		    struct aa_outcome **outcome, agentassert_error *error)
{
	while (!flight->is_over && aa_monotonic() < deadline) {
		aa_wait_until(&manager->changed, &manager->mutex, deadline);
	}
	*outcome = flight->outcome;
	if (!flight->is_over) {
		return aa_fail(error, "canceled", "the caller stopped waiting for its authorization");
	}
	if (!*outcome) {
		return aa_fail(error, flight->error.code, "%s", flight->error.message);
	}
	(*outcome)->references++;
	return 0;
}

/* Gets what one caller is given of an outcome, and lets go of that. */
static int give(agentassert_manager *manager, struct aa_outcome *outcome, struct aa_given **given,
		agentassert_error *error)
{
	int failed = aa_outcome_give(manager, outcome, given, error);
	pthread_mutex_lock(&manager->mutex);
	aa_outcome_release(outcome);
	pthread_mutex_unlock(&manager->mutex);
	return failed;
}

int aa_ask(agentassert_manager *manager, const struct aa_question *question, int64_t timeout_ms,
	   struct aa_given **given, agentassert_error *error)
{
	int64_t deadline = aa_monotonic_after(timeout_ms);
	struct aa_flight *flight = NULL;
	struct aa_outcome *outcome;
	int is_new;
	pthread_mutex_lock(&manager->mutex);
	int failed = board(manager, question, &flight, &is_new, error);
	pthread_mutex_unlock(&manager->mutex);
	if (failed) {
		return -1;
	}
	/* Whoever has all the time can just as well do the work. */
	if (is_new && (deadline == AA_NEVER || fly_elsewhere(flight))) {
		fly(flight);
	}
	pthread_mutex_lock(&manager->mutex);
	failed = wait_for(manager, flight, deadline, &outcome, error);
	release(flight);
	pthread_mutex_unlock(&manager->mutex);
	return failed ? -1 : give(manager, outcome, given, error);
}

int aa_recall(agentassert_manager *manager, const char *kept_key, struct aa_given **given, agentassert_error *error)
{
	int64_t now = manager->host.now(manager->host.now_self);
	pthread_mutex_lock(&manager->mutex);
	struct aa_outcome *outcome = manager->is_closed ? NULL : aa_reuse_find(manager, kept_key, now);
	pthread_mutex_unlock(&manager->mutex);
	if (!outcome) {
		return 0;
	}
	return give(manager, outcome, given, error) ? -1 : 1;
}
