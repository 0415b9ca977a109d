#include "month.h"

/* The first day and the last of the years 0 to 9999, from the Unix epoch. */
#define FIRST_DAY (-719528)
#define LAST_DAY 2932896

static int is_leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Returns how many months there are from year 0 to a day, counted from the Unix epoch. */
static int months_to(int64_t day)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int64_t left = (day < FIRST_DAY ? FIRST_DAY : day > LAST_DAY ? LAST_DAY : day) - FIRST_DAY;
	int year = (int)(left / 146097) * 400; /* the days of 400 years */
	left %= 146097;
	for (; left >= 365 + is_leap(year); year++) {
		left -= 365 + is_leap(year);
	}
	int month = 0;
	for (;; month++) {
		int length = lengths[month] + (month == 1 && is_leap(year));
		if (left < length) {
			return year * 12 + month;
		}
		left -= length;
	}
}

aa_month aa_month_before(int64_t now, int months)
{
	int64_t day = now / 86400 - (now % 86400 < 0);
	int n = months_to(day) - months;
	n = n < 0 ? 0 : n;
	int year = n / 12, month = n % 12 + 1;
	return (aa_month){{(char)('0' + year / 1000), (char)('0' + year / 100 % 10), (char)('0' + year / 10 % 10),
			   (char)('0' + year % 10), '-', (char)('0' + month / 10), (char)('0' + month % 10), 0}};
}

int aa_is_month(aa_bytes text)
{
	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];
		if (i == 4 ? c != '-' : c < '0' || c > '9') {
			return 0;
		}
	}
	if (text.size != 7) {
		return 0;
	}
	int month = (text.data[5] - '0') * 10 + text.data[6] - '0';
	return month >= 1 && month <= 12;
}
