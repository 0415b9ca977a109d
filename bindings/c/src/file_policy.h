/* What the file store lets a module do to files: which effect may name which file, and what may
 * be written. wasm/ABI.md has the rules. auth.json is another program's, with the user's tokens
 * in it; so whatever module runs, it stays as it is but for the identity, and what is written
 * over it is what was read a moment before. */
#ifndef AGENTASSERT_FILE_POLICY_H
#define AGENTASSERT_FILE_POLICY_H

#include "agentassert.h"
#include "file_effect.h"

/* Checks the effects and the result of one operation. One thread uses it at a time. */
typedef struct aa_file_policy aa_file_policy;

/* Returns the policy of an operation, by the event that starts it, or NULL if there is no
 * memory. */
aa_file_policy *aa_file_policy_new(const aa_value *start);
void aa_file_policy_free(aa_file_policy *policy);

/* Hands out an effect as it can be carried out. now is the time of the event before it, in Unix
 * seconds. What cannot be carried out is policy_violation, and ends the operation. */
int aa_file_policy_effect(aa_file_policy *policy, aa_arena *arena, const aa_value *message, int64_t now,
			  aa_file_effect *effect, agentassert_error *error);

/* Takes note of what an effect came to. */
int aa_file_policy_answered(aa_file_policy *policy, const aa_file_effect *effect, const aa_file_answer *answer,
			    agentassert_error *error);

#endif
