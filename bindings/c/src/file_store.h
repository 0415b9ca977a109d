/* The file store, as tests see it. */
#ifndef AGENTASSERT_FILE_STORE_H
#define AGENTASSERT_FILE_STORE_H

#include "agentassert_file.h"
#include "file_effect.h"

/* Has a file store tell of each effect before it is carried out, in the thread that does so.
 * Tests end there as a killed process does, or write the file as another program does. */
void aa_file_store_before(agentassert_store *store,
			  void (*before)(void *self, const aa_file_effect *effect, const char *path), void *self);

#endif
