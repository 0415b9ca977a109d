/* SHA-256 (FIPS 180-4), for names of files only: a thread's id can be a path, too long for a
 * name, or different from another only in case. Keys and signatures are the module's. */
#ifndef AGENTASSERT_SHA256_H
#define AGENTASSERT_SHA256_H

#include "arena.h"

/* Writes the digest in hexadecimal, 64 digits and a zero byte. */
void aa_sha256_hex(aa_bytes bytes, char out[65]);

#endif
