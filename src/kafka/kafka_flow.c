/*
 * kafka_flow.c
 *		When to wake broker threads that sleep although the queue drained.
 *
 * librdkafka stops fetching when the queue holds queued.min.messages or
 * queued.max.messages.kbytes. Before 2.2 (fetch.queue.backoff.ms) the thread
 * of the broker then sleeps for up to a second, and a queue that runs empty
 * does not wake it. Any request to that broker does. So: when the queue was
 * nearly full once, has fallen below half of the limit, and nothing arrived
 * since the last batch, it is time for such a request. An empty queue in which
 * nothing arrives for long is one as well, should the estimate of the limit
 * have failed.
 *
 * As long as nothing arrives the pause between two requests doubles: a broker
 * that is away is not to be flooded.
 *
 * Memory: part of the reader. Locks: none.
 */
#include <librdkafka/rdkafka.h>

#include "kafka/kafka_internal.h"

#define FIRST_PAUSE_MS 2
#define MAX_PAUSE_MS   1000
#define IDLE_MS        100

void
sq_kafka_flow_init(SqKafkaFlow *flow, const SqKafkaClient *client)
{
	*flow = (SqKafkaFlow){.needed = client->sleeps_when_full,
						  .max_records = client->queue_records,
						  .max_bytes = client->queue_bytes,
						  .pause_ms = FIRST_PAUSE_MS};
}

void
sq_kafka_flow_restart(SqKafkaFlow *flow)
{
	flow->length = 0;
	flow->was_full = false;
	flow->idle_since = 0;
	flow->pause_ms = FIRST_PAUSE_MS;
}

void
sq_kafka_flow_learn(SqKafkaFlow *flow, const SqRecordSet *set)
{
	flow->record_bytes = set->bytes / set->count;
}

/* How many records of the present size make the queue full. */
static int64
limit_of(const SqKafkaFlow *flow)
{
	int64 by_bytes = flow->max_bytes / Max(flow->record_bytes, 1);

	return Min(flow->max_records, by_bytes);
}

/* Has the pause since the last request passed? Then a longer one begins. */
static bool
may_wake(SqKafkaFlow *flow, int64 now)
{
	if (now < flow->next_wake)
		return false;
	flow->next_wake = now + flow->pause_ms;
	flow->pause_ms = Min(flow->pause_ms * 2, MAX_PAUSE_MS);
	return true;
}

/* Nothing arrived: is that because the brokers' threads sleep? */
static bool
is_stuck(SqKafkaFlow *flow, int64 limit)
{
	int64 now;

	if (flow->was_full && flow->length < limit / 2)
		return may_wake(flow, sq_kafka_now());
	if (flow->length > 0)
		return false;
	now = sq_kafka_now();
	if (flow->idle_since == 0)
		flow->idle_since = now;
	return now - flow->idle_since >= IDLE_MS && may_wake(flow, now);
}

bool
sq_kafka_flow_observe(SqKafkaFlow *flow, size_t length, int taken)
{
	bool arrived = (int64) length + taken > flow->length;
	int64 limit;

	if (!flow->needed)
		return false;
	limit = limit_of(flow);
	flow->length = (int64) length;
	if (arrived)
	{
		flow->was_full = false;
		flow->idle_since = 0;
		flow->pause_ms = FIRST_PAUSE_MS;
	}
	if (flow->length + taken >= limit - limit / 4)
		flow->was_full = true;
	return !arrived && is_stuck(flow, limit);
}
