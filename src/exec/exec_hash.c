/*
 * exec_hash.c
 *		Hash tables over the rows of stores.
 *
 * Buckets hold the first of a chain of entries; the whole hash of each entry is
 * kept, so that another key is looked at only if it has the same.
 *
 * Memory: three arrays that double. Locks: none.
 */
#include "exec/exec_internal.h"

#define FIRST_BUCKETS 1024
/* Keys that are looked for together. */
#define GROUP 16
/* In the place of a chain's next: the entry is in no chain. */
#define UNLINKED PG_UINT32_MAX

static uint32
bucket_of(const SqHash *hash, uint64 value)
{
	return (uint32) (value >> 32) & (hash->nbuckets - 1);
}

static void
set_buckets(SqHash *hash, uint32 count)
{
	hash->nbuckets = count;
	hash->buckets = sq_base_resize(hash->buckets, count * sizeof(uint32));
	memset(hash->buckets, 0, count * sizeof(uint32));
}

void
sq_exec_hash_init(SqHash *hash, SqStore *store, int nkeys, bool nulls)
{
	hash->store = store;
	hash->nkeys = nkeys;
	hash->nulls = nulls;
	set_buckets(hash, FIRST_BUCKETS);
}

void
sq_exec_hash_clear(SqHash *hash)
{
	set_buckets(hash, FIRST_BUCKETS);
	if (hash->nentries == 0)
		return;
	pfree(hash->chain);
	pfree(hash->hashes);
	hash->chain = NULL;
	hash->hashes = NULL;
	hash->nentries = 0;
}

size_t
sq_exec_hash_size(const SqHash *hash)
{
	return hash->nbuckets * sizeof(uint32) +
		   hash->nentries * (sizeof(uint32) + sizeof(uint64));
}

static void
link_entry(SqHash *hash, uint32 entry)
{
	uint32 bucket = bucket_of(hash, hash->hashes[entry]);

	hash->chain[entry] = hash->buckets[bucket];
	hash->buckets[bucket] = entry + 1;
}

void
sq_exec_hash_add(SqHash *hash, uint64 value, bool linked)
{
	uint32 entry = hash->store->count - 1;

	if (entry >= hash->nentries)
	{
		hash->nentries = Max(hash->nentries * 2, FIRST_BUCKETS);
		hash->chain =
			sq_base_resize(hash->chain, hash->nentries * sizeof(uint32));
		hash->hashes =
			sq_base_resize(hash->hashes, hash->nentries * sizeof(uint64));
	}
	hash->hashes[entry] = value;
	hash->chain[entry] = UNLINKED;
	if (linked)
		link_entry(hash, entry);
	if (entry < hash->nbuckets)
		return;
	set_buckets(hash, hash->nbuckets * 2);
	for (uint32 e = 0; e <= entry; e++)
		if (hash->chain[e] != UNLINKED)
			link_entry(hash, e);
}

static inline bool
same_value(const SqColumn *a, int a_row, const SqColumn *b, int b_row,
		   bool nulls)
{
	if (nulls)
	{
		bool there = sq_bit_get(a->valid, a_row);

		if (there != sq_bit_get(b->valid, b_row))
			return false;
		if (!there)
			return true;
	}
	if (a->text == NULL)
		return a->i[a_row] == b->i[b_row];
	return a->text[a_row].length == b->text[b_row].length &&
		   memcmp(a->text[a_row].data, b->text[b_row].data,
				  a->text[a_row].length) == 0;
}

static inline uint32
find_from(const SqHash *hash, uint32 ref, uint64 value,
		  const SqColumn *const *images, int row)
{
	for (; ref != 0; ref = hash->chain[ref - 1])
	{
		uint32 entry = ref - 1;
		int k = 0;

		if (hash->hashes[entry] != value)
			continue;
		while (k < hash->nkeys &&
			   same_value(sq_exec_store_column(hash->store, entry, k),
						  SQ_STORE_ROW(entry), images[k], row, hash->nulls))
			k++;
		if (k == hash->nkeys)
			return ref;
	}
	return 0;
}

uint32
sq_exec_hash_find(const SqHash *hash, uint64 value,
				  const SqColumn *const *images, int row)
{
	return find_from(hash, hash->buckets[bucket_of(hash, value)], value, images,
					 row);
}

/* Look for up to GROUP rows: first all buckets are fetched, then entries. */
static void
find_group(const SqHash *hash, const uint64 *values,
		   const SqColumn *const *images, const int *rows, int count,
		   uint32 *found)
{
	uint32 refs[GROUP];

	for (int i = 0; i < count; i++)
		__builtin_prefetch(&hash->buckets[bucket_of(hash, values[rows[i]])]);
	for (int i = 0; i < count; i++)
	{
		refs[i] = hash->buckets[bucket_of(hash, values[rows[i]])];
		if (refs[i] != 0)
		{
			__builtin_prefetch(&hash->hashes[refs[i] - 1]);
			__builtin_prefetch(&hash->chain[refs[i] - 1]);
		}
	}
	for (int i = 0; i < count; i++)
		found[rows[i]] =
			find_from(hash, refs[i], values[rows[i]], images, rows[i]);
}

void
sq_exec_hash_find_many(const SqHash *hash, const uint64 *values,
					   const SqColumn *const *images, const uint64 *mask,
					   int nrows, uint32 *found)
{
	int rows[GROUP];
	int count = 0;

	SQ_FOR_EACH_BIT(row, mask, nrows)
	{
		rows[count++] = row;
		if (count < GROUP)
			continue;
		find_group(hash, values, images, rows, count, found);
		count = 0;
	}
	find_group(hash, values, images, rows, count, found);
}
