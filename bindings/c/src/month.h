/* Months, by which the records of threads are kept. */
#ifndef AGENTASSERT_MONTH_H
#define AGENTASSERT_MONTH_H

#include <stdint.h>

#include "arena.h"

/* A month as 2026-11, and a zero byte. */
typedef struct aa_month {
	char text[8];
} aa_month;

/* Returns the month that lies so many before a time, which is in Unix seconds and in the years
 * 0 to 9999. */
aa_month aa_month_before(int64_t now, int months);

/* Reports whether text has the form of a month. */
int aa_is_month(aa_bytes text);

#endif
