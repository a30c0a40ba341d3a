/*
 * format_datetime.c
 *		ISO 8601 dates and timestamps, the forms that mean the same under
 *		every DateStyle and TimeZone.
 *
 * Years 0001 to 9999 with four digits, months, days, hours, minutes and
 * seconds with two. Everything else that PostgreSQL may understand (24:00,
 * second 60, BC, zone names, dates in other orders) is left to it.
 *
 * Memory and locks: none.
 */
#include "format/format_scalar.h"

#include <math.h>

#include "datatype/timestamp.h"

/* More digits than this are not worth proving. */
#define MAX_FRACTION 9

/* Two digits as a number, or something above 99. */
static inline unsigned
two_digits(const char *s)
{
	unsigned tens = (unsigned char) s[0] - '0';
	unsigned ones = (unsigned char) s[1] - '0';

	return tens > 9 || ones > 9 ? 100 : tens * 10 + ones;
}

static int
days_in_month(unsigned year, unsigned month)
{
	static const char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap);
}

/* Days since 2000-01-01, with years that begin in March so that the leap day
 * is the last. */
static inline int64
day_number(unsigned year, unsigned month, unsigned day)
{
	int64 y = (int64) year - (month <= 2);
	int64 m = month > 2 ? month - 3 : month + 9;

	return y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day -
		   730426;
}

/* Ten characters YYYY-MM-DD. */
static inline bool
scan_date(const char *s, int64 *days)
{
	unsigned century = two_digits(s);
	unsigned year = century * 100 + two_digits(s + 2);
	unsigned month = two_digits(s + 5);
	unsigned day = two_digits(s + 8);

	if (s[4] != '-' || s[7] != '-' || century > 99 || two_digits(s + 2) > 99 ||
		year == 0 || month < 1 || month > 12 || day < 1)
		return false;
	if (day > 28 && day > (unsigned) days_in_month(year, month))
		return false;
	*days = day_number(year, month, day);
	return true;
}

bool
sq_format_date(SqSlice input, int64 *days)
{
	return input.length == 10 && scan_date(input.data, days);
}

/*
 * Digits after the point of the seconds, at least one. Beyond six PostgreSQL
 * goes through a double, which is exact up to the rounding repeated here:
 * both operands of the division are exact doubles, so the quotient is the
 * double nearest to the text, which is what strtod gives.
 */
static const char *
scan_fraction(const char *p, const char *end, int64 *us)
{
	const char *start = p;
	int64 digits = 0;

	for (; p < end && *p >= '0' && *p <= '9'; p++)
	{
		if (p - start == MAX_FRACTION)
			return NULL;
		digits = digits * 10 + (*p - '0');
	}
	if (p == start)
		return NULL;
	if (p - start <= 6)
		*us += digits * sq_format_power10[6 - (p - start)];
	else
	{
		double fraction = (double) digits / sq_format_power10[p - start];
		int64 rounded = (int64) rint(fraction * 1000000);

		/* A carry into the seconds is left alone. */
		if (rounded >= USECS_PER_SEC)
			return NULL;
		*us += rounded;
	}
	return p;
}

/* HH:MM[:SS[.f]]; answers where it ends, or NULL. */
static inline const char *
scan_time(const char *p, const char *end, int64 *us)
{
	unsigned hour;
	unsigned minute;
	unsigned second;

	if (end - p < 5 || p[2] != ':')
		return NULL;
	hour = two_digits(p);
	minute = two_digits(p + 3);
	if (hour > 23 || minute > 59)
		return NULL;
	*us = (hour * INT64CONST(60) + minute) * USECS_PER_MINUTE;
	p += 5;
	if (p == end || *p != ':')
		return p;
	if (end - p < 3)
		return NULL;
	second = two_digits(p + 1);
	if (second > 59)
		return NULL;
	*us += second * USECS_PER_SEC;
	p += 3;
	if (p == end || *p != '.')
		return p;
	return scan_fraction(p + 1, end, us);
}

/* Z, +HH, +HHMM or +HH:MM, up to the end of the text. */
static inline bool
scan_zone(const char *p, const char *end, int64 *offset)
{
	unsigned hour;
	unsigned minute = 0;
	bool west = *p == '-';

	*offset = 0;
	if (*p == 'Z')
		return end - p == 1;
	if (*p != '+' && *p != '-')
		return false;
	if (end - p != 3 && end - p != 5 && (end - p != 6 || p[3] != ':'))
		return false;
	hour = two_digits(p + 1);
	if (end - p > 3)
		minute = two_digits(end - 2);
	if (hour > MAX_TZDISP_HOUR || minute > 59)
		return false;
	*offset = (hour * INT64CONST(60) + minute) * USECS_PER_MINUTE;
	if (west)
		*offset = -*offset;
	return true;
}

bool
sq_format_timestamp(SqSlice input, bool want_zone, int64 *us)
{
	const char *p = input.data;
	const char *end = p + input.length;
	int64 days;
	int64 time = 0;
	int64 offset = 0;

	if (input.length < 10 || !scan_date(p, &days))
		return false;
	if (input.length > 10)
	{
		if (p[10] != 'T' && p[10] != ' ')
			return false;
		p = scan_time(p + 11, end, &time);
		if (p == NULL)
			return false;
	}
	else
		p = end;
	if (p == end ? want_zone : !scan_zone(p, end, &offset))
		return false;
	*us = days * USECS_PER_DAY + time - (want_zone ? offset : 0);
	return true;
}
