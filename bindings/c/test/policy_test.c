/* Tests of what the manager lets a module do, beside the vectors for hosts: that every flow of the vectors
 * passes, whole, and that whatever a module asks for, what passes is a flow's. */
#define _DEFAULT_SOURCE
#include <string.h>
#include <time.h>

#include "base64.h"
#include "base_url.h"
#include "calendar.h"
#include "call.h"
#include "check.h"
#include "policy.h"
#include "text.h"
#include "untrusted.h"
#include "vectors.h"

static agentassert *core;

/* Reports whether an error is one of a module that was refused something, and shows nothing that it has
 * sent. */
static int is_refusal(const agentassert_error *error)
{
	return strcmp(error->code, "policy_violation") == 0 && !strstr(error->message, "secret");
}

/* Returns the policy of a flow that begins with that event. */
static aa_policy *policy_of(aa_arena *arena, const aa_value *start)
{
	struct aa_policy_call call = {
	    .config = aa_get_map(start, "config"),
	    .surface = aa_get_text(start, "surface"),
	    .thread = aa_get_text(start, "thread_id"),
	    .entropy = aa_get_binary(start, "entropy"),
	    .credentials = aa_get_map(start, "credentials"),
	};
	return aa_policy_new(arena, &call);
}

/* Returns the event that a flow begins with, with the base URL that the core makes of the configured
 * one. */
static aa_value *normalized(aa_arena *arena, const aa_value *event)
{
	aa_value *start = aa_clone(arena, event), *answer;
	const aa_value *config = aa_get_map(start, "config");
	for (aa_value *each = config->first; each; each = each->next) {
		if (aa_is(each->name, "base_url")) {
			aa_value *params = aa_set(aa_map(arena), "url", aa_text(arena, each->bytes));
			REQUIRE(!aa_call(core, arena, "base_url.normalize", params, &answer, NULL), "a base URL");
			CHECK(!aa_check_base_url(each->bytes, aa_get_text(answer, "base_url"), NULL), "a base URL");
			each->bytes = aa_get_text(answer, "base_url");
		}
	}
	return start;
}

/* Lets a flow's vector pass. */
static void pass(aa_arena *arena, const aa_value *vector, int *effects, int *answers, int *others)
{
	const char *id = aa_copy(arena, aa_get_text(vector, "id")).data;
	const aa_value *steps = aa_get_array(vector, "steps");
	aa_policy *policy = NULL;
	struct aa_effect last = {0};
	int is_answered = 1;
	for (const aa_value *step = steps ? steps->first : NULL; step; step = step->next) {
		const aa_value *event = aa_get_map(step, "event"), *effect = aa_get_map(step, "effect");
		aa_bytes type = aa_get_text(event, "type");
		int64_t now = aa_get_integer(event, "now");
		agentassert_error error = {{0}, {0}};
		if (!effect) {
			continue; /* refused, and the state before it is still good */
		}
		if (aa_is(type, "start")) {
			policy = policy_of(arena, normalized(arena, event));
		} else if (!is_answered) {
			aa_policy_answered(policy, &last, event);
		}
		if (aa_is(type, "again")) {
			struct aa_answer answer;
			aa_policy *kept = aa_policy_keep(arena, policy);
			int failed = aa_policy_again(kept, arena, aa_get(effect, "authorization"),
						     aa_get_binary(event, "entropy"), now, &answer, &error);
			CHECK(!failed, "%s: %s", id, error.message);
			++*others;
			continue;
		}
		CHECK(!aa_policy_effect(policy, arena, effect, now, &last, &error), "%s: %s", id, error.message);
		is_answered = 0;
		++*(last.type == AA_EFFECT_DONE ? answers : effects);
	}
}

static void test_flows(const char *folder)
{
	int effects = 0, answers = 0, others = 0;
	aa_arena *arena = aa_arena_new();
	for (const aa_value *v = first_vector(arena, folder, "flows"); v; v = v->next) {
		aa_arena *own = aa_arena_new();
		pass(own, v, &effects, &answers, &others);
		aa_arena_free(own);
	}
	aa_arena_free(arena);
	CHECK(effects > 4000 && answers > 700 && others > 5,
	      "%d effects, %d answers and %d others; are all of them read?", effects, answers, others);
}

/* Returns what a JSON text of the vectors' stands for. */
static aa_value *json(aa_arena *arena, const char *text)
{
	aa_value *value = NULL;
	REQUIRE(aa_decode_json(arena, aa_text_of(text), &value) == AA_OK, "%s", text);
	return value;
}

static const char background[] =
    "{\"config\":{\"base_url\":\"https://chatgpt.com/backend-api\",\"agent_identity\":true,"
    "\"abom\":{\"agent_version\":\"0\",\"agent_harness_id\":\"x\",\"running_location\":\"x\"}},"
    "\"surface\":\"apps\",\"credentials\":{\"kind\":\"chatgpt\",\"access_token\":\"token\",\"account_id\":\"acct-1\"}}";

static void test_records(void)
{
	enum { most = 512 << 10 };
	static char content[most + 1];
	aa_arena *arena = aa_arena_new();
	for (size_t size = most; size <= most + 1; size++) {
		const char *const effects[] = {"{\"type\":\"save\",\"slot\":\"backoff\"}",
					       "{\"type\":\"swap\",\"slot\":\"identity\"}"};
		for (size_t i = 0; i < 2; i++) {
			aa_value *effect =
			    aa_set(json(arena, effects[i]), "record", aa_binary(arena, (aa_bytes){content, size}));
			struct aa_effect out;
			agentassert_error error;
			int failed =
			    aa_policy_effect(policy_of(arena, json(arena, background)), arena, effect, 0, &out, &error);
			CHECK(failed == (size == most ? 0 : -1), "%s of %zu bytes", effects[i], size);
		}
	}
	aa_arena_free(arena);
}

#define ABOM "\"abom\":{\"agent_version\":\"0\",\"agent_harness_id\":\"x\",\"running_location\":\"x\"}"
#define CALL(config, surface)                                                                                          \
	"{\"config\":{\"agent_identity\":true," ABOM "," config "},\"surface\":\"" surface "\","                       \
	"\"credentials\":{\"kind\":\"chatgpt\",\"access_token\":\"token\",\"account_id\":\"acct-1\"}}"
#define CHATGPT "\"base_url\":\"https://chatgpt.com/backend-api\""
#define POST(url)                                                                                                      \
	"{\"type\":\"http\",\"method\":\"POST\",\"url\":\"" url "\",\"timeout_ms\":1,\"size_limit\":1,"                \
	"\"headers\":[{\"name\":\"content-type\",\"value\":\"application/json\"}]}"
#define ASK                                                                                                            \
	"{\"type\":\"http\",\"method\":\"GET\",\"url\":\"https://chatgpt.com/backend-api/wham/accounts/check\","       \
	"\"timeout_ms\":1,\"size_limit\":1,\"headers\":[{\"name\":\"authorization\",\"value\":\"Bearer token\"},"      \
	"{\"name\":\"chatgpt-account-id\",\"value\":\"acct-1\"}]}"
#define SAVE(slot) "{\"type\":\"save\",\"slot\":\"" slot "\",\"record\":{\"utf8\":\"{}\"}}"
#define LOCK(slot) "{\"type\":\"lock\",\"slot\":\"" slot "\"}"
#define REMOVAL "{\"type\":\"swap\",\"slot\":\"identity\"}"
#define ANSWER(mode, rest) "{\"type\":\"done\",\"authorization\":{\"mode\":\"" mode "\",\"valid_until\":0," rest "}}"

static void test_sequences(void)
{
	static const struct {
		const char *name, *call, *effects[3];
		int passes; /* the last */
	} cases[] = {
	    {"a removal", CALL(CHATGPT, "apps"), {REMOVAL}, 0},
	    {"a removal of what was set aside", CALL(CHATGPT, "apps"), {SAVE("set-aside"), REMOVAL}, 0},
	    {"a removal after something else was saved", CALL(CHATGPT, "apps"), {SAVE("backend"), REMOVAL}, 0},
	    {"a registration where nobody knows",
	     CALL("\"base_url\":\"https://elsewhere.example\",\"profile\":\"auth-api\"", "responses"),
	     {LOCK("identity"), POST("/v1/agent/agent-1/task/register")},
	     0},
	    {"the same where it is known",
	     CALL(CHATGPT ",\"profile\":\"auth-api\"", "responses"),
	     {LOCK("identity"), POST("https://auth.openai.com/api/accounts/v1/agent/agent-1/task/register")},
	     1},
	    {"a question with its lock",
	     CALL(CHATGPT ",\"workspace_routing\":true", "responses"),
	     {LOCK("workspace"), ASK},
	     1},
	    {"a question with another",
	     CALL(CHATGPT ",\"workspace_routing\":true", "responses"),
	     {LOCK("identity"), ASK},
	     0},
	    {"a question that is not to be asked", CALL(CHATGPT, "responses"), {LOCK("identity"), ASK}, 0},
	    {"a workspace that is allowed",
	     CALL(CHATGPT ",\"forced_workspace_ids\":[\"acct-1\",\"acct-2\"]", "apps"),
	     {"{\"type\":\"load\",\"slot\":\"identity\"}"},
	     1},
	    {"a workspace that is not",
	     CALL(CHATGPT ",\"forced_workspace_ids\":[\"acct-3\",\"acct-2\"]", "apps"),
	     {"{\"type\":\"load\",\"slot\":\"identity\"}"},
	     0},
	    {"nor its token",
	     CALL(CHATGPT ",\"forced_workspace_ids\":[\"acct-3\",\"acct-2\"]", "apps"),
	     {ANSWER("bearer", "\"reason\":\"feature-off\",\"header\":\"Bearer token\",\"account_id\":\"acct-1\"")},
	     0},
	    {"one that is forced",
	     CALL(CHATGPT ",\"forced_workspace_ids\":[\"acct-3\"]", "apps"),
	     {ANSWER("bearer", "\"reason\":\"store-failed\",\"header\":\"Bearer token\",\"account_id\":\"acct-3\"")},
	     1},
	    {"the other one then",
	     CALL(CHATGPT ",\"forced_workspace_ids\":[\"acct-3\"]", "apps"),
	     {ANSWER("bearer", "\"reason\":\"store-failed\",\"header\":\"Bearer token\",\"account_id\":\"acct-1\"")},
	     0},
	    {"a profile that there is not", CALL(CHATGPT ",\"profile\":\"other\"", "apps"), {LOCK("identity")}, 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		aa_arena *arena = aa_arena_new();
		aa_policy *policy = policy_of(arena, json(arena, cases[i].call));
		int passes = 1;
		for (size_t j = 0; j < 3 && cases[i].effects[j]; j++) {
			struct aa_effect effect;
			agentassert_error error;
			CHECK(passes, "%s: what is before it", cases[i].name);
			passes = !aa_policy_effect(policy, arena, json(arena, cases[i].effects[j]), 0, &effect, &error);
			CHECK(passes || is_refusal(&error), "%s: %s", cases[i].name, error.message);
		}
		CHECK(passes == cases[i].passes, "%s", cases[i].name);
		aa_arena_free(arena);
	}
}

/* Reports whether an assertion of a task is let pass. */
static int is_assertion_in(aa_arena *arena, const char *mode, const char *agent, const char *task, const char *header,
			   int64_t now)
{
	aa_value *a = json(arena, "{\"reason\":\"background-task\",\"account_id\":\"acct-1\"}");
	aa_set(a, "mode", aa_text(arena, aa_text_of(mode)));
	aa_set(a, "valid_until", aa_integer(arena, now));
	aa_set(a, "header", aa_text(arena, aa_text_of(header)));
	aa_set(a, "agent_runtime_id", aa_text(arena, aa_text_of(agent)));
	aa_set(a, "task_id", aa_text(arena, aa_text_of(task)));
	aa_value *effect = aa_set(json(arena, "{\"type\":\"done\"}"), "authorization", a);
	struct aa_effect out;
	agentassert_error error = {{0}, {0}};
	int failed = aa_policy_effect(policy_of(arena, json(arena, background)), arena, effect, now, &out, &error);
	CHECK(!failed || is_refusal(&error), "%s", error.message);
	return !failed;
}

static int is_assertion(aa_arena *arena, const char *agent, const char *task, const char *header, int64_t now)
{
	return is_assertion_in(arena, "agent-assertion", agent, task, header, now);
}

/* Changes bits of base64url that stand for nothing, if there are any. */
static int spoil(char *header)
{
	size_t size = strlen(header);
	size_t rest = (size - strlen("AgentAssertion ")) % 4;
	header[size - 1]++; /* of A, Q, g and w, and of A, E, I and so on, to the next */
	return rest > 0;
}

static void test_assertions(void)
{
	static const int64_t now = 1764000000;
	static const char *const ids[] = {"agent-1",      "\xc3\xa9", "\xf0\x9f\x99\x82", "\"\\<&>\xe2\x80\xa8",
					  "\xef\xbb\xbf", "__proto__"};
	aa_arena *arena = aa_arena_new();
	char *key, *header;
	REQUIRE(!agentassert_generate_key(core, NULL, NULL, 0, &key, NULL, NULL), "a key");
	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
		const char *task = aa_format(arena, "%s:1", ids[i]).data;
		REQUIRE(!agentassert_assert(core, key, ids[i], task, now, &header, NULL, NULL), "an assertion");
		CHECK(is_assertion(arena, ids[i], task, header, now), "%s", ids[i]);
		CHECK(!is_assertion(arena, ids[i], task, header, now + 1), "%s, later", ids[i]);
		CHECK(!is_assertion(arena, ids[i], ids[i], header, now), "another task than %s", task);
		CHECK(!is_assertion_in(arena, "dual-header", ids[i], task, header, now), "another mode");
		CHECK(!spoil(header) || !is_assertion(arena, ids[i], task, header, now), "bits that stand for nothing");
		agentassert_free(header);
	}
	agentassert_free(key);
#define SIGNATURE "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="
	static const struct {
		const char *name, *agent, *task, *envelope;
		int is_good;
	} cases[] = {
	    {"as it is", "agent-1", "task-1",
	     "{\"agent_runtime_id\":\"agent-1\",\"signature\":\"" SIGNATURE
	     "\",\"task_id\":\"task-1\",\"timestamp\":\"2025-11-24T16:00:00Z\"}",
	     1},
	    {"no signature", "agent-1", "task-1",
	     "{\"agent_runtime_id\":\"agent-1\",\"task_id\":\"task-1\",\"timestamp\":\"2025-11-24T16:00:00Z\"}", 0},
	    {"another order", "agent-1", "task-1",
	     "{\"signature\":\"" SIGNATURE
	     "\",\"agent_runtime_id\":\"agent-1\",\"task_id\":\"task-1\",\"timestamp\":\"2025-11-24T16:00:00Z\"}",
	     0},
	    {"a key in it", "agent-1", "task-1",
	     "{\"agent_runtime_id\":\"agent-1\",\"signature\":\"" SIGNATURE
	     "\",\"task_id\":\"task-1\",\"timestamp\":\"2025-11-24T16:00:00Z\",\"key\":\"secret-key\"}",
	     0},
	    {"a longer signature", "agent-1", "task-1",
	     "{\"agent_runtime_id\":\"agent-1\",\"signature\":\"AAAA" SIGNATURE
	     "\",\"task_id\":\"task-1\",\"timestamp\":\"2025-11-24T16:00:00Z\"}",
	     0},
	    {"a space", "agent-1", "task-1",
	     "{\"agent_runtime_id\":\"agent-1\", \"signature\":\"" SIGNATURE
	     "\",\"task_id\":\"task-1\",\"timestamp\":\"2025-11-24T16:00:00Z\"}",
	     0},
	    {"another time", "agent-1", "task-1",
	     "{\"agent_runtime_id\":\"agent-1\",\"signature\":\"" SIGNATURE
	     "\",\"task_id\":\"task-1\",\"timestamp\":\"2025-11-24T16:00:01Z\"}",
	     0},
	    {"a colon", "a:b", "task-1",
	     "{\"agent_runtime_id\":\"a:b\",\"signature\":\"" SIGNATURE
	     "\",\"task_id\":\"task-1\",\"timestamp\":\"2025-11-24T16:00:00Z\"}",
	     0},
	    {"no agent", "", "task-1",
	     "{\"agent_runtime_id\":\"\",\"signature\":\"" SIGNATURE
	     "\",\"task_id\":\"task-1\",\"timestamp\":\"2025-11-24T16:00:00Z\"}",
	     0},
	    {"a control character", "agent-1", "\x7f",
	     "{\"agent_runtime_id\":\"agent-1\",\"signature\":\"" SIGNATURE
	     "\",\"task_id\":\"\x7f\",\"timestamp\":\"2025-11-24T16:00:00Z\"}",
	     0},
	    {"another one", "agent-1", "\xc2\x85",
	     "{\"agent_runtime_id\":\"agent-1\",\"signature\":\"" SIGNATURE
	     "\",\"task_id\":\"\xc2\x85\",\"timestamp\":\"2025-11-24T16:00:00Z\"}",
	     0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		aa_bytes encoded = aa_base64_encode(arena, AA_BASE64_URL, aa_text_of(cases[i].envelope));
		const aa_bytes parts[] = {AA_LITERAL("AgentAssertion "), encoded};
		const char *made = aa_join(arena, parts, 2).data;
		CHECK(is_assertion(arena, cases[i].agent, cases[i].task, made, now) == cases[i].is_good, "%s",
		      cases[i].name);
	}
	static const char *const headers[] = {"AgentAssertion A",    "AgentAssertion AAAAA", "AgentAssertion ",
					      "AgentAssertion AAAA", "Bearer token",         ""};
	for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
		CHECK(!is_assertion(arena, "agent-1", "task-1", headers[i], now), "%s", headers[i]);
	}
	aa_arena_free(arena);
}

/* Reports whether the registration of an instance with a body is let pass. */
static int is_registration(aa_arena *arena, const char *body)
{
	static const char start[] =
	    "{\"config\":{\"base_url\":\"https://chatgpt.com/"
	    "backend-api\",\"agent_identity\":true,\"profile\":\"instances\","
	    "\"abom\":{\"agent_version\":\"0\",\"agent_harness_id\":\"x\",\"running_location\":\"x\"},"
	    "\"instance\":{\"header_mode\":\"dual_header\",\"installation_id\":\"i\",\"harness\":\"h\",\"role\":\"r\"}}"
	    ","
	    "\"surface\":\"apps\",\"entropy\":{\"hex\":\"00000000000000000000000000000000\"},"
	    "\"credentials\":{\"kind\":\"chatgpt\",\"access_token\":\"token\",\"account_id\":\"acct-1\"}}";
	aa_policy *policy = policy_of(arena, json(arena, start));
	struct aa_effect effect;
	aa_value *request = json(
	    arena,
	    "{\"type\":\"http\",\"method\":\"POST\",\"url\":\"https://auth.openai.com/agent/register\",\"headers\":"
	    "[{\"name\":\"content-type\",\"value\":\"application/json\"},{\"name\":\"idempotency-key\",\"value\":"
	    "\"00000000-0000-4000-8000-000000000000\"}],\"timeout_ms\":1000,\"size_limit\":1000}");
	if (*body) {
		aa_set(request, "body", aa_binary(arena, aa_text_of(body)));
	}
	CHECK(!aa_policy_effect(policy, arena, json(arena, "{\"type\":\"lock\",\"slot\":\"instance\"}"), 0, &effect,
				NULL),
	      "a lock");
	return !aa_policy_effect(policy, arena, request, 0, &effect, NULL);
}

static void test_registrations(void)
{
#define BODY(key)                                                                                                      \
	"{\"actor_auth\":{\"type\":\"oauth\",\"credential\":\"token\"},"                                               \
	"\"agent_host_auth\":{\"type\":\"installation_id\",\"installation_id\":\"i\"},\"public_key\":\"" key "\","     \
	"\"metadata\":{\"harness\":\"h\",\"harness_version\":\"0\",\"role\":\"r\"}}"
#define KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	static const char *const others[] = {
	    "", "null", "{}", "[", " " BODY(KEY), BODY("secret"), BODY(KEY " a"), BODY(KEY) " "};
	aa_arena *arena = aa_arena_new();
	CHECK(is_registration(arena, BODY(KEY)), "as it is");
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		CHECK(!is_registration(arena, others[i]), "%s", others[i]);
	}
	aa_arena_free(arena);
}

static void test_timestamps(void)
{
	static const struct {
		int64_t time;
		const char *text;
	} cases[] = {
	    {AA_LEAST_TIME, "0000-01-01T00:00:00Z"},
	    {AA_MOST_TIME, "9999-12-31T23:59:59Z"},
	    {0, "1970-01-01T00:00:00Z"},
	    {-1, "1969-12-31T23:59:59Z"},
	    {951782400, "2000-02-29T00:00:00Z"},
	    {4107542400, "2100-03-01T00:00:00Z"},
	};
	aa_arena *arena = aa_arena_new();
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CHECK(aa_is(aa_timestamp(arena, cases[i].time), cases[i].text), "%s", cases[i].text);
	}
	/* Times of every year, by steps of some months. */
	for (int64_t seconds = AA_LEAST_TIME; sizeof(time_t) > 4 && seconds <= AA_MOST_TIME; seconds += 7654321) {
		char want[128];
		time_t t = (time_t)seconds;
		struct tm tm;
		gmtime_r(&t, &tm);
		snprintf(want, sizeof want, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1,
			 tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
		CHECK(aa_is(aa_timestamp(arena, seconds), want), "%s", want);
	}
	aa_arena_free(arena);
}

/* The same numbers in every run, below a bound (xorshift). */
static size_t next(size_t below)
{
	static uint64_t seed = 88172645463325252U;
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (size_t)(seed % (below == 0 ? 1 : below));
}

/* Adds a value, and all in it, to a list. */
static void collect(const aa_value *value, const aa_value **all, size_t *count, size_t most)
{
	if (*count < most) {
		all[(*count)++] = value;
	}
	for (const aa_value *each = value->first; each; each = each->next) {
		collect(each, all, count, most);
	}
}

/* Takes the place of a value, but for its name and those behind it. */
static void become(aa_value *value, const aa_value *other)
{
	aa_value *behind = value->next;
	aa_bytes name = value->name;
	*value = *other;
	value->next = behind;
	value->name = name;
}

/* Changes some of a message to what a module could send. */
static void mutate(aa_arena *arena, aa_value *value, const aa_value *const *others, size_t count)
{
	static const char *const odd[] = {"\"\"",
					  "\"identity\"",
					  "\"secret-text\"",
					  "\"../x\"",
					  "\"thread/thread-2\"",
					  "\"Bearer secret-token\"",
					  "\"\\u0000\"",
					  "0",
					  "-1",
					  "1",
					  "1000000000",
					  "9223372036854775807",
					  "true",
					  "false",
					  "[]",
					  "{}",
					  "[[]]",
					  "[\"secret-a\"]",
					  "{\"hex\":\"\"}",
					  "{\"utf8\":\"{}\"}"};
	switch (next(8)) {
	case 0:
		become(value, json(arena, odd[next(sizeof odd / sizeof odd[0])]));
		return;
	case 1:
		become(value, aa_clone(arena, others[next(count)]));
		return;
	default:
		break;
	}
	if (value->kind == AA_INTEGER) {
		value->integer += value->integer < INT64_MAX ? (int64_t)next(3) - 1 : 0;
	} else if ((value->kind == AA_TEXT || value->kind == AA_BYTES) && value->bytes.size > 0) {
		char *changed = aa_alloc(arena, value->bytes.size);
		memcpy(changed, value->bytes.data, value->bytes.size);
		changed[next(value->bytes.size)] = (char)(33 + next(90));
		value->bytes.data = changed;
		value->bytes.size -= next(3) == 0;
	} else if (value->count > 0) {
		aa_value *member = value->first;
		for (size_t i = next(value->count); i > 0; i--) {
			member = member->next;
		}
		mutate(arena, member, others, count);
	} else {
		become(value, json(arena, odd[next(sizeof odd / sizeof odd[0])]));
	}
}

/* Returns the policy after the effects before the one in question. */
static aa_policy *policy_after(aa_arena *arena, const aa_value *question)
{
	const aa_value *before = aa_get_array(question, "before");
	aa_policy *policy = policy_of(arena, question);
	for (const aa_value *each = before ? before->first : NULL; each; each = each->next) {
		struct aa_effect effect;
		const aa_value *headers = aa_get_array(each, "response_headers");
		aa_bytes entropy = aa_get_binary(each, "entropy");
		aa_value *event =
		    entropy.size > 0 ? json(arena, "{\"type\":\"entropy\"}") : json(arena, "{\"type\":\"response\"}");
		if (entropy.size > 0) {
			aa_set(event, "entropy", aa_binary(arena, entropy));
		} else if (headers) {
			aa_set(event, "headers", aa_clone(arena, headers));
		}
		CHECK(!aa_policy_effect(policy, arena, aa_get(each, "effect"), aa_get_integer(question, "now"), &effect,
					NULL),
		      "what is done before is let pass");
		aa_policy_answered(policy, &effect, event);
	}
	return policy;
}

/* Checks an answer that was let pass. */
static void check_believed(const struct aa_answer *a, const aa_value *question, aa_bytes bearer)
{
	static const char *const overrides[] = {"", "us", "us_cr", NULL};
	const aa_value *config = aa_get_map(question, "config");
	CHECK(a->header.size == 0 || aa_equal(a->header, bearer) || aa_begins(a->header, "AgentAssertion "),
	      "a header");
	CHECK(a->agent_assertion.size == 0 || aa_begins(a->agent_assertion, "1."), "an assertion");
	CHECK(a->valid_until == aa_get_integer(question, "now"), "a time");
	CHECK(aa_is_among(a->account_routing_override, overrides), "an override");
	CHECK(a->responses_origin.size == 0 || aa_is_supported_origin(a->responses_origin, NULL), "an origin");
	CHECK(aa_get_boolean(config, "workspace_routing") ||
		  a->responses_origin.size + a->account_routing_override.size == 0,
	      "an origin");
}

/* Checks an effect that was let pass. */
static void check_passed(aa_arena *arena, const struct aa_effect *effect, const aa_value *question, aa_bytes bearer)
{
	static const char *const slots[] = {"identity", "backoff",   "backend", "set-aside",
					    "instance", "workspace", NULL};
	const aa_value *config = aa_get_map(question, "config");
	const aa_bytes thread[] = {AA_LITERAL("thread/"), aa_get_text(question, "thread_id")};
	const struct aa_request *r = &effect->request;
	CHECK(aa_get_boolean(config, "agent_identity") || aa_get_boolean(config, "workspace_routing"), "an agent");
	if (effect->slot.data) {
		CHECK(aa_is_among(effect->slot, slots) || (thread[1].size > 0 && aa_is_joined(effect->slot, thread, 2)),
		      "a slot");
	}
	if (effect->type != AA_EFFECT_HTTP) {
		return;
	}
	aa_bytes base = aa_get_text(config, "base_url"), auth = aa_get_text(config, "auth_api_url");
	CHECK(aa_begins(r->url, aa_copy(arena, base).data) || aa_begins(r->url, "https://auth.") ||
		  (auth.size > 0 && aa_begins(r->url, aa_copy(arena, auth).data)),
	      "a URL");
	for (size_t i = 0; i < r->field_count; i++) {
		int is_instance =
		    aa_ends(r->url, "/wham/accounts/check") && aa_begins(r->fields[i].value, "AgentAssertion 1.");
		CHECK(!aa_is(r->fields[i].name, "authorization") || aa_equal(r->fields[i].value, bearer) || is_instance,
		      "an authorization");
	}
	CHECK(r->timeout_ms <= 30000 && r->size_limit <= 65536 && r->body.size <= 81920, "bounds");
}

static void test_mutations(const char *folder)
{
	enum { rounds = 20000, most = 4096, most_values = 65536 };
	static const aa_value *questions[most], *others[most_values];
	size_t count = 0, values = 0;
	int passed = 0;
	aa_arena *arena = aa_arena_new();
	for (const aa_value *v = first_vector(arena, aa_format(arena, "%s/hosts", folder).data, "effects");
	     v && count < most; v = v->next) {
		questions[count] = aa_get_map(v, "params");
		collect(aa_get(questions[count++], "effect"), others, &values, most_values);
	}
	for (int i = 0; i < rounds; i++) {
		aa_arena *own = aa_arena_new();
		const aa_value *question = questions[next(count)];
		aa_policy *policy = policy_after(own, question);
		aa_value *effect = aa_clone(own, aa_get(question, "effect"));
		struct aa_effect taken;
		agentassert_error error = {{0}, {0}};
		mutate(own, effect, others, values);
		if (aa_policy_effect(policy, own, effect, aa_get_integer(question, "now"), &taken, &error)) {
			CHECK(is_refusal(&error), "%s: %s", error.code, error.message);
		} else {
			const aa_bytes parts[] = {AA_LITERAL("Bearer "),
						  aa_get_text(aa_get_map(question, "credentials"), "access_token")};
			aa_bytes bearer = aa_join(own, parts, 2);
			passed++;
			if (taken.type == AA_EFFECT_DONE) {
				check_believed(&taken.answer, question, bearer);
			} else {
				check_passed(own, &taken, question, bearer);
			}
		}
		aa_arena_free(own);
	}
	aa_arena_free(arena);
	CHECK(passed > 200 && passed < rounds / 2, "%d have passed", passed);
}

static void test_presentable(void)
{
	aa_arena *arena = aa_arena_new();
	CHECK(aa_is(aa_presentable(arena, AA_LITERAL("a\x1b[2J\nb\xe2\x80\xae")), "a\xef\xbf\xbd[2J\xef\xbf\xbd"
										  "b\xef\xbf\xbd"),
	      "commands of a terminal's");
	aa_arena_free(arena);
}

int main(int count, char **arguments)
{
	REQUIRE(count == 2, "usage: policy_test VECTORS");
	REQUIRE(!agentassert_open(NULL, &core, NULL), "a core");
	test_flows(arguments[1]);
	test_records();
	test_sequences();
	test_assertions();
	test_registrations();
	test_timestamps();
	test_mutations(arguments[1]);
	test_presentable();
	agentassert_close(core);
	return test_result();
}
