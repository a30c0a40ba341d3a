/*
 * sink_value.c
 *		Values as texts and as JSON, so that reading gives the same values.
 *
 * A type has two functions: its text, for keys, csv and raw, and its JSON.
 * Whoever reads has settings of his own, so nothing here depends on those of
 * the session: dates and times are ISO 8601 in UTC, floats have the digits
 * that they need, and where PostgreSQL's output functions do the work they see
 * settings of ours (sink_mode.c). (Monetary values are what lc_monetary says,
 * on both sides.)
 *
 * A json column is read without spaces around it, its "null" as NULL; arrays
 * within composites begin at 1. JSON with \u0000 is refused, because no reader
 * takes it.
 *
 * Memory: texts in the current context. Locks: none.
 */
#include "sink/sink_internal.h"

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/date.h"
#include "utils/float.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#define EACH_BYTE(x) (UINT64CONST(0x0101010101010101) * (x))

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

static inline bool
is_special(unsigned char byte)
{
	return byte < ' ' || byte == '"' || byte == '\\';
}

/* Is a byte of the word special? A subtraction sets the top bit of a byte that
 * is below the subtrahend; of those that have one already it tells nothing. */
static inline bool
has_special(uint64 word)
{
	uint64 quote = word ^ EACH_BYTE('"');
	uint64 backslash = word ^ EACH_BYTE('\\');

	return (((word - EACH_BYTE(' ')) & ~word) |
			((quote - EACH_BYTE(1)) & ~quote) |
			((backslash - EACH_BYTE(1)) & ~backslash)) &
		   EACH_BYTE(0x80);
}

/* How many bytes come before the first special one. */
static size_t
plain_length(const char *bytes, size_t length)
{
	size_t i = 0;

	for (; i + sizeof(uint64) <= length; i += sizeof(uint64))
	{
		uint64 word;

		memcpy(&word, bytes + i, sizeof(word));
		if (has_special(word))
			break;
	}
	while (i < length && !is_special(bytes[i]))
		i++;
	return i;
}

void
sq_sink_json_string(StringInfo out, const char *bytes, size_t length)
{
	const char *end = bytes + length;

	appendStringInfoCharMacro(out, '"');
	for (;;)
	{
		size_t plain = plain_length(bytes, end - bytes);

		appendBinaryStringInfo(out, bytes, plain);
		bytes += plain;
		if (bytes == end)
			break;
		append_escape(out, *bytes++);
	}
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
append_uint8(StringInfo out, uint64 number)
{
	enlargeStringInfo(out, MAXINT8LEN + 1);
	out->len += pg_ulltoa_n(number, out->data + out->len);
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

static void
text_uuid(StringInfo out, SqSinkColumn *column, Datum value)
{
	static const int groups[] = {4, 2, 2, 2, 6};
	const char *byte = (const char *) DatumGetUUIDP(value)->data;

	enlargeStringInfo(out, 2 * UUID_LEN + lengthof(groups));
	for (int i = 0; i < lengthof(groups); i++)
	{
		if (i > 0)
			out->data[out->len++] = '-';
		out->len += hex_encode(byte, groups[i], out->data + out->len);
		byte += groups[i];
	}
	out->data[out->len] = '\0';
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

/* Append a number of so many digits, with zeros before it. */
static void
append_padded(StringInfo out, uint64 number, int digits)
{
	enlargeStringInfo(out, digits);
	for (int i = digits - 1; i >= 0; i--, number /= 10)
		out->data[out->len + i] = (char) ('0' + number % 10);
	out->len += digits;
}

/* A number that counts units of which 10^digits make one that is written. */
static void
append_scaled(StringInfo out, uint64 number, int digits)
{
	uint64 scale = digits == 6 ? 1000000 : 1000;

	append_uint8(out, number / scale);
	if (number % scale == 0)
		return;
	appendStringInfoCharMacro(out, '.');
	append_padded(out, number % scale, digits);
	while (out->data[out->len - 1] == '0')
		out->len--;
}

/* Late moments count more microseconds since 1970 than an int64 holds. */
static void
epoch_moment(StringInfo out, SqSinkColumn *column, Datum value)
{
	const int64 epoch = EPOCH_SECONDS * USECS_PER_SEC;
	Timestamp moment = DatumGetTimestamp(value);
	bool before = moment < -epoch;
	uint64 us = before ? -(moment + epoch) : (uint64) moment + epoch;

	if (TIMESTAMP_NOT_FINITE(moment))
		refuse_infinite(column);
	if (before)
		appendStringInfoCharMacro(out, '-');
	switch (column->attribute->epoch)
	{
		case SQ_EPOCH_S:
			append_scaled(out, us, 6);
			break;
		case SQ_EPOCH_MS:
			append_scaled(out, us, 3);
			break;
		default:
			append_uint8(out, us);
			if (column->attribute->epoch == SQ_EPOCH_NS && us != 0)
				appendBinaryStringInfo(out, "000", 3);
			break;
	}
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

static SqSlice
call_output(SqSinkColumn *column, Datum value)
{
	int level = sq_sink_mode_enter(column->needs);
	char *string = OutputFunctionCall(&column->output, value);

	sq_sink_mode_leave(level);
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

/* Does a JSON text have the escape of character 0, which no document that is
 * read may hold? Not if its backslash is itself escaped. */
static bool
has_nul(SqSlice json)
{
	const char *end = json.data + json.length;
	const char *at = json.data;

	while ((at = memmem(at, end - at, "\\u0000", 6)) != NULL)
	{
		const char *first = at;

		while (first > json.data && first[-1] == '\\')
			first--;
		if ((at - first) % 2 == 0)
			return true;
		at++;
	}
	return false;
}

static void
append_json(StringInfo out, SqSinkColumn *column, SqSlice json)
{
	if (has_nul(json))
		ereport(ERROR, (errcode(ERRCODE_UNTRANSLATABLE_CHARACTER),
						errmsg("cannot write \\u0000 to column \"%s\"",
							   column->attribute->name),
						errdetail("JSON that holds it cannot be read.")));
	append_slice(out, json);
}

static void
json_json(StringInfo out, SqSinkColumn *column, Datum value)
{
	append_json(out, column, sq_sink_bytes(JSONOID, value));
}

/* Arrays and composites, as json_populate_record reads them. */
static void
json_nested(StringInfo out, SqSinkColumn *column, Datum value)
{
	int level = sq_sink_mode_enter(column->needs);
	Datum json = FunctionCall1(&column->to_json, value);

	sq_sink_mode_leave(level);
	append_json(out, column, utf8_of(TextDatumGetCString(json)));
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
	{UUIDOID, text_uuid, json_plain},
	{JSONOID, text_text, json_json},
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
	column->needs = sq_sink_mode_needs(base);
	if (!type_is_array(base) && !type_is_rowtype(base))
		return;
	/* by a cast they would not be read: they are written as their text */
	if ((column->needs & SQ_SINK_CAST) != 0)
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
