/*
 * exec_aggregate.c
 *		Groups of rows and what aggregates say of them.
 *
 * Rows find their group by the hash of what is grouped by; a group is a row of
 * a store (the values as they first came, and their images) and a block of
 * states. Without anything to group by there is one group, also of no rows.
 *
 * When the groups get too large, rows of new groups go to files by their hash,
 * while those of the groups that are there are still counted. After these
 * groups were given out, each file is the input of another round.
 *
 * Memory: store, hash and states; cleared after each round. Locks: none.
 */
#include "exec/exec_internal.h"

#define ARENA_BLOCK (256 * 1024)

/* Files whose rows are to be grouped yet. */
typedef struct SqPending
{
	struct SqPending *next;
	SqSpill *spill;
	int file; /* the next one */
} SqPending;

/* One aggregate, as it is computed. */
typedef struct SqAggRun
{
	const SqAggregate *aggregate;
	const SqAggFunction *function; /* NULL: the host's */
	SqProgram *arg;                /* or NULL */
	SqProgram *filter;             /* or NULL */
	int offset;
	SqColumn *result;
} SqAggRun;

typedef struct SqAggregation
{
	SqOperator op;
	SqKeys keys;
	SqStore store; /* images, then values, of the keys */
	SqHash hash;
	SqStates states;
	SqAggRun *runs;
	const SqColumn **columns;
	uint64 *hashes;
	uint32 *found;
	uint32 *groups; /* by row */
	uint64 *mask;   /* rows of groups that are there */
	uint64 *filtered;
	uint64 *rest; /* rows that spill */

	bool giving; /* the groups are complete */
	int chunk;   /* the next one of them to be given */

	SqFrame file_frame;
	SqSpill *spill; /* being written */
	SqSpillReader *reader;
	SqPending *pending; /* the first: its last file is being read */
} SqAggregation;

/* ---- Groups ---- */

static void
add_states(SqAggregation *agg)
{
	SqStates *states = &agg->states;
	size_t bytes = (size_t) SQ_STORE_ROWS * Max(states->stride, 1);

	if (states->nchunks == states->maxchunks)
	{
		states->maxchunks = Max(states->maxchunks * 2, 16);
		states->chunks =
			sq_base_resize(states->chunks, states->maxchunks * sizeof(char *));
	}
	states->chunks[states->nchunks] = sq_arena_alloc(states->arena, bytes);
	memset(states->chunks[states->nchunks++], 0, bytes);
}

static uint32
add_group(SqAggregation *agg, int row)
{
	uint32 group = sq_exec_store_add(&agg->store, agg->columns, row);

	if (group >> SQ_STORE_SHIFT == agg->states.nchunks)
		add_states(agg);
	return group;
}

static size_t
held_memory(SqAggregation *agg)
{
	SqHost *host = agg->op.exec->host;
	size_t size = sq_exec_store_size(&agg->store) +
				  sq_exec_hash_size(&agg->hash) +
				  sq_arena_size(agg->states.arena);

	if (agg->op.exec->plan->nhost_aggs > 0)
		size += host->ops->memory(host);
	agg->op.stats->memory = Max(agg->op.stats->memory, size);
	return size;
}

static void
clear_groups(SqAggregation *agg)
{
	SqHost *host = agg->op.exec->host;

	sq_exec_store_clear(&agg->store);
	sq_exec_hash_clear(&agg->hash);
	sq_arena_reset(agg->states.arena);
	agg->states.nchunks = 0;
	if (agg->op.exec->plan->nhost_aggs > 0)
		host->ops->forget(host);
}

/* Do rows of new groups go to files from now on? */
static bool
is_full(SqAggregation *agg)
{
	int depth = agg->pending != NULL ? agg->pending->spill->depth + 1 : 0;
	const SqNode *node = agg->op.node;

	if (agg->spill != NULL)
		return true;
	/* below so many groups dividing gains nothing: memory comes in chunks,
	 * and what a round before had is kept */
	if (node->nkeys == 0 || depth >= SQ_SPILL_DEPTH ||
		held_memory(agg) <= agg->op.exec->options.memory ||
		agg->store.count <= SQ_EXEC_ROWS)
		return false;
	agg->spill = sq_exec_spill_create(&agg->op, node->outer->slots,
									  node->outer->nslots, depth);
	return true;
}

static void
group_rows(SqAggregation *agg, const SqFrame *in, int nrows)
{
	bool full = is_full(agg);

	sq_exec_keys_hash(&agg->keys, agg->mask, nrows, agg->hashes);
	sq_exec_hash_find_many(&agg->hash, agg->hashes, agg->keys.images, agg->mask,
						   nrows, agg->found);
	for (int k = 0; k < agg->keys.count; k++)
	{
		agg->columns[k] = agg->keys.images[k];
		agg->columns[agg->keys.count + k] = agg->keys.values[k];
	}
	memset(agg->rest, 0, SQ_BITMAP_WORDS(nrows) * sizeof(uint64));
	SQ_FOR_EACH_BIT(row, agg->mask, nrows)
	{
		uint32 found = agg->found[row];

		/* a row before this one may have made it */
		if (found == 0)
			found = sq_exec_hash_find(&agg->hash, agg->hashes[row],
									  agg->keys.images, row);
		if (found == 0 && full)
		{
			sq_bit_set(agg->rest, row);
			continue;
		}
		if (found == 0)
		{
			found = add_group(agg, row) + 1;
			sq_exec_hash_add(&agg->hash, agg->hashes[row], true);
		}
		agg->groups[row] = found - 1;
	}
	if (!full)
		return;
	sq_exec_spill_write(agg->spill, in, agg->rest, agg->hashes);
	for (int w = 0; w < SQ_BITMAP_WORDS(nrows); w++)
		agg->mask[w] &= ~agg->rest[w];
}

/* ---- Aggregates ---- */

/* The rows that an aggregate counts, into agg->filtered. */
static void
filter_rows(SqAggregation *agg, SqAggRun *run, const SqFrame *in, int *limit)
{
	const SqColumn *truth;

	memcpy(agg->filtered, agg->mask, SQ_BITMAP_WORDS(*limit) * sizeof(uint64));
	if (run->filter == NULL)
		return;
	truth =
		sq_expr_run(run->filter, in, agg->mask, limit, &agg->op.exec->fault);
	for (int w = 0; w < SQ_BITMAP_WORDS(*limit); w++)
		agg->filtered[w] &= truth->valid[w] & truth->bits[w];
}

/* False: the fault says why. */
static bool
advance(SqAggregation *agg, SqAggRun *run, const SqFrame *in, int nrows)
{
	SqExec *exec = agg->op.exec;
	SqAggArgs args = {.exec = exec,
					  .aggregate = run->aggregate,
					  .states = &agg->states,
					  .offset = run->offset,
					  .mask = agg->filtered,
					  .nrows = nrows,
					  .groups = agg->keys.count > 0 ? agg->groups : NULL,
					  .fault = -1};
	int limit = nrows;

	filter_rows(agg, run, in, &limit);
	if (limit < nrows)
		return false;
	if (run->function == NULL)
	{
		exec->host->ops->accumulate(exec->host, run->aggregate->number, in,
									agg->filtered, agg->groups);
		return true;
	}
	if (run->arg != NULL)
	{
		args.column =
			sq_expr_run(run->arg, in, agg->filtered, &limit, &exec->fault);
		for (int w = 0; w < SQ_BITMAP_WORDS(limit); w++)
			agg->filtered[w] &= args.column->valid[w];
	}
	if (limit < nrows)
		return false;
	run->function->advance(&args);
	return args.fault < 0;
}

static SqStatus
add_frame(SqAggregation *agg, const SqFrame *in)
{
	const SqNode *node = agg->op.node;
	int limit = in->nrows;

	memcpy(agg->mask, in->selected,
		   SQ_BITMAP_WORDS(in->nrows) * sizeof(uint64));
	if (node->nkeys == 0 && agg->store.count == 0)
		add_group(agg, 0);
	if (node->nkeys > 0)
	{
		sq_exec_keys_run(&agg->keys, in, agg->mask, &limit);
		if (limit < in->nrows)
			return sq_exec_fail(&agg->op);
		group_rows(agg, in, limit);
	}
	for (int i = 0; i < node->naggregates; i++)
		if (!advance(agg, &agg->runs[i], in, limit))
			return sq_exec_fail(&agg->op);
	return SQ_OK;
}

/* ---- Rounds ---- */

static SqStatus
pull(SqAggregation *agg, SqFrame **frame)
{
	if (agg->pending == NULL)
	{
		SqStatus status = sq_exec_pull(agg->op.outer);

		*frame = &agg->op.outer->frame;
		return status;
	}
	*frame = &agg->file_frame;
	return sq_exec_spill_read(agg->reader, *frame) ? SQ_OK : SQ_DONE;
}

/* All rows of a round into groups. */
static SqStatus
collect(SqAggregation *agg)
{
	SqFrame *frame;
	SqStatus status;

	while ((status = pull(agg, &frame)) == SQ_OK)
	{
		status = add_frame(agg, frame);
		if (status != SQ_OK)
			return status;
	}
	if (status != SQ_DONE)
		return status;
	if (agg->keys.count == 0 && agg->store.count == 0)
		add_group(agg, 0);
	(void) held_memory(agg);
	agg->op.stats->built += agg->store.count;
	agg->giving = true;
	agg->chunk = 0;
	return SQ_OK;
}

static void
push_spill(SqAggregation *agg)
{
	SqPending *pending;

	if (agg->spill == NULL)
		return;
	if (agg->reader == NULL)
		agg->reader = sq_exec_spill_reader_create(agg->spill);
	pending = palloc0(sizeof(SqPending));
	pending->spill = agg->spill;
	pending->next = agg->pending;
	agg->pending = pending;
	agg->spill = NULL;
}

/* Begin the next file's round; false if there is none. */
static bool
next_file(SqAggregation *agg)
{
	SqPending *pending;

	push_spill(agg);
	while ((pending = agg->pending) != NULL)
	{
		if (pending->file < SQ_SPILL_FILES)
		{
			clear_groups(agg);
			sq_exec_spill_rewind(agg->reader, pending->spill, pending->file++);
			agg->giving = false;
			return true;
		}
		agg->pending = pending->next;
		sq_exec_spill_destroy(pending->spill);
		pfree(pending);
	}
	return false;
}

/* ---- Results ---- */

static void
finish_run(SqAggregation *agg, SqAggRun *run, uint32 first, int count)
{
	SqHost *host = agg->op.exec->host;

	memset(run->result->valid, 0, SQ_BITMAP_WORDS(count) * sizeof(uint64));
	if (run->function == NULL)
	{
		host->ops->finish(host, run->aggregate->number, first, count,
						  run->result);
		return;
	}
	for (int r = 0; r < count; r++)
		run->function->finish(agg->op.exec, run->aggregate,
							  sq_state(&agg->states, first + r, run->offset),
							  run->result, r);
}

/* The groups of a chunk as rows; false after the last one. */
static bool
give_chunk(SqAggregation *agg)
{
	const SqNode *node = agg->op.node;
	uint32 first = (uint32) agg->chunk << SQ_STORE_SHIFT;
	SqFrame *frame = &agg->op.frame;

	if (first >= agg->store.count)
		return false;
	frame->nrows = Min(agg->store.count - first, SQ_STORE_ROWS);
	sq_bits_fill(frame->selected, frame->nrows);
	for (int k = 0; k < node->nkeys; k++)
		frame->columns[node->key_slots[k]] =
			&agg->store.chunks[agg->chunk][node->nkeys + k];
	for (int i = 0; i < node->naggregates; i++)
	{
		finish_run(agg, &agg->runs[i], first, frame->nrows);
		frame->columns[agg->runs[i].aggregate->slot] = agg->runs[i].result;
	}
	agg->chunk++;
	return true;
}

static SqStatus
next(SqOperator *op)
{
	SqAggregation *agg = (SqAggregation *) op;

	for (;;)
	{
		SqStatus status;

		if (agg->giving && give_chunk(agg))
			return SQ_OK;
		if (agg->giving && !next_file(agg))
			return SQ_DONE;
		status = collect(agg);
		if (status != SQ_OK)
			return status;
	}
}

static void
restart(SqOperator *op)
{
	SqAggregation *agg = (SqAggregation *) op;

	push_spill(agg);
	while (agg->pending != NULL)
	{
		SqPending *pending = agg->pending;

		agg->pending = pending->next;
		sq_exec_spill_destroy(pending->spill);
		pfree(pending);
	}
	clear_groups(agg);
	agg->giving = false;
	sq_exec_keys_restart(&agg->keys);
	for (int i = 0; i < op->node->naggregates; i++)
	{
		if (agg->runs[i].arg != NULL)
			sq_expr_restart(agg->runs[i].arg);
		if (agg->runs[i].filter != NULL)
			sq_expr_restart(agg->runs[i].filter);
	}
}

static const SqOperatorOps ops = {next, restart};

/* ---- Creation ---- */

static SqProgram *
compile_option(SqExec *exec, const SqExpr *expr)
{
	if (expr == NULL)
		return NULL;
	return sq_expr_compile(expr, exec->options.capacity, exec->host);
}

static void
init_runs(SqAggregation *agg)
{
	const SqNode *node = agg->op.node;
	SqExec *exec = agg->op.exec;

	agg->runs = palloc0(Max(node->naggregates, 1) * sizeof(SqAggRun));
	for (int i = 0; i < node->naggregates; i++)
	{
		SqAggRun *run = &agg->runs[i];

		run->aggregate = &node->aggregates[i];
		run->function = sq_exec_agg_function(run->aggregate->kind);
		run->arg = compile_option(exec, run->aggregate->arg);
		run->filter = compile_option(exec, run->aggregate->filter);
		run->offset = agg->states.stride;
		/* a sum of 128 bits must lie on a border of 16 bytes or be packed */
		if (run->function != NULL)
			agg->states.stride += TYPEALIGN(16, run->function->size);
		run->result = sq_column_create(&exec->plan->slots[run->aggregate->slot],
									   exec->options.capacity);
	}
	agg->states.arena = sq_arena_create(ARENA_BLOCK);
}

static void
init_store(SqAggregation *agg)
{
	const SqNode *node = agg->op.node;
	SqColumn *templates = palloc0(Max(2 * node->nkeys, 1) * sizeof(SqColumn));
	int *slots = palloc(Max(2 * node->nkeys, 1) * sizeof(int));

	for (int k = 0; k < node->nkeys; k++)
	{
		SqType type = node->images[k]->type;

		templates[k].type = sq_type_is_float(type) ? SQ_TYPE_INT8 : type;
		slots[k] = -1;
		templates[node->nkeys + k] =
			agg->op.exec->plan->slots[node->key_slots[k]];
		slots[node->nkeys + k] = node->key_slots[k];
	}
	sq_exec_store_init(&agg->store, agg->op.exec, templates, slots,
					   2 * node->nkeys);
	sq_exec_hash_init(&agg->hash, &agg->store, node->nkeys, true);
	agg->columns = palloc0(Max(2 * node->nkeys, 1) * sizeof(SqColumn *));
}

SqOperator *
sq_exec_aggregate(SqExec *exec, const SqNode *node)
{
	SqAggregation *agg = palloc0(sizeof(SqAggregation));
	int words = SQ_BITMAP_WORDS(exec->options.capacity);

	sq_exec_init(&agg->op, exec, node, &ops);
	sq_exec_keys_init(&agg->keys, exec, node->keys, node->images, node->nkeys);
	init_runs(agg);
	init_store(agg);
	agg->hashes = palloc(words * 64 * sizeof(uint64));
	agg->found = palloc(words * 64 * sizeof(uint32));
	agg->groups = palloc0(words * 64 * sizeof(uint32));
	agg->mask = palloc0(words * sizeof(uint64));
	agg->filtered = palloc0(words * sizeof(uint64));
	agg->rest = palloc0(words * sizeof(uint64));
	agg->file_frame.ncolumns = exec->plan->nslots;
	agg->file_frame.columns =
		palloc0(Max(exec->plan->nslots, 1) * sizeof(SqColumn *));
	agg->file_frame.selected = palloc0(words * sizeof(uint64));
	return &agg->op;
}
