/*
 * kafka_codec.c
 *		Batches decompressed by the libraries of their codecs.
 *
 * How much comes out is not known before, or what says so may lie: a block
 * grows while bytes come, up to the limit.
 *
 * Memory: blocks of the pool; what the libraries need ends with each call.
 * Locks: none.
 */
#include "kafka/kafka_records.h"

#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

/* More room for what comes out; false: the limit is reached, or no memory. */
static bool
make_room(SqKafkaBlock *block, size_t limit)
{
	size_t room = Min(block->buffer.capacity * 2, limit);

	return block->length < limit && sq_kafka_block_grow(block, room);
}

static bool
is_full(const SqKafkaBlock *block, size_t limit)
{
	return block->length >= Min(block->buffer.capacity, limit);
}

static size_t
room_of(const SqKafkaBlock *block, size_t limit)
{
	return Min(block->buffer.capacity, limit) - block->length;
}

static char *
end_of(const SqKafkaBlock *block)
{
	return block->buffer.data + block->length;
}

/* ---- gzip ---- */

static bool
gunzip(SqSlice bytes, size_t limit, SqKafkaBlock *block)
{
	z_stream stream = {.next_in = (Bytef *) bytes.data,
					   .avail_in = (uInt) bytes.length};
	int code = Z_OK;

	/* 15 bits of window, and a header of gzip */
	if (inflateInit2(&stream, 15 + 16) != Z_OK)
		return false;
	while (code == Z_OK)
	{
		size_t room;

		if (is_full(block, limit) && !make_room(block, limit))
			break;
		room = Min(room_of(block, limit), PG_INT32_MAX);
		stream.next_out = (Bytef *) end_of(block);
		stream.avail_out = (uInt) room;
		code = inflate(&stream, Z_NO_FLUSH);
		block->length += room - stream.avail_out;
		if (code == Z_BUF_ERROR && is_full(block, limit))
			code = Z_OK;
	}
	inflateEnd(&stream);
	return code == Z_STREAM_END;
}

/* ---- snappy ---- */

static bool
unsnap_chunk(SqSlice bytes, size_t limit, SqKafkaBlock *block)
{
	size_t length;

	if (snappy_uncompressed_length(bytes.data, bytes.length, &length) !=
			SNAPPY_OK ||
		length > limit - block->length ||
		!sq_kafka_block_grow(block, block->length + length) ||
		snappy_uncompress(bytes.data, bytes.length, end_of(block), &length) !=
			SNAPPY_OK)
		return false;
	block->length += length;
	return true;
}

/* Either one chunk, or those of snappy-java behind its header, each with its
 * length before it. */
static bool
unsnap(SqSlice bytes, size_t limit, SqKafkaBlock *block)
{
	static const char magic[] = "\x82SNAPPY";
	SqKafkaCursor cursor;

	if (bytes.length < 16 || memcmp(bytes.data, magic, sizeof(magic)) != 0)
		return unsnap_chunk(bytes, limit, block);
	cursor = sq_kafka_cursor(bytes);
	sq_kafka_read_raw(&cursor, 16);
	while (sq_kafka_read_left(&cursor) > 0)
	{
		int32 length = sq_kafka_read_int32(&cursor);
		const char *chunk;

		if (length < 0)
			return false;
		chunk = sq_kafka_read_raw(&cursor, length);
		if (chunk == NULL ||
			!unsnap_chunk((SqSlice){chunk, length}, limit, block))
			return false;
	}
	return true;
}

/* ---- lz4 ---- */

static bool
unlz4_frames(LZ4F_dctx *context, SqSlice bytes, size_t limit,
			 SqKafkaBlock *block)
{
	size_t used = 0;
	size_t hint = 1;

	while (used < bytes.length)
	{
		size_t in = bytes.length - used;
		size_t out;

		if (is_full(block, limit) && !make_room(block, limit))
			return false;
		out = room_of(block, limit);
		hint = LZ4F_decompress(context, end_of(block), &out, bytes.data + used,
							   &in, NULL);
		if (LZ4F_isError(hint) || (in == 0 && out == 0))
			return false;
		used += in;
		block->length += out;
	}
	/* what is left inside when nothing more goes in */
	while (hint != 0)
	{
		size_t in = 0;
		size_t out;

		if (is_full(block, limit) && !make_room(block, limit))
			return false;
		out = room_of(block, limit);
		hint = LZ4F_decompress(context, end_of(block), &out, bytes.data, &in,
							   NULL);
		if (LZ4F_isError(hint) || out == 0)
			return false;
		block->length += out;
	}
	return true;
}

static bool
unlz4(SqSlice bytes, size_t limit, SqKafkaBlock *block)
{
	LZ4F_dctx *context;
	bool good;

	if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)))
		return false;
	good = unlz4_frames(context, bytes, limit, block);
	LZ4F_freeDecompressionContext(context);
	return good;
}

/* ---- zstd ---- */

static bool
unzstd(SqSlice bytes, size_t limit, SqKafkaBlock *block)
{
	ZSTD_DStream *stream = ZSTD_createDStream();
	ZSTD_inBuffer in = {bytes.data, bytes.length, 0};
	size_t left = stream != NULL ? ZSTD_initDStream(stream) : 0;
	bool good = stream != NULL && bytes.length > 0;

	while (good && left != 0)
	{
		ZSTD_outBuffer out;
		size_t before = in.pos;

		good = !is_full(block, limit) || make_room(block, limit);
		if (!good)
			break;
		out = (ZSTD_outBuffer){end_of(block), room_of(block, limit), 0};
		left = ZSTD_decompressStream(stream, &out, &in);
		block->length += out.pos;
		good = !ZSTD_isError(left) && (in.pos > before || out.pos > 0);
		/* another frame may follow */
		if (left == 0 && in.pos < in.size)
			left = 1;
	}
	ZSTD_freeDStream(stream);
	return good;
}

SqKafkaBlock *
sq_kafka_decompress(SqKafkaCodec codec, SqSlice bytes, size_t limit,
					SqKafkaBlockPool *pool)
{
	size_t guess = Min(Max(bytes.length * 4, 4096), limit);
	SqKafkaBlock *block = sq_kafka_block_take(pool, guess);
	bool good = false;

	if (block == NULL)
		return NULL;
	switch (codec)
	{
		case SQ_KAFKA_GZIP:
			good = gunzip(bytes, limit, block);
			break;
		case SQ_KAFKA_SNAPPY:
			good = unsnap(bytes, limit, block);
			break;
		case SQ_KAFKA_LZ4:
			good = unlz4(bytes, limit, block);
			break;
		case SQ_KAFKA_ZSTD:
			good = unzstd(bytes, limit, block);
			break;
		default:
			break;
	}
	if (good)
		return block;
	sq_kafka_block_release(block);
	return NULL;
}
