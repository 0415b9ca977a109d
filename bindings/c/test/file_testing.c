#define _XOPEN_SOURCE 700 /* for nftw */
#include "posix.h"

#include "file_testing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "answers.h"
#include "clock.h"

agentassert *core;
agentassert_context context;
aa_arena *memory;
agentassert_error last_error;

static struct aa_cancel cancel;
static const char *folders[512];
static size_t folder_count;
static agentassert_store *stores[4096];
static size_t store_count;

static int remove_entry(const char *path, const struct stat *stat, int kind, struct FTW *walk)
{
	(void)stat, (void)kind, (void)walk;
	if (remove(path) != 0) {
		fprintf(stderr, "%s stays: %s\n", path, strerror(errno));
	}
	return 0;
}

/* Ends what the last test has left. */
static void clean_up(void)
{
	for (size_t i = 0; i < store_count; i++) {
		stores[i]->close(stores[i]->self);
	}
	for (size_t i = 0; i < folder_count; i++) {
		chmod(folders[i], 0700);
		nftw(folders[i], remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	}
	store_count = folder_count = 0;
	aa_arena_free(memory);
	memory = NULL;
}

void begin_without_core(void)
{
	if (context.cancel == NULL) {
		signal(SIGPIPE, SIG_IGN);
		REQUIRE(aa_cancel_init(&cancel) == 0, "no room");
		context = (struct agentassert_context){core, &cancel, AA_NEVER};
	}
	clean_up();
	memory = aa_arena_new();
}

void begin(const char *name)
{
	printf("%s\n", name);
	fflush(stdout);
	begin_without_core();
	if (core == NULL) {
		REQUIRE(agentassert_open(NULL, &core, &last_error) == 0, "%s", last_error.message);
		context.core = core;
	}
}

void end_tests(void)
{
	clean_up();
	agentassert_close(core);
	core = NULL;
	aa_cancel_destroy(&cancel);
}

const char *new_folder(void)
{
	const char *at = getenv("TMPDIR");
	char *path = aa_alloc(memory, 4096);
	snprintf(path, 4096, "%s/agentassert-XXXXXX", at == NULL ? "/tmp" : at);
	REQUIRE(mkdtemp(path) != NULL && folder_count < 512, "no folder %s", path);
	char *real = realpath(path, NULL);
	folders[folder_count] = aa_copy(memory, text_of(real)).data;
	free(real);
	return folders[folder_count++];
}

const char *in_folder(const char *folder, const char *name)
{
	return aa_format(memory, "%s/%s", folder, name).data;
}

const char *path_of(const char *path, const char *end)
{
	return aa_format(memory, "%s%s", path, end).data;
}

const char *new_file(const char *content)
{
	const char *path = in_folder(new_folder(), "auth.json");
	if (content != NULL) {
		write_file(path, content);
		chmod(path, 0600);
	}
	return path;
}

void write_bytes(const char *path, aa_bytes content)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0, "%s cannot be written", path);
	REQUIRE(write(fd, content.data, content.size) == (ssize_t)content.size, "%s is not written", path);
	close(fd);
}

void write_file(const char *path, const char *content)
{
	write_bytes(path, text_of(content));
}

aa_bytes read_bytes(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		return (aa_bytes){"", 0};
	}
	size_t room = (size_t)2 << 20;
	char *content = aa_alloc(memory, room);
	ssize_t size = read(fd, content, room - 1);
	close(fd);
	return (aa_bytes){content, size < 0 ? 0 : (size_t)size};
}

int is_there(const char *path)
{
	struct stat stat;
	return lstat(path, &stat) == 0;
}

mode_t mode_of(const char *path)
{
	struct stat found;
	return stat(path, &found) == 0 ? found.st_mode & 0777 : 0;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *names_in(const char *path)
{
	const char *names[256];
	size_t count = 0;
	DIR *folder = opendir(path);
	for (const struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL && count < 256;) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
			names[count++] = aa_copy(memory, text_of(entry->d_name)).data;
		}
	}
	if (folder != NULL) {
		closedir(folder);
	}
	qsort(names, count, sizeof names[0], compare_texts);
	const char *all = "";
	for (size_t i = 0; i < count; i++) {
		all = aa_format(memory, "%s%s ", all, names[i]).data;
	}
	return all;
}

int count_in(const char *folder)
{
	int count = 0;
	for (const char *names = names_in(folder); *names != 0; names++) {
		count += *names == ' ';
	}
	return count;
}

const char *names_beside(const char *path)
{
	return names_in(aa_copy(memory, (aa_bytes){path, (size_t)(strrchr(path, '/') - path)}).data);
}

void check_content(const char *path, const char *want, const char *what)
{
	aa_bytes content = read_bytes(path);
	CHECK(aa_equal(content, text_of(want)), "%s: in %s is %.*s and not %s", what, path, (int)content.size,
	      content.data, want);
}

agentassert_store *open_store(const char *path, agentassert_lock lock, int beside)
{
	agentassert_file_store_options options = AGENTASSERT_FILE_STORE_OPTIONS;
	options.lock = lock;
	options.beside = beside;
	agentassert_store *store;
	REQUIRE(agentassert_file_store(path, &options, &store, &last_error) == 0, "%s", last_error.message);
	REQUIRE(store_count < sizeof stores / sizeof stores[0], "too many stores");
	stores[store_count++] = store;
	return store;
}

/* Returns the code of an error. */
static const char *code_of(int result)
{
	CHECK(result == 0 || (result == -1 && last_error.code[0] != 0 && last_error.message[0] != 0),
	      "an error has a code and a message");
	return result == 0 ? "" : last_error.code;
}

const char *load(agentassert_store *store, const char *slot, const char **record)
{
	struct agentassert_record_answer answer = {.arena = memory};
	memset(&last_error, 0, sizeof last_error);
	int result = store->load(store->self, slot, &context, &answer, &last_error);
	CHECK(!answer.is_wrong && !answer.has_no_memory, "no such record");
	*record = answer.record.data == NULL ? NULL : aa_copy(memory, answer.record).data;
	return code_of(result);
}

const char *save(agentassert_store *store, const char *slot, const char *record)
{
	memset(&last_error, 0, sizeof last_error);
	return code_of(store->save(store->self, slot, record, strlen(record), &context, &last_error));
}

const char *empty(agentassert_store *store, const char *slot)
{
	memset(&last_error, 0, sizeof last_error);
	return code_of(store->remove(store->self, slot, &context, &last_error));
}

const char *swap(agentassert_store *store, const char *expected, const char *record)
{
	memset(&last_error, 0, sizeof last_error);
	return code_of(store->swap(store->self, "identity", expected, expected == NULL ? 0 : strlen(expected), record,
				   record == NULL ? 0 : strlen(record), &context, &last_error));
}

const char *probe(agentassert_store *store, const char *slot)
{
	memset(&last_error, 0, sizeof last_error);
	return code_of(store->probe(store->self, slot, &context, &last_error));
}

const char *credentials(agentassert_store *store, const char *member, const char **text)
{
	struct agentassert_credentials_answer answer = {.arena = memory};
	memset(&last_error, 0, sizeof last_error);
	int result = store->credentials(store->self, &context, &answer, &last_error);
	const aa_value *map = answer.credentials;
	if (strcmp(member, "problem") == 0) {
		map = aa_get_map(map, "problem");
		member = "code";
	}
	aa_bytes found = aa_get_text(map, member);
	*text = found.size == 0 ? "" : aa_copy(memory, found).data;
	return code_of(result);
}

const char *take_lock(agentassert_store *store, const char *slot, void **lock)
{
	memset(&last_error, 0, sizeof last_error);
	return code_of(store->lock(store->self, slot, &context, lock, &last_error));
}

const char *use_lock(agentassert_store *store, const char *slot)
{
	void *lock;
	const char *code = take_lock(store, slot, &lock);
	if (code[0] == 0) {
		store->unlock(store->self, lock);
	}
	return code;
}

/* Becomes the process that does the work, and ends with it. */
static void be_process(void (*work)(const void *), const void *argument, uid_t user, int in, int out)
{
	failures = 0;
	dup2(in, 0);
	dup2(out, 1);
	if (user != 0 && (setgid(user) != 0 || setuid(user) != 0)) {
		_exit(3);
	}
	work(argument);
	fflush(stdout);
	_exit(failures > 0 ? 2 : 0);
}

static struct child fork_child(void (*work)(const void *), const void *argument, uid_t user)
{
	int in[2], out[2];
	fflush(stdout);
	REQUIRE(pipe(in) == 0 && pipe(out) == 0, "no pipes");
	pid_t pid = fork();
	REQUIRE(pid >= 0, "no process");
	if (pid == 0) {
		close(in[1]);
		close(out[0]);
		be_process(work, argument, user, in[0], out[1]);
	}
	close(in[0]);
	close(out[1]);
	fcntl(in[1], F_SETFD, FD_CLOEXEC);
	fcntl(out[0], F_SETFD, FD_CLOEXEC);
	return (struct child){pid, in[1], out[0]};
}

struct child start_child(void (*work)(const void *), const void *argument)
{
	return fork_child(work, argument, 0);
}

void read_line(const struct child *child, char *line, size_t room)
{
	size_t size = 0;
	while (size + 1 < room && read(child->out, line + size, 1) == 1 && line[size] != '\n') {
		size++;
	}
	line[size] = 0;
}

static int wait_for(struct child *child)
{
	int status = -1;
	if (child->in >= 0) {
		close(child->in);
	}
	close(child->out);
	while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR) {
	}
	return status;
}

int end_child(struct child *child)
{
	close(child->in);
	child->in = -1;
	char line[256];
	do {
		read_line(child, line, sizeof line);
	} while (line[0] != 0);
	return wait_for(child);
}

int kill_child(struct child *child)
{
	kill(child->pid, SIGKILL);
	return wait_for(child);
}

int run_child(void (*work)(const void *), const void *argument, uid_t user, char *output, size_t room)
{
	struct child started = fork_child(work, argument, user);
	close(started.in);
	started.in = -1;
	size_t size = 0;
	ssize_t n;
	while (size + 1 < room && (n = read(started.out, output + size, room - size - 1)) > 0) {
		size += (size_t)n;
	}
	if (room > 0) {
		output[size] = 0;
	}
	return wait_for(&started);
}

static void look_into(const void *folder)
{
	failures += access(folder, X_OK) != 0;
}

int others_get_in(void)
{
	const char *folder = new_folder();
	chmod(folder, 0755);
	return geteuid() != 0 || run_child(look_into, folder, 65534, NULL, 0) == 0;
}

int was_killed(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

void set_age(const char *path, int seconds)
{
	struct timespec times[2] = {{.tv_sec = time(NULL) - seconds}, {.tv_sec = time(NULL) - seconds}};
	utimensat(AT_FDCWD, path, times, 0);
}
