/* What a message may be at most: wasm/ABI.md, Messages. */
#ifndef AGENTASSERT_MESSAGE_LIMITS_H
#define AGENTASSERT_MESSAGE_LIMITS_H

/* The size of a message, in bytes. */
#define AA_MAX_MESSAGE (1024 * 1024)

/* How deeply arrays and maps nest in a message, the message itself included. */
#define AA_MAX_DEPTH 16

/* The size of a message in JSON, in bytes: no larger message can be in it, and
 * testvectors/README.md has lines of this size. */
#define AA_MAX_JSON (8 * 1024 * 1024)

#endif
