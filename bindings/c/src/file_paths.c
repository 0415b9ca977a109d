#include "posix.h"

#include "file_paths.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "month.h"
#include "text.h"

/* How many links lead to a file at the most. */
#define MAX_LINKS 40

/* The longest path that is looked at, in bytes; the system has no longer ones. */
#define MAX_PATH 4096

/* The slots that have a file beside the target. */
static const char *const slots[] = {"identity", "backoff", "backend", "set-aside", NULL};

static char *copy_of(aa_arena *arena, const char *text)
{
	return (char *)(uintptr_t)aa_copy(arena, aa_text_of(text)).data;
}

#define FORMAT(arena, ...) ((char *)(uintptr_t)aa_format(arena, __VA_ARGS__).data)

char *aa_absolute_path(aa_arena *arena, const char *path)
{
	char *current = NULL;
	if (path[0] != '/') {
		char *buffer = aa_alloc(arena, MAX_PATH);
		current = buffer == NULL ? NULL : getcwd(buffer, MAX_PATH);
	}
	char *all = current == NULL ? copy_of(arena, path) : FORMAT(arena, "%s/%s", current, path);
	if (all == NULL || all[0] != '/') {
		return all;
	}
	/* Segment by segment, in the same memory: what is left is never longer. */
	char *end = all;
	for (const char *at = all; *at != '\0';) {
		at += strspn(at, "/");
		size_t size = strcspn(at, "/");
		if (size == 2 && memcmp(at, "..", 2) == 0) {
			while (end > all && *--end != '/') {
			}
		} else if (size > 0 && !(size == 1 && *at == '.')) {
			*end++ = '/';
			memmove(end, at, size);
			end += size;
		}
		at += size;
	}
	if (end == all) {
		*end++ = '/';
	}
	*end = '\0';
	return all;
}

const char *aa_base_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash == NULL ? path : slash + 1;
}

char *aa_folder_of(aa_arena *arena, const char *path)
{
	const char *slash = strrchr(path, '/');
	if (slash == NULL) {
		return copy_of(arena, ".");
	}
	size_t size = slash == path ? 1 : (size_t)(slash - path);
	return (char *)(uintptr_t)aa_copy(arena, (aa_bytes){path, size}).data;
}

/* Returns the path of a file that there is, behind all links, or NULL. */
static char *real_path(aa_arena *arena, const char *path)
{
	char *found = realpath(path, NULL);
	char *copy = found == NULL ? NULL : copy_of(arena, found);
	free(found);
	return copy;
}

/* Returns what a link says, or NULL. */
static char *read_link(aa_arena *arena, const char *path)
{
	char *buffer = aa_alloc(arena, MAX_PATH);
	ssize_t size = buffer == NULL ? -1 : readlink(path, buffer, MAX_PATH - 1);
	if (size < 0) {
		return NULL;
	}
	buffer[size] = '\0';
	return buffer;
}

char *aa_resolve_target(aa_arena *arena, const char *path)
{
	char *at = copy_of(arena, path);
	for (int i = 0; i < MAX_LINKS && at != NULL; i++) {
		char *found = real_path(arena, at);
		if (found != NULL) {
			return found;
		}
		/* It is missing, and its folder perhaps is not. A relative link is seen from the folder
		 * in which it really is. */
		char *folder = aa_folder_of(arena, at);
		char *real = folder == NULL ? NULL : real_path(arena, folder);
		folder = real == NULL ? folder : real;
		if (folder == NULL) {
			return NULL;
		}
		at = FORMAT(arena, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, aa_base_of(at));
		char *link = at == NULL ? NULL : read_link(arena, at);
		if (link == NULL) {
			return at;
		}
		at = link[0] == '/' ? aa_absolute_path(arena, link)
				    : aa_absolute_path(arena, FORMAT(arena, "%s/%s", folder, link));
	}
	return at;
}

char *aa_registration_lock(aa_arena *arena, const char *target, const char *thread)
{
	return thread == NULL ? FORMAT(arena, "%s.registration.lock", target)
			      : FORMAT(arena, "%s.locks/%s.lock", target, thread);
}

char *aa_thread_locks(aa_arena *arena, const char *target)
{
	return FORMAT(arena, "%s.locks", target);
}

static int has_only_digits(aa_bytes text, const char *digits)
{
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] == '\0' || strchr(digits, text.data[i]) == NULL) {
			return 0;
		}
	}
	return 1;
}

int aa_is_leftover(const char *target, aa_bytes name)
{
	if (!aa_begins(name, AA_TEMPORARY) || !aa_begins(aa_after(name, sizeof AA_TEMPORARY - 1), aa_base_of(target))) {
		return 0;
	}
	static const char *const ends[] = {".journal", ".backoff", ".backend", ".set-aside", ".identity"};
	aa_bytes rest = aa_after(name, sizeof AA_TEMPORARY - 1 + strlen(aa_base_of(target)));
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		if (aa_begins(rest, ends[i])) {
			rest = aa_after(rest, strlen(ends[i]));
			break;
		}
	}
	return rest.size > 0 && has_only_digits(rest, "0123456789");
}

/* Reports whether a name is that of a thread's record, or of a temporary of one. */
static int is_entry(aa_bytes name)
{
	aa_bytes rest = aa_begins(name, AA_TEMPORARY) ? aa_after(name, sizeof AA_TEMPORARY - 1) : name;
	if (rest.size < 69 || !has_only_digits((aa_bytes){rest.data, 64}, "0123456789abcdef")) {
		return 0;
	}
	rest = aa_after(rest, 64);
	return aa_begins(rest, ".json") && has_only_digits(aa_after(rest, 5), "0123456789");
}

/* Returns the path of a file in the folder of the target, or of one that begins with the target's
 * name; NULL for a name of another form. */
static char *path_beside(aa_arena *arena, const char *target, aa_bytes name)
{
	if (aa_is(name, "target")) {
		return copy_of(arena, target);
	}
	if (aa_is(name, "home")) {
		return aa_folder_of(arena, target);
	}
	if (aa_is(name, "journal")) {
		return FORMAT(arena, "%s.journal", target);
	}
	if (aa_is(name, "target-lock")) {
		return FORMAT(arena, "%s.lock", target);
	}
	if (aa_is(name, "threads")) {
		return FORMAT(arena, "%s.threads", target);
	}
	int is_leftover = aa_begins(name, "leftovers/") && aa_is_leftover(target, aa_after(name, 10));
	if (!aa_is(name, "client-lock") && !is_leftover) {
		return NULL;
	}
	char *home = aa_folder_of(arena, target);
	const char *end = is_leftover ? aa_copy(arena, aa_after(name, 10)).data : "auth.lock";
	if (home == NULL || end == NULL) {
		return NULL;
	}
	return FORMAT(arena, "%s/%s", strcmp(home, "/") == 0 ? "" : home, end);
}

int aa_file_path(aa_arena *arena, const char *target, const char *thread, aa_bytes name, char **path)
{
	*path = path_beside(arena, target, name);
	if (*path != NULL) {
		return 0;
	}
	if (aa_begins(name, "record/")) {
		aa_bytes slot = aa_after(name, 7);
		if (aa_is_among(slot, slots)) {
			*path = FORMAT(arena, "%s.%.*s", target, (int)slot.size, slot.data);
		}
	} else if (aa_begins(name, "thread/")) {
		aa_bytes month = aa_after(name, 7);
		if (thread != NULL && aa_is_month(month)) {
			*path = FORMAT(arena, "%s.threads/%.7s/%s.json", target, month.data, thread);
		}
	} else if (aa_begins(name, "threads/") && name.size >= 15) {
		aa_bytes month = {name.data + 8, 7}, rest = aa_after(name, 15);
		if (!aa_is_month(month)) {
			return -1;
		}
		if (rest.size == 0) {
			*path = FORMAT(arena, "%s.threads/%.7s", target, month.data);
		} else if (rest.data[0] == '/' && is_entry(aa_after(rest, 1))) {
			*path = FORMAT(arena, "%s.threads/%.7s%.*s", target, month.data, (int)rest.size, rest.data);
		}
	}
	return *path == NULL ? -1 : 0;
}
