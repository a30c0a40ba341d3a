/*
 * sink_internal.h
 *		What the files that make records share; nobody else includes this.
 */
#ifndef SQ_SINK_INTERNAL_H
#define SQ_SINK_INTERNAL_H

#include "postgres.h"

#include "feed/feed.h"
#include "fmgr.h"
#include "lib/stringinfo.h"

/* ---- sink_value.c: values as texts, in UTF-8 ---- */

/* A column that is written as a text. */
typedef struct SqSinkColumn SqSinkColumn;

struct SqSinkColumn
{
	const SqAttribute *attribute;
	int number; /* of the attribute, - 1 */
	/* append the value's text, as its input function takes it */
	void (*text)(StringInfo out, SqSinkColumn *column, Datum value);
	/* append the value as JSON */
	void (*json)(StringInfo out, SqSinkColumn *column, Datum value);
	FmgrInfo output;
	FmgrInfo to_json; /* of arrays and composites */
};

/* Set up the column of an attribute (number - 1), in the current context. */
extern void sq_sink_column_init(SqSinkColumn *column,
								const SqAttribute *attribute, int number);

/* Append bytes that are UTF-8 as a JSON string, with its quotes. */
extern void sq_sink_json_string(StringInfo out, const char *bytes,
								size_t length);
/* The bytes of a text (in UTF-8) or a bytea, detoasted. */
extern SqSlice sq_sink_bytes(Oid type, Datum value);

/* ---- sink_shape.c: JSON documents of columns ---- */

/* A piece of a document: what stands before a column's value, and the value;
 * the last piece has none. */
typedef struct SqSinkPiece
{
	const char *before;
	int before_length;
	SqSinkColumn *column; /* or NULL */
} SqSinkPiece;

typedef struct SqSinkDocument
{
	int npieces;
	SqSinkPiece *pieces;
} SqSinkDocument;

/* The document in which reading finds each column by its path. Throws 42P16
 * where paths contradict each other. */
extern SqSinkDocument sq_sink_document(SqSinkColumn *columns, int ncolumns);
extern void sq_sink_document_write(StringInfo out,
								   const SqSinkDocument *document,
								   const Datum *values, const bool *nulls);

/* ---- sink_csv.c ---- */

extern void sq_sink_csv_write(StringInfo out, const SqCsvOptions *csv,
							  SqSinkColumn *columns, int ncolumns,
							  const Datum *values, const bool *nulls);

#endif
