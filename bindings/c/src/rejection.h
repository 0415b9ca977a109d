/* What the backend has rejected and nothing could yet be registered in the place of. It stays
 * stored, for it may be good after all; but until the pause is over calls do without it at once,
 * and not after another 401 each, which a body that cannot be sent again would not get over. */
#ifndef AGENTASSERT_REJECTION_H
#define AGENTASSERT_REJECTION_H

#include "value.h"

struct aa_rejection {
	aa_arena *arena; /* NULL if there is none */
	const aa_value *of;
	int64_t until;
};

/* Keeps a rejection until then; with 0 there is none any more. Without memory there is none either. */
void aa_rejection_note(struct aa_rejection *rejection, const aa_value *rejected, int64_t until);

/* Returns a copy in the arena; NULL if there is none, or no memory. */
aa_value *aa_rejection_at(const struct aa_rejection *rejection, aa_arena *arena, int64_t now);

void aa_rejection_free(struct aa_rejection *rejection);

#endif
