/* Whose a file is, and who may do what with it. Functions return 0, or -1 with the failure
 * filled in. */
#ifndef AGENTASSERT_FILE_RIGHTS_H
#define AGENTASSERT_FILE_RIGHTS_H

#include "file_failure.h"

/* Gives an open file that was just made, or a folder, to those who have the target: whom it
 * belongs to, and who may read and write it. It fails where the target's owner would not get at
 * it, and it is then for whoever made it alone. Where there is no target it is for whom the
 * target's folder belongs to. */
int aa_share_file(int fd, const char *target, aa_file_failure *failure);

/* Gives an open file all that another has but its content: owner, group, mode, access control
 * list, and extended attributes; or fails. */
int aa_keep_attributes(int from, int to, aa_file_failure *failure);

#endif
