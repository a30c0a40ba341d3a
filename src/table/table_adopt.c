/*
 * table_adopt.c
 *		Taking over a table from a writer that is gone.
 *
 * Its private queues went with it, so they are made again from what is there:
 *	 - rows of a state that was not published are unlinked, and versions that
 *	   it replaced or deleted live again;
 *	 - versions that died are looked at again;
 *	 - slots that hold no row were free or retired: all are retired now, and so
 *	   come back by the usual way;
 *	 - runs of the table that nothing leads to were retired: the same.
 *
 * Memory: a bitmap of the arena's chunks, malloc'd and freed here. Locks: none;
 * there is no other writer, and readers go on meanwhile.
 */
#include "table/table_internal.h"

static void
visit_rows(SqTableWriter *writer,
		   void (*visit)(SqTableWriter *writer, SqTableRow *row))
{
	const SqTableVector *vector = &writer->table->rowchunks;
	uint32 count = SQ_PEEK(&vector->count);

	for (uint32 p = 0; p < count; p++)
	{
		uint32 *entries =
			sq_table_chunk_pointer(writer->arena, SQ_PEEK(&vector->run));
		uint32 run = SQ_PEEK(&entries[p]);
		SqTableSlab *slab = sq_table_chunk_pointer(writer->arena, run);

		for (uint32 s = 0; run != 0 && s < SQ_PEEK(&slab->ready); s++)
			visit(writer, sq_table_slab_row(slab, s));
	}
}

/* Slots without a row, before any is unlinked here. */
static void
retire_empty(SqTableWriter *writer, SqTableRow *row)
{
	if (SQ_PEEK(&row->born) == 0)
		sq_table_writer_retire_row(writer, row);
}

/* Undo what was not published. */
static void
undo_row(SqTableWriter *writer, SqTableRow *row)
{
	uint64 published = writer->sequence - 1;
	uint64 born = SQ_PEEK(&row->born);
	uint64 died = SQ_PEEK(&row->died);

	if (born == 0)
		return;
	if (born > published)
		sq_table_writer_unlink(writer, row);
	else if (died > published)
	{
		SQ_STORE(&row->died, SQ_TABLE_NEVER);
		writer->table->pending_rows++;
	}
	else
		sq_table_refs_add(&writer->dying, sq_table_ref(writer->arena, row));
}

/* ---- Runs ---- */

static void
mark_run(void *arg, uint32 run)
{
	((bool *) arg)[run] = true;
}

static void
mark_reachable(SqTableWriter *writer, bool *reachable)
{
	SqTable *table = writer->table;
	uint32 vector = SQ_PEEK(&table->rowchunks.run);

	reachable[vector] = true;
	for (uint32 p = 0; p < SQ_PEEK(&table->rowchunks.count); p++)
		reachable[((uint32 *) sq_table_chunk_pointer(writer->arena,
													 vector))[p]] = true;
	for (int i = 0; i < SQ_TABLE_INDEXES; i++)
		sq_table_index_runs(writer->arena, SQ_PEEK(&table->roots[i]), mark_run,
							reachable);
	reachable[SQ_PEEK(&table->positions)] = true;
}

/* Retire the runs that nothing leads to. Without memory for the marks they
 * are lost until the next writer. */
static void
retire_lost_runs(SqTableWriter *writer)
{
	bool *reachable = calloc(writer->arena->nchunks, sizeof(bool));
	uint32 run = 0;

	if (reachable == NULL)
		return;
	mark_reachable(writer, reachable);
	while ((run = sq_table_arena_next_run(writer->arena, writer->table->number,
										  run)) != 0)
	{
		if (!reachable[run])
			sq_table_writer_retire_run(writer, run);
		run += sq_table_arena_run_length(writer->arena, run);
	}
	free(reachable);
}

void
sq_table_writer_adopt(SqTableWriter *writer)
{
	retire_lost_runs(writer);
	sq_table_slab_forget(writer);
	writer->table->pending_rows = 0;
	visit_rows(writer, retire_empty);
	visit_rows(writer, undo_row);
}
