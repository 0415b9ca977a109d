/* The order of a map's members. */
#ifndef AGENTASSERT_MEMBERS_H
#define AGENTASSERT_MEMBERS_H

#include "value.h"

/* Compares names as they are encoded: the shorter one goes first. Returns a number below, of
 * or above 0. */
int aa_compare_names(aa_bytes a, aa_bytes b);

/* Returns the members of a map in the order in which they are encoded, in the arena.
 * AA_MALFORMED if a name is there twice. */
enum aa_codec_result aa_sort_members(aa_arena *arena, const aa_value *map, const aa_value ***sorted);

#endif
