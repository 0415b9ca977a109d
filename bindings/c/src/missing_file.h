/* Why there may be no auth.json. */
#ifndef AGENTASSERT_MISSING_FILE_H
#define AGENTASSERT_MISSING_FILE_H

#include "value.h"

/* Returns the problem of credentials from a file that is not there: its path as it was given, and
 * as it is. NULL if there is no memory. */
const aa_value *aa_missing_file(aa_arena *arena, const char *given, const char *path);

#endif
