/*
 * sink_value.c
 *		Values as texts and as JSON, so that reading gives the same values.
 *
 * A type has two functions: its text, for keys, csv and raw, and its JSON.
 * Whoever reads has settings of his own, so nothing here depends on those of
 * the session: dates and times are ISO 8601 in UTC, floats have the digits
 * that they need, and where PostgreSQL's output functions do the work they see
 * the settings that pg_dump uses. (Monetary values are what lc_monetary says,
 * on both sides.)
 *
 * A json column is read without spaces around it, its "null" as NULL; arrays
 * within composites begin at 1.
 *
 * Memory: texts in the current context. Locks: none.
 */
#include "sink/sink_internal.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "common/shortest_dec.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/datetime.h"
#include "utils/date.h"
#include "utils/float.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#define EPOCH_SECONDS                                                          \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY)

/* ---- Bytes and strings ---- */

SqSlice
sq_sink_bytes(Oid type, Datum value)
{
	struct varlena *datum = PG_DETOAST_DATUM_PACKED(value);
	int length = VARSIZE_ANY_EXHDR(datum);
	char *utf8;

	if (type == BYTEAOID || GetDatabaseEncoding() == PG_UTF8)
		return (SqSlice){VARDATA_ANY(datum), length};
	utf8 = pg_server_to_any(VARDATA_ANY(datum), length, PG_UTF8);
	return (SqSlice){utf8, utf8 == VARDATA_ANY(datum) ? (size_t) length
													  : strlen(utf8)};
}

/* A cstring of an output function in UTF-8. */
static SqSlice
utf8_of(char *string)
{
	char *utf8 = pg_server_to_any(string, strlen(string), PG_UTF8);

	return (SqSlice){utf8, strlen(utf8)};
}

static void
append_slice(StringInfo out, SqSlice slice)
{
	appendBinaryStringInfo(out, slice.data, slice.length);
}

static void
append_escape(StringInfo out, unsigned char byte)
{
	switch (byte)
	{
		case '"':
			appendBinaryStringInfo(out, "\\\"", 2);
			break;
		case '\\':
			appendBinaryStringInfo(out, "\\\\", 2);
			break;
		case '\b':
			appendBinaryStringInfo(out, "\\b", 2);
			break;
		case '\f':
			appendBinaryStringInfo(out, "\\f", 2);
			break;
		case '\n':
			appendBinaryStringInfo(out, "\\n", 2);
			break;
		case '\r':
			appendBinaryStringInfo(out, "\\r", 2);
			break;
		case '\t':
			appendBinaryStringInfo(out, "\\t", 2);
			break;
		default:
			appendStringInfo(out, "\\u%04x", byte);
			break;
	}
}

void
sq_sink_json_string(StringInfo out, const char *bytes, size_t length)
{
	size_t begin = 0;

	appendStringInfoCharMacro(out, '"');
	for (size_t i = 0; i < length; i++)
	{
		unsigned char byte = bytes[i];

		if (byte >= ' ' && byte != '"' && byte != '\\')
			continue;
		appendBinaryStringInfo(out, bytes + begin, i - begin);
		append_escape(out, byte);
		begin = i + 1;
	}
	appendBinaryStringInfo(out, bytes + begin, length - begin);
	appendStringInfoCharMacro(out, '"');
}

static void
json_slice(StringInfo out, SqSlice slice)
{
	sq_sink_json_string(out, slice.data, slice.length);
}

/* JSON of a value whose text needs no escapes. */
static void
json_plain(StringInfo out, SqSinkColumn *column, Datum value)
{
	appendStringInfoCharMacro(out, '"');
	column->text(out, column, value);
	appendStringInfoCharMacro(out, '"');
}

/* JSON of a value whose text is JSON. */
static void
json_same(StringInfo out, SqSinkColumn *column, Datum value)
{
	column->text(out, column, value);
}

/* ---- Booleans and numbers ---- */

static void
text_bool(StringInfo out, SqSinkColumn *column, Datum value)
{
	appendStringInfoCharMacro(out, DatumGetBool(value) ? 't' : 'f');
}

static void
json_bool(StringInfo out, SqSinkColumn *column, Datum value)
{
	appendStringInfoString(out, DatumGetBool(value) ? "true" : "false");
}

static void
append_int8(StringInfo out, int64 number)
{
	enlargeStringInfo(out, MAXINT8LEN + 1);
	out->len += pg_lltoa(number, out->data + out->len);
}

static void
text_int2(StringInfo out, SqSinkColumn *column, Datum value)
{
	append_int8(out, DatumGetInt16(value));
}

static void
text_int4(StringInfo out, SqSinkColumn *column, Datum value)
{
	append_int8(out, DatumGetInt32(value));
}

static void
text_int8(StringInfo out, SqSinkColumn *column, Datum value)
{
	append_int8(out, DatumGetInt64(value));
}

static void
append_double(StringInfo out, double number)
{
	if (isnan(number))
		appendStringInfoString(out, "NaN");
	else if (isinf(number))
		appendStringInfoString(out, number > 0 ? "Infinity" : "-Infinity");
	else
	{
		enlargeStringInfo(out, DOUBLE_SHORTEST_DECIMAL_LEN);
		out->len +=
			double_to_shortest_decimal_buf(number, out->data + out->len);
	}
}

static void
append_float(StringInfo out, float number)
{
	if (isnan(number) || isinf(number))
	{
		append_double(out, number);
		return;
	}
	enlargeStringInfo(out, FLOAT_SHORTEST_DECIMAL_LEN);
	out->len += float_to_shortest_decimal_buf(number, out->data + out->len);
}

static void
text_float4(StringInfo out, SqSinkColumn *column, Datum value)
{
	append_float(out, DatumGetFloat4(value));
}

static void
text_float8(StringInfo out, SqSinkColumn *column, Datum value)
{
	append_double(out, DatumGetFloat8(value));
}

static void
text_numeric(StringInfo out, SqSinkColumn *column, Datum value)
{
	char *digits = DatumGetCString(DirectFunctionCall1(numeric_out, value));

	appendStringInfoString(out, digits);
	pfree(digits);
}

/* Numbers that JSON has no word for are strings. */
static void
json_number(StringInfo out, SqSinkColumn *column, Datum value)
{
	int begin = out->len;
	unsigned char last;

	column->text(out, column, value);
	last = out->data[out->len - 1];
	if (last >= '0' && last <= '9')
		return;
	enlargeStringInfo(out, 2);
	memmove(out->data + begin + 1, out->data + begin, out->len - begin);
	out->data[begin] = '"';
	out->len++;
	appendStringInfoCharMacro(out, '"');
}

/* ---- Texts and bytes ---- */

static void
text_text(StringInfo out, SqSinkColumn *column, Datum value)
{
	append_slice(out, sq_sink_bytes(TEXTOID, value));
}

static void
json_text(StringInfo out, SqSinkColumn *column, Datum value)
{
	json_slice(out, sq_sink_bytes(TEXTOID, value));
}

static void
append_hex(StringInfo out, const char *prefix, Datum value)
{
	SqSlice bytes = sq_sink_bytes(BYTEAOID, value);

	appendStringInfoString(out, prefix);
	enlargeStringInfo(out, 2 * bytes.length);
	out->len += hex_encode(bytes.data, bytes.length, out->data + out->len);
	out->data[out->len] = '\0';
}

static void
text_bytea(StringInfo out, SqSinkColumn *column, Datum value)
{
	append_hex(out, "\\x", value);
}

static void
json_bytea(StringInfo out, SqSinkColumn *column, Datum value)
{
	append_hex(out, "\"\\\\x", value);
	appendStringInfoCharMacro(out, '"');
}

/* ---- Dates and times ---- */

static void
append_moment(StringInfo out, Datum value, Oid type)
{
	int utc = 0;

	enlargeStringInfo(out, MAXDATELEN + 1);
	JsonEncodeDateTime(out->data + out->len, value, type, &utc);
	out->len += strlen(out->data + out->len);
}

static void
text_date(StringInfo out, SqSinkColumn *column, Datum value)
{
	append_moment(out, value, DATEOID);
}

static void
text_timestamp(StringInfo out, SqSinkColumn *column, Datum value)
{
	append_moment(out, value, TIMESTAMPOID);
}

static void
text_timestamptz(StringInfo out, SqSinkColumn *column, Datum value)
{
	append_moment(out, value, TIMESTAMPTZOID);
}

static void
refuse_infinite(const SqSinkColumn *column)
{
	ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
					errmsg("cannot write infinity to column \"%s\"",
						   column->attribute->name),
					errdetail("Its field is a number since 1970.")));
}

/* A number that counts units of which 10^digits make one that is written. */
static void
append_scaled(StringInfo out, int64 number, int digits)
{
	int64 scale = 1;
	int64 rest;

	for (int i = 0; i < digits; i++)
		scale *= 10;
	rest = number % scale;
	if (number < 0 && number / scale == 0)
		appendStringInfoCharMacro(out, '-');
	append_int8(out, number / scale);
	if (rest == 0)
		return;
	appendStringInfo(out, ".%0*lld", digits, (long long) Abs(rest));
	while (out->data[out->len - 1] == '0')
		out->data[--out->len] = '\0';
}

/* A number of so many more zeros. */
static void
append_zeros(StringInfo out, int64 number, int zeros)
{
	append_int8(out, number);
	for (int i = 0; number != 0 && i < zeros; i++)
		appendStringInfoCharMacro(out, '0');
}

static void
epoch_moment(StringInfo out, SqSinkColumn *column, Datum value)
{
	Timestamp moment = DatumGetTimestamp(value);
	int64 us;

	if (TIMESTAMP_NOT_FINITE(moment))
		refuse_infinite(column);
	if (pg_add_s64_overflow(moment, EPOCH_SECONDS * USECS_PER_SEC, &us))
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("timestamp out of range")));
	switch (column->attribute->epoch)
	{
		case SQ_EPOCH_S:
			append_scaled(out, us, 6);
			break;
		case SQ_EPOCH_MS:
			append_scaled(out, us, 3);
			break;
		case SQ_EPOCH_NS:
			append_zeros(out, us, 3);
			break;
		default:
			append_int8(out, us);
			break;
	}
}

static void
epoch_date(StringInfo out, SqSinkColumn *column, Datum value)
{
	static const int zeros[] = {[SQ_EPOCH_S] = 0,
								[SQ_EPOCH_MS] = 3,
								[SQ_EPOCH_US] = 6,
								[SQ_EPOCH_NS] = 9};
	DateADT date = DatumGetDateADT(value);

	if (DATE_NOT_FINITE(date))
		refuse_infinite(column);
	append_zeros(out, (int64) date * SECS_PER_DAY + EPOCH_SECONDS,
				 zeros[column->attribute->epoch]);
}

/* ---- PostgreSQL's functions ---- */

/* Have output functions see settings under which everybody reads what they
 * write; the level to give to AtEOXact_GUC, or 0 if they do already. */
static int
set_modes(void)
{
	static const char *const modes[][2] = {{"datestyle", "ISO"},
										   {"intervalstyle", "postgres"},
										   {"extra_float_digits", "3"},
										   {"bytea_output", "hex"}};
	int level;

	if (DateStyle == USE_ISO_DATES && IntervalStyle == INTSTYLE_POSTGRES &&
		extra_float_digits > 0 && bytea_output == BYTEA_OUTPUT_HEX)
		return 0;
	level = NewGUCNestLevel();
	for (int i = 0; i < lengthof(modes); i++)
		set_config_option(modes[i][0], modes[i][1], PGC_USERSET, PGC_S_SESSION,
						  GUC_ACTION_SAVE, true, 0, false);
	return level;
}

static void
reset_modes(int level)
{
	if (level > 0)
		AtEOXact_GUC(true, level);
}

static SqSlice
call_output(SqSinkColumn *column, Datum value)
{
	int level = set_modes();
	char *string = OutputFunctionCall(&column->output, value);

	reset_modes(level);
	return utf8_of(string);
}

static void
text_other(StringInfo out, SqSinkColumn *column, Datum value)
{
	append_slice(out, call_output(column, value));
}

static void
json_other(StringInfo out, SqSinkColumn *column, Datum value)
{
	json_slice(out, call_output(column, value));
}

static void
text_jsonb(StringInfo out, SqSinkColumn *column, Datum value)
{
	Jsonb *jsonb = DatumGetJsonbP(value);

	append_slice(out,
				 utf8_of(JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb))));
}

/* Arrays and composites, as json_populate_record reads them. */
static void
json_nested(StringInfo out, SqSinkColumn *column, Datum value)
{
	int level = set_modes();
	Datum json = FunctionCall1(&column->to_json, value);

	reset_modes(level);
	append_slice(out, sq_sink_bytes(TEXTOID, json));
}

/* JSON's arrays begin where arrays usually do; another one is written as its
 * text, in a string. */
static void
json_array(StringInfo out, SqSinkColumn *column, Datum value)
{
	ArrayType *array = DatumGetArrayTypeP(value);

	for (int i = 0; i < ARR_NDIM(array); i++)
		if (ARR_LBOUND(array)[i] != 1)
		{
			json_other(out, column, PointerGetDatum(array));
			return;
		}
	json_nested(out, column, PointerGetDatum(array));
}

/* to_json takes anything, and asks of what type it is. */
static void
init_to_json(SqSinkColumn *column)
{
	const SqAttribute *attribute = column->attribute;
	Const *argument =
		makeNullConst(attribute->type, attribute->typmod, attribute->collation);

	fmgr_info(F_TO_JSON, &column->to_json);
	fmgr_info_set_expr((Node *) makeFuncExpr(F_TO_JSON, JSONOID,
											 list_make1(argument), InvalidOid,
											 InvalidOid, COERCE_EXPLICIT_CALL),
					   &column->to_json);
}

/* ---- Types ---- */

typedef struct SqSinkType
{
	Oid type;
	void (*text)(StringInfo out, SqSinkColumn *column, Datum value);
	void (*json)(StringInfo out, SqSinkColumn *column, Datum value);
} SqSinkType;

static const SqSinkType types[] = {
	{BOOLOID, text_bool, json_bool},
	{INT2OID, text_int2, json_same},
	{INT4OID, text_int4, json_same},
	{INT8OID, text_int8, json_same},
	{FLOAT4OID, text_float4, json_number},
	{FLOAT8OID, text_float8, json_number},
	{NUMERICOID, text_numeric, json_number},
	{TEXTOID, text_text, json_text},
	{VARCHAROID, text_text, json_text},
	{BPCHAROID, text_text, json_text},
	{BYTEAOID, text_bytea, json_bytea},
	{DATEOID, text_date, json_plain},
	{TIMESTAMPOID, text_timestamp, json_plain},
	{TIMESTAMPTZOID, text_timestamptz, json_plain},
	{JSONOID, text_text, json_same},
	{JSONBOID, text_jsonb, json_same},
};

static void
init_functions(SqSinkColumn *column, Oid base)
{
	for (int i = 0; i < lengthof(types); i++)
		if (types[i].type == base)
		{
			column->text = types[i].text;
			column->json = types[i].json;
			return;
		}
	column->text = text_other;
	column->json = json_other;
	if (!type_is_array(base) && !type_is_rowtype(base))
		return;
	column->json = type_is_array(base) ? json_array : json_nested;
	init_to_json(column);
}

void
sq_sink_column_init(SqSinkColumn *column, const SqAttribute *attribute,
					int number)
{
	Oid output;
	bool is_varlena;

	column->attribute = attribute;
	column->number = number;
	getTypeOutputInfo(attribute->type, &output, &is_varlena);
	fmgr_info(output, &column->output);
	init_functions(column, getBaseType(attribute->type));
	if (attribute->epoch == SQ_EPOCH_NONE)
		return;
	column->text = attribute->type == DATEOID ? epoch_date : epoch_moment;
	column->json = json_same;
}
