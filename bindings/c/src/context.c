#define _DEFAULT_SOURCE
#include "context.h"

#include <time.h>

#include "clock.h"

int aa_cancel_init(struct aa_cancel *cancel)
{
	cancel->is_canceled = 0;
	if (pthread_mutex_init(&cancel->mutex, NULL) != 0) {
		return -1;
	}
	if (aa_condition_init(&cancel->changed)) {
		pthread_mutex_destroy(&cancel->mutex);
		return -1;
	}
	return 0;
}

void aa_cancel_destroy(struct aa_cancel *cancel)
{
	pthread_cond_destroy(&cancel->changed);
	pthread_mutex_destroy(&cancel->mutex);
}

void aa_cancel(struct aa_cancel *cancel)
{
	pthread_mutex_lock(&cancel->mutex);
	cancel->is_canceled = 1;
	pthread_cond_broadcast(&cancel->changed);
	pthread_mutex_unlock(&cancel->mutex);
}

int aa_context_wait_for(const agentassert_context *context, const int *flag, int64_t time)
{
	struct aa_cancel *cancel = context->cancel;
	time = time < context->deadline ? time : context->deadline;
	pthread_mutex_lock(&cancel->mutex);
	while (!*flag && !cancel->is_canceled && aa_monotonic() < time) {
		aa_wait_until(&cancel->changed, &cancel->mutex, time);
	}
	int is_set = *flag;
	pthread_mutex_unlock(&cancel->mutex);
	return is_set;
}

void aa_context_set(const agentassert_context *context, int *flag)
{
	struct aa_cancel *cancel = context->cancel;
	pthread_mutex_lock(&cancel->mutex);
	*flag = 1;
	pthread_cond_broadcast(&cancel->changed);
	pthread_mutex_unlock(&cancel->mutex);
}

int agentassert_context_canceled(const agentassert_context *context)
{
	int is_canceled = 0;
	if (context->cancel) {
		pthread_mutex_lock(&context->cancel->mutex);
		is_canceled = context->cancel->is_canceled;
		pthread_mutex_unlock(&context->cancel->mutex);
	}
	return is_canceled || aa_monotonic() >= context->deadline;
}

int agentassert_context_wait(const agentassert_context *context, int64_t milliseconds)
{
	static const int never = 0;
	int64_t time = aa_monotonic_after(milliseconds);
	if (context->cancel) {
		aa_context_wait_for(context, &never, time);
		return agentassert_context_canceled(context);
	}
	time = time < context->deadline ? time : context->deadline;
	for (int64_t left; (left = time - aa_monotonic()) > 0;) {
		struct timespec pause = {.tv_sec = (time_t)(left < 1000 ? 0 : 1),
					 .tv_nsec = left < 1000 ? (long)left * 1000000 : 0};
		nanosleep(&pause, NULL);
	}
	return agentassert_context_canceled(context);
}

agentassert *agentassert_context_core(const agentassert_context *context)
{
	return context->core;
}
