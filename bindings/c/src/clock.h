/* Time that passes, and waiting for it: a clock that nobody sets. */
#ifndef AGENTASSERT_CLOCK_H
#define AGENTASSERT_CLOCK_H

#include <pthread.h>
#include <stdint.h>

/* A time that never comes. */
#define AA_NEVER INT64_MAX

/* Returns milliseconds since some time or other. */
int64_t aa_monotonic(void);

/* Returns the time so many milliseconds from now; AA_NEVER of a negative number. */
int64_t aa_monotonic_after(int64_t milliseconds);

/* Makes a condition that aa_wait_until can wait for. Returns 0, or -1. */
int aa_condition_init(pthread_cond_t *condition);

/* Waits for a condition until that time, with the mutex, as pthread_cond_wait does. It can return
 * early. */
void aa_wait_until(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t time);

#endif
