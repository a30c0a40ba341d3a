/*
 * exec_join.c
 *		Joins: outer rows with the inner rows that match them.
 *
 * The inner side is a kept table or a hash table that is built first. For each
 * frame of the outer side the matches of all its rows are found at once. While
 * no row has more than one that matters, the outer frame goes on as it is, with
 * the inner columns beside it and another selection (direct); else pairs of
 * rows are copied into frames of their own, and at the end of the outer frame
 * its rows without a match are given out, or for SEMI and ANTI those that
 * remain.
 *
 * Neither side is gone through for nothing: a hash table is built once there is
 * an outer row, and if it is empty, the outer side may not be needed.
 *
 * A hash table that gets too large goes to files, all inner and outer rows
 * divided by their hash, and each pair of files is a join by itself.
 *
 * Memory: arrays over a frame, palloc'd at creation; the inner side's. Locks:
 * none.
 */
#include "exec/exec_internal.h"

typedef enum SqPhase
{
	SQ_PHASE_START, /* is there an outer row at all? */
	SQ_PHASE_BUILD,
	SQ_PHASE_OUTER,     /* ask for an outer frame */
	SQ_PHASE_PAIRS,     /* give its pairs */
	SQ_PHASE_UNMATCHED, /* give inner rows without a match */
	SQ_PHASE_FILE       /* go on to the next pair of files */
} SqPhase;

/* Files that are to be joined yet. */
typedef struct SqPending
{
	struct SqPending *next;
	SqSpill *inner;
	SqSpill *outer;
	int file; /* the next one of them */
} SqPending;

typedef struct SqJoin
{
	SqOperator op;
	SqKeys keys;
	SqProgram **conditions;
	SqInner *inner;
	SqBuild *build;        /* the same, or NULL: a lookup */
	SqColumn **inner_own;  /* columns of the inner slots */
	SqColumn **outer_own;  /* of the outer slots, for pairs */
	SqColumn **outer_null; /* and without any value */
	SqPhase phase;
	bool direct; /* no row has two matches that matter */
	bool peeked; /* the outer operator's frame is yet to be joined */

	/* the outer frame at hand */
	SqFrame *in;
	int nrows;       /* of it, that are good */
	bool faulty;     /* there is an error after them */
	uint64 *matched; /* rows with a match */
	uint64 *probing; /* rows with a key */
	SqMatch *refs;   /* by row: the next match to be looked at */
	int row;         /* the next one to be looked at */

	/* pairs */
	int *pair_rows;
	SqMatch *pair_refs;
	uint64 *pass;

	int chunk; /* of the store, whose unmatched rows are next */

	/* spilling */
	SqFrame file_frame;   /* what was read */
	SqSpill *inner_spill; /* being written */
	SqSpill *outer_spill;
	SqSpillReader *inner_reader;
	SqSpillReader *outer_reader;
	SqPending *pending; /* the first: its last file is being joined */
} SqJoin;

static bool
keeps_outer(SqJoinType type)
{
	return type == SQ_JOIN_LEFT || type == SQ_JOIN_FULL;
}

static bool
keeps_inner(SqJoinType type)
{
	return type == SQ_JOIN_RIGHT || type == SQ_JOIN_FULL;
}

/* Are there no rows without inner rows? */
static bool
needs_inner(SqJoinType type)
{
	return type == SQ_JOIN_INNER || type == SQ_JOIN_SEMI ||
		   type == SQ_JOIN_RIGHT;
}

/* Does each match give a row? */
static bool
gives_pairs(SqJoinType type)
{
	return type != SQ_JOIN_SEMI && type != SQ_JOIN_ANTI;
}

/* ---- Frames ---- */

static void
show_outer(SqJoin *join, SqColumn **columns)
{
	const SqNode *outer = join->op.node->outer;

	for (int s = 0; s < outer->nslots; s++)
		join->op.frame.columns[outer->slots[s]] = columns[s];
}

static void
show_in(SqJoin *join)
{
	const SqNode *outer = join->op.node->outer;

	for (int s = 0; s < outer->nslots; s++)
		join->op.frame.columns[outer->slots[s]] =
			join->in->columns[outer->slots[s]];
	join->op.frame.nrows = join->nrows;
}

static void
show_inner(SqJoin *join)
{
	for (int s = 0; s < join->inner->nslots; s++)
		join->op.frame.columns[join->inner->slots[s]] = join->inner_own[s];
}

/* The inner columns of rows without a match: NULL. */
static void
show_nothing(SqJoin *join)
{
	show_inner(join);
	for (int s = 0; s < join->inner->nslots; s++)
		memset(join->inner_own[s]->valid, 0,
			   SQ_BITMAP_WORDS(join->nrows) * sizeof(uint64));
}

/* Of the rows of mask take away those for which a condition is not true. */
static void
apply_conditions(SqJoin *join, uint64 *mask, int *limit)
{
	for (int i = 0; i < join->op.node->nconditions; i++)
	{
		const SqColumn *truth =
			sq_expr_run(join->conditions[i], &join->op.frame, mask, limit,
						&join->op.exec->fault);

		for (int w = 0; w < SQ_BITMAP_WORDS(*limit); w++)
			mask[w] &= truth->valid[w] & truth->bits[w];
		sq_bits_cut(mask, *limit, join->op.frame.nrows);
	}
}

static void
mark(SqJoin *join, SqMatch ref)
{
	sq_bit_set(join->build->marks, (int) (ref - 1));
}

/* ---- One match at most ---- */

static void
select_direct(SqJoin *join, int w)
{
	uint64 here = join->in->selected[w];
	uint64 *selected = &join->op.frame.selected[w];

	switch (join->op.node->join)
	{
		case SQ_JOIN_LEFT:
		case SQ_JOIN_FULL:
			*selected = here;
			break;
		case SQ_JOIN_ANTI:
			*selected = here & ~join->matched[w];
			break;
		default:
			*selected = here & join->matched[w];
			break;
	}
}

static void
join_direct(SqJoin *join)
{
	SqOperator *op = &join->op;
	int limit = join->nrows;
	int words = SQ_BITMAP_WORDS(join->nrows);

	show_in(join);
	memcpy(join->matched, join->probing, words * sizeof(uint64));
	SQ_FOR_EACH_BIT(row, join->probing, join->nrows)
	{
		if (join->refs[row] == 0)
			sq_bit_clear(join->matched, row);
	}
	op->stats->hits += sq_bits_count(join->matched, join->nrows);
	if (gives_pairs(op->node->join) || op->node->nconditions > 0)
	{
		show_inner(join);
		join->inner->ops->gather(join->inner, &op->frame, join->refs,
								 join->matched, join->nrows);
	}
	else if (op->node->join == SQ_JOIN_ANTI)
		show_nothing(join);
	apply_conditions(join, join->matched, &limit);
	for (int s = 0; s < join->inner->nslots && op->node->nconditions > 0; s++)
		for (int w = 0; w < words; w++)
			join->inner_own[s]->valid[w] &= join->matched[w];
	if (keeps_inner(op->node->join))
	{
		SQ_FOR_EACH_BIT(row, join->matched, limit)
		{
			mark(join, join->refs[row]);
		}
	}
	for (int w = 0; w < words; w++)
		select_direct(join, w);
	sq_bits_cut(op->frame.selected, join->nrows, op->exec->options.capacity);
	if (limit < join->nrows)
		sq_exec_cut(op, limit);
	if (join->faulty)
		op->failed = true;
	join->phase = SQ_PHASE_OUTER;
}

/* ---- Pairs ---- */

/* Take the next matches; how many. */
static int
take_pairs(SqJoin *join)
{
	int capacity = join->op.exec->options.capacity;
	bool once = !gives_pairs(join->op.node->join);
	int count = 0;

	for (; join->row < join->nrows; join->row++)
	{
		SqMatch *ref = &join->refs[join->row];

		if (!sq_bit_get(join->probing, join->row))
			continue;
		while (*ref != 0 && count < capacity)
		{
			/* that it has a match is known already */
			if (once && sq_bit_get(join->matched, join->row))
				break;
			join->pair_rows[count] = join->row;
			join->pair_refs[count++] = *ref;
			*ref = join->inner->ops->next(join->inner, *ref);
		}
		if (count == capacity)
			break;
	}
	return count;
}

static void
copy_outer(SqJoin *join, int count)
{
	const SqNode *outer = join->op.node->outer;

	for (int s = 0; s < outer->nslots; s++)
	{
		const SqColumn *from = join->in->columns[outer->slots[s]];

		for (int r = 0; r < count; r++)
			sq_copy_value(join->outer_own[s], r, from, join->pair_rows[r]);
	}
}

/* The next pairs that pass: SQ_OK if they are rows, SQ_DONE without more. */
static SqStatus
join_pairs(SqJoin *join)
{
	SqOperator *op = &join->op;
	int count = take_pairs(join);
	int limit = count;

	if (count == 0)
		return SQ_DONE;
	copy_outer(join, count);
	show_outer(join, join->outer_own);
	show_inner(join);
	op->frame.nrows = count;
	sq_bits_fill(join->pass, count);
	join->inner->ops->gather(join->inner, &op->frame, join->pair_refs,
							 join->pass, count);
	apply_conditions(join, join->pass, &limit);
	if (limit < count)
		return sq_exec_fail(op);
	SQ_FOR_EACH_BIT(pair, join->pass, count)
	{
		sq_bit_set(join->matched, join->pair_rows[pair]);
		if (keeps_inner(op->node->join))
			mark(join, join->pair_refs[pair]);
	}
	if (gives_pairs(op->node->join))
		memcpy(op->frame.selected, join->pass,
			   SQ_BITMAP_WORDS(count) * sizeof(uint64));
	else
		memset(op->frame.selected, 0, SQ_BITMAP_WORDS(count) * sizeof(uint64));
	return SQ_OK;
}

/* What remains of the outer frame after its pairs. */
static void
end_pairs(SqJoin *join)
{
	SqOperator *op = &join->op;
	SqJoinType type = op->node->join;

	show_in(join);
	show_nothing(join);
	op->stats->hits += sq_bits_count(join->matched, join->nrows);
	for (int w = 0; w < SQ_BITMAP_WORDS(join->nrows); w++)
	{
		uint64 here = join->in->selected[w];

		if (keeps_outer(type) || type == SQ_JOIN_ANTI)
			op->frame.selected[w] = here & ~join->matched[w];
		else if (type == SQ_JOIN_SEMI)
			op->frame.selected[w] = here & join->matched[w];
		else
			op->frame.selected[w] = 0;
	}
	sq_bits_cut(op->frame.selected, join->nrows, op->exec->options.capacity);
	op->failed = join->faulty;
	join->phase = SQ_PHASE_OUTER;
}

/* ---- The outer side ---- */

/* The next outer frame, from beneath or from a file. */
static SqStatus
pull_outer(SqJoin *join)
{
	SqStatus status = SQ_OK;

	if (join->pending == NULL)
	{
		if (!join->peeked)
			status = sq_exec_pull(join->op.outer);
		join->peeked = false;
		join->in = &join->op.outer->frame;
		return status;
	}
	join->in = &join->file_frame;
	return sq_exec_spill_read(join->outer_reader, join->in) ? SQ_OK : SQ_DONE;
}

/* Write an outer frame to files instead of joining it. */
static SqStatus
spill_outer(SqJoin *join)
{
	int limit = join->in->nrows;

	sq_exec_keys_run(&join->keys, join->in, join->in->selected, &limit);
	if (limit < join->in->nrows)
		return sq_exec_fail(&join->op);
	sq_exec_keys_hash(&join->keys, join->in->selected, limit,
					  join->build->hashes);
	sq_exec_spill_write(join->outer_spill, join->in, join->in->selected,
						join->build->hashes);
	return SQ_OK;
}

/* Find the matches of the outer frame. */
static void
start_frame(SqJoin *join)
{
	SqOperator *op = &join->op;
	int limit = join->in->nrows;
	int words = SQ_BITMAP_WORDS(join->in->nrows);

	sq_exec_keys_run(&join->keys, join->in, join->in->selected, &limit);
	join->faulty = limit < join->in->nrows;
	join->nrows = limit;
	memcpy(join->probing, join->in->selected, words * sizeof(uint64));
	sq_bits_cut(join->probing, limit, join->in->nrows);
	sq_exec_keys_drop_nulls(&join->keys, join->probing, limit);
	memset(join->matched, 0, words * sizeof(uint64));
	op->stats->lookups += sq_bits_count(join->probing, limit);
	join->inner->ops->find(join->inner, &join->keys, join->probing, limit,
						   join->refs);
	join->row = 0;
	join->direct = join->inner->unique ||
				   (!gives_pairs(op->node->join) && op->node->nconditions == 0);
	join->phase = SQ_PHASE_PAIRS;
}

/* ---- Unmatched inner rows ---- */

static bool
give_unmatched(SqJoin *join)
{
	SqBuild *build = join->build;
	SqFrame *frame = &join->op.frame;
	const uint64 *marks;

	if (!sq_exec_build_frame(build, join->chunk, frame))
		return false;
	marks = build->marks + (size_t) join->chunk * SQ_STORE_ROWS / 64;
	for (int w = 0; w < SQ_BITMAP_WORDS(frame->nrows); w++)
		frame->selected[w] &= ~marks[w];
	show_outer(join, join->outer_null);
	join->chunk++;
	return true;
}

/* ---- Building ---- */

static bool
is_too_large(SqJoin *join)
{
	SqBuild *build = join->build;
	size_t size = sq_exec_build_size(build);

	join->op.stats->memory = Max(join->op.stats->memory, size);
	return size > join->op.exec->options.memory &&
		   build->store.count > SQ_EXEC_ROWS &&
		   (join->pending == NULL ||
			join->pending->inner->depth + 1 < SQ_SPILL_DEPTH);
}

/* Rows of one key stay together however they are divided. */
static bool
is_worth_dividing(SqJoin *join)
{
	return join->op.node->nkeys > 0;
}

/* Write the rows that were built so far to files, and go on like that. */
static SqStatus
begin_spill(SqJoin *join)
{
	const SqNode *node = join->op.node;
	SqBuild *build = join->build;
	int depth = join->pending != NULL ? join->pending->inner->depth + 1 : 0;
	SqFrame *frame = &join->op.frame;

	join->inner_spill = sq_exec_spill_create(&join->op, node->inner->slots,
											 node->inner->nslots, depth);
	join->outer_spill = sq_exec_spill_create(&join->op, node->outer->slots,
											 node->outer->nslots, depth);
	for (int chunk = 0; sq_exec_build_frame(build, chunk, frame); chunk++)
	{
		if (sq_exec_build_hash(build, frame) != SQ_OK)
			return sq_exec_fail(&join->op);
		sq_exec_spill_write(join->inner_spill, frame, frame->selected,
							build->hashes);
	}
	sq_exec_build_clear(build);
	return SQ_OK;
}

static SqStatus
add_inner(SqJoin *join, const SqFrame *frame)
{
	SqBuild *build = join->build;

	join->op.stats->built += sq_bits_count(frame->selected, frame->nrows);
	if (join->inner_spill != NULL)
	{
		if (sq_exec_build_hash(build, frame) != SQ_OK)
			return sq_exec_fail(&join->op);
		sq_exec_spill_write(join->inner_spill, frame, frame->selected,
							build->hashes);
		return SQ_OK;
	}
	if (sq_exec_build_add(build, frame) != SQ_OK)
		return sq_exec_fail(&join->op);
	if (is_worth_dividing(join) && is_too_large(join))
		return begin_spill(join);
	return SQ_OK;
}

/* The next inner frame, from beneath or from a file. */
static SqStatus
pull_inner(SqJoin *join, SqFrame **frame)
{
	SqStatus status;

	if (join->pending == NULL)
	{
		status = sq_exec_pull(join->op.inner);
		*frame = &join->op.inner->frame;
		return status;
	}
	*frame = &join->file_frame;
	return sq_exec_spill_read(join->inner_reader, *frame) ? SQ_OK : SQ_DONE;
}

static void
make_readers(SqJoin *join)
{
	if (join->inner_reader != NULL)
		return;
	join->inner_reader = sq_exec_spill_reader_create(join->inner_spill);
	join->outer_reader = sq_exec_spill_reader_create(join->outer_spill);
}

/* All inner rows are in files: the outer ones follow, then each pair. */
static SqStatus
divide_outer(SqJoin *join)
{
	SqPending *pending;
	SqStatus status;

	while ((status = pull_outer(join)) == SQ_OK)
	{
		status = spill_outer(join);
		if (status != SQ_OK)
			return status;
	}
	if (status != SQ_DONE)
		return status;
	make_readers(join);
	pending = palloc0(sizeof(SqPending));
	pending->inner = join->inner_spill;
	pending->outer = join->outer_spill;
	pending->next = join->pending;
	join->pending = pending;
	join->inner_spill = join->outer_spill = NULL;
	join->phase = SQ_PHASE_FILE;
	return SQ_OK;
}

static SqStatus
build_inner(SqJoin *join)
{
	SqFrame *frame;
	SqStatus status;

	while ((status = pull_inner(join, &frame)) == SQ_OK)
	{
		status = add_inner(join, frame);
		if (status != SQ_OK)
			return status;
	}
	if (status != SQ_DONE)
		return status;
	if (join->inner_spill != NULL)
		return divide_outer(join);
	(void) is_too_large(join); /* for the statistics */
	join->phase = SQ_PHASE_OUTER;
	if (join->build->store.count == 0 && needs_inner(join->op.node->join))
		join->phase = SQ_PHASE_FILE;
	return SQ_OK;
}

/* Nothing is built for no outer row. */
static SqStatus
peek_outer(SqJoin *join)
{
	SqOperator *outer = join->op.outer;
	SqStatus status;

	join->phase = SQ_PHASE_BUILD;
	if (keeps_inner(join->op.node->join))
		return SQ_OK;
	do
		status = sq_exec_pull(outer);
	while (status == SQ_OK &&
		   sq_bits_count(outer->frame.selected, outer->frame.nrows) == 0);
	join->peeked = status == SQ_OK;
	if (status == SQ_DONE)
		join->phase = SQ_PHASE_FILE;
	else if (status != SQ_OK)
		join->phase = SQ_PHASE_START;
	return status == SQ_DONE ? SQ_OK : status;
}

/* Begin the next pair of files; false if there is none. */
static bool
next_file(SqJoin *join)
{
	SqPending *pending = join->pending;

	if (pending == NULL)
		return false;
	while (pending->file == SQ_SPILL_FILES)
	{
		join->pending = pending->next;
		sq_exec_spill_destroy(pending->inner);
		sq_exec_spill_destroy(pending->outer);
		pfree(pending);
		pending = join->pending;
		if (pending == NULL)
			return false;
	}
	sq_exec_build_clear(join->build);
	sq_exec_spill_rewind(join->inner_reader, pending->inner, pending->file);
	sq_exec_spill_rewind(join->outer_reader, pending->outer, pending->file);
	pending->file++;
	join->chunk = 0;
	join->phase = SQ_PHASE_BUILD;
	return true;
}

/* ---- The operator ---- */

/* The outer side is at its end. */
static void
end_outer(SqJoin *join)
{
	join->chunk = 0;
	join->phase =
		keeps_inner(join->op.node->join) ? SQ_PHASE_UNMATCHED : SQ_PHASE_FILE;
}

static SqStatus
next_outer(SqJoin *join)
{
	SqStatus status = pull_outer(join);

	if (status == SQ_OK)
		start_frame(join);
	if (status != SQ_DONE)
		return status;
	end_outer(join);
	return SQ_OK;
}

static SqStatus
next_pairs(SqJoin *join)
{
	SqStatus status;

	if (join->direct)
	{
		join_direct(join);
		return SQ_OK;
	}
	status = join_pairs(join);
	if (status != SQ_DONE)
		return status;
	end_pairs(join);
	return SQ_OK;
}

static SqStatus
next(SqOperator *op)
{
	SqJoin *join = (SqJoin *) op;

	for (;;)
	{
		SqStatus status = SQ_OK;

		switch (join->phase)
		{
			case SQ_PHASE_START:
				status = peek_outer(join);
				break;
			case SQ_PHASE_BUILD:
				status = build_inner(join);
				break;
			case SQ_PHASE_OUTER:
				status = next_outer(join);
				break;
			case SQ_PHASE_PAIRS:
				return next_pairs(join);
			case SQ_PHASE_UNMATCHED:
				if (give_unmatched(join))
					return SQ_OK;
				join->phase = SQ_PHASE_FILE;
				break;
			case SQ_PHASE_FILE:
				if (!next_file(join))
					return SQ_DONE;
				break;
		}
		if (status != SQ_OK)
			return status;
	}
}

static void
drop_spills(SqJoin *join)
{
	while (join->pending != NULL)
	{
		SqPending *next_pending = join->pending->next;

		sq_exec_spill_destroy(join->pending->inner);
		sq_exec_spill_destroy(join->pending->outer);
		pfree(join->pending);
		join->pending = next_pending;
	}
	if (join->inner_spill != NULL)
	{
		sq_exec_spill_destroy(join->inner_spill);
		sq_exec_spill_destroy(join->outer_spill);
	}
	join->inner_spill = join->outer_spill = NULL;
}

static void
restart(SqOperator *op)
{
	SqJoin *join = (SqJoin *) op;

	for (int i = 0; i < op->node->nconditions; i++)
		sq_expr_restart(join->conditions[i]);
	sq_exec_keys_restart(&join->keys);
	join->phase = SQ_PHASE_OUTER;
	join->chunk = 0;
	if (join->build == NULL)
		return;
	join->phase = SQ_PHASE_START;
	join->peeked = false;
	drop_spills(join);
	sq_exec_keys_restart(&join->build->keys);
	sq_exec_build_clear(join->build);
}

static const SqOperatorOps ops = {next, restart};

static SqColumn **
make_columns(const SqExec *exec, const int *slots, int nslots)
{
	SqColumn **columns = palloc(Max(nslots, 1) * sizeof(SqColumn *));

	for (int s = 0; s < nslots; s++)
		columns[s] = sq_column_create(&exec->plan->slots[slots[s]],
									  exec->options.capacity);
	return columns;
}

static void
make_arrays(SqJoin *join)
{
	SqExec *exec = join->op.exec;
	int capacity = exec->options.capacity;
	int words = SQ_BITMAP_WORDS(capacity);

	join->matched = palloc0(words * sizeof(uint64));
	join->probing = palloc0(words * sizeof(uint64));
	join->pass = palloc0(words * sizeof(uint64));
	join->refs = palloc0(capacity * sizeof(SqMatch));
	join->pair_rows = palloc(capacity * sizeof(int));
	join->pair_refs = palloc(capacity * sizeof(SqMatch));
	join->file_frame.ncolumns = exec->plan->nslots;
	join->file_frame.columns =
		palloc0(Max(exec->plan->nslots, 1) * sizeof(SqColumn *));
	join->file_frame.selected = palloc0(words * sizeof(uint64));
}

SqOperator *
sq_exec_join(SqExec *exec, const SqNode *node)
{
	SqJoin *join = palloc0(sizeof(SqJoin));

	sq_exec_init(&join->op, exec, node, &ops);
	sq_exec_keys_init(&join->keys, exec, node->keys, NULL, node->nkeys);
	join->conditions =
		sq_exec_compile(exec, node->conditions, node->nconditions);
	make_arrays(join);
	if (node->method == SQ_METHOD_LOOKUP)
		join->inner = sq_exec_lookup_create(exec, node);
	else
	{
		join->build = sq_exec_build_create(&join->op);
		join->inner = &join->build->inner;
	}
	join->phase = join->build != NULL ? SQ_PHASE_START : SQ_PHASE_OUTER;
	join->inner_own =
		make_columns(exec, join->inner->slots, join->inner->nslots);
	join->outer_own =
		make_columns(exec, node->outer->slots, node->outer->nslots);
	join->outer_null =
		make_columns(exec, node->outer->slots, node->outer->nslots);
	return &join->op;
}
