/* The file is somebody else's: on every kind of mount, of every owner, and with every version of
 * the client beside us, it is no worse off. Go has the same tests in host/authfile. */
#if defined(__linux__)
#define _GNU_SOURCE 1 /* for mounts of one's own */
#include <sched.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#endif
#include "posix.h"

#include "file_testing.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

#define LOCKS "auth.json.lock auth.lock "

static ino_t inode_of(const char *path)
{
	struct stat found;
	return stat(path, &found) == 0 ? found.st_ino : 0;
}

/* Replaces the identity once, whichever there is. */
static void swap_once(const void *path)
{
	agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
	const char *record = NULL;
	CHECK_CODE(load(store, "identity", &record), "");
	CHECK_CODE(swap(store, record, OTHER), "");
}

#if defined(__linux__)

/* The two places of a mount. */
struct mounted {
	const char *from, *at;
};

/* Gives this process mounts of its own. */
static int leave_mounts(void)
{
	return unshare(CLONE_NEWNS) == 0 && mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0;
}

static void try_mounts(const void *argument)
{
	(void)argument;
	failures += !leave_mounts();
}

static void swap_mounted(const void *argument)
{
	const struct mounted *m = argument;
	CHECK(leave_mounts() && mount(m->from, m->at, "none", MS_BIND, NULL) == 0, "no mount: %s", strerror(errno));
	swap_once(m->at);
	agentassert_store *store = open_store(m->at, AGENTASSERT_LOCK_PROCESSES, 0);
	CHECK_CODE(probe(store, "identity"), "");
}

static void use_read_only(const void *argument)
{
	const struct mounted *m = argument;
	CHECK(leave_mounts() && mount(m->from, m->from, "none", MS_BIND, NULL) == 0 &&
		  mount("none", m->from, "none", MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0,
	      "no mount: %s", strerror(errno));
	agentassert_store *store = open_store(m->at, AGENTASSERT_LOCK_PROCESSES, 0);
	const char *text;
	CHECK_CODE(credentials(store, "kind", &text), "");
	CHECK_LOAD(store, "identity", RECORD);
	CHECK_CODE(probe(store, "identity"), "store_read_only");
	CHECK_CODE(swap(store, RECORD, OTHER), "store_read_only");
	CHECK_CODE(save(store, "backoff", OTHER), "store_read_only");
	CHECK_CODE(probe(store, "thread/1"), "store_read_only");
	CHECK_CODE(save(store, "thread/1", OTHER), "store_read_only");
	CHECK_CODE(use_lock(store, "identity"), "store_read_only");
	CHECK_CODE(use_lock(store, "thread/1"), "store_read_only");
}

/* Fills a file system of 64 KiB. */
static void use_full(const void *argument)
{
	const struct mounted *m = argument;
	CHECK(leave_mounts() && mount("tmpfs", m->from, "tmpfs", 0, "size=64k") == 0, "no mount: %s", strerror(errno));
	const char *path = in_folder(m->from, "auth.json"), *filler = in_folder(m->from, "filler");
	write_file(path, DOCUMENT);
	char block[1024] = {0};
	int fd = open(filler, O_WRONLY | O_CREAT, 0600);
	while (write(fd, block, sizeof block) > 0) {
	}
	CHECK(errno == ENOSPC, "%s", strerror(errno));
	close(fd);
	agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
	CHECK_CODE(swap(store, NULL, RECORD), "auth_file_write_failed");
	CHECK(strstr(last_error.message, strerror(ENOSPC)) != NULL, "%s", last_error.message);
	CHECK_CODE(save(store, "backoff", RECORD), "auth_file_write_failed");
	CHECK_CODE(probe(store, "identity"), "auth_file_write_failed");
	CHECK_CODE(probe(store, "thread/1"), "auth_file_write_failed");
	check_content(path, DOCUMENT, "a disk that is full");
	CHECK(strstr(names_in(m->from), ".tmp-") == NULL, "%s", names_in(m->from));
	write_file(filler, "");
	CHECK_CODE(probe(store, "identity"), "");
	CHECK_CODE(swap(store, NULL, RECORD), "");
	check_content(path, WITH(RECORD), "a disk with room again");
}

static void test_mounts(void)
{
	char output[512];
	begin("mounts");
	if (run_child(try_mounts, NULL, 0, output, sizeof output) != 0) {
		printf("skipped: no right to mount\n");
		return;
	}
	begin("a file that is mounted by itself is written over");
	struct mounted m = {new_file(DOCUMENT), new_file("")};
	ino_t before = inode_of(m.from);
	CHECK(run_child(swap_mounted, &m, 0, output, sizeof output) == 0, "it failed");
	check_content(m.from, WITH(OTHER), "a mount");
	CHECK(inode_of(m.from) == before, "it is another file");
	CHECK(strcmp(names_beside(m.at), "auth.json " LOCKS) == 0, "%s", names_beside(m.at));
	check_content(m.at, "", "below the mount");

	begin("a mount that is read-only is read");
	const char *folder = new_folder();
	m = (struct mounted){folder, in_folder(folder, "auth.json")};
	write_file(m.at, WITH(RECORD));
	CHECK(run_child(use_read_only, &m, 0, output, sizeof output) == 0, "it failed");
	check_content(m.at, WITH(RECORD), "a mount");
	CHECK(strcmp(names_in(folder), "auth.json ") == 0, "%s", names_in(folder));

	begin("a disk that is full");
	m = (struct mounted){new_folder(), NULL};
	CHECK(run_child(use_full, &m, 0, output, sizeof output) == 0, "it failed");
}

/* An access control list, as Linux has it: the owner rw, user 4243 r, the group none, mask r,
 * others none. And one that a folder gives to what is made in it. */
static const unsigned char access_list[] = {2, 0,   0,   0,   1,   0,   6,  0, 255, 255, 255, 255, 2,   0,  4,
					    0, 147, 16,  0,   0,   4,   0,  0, 0,   255, 255, 255, 255, 16, 0,
					    4, 0,   255, 255, 255, 255, 32, 0, 0,   0,   255, 255, 255, 255};

static int has_list(const char *path, const unsigned char *list, size_t size)
{
	unsigned char found[256];
	ssize_t n = getxattr(path, "system.posix_acl_access", found, sizeof found);
	return n == (ssize_t)size && memcmp(found, list, size) == 0;
}

static void test_access_lists(void)
{
	begin("an access control list stays");
	const char *path = new_file(DOCUMENT);
	if (setxattr(path, "system.posix_acl_access", access_list, sizeof access_list, 0) != 0) {
		printf("skipped: no access control lists: %s\n", strerror(errno));
		return;
	}
	ino_t before = inode_of(path);
	agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
	CHECK_CODE(swap(store, NULL, RECORD), "");
	CHECK_CODE(save(store, "backoff", RECORD), "");
	CHECK_CODE(save(store, "thread/1", RECORD), "");
	CHECK(inode_of(path) != before, "it was not replaced");
	CHECK(has_list(path, access_list, sizeof access_list), "it has another list");
	CHECK(has_list(path_of(path, ".backoff"), access_list, sizeof access_list), "backoff has another list");
	CHECK(has_list(path_of(path, ".lock"), access_list, sizeof access_list), "the lock has another list");
	unsigned char of_folder[sizeof access_list];
	memcpy(of_folder, access_list, sizeof access_list);
	for (size_t i = 4; i < sizeof of_folder; i += 8) {
		of_folder[i + 2] |= (of_folder[i + 2] & 4) != 0 ? 1 : 0; /* who may read may look, too */
	}
	CHECK(has_list(path_of(path, ".threads"), of_folder, sizeof of_folder), "threads has another list");

	begin("an access control list that the folder gives is taken away");
	const char *folder = new_folder();
	path = in_folder(folder, "auth.json");
	write_file(path, DOCUMENT);
	CHECK(setxattr(folder, "system.posix_acl_default", access_list, sizeof access_list, 0) == 0, "%s",
	      strerror(errno));
	before = inode_of(path);
	CHECK_CODE(swap(open_store(path, AGENTASSERT_LOCK_PROCESSES, 0), NULL, RECORD), "");
	CHECK(inode_of(path) != before, "it was not replaced");
	CHECK(getxattr(path, "system.posix_acl_access", NULL, 0) <= 0, "it has a list");
	CHECK(mode_of(path) == 0600, "%o", mode_of(path));

	begin("extended attributes stay");
	path = new_file(DOCUMENT);
	if (setxattr(path, "user.note", "kept", 4, 0) != 0) {
		printf("skipped: no extended attributes: %s\n", strerror(errno));
		return;
	}
	CHECK_CODE(swap(open_store(path, AGENTASSERT_LOCK_PROCESSES, 0), NULL, RECORD), "");
	char note[8] = {0};
	CHECK(getxattr(path, "user.note", note, sizeof note) == 4 && strcmp(note, "kept") == 0, "%s", note);
}

#endif

static void test_hard_links(void)
{
	begin("a file with more names keeps them");
	const char *path = new_file(DOCUMENT), *other = in_folder(new_folder(), "other");
	CHECK(link(path, other) == 0, "no link");
	agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
	CHECK_CODE(probe(store, "identity"), "");
	check_content(path, DOCUMENT, "a probe");
	CHECK_CODE(swap(store, NULL, RECORD), "");
	check_content(other, WITH(RECORD), "a link");
	CHECK(inode_of(path) == inode_of(other), "it has lost a name");
	/* What is shorter leaves nothing behind it. */
	CHECK_CODE(swap(store, RECORD, NULL), "");
	check_content(other, DOCUMENT, "shorter");
	CHECK(strcmp(names_beside(path), "auth.json " LOCKS) == 0, "%s", names_beside(path));
}

static void check_owner(const char *path, uid_t owner, gid_t group, mode_t mode)
{
	struct stat found;
	CHECK(lstat(path, &found) == 0 && found.st_uid == owner && found.st_gid == group &&
		  (found.st_mode & 0777) == mode,
	      "%s: %u %u %o", path, found.st_uid, found.st_gid, found.st_mode & 0777);
}

/* Stores as a member of the target's group. */
static void store_as_member(const void *path)
{
	agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
	CHECK_CODE(swap(store, NULL, RECORD), "");
	CHECK_CODE(save(store, "backoff", RECORD), "");
}

static void become_member(const void *path)
{
	CHECK(setgid(4242) == 0 && setuid(4243) == 0, "no other user");
	store_as_member(path);
}

static void test_owners(void)
{
	begin("owner, group and mode");
	if (geteuid() != 0 || !others_get_in()) {
		printf("skipped: needs root, and a folder for temporary files that others get at\n");
		return;
	}
	const char *folder = new_folder(), *path = in_folder(folder, "auth.json");
	write_file(path, DOCUMENT);
	CHECK(chmod(folder, 02775) == 0 && chown(folder, 0, 4242) == 0, "chown");
	CHECK(chown(path, 4241, 4242) == 0 && chmod(path, 0660) == 0, "chown");
	agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
	CHECK_CODE(swap(store, NULL, RECORD), "");
	CHECK_CODE(save(store, "backoff", RECORD), "");
	CHECK_CODE(save(store, "thread/1", RECORD), "");
	const char *month = aa_format(memory, ".threads/%.7s", names_in(path_of(path, ".threads"))).data;
	check_owner(path, 4241, 4242, 0660);
	check_owner(path_of(path, ".backoff"), 4241, 4242, 0660);
	check_owner(path_of(path, ".lock"), 4241, 4242, 0660);
	check_owner(path_of(path, ".threads"), 4241, 4242, 0770);
	check_owner(path_of(path, month), 4241, 4242, 0770);
	check_content(path, WITH(RECORD), "an owner");

	/* Another of the group cannot give it away, and writes over it. */
	begin("a file of another owner, in one's group");
	folder = new_folder();
	path = in_folder(folder, "auth.json");
	write_file(path, DOCUMENT);
	CHECK(chown(folder, 4241, 4242) == 0 && chmod(folder, 02770) == 0, "chown");
	CHECK(chown(path, 4241, 4242) == 0 && chmod(path, 0660) == 0, "chown");
	ino_t before = inode_of(path);
	char output[64];
	CHECK(run_child(become_member, path, 0, output, sizeof output) == 0, "it failed");
	check_content(path, WITH(RECORD), "another owner");
	CHECK(inode_of(path) == before, "it was replaced");
	check_owner(path, 4241, 4242, 0660);
	check_owner(path_of(path, ".backoff"), 4243, 4242, 0660);
	check_owner(path_of(path, ".lock"), 4243, 4242, 0660);

	begin("of a file that there was not owner and group are its folder's");
	folder = new_folder();
	path = in_folder(folder, "auth.json");
	CHECK(chown(folder, 4241, 4242) == 0, "chown");
	CHECK_CODE(swap(open_store(path, AGENTASSERT_LOCK_PROCESSES, 0), NULL, RECORD), "");
	check_owner(path, 4241, 4242, 0600);
}

/* A client up to 0.168, which writes the file in place, and takes no lock: over what is open. Its
 * refresh tokens are for one use, and who loses one is signed out. */
struct client {
	const char *path;
	int is_linked, is_open_before; /* whether the file has two names; whether it is open */
	int early;                     /* the file that it has had open, or -1 */
	int at, effects;               /* before which effect it writes */
	char name[64];                 /* that effect's */
	int is_late;
};

static const char *name_of(const aa_file_effect *effect, char *name, size_t room)
{
	snprintf(name, room, "%s%s%.*s", aa_file_effect_name(effect->type), effect->name.size > 0 ? " " : "",
		 (int)effect->name.size, effect->name.data == NULL ? "" : effect->name.data);
	return name;
}

#define REFRESHED                                                                                                      \
	"{ \"later\":{\"b\":1,\"a\":[ ]},\r\n\t\"tokens\":{\"access_token\":\"secret-token-that-is-new\","             \
	"\"account_id\":\"acct-1\"} , \"last\":1.50e1}\n\n"
#define WITH_BOTH                                                                                                      \
	"{ \"later\":{\"b\":1,\"a\":[ ]},\r\n\t\"tokens\":{\"access_token\":\"secret-token-that-is-new\","             \
	"\"account_id\":\"acct-1\"} , \"last\":1.50e1, \"agent_identity\":" RECORD "}\n\n"

static void refresh(void *self, const aa_file_effect *effect, const char *path)
{
	struct client *c = self;
	char name[64];
	(void)path;
	name_of(effect, name, sizeof name);
	if (++c->effects != c->at) {
		/* Whoever has the old file open and writes to it later writes to nobody's file. */
		c->is_late |=
		    c->is_open_before && !c->is_linked && c->name[0] == 0 && strcmp(name, "read previous") == 0;
		return;
	}
	/* Nobody can compare and write at once: that one step is left. */
	if (strcmp(name, "write target") == 0) {
		return;
	}
	memcpy(c->name, name, sizeof name);
	c->is_late |= strcmp(name, "list leftovers") == 0 || strncmp(name, "unlock ", 7) == 0;
	int fd = c->early >= 0 ? c->early : open(c->path, O_RDWR | O_CLOEXEC);
	CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, REFRESHED, strlen(REFRESHED), 0) > 0, "no write");
	close(fd);
	c->early = -1;
}

static void test_refreshes(void)
{
	for (int i = 0; i < 4; i++) {
		begin("a client that refreshes its tokens meanwhile keeps them");
		for (int at = 1, effects = at; effects >= at && at < 100; at++) {
			const char *path = new_file(DOCUMENT);
			struct client c = {
			    .path = path, .is_linked = i & 1, .is_open_before = i >> 1, .early = -1, .at = at};
			if (c.is_linked) {
				CHECK(link(path, path_of(path, "-other")) == 0, "no link");
			}
			if (c.is_open_before) {
				c.early = open(path, O_RDWR | O_CLOEXEC);
			}
			agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
			aa_file_store_before(store, refresh, &c);
			CHECK_CODE(swap(store, NULL, RECORD), "");
			if (c.name[0] != 0 && !(c.is_late && c.is_open_before && !c.is_linked)) {
				/* What it writes after our last look has no identity. */
				check_content(path, c.is_late ? REFRESHED : WITH_BOTH, c.name);
			}
			if (c.early >= 0) {
				close(c.early);
			}
			effects = c.effects;
		}
	}
}

/* A process that ends in the middle. */
struct killed {
	const char *path;
	int kill_before; /* before which effect */
	ssize_t torn;    /* how much of a write over the target it still writes then, or -1 */
	int effects;
	char name[64]; /* the effect that is looked for, or nothing */
	int found;     /* and where it was found */
};

static void count_or_die(void *self, const aa_file_effect *effect, const char *path)
{
	struct killed *k = self;
	char name[64];
	k->effects++;
	if (k->name[0] != 0 && strcmp(name_of(effect, name, sizeof name), k->name) == 0) {
		k->found = k->effects;
	}
	if (k->effects != k->kill_before) {
		return;
	}
	if (effect->type == AA_FILE_WRITE && k->torn >= 0) {
		int fd = open(path, O_WRONLY | O_CLOEXEC);
		CHECK(pwrite(fd, effect->content.data, (size_t)k->torn, 0) == k->torn, "no write");
	}
	kill(getpid(), SIGKILL);
}

static void swap_and_die(const void *argument)
{
	struct killed k = *(const struct killed *)argument;
	agentassert_store *store = open_store(k.path, AGENTASSERT_LOCK_PROCESSES, 0);
	aa_file_store_before(store, count_or_die, &k);
	CHECK_CODE(swap(store, NULL, OTHER), "");
}

/* Whatever was killed where: the next reader finds the old identity or the new one, and all
 * else. */
static void check_whole(const char *path, const char *where)
{
	agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
	const char *record = NULL;
	CHECK_CODE(load(store, "identity", &record), "");
	CHECK(record == NULL || strcmp(record, OTHER) == 0, "%s: %s", where, record);
	check_content(path, record == NULL ? DOCUMENT : WITH(OTHER), where);
	/* And the next writer goes on from there. */
	CHECK_CODE(swap(store, record, RECORD), "");
	check_content(path, WITH(RECORD), where);
	CHECK(!is_there(path_of(path, ".journal")), "%s: there is a journal", where);
}

static const char *new_target(int is_linked)
{
	const char *path = new_file(DOCUMENT);
	if (is_linked) {
		CHECK(link(path, path_of(path, "-other")) == 0, "no link");
	}
	return path;
}

static void test_killed(void)
{
	char output[64];
	for (int is_linked = 0; is_linked < 2; is_linked++) {
		begin("a process that is killed at any point while it writes");
		struct killed whole = {.path = new_target(is_linked), .torn = -1, .name = "write target"};
		agentassert_store *store = open_store(whole.path, AGENTASSERT_LOCK_PROCESSES, 0);
		aa_file_store_before(store, count_or_die, &whole);
		CHECK_CODE(swap(store, NULL, OTHER), "");
		CHECK(whole.effects > 8 && (whole.found > 0) == is_linked, "%d effects", whole.effects);
		for (int at = 1; at <= whole.effects; at++) {
			struct killed k = {.path = new_target(is_linked), .kill_before = at, .torn = -1};
			CHECK(was_killed(run_child(swap_and_die, &k, 0, output, sizeof output)), "it has ended");
			check_whole(k.path, aa_format(memory, "before effect %d", at).data);
		}
		const ssize_t sizes[] = {1, (ssize_t)strlen(DOCUMENT) - 3, (ssize_t)strlen(DOCUMENT),
					 (ssize_t)strlen(WITH(OTHER)) - 1};
		for (size_t i = 0; is_linked && i < 4; i++) {
			struct killed k = {.path = new_target(1), .kill_before = whole.found, .torn = sizes[i]};
			CHECK(was_killed(run_child(swap_and_die, &k, 0, output, sizeof output)), "it has ended");
			check_whole(k.path, aa_format(memory, "after %zd bytes", sizes[i]).data);
		}
	}
}

/* Puts something else in a file's place. Returns 0 if there is no right to. */
static int make_odd(int kind, const char *path, const char *elsewhere)
{
	switch (kind) {
	case 0:
		return symlink(elsewhere, path) == 0;
	case 1:
		return mkfifo(path, 0600) == 0;
	case 2:
		return mkdir(path, 0700) == 0;
	}
#if defined(__linux__)
	return mknod(path, S_IFCHR | 0600, makedev(1, 5)) == 0;
#else
	return 0;
#endif
}

static void check_odd(const char *code)
{
	CHECK(code[0] == 0 || strncmp(code, "auth_file_", 10) == 0 || strcmp(code, "record_changed") == 0, "%s", code);
}

static void test_odd_files(void)
{
	static const char *const ends[] = {".backoff", ".journal", ".lock", ".registration.lock",
					   ".locks",   ".threads", ""};
	for (int i = 0; i < 4 * 7; i++) {
		int kind = i / 7;
		const char *end = ends[i % 7], *text;
		if ((kind == 0 && end[0] == 0) || (kind == 2 && i % 7 >= 4)) {
			continue; /* which is followed; where a folder belongs, or is another's test */
		}
		begin(aa_format(memory, "a link, a pipe, a folder, a device (%d) as auth.json%s", kind, end).data);
		const char *path = new_file(end[0] == 0 ? NULL : DOCUMENT), *elsewhere = new_file(RECORD);
		if (!make_odd(kind, path_of(path, end), elsewhere)) {
			printf("skipped: %s\n", strerror(errno));
			continue;
		}
		agentassert_store *store;
		agentassert_file_store_options options = AGENTASSERT_FILE_STORE_OPTIONS;
		options.lock_timeout_ms = 1000;
		REQUIRE(agentassert_file_store(path, &options, &store, NULL) == 0, "no store");
		check_odd(credentials(store, "kind", &text));
		check_odd(load(store, "identity", &text));
		check_odd(load(store, "backoff", &text));
		check_odd(load(store, "thread/1", &text));
		check_odd(probe(store, "identity"));
		check_odd(swap(store, NULL, RECORD));
		check_odd(save(store, "thread/1", RECORD));
		check_odd(use_lock(store, "identity"));
		check_odd(use_lock(store, "thread/1"));
		if (strcmp(end, ".backoff") == 0) {
			CHECK_CODE(load(store, "backoff", &text),
				   kind == 2 ? "auth_file_folder" : "auth_file_not_regular");
			CHECK_CODE(save(store, "backoff", "{}"), kind == 2 ? "auth_file_folder" : "");
		}
		struct stat found;
		int is_file = lstat(path_of(path, end), &found) == 0 && S_ISREG(found.st_mode);
		CHECK(is_file == (strcmp(end, ".backoff") == 0 && kind != 2),
		      "something took its place, or nothing did");
		check_content(elsewhere, RECORD, end);
		CHECK(strcmp(names_beside(elsewhere), "auth.json ") == 0, "%s", names_beside(elsewhere));
		store->close(store->self);
	}

	begin("a folder of a month that leads elsewhere is not used");
	const char *path = new_file(DOCUMENT), *elsewhere = new_folder(), *text;
	agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
	CHECK_CODE(save(store, "thread/1", RECORD), "");
	const char *month = path_of(path, aa_format(memory, ".threads/%.7s", names_in(path_of(path, ".threads"))).data);
	const char *name = aa_format(memory, "%.69s", names_in(month)).data;
	write_file(in_folder(elsewhere, name), RECORD);
	CHECK(unlink(in_folder(month, name)) == 0 && rmdir(month) == 0 && symlink(elsewhere, month) == 0, "no link");
	CHECK_CODE(load(store, "thread/1", &text), "auth_file_not_regular");
	CHECK_CODE(save(store, "thread/1", RECORD), "auth_file_not_regular");
	CHECK_CODE(empty(store, "thread/1"), "auth_file_not_regular");
	CHECK(count_in(elsewhere) == 1, "%s", names_in(elsewhere));
}

/* What a store did. */
struct seen {
	char names[64][64];
	int count;
};

static void note(void *self, const aa_file_effect *effect, const char *path)
{
	struct seen *seen = self;
	(void)path;
	if (seen->count < 64) {
		name_of(effect, seen->names[seen->count++], sizeof seen->names[0]);
	}
}

static void test_threads(void)
{
	begin("threads cost the same, however many there are");
	const char *path = new_file(DOCUMENT);
	struct seen seen = {.count = 0};
	agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
	aa_file_store_before(store, note, &seen);
	CHECK_CODE(save(store, "thread/1", RECORD), "");
	CHECK_LOAD(store, "thread/1", RECORD);
	CHECK_CODE(empty(store, "thread/1"), "");
	int lists = 0;
	for (int i = 0; i < seen.count; i++) {
		lists += strncmp(seen.names[i], "list", 4) == 0;
	}
	CHECK(lists == 1 && seen.count < 20, "%d lists in %d effects", lists, seen.count);

	begin("threads go a few at a time when nobody has used them for 90 days");
	path = new_file(DOCUMENT);
	store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
	CHECK_CODE(save(store, "thread/1", RECORD), "");
	const char *threads = path_of(path, ".threads"), *old = in_folder(threads, "2020-01");
	const char *month = in_folder(threads, aa_format(memory, "%.7s", names_in(threads)).data);
	const char *name = aa_format(memory, "%.69s", names_in(month)).data;
	mkdir(old, 0700);
	for (int i = 0; i < 20; i++) {
		write_file(in_folder(old, aa_format(memory, "%02x%s", i, name + 2).data), RECORD);
	}
	write_file(in_folder(threads, "note"), "somebody's");
	CHECK_CODE(save(store, "thread/2", RECORD), "");
	CHECK(count_in(old) == 4, "%d", count_in(old));
	CHECK_CODE(save(store, "thread/2", RECORD), "");
	CHECK_CODE(save(store, "thread/2", RECORD), "");
	CHECK(!is_there(old) && is_there(in_folder(threads, "note")), "%s", names_in(threads));

	begin("threads that are used stay");
	path = new_file(DOCUMENT);
	store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
	CHECK_CODE(save(store, "thread/1", RECORD), "");
	threads = path_of(path, ".threads");
	month = aa_format(memory, "%.7s", names_in(threads)).data;
	int year = atoi(month), number = atoi(month + 5);
	const char *last =
	    aa_format(memory, "%s/%04d-%02d", threads, number == 1 ? year - 1 : year, number == 1 ? 12 : number - 1)
		.data;
	month = in_folder(threads, month);
	name = aa_format(memory, "%.69s", names_in(month)).data;
	mkdir(last, 0700);
	write_file(in_folder(last, name), RECORD);
	CHECK(unlink(in_folder(month, name)) == 0, "no thread");
	CHECK_LOAD(store, "thread/1", RECORD);
	CHECK(count_in(month) == 1 && count_in(last) == 0, "%s and %s", names_in(month), names_in(last));
}

static void test_missing(void)
{
	static const struct {
		const char *path, *config, *want;
	} cases[] = {
	    {NULL, NULL, "auth_file_missing"},
	    {"~/.codex/auth.json", NULL, "auth_file_tilde"},
	    {"~user/auth.json", NULL, "auth_file_tilde"},
	    {NULL, "a = 1\ncli_auth_credentials_store = \"keyring\"\n", "auth_file_keyring"},
	    {NULL, "\tcli_auth_credentials_store='auto'", "auth_file_keyring"},
	    {NULL, "# cli_auth_credentials_store = \"keyring\"\n", "auth_file_missing"},
	    {NULL, "cli_auth_credentials_store = \"file\"\n", "auth_file_missing"},
	    {NULL, "cli_auth_credentials_store", "auth_file_missing"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		begin(aa_format(memory, "no auth.json says why: %s", cases[i].want).data);
		const char *folder = new_folder(), *text;
		if (cases[i].config != NULL) {
			write_file(in_folder(folder, "real"), cases[i].config);
			CHECK(symlink("real", in_folder(folder, "config.toml")) == 0, "no link");
		}
		const char *path = cases[i].path == NULL ? in_folder(folder, "auth.json") : cases[i].path;
		agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
		CHECK_CODE(credentials(store, "kind", &text), "");
		CHECK(strcmp(text, "none") == 0, "%s", text);
		CHECK_CODE(credentials(store, "problem", &text), "");
		CHECK(strcmp(text, cases[i].want) == 0, "%s", text);
	}
}

/* Holds a lock of another program's until standard input ends. */
static void hold(const void *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char c;
	CHECK(flock(fd, LOCK_EX) == 0, "no lock");
	printf("locked\n");
	fflush(stdout);
	while (read(0, &c, 1) > 0) {
	}
	close(fd);
}

static int is_free(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int result = flock(fd, LOCK_EX | LOCK_NB);
	close(fd);
	return result == 0;
}

/* A swap in a thread of its own. */
struct swapping {
	agentassert_store *store;
	agentassert_error error;
	int result;
};

static void *swap_in_thread(void *self)
{
	struct swapping *s = self;
	s->result = s->store->swap(s->store->self, "identity", NULL, 0, RECORD, strlen(RECORD), &context, &s->error);
	return NULL;
}

static void test_client_locks(void)
{
	begin("the client's locks are taken in its order, and not while anything else is done");
	const char *path = new_file(DOCUMENT), *text;
	struct seen seen = {.count = 0};
	agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
	aa_file_store_before(store, note, &seen);
	CHECK_CODE(swap(store, NULL, RECORD), "");
	CHECK(strcmp(seen.names[0], "lock client-lock") == 0 && strcmp(seen.names[1], "lock target-lock") == 0,
	      "%s, %s", seen.names[0], seen.names[1]);
	CHECK(strcmp(seen.names[seen.count - 2], "unlock target-lock") == 0 &&
		  strcmp(seen.names[seen.count - 1], "unlock client-lock") == 0,
	      "%s, %s", seen.names[seen.count - 2], seen.names[seen.count - 1]);
	seen.count = 0;
	CHECK_CODE(load(store, "identity", &text), "");
	CHECK_CODE(save(store, "backoff", RECORD), "");
	CHECK_CODE(save(store, "thread/1", RECORD), "");
	CHECK_CODE(use_lock(store, "identity"), "");
	for (int i = 0; i < seen.count; i++) {
		CHECK(strstr(seen.names[i], "lock") == NULL, "%s", seen.names[i]);
	}

	for (int i = 0; i < 2; i++) {
		begin("a lock of the client's is waited for");
		path = new_file(DOCUMENT);
		const char *home = aa_copy(memory, (aa_bytes){path, (size_t)(strrchr(path, '/') - path)}).data;
		struct child holder = start_child(hold, in_folder(home, i == 0 ? "auth.lock" : "auth.json.lock"));
		char line[64];
		read_line(&holder, line, sizeof line);
		CHECK(strcmp(line, "locked") == 0, "%s", line);
		struct swapping s = {.store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0)};
		pthread_t thread;
		REQUIRE(pthread_create(&thread, NULL, swap_in_thread, &s) == 0, "no thread");
		usleep(20000); /* it may be waiting by now, or not */
		check_content(path, DOCUMENT, "while it is locked");
		CHECK(end_child(&holder) == 0, "the holder failed");
		pthread_join(thread, NULL);
		CHECK(s.result == 0, "%s", s.error.message);
		check_content(path, WITH(RECORD), "when it was free");
	}

	begin("the client's locks are had beside a target that is not called .json, too");
	const char *folder = new_folder();
	write_file(in_folder(folder, "codex-auth"), DOCUMENT);
	CHECK_CODE(swap(open_store(in_folder(folder, "codex-auth"), AGENTASSERT_LOCK_PROCESSES, 0), NULL, RECORD), "");
	CHECK(strcmp(names_in(folder), "auth.lock codex-auth codex-auth.lock ") == 0, "%s", names_in(folder));

	begin("the client's locks of a target called auth are one");
	folder = new_folder();
	write_file(in_folder(folder, "auth"), DOCUMENT);
	CHECK_CODE(swap(open_store(in_folder(folder, "auth"), AGENTASSERT_LOCK_PROCESSES, 0), NULL, RECORD), "");
	check_content(in_folder(folder, "auth"), WITH(RECORD), "a target called auth");
	CHECK(strcmp(names_in(folder), "auth auth.lock ") == 0, "%s", names_in(folder));
}

/* Takes the lock of a registration with that time-out. */
static const char *try_for(const char *path, agentassert_lock lock, int64_t milliseconds)
{
	agentassert_file_store_options options = AGENTASSERT_FILE_STORE_OPTIONS;
	options.lock_timeout_ms = milliseconds;
	options.lock = lock;
	agentassert_store *store;
	REQUIRE(agentassert_file_store(path, &options, &store, NULL) == 0, "no store");
	const char *code = use_lock(store, "identity");
	store->close(store->self);
	return code;
}

static void test_locks_here(void)
{
	for (int i = 0; i < 2; i++) {
		agentassert_lock lock = i == 0 ? AGENTASSERT_LOCK_PROCESSES : AGENTASSERT_LOCK_PROCESS;
		begin("stores in one process exclude each other");
		const char *path = new_file(DOCUMENT), *text;
		agentassert_store *holder = open_store(path, lock, 0);
		void *held = NULL;
		CHECK_CODE(take_lock(holder, "identity", &held), "");
		CHECK_CODE(try_for(path, lock, 20), "auth_file_locked");
		context.deadline = aa_monotonic();
		CHECK_CODE(use_lock(holder, "identity"), "auth_file_locked");
		CHECK(strstr(last_error.message, "canceled") != NULL, "%s", last_error.message);
		context.deadline = INT64_MAX;
		/* Those of other slots do not wait, and loading and saving need no lock. */
		CHECK_CODE(use_lock(holder, "thread/1"), "");
		CHECK_CODE(use_lock(holder, "thread/2"), "");
		CHECK_CODE(save(holder, "backoff", "{}"), "");
		CHECK_CODE(load(holder, "identity", &text), "");
		holder->unlock(holder->self, held);
		CHECK_CODE(try_for(path, lock, 20), "");

		begin("names of one file are one");
		path = new_file(DOCUMENT);
		const char *other = in_folder(new_folder(), "folder");
		const char *home = aa_copy(memory, (aa_bytes){path, (size_t)(strrchr(path, '/') - path)}).data;
		CHECK(symlink(home, other) == 0, "no link");
		for (int j = 0; j < 2; j++) {
			holder = open_store(path, lock, 0);
			CHECK_CODE(take_lock(holder, "identity", &held), "");
			CHECK_CODE(try_for(in_folder(other, "auth.json"), lock, 20), "auth_file_locked");
			holder->unlock(holder->self, held);
			CHECK_CODE(try_for(in_folder(other, "auth.json"), lock, 20), "");
			unlink(path);
		}

		begin("the folder is as it was");
		path = new_file(NULL);
		CHECK_CODE(try_for(path, lock, 1000), "");
		CHECK_CODE(try_for(path, lock, 1000), "");
		CHECK(strcmp(names_beside(path), i == 0 ? "auth.json.registration.lock " : "") == 0, "%s",
		      names_beside(path));
	}
}

/* Holds the lock of a registration until standard input ends; with a program that it has started,
 * and that outlives it. */
static void hold_registration(const void *path)
{
	agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
	void *lock;
	char c;
	CHECK_CODE(take_lock(store, "identity", &lock), "");
	pid_t pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);
		dup2(null, 0);
		dup2(null, 1);
		execl("/bin/sleep", "sleep", "600", (char *)NULL);
		_exit(1);
	}
	printf("%d\n", (int)pid);
	fflush(stdout);
	while (read(0, &c, 1) > 0) {
	}
	store->unlock(store->self, lock);
	kill(pid, SIGKILL);
}

/* A lock of the parent's. */
struct inherited {
	agentassert_store *store;
	void *lock;
	const char *path;
};

static void give_inherited(const void *argument)
{
	const struct inherited *i = argument;
	agentassert_file_store_options options = AGENTASSERT_FILE_STORE_OPTIONS;
	options.lock_timeout_ms = 20;
	agentassert_store *store;
	REQUIRE(agentassert_file_store(i->path, &options, &store, NULL) == 0, "no store");
	CHECK_CODE(use_lock(store, "thread/1"), "auth_file_locked");
	i->store->unlock(i->store->self, i->lock);
	CHECK_CODE(use_lock(store, "thread/1"), "auth_file_locked");
	CHECK_CODE(use_lock(store, "thread/2"), "");
	CHECK_CODE(swap(store, NULL, RECORD), "");
	store->close(store->self);
}

/* Adds one to a number in the store, many times, each of which needs the lock. */
static void count_up(const void *path)
{
	agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
	for (int i = 0; i < 20; i++) {
		void *lock;
		const char *record = NULL;
		CHECK_CODE(take_lock(store, "identity", &lock), "");
		CHECK_CODE(load(store, "backoff", &record), "");
		int number = record == NULL ? 0 : atoi(record);
		CHECK_CODE(save(store, "backoff", aa_format(memory, "%d", number + 1).data), "");
		store->unlock(store->self, lock);
	}
}

static void test_other_processes(void)
{
	char line[64];
	begin("other processes are kept out, and waited for");
	const char *path = new_file(DOCUMENT), *lock_path = path_of(path, ".registration.lock");
	agentassert_store *store = open_store(path, AGENTASSERT_LOCK_PROCESSES, 0);
	void *lock = NULL;
	CHECK_CODE(take_lock(store, "identity", &lock), "");
	CHECK(!is_free(lock_path), "others can have it");
	store->unlock(store->self, lock);
	CHECK(is_free(lock_path), "nobody can have it");
	check_content(lock_path, "", "the lock");
	struct child holder = start_child(hold, lock_path);
	read_line(&holder, line, sizeof line);
	CHECK_CODE(try_for(path, AGENTASSERT_LOCK_PROCESSES, 20), "auth_file_locked");
	CHECK(end_child(&holder) == 0, "the holder failed");
	CHECK_CODE(try_for(path, AGENTASSERT_LOCK_PROCESSES, 90000), "");

	begin("a forked child has no lock of its parent's, and can give none back");
	path = new_file(DOCUMENT);
	struct inherited inherited = {open_store(path, AGENTASSERT_LOCK_PROCESSES, 0), NULL, path};
	CHECK_CODE(take_lock(inherited.store, "thread/1", &inherited.lock), "");
	CHECK(run_child(give_inherited, &inherited, 0, line, sizeof line) == 0, "the child failed");
	CHECK(count_in(path_of(path, ".locks")) == 1, "the lock is gone");
	inherited.store->unlock(inherited.store->self, inherited.lock);
	CHECK(count_in(path_of(path, ".locks")) == 0, "the lock stays");
	CHECK_CODE(use_lock(inherited.store, "thread/1"), "");

	begin("other processes count without losing one");
	path = new_file(DOCUMENT);
	struct child counters[4];
	for (int i = 0; i < 4; i++) {
		counters[i] = start_child(count_up, path);
	}
	for (int i = 0; i < 4; i++) {
		CHECK(end_child(&counters[i]) == 0, "a counter failed");
	}
	check_content(path_of(path, ".backoff"), "80", "a count");

	begin("other processes have the lock when its holder is killed, and a program of its lives on");
	path = new_file(DOCUMENT);
	holder = start_child(hold_registration, path);
	read_line(&holder, line, sizeof line);
	pid_t pid = (pid_t)atoi(line);
	CHECK(pid > 0 && !is_free(path_of(path, ".registration.lock")), "others can have it");
	CHECK(was_killed(kill_child(&holder)), "it has ended");
	CHECK(kill(pid, 0) == 0, "the program is gone");
	CHECK_CODE(try_for(path, AGENTASSERT_LOCK_PROCESSES, 90000), "");
	kill(pid, SIGKILL);

	begin("a lock file that cannot be made");
	path = new_file(DOCUMENT);
	mkdir(path_of(path, ".registration.lock"), 0700);
	CHECK_CODE(try_for(path, AGENTASSERT_LOCK_PROCESSES, 1000), "auth_file_not_regular");
}

static int count_descriptors(void)
{
	int count = 0;
	for (int fd = 0; fd < 1024; fd++) {
		count += fcntl(fd, F_GETFD) >= 0;
	}
	return count;
}

int main(void)
{
	int before = count_descriptors();
#if defined(__linux__)
	test_mounts();
	test_access_lists();
#endif
	test_hard_links();
	test_owners();
	test_refreshes();
	test_killed();
	test_odd_files();
	test_threads();
	test_missing();
	test_client_locks();
	test_locks_here();
	test_other_processes();
	end_tests();
	CHECK(count_descriptors() == before, "%d descriptors, and %d before", count_descriptors(), before);
	return test_result();
}
