/*
 * format_scalar_test.c
 *		Scalar kernels and epochs: what they take, what they leave pending, and
 *		random values against slow models that share no code with them.
 */
#include "format_unit.h"

#include <math.h>

#include "datatype/timestamp.h"

static SqBatch *batch;

/* A column of a kind, alone in a new batch. */
static SqColumn *
use_column(SqColumn template)
{
	if (batch != NULL)
		sq_batch_destroy(batch);
	batch = sq_batch_create(&template, 1, 1);
	return &batch->columns[0];
}

static const char *
scalar(SqColumn *column, const char *input, size_t length)
{
	SqSlice copy = exact_copy(input, length);
	const char *shown;

	sq_column_set_null(column, 0);
	sq_format_scalar(column, 0, copy, batch->arena);
	shown = show(column, 0);
	free((char *) copy.data);
	return shown;
}

typedef struct ScalarCase
{
	SqColumn column;
	const char *input;
	const char *shown; /* NULL: pending with the same text */
} ScalarCase;

#define KIND(t)                                                                \
	{                                                                          \
		.type = SQ_TYPE_##t                                                    \
	}
#define NUMERIC_KIND(p, s)                                                     \
	{                                                                          \
		.type = SQ_TYPE_NUMERIC, .precision = p, .scale = s                    \
	}
#define VARCHAR_KIND(n)                                                        \
	{                                                                          \
		.type = SQ_TYPE_TEXT, .max_length = n                                  \
	}
#define LONG_ONES                                                              \
	"1111111111111111111111111111111111111111111111111111111111111111111111"

static const ScalarCase cases[] = {
	{KIND(INT4), "0", "=0"},
	{KIND(INT4), "-0", "=0"},
	{KIND(INT4), "+7", "=7"},
	{KIND(INT4), "007", "=7"},
	{KIND(INT4), "2147483647", "=2147483647"},
	{KIND(INT4), "-2147483648", "=-2147483648"},
	{KIND(INT4), "2147483648", NULL},
	{KIND(INT4), "-2147483649", NULL},
	{KIND(INT4), "", NULL},
	{KIND(INT4), "-", NULL},
	{KIND(INT4), "+-1", NULL},
	{KIND(INT4), "1.0", NULL},
	{KIND(INT4), "1e3", NULL},
	{KIND(INT4), " 1", NULL},
	{KIND(INT4), "1 ", NULL},
	{KIND(INT4), "0x10", NULL},
	{KIND(INT4), "1_000", NULL},
	{KIND(INT4), "true", NULL},
	{KIND(INT4), "{\"a\":1}", NULL},
	{KIND(INT2), "32767", "=32767"},
	{KIND(INT2), "-32768", "=-32768"},
	{KIND(INT2), "32768", NULL},
	{KIND(INT2), "-32769", NULL},
	{KIND(INT8), "9223372036854775807", "=9223372036854775807"},
	{KIND(INT8), "-9223372036854775808", "=-9223372036854775808"},
	{KIND(INT8), "9223372036854775808", NULL},
	{KIND(INT8), "-9223372036854775809", NULL},
	{KIND(INT8), "9999999999999999999", NULL},
	{KIND(INT8), "18446744073709551616", NULL},
	{KIND(INT8), LONG_ONES, NULL},
	{KIND(BOOL), "true", "=1"},
	{KIND(BOOL), "false", "=0"},
	{KIND(BOOL), "t", "=1"},
	{KIND(BOOL), "f", "=0"},
	{KIND(BOOL), "1", "=1"},
	{KIND(BOOL), "0", "=0"},
	{KIND(BOOL), "TRUE", NULL},
	{KIND(BOOL), "yes", NULL},
	{KIND(BOOL), "2", NULL},
	{KIND(BOOL), "", NULL},
	{KIND(FLOAT8), "1.5", "=1.5"},
	{KIND(FLOAT8), "+1.5", "=1.5"},
	{KIND(FLOAT8), "-0", "=-0"},
	{KIND(FLOAT8), "-0.0e99999", "=-0"},
	{KIND(FLOAT8), "0.1", "=0.10000000000000001"},
	{KIND(FLOAT8), "1e308", "=1e+308"},
	{KIND(FLOAT8), "9007199254740993", "=9007199254740992"},
	{KIND(FLOAT8), "1e309", NULL},
	{KIND(FLOAT8), "-1e400", NULL},
	{KIND(FLOAT8), "1e-400", NULL},
	{KIND(FLOAT8), "5e-324", NULL},
	{KIND(FLOAT8), "NaN", NULL},
	{KIND(FLOAT8), "Infinity", NULL},
	{KIND(FLOAT8), "-inf", NULL},
	{KIND(FLOAT8), "0x1p3", NULL},
	{KIND(FLOAT8), "+-1", NULL},
	{KIND(FLOAT8), "1e", NULL},
	{KIND(FLOAT8), "1,5", NULL},
	{KIND(FLOAT8), ".", NULL},
	{KIND(FLOAT8), "", NULL},
	/* By way of a double this would round to 16777216. */
	{KIND(FLOAT4), "16777217.0000001", "=16777218"},
	{KIND(FLOAT4), "0.1", "=0.10000000149011612"},
	{KIND(FLOAT4), "1e39", NULL},
	{KIND(FLOAT4), "1e-46", NULL},
	{KIND(FLOAT4), "1e-40", NULL},
	{NUMERIC_KIND(10, 2), "12345.67", "=1234567"},
	{NUMERIC_KIND(10, 2), "12345", "=1234500"},
	{NUMERIC_KIND(10, 2), "-1.005", "=-101"},
	{NUMERIC_KIND(10, 2), "1.005", "=101"},
	{NUMERIC_KIND(10, 2), "1.0049999999999999999999999999", "=100"},
	{NUMERIC_KIND(10, 2), "-0.004", "=0"},
	{NUMERIC_KIND(10, 2), "-0.005", "=-1"},
	{NUMERIC_KIND(10, 2), "1e3", "=100000"},
	{NUMERIC_KIND(10, 2), "1.5E-2", "=2"},
	{NUMERIC_KIND(10, 2), "1.4e-2", "=1"},
	{NUMERIC_KIND(10, 2), "0e300", "=0"},
	{NUMERIC_KIND(10, 2), "1e-300", "=0"},
	{NUMERIC_KIND(10, 2), "00012.50", "=1250"},
	{NUMERIC_KIND(10, 2), "99999999.99", "=9999999999"},
	{NUMERIC_KIND(10, 2), "99999999.994", "=9999999999"},
	{NUMERIC_KIND(10, 2), "99999999.995", NULL},
	{NUMERIC_KIND(10, 2), "100000000", NULL},
	{NUMERIC_KIND(10, 2), "1e8", NULL},
	{NUMERIC_KIND(10, 2), "1e40", NULL},
	{NUMERIC_KIND(10, 2), "1e999999999999", NULL},
	{NUMERIC_KIND(10, 2), LONG_ONES, NULL},
	{NUMERIC_KIND(10, 2), "0." LONG_ONES, "=11"},
	{NUMERIC_KIND(10, 2), "1.", "=100"},
	{NUMERIC_KIND(10, 2), ".5", NULL},
	{NUMERIC_KIND(10, 2), "NaN", NULL},
	{NUMERIC_KIND(10, 2), "1.2.3", NULL},
	{NUMERIC_KIND(10, 2), "1e", NULL},
	{NUMERIC_KIND(10, 2), "1e+", NULL},
	{NUMERIC_KIND(10, 2), "e1", NULL},
	{NUMERIC_KIND(10, 2), "", NULL},
	{NUMERIC_KIND(18, 0), "999999999999999999", "=999999999999999999"},
	{NUMERIC_KIND(18, 0), "-999999999999999999.4", "=-999999999999999999"},
	{NUMERIC_KIND(18, 0), "999999999999999999.5", NULL},
	{NUMERIC_KIND(18, 18), "0.1", "=100000000000000000"},
	{NUMERIC_KIND(18, 18), "1", NULL},
	{KIND(TEXT), "", "="},
	{KIND(TEXT), "plain", "=plain"},
	{KIND(TEXT), "more than eight bytes of it", "=more than eight bytes of it"},
	{KIND(TEXT), "gr\xc3\xbc\xc3\x9f", "=gr\xc3\xbc\xc3\x9f"},
	{KIND(TEXT), "\xff", NULL},
	{KIND(TEXT), "cut \xe2\x82", NULL},
	{KIND(TEXT), "\xed\xa0\x80", NULL},
	{KIND(TEXT), "\xc0\x80", NULL},
	{VARCHAR_KIND(3), "abc", "=abc"},
	{VARCHAR_KIND(3), "\xc3\xbc\xc3\xbc\xc3\xbc", "=\xc3\xbc\xc3\xbc\xc3\xbc"},
	{VARCHAR_KIND(3), "abcd", NULL},
	{VARCHAR_KIND(3), "abc ", NULL},
	{KIND(BYTEA), "\\x", "="},
	{KIND(BYTEA), "\\x00fFa9", "=00ffa9"},
	{KIND(BYTEA), "\\x0", NULL},
	{KIND(BYTEA), "\\x0g", NULL},
	{KIND(BYTEA), "\\x 00", NULL},
	{KIND(BYTEA), "x00", NULL},
	{KIND(BYTEA), "abc", NULL},
	{KIND(BYTEA), "", NULL},
	{KIND(UUID), "A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11",
	 "=a0eebc999c0b4ef8bb6d6bb9bd380a11"},
	{KIND(UUID), "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", NULL},
	{KIND(UUID), "a0eebc999c0b4ef8bb6d6bb9bd380a11", NULL},
	{KIND(UUID), "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1x", NULL},
	{KIND(UUID), "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1", NULL},
	{KIND(DATE), "2000-01-01", "=0"},
	{KIND(DATE), "1999-12-31", "=-1"},
	{KIND(DATE), "2024-02-29", "=8825"},
	{KIND(DATE), "2000-02-29", "=59"},
	{KIND(DATE), "0001-01-01", "=-730119"},
	{KIND(DATE), "9999-12-31", "=2921939"},
	{KIND(DATE), "2023-02-29", NULL},
	{KIND(DATE), "1900-02-29", NULL},
	{KIND(DATE), "2023-04-31", NULL},
	{KIND(DATE), "2023-13-01", NULL},
	{KIND(DATE), "2023-00-01", NULL},
	{KIND(DATE), "2023-01-00", NULL},
	{KIND(DATE), "0000-01-01", NULL},
	{KIND(DATE), "23-01-01", NULL},
	{KIND(DATE), "2023-1-1", NULL},
	{KIND(DATE), "20230101", NULL},
	{KIND(DATE), "10000-01-01", NULL},
	{KIND(DATE), "2023-01-01 BC", NULL},
	{KIND(DATE), "2023-01-01T00:00:00", NULL},
	{KIND(DATE), "infinity", NULL},
	{KIND(DATE), "", NULL},
	{KIND(TIMESTAMP), "2000-01-01", "=0"},
	{KIND(TIMESTAMP), "2000-01-01 00:00", "=0"},
	{KIND(TIMESTAMP), "2000-01-01T00:00:01", "=1000000"},
	{KIND(TIMESTAMP), "2000-01-02 01:02:03.5", "=90123500000"},
	{KIND(TIMESTAMP), "2000-01-01 00:00:00.000001", "=1"},
	{KIND(TIMESTAMP), "2000-01-01 00:00:00.0000014", "=1"},
	{KIND(TIMESTAMP), "2000-01-01 00:00:00.0000016", "=2"},
	{KIND(TIMESTAMP), "2000-01-01 00:00:00.123456789", "=123457"},
	{KIND(TIMESTAMP), "2000-01-01 00:00:00.999999999", NULL},
	{KIND(TIMESTAMP), "2000-01-01 00:00:00.1234567891", NULL},
	{KIND(TIMESTAMP), "2000-01-01 00:00:00.", NULL},
	{KIND(TIMESTAMP), "2000-01-01T00:00:00Z", "=0"},
	{KIND(TIMESTAMP), "2000-01-01T00:00:00+05:30", "=0"},
	{KIND(TIMESTAMP), "2000-01-01 24:00:00", NULL},
	{KIND(TIMESTAMP), "2000-01-01 23:59:60", NULL},
	{KIND(TIMESTAMP), "2000-01-01 23:60", NULL},
	{KIND(TIMESTAMP), "2000-01-01 1:00", NULL},
	{KIND(TIMESTAMP), "2000-01-01 ", NULL},
	{KIND(TIMESTAMP), "2000-01-01T", NULL},
	{KIND(TIMESTAMP), "2000-01-01 00:00:0", NULL},
	{KIND(TIMESTAMP), "2000-01-01t00:00:00", NULL},
	{KIND(TIMESTAMP), "2000-01-01 00:00:00 PM", NULL},
	{KIND(TIMESTAMP), "2000-01-01 00:00:00 BC", NULL},
	{KIND(TIMESTAMP), "infinity", NULL},
	{KIND(TIMESTAMPTZ), "2000-01-01T00:00:00Z", "=0"},
	{KIND(TIMESTAMPTZ), "2000-01-01T00:00Z", "=0"},
	{KIND(TIMESTAMPTZ), "2000-01-01 00:00:00+01", "=-3600000000"},
	{KIND(TIMESTAMPTZ), "2000-01-01 00:00:00-01", "=3600000000"},
	{KIND(TIMESTAMPTZ), "2000-01-01 00:00:00.5+05:30", "=-19799500000"},
	{KIND(TIMESTAMPTZ), "2000-01-01 00:00:00-0530", "=19800000000"},
	{KIND(TIMESTAMPTZ), "2000-01-01 00:00:00", NULL},
	{KIND(TIMESTAMPTZ), "2000-01-01", NULL},
	{KIND(TIMESTAMPTZ), "2000-01-01 00:00:00+5", NULL},
	{KIND(TIMESTAMPTZ), "2000-01-01 00:00:00+16", NULL},
	{KIND(TIMESTAMPTZ), "2000-01-01 00:00:00+05:60", NULL},
	{KIND(TIMESTAMPTZ), "2000-01-01 00:00:00+05:30:10", NULL},
	{KIND(TIMESTAMPTZ), "2000-01-01 00:00:00ZZ", NULL},
	{KIND(TIMESTAMPTZ), "2000-01-01 00:00:00 UTC", NULL},
	{KIND(INPUT), "anything", NULL},
	{KIND(JSON), "{}", NULL},
};

static void
test_cases(void)
{
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		const ScalarCase *c = &cases[i];
		char pending[SHOWN];
		const char *shown;

		snprintf(pending, SHOWN, "?%s", c->input);
		shown = scalar(use_column(c->column), c->input, strlen(c->input));
		if (!CHECK_NAMED(strcmp(shown, c->shown ? c->shown : pending) == 0,
						 "type %d takes \"%s\" as %s", (int) c->column.type,
						 c->input, c->shown ? c->shown : "pending"))
			printf("# got %s\n", shown);
	}
	CHECK_STR(scalar(use_column((SqColumn) KIND(TEXT)), "a\0b", 3), "?a");
	CHECK_STR(scalar(use_column((SqColumn) KIND(TEXT)), "12345678\0", 9),
			  "?12345678");
}

/* ---- numeric against arithmetic on strings ---- */

/* Round a plain decimal, digits and fraction given apart, to scale places by
 * carrying through its digits; answers them as an integer's text. */
static void
round_by_hand(const char *whole, const char *fraction, int scale, char *out)
{
	int n = sprintf(out, "0%s", whole);
	int nfraction = (int) strlen(fraction);

	for (int i = 0; i < scale; i++)
		out[n++] = i < nfraction ? fraction[i] : '0';
	out[n] = '\0';
	if (nfraction > scale && fraction[scale] >= '5')
	{
		while (out[--n] == '9')
			out[n] = '0';
		out[n]++;
	}
	n = (int) strspn(out, "0");
	memmove(out, out + n, strlen(out + n) + 1);
	if (*out == '\0')
		strcpy(out, "0");
}

static void
random_digits(char *out, int n)
{
	for (int i = 0; i < n; i++)
	{
		/* Nines and zeros make carries and edges. */
		int r = (int) (next_random() % 16);

		out[i] = (char) ('0' + (r < 10 ? r : r < 13 ? 9 : r < 15 ? 0 : 5));
	}
	out[n] = '\0';
}

/* Move the point of a number by an exponent that says so. */
static void
write_number(char *out, bool negative, const char *whole, const char *fraction)
{
	int move = (int) (next_random() % 7) - 3;
	const char *sign = negative ? "-" : "";
	int nwhole = (int) strlen(whole);

	if (move > 0 && nwhole > move)
		sprintf(out, "%s%.*s.%s%se%d", sign, nwhole - move, whole,
				whole + nwhole - move, fraction, move);
	else if (move < 0 && (int) strlen(fraction) > -move)
		sprintf(out, "%s%s%.*s.%sE%d", sign, whole, -move, fraction,
				fraction - move, move);
	else
		sprintf(out, "%s%s%s%s", sign, whole, *fraction ? "." : "", fraction);
}

static void
test_random_numeric(void)
{
	int wrong = 0;

	for (int i = 0; i < 200000; i++)
	{
		int precision = 1 + (int) (next_random() % 18);
		int scale = (int) (next_random() % (precision + 1));
		bool negative = next_random() % 2;
		char whole[32];
		char fraction[32];
		char number[128];
		char rounded[128];
		char expected[SHOWN];
		SqColumn *column = use_column((SqColumn){
			.type = SQ_TYPE_NUMERIC, .precision = precision, .scale = scale});

		random_digits(whole, 1 + (int) (next_random() % 20));
		random_digits(fraction, (int) (next_random() % 24));
		write_number(number, negative, whole, fraction);
		round_by_hand(whole, fraction, scale, rounded);
		if ((int) strlen(rounded) > precision)
			sprintf(expected, "?%s", number);
		else
			sprintf(expected, "=%s%s",
					negative && strcmp(rounded, "0") != 0 ? "-" : "", rounded);
		if (strcmp(scalar(column, number, strlen(number)), expected) != 0 &&
			wrong++ < 5)
			printf("# numeric(%d,%d) of %s: %s, not %s\n", precision, scale,
				   number, show(column, 0), expected);
	}
	CHECK_INT(wrong, 0);
}

/* ---- floats against strtod and strtof ---- */

static void
test_random_float(void)
{
	SqColumn *column;
	int wrong = 0;

	for (int i = 0; i < 200000; i++)
	{
		bool single = i % 2;
		char whole[32];
		char fraction[32];
		char number[128];
		double expected;

		random_digits(whole, 1 + (int) (next_random() % 20));
		random_digits(fraction, (int) (next_random() % 20));
		sprintf(number, "%s%s.%s0e%d", i % 3 ? "" : "-", whole, fraction,
				(int) (next_random() % (single ? 60 : 560)) -
					(single ? 40 : 290));
		expected = single ? strtof(number, NULL) : strtod(number, NULL);
		column = use_column(
			(SqColumn){.type = single ? SQ_TYPE_FLOAT4 : SQ_TYPE_FLOAT8});
		scalar(column, number, strlen(number));
		if (sq_bit_get(column->pending, 0))
			wrong +=
				isnormal(expected) && !(single && !isnormal((float) expected));
		else
			wrong += memcmp(&expected, &column->f[0], sizeof(double)) != 0;
	}
	CHECK_INT(wrong, 0);
}

/* ---- dates against a calendar that counts ---- */

static bool
is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static void
test_every_day(void)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30,
								  31, 31, 30, 31, 30, 31};
	SqColumn *column = use_column((SqColumn) KIND(DATE));
	int64 days = -730119;
	int wrong = 0;

	for (int year = 1; year <= 9999; year++)
	{
		for (int month = 1; month <= 12; month++)
		{
			int length = lengths[month - 1] + (month == 2 && is_leap(year));

			for (int day = 1; day <= 32; day++)
			{
				char input[32];

				sprintf(input, "%04d-%02d-%02d", year, month, day);
				sq_column_set_null(column, 0);
				sq_format_scalar(column, 0, (SqSlice){input, 10}, batch->arena);
				if (day <= length)
					wrong +=
						!sq_bit_get(column->valid, 0) || column->i[0] != days++;
				else
					wrong += sq_bit_get(column->valid, 0);
			}
		}
	}
	CHECK_INT(wrong, 0);
	CHECK_INT(days, 2921940);
}

static void
test_random_timestamp(void)
{
	int wrong = 0;

	for (int i = 0; i < 100000; i++)
	{
		int64 second = (int64) (next_random() % 86400);
		int64 us = (int64) (next_random() % 1000000);
		int zone = (int) (next_random() % 1919) - 959;
		int digits = 1 + (int) (next_random() % 6);
		char fraction[16];
		char input[64];
		SqColumn *column = use_column((SqColumn) KIND(TIMESTAMPTZ));

		sprintf(fraction, "%06lld", (long long) us);
		fraction[digits] = '\0';
		while (digits++ < 6)
			us -= us %
				  (int64[]){1000000, 100000, 10000, 1000, 100, 10}[digits - 1];
		sprintf(input, "2000-01-01T%02d:%02d:%02d.%s%c%02d:%02d",
				(int) (second / 3600), (int) (second / 60 % 60),
				(int) (second % 60), fraction, zone < 0 ? '-' : '+',
				abs(zone) / 60, abs(zone) % 60);
		scalar(column, input, strlen(input));
		if (!sq_bit_get(column->valid, 0) ||
			column->i[0] != second * 1000000 + us - zone * INT64CONST(60000000))
			wrong++;
	}
	CHECK_INT(wrong, 0);
}

/* ---- Epochs ---- */

typedef struct EpochCase
{
	SqType type;
	SqEpoch epoch;
	const char *input;
	const char *expected; /* "=value" or an sqlstate */
} EpochCase;

static const EpochCase epochs[] = {
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_S, "946684800", "=0"},
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_MS, "946684800000", "=0"},
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_US, "946684800000000", "=0"},
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_NS, "946684800000000000", "=0"},
	{SQ_TYPE_TIMESTAMP, SQ_EPOCH_S, "0", "=-946684800000000"},
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_S, "946684800.0000005", "=1"},
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_S, "946684800.00000049", "=0"},
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_MS, "946684800000.1235", "=124"},
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_NS, "946684800000000500", "=1"},
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_NS, "946684800000000499", "=0"},
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_NS, "-500", "=-946684800000001"},
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_NS, "-499", "=-946684800000000"},
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_S, "9.466848e8", "=0"},
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_S, "9.466848E+8", "=0"},
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_S, "94668480000000000000e-11", "=0"},
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_S, " 946684800\n", "=0"},
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_US, "9224318015999999999",
	 "=9223371331199999999"},
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_US, "9224318015999999999.5", "22008"},
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_US, "9224318016000000000", "22008"},
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_US, "-210866803200000000",
	 "=-211813488000000000"},
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_US, "-210866803200000001", "22008"},
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_S, "1e30", "22008"},
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_S, "1e999999999999999999999", "22008"},
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_S, "1e-999999999999999999999",
	 "=-946684800000000"},
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_S, "0e999999999999", "=-946684800000000"},
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_S, LONG_ONES, "22008"},
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_S, "", "22P02"},
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_S, "now", "22P02"},
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_S, "NaN", "22P02"},
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_S, "1 2", "22P02"},
	{SQ_TYPE_TIMESTAMPTZ, SQ_EPOCH_S, "2024-01-01", "22P02"},
	{SQ_TYPE_DATE, SQ_EPOCH_S, "946684800", "=0"},
	{SQ_TYPE_DATE, SQ_EPOCH_S, "946771199.9999999", "=0"},
	{SQ_TYPE_DATE, SQ_EPOCH_S, "946771200", "=1"},
	{SQ_TYPE_DATE, SQ_EPOCH_S, "0", "=-10957"},
	{SQ_TYPE_DATE, SQ_EPOCH_S, "-0.0000000001", "=-10958"},
	{SQ_TYPE_DATE, SQ_EPOCH_S, "-1", "=-10958"},
	{SQ_TYPE_DATE, SQ_EPOCH_S, "-86400", "=-10958"},
	{SQ_TYPE_DATE, SQ_EPOCH_S, "-86400.00000001", "=-10959"},
	{SQ_TYPE_DATE, SQ_EPOCH_MS, "-86400001", "=-10959"},
	{SQ_TYPE_DATE, SQ_EPOCH_S, "185331707078400", "22008"},
	{SQ_TYPE_DATE, SQ_EPOCH_S, "185331707078399", "=2145031948"},
	{SQ_TYPE_DATE, SQ_EPOCH_S, "-210866803200", "=-2451545"},
	{SQ_TYPE_DATE, SQ_EPOCH_S, "-210866803200.1", "22008"},
};

static void
test_epochs(void)
{
	for (size_t i = 0; i < lengthof(epochs); i++)
	{
		const EpochCase *c = &epochs[i];
		SqColumn *column = use_column((SqColumn){.type = c->type});
		SqSlice input = exact_copy(c->input, strlen(c->input));
		const char *shown;
		SqError error;

		if (sq_format_epoch(column, 0, input, c->epoch, &error) == SQ_OK)
			shown = show(column, 0);
		else
			shown = show_sqlstate(error.sqlstate);
		if (!CHECK_NAMED(strcmp(shown, c->expected) == 0,
						 "epoch %d of \"%s\" is %s", (int) c->epoch, c->input,
						 c->expected))
			printf("# got %s\n", shown);
		free((char *) input.data);
	}
}

/* Random epochs with a fraction against long division in 128 bits. */
static void
test_random_epoch(void)
{
	static const int64 units[] = {0, 1000000, 1000, 1, 1};
	int wrong = 0;

	for (int i = 0; i < 100000; i++)
	{
		SqEpoch epoch = 1 + (SqEpoch) (next_random() % 4);
		int64 whole = (int64) (next_random() % INT64CONST(100000000000));
		int64 billionth = (int64) (next_random() % 1000000000);
		bool negative = next_random() % 2;
		int64 divisor = epoch == SQ_EPOCH_NS ? 1000 : 1;
		__int128 exact =
			((__int128) whole * 1000000000 + billionth) * units[epoch];
		__int128 limit = (__int128) 1000000000 * divisor;
		int64 us = (int64) ((2 * exact + limit) / (2 * limit));
		char input[64];
		SqColumn *column = use_column((SqColumn) KIND(TIMESTAMP));
		SqError error;

		sprintf(input, "%s%lld.%09lld", negative ? "-" : "", (long long) whole,
				(long long) billionth);
		us = (negative ? -us : us) - SQ_EPOCH_SECONDS * 1000000;
		if (us < MIN_TIMESTAMP)
			continue;
		if (sq_format_epoch(column, 0, (SqSlice){input, strlen(input)}, epoch,
							&error) != SQ_OK ||
			column->i[0] != us)
			wrong++;
	}
	CHECK_INT(wrong, 0);
}

int
main(void)
{
	test_cases();
	test_random_numeric();
	test_random_float();
	test_every_day();
	test_random_timestamp();
	test_epochs();
	test_random_epoch();
	sq_batch_destroy(batch);
	return unit_end();
}
