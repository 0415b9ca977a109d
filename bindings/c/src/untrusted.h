/* What the module returns, taken apart. The module that runs may be anybody's: its messages
 * have members of whatever kind, and text that a terminal obeys. Nothing of them is used that
 * did not come through here. */
#ifndef AGENTASSERT_UNTRUSTED_H
#define AGENTASSERT_UNTRUSTED_H

#include "agentassert.h"
#include "value.h"

/* Fills in the error of a module that asks for what no module may have, or answers what cannot
 * be true, and returns -1. It says nothing of what the module has sent, which may hold a
 * secret. */
int aa_violation(agentassert_error *error, const char *what, const char *which);

/* Each of these hands out a member of a map, and returns 0, or -1 with policy_violation: if it
 * is of another kind, or the map is none. NULL stands for an empty map. */

/* Text, or none, with size 0: the ABI has no empty members. */
int aa_untrusted_text(const aa_value *map, const char *name, aa_bytes *out, agentassert_error *error);

/* Bytes, or none, with data NULL. */
int aa_untrusted_bytes(const aa_value *map, const char *name, aa_bytes *out, agentassert_error *error);

/* A number within bounds; one that is not there is 0. */
int aa_untrusted_integer(const aa_value *map, const char *name, int64_t least, int64_t most, int64_t *out,
			 agentassert_error *error);

/* A map, or NULL if it is not there. */
int aa_untrusted_map(const aa_value *map, const char *name, const aa_value **out, agentassert_error *error);

/* An error, {code, message}, as it can be shown to a person, or NULL if it is not there. It is
 * the arena's. */
int aa_untrusted_problem(aa_arena *arena, const aa_value *map, const char *name, const aa_value **out,
			 agentassert_error *error);

/* Reports whether an error's code has the form of one: programs compare it, and logs index it. */
int aa_is_code(aa_bytes code);

/* Returns text as it can be shown to a person: what a terminal would take for a command is not
 * in it, and it ends. data is NULL if there is no memory. */
aa_bytes aa_presentable(aa_arena *arena, aa_bytes text);

#endif
