#include "calendar.h"

/* The calendar repeats itself after so many days. */
enum { days_in_400_years = 146097, seconds_in_a_day = 86400 };

static int is_leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_in_year(int year)
{
	return is_leap(year) ? 366 : 365;
}

static int days_in_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	return month == 1 && is_leap(year) ? 29 : days[month];
}

aa_bytes aa_timestamp(aa_arena *arena, int64_t seconds)
{
	int64_t since = seconds - AA_LEAST_TIME;
	int day = (int)(since / seconds_in_a_day), second = (int)(since % seconds_in_a_day);
	int year = 400 * (day / days_in_400_years), month = 0;
	day %= days_in_400_years;
	for (; day >= days_in_year(year); year++) {
		day -= days_in_year(year);
	}
	for (; day >= days_in_month(year, month); month++) {
		day -= days_in_month(year, month);
	}
	return aa_format(arena, "%04d-%02d-%02dT%02d:%02d:%02dZ", year, month + 1, day + 1, second / 3600,
			 second / 60 % 60, second % 60);
}
