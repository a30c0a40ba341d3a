/*
 * kafka_place.c
 *		How far each partition of an assignment was read.
 *
 * A partition has a position: the next offset that nothing is known about.
 * Ranges that end at or before it are finished; what comes from before it is
 * dropped, so that a record is never handed out twice, however fetches overlap.
 *
 * Memory: malloc; two arrays, the owner's. Locks: none.
 */
#include "kafka/kafka_internal.h"

/* Have room for partitions up to this number. */
static bool
make_room(SqKafkaPlaces *places, int count)
{
	SqKafkaPlace *grown;

	if (count <= places->count)
		return true;
	grown = realloc(places->places, count * sizeof(SqKafkaPlace));
	if (grown == NULL)
		return false;
	memset(grown + places->count, 0,
		   (count - places->count) * sizeof(SqKafkaPlace));
	for (int i = places->count; i < count; i++)
		grown[i].id = i;
	places->places = grown;
	places->count = count;
	return true;
}

SqStatus
sq_kafka_places_assign(SqKafkaPlaces *places, const SqKafkaRange *ranges,
					   int count, SqError *error)
{
	SqKafkaRange *copy;

	for (int i = 0; i < places->count; i++)
		places->places[i].range = NULL;
	places->unfinished = 0;
	if (count == 0)
		return SQ_OK;
	copy = realloc(places->ranges, count * sizeof(SqKafkaRange));
	if (copy == NULL)
		return sq_kafka_error_memory(error);
	places->ranges = copy;
	memcpy(copy, ranges, count * sizeof(SqKafkaRange));
	if (!make_room(places, copy[count - 1].partition + 1))
		return sq_kafka_error_memory(error);
	for (int i = 0; i < count; i++)
	{
		SqKafkaPlace *place = &places->places[copy[i].partition];

		if (place->range == NULL)
		{
			place->range = &copy[i];
			place->position = copy[i].begin;
			places->unfinished++;
		}
		place->ranges_end = &copy[i + 1];
	}
	return SQ_OK;
}

bool
sq_kafka_place_advance(SqKafkaPlaces *places, SqKafkaPlace *place,
					   int64 position)
{
	const SqKafkaRange *range = place->range;

	place->position = position;
	if (likely(position < range->end))
		return false;
	while (range < place->ranges_end && range->end <= position)
		range++;
	if (range == place->ranges_end)
		range = NULL;
	place->range = range;
	places->unfinished -= range == NULL;
	return true;
}

SqStatus
sq_kafka_error_deleted(SqError *error, const char *topic,
					   const SqKafkaPlace *place)
{
	sq_error_set(error, ERRCODE_FDW_ERROR,
				 "records of topic \"%s\", partition %d from offset "
				 "%lld on are no longer there",
				 topic, place->id, (long long) place->position);
	sq_error_detail(error, "Retention or deletion of the topic removed "
						   "them after the scan had started.");
	return SQ_ERROR;
}

void
sq_kafka_places_free(SqKafkaPlaces *places)
{
	free(places->ranges);
	free(places->places);
}
