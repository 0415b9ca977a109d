/* Which cores there are, for fork: a child has no other threads, but what they have locked
 * and taken would be so for ever. */
#ifndef AGENTASSERT_FORK_H
#define AGENTASSERT_FORK_H

#include "agentassert.h"

/* The place of a core in the list of all; it is fork.c's. */
typedef struct aa_fork_link aa_fork_link;

struct aa_fork_link {
	agentassert *core;
	aa_fork_link *before, *next;
};

/* Adds a core to the list, and takes it off. */
void aa_fork_add(agentassert *core, aa_fork_link *link);
void aa_fork_remove(aa_fork_link *link);

#endif
