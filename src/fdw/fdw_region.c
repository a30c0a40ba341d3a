/*
 * fdw_region.c
 *		The algebra of regions, and their way into offset ranges.
 *
 * Memory: palloc'd in the current context, nothing freed: the caller resets a
 * context of its own. Locks: none.
 */
#include "fdw/fdw_region.h"

/* Beyond this many boxes a region becomes the box around them. */
#define MAX_BOXES 10000

SqRegion
sq_fdw_region_all(void)
{
	return sq_fdw_region_between(SQ_DIM_PARTITION, PG_INT64_MIN, PG_INT64_MAX);
}

SqRegion
sq_fdw_region_none(void)
{
	return (SqRegion){0, NULL};
}

SqRegion
sq_fdw_region_between(SqDimension dimension, int64 low, int64 high)
{
	SqBox *box;

	if (low > high)
		return sq_fdw_region_none();
	box = palloc(sizeof(SqBox));
	for (int d = 0; d < SQ_DIMENSIONS; d++)
	{
		box->low[d] = PG_INT64_MIN;
		box->high[d] = PG_INT64_MAX;
	}
	box->low[dimension] = low;
	box->high[dimension] = high;
	return (SqRegion){1, box};
}

/* The smallest box around two others. */
static SqBox
hull(SqBox a, const SqBox *b)
{
	for (int d = 0; d < SQ_DIMENSIONS; d++)
	{
		a.low[d] = Min(a.low[d], b->low[d]);
		a.high[d] = Max(a.high[d], b->high[d]);
	}
	return a;
}

static SqRegion
region_hull(SqRegion region)
{
	for (int i = 1; i < region.nboxes; i++)
		region.boxes[0] = hull(region.boxes[0], &region.boxes[i]);
	region.nboxes = Min(region.nboxes, 1);
	return region;
}

SqRegion
sq_fdw_region_union(SqRegion a, SqRegion b)
{
	SqRegion result;

	if (a.nboxes == 0)
		return b;
	if (b.nboxes == 0)
		return a;
	result.nboxes = a.nboxes + b.nboxes;
	result.boxes = palloc(result.nboxes * sizeof(SqBox));
	memcpy(result.boxes, a.boxes, a.nboxes * sizeof(SqBox));
	memcpy(result.boxes + a.nboxes, b.boxes, b.nboxes * sizeof(SqBox));
	return result.nboxes > MAX_BOXES ? region_hull(result) : result;
}

/* The common part of two boxes in *result, or false if there is none. */
static bool
intersect_boxes(const SqBox *a, const SqBox *b, SqBox *result)
{
	for (int d = 0; d < SQ_DIMENSIONS; d++)
	{
		result->low[d] = Max(a->low[d], b->low[d]);
		result->high[d] = Min(a->high[d], b->high[d]);
		if (result->low[d] > result->high[d])
			return false;
	}
	return true;
}

SqRegion
sq_fdw_region_intersection(SqRegion a, SqRegion b)
{
	SqRegion result = {0, NULL};

	if ((int64) a.nboxes * b.nboxes > MAX_BOXES)
	{
		a = region_hull(a);
		if ((int64) a.nboxes * b.nboxes > MAX_BOXES)
			b = region_hull(b);
	}
	if (a.nboxes == 0 || b.nboxes == 0)
		return result;
	result.boxes = palloc((Size) a.nboxes * b.nboxes * sizeof(SqBox));
	for (int i = 0; i < a.nboxes; i++)
		for (int j = 0; j < b.nboxes; j++)
			if (intersect_boxes(&a.boxes[i], &b.boxes[j],
								&result.boxes[result.nboxes]))
				result.nboxes++;
	return result;
}

/* The offsets of a partition that a box reaches, before time is asked. */
static bool
clip_box(const SqBox *box, const SqKafkaWatermark *mark, SqKafkaRange *range)
{
	if (mark->partition < box->low[SQ_DIM_PARTITION] ||
		mark->partition > box->high[SQ_DIM_PARTITION])
		return false;
	range->partition = mark->partition;
	range->begin = Max(box->low[SQ_DIM_OFFSET], mark->low);
	range->end = mark->high;
	if (box->high[SQ_DIM_OFFSET] < mark->high)
		range->end = box->high[SQ_DIM_OFFSET] + 1;
	return range->begin < range->end;
}

SqKafkaTime *
sq_fdw_region_times(const SqRegion *region, const SqKafkaWatermark *watermarks,
					int nwatermarks, int *count)
{
	SqKafkaTime *times = palloc(Max(nwatermarks, 1) * sizeof(SqKafkaTime));

	*count = 0;
	for (int p = 0; p < nwatermarks; p++)
	{
		int64 first = PG_INT64_MAX;
		bool asked = false;
		SqKafkaRange range;

		for (int b = 0; b < region->nboxes; b++)
		{
			int64 low = region->boxes[b].low[SQ_DIM_TIME];

			if (low == PG_INT64_MIN ||
				!clip_box(&region->boxes[b], &watermarks[p], &range))
				continue;
			first = Min(first, low);
			asked = true;
		}
		if (asked)
			times[(*count)++] =
				(SqKafkaTime){watermarks[p].partition, Max(first, 0), -1};
	}
	return times;
}

/* Where reading a partition may start because of a lower bound in time. */
static int64
time_begin(int32 partition, const SqKafkaTime *times, int ntimes)
{
	for (int i = 0; i < ntimes; i++)
		if (times[i].partition == partition)
			return times[i].offset;
	return -1;
}

static int
compare_ranges(const void *a, const void *b)
{
	int64 x = ((const SqKafkaRange *) a)->begin;
	int64 y = ((const SqKafkaRange *) b)->begin;

	return (x > y) - (x < y);
}

/* Sort the ranges of one partition and join those that touch; their number. */
static int
merge_ranges(SqKafkaRange *ranges, int count)
{
	int last = 0;

	if (count == 0)
		return 0;
	qsort(ranges, count, sizeof(SqKafkaRange), compare_ranges);
	for (int i = 1; i < count; i++)
	{
		if (ranges[i].begin <= ranges[last].end)
			ranges[last].end = Max(ranges[last].end, ranges[i].end);
		else
			ranges[++last] = ranges[i];
	}
	return last + 1;
}

SqKafkaRange *
sq_fdw_region_ranges(const SqRegion *region, const SqKafkaWatermark *watermarks,
					 int nwatermarks, const SqKafkaTime *times, int ntimes,
					 int *count)
{
	int space = Max(region->nboxes, 1);
	SqKafkaRange *ranges = palloc(space * sizeof(SqKafkaRange));

	*count = 0;
	for (int p = 0; p < nwatermarks; p++)
	{
		int64 begin = time_begin(watermarks[p].partition, times, ntimes);
		int found = 0;

		if (space < *count + region->nboxes)
		{
			space = 2 * (*count + region->nboxes);
			ranges = repalloc_huge(ranges, space * sizeof(SqKafkaRange));
		}
		for (int b = 0; b < region->nboxes; b++)
		{
			SqKafkaRange *range = &ranges[*count + found];

			if (!clip_box(&region->boxes[b], &watermarks[p], range))
				continue;
			if (region->boxes[b].low[SQ_DIM_TIME] != PG_INT64_MIN)
				range->begin = Max(range->begin, begin);
			found += range->begin < range->end;
		}
		*count += merge_ranges(&ranges[*count], found);
	}
	return ranges;
}
