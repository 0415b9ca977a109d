/* Carries out a flow's requests, by the caller's HTTP client. */
#ifndef AGENTASSERT_EXCHANGE_H
#define AGENTASSERT_EXCHANGE_H

#include "agentassert_manager.h"
#include "policy.h"

/* Sends a request, within its size limit. Returns the event for the flow, or NULL if there is no memory;
 * error is filled in if the event is a failure, in the host's words. */
aa_value *aa_exchange(aa_arena *arena, agentassert_send send, void *self, const struct aa_request *request,
		      const agentassert_context *context, agentassert_error *error);

#endif
