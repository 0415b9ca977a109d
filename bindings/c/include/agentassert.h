/* agentassert: "Authorization: AgentAssertion …" for C, and whatever calls C. */
#ifndef AGENTASSERT_H
#define AGENTASSERT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define AGENTASSERT_API
#else
#define AGENTASSERT_API __attribute__((visibility("default")))
#endif

/* The core: the sandboxed module and a pool of its instances. Threads can share one. */
typedef struct agentassert agentassert;

/* What went wrong. The code is stable, and the same in every language; the message is for
 * people. Both end with a zero byte; neither holds a secret. */
typedef struct agentassert_error {
	char code[64];
	char message[448];
} agentassert_error;

#ifdef __cplusplus
}
#endif

#endif
