/*
 * fdw_snapshot.c
 *		One state of each topic per statement or transaction.
 *
 * A list of what was asked, each entry in the memory context whose end is the
 * end of its validity: the query context of an executor state (keyed by it),
 * or TopTransactionContext under REPEATABLE READ and SERIALIZABLE. A reset
 * callback takes the entry off the list, so no entry outlives its statement,
 * however it ends.
 *
 * Besides, a small hash remembers the size of each relation's topic for the
 * planner. It lives as long as the backend. Locks: none, all of it is local.
 */
#include "fdw/fdw_snapshot.h"

#include "access/xact.h"
#include "feed/feed.h"
#include "guc.h"
#include "lib/ilist.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

typedef struct SqSnapshotEntry
{
	dlist_node node;
	EState *estate; /* NULL: of the transaction */
	Oid serverid;
	Oid userid;
	char *topic;
	SqTopicState *state;
	MemoryContextCallback callback;
} SqSnapshotEntry;

typedef struct SqViewEntry
{
	dlist_node node;
	EState *estate; /* NULL: of the transaction */
	Oid relid;
	const SqKeyedView *view;
	MemoryContextCallback callback;
} SqViewEntry;

typedef struct SqKnownSize
{
	Oid relid; /* hash key */
	double records;
	int partitions;
} SqKnownSize;

static dlist_head entries = DLIST_STATIC_INIT(entries);
static dlist_head views = DLIST_STATIC_INIT(views);
static HTAB *known_sizes = NULL;

static void
remember_size(Oid relid, const SqTopicState *state)
{
	SqKnownSize *known;

	if (known_sizes == NULL)
	{
		HASHCTL info = {.keysize = sizeof(Oid),
						.entrysize = sizeof(SqKnownSize)};

		known_sizes = hash_create("streamsql topic sizes", 16, &info,
								  HASH_ELEM | HASH_BLOBS);
	}
	known = hash_search(known_sizes, &relid, HASH_ENTER, NULL);
	known->records = 0;
	known->partitions = state->npartitions;
	for (int p = 0; p < state->npartitions; p++)
		known->records += state->watermarks[p].high - state->watermarks[p].low;
}

double
sq_fdw_known_records(Oid relid, int *partitions)
{
	SqKnownSize *known = NULL;

	if (known_sizes != NULL)
		known = hash_search(known_sizes, &relid, HASH_FIND, NULL);
	if (known == NULL)
		return -1;
	*partitions = known->partitions;
	return known->records;
}

SqTopicState *
sq_fdw_topic_state(const SqRelation *rel, Oid userid)
{
	SqTopicState *state = sq_feed_topic_state(rel, userid);

	remember_size(rel->relid, state);
	return state;
}

/* Whose end is the end of what is seen now: the statement's memory or, with
 * *estate set to NULL, the transaction's. */
static MemoryContext
find_owner(EState **estate)
{
	MemoryContext owner = (*estate)->es_query_cxt;

	if (!IsolationUsesXactSnapshot())
		return owner;
	*estate = NULL;
	return TopTransactionContext;
}

static void
forget_entry(void *arg)
{
	dlist_delete(&((SqSnapshotEntry *) arg)->node);
}

static SqSnapshotEntry *
find_entry(EState *estate, const SqRelation *rel, Oid userid)
{
	dlist_iter iter;

	dlist_foreach (iter, &entries)
	{
		SqSnapshotEntry *entry =
			dlist_container(SqSnapshotEntry, node, iter.cur);

		if (entry->estate == estate && entry->serverid == rel->serverid &&
			entry->userid == userid && strcmp(entry->topic, rel->topic) == 0)
			return entry;
	}
	return NULL;
}

const SqTopicState *
sq_fdw_snapshot(EState *estate, const SqRelation *rel, Oid userid)
{
	MemoryContext owner = find_owner(&estate);
	MemoryContext old;
	SqSnapshotEntry *entry;

	entry = find_entry(estate, rel, userid);
	if (entry != NULL)
		return entry->state;
	old = MemoryContextSwitchTo(owner);
	entry = palloc0(sizeof(SqSnapshotEntry));
	entry->state = sq_fdw_topic_state(rel, userid);
	entry->estate = estate;
	entry->serverid = rel->serverid;
	entry->userid = userid;
	entry->topic = pstrdup(rel->topic);
	entry->callback.func = forget_entry;
	entry->callback.arg = entry;
	dlist_push_head(&entries, &entry->node);
	MemoryContextRegisterResetCallback(owner, &entry->callback);
	MemoryContextSwitchTo(old);
	return entry->state;
}

/* ---- Tables ---- */

static void
forget_view(void *arg)
{
	dlist_delete(&((SqViewEntry *) arg)->node);
}

static const SqKeyedView *
find_view(EState *estate, const SqKeyedShape *shape)
{
	dlist_iter iter;

	dlist_foreach (iter, &views)
	{
		SqViewEntry *entry = dlist_container(SqViewEntry, node, iter.cur);

		/* a table that this transaction has altered is another one */
		if (entry->estate == estate && entry->relid == shape->rel->relid &&
			memcmp(entry->view->shape->fingerprint, shape->fingerprint,
				   sizeof(shape->fingerprint)) == 0)
			return entry->view;
	}
	return NULL;
}

const SqKeyedView *
sq_fdw_table_view(EState *estate, Relation relation, Oid userid)
{
	MemoryContext owner = find_owner(&estate);
	const SqKeyedShape *shape = sq_keyed_shape_acquire(relation, owner);
	const SqKeyedView *view = find_view(estate, shape);
	SqViewEntry *entry;

	if (view != NULL)
		return view;
	view = sq_keyed_view_open(shape, userid, owner);
	entry = MemoryContextAllocZero(owner, sizeof(SqViewEntry));
	entry->estate = estate;
	entry->relid = shape->rel->relid;
	entry->view = view;
	entry->callback.func = forget_view;
	entry->callback.arg = entry;
	dlist_push_head(&views, &entry->node);
	MemoryContextRegisterResetCallback(owner, &entry->callback);
	return view;
}
