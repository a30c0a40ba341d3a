/*
 * fdw_native_value.c
 *		What PostgreSQL's types and sums are in the native executor.
 *
 * Memory: Datums in the current context. Locks: none.
 */
#include "fdw/fdw_native.h"

#include "catalog/pg_type_d.h"
#include "feed/feed.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

SqColumn
sq_fdw_native_type(Oid type, int32 typmod)
{
	SqColumn column;

	if (type == BPCHAROID)
		return (SqColumn){.type = SQ_TYPE_BPCHAR};
	/* the precision of a moment is none of the lane's */
	column = sq_feed_column_for(type, type == NUMERICOID ? typmod : -1,
								SQ_FORMAT_JSON);
	if (column.type == SQ_TYPE_INPUT || column.type == SQ_TYPE_JSON)
		column.type = SQ_TYPE_DATUM;
	return column;
}

/* ---- Sums ---- */

/* A number of 128 bits with a point before its last digits. */
static Datum
numeric_of(int128 value, int scale)
{
	char buffer[80];
	char *at = &buffer[sizeof(buffer) - 1];
	uint128 rest = value < 0 ? -(uint128) value : (uint128) value;
	int digits = 0;

	*at = '\0';
	do
	{
		if (digits == scale && scale > 0)
			*--at = '.';
		*--at = (char) ('0' + (int) (rest % 10));
		rest /= 10;
		digits++;
	} while (rest != 0 || digits <= scale);
	if (value < 0)
		*--at = '-';
	return DirectFunctionCall3(numeric_in, CStringGetDatum(at),
							   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

Datum
sq_fdw_native_numeric(int128 sum, int scale, int64 count)
{
	Datum value;

	if (scale < 0)
		return sq_feed_numeric_datum(SQ_NUMERIC_NAN, 0);
	value = numeric_of(sum, scale);
	if (count == 0)
		return value;
	return DirectFunctionCall2(numeric_div, value,
							   NumericGetDatum(int64_to_numeric(count)));
}
