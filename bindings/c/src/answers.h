/* What callbacks answer with. */
#ifndef AGENTASSERT_ANSWERS_H
#define AGENTASSERT_ANSWERS_H

#include "agentassert_manager.h"
#include "value.h"

/* Of a store's method load. */
struct agentassert_record_answer {
	aa_arena *arena;
	aa_bytes record; /* data is NULL for none */
	/* What nobody may answer with: a record that is empty; and that there was no memory. */
	int is_wrong, has_no_memory;
};

/* Of whoever knows the credentials. */
struct agentassert_credentials_answer {
	aa_arena *arena;
	aa_value *credentials; /* as the ABI has them; NULL for none */
	int has_no_memory;
};

/* Returns credentials as the ABI has them, with every byte in the arena; NULL if there is no
 * memory. */
aa_value *aa_credentials_of(aa_arena *arena, const agentassert_credentials *credentials);

/* Adds a member that is text, if there is any: the ABI has no empty members. Returns the map, or NULL
 * if there is no memory. */
aa_value *aa_set_text(aa_arena *arena, aa_value *map, const char *name, const char *text);

#endif
