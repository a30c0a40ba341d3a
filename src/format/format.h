/*
 * format.h
 *		The door of room format: payloads into columns of a batch.
 *
 * A decoder knows the fields it is asked for and writes them into one row of a
 * batch. The only errors it has are those of a whole document; a value that
 * its kernels don't take is left pending for PostgreSQL's input function (see
 * batch.h), so the two can't disagree. Results are UTF-8.
 *
 * Memory: a decoder and what it keeps are palloc'd, and its parser malloc'd:
 * the owner must close it (in a server by a memory-context callback). Threads:
 * one at a time.
 */
#ifndef SQ_FORMAT_H
#define SQ_FORMAT_H

#include "batch/batch.h"

#ifdef __cplusplus
extern "C"
{
#endif

typedef enum SqFormat
{
	SQ_FORMAT_JSON,
	SQ_FORMAT_CSV,
	SQ_FORMAT_RAW
} SqFormat;

/* A field that holds a number since 1970-01-01 UTC, in this unit. */
typedef enum SqEpoch
{
	SQ_EPOCH_NONE,
	SQ_EPOCH_S,
	SQ_EPOCH_MS,
	SQ_EPOCH_US,
	SQ_EPOCH_NS
} SqEpoch;

/* ---- Paths: $.a."b.c"[0] ---- */

typedef struct SqPathStep
{
	const char *member; /* NULL: an index step */
	size_t member_length;
	int64 index;
} SqPathStep;

/* No steps: the whole document. */
typedef struct SqPath
{
	int nsteps;
	SqPathStep *steps;
} SqPath;

/* Parse an SQL/JSON path of member and index steps; anything more (wildcards,
 * filters, modes, methods, negative or last indexes) is an error, 22023 with
 * the place. Palloc'd. */
extern SqStatus sq_format_path_parse(const char *text, SqPath *path,
									 SqError *error);
/* The path of one member at top level, named as given. */
extern void sq_format_path_member(const char *name, SqPath *path);

/* ---- Decoders ---- */

typedef struct SqField
{
	int column;    /* of the batch */
	int position;  /* csv: which field of the line, from 0 */
	SqPath path;   /* json */
	SqEpoch epoch; /* date, timestamp and timestamptz columns only */
} SqField;

/* As COPY's: delimiter, quote and escape are one byte, null_text unquoted. */
typedef struct SqCsvOptions
{
	char delimiter;
	char quote;
	char escape;
	const char *null_text;
} SqCsvOptions;

typedef struct SqFormatSpec
{
	SqFormat format;
	const SqColumn *columns; /* types of the batch's columns */
	const SqField *fields;
	int nfields;
	int csv_width; /* csv: fields a full line has, more is an error */
	SqCsvOptions csv;
} SqFormatSpec;

typedef struct SqDecoder SqDecoder;

/* The spec is copied. */
extern SqDecoder *sq_format_open(const SqFormatSpec *spec);

/*
 * Decode one payload into a row of a batch whose columns match the spec's. A
 * null payload makes every field NULL; so does, for json, an empty one or a
 * top-level null. On SQ_ERROR (malformed document: 22P02, 22021 for bytes that
 * are not UTF-8, 22P05 for \u0000, 22P04 for a csv line with extra fields,
 * 22023 for json whose top level is no object, 54001 for json nested deeper
 * than 16384, 53200 out of memory) the row's fields are NULL. Text values
 * point into the payload or the batch's arena.
 */
extern SqStatus sq_format_decode(SqDecoder *decoder, SqSlice payload,
								 SqBatch *batch, int row, SqError *error);
extern void sq_format_close(SqDecoder *decoder);

/* ---- Scalars ---- */

/*
 * One text, as a type's input function takes it, into a row of a column:
 * valid where the kernel takes it exactly as PostgreSQL would, else pending.
 */
extern void sq_format_scalar(SqColumn *column, int row, SqSlice text,
							 SqArena *arena);

/*
 * A number since 1970 (JSON number or numeric text) into a date, timestamp or
 * timestamptz, rounded to the microsecond (a date: to the day it lies in), UTC;
 * half away from zero. SQ_ERROR: 22P02 not a number, 22008 out of range.
 * Decoders leave such a value pending; whoever resolves pending values calls
 * this again for the error.
 */
extern SqStatus sq_format_epoch(SqColumn *column, int row, SqSlice text,
								SqEpoch epoch, SqError *error);

#ifdef __cplusplus
}
#endif

#endif
