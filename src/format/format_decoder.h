/*
 * format_decoder.h
 *		What a payload format is to room format: one table of functions.
 *
 * A new format is a new file with one such table, and a line in format.c.
 */
#ifndef SQ_FORMAT_DECODER_H
#define SQ_FORMAT_DECODER_H

#include "format/format.h"

typedef struct SqDecoderOps
{
	/* Make a decoder whose first member is an SqDecoder, palloc'd; the
	 * caller fills in that member. */
	SqDecoder *(*open)(const SqFormatSpec *spec);
	/* Fill the decoder's fields of a row, all NULL when called. The payload
	 * is not null. On SQ_ERROR the fields may be left half filled. */
	SqStatus (*decode)(SqDecoder *decoder, SqSlice payload, SqBatch *batch,
					   int row, SqError *error);
	/* Free what the format keeps, and the decoder. */
	void (*close)(SqDecoder *decoder);
} SqDecoderOps;

/* A field as every format knows it. */
typedef struct SqTarget
{
	int column;
	SqEpoch epoch;
} SqTarget;

struct SqDecoder
{
	const SqDecoderOps *ops;
	int ntargets;
	SqTarget *targets; /* in the order of the spec's fields */
};

extern const SqDecoderOps sq_format_json_ops;
extern const SqDecoderOps sq_format_csv_ops;
extern const SqDecoderOps sq_format_raw_ops;

#endif
