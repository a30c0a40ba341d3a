/*
 * fdw_native_parallel.c
 *		A native plan run by several processes.
 *
 * All processes run the same plan. They share the partitions of the stream
 * that the plan goes through, one at a time, each claimed by one process; what
 * it is joined with, every process reads whole. All see what the leader sees:
 * it hands on where topics end, and its views of tables, which stay open for
 * as long as there are workers.
 *
 * Shared memory: the leader writes everything before workers start. Afterwards
 * only the scans' counters change, and the nodes' statistics, under the
 * spinlock, as processes end.
 */
#include "fdw/fdw_native_state.h"

#include "miscadmin.h"
#include "storage/spin.h"

/* Offsets of the parts are from the beginning of this. */
struct SqNativeShared
{
	slock_t mutex; /* of the statistics */
	Size stats;    /* workers': where they are: SqNodeStats by number of node */
	/* by relation: an SqSharedScan or SqKeyedShared */
	Size relations[FLEXIBLE_ARRAY_MEMBER];
};

static void *
part_at(SqNativeShared *shared, Size offset)
{
	return (char *) shared + offset;
}

static Size
relation_size(const SqNativeRelation *relation)
{
	if (relation->shape != NULL)
		return sizeof(SqKeyedShared);
	return sq_fdw_shared_scan_size(relation->scan.topic);
}

Size
sq_fdw_native_estimate_dsm(ForeignScanState *node)
{
	SqNativeState *state = node->fdw_state;
	Size size = MAXALIGN(offsetof(SqNativeShared, relations) +
						 state->nrelations * sizeof(Size));

	size = add_size(
		size, MAXALIGN(mul_size(state->plan->nnodes, sizeof(SqNodeStats))));
	for (int r = 0; r < state->nrelations; r++)
		size = add_size(size, MAXALIGN(relation_size(&state->relations[r])));
	return size;
}

/* The relation that processes share: the outermost one. */
static int
shared_relation(const SqPlan *plan)
{
	const SqNode *node = plan->root;

	while (node->outer != NULL)
		node = node->outer;
	return node->relation;
}

void
sq_fdw_native_initialize_dsm(ForeignScanState *node, void *coordinate)
{
	SqNativeState *state = node->fdw_state;
	SqNativeShared *shared = coordinate;
	int divided = shared_relation(state->plan);
	Size at = MAXALIGN(offsetof(SqNativeShared, relations) +
					   state->nrelations * sizeof(Size));

	SpinLockInit(&shared->mutex);
	shared->stats = at;
	memset(part_at(shared, at), 0, state->plan->nnodes * sizeof(SqNodeStats));
	at += MAXALIGN(state->plan->nnodes * sizeof(SqNodeStats));
	for (int r = 0; r < state->nrelations; r++)
	{
		SqNativeRelation *relation = &state->relations[r];

		shared->relations[r] = at;
		if (relation->shape != NULL)
			sq_keyed_view_share(relation->view, part_at(shared, at));
		else
			sq_fdw_share_scan(&relation->scan, part_at(shared, at),
							  r == divided);
		at += MAXALIGN(relation_size(relation));
	}
	state->shared = shared;
}

void
sq_fdw_native_reinitialize_dsm(ForeignScanState *node, void *coordinate)
{
	SqNativeState *state = node->fdw_state;

	state->shared = coordinate;
	for (int r = 0; r < state->nrelations; r++)
		if (state->relations[r].shape == NULL)
			sq_fdw_reshare_scan(
				&state->relations[r].scan,
				part_at(state->shared, state->shared->relations[r]));
}

void
sq_fdw_native_initialize_worker(ForeignScanState *node, void *coordinate)
{
	SqNativeState *state = node->fdw_state;

	state->shared = coordinate;
	for (int r = 0; r < state->nrelations; r++)
	{
		SqNativeRelation *relation = &state->relations[r];
		void *part = part_at(state->shared, state->shared->relations[r]);

		if (relation->shape != NULL)
			relation->view = sq_keyed_view_join(
				relation->shape, part, node->ss.ps.state->es_query_cxt);
		else
			sq_fdw_join_scan(&relation->scan, part);
	}
	sq_fdw_native_start(node);
}

/* ---- Statistics ---- */

/* What a process did, added to what others did. */
static void
add_stats(SqNodeStats *all, const SqNodeStats *own)
{
	all->rows += own->rows;
	all->lookups += own->lookups;
	all->hits += own->hits;
	all->built += own->built;
	all->memory = Max(all->memory, own->memory);
	all->spilled += own->spilled;
	all->files += own->files;
	all->time = Max(all->time, own->time);
}

/* The workers' statistics become the leader's, before the shared memory goes
 * away. */
static void
take_stats(SqNativeState *state, SqNodeStats *workers)
{
	Size size = state->plan->nnodes * sizeof(SqNodeStats);

	if (state->workers == NULL)
		state->workers = MemoryContextAllocZero(state->context, size);
	SpinLockAcquire(&state->shared->mutex);
	for (int n = 0; n < state->plan->nnodes; n++)
		add_stats(&state->workers[n], &workers[n]);
	memset(workers, 0, size);
	SpinLockRelease(&state->shared->mutex);
}

static void
give_stats(SqNativeState *state, SqNodeStats *workers)
{
	SpinLockAcquire(&state->shared->mutex);
	for (int n = 0; n < state->plan->nnodes; n++)
		add_stats(&workers[n], sq_exec_stats(state->exec, n));
	SpinLockRelease(&state->shared->mutex);
}

void
sq_fdw_native_shutdown(ForeignScanState *node)
{
	SqNativeState *state = node->fdw_state;
	SqNodeStats *workers;

	if (state->shared == NULL)
		return;
	workers = part_at(state->shared, state->shared->stats);
	if (IsParallelWorker())
		give_stats(state, workers);
	else
		take_stats(state, workers);
	for (int r = 0; r < state->nrelations; r++)
		if (state->relations[r].shape == NULL)
			sq_fdw_unshare_scan(&state->relations[r].scan);
	state->shared = NULL;
}

SqNodeStats
sq_fdw_native_stats(const SqNativeState *state, int node)
{
	SqNodeStats stats = *sq_exec_stats(state->exec, node);

	if (state->workers != NULL)
		add_stats(&stats, &state->workers[node]);
	return stats;
}
