#include "posix.h"

#include "file_rights.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "extended_attributes.h"
#include "file_system.h"

/* Gives a file an owner and a group, if it has others. An owner whom this user namespace does not
 * have is denied, too, though the system says that there is no such id. */
static int give(int fd, uid_t owner, gid_t group, aa_file_failure *failure)
{
	struct stat have;
	if (fstat(fd, &have) != 0) {
		return aa_file_fail_system(failure);
	}
	if (have.st_uid == owner && have.st_gid == group) {
		return 0;
	}
	if (fchown(fd, owner, group) == 0) {
		return 0;
	}
	if (errno == EINVAL) {
		errno = EPERM;
	}
	return aa_file_fail_system(failure);
}

/* Finds out whom the folder of a target belongs to. */
static int stat_home(const char *target, struct stat *home)
{
	char *copy = strdup(target);
	int result = copy == NULL ? -1 : lstat(dirname(copy), home);
	free(copy);
	return result;
}

int aa_share_file(int fd, const char *target, aa_file_failure *failure)
{
	struct stat want, have;
	aa_file_failure ignored;
	if (fstat(fd, &have) != 0) {
		return aa_file_fail_system(failure);
	}
	if (lstat(target, &want) != 0) {
		if (stat_home(target, &want) == 0) {
			(void)give(fd, want.st_uid, want.st_gid, &ignored);
		}
		return 0;
	}
	int is_folder = S_ISDIR(have.st_mode);
	mode_t bits = want.st_mode & 0666;
	if (give(fd, want.st_uid, want.st_gid, failure) == 0) {
		if (aa_copy_access_list(target, fd, is_folder, &ignored) != 0) {
			return 0; /* it stays its owner's alone */
		}
	} else {
		/* The owner is then one of the group, or of all others. */
		if (give(fd, have.st_uid, want.st_gid, &ignored) != 0) {
			bits &= ~(mode_t)060;
		}
		int is_for_others = (bits & 060) == 060 || (bits & 06) == 06;
		if (have.st_uid == want.st_uid) {
			/* It is the owner who makes it, in another group than the target's. */
			if (aa_has_access_list(target)) {
				return 0;
			}
		} else if (!is_for_others || aa_has_access_list(target)) {
			return -1;
		}
	}
	if (is_folder) {
		bits |= (bits & 0444) >> 2; /* who may read may look, too */
	}
	mode_t mode = is_folder ? AA_SECRET_FOLDER : AA_SECRET_FILE;
	return fchmod(fd, mode | bits) == 0 ? 0 : aa_file_fail_system(failure);
}

int aa_keep_attributes(int from, int to, aa_file_failure *failure)
{
	struct stat want, have;
	if (fstat(from, &want) != 0) {
		return aa_file_fail_system(failure);
	}
	if (give(to, want.st_uid, want.st_gid, failure) != 0 || aa_copy_extended(from, to, failure) != 0) {
		return -1;
	}
	if (fchmod(to, want.st_mode & 07777) != 0 || fstat(to, &have) != 0) {
		return aa_file_fail_system(failure);
	}
	if (have.st_uid != want.st_uid || have.st_gid != want.st_gid || have.st_mode != want.st_mode) {
		return aa_file_fail(failure, AA_FAILURE_DENIED, "owner, group or mode of the file cannot be kept");
	}
	return 0;
}
