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
	int needs;        /* of the settings that these functions see */
};

/* Set up the column of an attribute (number - 1), in the current context. */
extern void sq_sink_column_init(SqSinkColumn *column,
								const SqAttribute *attribute, int number);

/* Append bytes that are UTF-8 as a JSON string, with its quotes. */
extern void sq_sink_json_string(StringInfo out, const char *bytes,
								size_t length);
/* The bytes of a text (in UTF-8) or a bytea, detoasted. */
extern SqSlice sq_sink_bytes(Oid type, Datum value);

/* ---- sink_mode.c: settings of output functions ---- */

/* What texts of a type depend on; flags. */
#define SQ_SINK_STYLE 0x1 /* how dates, intervals, floats, bytea look */
#define SQ_SINK_ZONE  0x2 /* the time zone */
#define SQ_SINK_NAMES 0x4 /* where objects are looked for */
#define SQ_SINK_CAST  0x8 /* for to_json: a cast of a type inside it */

/* The flags of a type and all that is inside it. */
extern int sq_sink_mode_needs(Oid type);
/* Have functions see settings under which everybody reads what they write;
 * answers the level to leave, 0 if nothing had to be changed. An error in
 * between leaves it, too. */
extern int sq_sink_mode_enter(int needs);
extern void sq_sink_mode_leave(int level);

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
