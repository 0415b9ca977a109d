#include "posix.h"

#include "file_system.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "utf8.h"

/* How many entries of a folder are looked at, at the most, for some that are old. */
#define MANY_ENTRIES 1024

/* What is read of a file that is said to be smaller. */
#define SMALL_FILE ((size_t)4 << 10)

int aa_open_carefully(const char *path, int flags, unsigned mode)
{
	int fd;
	do {
		fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, (mode_t)mode);
	} while (fd < 0 && errno == EINTR);
	return fd;
}

int aa_check_regular(const struct stat *stat, aa_file_failure *failure)
{
	if (S_ISREG(stat->st_mode)) {
		return 0;
	}
	return S_ISDIR(stat->st_mode) ? aa_file_fail(failure, AA_FAILURE_FOLDER, "it is a folder, and no file")
				      : aa_file_fail(failure, AA_FAILURE_NOT_REGULAR,
						     "it is a link, a pipe, a socket or a device, and no file");
}

int aa_open_regular(const char *path, int flags, int *fd, aa_file_failure *failure)
{
	struct stat stat;
	/* A device can do something when it is opened. */
	if (lstat(path, &stat) != 0) {
		return aa_file_fail_system(failure);
	}
	if (aa_check_regular(&stat, failure) != 0) {
		return -1;
	}
	*fd = aa_open_carefully(path, flags, 0);
	if (*fd < 0) {
		return aa_file_fail_system(failure);
	}
	int result = fstat(*fd, &stat) != 0 ? aa_file_fail_system(failure) : aa_check_regular(&stat, failure);
	if (result != 0) {
		close(*fd);
	}
	return result;
}

int aa_check_folder(const char *path, aa_file_failure *failure)
{
	struct stat stat;
	if (lstat(path, &stat) != 0) {
		return aa_file_fail_system(failure);
	}
	return S_ISDIR(stat.st_mode)
		   ? 0
		   : aa_file_fail(failure, AA_FAILURE_NOT_REGULAR, "it is something else than a folder");
}

int aa_open_folder(const char *path, int *fd, aa_file_failure *failure)
{
	if (aa_check_folder(path, failure) != 0) {
		return -1;
	}
	*fd = aa_open_carefully(path, O_RDONLY | O_DIRECTORY, 0);
	return *fd < 0 ? aa_file_fail_system(failure) : 0;
}

static aa_file_stat stat_of(const struct stat *stat)
{
#if defined(__APPLE__)
	struct timespec modified = stat->st_mtimespec;
#else
	struct timespec modified = stat->st_mtim;
#endif
	aa_file_stat out = {.size = (int64_t)stat->st_size,
			    .modified = (int64_t)modified.tv_sec * 1000000000 + modified.tv_nsec,
			    .mode = stat->st_mode & 0777,
			    .links = (int64_t)stat->st_nlink};
	snprintf(out.id, sizeof out.id, "%ju:%ju", (uintmax_t)stat->st_dev, (uintmax_t)stat->st_ino);
	return out;
}

int aa_read_beginning(aa_arena *arena, int fd, size_t limit, aa_bytes *content, aa_file_failure *failure)
{
	struct stat stat;
	size_t room = fstat(fd, &stat) == 0 && stat.st_size > 0 ? (size_t)stat.st_size + 1 : 0;
	room = room < SMALL_FILE ? SMALL_FILE : room > limit ? limit : room;
	char *data = aa_alloc(arena, room);
	size_t size = 0;
	while (data != NULL) {
		ssize_t n = pread(fd, data + size, room - size, (off_t)size);
		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n < 0) {
			return aa_file_fail_system(failure);
		}
		size += (size_t)n;
		if (n == 0 || size == limit) {
			*content = (aa_bytes){data, size};
			return 0;
		}
		if (size == room) { /* it has grown */
			size_t more = room > limit / 2 ? limit : room * 2;
			char *larger = aa_alloc(arena, more);
			if (larger != NULL) {
				memcpy(larger, data, size);
			}
			data = larger;
			room = more;
		}
	}
	return aa_file_fail(failure, AA_FAILURE_FAILED, "there is too little memory");
}

int aa_read_open(aa_arena *arena, int fd, aa_file_answer *answer, aa_file_failure *failure)
{
	if (aa_read_beginning(arena, fd, AA_MAX_FILE + 1, &answer->content, failure) != 0) {
		return -1;
	}
	if (answer->content.size > AA_MAX_FILE) {
		return aa_file_fail(failure, AA_FAILURE_TOO_LARGE, "it is larger than 512 KiB");
	}
	/* Of the content, and not of what came before it. */
	struct stat stat;
	if (fstat(fd, &stat) != 0) {
		return aa_file_fail_system(failure);
	}
	answer->has_stat = 1;
	answer->stat = stat_of(&stat);
	return 0;
}

int aa_read_file(aa_arena *arena, const char *path, aa_file_answer *answer, aa_file_failure *failure)
{
	int fd;
	if (aa_open_regular(path, O_RDONLY, &fd, failure) != 0) {
		return -1;
	}
	int result = aa_read_open(arena, fd, answer, failure);
	close(fd);
	return result;
}

int aa_look_at_file(const char *path, aa_file_answer *answer, aa_file_failure *failure)
{
	struct stat stat;
	if (lstat(path, &stat) != 0) {
		return aa_file_fail_system(failure);
	}
	answer->has_stat = 1;
	answer->stat = stat_of(&stat);
	return 0;
}

int aa_write_over(int fd, aa_bytes bytes, aa_file_failure *failure)
{
	for (size_t done = 0; done < bytes.size;) {
		ssize_t n = pwrite(fd, bytes.data + done, bytes.size - done, (off_t)done);
		if (n < 0 && errno != EINTR) {
			return aa_file_fail_system(failure);
		}
		done += n < 0 ? 0 : (size_t)n;
	}
	return 0;
}

/* Closes a file that was written: some file systems fail only then. */
static int close_written(int fd, int result, aa_file_failure *failure)
{
	if (close(fd) != 0 && errno != EINTR && result == 0) {
		return aa_file_fail_system(failure);
	}
	return result;
}

static int sync_open(int fd, aa_file_failure *failure)
{
	while (fsync(fd) != 0) {
		if (errno != EINTR) {
			return aa_file_fail_system(failure);
		}
	}
	return 0;
}

int aa_write_file(const char *path, aa_bytes bytes, aa_file_failure *failure)
{
	int fd;
	if (aa_open_regular(path, O_WRONLY, &fd, failure) != 0) {
		return -1;
	}
	return close_written(fd, aa_write_over(fd, bytes, failure), failure);
}

int aa_cut_file(const char *path, int64_t size, aa_file_failure *failure)
{
	int fd;
	if (aa_open_regular(path, O_WRONLY, &fd, failure) != 0) {
		return -1;
	}
	int result;
	do {
		result = ftruncate(fd, (off_t)size);
	} while (result != 0 && errno == EINTR);
	return close_written(fd, result == 0 ? 0 : aa_file_fail_system(failure), failure);
}

int aa_sync_file(const char *path, aa_file_failure *failure)
{
	int fd;
	if (aa_open_regular(path, O_WRONLY, &fd, failure) != 0) {
		return -1;
	}
	return close_written(fd, sync_open(fd, failure), failure);
}

int aa_sync_folder(const char *path, aa_file_failure *failure)
{
	int fd;
	if (aa_open_folder(path, &fd, failure) != 0) {
		return -1;
	}
	int result = sync_open(fd, failure);
	close(fd);
	return result;
}

int aa_move_file(const char *from, const char *to, aa_file_failure *failure)
{
	struct stat stat;
	if (link(from, to) == 0) {
		return unlink(from) == 0 ? 0 : aa_file_fail_system(failure);
	}
	if (errno == EEXIST || errno == ENOENT) {
		return aa_file_fail_system(failure);
	}
	/* There are file systems without links. */
	if (lstat(to, &stat) == 0) {
		return aa_file_fail(failure, AA_FAILURE_FAILED, "there is a file of that name");
	}
	return rename(from, to) == 0 ? 0 : aa_file_fail_system(failure);
}

int aa_remove_file(const char *path, aa_file_failure *failure)
{
	if (unlink(path) == 0) {
		return 0;
	}
	int number = errno;
	/* Of a folder Linux says EISDIR, other systems EPERM. */
	if ((number == EISDIR || number == EPERM) && rmdir(path) == 0) {
		return 0;
	}
	if ((number != EISDIR && number != EPERM) || errno == ENOTDIR) {
		errno = number;
	}
	return aa_file_fail_system(failure);
}

/* Reports whether an entry of a folder is a file that has not been modified for so long. */
static int is_old(int folder, const char *name, int64_t seconds)
{
	struct stat stat;
	return fstatat(folder, name, &stat, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(stat.st_mode) &&
	       (int64_t)time(NULL) - (int64_t)stat.st_mtime > seconds;
}

int aa_list_folder(aa_arena *arena, const char *path, int64_t limit, int64_t older_than,
		   int (*is_wanted)(const void *self, aa_bytes name), const void *self, aa_file_answer *answer,
		   aa_file_failure *failure)
{
	int fd;
	if (aa_open_folder(path, &fd, failure) != 0) {
		return -1;
	}
	DIR *folder = fdopendir(fd);
	if (folder == NULL) {
		aa_file_fail_system(failure);
		close(fd);
		return -1;
	}
	aa_bytes *names = aa_alloc(arena, (size_t)limit * sizeof *names);
	size_t count = 0;
	for (int i = 0; names != NULL && i < MANY_ENTRIES && (int64_t)count < limit; i++) {
		const struct dirent *entry = readdir(folder);
		if (entry == NULL) {
			break;
		}
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
			continue;
		}
		aa_bytes name = {entry->d_name, strlen(entry->d_name)};
		/* A message has room for UTF-8 only. */
		if (aa_is_utf8(name) && (is_wanted == NULL || is_wanted(self, name)) &&
		    (older_than == 0 || is_old(dirfd(folder), entry->d_name, older_than))) {
			names[count] = aa_copy(arena, name);
			count += names[count].data != NULL;
		}
	}
	closedir(folder);
	answer->names = names;
	answer->name_count = count;
	return names == NULL ? aa_file_fail(failure, AA_FAILURE_FAILED, "there is too little memory") : 0;
}
