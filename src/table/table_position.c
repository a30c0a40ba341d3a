/*
 * table_position.c
 *		Where in its topic a table is, for whoever asks.
 *
 * The writer stores the whole array after each publish: version to odd,
 * the words of the array, version to even. A reader copies, and copies again if
 * the version was odd or has changed. The words are atomic, one by one, so
 * nothing is torn below them. Positions are stored after the rows they speak
 * of were published: a reader that sees a position, and then claims, sees
 * those rows.
 *
 * Memory: a run of the arena; replaced by a larger one when there are more
 * partitions. Locks: none.
 */
#include "table/table_internal.h"

#define WORDS (sizeof(SqTablePosition) / sizeof(uint64))

StaticAssertDecl(sizeof(SqTablePosition) % sizeof(uint64) == 0,
				 "positions are copied by words");

static uint32
run_length(int count)
{
	size_t size = count * sizeof(SqTablePosition);

	return (uint32) ((size + SQ_TABLE_CHUNK - 1) / SQ_TABLE_CHUNK);
}

/* Have a run for so many. The old one is retired with its contents. */
static SqStatus
make_room(SqTableWriter *writer, int count, SqError *error)
{
	SqTable *table = writer->table;
	uint32 old = SQ_PEEK(&table->positions);
	uint32 run;

	if (old != 0 &&
		sq_table_arena_run_length(writer->arena, old) >= run_length(count))
		return SQ_OK;
	run = sq_table_writer_alloc(writer, run_length(count));
	if (run == 0)
		return sq_table_error_full(error);
	SQ_STORE(&table->npositions, 0);
	SQ_STORE(&table->positions, run);
	if (old != 0)
		sq_table_writer_retire_run(writer, old);
	return SQ_OK;
}

SqStatus
sq_table_positions_write(SqTableWriter *writer,
						 const SqTablePosition *positions, int count,
						 SqError *error)
{
	SqTable *table = writer->table;
	const uint64 *from = (const uint64 *) positions;
	uint64 *into;

	__atomic_fetch_add(&table->positions_version, 1, __ATOMIC_SEQ_CST);
	if (count > 0 && make_room(writer, count, error) != SQ_OK)
	{
		__atomic_fetch_add(&table->positions_version, 1, __ATOMIC_SEQ_CST);
		return SQ_ERROR;
	}
	into = sq_table_chunk_pointer(writer->arena, SQ_PEEK(&table->positions));
	for (size_t w = 0; w < count * WORDS; w++)
		SQ_STORE(&into[w], from[w]);
	SQ_STORE(&table->npositions, count);
	__atomic_fetch_add(&table->positions_version, 1, __ATOMIC_SEQ_CST);
	return SQ_OK;
}

int
sq_table_positions_read(SqTableArena *arena, int number, SqTableReader *reader,
						SqTablePosition *positions, int max)
{
	SqTable *table = sq_table_at(arena, number);
	uint64 *into = (uint64 *) positions;
	uint64 version;
	int count;

	do
	{
		const uint64 *from;

		sq_table_enter(arena, reader);
		version = __atomic_load_n(&table->positions_version, __ATOMIC_SEQ_CST);
		count = (int) SQ_LOAD(&table->npositions);
		from = sq_table_chunk_pointer(arena, SQ_LOAD(&table->positions));
		for (size_t w = 0; w < Min(count, max) * WORDS; w++)
			into[w] = SQ_LOAD(&from[w]);
		sq_table_leave(reader);
	} while ((version & 1) != 0 ||
			 __atomic_load_n(&table->positions_version, __ATOMIC_SEQ_CST) !=
				 version);
	return count;
}
