/*
 * format.c
 *		Opening, using and closing decoders of whatever format.
 *
 * What is the same for all formats is done here: a row's fields are NULL
 * before a decoder fills them and after it failed, and a null payload is not
 * looked at.
 *
 * Memory: a decoder is palloc'd, what its format keeps is the format's; both
 * end with sq_format_close. Locks: none, one thread at a time.
 */
#include "format/format_decoder.h"

static const SqDecoderOps *const format_ops[] = {
	[SQ_FORMAT_JSON] = &sq_format_json_ops,
	[SQ_FORMAT_CSV] = &sq_format_csv_ops,
	[SQ_FORMAT_RAW] = &sq_format_raw_ops,
};

SqDecoder *
sq_format_open(const SqFormatSpec *spec)
{
	const SqDecoderOps *ops = format_ops[spec->format];
	SqDecoder *decoder = ops->open(spec);

	decoder->ops = ops;
	decoder->ntargets = spec->nfields;
	decoder->targets = palloc(Max(spec->nfields, 1) * sizeof(SqTarget));
	for (int i = 0; i < spec->nfields; i++)
		decoder->targets[i] = (SqTarget){.column = spec->fields[i].column,
										 .epoch = spec->fields[i].epoch};
	return decoder;
}

static void
clear_targets(const SqDecoder *decoder, SqBatch *batch, int row)
{
	for (int i = 0; i < decoder->ntargets; i++)
		sq_column_set_null(&batch->columns[decoder->targets[i].column], row);
}

SqStatus
sq_format_decode(SqDecoder *decoder, SqSlice payload, SqBatch *batch, int row,
				 SqError *error)
{
	SqStatus status;

	clear_targets(decoder, batch, row);
	if (payload.data == NULL)
		return SQ_OK;
	status = decoder->ops->decode(decoder, payload, batch, row, error);
	if (unlikely(status != SQ_OK))
		clear_targets(decoder, batch, row);
	return status;
}

void
sq_format_close(SqDecoder *decoder)
{
	pfree(decoder->targets);
	decoder->ops->close(decoder);
}
