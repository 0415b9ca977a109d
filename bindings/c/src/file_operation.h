/* Carries out the effects of one operation on a store's files. */
#ifndef AGENTASSERT_FILE_OPERATION_H
#define AGENTASSERT_FILE_OPERATION_H

#include "agentassert_manager.h"
#include "file_effect.h"
#include "file_failure.h"

typedef struct aa_file_operation aa_file_operation;

/* Whose files an operation is about, and how. */
typedef struct aa_file_settings {
	const char *target; /* auth.json, behind all links */
	const char *thread; /* what stands for the operation's thread in names of files, or NULL */
	int only_here;      /* whether other processes need not be locked out */
	/* Is told of each effect before it is carried out, if it is not NULL: in tests, which end
	 * there as a killed process does. path is where its file is, or NULL. */
	void (*before)(void *self, const aa_file_effect *effect, const char *path);
	void *before_self;
} aa_file_settings;

/* Returns an operation, or NULL if there is no memory. What it is handed has to outlive it. */
aa_file_operation *aa_file_operation_new(const aa_file_settings *settings, const agentassert_context *context);

/* Removes what an operation that did not end has left, gives back what is held, and frees it.
 * NULL is fine. */
void aa_file_operation_free(aa_file_operation *operation);

/* Does what an effect asks for. A failure is an answer: what follows from it is the core's to
 * say. Of content and names the answer has the arena's. */
void aa_file_operation_carry_out(aa_file_operation *operation, aa_arena *arena, const aa_file_effect *effect,
				 aa_file_answer *answer);

/* Returns the last failure, in the system's words, or NULL if there was none. */
const char *aa_file_operation_failure(const aa_file_operation *operation);

/* Makes a folder for files of this library's, unless there is one. */
int aa_make_folder(const char *path, const char *target, aa_file_failure *failure);

#endif
