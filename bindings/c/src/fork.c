#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE

#include "fork.h"

#include <pthread.h>

#include "pool.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static aa_fork_link *first;
static int is_registered;

static void prepare(void)
{
	pthread_mutex_lock(&mutex);
	for (aa_fork_link *link = first; link != NULL; link = link->next) {
		aa_pool_before_fork(link->core);
	}
}

static void go_on(int is_child)
{
	for (aa_fork_link *link = first; link != NULL; link = link->next) {
		aa_pool_after_fork(link->core, is_child);
	}
	pthread_mutex_unlock(&mutex);
}

static void go_on_in_parent(void)
{
	go_on(0);
}

static void go_on_in_child(void)
{
	go_on(1);
}

void aa_fork_add(agentassert *core, aa_fork_link *link)
{
	pthread_mutex_lock(&mutex);
	/* Not pthread_once: glibc has had that elsewhere before 2.34, and what was linked with it here
	 * works with no older one. */
	if (!is_registered) {
		is_registered = 1;
		/* It fails only where there is no memory; a fork while others make calls is then as unsafe
		 * as it would be without this. */
		(void)pthread_atfork(prepare, go_on_in_parent, go_on_in_child);
	}
	*link = (aa_fork_link){.core = core, .next = first};
	if (first != NULL) {
		first->before = link;
	}
	first = link;
	pthread_mutex_unlock(&mutex);
}

void aa_fork_remove(aa_fork_link *link)
{
	pthread_mutex_lock(&mutex);
	if (link->before != NULL) {
		link->before->next = link->next;
	} else {
		first = link->next;
	}
	if (link->next != NULL) {
		link->next->before = link->before;
	}
	pthread_mutex_unlock(&mutex);
}
