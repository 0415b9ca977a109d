/* Signs as a new agent, and verifies it. */
#include <agentassert.h>
#include <stdio.h>
#include <time.h>

int main(void)
{
	agentassert *core;
	agentassert_error error;
	char *private_key, *public_key, *header;
	int64_t now = time(NULL);
	if (agentassert_open(NULL, &core, &error) != 0 ||
	    agentassert_generate_key(core, NULL, NULL, 0, &private_key, &public_key, &error) != 0 ||
	    agentassert_assert(core, private_key, "agent-1", "task-1", now, &header, NULL, &error) != 0 ||
	    agentassert_verify(core, public_key, header, now, AGENTASSERT_DEFAULT_SKEW, NULL, &error) != 0) {
		fprintf(stderr, "%s: %s\n", error.code, error.message);
		return 1;
	}
	printf("Authorization: %s\n", header);
	agentassert_free(header);
	agentassert_free(private_key); /* and overwritten */
	agentassert_free(public_key);
	agentassert_close(core);
	return 0;
}
