/*
 * fdw_region.h
 *		Parts of a topic as unions of boxes over partition, offset and time.
 *
 * What a WHERE clause says of metadata columns becomes a region: the records
 * outside can't satisfy it. Regions are always on the safe side, since every
 * clause is checked again on the rows.
 */
#ifndef SQ_FDW_REGION_H
#define SQ_FDW_REGION_H

#include "postgres.h"

#include "kafka/kafka.h"

typedef enum SqDimension
{
	SQ_DIM_PARTITION,
	SQ_DIM_OFFSET,
	SQ_DIM_TIME /* ms since 1970; only lower bounds can be used */
} SqDimension;

#define SQ_DIMENSIONS 3

/* low[d] <= x <= high[d] in every dimension. */
typedef struct SqBox
{
	int64 low[SQ_DIMENSIONS];
	int64 high[SQ_DIMENSIONS];
} SqBox;

/* A union of boxes; none: nothing. Palloc'd. */
typedef struct SqRegion
{
	int nboxes;
	SqBox *boxes;
} SqRegion;

extern SqRegion sq_fdw_region_all(void);
extern SqRegion sq_fdw_region_none(void);
/* Everything with low <= x <= high in one dimension; none if low > high. */
extern SqRegion sq_fdw_region_between(SqDimension dimension, int64 low,
									  int64 high);
extern SqRegion sq_fdw_region_union(SqRegion a, SqRegion b);
extern SqRegion sq_fdw_region_intersection(SqRegion a, SqRegion b);

/*
 * The first moment asked of each partition whose boxes have a lower bound in
 * time, to be answered by the broker (sq_kafka_ask_times): at most one entry
 * a partition, palloc'd, their number in *count.
 */
extern SqKafkaTime *sq_fdw_region_times(const SqRegion *region,
										const SqKafkaWatermark *watermarks,
										int nwatermarks, int *count);

/*
 * The offset ranges of a region within the watermarks, given the answers for
 * its moments: ordered, disjoint, not empty, as a reader wants them. Palloc'd,
 * their number in *count.
 */
extern SqKafkaRange *sq_fdw_region_ranges(const SqRegion *region,
										  const SqKafkaWatermark *watermarks,
										  int nwatermarks,
										  const SqKafkaTime *times, int ntimes,
										  int *count);

#endif
