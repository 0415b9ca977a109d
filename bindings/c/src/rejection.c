#include "rejection.h"

void aa_rejection_free(struct aa_rejection *rejection)
{
	if (rejection->arena) {
		aa_arena_free(rejection->arena);
	}
	*rejection = (struct aa_rejection){NULL, NULL, 0};
}

void aa_rejection_note(struct aa_rejection *rejection, const aa_value *rejected, int64_t until)
{
	/* Not its date, which said something of that time. */
	static const char *const names[] = {"agent_runtime_id", "task_id", "runtime_agent_instance", "code"};
	aa_rejection_free(rejection);
	aa_arena *arena = until ? aa_arena_new() : NULL;
	if (!arena) {
		return;
	}
	aa_value *copy = aa_map(arena);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		const aa_value *member = aa_get(rejected, names[i]);
		if (member) {
			copy = aa_set(copy, names[i], aa_clone(arena, member));
		}
	}
	*rejection = (struct aa_rejection){arena, copy, until};
	if (!copy) {
		aa_rejection_free(rejection);
	}
}

aa_value *aa_rejection_at(const struct aa_rejection *rejection, aa_arena *arena, int64_t now)
{
	return rejection->of && now < rejection->until ? aa_clone(arena, rejection->of) : NULL;
}
