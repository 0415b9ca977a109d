/* What text is: UTF-8, RFC 3629. */
#ifndef AGENTASSERT_UTF8_H
#define AGENTASSERT_UTF8_H

#include "arena.h"

/* Reports whether bytes are UTF-8: shortest forms only, no surrogates, nothing beyond
 * U+10FFFF. */
int aa_is_utf8(aa_bytes bytes);

#endif
