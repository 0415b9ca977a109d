#include "posix.h"

#include "file_failure.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *word_of(int number)
{
	switch (number) {
	case ENOENT:
	case ENOTDIR:
		return AA_FAILURE_MISSING;
	case EACCES:
	case EPERM:
		return AA_FAILURE_DENIED;
	case EROFS:
		return AA_FAILURE_READ_ONLY;
	case EBUSY:
	case EXDEV:
	case ETXTBSY:
		return AA_FAILURE_BUSY;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return AA_FAILURE_NO_ROOM;
	case ENOLCK:
	case ENOSYS:
	case EOPNOTSUPP:
#if ENOTSUP != EOPNOTSUPP
	case ENOTSUP:
#endif
	case EBADF:
	case EINVAL:
		return AA_FAILURE_UNSUPPORTED;
	case EISDIR:
		return AA_FAILURE_FOLDER;
	case ELOOP:
	case ENXIO:
		return AA_FAILURE_NOT_REGULAR;
	}
	return AA_FAILURE_FAILED;
}

int aa_file_fail(aa_file_failure *failure, const char *word, const char *text)
{
	failure->word = word;
	failure->number = 0;
	snprintf(failure->text, sizeof failure->text, "%s", text);
	return -1;
}

int aa_file_fail_system(aa_file_failure *failure)
{
	int number = errno;
	failure->word = word_of(number);
	failure->number = number;
	if (strerror_r(number, failure->text, sizeof failure->text) != 0) {
		snprintf(failure->text, sizeof failure->text, "error %d", number);
	}
	return -1;
}
