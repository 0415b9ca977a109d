/* What the library does to the process that it is in: nothing to its signals, no end where
 * there is no memory, and a child of fork can use it at once. */
#define _DEFAULT_SOURCE

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agentassert.h"
#include "captured.h"
#include "check.h"

static int works(agentassert *core)
{
	agentassert_error error;
	char *header;
	int failed = agentassert_assert(core, CAPTURED_PRIVATE_KEY, CAPTURED_AGENT, CAPTURED_TASK, CAPTURED_NOW,
					&header, NULL, &error);
	int is_right = failed == 0 && strcmp(header, CAPTURED_HEADER) == 0;
	agentassert_free(header);
	return is_right;
}

/* Runs a function in a child, and returns what it returned there. */
static int in_child(int (*function)(agentassert *core), agentassert *core)
{
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		_exit(function(core));
	}
	int status = 0;
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) {
		return -1;
	}
	return WEXITSTATUS(status);
}

static volatile sig_atomic_t caught;

static void catch_signal(int signal)
{
	(void)signal;
	caught = 1;
}

static void test_signals(void)
{
	struct sigaction mine = {.sa_handler = catch_signal}, after;
	sigemptyset(&mine.sa_mask);
	stack_t stack_before, stack_after;
	agentassert *core;
	agentassert_error error;
	static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
		sigaction(signals[i], &mine, NULL);
	}
	sigaltstack(NULL, &stack_before);
	CHECK(agentassert_open(NULL, &core, &error) == 0 && works(core), "%s", error.message);
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
		sigaction(signals[i], NULL, &after);
		CHECK(after.sa_handler == catch_signal, "the handler of signal %d", signals[i]);
	}
	sigaltstack(NULL, &stack_after);
	CHECK(stack_before.ss_sp == stack_after.ss_sp && stack_before.ss_flags == stack_after.ss_flags,
	      "the stack of signals");
	raise(SIGSEGV);
	CHECK(caught == 1, "a signal arrives");
	agentassert_close(core);
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
		signal(signals[i], SIG_DFL);
	}
}

/* With little address space there are errors, and then it works again. */
static int open_with_little_memory(agentassert *core)
{
	(void)core;
#if defined(RLIMIT_AS)
	agentassert *opened[64] = {NULL};
	agentassert_error error = {"", ""};
	struct rlimit limit = {.rlim_cur = (rlim_t)256 << 20, .rlim_max = (rlim_t)256 << 20};
	if (setrlimit(RLIMIT_AS, &limit) != 0) {
		return 1;
	}
	int count = 0;
	while (count < 64 && agentassert_open(NULL, &opened[count], &error) == 0) {
		if (!works(opened[count++])) {
			return 2;
		}
	}
	if (count == 0 || count == 64 || strcmp(error.code, "sandbox_failed") != 0) {
		return 3;
	}
	agentassert_close(opened[--count]);
	if (agentassert_open(NULL, &opened[count], &error) != 0 || !works(opened[count])) {
		return 4;
	}
#endif
	return 0;
}

static atomic_int stopping;

static void *keep_calling(void *core)
{
	while (!stopping) {
		CHECK(works(core), "a call");
	}
	return NULL;
}

static int use_in_child(agentassert *core)
{
	for (int i = 0; i < 3; i++) {
		if (!works(core)) {
			return 1;
		}
		agentassert_forget(core);
	}
	agentassert_close(core);
	return 0;
}

/* Forks while other threads have taken all instances. */
static void test_fork(void)
{
	enum { THREADS = 4, FORKS = 20 };
	agentassert *core;
	agentassert_error error;
	agentassert_options options = {.size = sizeof options, .instances = 2};
	pthread_t threads[THREADS];
	CHECK(agentassert_open(&options, &core, &error) == 0, "%s", error.message);
	int started = 0;
	while (started < THREADS && pthread_create(&threads[started], NULL, keep_calling, core) == 0) {
		started++;
	}
	for (int i = 0; i < FORKS; i++) {
		int status = in_child(use_in_child, core);
		CHECK(status == 0, "child %d: %d", i, status);
	}
	stopping = 1;
	while (started > 0) {
		pthread_join(threads[--started], NULL);
	}
	CHECK(works(core), "and the parent goes on");
	agentassert_close(core);
}

int main(int argc, char **argv)
{
	/* Sanitizers and guard pages need more address space. */
	int is_limited = 1;
	for (int i = 1; i < argc; i++) {
		is_limited = is_limited && strcmp(argv[i], "--unlimited") != 0;
	}
	test_signals();
	if (is_limited) {
		int status = in_child(open_with_little_memory, NULL);
		CHECK(status == 0, "with little memory: %d", status);
	}
	test_fork();
	return test_result();
}
