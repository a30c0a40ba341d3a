/*
 * feed_datum.c
 *		Values of columns as Datums, and back.
 *
 * Memory: Datums in the current context. Locks: none.
 */
#include "feed/feed_datum.h"

#include "common/int.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

/* ---- Numerics ---- */

/* The digits of a number's plain text as an integer scaled by scale; false if
 * it has more of them than a scaled number. */
static bool
scale_digits(const char *digit, int scale, int64 *word)
{
	/* one more than the largest */
	const int64 limit = INT64CONST(1000000000000000000);
	bool negative = *digit == '-';
	bool fraction = false;
	int64 value = 0;

	for (digit += negative; *digit != '\0'; digit++)
	{
		if (*digit == '.')
		{
			fraction = true;
			continue;
		}
		if ((fraction && scale-- == 0) ||
			pg_mul_s64_overflow(value, 10, &value) ||
			pg_add_s64_overflow(value, *digit - '0', &value))
			return false;
	}
	while (scale-- > 0)
		if (pg_mul_s64_overflow(value, 10, &value))
			return false;
	*word = negative ? -value : value;
	return value < limit;
}

bool
sq_feed_numeric_word(Datum value, int scale, int64 *word)
{
	Numeric numeric = DatumGetNumeric(value);

	if (numeric_is_nan(numeric))
	{
		*word = SQ_NUMERIC_NAN;
		return true;
	}
	return !numeric_is_inf(numeric) &&
		   scale_digits(numeric_normalize(numeric), scale, word);
}

Datum
sq_feed_numeric_datum(int64 word, int scale)
{
	if (unlikely(word == SQ_NUMERIC_NAN))
		return DirectFunctionCall3(numeric_in, CStringGetDatum("NaN"),
								   ObjectIdGetDatum(InvalidOid),
								   Int32GetDatum(-1));
	return NumericGetDatum(int64_div_fast_to_numeric(word, scale));
}

/* ---- Lanes ---- */

void
sq_feed_column_store(SqColumn *column, int row, Datum value)
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
			if (!sq_feed_numeric_word(value, column->scale, &word))
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
		case SQ_TYPE_DATUM:
			word = (int64) value;
			break;
		default:
			/* Not reached: no decoder makes these valid. */
			elog(ERROR, "unexpected value for column type %d",
				 (int) column->type);
	}
	sq_column_set_int(column, row, word);
}

Datum
sq_feed_column_datum(const SqColumn *column, int row)
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
			return sq_feed_numeric_datum(column->i[row], column->scale);
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
		case SQ_TYPE_DATUM:
			return (Datum) column->i[row];
		default:
			/* Not reached: no decoder makes these valid. */
			elog(ERROR, "unexpected valid value of column type %d",
				 (int) column->type);
	}
}
