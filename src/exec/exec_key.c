/*
 * exec_key.c
 *		What rows are found by.
 *
 * Values of the same key may differ in bytes: -0 and 0, char(n) with more or
 * fewer spaces. Their images don't; a DATUM's is an expression of the plan, for
 * all other types a value is its own.
 *
 * Memory: palloc'd at creation. Locks: none.
 */
#include "exec/exec_internal.h"

#include "base/base_hash.h"

#define NULL_HASH 0x5bd1e995

static bool
has_image(SqType type)
{
	return sq_type_is_float(type) || type == SQ_TYPE_BPCHAR;
}

void
sq_exec_keys_init(SqKeys *keys, SqExec *exec, SqExpr *const *exprs,
				  SqExpr *const *images, int count)
{
	keys->exec = exec;
	keys->count = count;
	keys->programs = sq_exec_compile(exec, exprs, count);
	keys->values = palloc0(Max(count, 1) * sizeof(SqColumn *));
	keys->images = palloc0(Max(count, 1) * sizeof(SqColumn *));
	keys->own = palloc0(Max(count, 1) * sizeof(SqColumn *));
	keys->image_programs = palloc0(Max(count, 1) * sizeof(SqProgram *));
	for (int k = 0; k < count; k++)
	{
		SqColumn template = {.type = sq_type_is_float(exprs[k]->type)
										 ? SQ_TYPE_INT8
										 : exprs[k]->type};

		if (has_image(exprs[k]->type))
			keys->own[k] = sq_column_create(&template, exec->options.capacity);
		if (images != NULL && images[k]->type != exprs[k]->type)
			keys->image_programs[k] =
				sq_expr_compile(images[k], exec->options.capacity, exec->host);
	}
}

void
sq_exec_keys_restart(SqKeys *keys)
{
	for (int k = 0; k < keys->count; k++)
	{
		sq_expr_restart(keys->programs[k]);
		if (keys->image_programs[k] != NULL)
			sq_expr_restart(keys->image_programs[k]);
	}
}

static void
make_image(const SqColumn *value, SqColumn *image, const uint64 *mask,
		   int nrows)
{
	for (int w = 0; w < SQ_BITMAP_WORDS(nrows); w++)
		image->valid[w] = mask[w] & value->valid[w];
	SQ_FOR_EACH_BIT(row, image->valid, nrows)
	{
		if (image->text == NULL)
		{
			image->i[row] = sq_float_image(value->f[row]);
			continue;
		}
		image->text[row] = value->text[row];
		while (image->text[row].length > 0 &&
			   image->text[row].data[image->text[row].length - 1] == ' ')
			image->text[row].length--;
	}
}

void
sq_exec_keys_run(SqKeys *keys, const SqFrame *frame, const uint64 *mask,
				 int *limit)
{
	for (int k = 0; k < keys->count; k++)
	{
		keys->values[k] = sq_expr_run(keys->programs[k], frame, mask, limit,
									  &keys->exec->fault);
		keys->images[k] = keys->values[k];
		if (keys->image_programs[k] != NULL)
			keys->images[k] = sq_expr_run(keys->image_programs[k], frame, mask,
										  limit, &keys->exec->fault);
		if (keys->own[k] == NULL)
			continue;
		make_image(keys->values[k], keys->own[k], mask, *limit);
		keys->images[k] = keys->own[k];
	}
}

void
sq_exec_keys_drop_nulls(const SqKeys *keys, uint64 *mask, int nrows)
{
	for (int k = 0; k < keys->count; k++)
		for (int w = 0; w < SQ_BITMAP_WORDS(nrows); w++)
			mask[w] &= keys->images[k]->valid[w];
}

static void
hash_column(const SqColumn *image, const uint64 *mask, int nrows,
			uint64 *hashes)
{
	if (image->text != NULL)
	{
		SQ_FOR_EACH_BIT(row, mask, nrows)
		{
			hashes[row] = sq_bit_get(image->valid, row)
							  ? sq_hash_bytes(image->text[row], hashes[row])
							  : sq_hash_word(NULL_HASH, hashes[row]);
		}
		return;
	}
	SQ_FOR_EACH_BIT(row, mask, nrows)
	{
		hashes[row] = sq_hash_word(sq_bit_get(image->valid, row) ? image->i[row]
																 : NULL_HASH,
								   hashes[row]);
	}
}

void
sq_exec_keys_hash(const SqKeys *keys, const uint64 *mask, int nrows,
				  uint64 *hashes)
{
	for (int r = 0; r < nrows; r++)
		hashes[r] = keys->exec->options.seed;
	for (int k = 0; k < keys->count; k++)
		hash_column(keys->images[k], mask, nrows, hashes);
}
