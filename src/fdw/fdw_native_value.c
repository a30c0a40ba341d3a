/*
 * fdw_native_value.c
 *		Datums and the lanes of columns, one into the other.
 *
 * Memory: Datums in the current context. Locks: none.
 */
#include "fdw/fdw_native.h"

#include "catalog/pg_type_d.h"
#include "feed/feed.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

SqColumn
sq_fdw_native_type(Oid type, int32 typmod)
{
	SqColumn column;

	switch (type)
	{
		case BPCHAROID:
			return (SqColumn){.type = SQ_TYPE_BPCHAR};
		case TEXTOID:
		case VARCHAROID:
			return (SqColumn){.type = SQ_TYPE_TEXT};
		case NUMERICOID:
			column = sq_feed_column_for(type, typmod, SQ_FORMAT_JSON);
			if (column.type == SQ_TYPE_NUMERIC)
				return column;
			return (SqColumn){.type = SQ_TYPE_DATUM};
		default:
			/* the precision of a moment is none of the lane's */
			column = sq_feed_column_for(type, -1, SQ_FORMAT_JSON);
			if (column.type == SQ_TYPE_INPUT || column.type == SQ_TYPE_JSON)
				column.type = SQ_TYPE_DATUM;
			return column;
	}
}

/* ---- Numerics ---- */

bool
sq_fdw_native_scale(Datum value, int scale, int64 *word)
{
	Numeric numeric = DatumGetNumeric(value);
	Datum shifted;
	char *decimal;
	char *at;
	int digits = 0;

	if (numeric_is_nan(numeric))
	{
		*word = SQ_NUMERIC_NAN;
		return true;
	}
	if (numeric_is_inf(numeric))
		return false;
	shifted = DirectFunctionCall2(numeric_round, value, Int32GetDatum(scale));
	if (!DatumGetBool(DirectFunctionCall2(numeric_eq, value, shifted)))
		return false;
	decimal = DatumGetCString(DirectFunctionCall1(numeric_out, shifted));
	*word = 0;
	for (at = decimal; *at != '\0'; at++)
	{
		if (*at < '0' || *at > '9')
			continue;
		if (digits == 0 && *at == '0')
			continue;
		if (++digits > SQ_NUMERIC_PRECISION)
			return false;
		*word = *word * 10 + (*at - '0');
	}
	if (decimal[0] == '-')
		*word = -*word;
	pfree(decimal);
	return true;
}

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

static Datum
numeric_nan(void)
{
	return DirectFunctionCall3(numeric_in, CStringGetDatum("NaN"),
							   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

Datum
sq_fdw_native_numeric(int128 sum, int scale, int64 count)
{
	Datum value;

	if (scale < 0)
		return numeric_nan();
	value = numeric_of(sum, scale);
	if (count == 0)
		return value;
	return DirectFunctionCall2(numeric_div, value,
							   NumericGetDatum(int64_to_numeric(count)));
}

/* ---- Lanes ---- */

void
sq_fdw_native_store(SqColumn *column, int row, Datum value)
{
	int64 word;

	switch (column->type)
	{
		case SQ_TYPE_BOOL:
			word = DatumGetBool(value);
			break;
		case SQ_TYPE_INT2:
			word = DatumGetInt16(value);
			break;
		case SQ_TYPE_INT4:
		case SQ_TYPE_DATE:
			word = DatumGetInt32(value);
			break;
		case SQ_TYPE_INT8:
		case SQ_TYPE_TIMESTAMP:
		case SQ_TYPE_TIMESTAMPTZ:
			word = DatumGetInt64(value);
			break;
		case SQ_TYPE_NUMERIC:
			if (!sq_fdw_native_scale(value, column->scale, &word))
				/* Not reached: its column has rounded it. */
				elog(ERROR, "numeric value does not fit its column");
			break;
		case SQ_TYPE_FLOAT4:
			sq_column_set_float(column, row, DatumGetFloat4(value));
			return;
		case SQ_TYPE_FLOAT8:
			sq_column_set_float(column, row, DatumGetFloat8(value));
			return;
		case SQ_TYPE_UUID:
			sq_column_set_text(column, row,
							   (SqSlice){DatumGetPointer(value), UUID_LEN});
			return;
		case SQ_TYPE_TEXT:
		case SQ_TYPE_BPCHAR:
		case SQ_TYPE_BYTEA:
		{
			struct varlena *bytes = PG_DETOAST_DATUM_PACKED(value);

			sq_column_set_text(
				column, row,
				(SqSlice){VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes)});
			return;
		}
		default:
			word = (int64) value;
			break;
	}
	sq_column_set_int(column, row, word);
}

Datum
sq_fdw_native_datum(const SqColumn *column, int row)
{
	switch (column->type)
	{
		case SQ_TYPE_BOOL:
			return BoolGetDatum(column->i[row] != 0);
		case SQ_TYPE_INT2:
			return Int16GetDatum((int16) column->i[row]);
		case SQ_TYPE_INT4:
			return Int32GetDatum((int32) column->i[row]);
		case SQ_TYPE_DATE:
			return DateADTGetDatum((DateADT) column->i[row]);
		case SQ_TYPE_INT8:
		case SQ_TYPE_TIMESTAMP:
		case SQ_TYPE_TIMESTAMPTZ:
			return Int64GetDatum(column->i[row]);
		case SQ_TYPE_NUMERIC:
			if (column->i[row] == SQ_NUMERIC_NAN)
				return numeric_nan();
			return NumericGetDatum(
				int64_div_fast_to_numeric(column->i[row], column->scale));
		case SQ_TYPE_FLOAT4:
			return Float4GetDatum((float4) column->f[row]);
		case SQ_TYPE_FLOAT8:
			return Float8GetDatum(column->f[row]);
		case SQ_TYPE_UUID:
			return PointerGetDatum(column->text[row].data);
		case SQ_TYPE_TEXT:
		case SQ_TYPE_BPCHAR:
		case SQ_TYPE_BYTEA:
			return PointerGetDatum(cstring_to_text_with_len(
				column->text[row].data, column->text[row].length));
		default:
			return (Datum) column->i[row];
	}
}
