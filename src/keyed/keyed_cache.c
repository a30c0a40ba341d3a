/*
 * keyed_cache.c
 *		Shapes that this backend has made, until their relations change.
 *
 * A lookup by key takes less time than reading the options of a foreign table
 * out of the catalogs. A shape is found by the relation's oid, and is stale
 * once PostgreSQL says that the relation, or a row type of its columns, may be
 * another; whoever holds it keeps it.
 *
 * Memory: a context for each shape, a child of CacheMemoryContext. Locks: none.
 */
#include "keyed/keyed_internal.h"

#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"

typedef struct SqCachedShape
{
	SqKeyedShape *shape;
	MemoryContext context; /* of shape and of this */
	int holders;
	bool stale;
} SqCachedShape;

typedef struct SqCacheEntry
{
	Oid relid; /* hash key */
	SqCachedShape *cached;
} SqCacheEntry;

/* One holding, in its owner's memory. */
typedef struct SqHolding
{
	SqCachedShape *cached;
	MemoryContextCallback callback;
} SqHolding;

static HTAB *cache = NULL;

static void
forget(SqCacheEntry *entry)
{
	SqCachedShape *cached = entry->cached;

	hash_search(cache, &entry->relid, HASH_REMOVE, NULL);
	if (cached == NULL)
		return;
	cached->stale = true;
	if (cached->holders == 0)
		MemoryContextDelete(cached->context);
}

static void
invalidate(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS scan;
	SqCacheEntry *entry;

	hash_seq_init(&scan, cache);
	while ((entry = hash_seq_search(&scan)) != NULL)
		if (!OidIsValid(relid) || entry->relid == relid ||
			list_member_oid(entry->cached->shape->row_types, relid))
			forget(entry);
}

static void
make_cache(void)
{
	HASHCTL info = {.keysize = sizeof(Oid), .entrysize = sizeof(SqCacheEntry)};

	if (cache != NULL)
		return;
	cache = hash_create("streamsql shapes of tables", 64, &info,
						HASH_ELEM | HASH_BLOBS);
	CacheRegisterRelcacheCallback(invalidate, (Datum) 0);
}

static SqCachedShape *
make_shape(Relation relation)
{
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "streamsql shape", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	SqCachedShape *cached = palloc0(sizeof(SqCachedShape));

	cached->context = context;
	cached->shape = sq_keyed_shape_create(relation);
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(context, CacheMemoryContext);
	return cached;
}

static void
let_go(void *arg)
{
	SqCachedShape *cached = ((SqHolding *) arg)->cached;

	if (--cached->holders == 0 && cached->stale)
		MemoryContextDelete(cached->context);
}

const SqKeyedShape *
sq_keyed_shape_acquire(Relation relation, MemoryContext owner)
{
	Oid relid = RelationGetRelid(relation);
	SqHolding *holding = MemoryContextAllocZero(owner, sizeof(SqHolding));
	SqCacheEntry *entry;
	SqCachedShape *cached;
	bool found;

	make_cache();
	entry = hash_search(cache, &relid, HASH_FIND, NULL);
	if (entry != NULL)
		cached = entry->cached;
	else
	{
		/* catalogs are read here: what comes may be invalid again when it is
		 * entered, and is then made again for the next */
		cached = make_shape(relation);
		entry = hash_search(cache, &relid, HASH_ENTER, &found);
		if (found)
			entry->cached->stale = true;
		entry->cached = cached;
	}
	cached->holders++;
	holding->cached = cached;
	holding->callback.func = let_go;
	holding->callback.arg = holding;
	MemoryContextRegisterResetCallback(owner, &holding->callback);
	return cached->shape;
}
