/* What the tests of the file store have in common: folders, files, processes, and a store's
 * methods as text goes in and out. */
#ifndef AGENTASSERT_TEST_FILE_TESTING_H
#define AGENTASSERT_TEST_FILE_TESTING_H

#include <sys/types.h>

#include "agentassert_file.h"
#include "context.h"
#include "file_values.h"
#include "file_store.h"

/* A document with members that the store does not own, in a form of its own. */
#define DOCUMENT                                                                                                       \
	"{ \"later\":{\"b\":1,\"a\":[ ]},\r\n\t\"tokens\":{\"access_token\":\"secret-token\","                         \
	"\"account_id\":\"acct-1\"} , \"last\":1.50e1}\n\n"
/* An identity; the secret in it must not be shown. And another one. */
#define RECORD "{\"agent_runtime_id\":\"agent-1\",\"agent_private_key\":\"secret-key\"}"
#define OTHER "{\"agent_runtime_id\":\"agent-1\"}"

/* The document with an identity. */
#define WITH(record)                                                                                                   \
	"{ \"later\":{\"b\":1,\"a\":[ ]},\r\n\t\"tokens\":{\"access_token\":\"secret-token\","                         \
	"\"account_id\":\"acct-1\"} , \"last\":1.50e1, \"agent_identity\":" record "}\n\n"

/* The core, and the context in which nobody gives up. */
extern agentassert *core;
extern agentassert_context context;

/* Memory of a test, which is freed with its folders when the next one begins. */
extern aa_arena *memory;

/* Opens the core; ends what the last test has left. */
void begin(const char *name);
void begin_without_core(void);
void end_tests(void);

/* Returns the path of a new folder, of a file in it, and of an auth.json that is alone in its
 * folder, with that content; or of none, for NULL. */
const char *new_folder(void);
const char *in_folder(const char *folder, const char *name);
const char *new_file(const char *content);
const char *path_of(const char *path, const char *end);

void write_file(const char *path, const char *content);
void write_bytes(const char *path, aa_bytes content);
aa_bytes read_bytes(const char *path);
int is_there(const char *path);
mode_t mode_of(const char *path);

/* Returns the names in the folder of a file, sorted, with a space behind each. */
const char *names_beside(const char *path);
const char *names_in(const char *folder);
int count_in(const char *folder);

void check_content(const char *path, const char *want, const char *what);

/* A store, opened with the options, or ends the test. */
agentassert_store *open_store(const char *path, agentassert_lock lock, int beside);

/* A store's methods. Each returns the code of its error, or "". */
const char *load(agentassert_store *store, const char *slot, const char **record);
const char *save(agentassert_store *store, const char *slot, const char *record);
const char *empty(agentassert_store *store, const char *slot);
const char *swap(agentassert_store *store, const char *expected, const char *record);
const char *probe(agentassert_store *store, const char *slot);
const char *credentials(agentassert_store *store, const char *member, const char **text);
const char *use_lock(agentassert_store *store, const char *slot);
const char *take_lock(agentassert_store *store, const char *slot, void **lock);
/* The message of the last error. */
extern agentassert_error last_error;

#define CHECK_CODE(call, want)                                                                                         \
	do {                                                                                                           \
		const char *code = (call);                                                                             \
		CHECK(strcmp(code, (want)) == 0, "%s, and not %s: %s", code, (want),                                   \
		      code[0] == 0 ? "" : last_error.message);                                                         \
		CHECK(strstr(last_error.message, "secret-") == NULL, "a secret in an error");                          \
	} while (0)

#define CHECK_LOAD(store, slot, want)                                                                                  \
	do {                                                                                                           \
		const char *record;                                                                                    \
		CHECK_CODE(load(store, slot, &record), "");                                                            \
		const char *wanted = (want);                                                                           \
		CHECK((record == NULL) == (wanted == NULL) && (record == NULL || strcmp(record, wanted) == 0),         \
		      "%s in slot %s, and not %s", record == NULL ? "nothing" : record, slot,                          \
		      wanted == NULL ? "nothing" : wanted);                                                            \
	} while (0)

/* Runs work in a process of its own, with what it prints handed back; as another user, unless
 * that is 0. Returns what waitpid says. */
int run_child(void (*work)(const void *), const void *argument, uid_t user, char *output, size_t room);

/* Reports whether another user gets at new folders: where those for temporary files are in one that
 * is closed to others, what is another user's cannot be tested. */
int others_get_in(void);

/* A process that goes on beside the test. It ends with its standard input. */
struct child {
	pid_t pid;
	int in, out;
};

struct child start_child(void (*work)(const void *), const void *argument);
void read_line(const struct child *child, char *line, size_t room);
int end_child(struct child *child);
int kill_child(struct child *child);

/* How a process ended that killed itself. */
int was_killed(int status);

/* Sets the time of a file's last change, in seconds before now. */
void set_age(const char *path, int seconds);

#endif
