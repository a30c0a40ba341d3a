/*
 * format_number.c
 *		Decimal texts to scaled integers, exactly: numeric and epochs.
 *
 * A number is taken apart first; then the digits that count are gathered by
 * their weight, so that neither a long fraction nor an exponent ever goes
 * through a double.
 *
 * Memory and locks: none.
 */
#include "format/format_scalar.h"

#include "datatype/timestamp.h"

/* Longer texts are PostgreSQL's business, with its limits on scale. */
#define NUMERIC_TEXT 400

const int64 sq_format_power10[19] = {INT64CONST(1),
									 INT64CONST(10),
									 INT64CONST(100),
									 INT64CONST(1000),
									 INT64CONST(10000),
									 INT64CONST(100000),
									 INT64CONST(1000000),
									 INT64CONST(10000000),
									 INT64CONST(100000000),
									 INT64CONST(1000000000),
									 INT64CONST(10000000000),
									 INT64CONST(100000000000),
									 INT64CONST(1000000000000),
									 INT64CONST(10000000000000),
									 INT64CONST(100000000000000),
									 INT64CONST(1000000000000000),
									 INT64CONST(10000000000000000),
									 INT64CONST(100000000000000000),
									 INT64CONST(1000000000000000000)};

/* ---- Taking apart ---- */

/* Pass over digits, adding them to an integer that may wrap. */
static inline const char *
skip_digits(const char *p, const char *end, uint64 *value)
{
	for (; p < end; p++)
	{
		uint64 digit = (uint64) (unsigned char) *p - '0';

		if (digit > 9)
			break;
		*value = *value * 10 + digit;
	}
	return p;
}

/* What follows the e; an exponent beyond any document's length stays there. */
static bool
parse_exponent(const char *p, const char *end, int64 *exponent)
{
	const int64 limit = INT64CONST(1000000000000);
	bool negative = p < end && *p == '-';

	if (negative || (p < end && *p == '+'))
		p++;
	if (p == end)
		return false;
	*exponent = 0;
	for (; p < end; p++)
	{
		if (*p < '0' || *p > '9')
			return false;
		*exponent = Min(*exponent * 10 + (*p - '0'), limit);
	}
	if (negative)
		*exponent = -*exponent;
	return true;
}

bool
sq_format_number_parse(SqSlice input, SqNumber *number)
{
	const char *p = input.data;
	const char *end = p + input.length;

	number->negative = p < end && *p == '-';
	if (number->negative || (p < end && *p == '+'))
		p++;
	number->digits = 0;
	number->exponent = 0;
	number->whole = p;
	p = skip_digits(p, end, &number->digits);
	number->nwhole = p - number->whole;
	number->fraction = p;
	number->nfraction = 0;
	if (number->nwhole == 0)
		return false;
	if (p < end && *p == '.')
	{
		number->fraction = p + 1;
		p = skip_digits(p + 1, end, &number->digits);
		number->nfraction = p - number->fraction;
	}
	if (likely(p == end))
		return true;
	return (*p | 0x20) == 'e' && parse_exponent(p + 1, end, &number->exponent);
}

/* ---- Scaling ---- */

#define SCALE_LIMIT                                                            \
	((unsigned __int128) INT64CONST(1000000000000000000) *                     \
	 INT64CONST(1000000000000))

/* Gather a run of digits, the first of which has that weight. */
static bool
gather(const char *digits, int64 ndigits, int64 weight, SqScaled *scaled)
{
	for (int64 i = 0; i < ndigits; i++, weight--)
	{
		int digit = digits[i] - '0';

		if (weight >= 0)
		{
			scaled->magnitude = scaled->magnitude * 10 + digit;
			if (scaled->magnitude >= SCALE_LIMIT)
				return false;
			continue;
		}
		if (weight == -1)
			scaled->half = digit >= 5;
		scaled->inexact |= digit != 0;
	}
	return true;
}

/* Append zeros. */
static bool
append_zeros(SqScaled *scaled, int64 nzeros)
{
	if (scaled->magnitude == 0)
		return true;
	for (; nzeros > 0; nzeros--)
	{
		scaled->magnitude *= 10;
		if (scaled->magnitude >= SCALE_LIMIT)
			return false;
	}
	return true;
}

bool
sq_format_number_scale(const SqNumber *number, int shift, SqScaled *scaled)
{
	int64 zeros = number->exponent + shift - number->nfraction;
	int64 weight = number->exponent + shift + number->nwhole - 1;

	*scaled = (SqScaled){0};
	if (likely(number->nwhole + number->nfraction <= 19 && zeros >= 0 &&
			   zeros <= 11))
	{
		scaled->magnitude =
			(unsigned __int128) number->digits * sq_format_power10[zeros];
		return scaled->magnitude < SCALE_LIMIT;
	}
	return gather(number->whole, number->nwhole, weight, scaled) &&
		   gather(number->fraction, number->nfraction, weight - number->nwhole,
				  scaled) &&
		   append_zeros(scaled, zeros);
}

/* ---- numeric(p, s) ---- */

bool
sq_format_numeric(SqSlice input, int precision, int scale, int64 *value)
{
	SqNumber number;
	SqScaled scaled;
	int64 magnitude;

	if (unlikely(input.length > NUMERIC_TEXT) ||
		!sq_format_number_parse(input, &number) ||
		number.exponent > NUMERIC_TEXT || number.exponent < -NUMERIC_TEXT ||
		!sq_format_number_scale(&number, scale, &scaled))
		return false;
	if (scaled.magnitude >= (uint64) sq_format_power10[precision])
		return false;
	magnitude = (int64) scaled.magnitude + scaled.half;
	if (magnitude >= sq_format_power10[precision])
		return false;
	*value = number.negative ? -magnitude : magnitude;
	return true;
}

/* ---- Epochs ---- */

static SqSlice
trim(SqSlice input)
{
	while (input.length > 0 && strchr(" \t\n\r", input.data[0]) != NULL &&
		   input.data[0] != '\0')
	{
		input.data++;
		input.length--;
	}
	while (input.length > 0 && input.data[input.length - 1] != '\0' &&
		   strchr(" \t\n\r", input.data[input.length - 1]) != NULL)
		input.length--;
	return input;
}

/* Days since 2000 that a moment lies in, of microseconds since 1970 that
 * were cut towards zero. */
static __int128
day_of(__int128 us, bool inexact)
{
	__int128 day;

	if (us < 0 || (us == 0 && inexact))
		day = -((-us + inexact + USECS_PER_DAY - 1) / USECS_PER_DAY);
	else
		day = us / USECS_PER_DAY;
	return day - SQ_EPOCH_DAYS;
}

/* Microseconds or, for a date, days since 2000. */
static __int128
epoch_value(const SqColumn *column, const SqScaled *scaled, bool negative)
{
	__int128 us = (__int128) scaled->magnitude;

	if (column->type == SQ_TYPE_DATE)
		return negative ? day_of(-us, scaled->inexact) : day_of(us, false);
	us += scaled->half;
	return (negative ? -us : us) - (__int128) SQ_EPOCH_SECONDS * USECS_PER_SEC;
}

static bool
is_in_range(const SqColumn *column, __int128 value)
{
	if (column->type == SQ_TYPE_DATE)
		return value >= DATETIME_MIN_JULIAN - POSTGRES_EPOCH_JDATE &&
			   value < DATE_END_JULIAN - POSTGRES_EPOCH_JDATE;
	return value >= MIN_TIMESTAMP && value < END_TIMESTAMP;
}

SqStatus
sq_format_epoch(SqColumn *column, int row, SqSlice input, SqEpoch epoch,
				SqError *error)
{
	static const int shifts[] = {[SQ_EPOCH_NONE] = 0,
								 [SQ_EPOCH_S] = 6,
								 [SQ_EPOCH_MS] = 3,
								 [SQ_EPOCH_US] = 0,
								 [SQ_EPOCH_NS] = -3};
	SqSlice trimmed = trim(input);
	SqNumber number;
	SqScaled scaled;

	if (!sq_format_number_parse(trimmed, &number))
		return sq_error_set(error, ERRCODE_INVALID_TEXT_REPRESENTATION,
							"epoch value is not a number: \"%.*s\"",
							(int) Min(trimmed.length, SQ_ERROR_TEXT),
							trimmed.data);
	if (sq_format_number_scale(&number, shifts[epoch], &scaled))
	{
		__int128 value = epoch_value(column, &scaled, number.negative);

		if (is_in_range(column, value))
		{
			sq_column_set_int(column, row, (int64) value);
			return SQ_OK;
		}
	}
	return sq_error_set(error, ERRCODE_DATETIME_VALUE_OUT_OF_RANGE,
						"epoch value is out of range: \"%.*s\"",
						(int) Min(trimmed.length, SQ_ERROR_TEXT), trimmed.data);
}
