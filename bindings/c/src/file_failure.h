/* What went wrong with a file: in file.step's words, and in the system's. */
#ifndef AGENTASSERT_FILE_FAILURE_H
#define AGENTASSERT_FILE_FAILURE_H

/* The words. */
#define AA_FAILURE_MISSING "missing"
#define AA_FAILURE_DENIED "denied"
#define AA_FAILURE_READ_ONLY "read-only"
#define AA_FAILURE_BUSY "busy"
#define AA_FAILURE_NO_ROOM "no-room"
#define AA_FAILURE_LOCKED "locked"
#define AA_FAILURE_UNSUPPORTED "unsupported"
#define AA_FAILURE_FOLDER "folder"
#define AA_FAILURE_NOT_REGULAR "not-regular"
#define AA_FAILURE_TOO_LARGE "too-large"
#define AA_FAILURE_CANCELED "canceled"
#define AA_FAILURE_FAILED "failed"

typedef struct aa_file_failure {
	const char *word; /* NULL if there is none */
	int number;       /* the system's, or 0 */
	char text[160];   /* for people; no path is in it */
} aa_file_failure;

/* Fills a failure in, and returns -1. */
int aa_file_fail(aa_file_failure *failure, const char *word, const char *text);

/* The same, of errno. */
int aa_file_fail_system(aa_file_failure *failure);

#endif
