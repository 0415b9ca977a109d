/* Base64 (RFC 4648), in both alphabets, as the core reads and writes it. */
#ifndef AGENTASSERT_BASE64_H
#define AGENTASSERT_BASE64_H

#include "arena.h"
#include "value.h"

enum aa_base64 {
	AA_BASE64,     /* the standard alphabet, padded: keys, journals */
	AA_BASE64_URL, /* the alphabet for URLs, without padding: assertions, JWTs */
};

/* Returns bytes in base64; data is NULL if there is no memory. */
aa_bytes aa_base64_encode(aa_arena *arena, enum aa_base64 form, aa_bytes bytes);

/* Reads base64. As in the core, line ends mean nothing, and neither do the bits behind the
 * last byte; whoever needs the one text of some bytes encodes them again. AA_MALFORMED if it is
 * none, AA_NO_MEMORY. */
enum aa_codec_result aa_base64_decode(aa_arena *arena, enum aa_base64 form, aa_bytes text, aa_bytes *out);

#endif
