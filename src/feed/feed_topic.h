/*
 * feed_topic.h
 *		Where a topic begins and ends.
 */
#ifndef SQ_FEED_TOPIC_H
#define SQ_FEED_TOPIC_H

#include "postgres.h"

#include "feed/feed_relation.h"

/* The watermarks of a topic, ordered by partition. */
typedef struct SqTopicState
{
	int npartitions;
	SqKafkaWatermark *watermarks;
} SqTopicState;

/* Ask the cluster now, with the rights of a user; palloc'd in the current
 * context. Waits and throws. */
extern SqTopicState *sq_feed_topic_state(const SqRelation *rel, Oid userid);

#endif
