#define _DEFAULT_SOURCE
#include "clock.h"

#include <time.h>

int64_t aa_monotonic(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t aa_monotonic_after(int64_t milliseconds)
{
	int64_t now = aa_monotonic();
	return milliseconds < 0 || milliseconds > AA_NEVER - now ? AA_NEVER : now + milliseconds;
}

static struct timespec timespec_of(int64_t milliseconds)
{
	return (struct timespec){.tv_sec = (time_t)(milliseconds / 1000),
				 .tv_nsec = (long)(milliseconds % 1000) * 1000000};
}

int aa_condition_init(pthread_cond_t *condition)
{
#if defined(__APPLE__)
	return pthread_cond_init(condition, NULL) == 0 ? 0 : -1;
#else
	pthread_condattr_t attributes;
	if (pthread_condattr_init(&attributes) != 0) {
		return -1;
	}
	int failed = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) != 0 ||
		     pthread_cond_init(condition, &attributes) != 0;
	pthread_condattr_destroy(&attributes);
	return failed ? -1 : 0;
#endif
}

void aa_wait_until(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t time)
{
	/* Whoever waits looks whether it is time: an hour at once is enough, and fits everywhere. */
	const int64_t most = 3600000;
	int64_t now = aa_monotonic();
	if (time <= now) {
		return;
	}
	int64_t left = time - now < most ? time - now : most;
#if defined(__APPLE__)
	struct timespec relative = timespec_of(left);
	pthread_cond_timedwait_relative_np(condition, mutex, &relative);
#else
	struct timespec absolute = timespec_of(now + left);
	pthread_cond_timedwait(condition, mutex, &absolute);
#endif
}
