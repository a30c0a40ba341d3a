/*
 * format_raw.c
 *		Payloads that are one value: text as a type's input function takes it,
 *		or for bytea the bytes themselves.
 *
 * Memory: values point into the payload. Locks: none.
 */
#include "format/format_decoder.h"
#include "format/format_scalar.h"

static SqDecoder *
raw_open(const SqFormatSpec *spec)
{
	return palloc0(sizeof(SqDecoder));
}

static SqStatus
raw_decode(SqDecoder *decoder, SqSlice payload, SqBatch *batch, int row,
		   SqError *error)
{
	for (int i = 0; i < decoder->ntargets; i++)
	{
		SqTarget target = decoder->targets[i];
		SqColumn *column = &batch->columns[target.column];

		if (column->type == SQ_TYPE_BYTEA)
			sq_column_set_text(column, row, payload);
		else if (sq_format_is_text(payload))
			sq_format_put(column, row, payload, target.epoch, batch->arena);
		else
			sq_column_set_pending(column, row, payload);
	}
	return SQ_OK;
}

static void
raw_close(SqDecoder *decoder)
{
	pfree(decoder);
}

const SqDecoderOps sq_format_raw_ops = {
	.open = raw_open,
	.decode = raw_decode,
	.close = raw_close,
};
