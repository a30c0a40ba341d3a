/*
 * feed_topic.c
 *		Where a topic begins and ends: one question to its cluster.
 *
 * Memory: the current context. Locks: none.
 */
#include "feed/feed_topic.h"

#include "feed/feed_client.h"
#include "feed/feed_wait.h"
#include "guc.h"

SqTopicState *
sq_feed_topic_state(const SqRelation *rel, Oid userid)
{
	SqTopicState *state = palloc(sizeof(SqTopicState));
	SqFeedClient *client =
		sq_feed_client_acquire(rel->serverid, userid, CurrentMemoryContext);
	const SqKafkaWatermark *answer;
	SqKafkaCall *call;
	SqError error;

	call = sq_kafka_ask_watermarks(client->kafka, rel->topic, sq_broker_timeout,
								   &error);
	sq_feed_call_wait(client, call, &error);
	answer = sq_kafka_call_watermarks(client->call, &state->npartitions);
	state->watermarks =
		palloc(Max(state->npartitions, 1) * sizeof(SqKafkaWatermark));
	memcpy(state->watermarks, answer,
		   state->npartitions * sizeof(SqKafkaWatermark));
	sq_feed_client_end_call(client);
	sq_feed_client_release(client);
	return state;
}
