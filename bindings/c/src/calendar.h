/* Times as the protocol writes them. */
#ifndef AGENTASSERT_CALENDAR_H
#define AGENTASSERT_CALENDAR_H

#include <stdint.h>

#include "arena.h"

/* The beginning of the year 0, and the end of the year 9999, in Unix seconds. */
#define AA_LEAST_TIME INT64_C(-62167219200)
#define AA_MOST_TIME INT64_C(253402300799)

/* Returns a time between these in RFC 3339, in UTC: 2026-11-24T15:16:08Z. Data is NULL if there is
 * no memory. */
aa_bytes aa_timestamp(aa_arena *arena, int64_t seconds);

#endif
