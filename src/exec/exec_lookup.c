/*
 * exec_lookup.c
 *		The inner side of a join that is a kept table: found by its indexes.
 *
 * Memory: palloc'd at creation. Locks: none; see table_read.c.
 */
#include "exec/exec_internal.h"

typedef struct SqLookup
{
	SqInner inner;
	const SqTableView *view;
	const SqNode *node;
	SqGather gather;
	SqTableCell *cells; /* of the rows that are looked for */
	int *rows;          /* their numbers */
	const SqTableRow **found;
} SqLookup;

/* The keys of the rows of mask as cells, one after the other; how many. */
static int
make_cells(SqLookup *lookup, const SqKeys *keys, const uint64 *mask, int nrows)
{
	int count = 0;

	SQ_FOR_EACH_BIT(row, mask, nrows)
	{
		lookup->rows[count++] = row;
	}
	for (int k = 0; k < keys->count; k++)
	{
		const SqColumn *image = keys->images[k];
		SqTableCell *cell = &lookup->cells[k];

		for (int i = 0; i < count; i++, cell += keys->count)
			if (image->text != NULL)
				cell->bytes = image->text[lookup->rows[i]];
			else
				cell->word = image->i[lookup->rows[i]];
	}
	return count;
}

static void
find(SqInner *inner, const SqKeys *keys, const uint64 *mask, int nrows,
	 SqMatch *refs)
{
	SqLookup *lookup = (SqLookup *) inner;
	int count = make_cells(lookup, keys, mask, nrows);

	if (lookup->node->index == 0)
		sq_table_find_many(lookup->view, lookup->cells, count, lookup->found);
	else
		for (int i = 0; i < count; i++)
			lookup->found[i] = sq_table_match_first(
				lookup->view, lookup->node->index, &lookup->cells[i]);
	memset(refs, 0, nrows * sizeof(SqMatch));
	for (int i = 0; i < count; i++)
		refs[lookup->rows[i]] = (SqMatch) lookup->found[i];
}

static SqMatch
next(SqInner *inner, SqMatch ref)
{
	SqLookup *lookup = (SqLookup *) inner;

	if (lookup->node->index == 0)
		return 0;
	return (SqMatch) sq_table_match_next(lookup->view, lookup->node->index,
										 (const SqTableRow *) ref);
}

static void
gather(SqInner *inner, SqFrame *frame, const SqMatch *refs, const uint64 *mask,
	   int nrows)
{
	SqLookup *lookup = (SqLookup *) inner;

	sq_exec_gather(&lookup->gather, frame, (const SqTableRow *const *) refs,
				   mask, nrows);
}

static const SqInnerOps ops = {find, next, gather};

SqInner *
sq_exec_lookup_create(SqExec *exec, const SqNode *node)
{
	SqLookup *lookup = palloc0(sizeof(SqLookup));
	int capacity = exec->options.capacity;

	lookup->inner.ops = &ops;
	lookup->inner.unique = node->index == 0;
	lookup->inner.nslots = node->nfilled;
	lookup->inner.slots = node->filled;
	lookup->view = exec->relations[node->relation].view;
	lookup->gather =
		(SqGather){lookup->view->layout, node->nfilled, node->filled,
				   exec->relations[node->relation].columns};
	lookup->node = node;
	lookup->cells = palloc0(capacity * node->nkeys * sizeof(SqTableCell));
	lookup->rows = palloc(capacity * sizeof(int));
	lookup->found = palloc(capacity * sizeof(SqTableRow *));
	return &lookup->inner;
}
