#include "posix.h"

#include "extended_attributes.h"

#if defined(__linux__)

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/xattr.h>

/* The largest list of names, and the largest value, in bytes: Linux has no larger ones. */
#define MAX_EXTENDED ((size_t)64 << 10)

/* An access control list in the kernel's form: a version of four bytes, and entries of eight,
 * whose second half-word has the rights. */
#define ACCESS_LIST "system.posix_acl_access"
#define ACCESS_LIST_HEADER 4
#define ACCESS_LIST_ENTRY 8
#define MAY_READ 4

/* The names of a file's attributes, one behind the other, each with a zero byte. */
struct names {
	char *list;
	size_t size;
};

static int no_memory(aa_file_failure *failure)
{
	return aa_file_fail(failure, AA_FAILURE_FAILED, "there is too little memory");
}

/* Reports whether a file system has no attributes. */
static int has_none(void)
{
	return errno == ENOTSUP || errno == ENOSYS;
}

static int list_names(int fd, struct names *names, aa_file_failure *failure)
{
	names->size = 0;
	names->list = malloc(MAX_EXTENDED);
	if (names->list == NULL) {
		return no_memory(failure);
	}
	ssize_t n = flistxattr(fd, names->list, MAX_EXTENDED);
	if (n < 0 && !has_none()) {
		return aa_file_fail_system(failure);
	}
	names->size = n < 0 ? 0 : (size_t)n;
	return 0;
}

/* Gives a file one attribute of another, if it has another value or none. */
static int copy_one(int from, int to, const char *name, char *values, aa_file_failure *failure)
{
	char *want = values, *have = values + MAX_EXTENDED;
	ssize_t size = fgetxattr(from, name, want, MAX_EXTENDED);
	if (size < 0) {
		return aa_file_fail_system(failure);
	}
	ssize_t had = fgetxattr(to, name, have, MAX_EXTENDED);
	if (had == size && memcmp(want, have, (size_t)size) == 0) {
		return 0;
	}
	return fsetxattr(to, name, want, (size_t)size, 0) == 0 ? 0 : aa_file_fail_system(failure);
}

static int has_name(const struct names *names, const char *name)
{
	for (size_t i = 0; i < names->size; i += strlen(names->list + i) + 1) {
		if (strcmp(names->list + i, name) == 0) {
			return 1;
		}
	}
	return 0;
}

static int copy_all(int from, int to, const struct names *want, const struct names *have, aa_file_failure *failure)
{
	char *values = malloc(2 * MAX_EXTENDED);
	if (values == NULL) {
		return no_memory(failure);
	}
	int result = 0;
	for (size_t i = 0; i < want->size && result == 0; i += strlen(want->list + i) + 1) {
		result = copy_one(from, to, want->list + i, values, failure);
	}
	free(values);
	for (size_t i = 0; i < have->size && result == 0; i += strlen(have->list + i) + 1) {
		const char *name = have->list + i;
		if (!has_name(want, name) && fremovexattr(to, name) != 0) {
			result = aa_file_fail_system(failure);
		}
	}
	return result;
}

int aa_copy_extended(int from, int to, aa_file_failure *failure)
{
	struct names want = {NULL, 0}, have = {NULL, 0};
	int result = list_names(from, &want, failure);
	if (result == 0) {
		result = list_names(to, &have, failure);
	}
	if (result == 0) {
		result = copy_all(from, to, &want, &have, failure);
	}
	free(want.list);
	free(have.list);
	return result;
}

int aa_has_access_list(const char *path)
{
	return lgetxattr(path, ACCESS_LIST, NULL, 0) > 0;
}

int aa_copy_access_list(const char *from, int to, int is_folder, aa_file_failure *failure)
{
	if (!aa_has_access_list(from)) {
		return 0;
	}
	unsigned char *list = malloc(MAX_EXTENDED);
	if (list == NULL) {
		return no_memory(failure);
	}
	int result = -1;
	ssize_t size = lgetxattr(from, ACCESS_LIST, list, MAX_EXTENDED);
	if (size >= 0) {
		for (ssize_t i = ACCESS_LIST_HEADER; is_folder && i + ACCESS_LIST_ENTRY <= size;
		     i += ACCESS_LIST_ENTRY) {
			list[i + 2] = (unsigned char)(list[i + 2] | (list[i + 2] & MAY_READ) >> 2); /* little-endian */
		}
		result = fsetxattr(to, ACCESS_LIST, list, (size_t)size, 0);
	}
	if (result != 0) {
		aa_file_fail_system(failure);
	}
	free(list);
	return result;
}

#elif defined(__APPLE__)

#include <copyfile.h>

int aa_copy_extended(int from, int to, aa_file_failure *failure)
{
	return fcopyfile(from, to, NULL, COPYFILE_ACL | COPYFILE_XATTR) == 0 ? 0 : aa_file_fail_system(failure);
}

int aa_has_access_list(const char *path)
{
	(void)path;
	return 0;
}

int aa_copy_access_list(const char *from, int to, int is_folder, aa_file_failure *failure)
{
	(void)from, (void)to, (void)is_folder, (void)failure;
	return 0;
}

#else

int aa_copy_extended(int from, int to, aa_file_failure *failure)
{
	(void)from, (void)to, (void)failure;
	return 0;
}

int aa_has_access_list(const char *path)
{
	(void)path;
	return 0;
}

int aa_copy_access_list(const char *from, int to, int is_folder, aa_file_failure *failure)
{
	(void)from, (void)to, (void)is_folder, (void)failure;
	return 0;
}

#endif
