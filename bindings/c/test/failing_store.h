/* A store that fails in one way. */
#ifndef AGENTASSERT_TEST_FAILING_STORE_H
#define AGENTASSERT_TEST_FAILING_STORE_H

#include "agentassert_manager.h"

struct failing_store {
	agentassert_store *inner;
	const char *code; /* of the failure; "" for none */
	/* The method that fails; "all"; "writes", which are all but load and credentials; or "empty", where
	 * load returns a record that is none. */
	const char *method;
	/* What the method credentials answers with. */
	const agentassert_credentials *credentials;
};

/* Returns the methods of a store, which outlives them. */
agentassert_store failing_store_methods(struct failing_store *store);

#endif
