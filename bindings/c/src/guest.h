/* One instance of the module. One thread uses it at a time. */
#ifndef AGENTASSERT_GUEST_H
#define AGENTASSERT_GUEST_H

#include <stdint.h>

#include "arena.h"

typedef struct aa_guest aa_guest;

enum aa_guest_result {
	AA_GUEST_OK,
	AA_GUEST_NO_MEMORY,
	/* It trapped. */
	AA_GUEST_TRAPPED,
	/* It did not because of the host, which had no memory for the response. */
	AA_GUEST_NO_ROOM,
	/* Its answer is outside of its memory, empty or too large. */
	AA_GUEST_ANSWER,
	/* It speaks another version of the ABI. */
	AA_GUEST_ABI,
};

/* Makes an instance whose memory takes that many pages of 64 KiB at most. */
enum aa_guest_result aa_guest_new(uint64_t max_pages, aa_guest **guest);

/* Overwrites its memory and frees it. NULL is fine. */
void aa_guest_free(aa_guest *guest);

/* Takes a request of 1 to AA_MAX_MESSAGE bytes into the guest, and its response out, into the
 * arena. Unless that succeeds the guest is of no more use. */
enum aa_guest_result aa_guest_exchange(aa_guest *guest, aa_arena *arena, aa_bytes request, aa_bytes *response);

/* Returns the size of its memory, in bytes. */
uint64_t aa_guest_size(const aa_guest *guest);

/* Returns its memory, for tests. */
const unsigned char *aa_guest_memory(const aa_guest *guest);

#endif
