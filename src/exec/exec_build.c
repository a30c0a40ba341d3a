/*
 * exec_build.c
 *		The inner side of a join as a hash table.
 *
 * Of each key the first row is an entry of the hash; the others hang on it in
 * a list. Rows whose key is NULL match nothing: they are kept only for RIGHT
 * and FULL, which give them out unmatched.
 *
 * Memory: a store, a hash, and an array and a bitmap over the rows. Locks:
 * none.
 */
#include "exec/exec_internal.h"

static void
find(SqInner *inner, const SqKeys *keys, const uint64 *mask, int nrows,
	 SqMatch *refs)
{
	SqBuild *build = (SqBuild *) inner;

	sq_exec_keys_hash(keys, mask, nrows, build->hashes);
	sq_exec_hash_find_many(&build->hash, build->hashes, keys->images, mask,
						   nrows, build->found);
	memset(refs, 0, nrows * sizeof(SqMatch));
	SQ_FOR_EACH_BIT(row, mask, nrows)
	{
		refs[row] = build->found[row];
	}
}

static SqMatch
next(SqInner *inner, SqMatch ref)
{
	return ((SqBuild *) inner)->same[ref - 1];
}

static void
gather(SqInner *inner, SqFrame *frame, const SqMatch *refs, const uint64 *mask,
	   int nrows)
{
	SqBuild *build = (SqBuild *) inner;

	for (int s = 0; s < inner->nslots; s++)
	{
		SqColumn *to = frame->columns[inner->slots[s]];

		memset(to->valid, 0, SQ_BITMAP_WORDS(nrows) * sizeof(uint64));
		SQ_FOR_EACH_BIT(row, mask, nrows)
		{
			uint32 entry = (uint32) refs[row] - 1;

			sq_copy_value(to, row,
						  sq_exec_store_column(&build->store, entry,
											   build->keys.count + s),
						  SQ_STORE_ROW(entry));
		}
	}
}

static const SqInnerOps ops = {find, next, gather};

SqBuild *
sq_exec_build_create(SqOperator *op)
{
	SqExec *exec = op->exec;
	const SqNode *node = op->node;
	SqBuild *build = palloc0(sizeof(SqBuild));
	int ncolumns = node->nkeys + node->inner->nslots;
	SqColumn *templates = palloc0(Max(ncolumns, 1) * sizeof(SqColumn));
	int *slots = palloc(Max(ncolumns, 1) * sizeof(int));
	int words = SQ_BITMAP_WORDS(exec->options.capacity);

	build->inner.ops = &ops;
	build->inner.nslots = node->inner->nslots;
	build->inner.slots = node->inner->slots;
	build->op = op;
	build->keeps_nulls =
		node->join == SQ_JOIN_RIGHT || node->join == SQ_JOIN_FULL;
	sq_exec_keys_init(&build->keys, exec, node->inner_keys, NULL, node->nkeys);
	for (int k = 0; k < node->nkeys; k++)
	{
		SqType type = node->inner_keys[k]->type;

		templates[k].type = sq_type_is_float(type) ? SQ_TYPE_INT8 : type;
		slots[k] = -1;
	}
	for (int s = 0; s < node->inner->nslots; s++)
	{
		slots[node->nkeys + s] = node->inner->slots[s];
		templates[node->nkeys + s] = exec->plan->slots[node->inner->slots[s]];
	}
	sq_exec_store_init(&build->store, exec, templates, slots, ncolumns);
	sq_exec_hash_init(&build->hash, &build->store, node->nkeys, false);
	build->mask = palloc0(words * sizeof(uint64));
	build->hashes = palloc(words * 64 * sizeof(uint64));
	build->found = palloc(words * 64 * sizeof(uint32));
	build->columns = palloc(Max(ncolumns, 1) * sizeof(SqColumn *));
	sq_exec_build_clear(build);
	return build;
}

void
sq_exec_build_clear(SqBuild *build)
{
	sq_exec_store_clear(&build->store);
	sq_exec_hash_clear(&build->hash);
	build->inner.unique = true;
	if (build->nsame > 0)
	{
		pfree(build->same);
		pfree(build->marks);
	}
	build->same = NULL;
	build->marks = NULL;
	build->nsame = 0;
}

size_t
sq_exec_build_size(const SqBuild *build)
{
	return sq_exec_store_size(&build->store) + sq_exec_hash_size(&build->hash) +
		   build->nsame * sizeof(uint32) + build->nsame / 8;
}

static void
make_room(SqBuild *build, uint32 entry)
{
	uint32 count = Max(build->nsame * 2, SQ_STORE_ROWS);

	if (entry < build->nsame)
		return;
	build->same = sq_base_resize(build->same, count * sizeof(uint32));
	build->marks = sq_base_resize(build->marks, count / 8);
	memset((char *) build->marks + build->nsame / 8, 0,
		   (count - build->nsame) / 8);
	build->nsame = count;
}

static void
add_row(SqBuild *build, int row, bool has_key)
{
	uint64 hash = build->hashes[row];
	uint32 first = 0;
	uint32 entry;

	if (has_key)
		first = sq_exec_hash_find(&build->hash, hash, build->columns, row);
	entry = sq_exec_store_add(&build->store, build->columns, row);
	sq_exec_hash_add(&build->hash, hash, has_key && first == 0);
	make_room(build, entry);
	build->same[entry] = 0;
	if (first == 0)
		return;
	build->inner.unique = false;
	build->same[entry] = build->same[first - 1];
	build->same[first - 1] = entry + 1;
}

/* The rows with a key into build->mask, hashes of all selected rows. */
SqStatus
sq_exec_build_hash(SqBuild *build, const SqFrame *frame)
{
	int limit = frame->nrows;

	sq_exec_keys_run(&build->keys, frame, frame->selected, &limit);
	if (limit < frame->nrows)
		return SQ_ERROR;
	sq_exec_keys_hash(&build->keys, frame->selected, limit, build->hashes);
	memcpy(build->mask, frame->selected,
		   SQ_BITMAP_WORDS(limit) * sizeof(uint64));
	sq_exec_keys_drop_nulls(&build->keys, build->mask, limit);
	return SQ_OK;
}

SqStatus
sq_exec_build_add(SqBuild *build, const SqFrame *frame)
{
	if (sq_exec_build_hash(build, frame) != SQ_OK)
		return SQ_ERROR;
	for (int k = 0; k < build->keys.count; k++)
		build->columns[k] = build->keys.images[k];
	for (int s = 0; s < build->inner.nslots; s++)
		build->columns[build->keys.count + s] =
			frame->columns[build->inner.slots[s]];
	SQ_FOR_EACH_BIT(row, frame->selected, frame->nrows)
	{
		bool has_key = sq_bit_get(build->mask, row);

		if (has_key || build->keeps_nulls)
			add_row(build, row, has_key);
	}
	return SQ_OK;
}

bool
sq_exec_build_frame(SqBuild *build, int chunk, SqFrame *frame)
{
	const SqStore *store = &build->store;

	if (chunk >= store->nchunks)
		return false;
	frame->nrows =
		Min(store->count - ((uint32) chunk << SQ_STORE_SHIFT), SQ_STORE_ROWS);
	sq_bits_fill(frame->selected, frame->nrows);
	for (int s = 0; s < build->inner.nslots; s++)
		frame->columns[build->inner.slots[s]] =
			&store->chunks[chunk][build->keys.count + s];
	return true;
}
