/* The files of testvectors. */
#ifndef AGENTASSERT_TEST_VECTORS_H
#define AGENTASSERT_TEST_VECTORS_H

#include "value.h"

/* Returns the first vector in a file of the folder. Ends the program if there is none. */
const aa_value *first_vector(aa_arena *arena, const char *folder, const char *name);

#endif
