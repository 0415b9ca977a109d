/* The file store: what it reads, and how it writes. Its tests in Go are in host/authfile, and say
 * the same. */
#include "posix.h"

#include "file_testing.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "answers.h"

/* What the client's locks leave beside auth.json. */
#define LOCKS "auth.json.lock auth.lock "

static void test_options(void)
{
	begin("options that make no sense");
	agentassert_file_store_options options[] = {
	    AGENTASSERT_FILE_STORE_OPTIONS, AGENTASSERT_FILE_STORE_OPTIONS, AGENTASSERT_FILE_STORE_OPTIONS, {0}};
	options[0].lock_timeout_ms = -1;
	options[1].lock_timeout_ms = INT64_C(1) << 31;
	options[2].lock = (agentassert_lock)2;
	agentassert_store *store = NULL;
	for (size_t i = 0; i < 4; i++) {
		agentassert_error error = {0};
		CHECK(agentassert_file_store("auth.json", &options[i], &store, &error) == -1, "options %zu", i);
		CHECK(strcmp(error.code, "invalid_manager_config") == 0, "%s", error.code);
		CHECK(agentassert_file_store("auth.json", &options[i], &store, NULL) == -1, "options %zu", i);
	}
	CHECK(agentassert_file_store("", NULL, &store, NULL) == -1, "no path");
	CHECK(agentassert_file_store(NULL, NULL, &store, NULL) == -1, "no path");
	CHECK(store == NULL, "no store");
}

static void test_no_file(void)
{
	begin("no file");
	const char *path = new_file(NULL), *text;
	agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
	CHECK_CODE(credentials(store, "kind", &text), "");
	CHECK(strcmp(text, "none") == 0, "%s", text);
	CHECK_CODE(credentials(store, "problem", &text), "");
	CHECK(strcmp(text, "auth_file_missing") == 0, "%s", text);
	CHECK_LOAD(store, "identity", NULL);
	CHECK_LOAD(store, "backoff", NULL);
	CHECK_LOAD(store, "thread/1", NULL);
	CHECK_CODE(empty(store, "backoff"), "");
	CHECK_CODE(empty(store, "thread/1"), "");
	CHECK(strcmp(names_beside(path), "") == 0, "%s", names_beside(path));
	CHECK_CODE(swap(store, NULL, RECORD), "");
	check_content(path, "{\"agent_identity\":" RECORD "}\n", "no file");
	CHECK(mode_of(path) == 0600, "%o", mode_of(path));
	CHECK_LOAD(store, "identity", RECORD);
}

static void test_no_folder(void)
{
	begin("no folder");
	agentassert_store *store =
	    open_store(in_folder(new_folder(), "missing/auth.json"), AGENTASSERT_LOCK_PROCESSES, 0);
	CHECK_LOAD(store, "identity", NULL);
	CHECK_CODE(swap(store, NULL, RECORD), "auth_file_write_failed");
	CHECK_CODE(save(store, "thread/1", RECORD), "auth_file_write_failed");
	CHECK_CODE(use_lock(store, "identity"), "auth_file_write_failed");
	CHECK_CODE(use_lock(store, "thread/1"), "auth_file_write_failed");
	CHECK_CODE(use_lock(store, "backoff"), "invalid_request");
	CHECK_CODE(use_lock(store, "thread/"), "invalid_request");
}

/* Checks what each method fails with. */
static void check_all(agentassert_store *store, const char *read, const char *write, const char *try, const char *lock)
{
	const char *text;
	CHECK_CODE(credentials(store, "kind", &text), read);
	CHECK_CODE(load(store, "identity", &text), read);
	CHECK_CODE(swap(store, NULL, RECORD), write);
	CHECK_CODE(probe(store, "identity"), try);
	if (lock != NULL) {
		CHECK_CODE(use_lock(store, "identity"), lock);
	}
}

static void test_files_of_no_use(void)
{
	static char zeroes[4096];
	aa_arena *arena = aa_arena_new();
	char *deep = aa_alloc(arena, 500001), *huge = aa_alloc(arena, (512 << 10) + sizeof DOCUMENT);
	for (int i = 0; i < 100000; i++) {
		memcpy(deep + 5 * (size_t)i, "{\"a\":", 5);
	}
	memset(huge, ' ', (512 << 10) + sizeof DOCUMENT);
	memcpy(huge, DOCUMENT, sizeof DOCUMENT - 1);
	const struct {
		const char *name;
		aa_bytes content;
		const char *want;
	} cases[] = {
	    {"empty", AA_LITERAL(""), "invalid_auth_json"},
	    {"blank", AA_LITERAL(" \n"), "invalid_auth_json"},
	    {"cut off", {DOCUMENT, 60}, "invalid_auth_json"},
	    {"garbage", AA_LITERAL("secret-garbage"), "invalid_auth_json"},
	    {"zeroes", {zeroes, sizeof zeroes}, "invalid_auth_json"},
	    {"an array", AA_LITERAL("[]"), "invalid_auth_json"},
	    {"a byte order mark", AA_LITERAL("\xef\xbb\xbf" DOCUMENT), "auth_json_byte_order_mark"},
	    {"a name twice", AA_LITERAL("{\"tokens\":{},\"tokens\":{}}"), "invalid_auth_json"},
	    {"two documents", AA_LITERAL(DOCUMENT DOCUMENT), "invalid_auth_json"},
	    {"no UTF-8", AA_LITERAL("{\"note\":\"\xe4\xff\",\"tokens\":{\"access_token\":\"t\"}}"),
	     "invalid_auth_json"},
	    {"UTF-16", AA_LITERAL("\xff\xfe{\0}\0"), "auth_json_utf16"},
	    {"nested deeply", {deep, 500000}, "invalid_auth_json"},
	    {"huge", {huge, (512 << 10) + sizeof DOCUMENT}, "auth_file_unreadable"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		begin(cases[i].name);
		const char *path = new_file("");
		write_bytes(path, cases[i].content);
		set_age(path, 7200); /* nobody is writing it */
		check_all(open_store(path, AGENTASSERT_LOCK_PROCESSES, 0), cases[i].want, cases[i].want, cases[i].want,
			  "");
		CHECK(aa_equal(read_bytes(path), cases[i].content), "%s: it is another", cases[i].name);
		CHECK(strcmp(names_beside(path), "auth.json auth.json.lock auth.json.registration.lock auth.lock ") ==
			  0,
		      "%s", names_beside(path));
	}
	aa_arena_free(arena);
}

static void test_largest(void)
{
	begin("the largest file that is read");
	const char *path = new_file(""), *text;
	char *content = aa_alloc(memory, 512 << 10);
	memset(content, ' ', 512 << 10);
	memcpy(content, DOCUMENT, sizeof DOCUMENT - 1);
	write_bytes(path, (aa_bytes){content, 512 << 10});
	agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
	CHECK_LOAD(store, "identity", NULL);
	CHECK_CODE(credentials(store, "access_token", &text), "");
	CHECK(strcmp(text, "secret-token") == 0, "%s", text);
	/* It is too large to be changed, and that is found out before anything is registered. */
	CHECK_CODE(probe(store, "identity"), "auth_file_write_failed");
}

static void test_no_files(void)
{
	begin("paths that lead to no file");
	const char *path = new_file(DOCUMENT);
	const char *folder = path_of(path, "-folder");
	mkdir(folder, 0700);
	check_all(open_store(folder, AGENTASSERT_LOCK_PROCESSES, 0), "auth_file_folder", "auth_file_folder",
		  "auth_file_folder", NULL);
	check_all(open_store(path_of(path, "/auth.json"), AGENTASSERT_LOCK_PROCESSES, 0), "auth_file_unreadable",
		  "auth_file_unreadable", "auth_file_unreadable", NULL);
	check_content(path, DOCUMENT, "paths that lead to no file");
}

static void test_read_only_file(void)
{
	begin("a read-only file");
	const char *path = new_file(DOCUMENT);
	chmod(path, 0444);
	check_all(open_store(path, AGENTASSERT_LOCK_PROCESS, 0), "", "store_read_only", "store_read_only", "");
	CHECK(strcmp(names_beside(path), "auth.json ") == 0, "%s", names_beside(path));
	check_all(open_store(path, AGENTASSERT_LOCK_PROCESSES, 0), "", "store_read_only", "store_read_only", "");
	check_content(path, DOCUMENT, "a read-only file");
}

/* Prints the codes of the errors of all methods, with a space behind each; "-" for none. */
static void print_codes(const void *path)
{
	agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
	const char *text, *record = NULL;
	const char *codes[6] = {credentials(store, "kind", &text), "", "", "", "", ""};
	for (int i = 1; i < 6; i++) {
		agentassert_error error = last_error;
		codes[i - 1] = aa_copy(memory, text_of(codes[i - 1])).data;
		last_error = error;
		codes[i] = i == 1   ? load(store, "identity", &record)
			   : i == 2 ? probe(store, "identity")
			   : i == 3 ? swap(store, record, OTHER)
			   : i == 4 ? save(store, "backoff", OTHER)
				    : use_lock(store, "identity");
	}
	for (int i = 0; i < 6; i++) {
		printf("%s ", codes[i][0] == 0 ? "-" : codes[i]);
	}
}

/* Checks the codes that a process gets which permissions bind: not root's. */
static void check_codes_of_user(const char *path, const char *want)
{
	char output[512];
	uid_t nobody = geteuid() == 0 ? 65534 : 0;
	char *folder = aa_alloc(memory, strlen(path) + 1);
	memcpy(folder, path, (size_t)(strrchr(path, '/') - path));
	if (nobody != 0) {
		CHECK(chown(folder, nobody, nobody) == 0 && chown(path, nobody, nobody) == 0, "chown");
	}
	int status = run_child(print_codes, path, nobody, output, sizeof output);
	CHECK(status == 0 && strcmp(output, want) == 0, "%d: %s and not %s", status, output, want);
}

static void test_permissions(void)
{
	begin("a file that may not be read");
	if (!others_get_in()) {
		printf("skipped: another user does not get at it\n");
		return;
	}
	const char *path = new_file(DOCUMENT);
	chmod(path, 0200);
	check_codes_of_user(path,
			    "auth_file_unreadable auth_file_unreadable auth_file_unreadable auth_file_unreadable - "
			    "- ");

	/* It is its own lock, and is written over. */
	begin("a folder that may not be written");
	const char *folder = new_folder();
	path = in_folder(folder, "auth.json");
	write_file(path, DOCUMENT);
	chmod(folder, 0500);
	check_codes_of_user(path, "- - - - store_read_only - ");
	check_content(path, WITH(OTHER), "a folder that may not be written");
	CHECK(strcmp(names_in(folder), "auth.json ") == 0, "%s", names_in(folder));
}

static void test_modes(void)
{
	begin("permissions of what is written");
	const char *path = new_file(DOCUMENT);
	chmod(path, 0644);
	mode_t mask = umask(0);
	agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
	CHECK_CODE(swap(store, NULL, RECORD), "");
	CHECK_CODE(save(store, "backoff", RECORD), "");
	CHECK_CODE(save(store, "thread/1", RECORD), "");
	CHECK_CODE(use_lock(store, "identity"), "");
	void *lock = NULL;
	CHECK_CODE(take_lock(store, "thread/1", &lock), "");
	const char *month = names_in(path_of(path, ".threads"));
	month = path_of(path, aa_format(memory, ".threads/%.7s", month).data);
	const char *thread = in_folder(month, "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b.json");
	const char *lock_file =
	    path_of(path, ".locks/6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b.lock");
	const struct {
		const char *path;
		mode_t mode;
	} cases[] = {{path, 0644},
		     {path_of(path, ".backoff"), 0644},
		     {path_of(path, ".registration.lock"), 0644},
		     {path_of(path, ".threads"), 0755},
		     {month, 0755},
		     {thread, 0644},
		     {path_of(path, ".locks"), 0755},
		     {lock_file, 0644}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CHECK(mode_of(cases[i].path) == cases[i].mode, "%s: %o", cases[i].path, mode_of(cases[i].path));
	}
	umask(mask);
	if (lock != NULL) {
		store->unlock(store->self, lock);
	}
	CHECK(count_in(path_of(path, ".locks")) == 0, "a thread's lock stays");
	check_content(path_of(path, ".registration.lock"), "", "the lock");
}

static void test_invalid_records(void)
{
	begin("records that are no JSON");
	const char *path = new_file(DOCUMENT);
	agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
	static const char *const invalid[] = {"secret-garbage", "{\"a\":1", "{\"a\":1}{}", "{\"a\":1,\"a\":2}", "\xff"};
	for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++) {
		CHECK_CODE(swap(store, NULL, invalid[i]), "invalid_record");
	}
	check_content(path, DOCUMENT, "records that are no JSON");
	CHECK(strcmp(names_beside(path), "auth.json " LOCKS) == 0, "%s", names_beside(path));
}

static void test_save(void)
{
	begin("a save keeps all else");
	static const char longer[] = "{\"agent_runtime_id\":\"agent-2\",\"more\":\"members\"}";
	const char *path = new_file(DOCUMENT);
	agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
	CHECK_CODE(swap(store, NULL, RECORD), "");
	check_content(path, WITH(RECORD), "a save");
	CHECK_LOAD(store, "identity", RECORD);
	CHECK_CODE(swap(store, RECORD, longer), "");
	check_content(path, WITH("{\"agent_runtime_id\":\"agent-2\",\"more\":\"members\"}"), "another");
	CHECK_CODE(swap(store, longer, NULL), "");
	check_content(path, DOCUMENT, "none");
	CHECK_CODE(swap(store, NULL, NULL), "");
	check_content(path, DOCUMENT, "none again");
	CHECK_LOAD(store, "identity", NULL);
	CHECK(strcmp(names_beside(path), "auth.json " LOCKS) == 0, "%s", names_beside(path));
	/* It reads the file again. */
	write_file(path, "{\"tokens\":{\"access_token\":\"secret-token-2\"}}");
	CHECK_CODE(swap(store, NULL, RECORD), "");
	check_content(path, "{\"tokens\":{\"access_token\":\"secret-token-2\"},\"agent_identity\":" RECORD "}",
		      "another");
}

static void test_swap(void)
{
	static const char a[] = "{\"agent_runtime_id\":\"a\"}", b[] = "{\"agent_runtime_id\":\"b\"}";
	for (int beside = 0; beside < 2; beside++) {
		begin("a swap replaces what it is expected to, and nothing else");
		const char *path = new_file(DOCUMENT);
		agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, beside);
		CHECK_CODE(swap(store, NULL, a), "");
		CHECK_CODE(swap(store, NULL, b), "record_changed");
		CHECK_CODE(swap(store, b, NULL), "record_changed");
		CHECK_LOAD(store, "identity", a);
		CHECK_CODE(swap(store, a, b), "");
		CHECK_LOAD(store, "identity", b);
		CHECK_CODE(swap(store, b, NULL), "");
		CHECK_LOAD(store, "identity", NULL);
		check_content(path, DOCUMENT, "a swap");
	}
}

static void test_beside(void)
{
	begin("an identity beside auth.json leaves that unwritten");
	const char *path = new_file(DOCUMENT), *text;
	chmod(path, 0444);
	agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 1);
	CHECK_CODE(probe(store, "identity"), "");
	CHECK_CODE(swap(store, NULL, RECORD), "");
	CHECK_LOAD(store, "identity", RECORD);
	CHECK_CODE(credentials(store, "access_token", &text), "");
	CHECK(strcmp(text, "secret-token") == 0, "%s", text);
	check_content(path, DOCUMENT, "beside");
	check_content(path_of(path, ".identity"), RECORD, "beside");
	CHECK(strcmp(names_beside(path), "auth.json auth.json.identity auth.json.lock ") == 0, "%s",
	      names_beside(path));
}

/* What the reference client has written can be taken out and put in again. */
static void test_captures(const char *vectors)
{
	const char *captures = NULL;
	begin("the reference client's own file");
	captures = in_folder(vectors, "captures");
	DIR *folder = opendir(captures);
	REQUIRE(folder != NULL, "%s", captures);
	int count = 0;
	for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		size_t size = strlen(entry->d_name);
		if (size < 9 || strcmp(entry->d_name + size - 9, "auth.json") != 0) {
			continue;
		}
		count++;
		const char *captured = read_bytes(in_folder(captures, entry->d_name)).data, *path = new_file(captured);
		agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
		const char *text, *identity, *empty_one;
		CHECK_CODE(credentials(store, "account_id", &text), "");
		CHECK(strcmp(text, "acct-1") == 0, "%s", text);
		CHECK_CODE(credentials(store, "user_id", &text), "");
		CHECK(strcmp(text, "user-1") == 0, "%s", text);
		CHECK_CODE(load(store, "identity", &identity), "");
		REQUIRE(identity != NULL, "%s has no identity", entry->d_name);
		CHECK_CODE(swap(store, identity, NULL), "");
		CHECK_CODE(load(store, "identity", &empty_one), "");
		CHECK(empty_one == NULL && strstr(read_bytes(path).data, "agent_") == NULL, "an identity is left");
		CHECK_CODE(swap(store, NULL, identity), "");
		check_content(path, captured, entry->d_name);
	}
	closedir(folder);
	CHECK(count > 0, "there are captures");
}

static void test_links(void)
{
	begin("symbolic links are followed");
	const char *target = new_file(DOCUMENT), *folder = new_folder();
	const char *link = in_folder(folder, "auth.json");
	CHECK(symlink(target, in_folder(folder, "inner")) == 0 && symlink("inner", link) == 0, "no links");
	agentassert_store *store = open_store(link, AGENTASSERT_LOCK_PROCESSES, 0);
	CHECK_CODE(swap(store, NULL, RECORD), "");
	check_content(target, WITH(RECORD), "a link");
	CHECK_LOAD(store, "identity", RECORD);
	CHECK(strcmp(names_beside(target), "auth.json " LOCKS) == 0, "%s", names_beside(target));
	CHECK(strcmp(names_in(folder), "auth.json inner ") == 0, "%s", names_in(folder));
	char found[16] = {0};
	CHECK(readlink(link, found, sizeof found - 1) == 5 && strcmp(found, "inner") == 0, "%s", found);

	begin("links lead to a file that is not there yet, as seen from where they are");
	folder = new_folder();
	mkdir(in_folder(folder, "real"), 0700);
	mkdir(in_folder(folder, "real/deep"), 0700);
	CHECK(symlink("real/deep", in_folder(folder, "short")) == 0, "no link");
	CHECK(symlink("../auth.json", in_folder(folder, "real/deep/auth.json")) == 0, "no link");
	store = open_store(in_folder(folder, "short/auth.json"), AGENTASSERT_LOCK_PROCESSES, 0);
	CHECK_LOAD(store, "identity", NULL);
	CHECK_CODE(swap(store, NULL, RECORD), "");
	check_content(in_folder(folder, "real/auth.json"), "{\"agent_identity\":" RECORD "}\n", "a link");
	CHECK(strcmp(names_in(in_folder(folder, "real")), "auth.json " LOCKS "deep ") == 0, "%s",
	      names_in(in_folder(folder, "real")));

	begin("links in a circle are no file");
	link = new_file(NULL);
	CHECK(symlink("auth.json", link) == 0, "no link");
	check_all(open_store(link, AGENTASSERT_LOCK_PROCESSES, 0), "auth_file_not_regular", "auth_file_not_regular",
		  "auth_file_not_regular", NULL);
}

static void test_relative(void)
{
	begin("a relative path is where the process was");
	const char *folder = new_folder();
	char here[4096];
	REQUIRE(getcwd(here, sizeof here) != NULL && chdir(folder) == 0, "no folder");
	agentassert_store *store = open_store("./x/../auth.json", AGENTASSERT_LOCK_PROCESSES, 0);
	REQUIRE(chdir(here) == 0, "no folder");
	CHECK_CODE(swap(store, NULL, RECORD), "");
	check_content(in_folder(folder, "auth.json"), "{\"agent_identity\":" RECORD "}\n", "a relative path");
}

static void test_records(void)
{
	begin("the slot backoff");
	const char *path = new_file(DOCUMENT);
	agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
	CHECK_CODE(save(store, "backoff", "{\"failures\":1}"), "");
	check_content(path_of(path, ".backoff"), "{\"failures\":1}", "backoff");
	CHECK_LOAD(open_store(path, AGENTASSERT_LOCK_PROCESSES, 0), "backoff", "{\"failures\":1}");
	check_content(path, DOCUMENT, "backoff");
	CHECK(strcmp(names_beside(path), "auth.json auth.json.backoff ") == 0, "%s", names_beside(path));
	CHECK_CODE(empty(store, "backoff"), "");
	CHECK_LOAD(store, "backoff", NULL);
	CHECK(strcmp(names_beside(path), "auth.json ") == 0, "%s", names_beside(path));
	write_file(path_of(path, ".backoff"), "");
	CHECK_LOAD(store, "backoff", NULL);
	CHECK_CODE(save(store, "instance", "{}"), "invalid_request");
	CHECK_CODE(save(store, "identity", "{}"), "invalid_request");

	begin("a slot that cannot be emptied");
	path = new_file(DOCUMENT);
	mkdir(path_of(path, ".backoff"), 0700);
	write_file(path_of(path, ".backoff/file"), "");
	store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
	const char *text;
	CHECK_CODE(empty(store, "backoff"), "auth_file_write_failed");
	CHECK_CODE(save(store, "backoff", RECORD), "auth_file_folder");
	CHECK_CODE(load(store, "backoff", &text), "auth_file_folder");
	CHECK(strcmp(names_beside(path), "auth.json auth.json.backoff ") == 0, "%s", names_beside(path));

	begin("a folder of threads that cannot be made");
	path = new_file(DOCUMENT);
	write_file(path_of(path, ".threads"), "not a folder");
	CHECK_CODE(save(open_store(path, AGENTASSERT_LOCK_PROCESSES, 0), "thread/1", RECORD), "auth_file_not_regular");
	check_content(path_of(path, ".threads"), "not a folder", "threads");
}

/* A thread's id is whatever a harness chose: no two share a file, and none leads out of the
 * folder. */
static void test_threads(void)
{
	begin("threads' slots");
	const char *path = new_file(DOCUMENT);
	agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
	char *longest = aa_alloc(memory, 4097), *long_one = aa_alloc(memory, 4096);
	memset(longest, 'x', 4096);
	memset(long_one, 'x', 4095);
	const char *ids[] = {"thread-1", "Thread-1", "a/b", "a",         "../auth.json", "..",    ".",
			     "C:\\x",    "con",      "a:b", "\xc3\xa4 ", " \xc3\xa4",    longest, long_one};
	size_t count = sizeof ids / sizeof ids[0];
	for (size_t i = 0; i < count; i++) {
		const char *slot = aa_format(memory, "thread/%s", ids[i]).data;
		CHECK_LOAD(store, slot, NULL);
		CHECK_CODE(save(store, slot, aa_format(memory, "{\"i\":%zu}", i).data), "");
	}
	for (size_t i = 0; i < count; i++) {
		CHECK_LOAD(open_store(path, AGENTASSERT_LOCK_PROCESSES, 0), aa_format(memory, "thread/%s", ids[i]).data,
			   aa_format(memory, "{\"i\":%zu}", i).data);
	}
	check_content(path, DOCUMENT, "threads");
	CHECK(strcmp(names_beside(path), "auth.json auth.json.threads ") == 0, "%s", names_beside(path));
	const char *month = aa_format(memory, "%.7s", names_in(path_of(path, ".threads"))).data;
	month = in_folder(path_of(path, ".threads"), month);
	CHECK(count_in(month) == (int)count, "%d", count_in(month));
	/* As the other hosts name it. */
	check_content(in_folder(month, "4b0a5fefc328e6b9257bc535e3c5d26fec36b52f92e277618bf5b30fc3885e58.json"),
		      "{\"i\":0}", "the first thread");
	for (size_t i = 0; i < count; i++) {
		const char *slot = aa_format(memory, "thread/%s", ids[i]).data;
		CHECK_CODE(empty(store, slot), "");
		CHECK_CODE(empty(store, slot), "");
		CHECK_LOAD(store, slot, NULL);
	}
}

/* A thread of the tests' that changes a store. */
struct worker {
	const char *path;
	int beside, number;
	agentassert_error error;
	pthread_t thread;
};

static void *save_all(void *self)
{
	struct worker *w = self;
	agentassert_file_store_options options = AGENTASSERT_FILE_STORE_OPTIONS;
	agentassert_store *store;
	if (agentassert_file_store(w->path, &options, &store, &w->error) != 0) {
		return NULL;
	}
	char record[32];
	snprintf(record, sizeof record, "{\"i\":%d}", w->number);
	if (store->swap(store->self, "identity", NULL, 0, RECORD, strlen(RECORD), &context, &w->error) != 0 &&
	    strcmp(w->error.code, "record_changed") == 0) {
		w->error.code[0] = 0;
	}
	if (w->error.code[0] == 0) {
		store->save(store->self, "backoff", record, strlen(record), &context, &w->error);
	}
	if (w->error.code[0] == 0) {
		store->save(store->self, "thread/1", RECORD, strlen(RECORD), &context, &w->error);
	}
	store->close(store->self);
	return NULL;
}

/* Adds one to what is stored, once. */
static void *count_one(void *self)
{
	struct worker *w = self;
	agentassert_file_store_options options = AGENTASSERT_FILE_STORE_OPTIONS;
	options.beside = w->beside;
	agentassert_store *store;
	if (agentassert_file_store(w->path, &options, &store, &w->error) != 0) {
		return NULL;
	}
	for (int i = 0; i < 1000; i++) {
		aa_arena *arena = aa_arena_new();
		struct agentassert_record_answer answer = {.arena = arena};
		w->error.code[0] = 0;
		if (store->load(store->self, "identity", &context, &answer, &w->error) == 0) {
			int number = atoi(aa_copy(arena, answer.record).data + strlen("{\"i\":"));
			aa_bytes next = aa_format(arena, "{\"i\":%d,\"by\":%d}", number + 1, w->number);
			store->swap(store->self, "identity", answer.record.data, answer.record.size, next.data,
				    next.size, &context, &w->error);
		}
		aa_arena_free(arena);
		if (strcmp(w->error.code, "record_changed") != 0) {
			break;
		}
	}
	store->close(store->self);
	return NULL;
}

#define WORKERS 8

static void run_workers(void *(*work)(void *), const char *path, int beside)
{
	struct worker workers[WORKERS];
	memset(workers, 0, sizeof workers);
	for (int i = 0; i < WORKERS; i++) {
		workers[i].path = path;
		workers[i].beside = beside;
		workers[i].number = i;
		REQUIRE(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0, "no thread");
	}
	for (int i = 0; i < WORKERS; i++) {
		pthread_join(workers[i].thread, NULL);
		CHECK(workers[i].error.code[0] == 0, "%s: %s", workers[i].error.code, workers[i].error.message);
	}
}

static void test_at_once(void)
{
	begin("saves at once do not undo each other");
	const char *path = new_file(DOCUMENT);
	run_workers(save_all, path, 0);
	check_content(path, WITH(RECORD), "saves at once");
	aa_bytes backoff = read_bytes(path_of(path, ".backoff"));
	CHECK(backoff.size == strlen("{\"i\":0}"), "%.*s", (int)backoff.size, backoff.data);
	CHECK(strcmp(names_beside(path), "auth.json auth.json.backoff auth.json.lock auth.json.threads auth.lock ") ==
		  0,
	      "%s", names_beside(path));
	for (int beside = 0; beside < 2; beside++) {
		begin("swaps at once come one after another");
		path = new_file(DOCUMENT);
		agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, beside);
		CHECK_CODE(swap(store, NULL, "{\"i\":0}"), "");
		run_workers(count_one, path, beside);
		const char *record;
		CHECK_CODE(load(store, "identity", &record), "");
		CHECK(record != NULL && strncmp(record, "{\"i\":8,", 7) == 0, "%s", record);
	}
}

/* Saves the identity and deletes it, again and again, until standard input ends. */
static void save_again(const void *path)
{
	agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
	fcntl(0, F_SETFL, O_NONBLOCK);
	char c;
	printf("ready\n");
	fflush(stdout);
	while (read(0, &c, 1) != 0) {
		CHECK_CODE(swap(store, NULL, OTHER), "");
		CHECK_CODE(swap(store, OTHER, NULL), "");
	}
}

static void test_readers(void)
{
	begin("who reads meanwhile gets the old file or the new one");
	const char *path = new_file(DOCUMENT);
	struct child writer = start_child(save_again, path);
	char line[64];
	read_line(&writer, line, sizeof line);
	int seen_old = 0, seen_new = 0;
	while (!seen_old || !seen_new) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		char content[1024];
		ssize_t size = fd < 0 ? -1 : read(fd, content, sizeof content);
		close(fd);
		REQUIRE(size > 0, "the file is not there");
		aa_bytes found = {content, (size_t)size};
		int is_old = aa_equal(found, text_of(DOCUMENT)), is_new = aa_equal(found, text_of(WITH(OTHER)));
		REQUIRE(is_old || is_new, "%.*s", (int)size, content);
		seen_old |= is_old;
		seen_new |= is_new;
	}
	CHECK(end_child(&writer) == 0, "the writer has failed");
	check_content(path, DOCUMENT, "who reads meanwhile");

	begin("a process that is killed while it saves");
	path = new_file(DOCUMENT);
	for (int i = 0; i < 5; i++) {
		writer = start_child(save_again, path);
		read_line(&writer, line, sizeof line);
		usleep((useconds_t)(1000 * i)); /* any moment will do */
		CHECK(was_killed(kill_child(&writer)), "it has ended");
		aa_bytes content = read_bytes(path);
		CHECK(aa_equal(content, text_of(DOCUMENT)) || aa_equal(content, text_of(WITH(OTHER))), "%.*s",
		      (int)content.size, content.data);
	}
	const char *home = aa_copy(memory, (aa_bytes){path, (size_t)(strrchr(path, '/') - path)}).data;
	for (const char *names = names_in(home); *names != 0;) {
		size_t size = strcspn(names, " ");
		set_age(in_folder(home, aa_copy(memory, (aa_bytes){names, size}).data), 7200);
		names += size + 1;
	}
	agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
	const char *record;
	CHECK_CODE(load(store, "identity", &record), "");
	CHECK_CODE(swap(store, record, RECORD), "");
	check_content(path, WITH(RECORD), "a process that is killed");
	CHECK(strcmp(names_beside(path), "auth.json " LOCKS) == 0, "%s", names_beside(path));
}

/* Another program, which writes the file in place while it is read. */
struct writing {
	const char *path;
	const char *const *contents;
	int next;
};

static void write_next(void *self, const aa_file_effect *effect, const char *path)
{
	struct writing *w = self;
	(void)path;
	if (effect->type == AA_FILE_WAIT && w->contents[w->next] != NULL) {
		write_file(w->path, w->contents[w->next++]);
	}
}

static void test_written_in_place(void)
{
	static const char *const pieces[] = {"{ \"later\":{\"b\":1", "{ \"later\":{\"b\":1,\"a\":[ ]},\r\n\t\"tok",
					     WITH(RECORD), NULL};
	begin("a file that is being written in place is read when it is whole");
	const char *path = new_file("");
	agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
	struct writing writing = {path, pieces, 0};
	aa_file_store_before(store, write_next, &writing);
	CHECK_LOAD(store, "identity", RECORD);

	begin("a file that is being written in place is kept by a save, too");
	path = new_file("{ \"later\":{\"b\":1,");
	static const char *const whole[] = {DOCUMENT, NULL};
	writing = (struct writing){path, whole, 0};
	store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
	aa_file_store_before(store, write_next, &writing);
	CHECK_CODE(swap(store, NULL, RECORD), "");
	check_content(path, WITH(RECORD), "a save");

	begin("a file that is being written in place is not waited for for ever, nor for nobody");
	path = new_file("");
	const char *text;
	CHECK_CODE(credentials(open_store(path, AGENTASSERT_LOCK_PROCESSES, 0), "kind", &text), "invalid_auth_json");
	write_file(path, "{ \"later\":{\"b\":1,");
	context.deadline = 0;
	const char *code = load(open_store(path, AGENTASSERT_LOCK_PROCESSES, 0), "identity", &text);
	CHECK(code[0] != 0, "it is waited for");
	context.deadline = INT64_MAX;
	check_content(path, "{ \"later\":{\"b\":1,", "a file that is being written");
}

/* What killed processes left is removed once it is old, and nothing else is. The names are those
 * that other hosts give, which know ours by the same. */
static void test_leftovers(void)
{
	begin("leftovers");
	const char *path = new_file(DOCUMENT);
	const char *home = aa_copy(memory, (aa_bytes){path, (size_t)(strrchr(path, '/') - path)}).data;
	static const char *const names[] = {
	    ".tmp-auth.json",           ".tmp-auth.jsonx2",       ".tmp-other4", "auth.json5", ".tmp-auth.json1",
	    ".tmp-auth.json4294967295", ".tmp-auth.json.backoff3"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		write_file(in_folder(home, names[i]), RECORD);
		set_age(in_folder(home, names[i]), 7200);
	}
	write_file(in_folder(home, ".tmp-auth.json6"), RECORD); /* may be in use */
	mkdir(in_folder(home, ".tmp-auth.json7"), 0700);
	set_age(in_folder(home, ".tmp-auth.json7"), 7200);
	CHECK_CODE(swap(open_store(path, AGENTASSERT_LOCK_PROCESSES, 0), NULL, RECORD), "");
	check_content(path, WITH(RECORD), "leftovers");
	CHECK(strcmp(names_in(home), ".tmp-auth.json .tmp-auth.json6 .tmp-auth.json7 .tmp-auth.jsonx2 .tmp-other4 "
				     "auth.json auth.json.lock auth.json5 auth.lock ") == 0,
	      "%s", names_in(home));
}

static void print_codes_without_room(const void *path)
{
	struct rlimit limit = {4096, 4096};
	signal(SIGXFSZ, SIG_IGN);
	CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0, "no limit");
	print_codes(path);
}

static void test_no_room(void)
{
	/* A limit on the size of files ends a write half-way, and needs no rights. */
	begin("a disk without room");
	const char *path = new_file("");
	char *large = aa_alloc(memory, 8193), output[512];
	memset(large, ' ', 8192);
	memcpy(large, DOCUMENT, sizeof DOCUMENT - 1);
	write_file(path, large);
	int status = run_child(print_codes_without_room, path, 0, output, sizeof output);
	CHECK(status == 0 && strcmp(output, "- - auth_file_write_failed auth_file_write_failed - - ") == 0, "%d: %s",
	      status, output);
	check_content(path, large, "a disk without room");
	CHECK(strcmp(names_beside(path), "auth.json auth.json.backoff auth.json.lock auth.json.registration.lock "
					 "auth.lock ") == 0,
	      "%s", names_beside(path));
}

/* Text of a credential that C would cut off is none. */
static void test_zero(void)
{
	begin("credentials with U+0000 in them");
	const char *path = new_file("{\"tokens\":{\"access_token\":\"t\",\"account_id\":\"acct-1\\u0000-2\"}}"), *text;
	CHECK_CODE(credentials(open_store(path, AGENTASSERT_LOCK_PROCESSES, 0), "kind", &text), "invalid_credentials");
}

static int count_descriptors(void)
{
	int count = 0;
	for (int fd = 0; fd < 1024; fd++) {
		count += fcntl(fd, F_GETFD) >= 0;
	}
	return count;
}

int main(int count, char **arguments)
{
	REQUIRE(count == 2, "the folder of the vectors is the argument");
	int before = count_descriptors();
	test_options();
	test_no_file();
	test_no_folder();
	test_files_of_no_use();
	test_largest();
	test_no_files();
	test_read_only_file();
	test_permissions();
	test_modes();
	test_invalid_records();
	test_save();
	test_swap();
	test_beside();
	test_captures(arguments[1]);
	test_links();
	test_relative();
	test_records();
	test_threads();
	test_at_once();
	test_readers();
	test_written_in_place();
	test_leftovers();
	test_no_room();
	test_zero();
	end_tests();
	CHECK(count_descriptors() == before, "%d descriptors, and %d before", count_descriptors(), before);
	return test_result();
}
