/* A store whose module is anybody's: whatever that asks for, the user's tokens stay what they
 * were, and so does every file that is not the store's. The module is a function here, which
 * takes effects from the vectors, and changes some. */
#include "posix.h"

#include <sys/stat.h>
#include <unistd.h>

#include "call.h"
#include "file_testing.h"
#include "file_vectors.h"

static const aa_value *vectors;
static unsigned long long seed = 5;
/* The steps of the vector that an operation follows for a while. */
static const aa_value *step;

/* What there is in auth.json, and in the files that are nobody's of ours. */
#define TOKENS "\"tokens\":{\"access_token\":\"secret-token\",\"account_id\":\"acct-1\"}"

static const aa_value *some(const aa_value *list)
{
	const aa_value *found = list->first;
	for (size_t n = draw(&seed, list->count); n > 0; n--) {
		found = found->next;
	}
	return found;
}

/* Returns an effect with a member of another's, or of another name, or with odd content. */
static aa_value *changed(aa_arena *arena, const aa_value *effect)
{
	static const char *const names[] = {"target",
					    "journal",
					    "home",
					    "leftovers",
					    "previous",
					    "record/identity",
					    "record/backoff",
					    "threads",
					    "../other",
					    "client-lock",
					    "leftovers/.tmp-auth.json9",
					    "threads/2020-01",
					    "thread/2026-11"};
	static const char *const contents[] = {"",
					       "{}",
					       "{}\n",
					       "{\"agent_identity\":{}}",
					       DOCUMENT,
					       DOCUMENT "   ",
					       WITH(OTHER),
					       WITH(RECORD),
					       WITH(OTHER) "  ",
					       WITH(OTHER) ",",
					       "{\"tokens\":{}}",
					       "{\"old\":\"e30=\",\"new\":\"e30=\"}"};
	aa_value *copy = aa_map(arena);
	int is_document =
	    aa_equal(aa_get_text(effect, "name"), AA_LITERAL("target")) && aa_get(effect, "content") != NULL;
	size_t way = is_document ? 2 : draw(&seed, 4);
	for (const aa_value *m = effect->first; m != NULL; m = m->next) {
		const char *name = aa_copy(arena, m->name).data;
		if (way == 1 && strcmp(name, "name") == 0) {
			copy = aa_set(copy, name, aa_text(arena, text_of(names[draw(&seed, 13)])));
		} else if (way == 2 && strcmp(name, "content") == 0) {
			copy = aa_set(copy, name, aa_binary(arena, text_of(contents[draw(&seed, 12)])));
		} else if (way == 3 && strcmp(name, "size") == 0) {
			copy = aa_set(copy, name, aa_integer(arena, (int64_t)draw(&seed, 300)));
		} else {
			copy = aa_set(copy, name, aa_clone(arena, m));
		}
	}
	return copy;
}

/* The module: it goes along with a vector, and leaves it now and then. */
int aa_call(agentassert *core_, aa_arena *arena, const char *method, const aa_value *params, aa_value **result,
	    agentassert_error *error)
{
	(void)core_, (void)params, (void)error;
	if (strcmp(method, "thread.file") == 0) {
		static const char digits[] = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b";
		*result = aa_set(aa_map(arena), "name", aa_text(arena, text_of(digits)));
		return 0;
	}
	const aa_value *effect = aa_get_map(step, "effect");
	if (effect == NULL || draw(&seed, 16) == 0) {
		const aa_value *steps = NULL;
		while (steps == NULL || effect == NULL) {
			steps = aa_get_array(some(vectors), "steps");
			effect = steps == NULL ? NULL : aa_get_map(some(steps), "effect");
		}
	}
	if (step != NULL) {
		step = step->next;
	}
	/* The vectors' documents are others, and would be refused at once. */
	int is_document =
	    aa_equal(aa_get_text(effect, "name"), AA_LITERAL("target")) && aa_get(effect, "content") != NULL;
	aa_value *copy = is_document || draw(&seed, 8) == 0 ? changed(arena, effect) : aa_clone(arena, effect);
	*result = aa_set(aa_set(aa_map(arena), "effect", copy), "state", aa_binary(arena, AA_LITERAL("s")));
	return *result == NULL ? -1 : 0;
}

/* Does something with the store, as the vector that the module goes along with begins. */
static const char *do_something(agentassert_store *store)
{
	const aa_value *steps = NULL;
	while (steps == NULL) {
		steps = aa_get_array(some(vectors), "steps");
	}
	const aa_value *start = aa_get_map(steps->first, "event");
	step = steps->first;
	aa_bytes operation = aa_get_text(start, "operation");
	const char *slot = aa_copy(memory, aa_get_text(start, "slot")).data, *text;
	if (aa_equal(operation, AA_LITERAL("credentials"))) {
		return credentials(store, "kind", &text);
	}
	if (aa_equal(operation, AA_LITERAL("load"))) {
		return load(store, slot, &text);
	}
	if (aa_equal(operation, AA_LITERAL("save"))) {
		return save(store, slot, OTHER);
	}
	if (aa_equal(operation, AA_LITERAL("delete"))) {
		return empty(store, slot);
	}
	if (aa_equal(operation, AA_LITERAL("probe"))) {
		return probe(store, slot);
	}
	return swap(store, draw(&seed, 2) == 0 ? NULL : RECORD, OTHER);
}

static void check_left(const char *path, const char *folder)
{
	const char *content = aa_copy(memory, read_bytes(path)).data;
	CHECK(strstr(content, TOKENS) != NULL && strstr(content, "\"later\":{\"b\":1,\"a\":[ ]}") != NULL &&
		  strstr(content, "\"last\":1.50e1") != NULL,
	      "auth.json is %s", content);
	check_content(in_folder(folder, "other"), "somebody's", "another file");
	check_content(in_folder(folder, "config.toml"), "a = 1\n", "the client's configuration");
	for (const char *names = names_in(folder); *names != 0; names += strcspn(names, " ") + 1) {
		CHECK(strncmp(names, "auth.json", 9) == 0 || strncmp(names, "auth.lock", 9) == 0 ||
			  strncmp(names, "other", 5) == 0 || strncmp(names, "config", 6) == 0,
		      "there is %s", names);
	}
}

int main(int count, char **arguments)
{
	REQUIRE(count >= 2, "the folder of the vectors is the argument");
	aa_arena *kept = aa_arena_new();
	vectors = read_vectors(kept, arguments[1], "files.json");
	int rounds = count > 2 ? atoi(arguments[2]) : 150, refused = 0, done = 0;
	begin_without_core();
	for (int i = 0; i < rounds; i++) {
		begin_without_core();
		const char *folder = new_folder(), *path = in_folder(folder, "auth.json");
		write_file(path, draw(&seed, 2) == 0 ? DOCUMENT : WITH(RECORD));
		write_file(in_folder(folder, "other"), "somebody's");
		write_file(in_folder(folder, "config.toml"), "a = 1\n");
		if (draw(&seed, 3) == 0) {
			CHECK(link(path, path_of(path, "-name")) == 0, "no link"); /* it is written over */
		}
		agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, draw(&seed, 8) == 0);
		for (int j = 0; j < 20; j++) {
			const char *code = do_something(store);
			refused += strcmp(code, "policy_violation") == 0;
			done += code[0] == 0;
		}
		check_left(path, folder);
	}
	end_tests();
	aa_arena_free(kept);
	CHECK(refused > rounds && done > rounds / 4, "%d refused and %d done", refused, done);
	printf("%d operations, %d of them refused, %d done\n", rounds * 20, refused, done);
	return test_result();
}
