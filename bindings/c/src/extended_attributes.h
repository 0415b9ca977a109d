/* Extended attributes of files, of which access control lists are one on Linux. Functions return
 * 0, or -1 with the failure filled in. */
#ifndef AGENTASSERT_EXTENDED_ATTRIBUTES_H
#define AGENTASSERT_EXTENDED_ATTRIBUTES_H

#include "file_failure.h"

/* Gives an open file the attributes of another one, and takes away those that it has alone, which
 * can come from its folder. A file system without attributes has none to keep. */
int aa_copy_extended(int from, int to, aa_file_failure *failure);

/* Reports whether a file has an access control list, so that its mode's group bits are not the
 * group's. Where lists are no attributes, what they say is not known here. */
int aa_has_access_list(const char *path);

/* Gives an open file, or a folder, the access control list of a file, if that has one. In a
 * folder, who may read may look, too. */
int aa_copy_access_list(const char *from, int to, int is_folder, aa_file_failure *failure);

#endif
