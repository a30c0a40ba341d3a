/*
 * kafka_call.c
 *		Questions to a cluster, answered by threads.
 *
 * librdkafka's questions block, so each runs in a thread of its own that
 * writes to an eventfd when it is through. The thread asks in slices that grow
 * from half a second: between two it looks whether anybody still wants to
 * know, so an abandoned one ends soon, and a slow broker is given time.
 *
 * Memory: a call is malloc'd and freed by whoever leaves it last, the owner or
 * the thread. Locks: lock guards references, done and abandoned; everything
 * else belongs to the thread until done, to the owner afterwards.
 */
#include "kafka/kafka_internal.h"

#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define FIRST_SLICE_MS 500
#define RETRY_PAUSE_US 50000

struct SqKafkaCall
{
	pthread_mutex_t lock;
	int references;
	bool done;
	bool abandoned;
	int fd;
	SqKafkaLink *link;
	char *servers;
	SqStatus (*run)(SqKafkaCall *call);
	char *topic;
	int timeout_ms;
	int64 deadline; /* ms of the monotonic clock */
	int slice_ms;

	SqStatus status;
	SqError error;
	int count;
	SqKafkaTopic *topics;
	SqKafkaWatermark *watermarks;
	SqKafkaTime *times;
};

static int64
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64CONST(1000) + now.tv_nsec / 1000000;
}

/* ---- Slices ---- */

/* How long the next request may take; 0 when time is over or nobody waits. */
static int
next_slice(SqKafkaCall *call)
{
	int64 left = call->deadline - now_ms();
	int slice = call->slice_ms;
	bool abandoned;

	pthread_mutex_lock(&call->lock);
	abandoned = call->abandoned;
	pthread_mutex_unlock(&call->lock);
	if (abandoned || left <= 0)
		return 0;
	call->slice_ms *= 2;
	return (int) Min(left, slice);
}

/* Is it worth asking again? Pauses, lest an answer that comes at once (no
 * leader yet, no broker) makes a busy loop. */
static bool
is_transient(SqKafkaCall *call, rd_kafka_resp_err_t code)
{
	switch (code)
	{
		case RD_KAFKA_RESP_ERR__TIMED_OUT:
		case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
		case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
			return true;
		case RD_KAFKA_RESP_ERR__TRANSPORT:
		case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
		case RD_KAFKA_RESP_ERR__RESOLVE:
		case RD_KAFKA_RESP_ERR__WAIT_COORD:
		case RD_KAFKA_RESP_ERR__WAIT_CACHE:
		case RD_KAFKA_RESP_ERR__IN_PROGRESS:
		case RD_KAFKA_RESP_ERR__NOENT:
		case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
		case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
		case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
		case RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE:
		case RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
		case RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR:
		case RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE:
		case RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH:
		case RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH:
		case RD_KAFKA_RESP_ERR_UNKNOWN:
			usleep(RETRY_PAUSE_US);
			return true;
		default:
			return false;
	}
}

static SqStatus
no_answer(SqKafkaCall *call)
{
	return sq_error_set(&call->error, ERRCODE_CONNECTION_FAILURE,
						"could not reach Kafka at \"%s\" within %d ms",
						call->servers, call->timeout_ms);
}

static SqStatus
topic_error(SqKafkaCall *call, rd_kafka_resp_err_t code)
{
	int sqlstate = sq_kafka_sqlstate(code);

	if (sqlstate == ERRCODE_UNDEFINED_TABLE)
		return sq_error_set(&call->error, sqlstate,
							"topic \"%s\" does not exist", call->topic);
	if (sqlstate == ERRCODE_INSUFFICIENT_PRIVILEGE)
		return sq_error_set(&call->error, sqlstate,
							"permission denied for topic \"%s\"", call->topic);
	sq_error_set(&call->error, sqlstate, "could not ask about topic \"%s\"",
				 call->topic);
	sq_error_detail(&call->error, "%s.", rd_kafka_err2str(code));
	return SQ_ERROR;
}

/* ---- Partitions ---- */

/* One metadata request for the call's topic: its partitions, or an error. */
static rd_kafka_resp_err_t
request_partitions(SqKafkaCall *call, rd_kafka_topic_t *topic, int slice,
				   rd_kafka_topic_partition_list_t **list)
{
	const rd_kafka_metadata_t *metadata;
	const rd_kafka_metadata_topic_t *answer;
	rd_kafka_resp_err_t code =
		rd_kafka_metadata(call->link->rk, 0, topic, &metadata, slice);

	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return code;
	answer = &metadata->topics[0];
	code = metadata->topic_cnt == 1 ? answer->err
									: RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR && answer->partition_cnt == 0)
		code = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		*list = rd_kafka_topic_partition_list_new(answer->partition_cnt);
		for (int p = 0; p < answer->partition_cnt; p++)
			rd_kafka_topic_partition_list_add(*list, call->topic,
											  answer->partitions[p].id);
		rd_kafka_topic_partition_list_sort(*list, NULL, NULL);
	}
	rd_kafka_metadata_destroy(metadata);
	return code;
}

static SqStatus
get_partitions(SqKafkaCall *call, rd_kafka_topic_partition_list_t **list)
{
	rd_kafka_topic_t *topic =
		rd_kafka_topic_new(call->link->rk, call->topic, NULL);
	rd_kafka_resp_err_t code;
	int slice;

	if (topic == NULL)
		return topic_error(call, RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION);
	do
	{
		slice = next_slice(call);
		if (slice == 0)
			break;
		code = request_partitions(call, topic, slice, list);
	} while (code != RD_KAFKA_RESP_ERR_NO_ERROR && is_transient(call, code));
	rd_kafka_topic_destroy(topic);
	if (slice == 0)
		return no_answer(call);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR ? SQ_OK : topic_error(call, code);
}

/* ---- Offsets by time ---- */

/* Ask for the offsets of the times in list, one request a broker. */
static rd_kafka_resp_err_t
request_offsets(SqKafkaCall *call, int slice,
				const rd_kafka_topic_partition_list_t *asked,
				rd_kafka_topic_partition_list_t **answer)
{
	rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_copy(asked);
	rd_kafka_resp_err_t code =
		rd_kafka_offsets_for_times(call->link->rk, list, slice);

	for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++)
		code = list->elems[i].err;
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		*answer = list;
	else
		rd_kafka_topic_partition_list_destroy(list);
	return code;
}

static SqStatus
get_offsets(SqKafkaCall *call, const rd_kafka_topic_partition_list_t *asked,
			rd_kafka_topic_partition_list_t **answer)
{
	rd_kafka_resp_err_t code;

	do
	{
		int slice = next_slice(call);

		if (slice == 0)
			return no_answer(call);
		code = request_offsets(call, slice, asked, answer);
	} while (code != RD_KAFKA_RESP_ERR_NO_ERROR && is_transient(call, code));
	return code == RD_KAFKA_RESP_ERR_NO_ERROR ? SQ_OK : topic_error(call, code);
}

/* The same time, or one of the special ones, for every partition. */
static SqStatus
get_offsets_at(SqKafkaCall *call, rd_kafka_topic_partition_list_t *partitions,
			   int64 time, rd_kafka_topic_partition_list_t **answer)
{
	for (int i = 0; i < partitions->cnt; i++)
		partitions->elems[i].offset = time;
	return get_offsets(call, partitions, answer);
}

/* ---- The questions ---- */

static SqStatus
run_watermarks(SqKafkaCall *call)
{
	rd_kafka_topic_partition_list_t *partitions = NULL, *low = NULL,
									*high = NULL;
	SqStatus status = get_partitions(call, &partitions);

	if (status == SQ_OK)
		status =
			get_offsets_at(call, partitions, RD_KAFKA_OFFSET_BEGINNING, &low);
	if (status == SQ_OK)
		status = get_offsets_at(call, partitions, RD_KAFKA_OFFSET_END, &high);
	if (status == SQ_OK)
	{
		call->count = partitions->cnt;
		call->watermarks = malloc(call->count * sizeof(SqKafkaWatermark));
		for (int i = 0; i < call->count; i++)
			call->watermarks[i] = (SqKafkaWatermark){
				partitions->elems[i].partition, low->elems[i].offset,
				Max(high->elems[i].offset, low->elems[i].offset)};
	}
	if (partitions != NULL)
		rd_kafka_topic_partition_list_destroy(partitions);
	if (low != NULL)
		rd_kafka_topic_partition_list_destroy(low);
	if (high != NULL)
		rd_kafka_topic_partition_list_destroy(high);
	return status;
}

/* Whoever answers "nothing" is asked for time 0: if there is nothing either,
 * though the partition has records, it doesn't know times at all. */
static SqStatus
verify_times(SqKafkaCall *call)
{
	rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new(call->count);
	rd_kafka_topic_partition_list_t *answer = NULL;
	SqStatus status = SQ_OK;

	for (int i = 0; i < call->count; i++)
		if (call->times[i].offset < 0)
			rd_kafka_topic_partition_list_add(list, call->topic,
											  call->times[i].partition);
	if (list->cnt > 0)
		status = get_offsets_at(call, list, 0, &answer);
	for (int i = 0, a = 0; answer != NULL && i < call->count; i++)
	{
		if (call->times[i].offset >= 0)
			continue;
		call->times[i].offset =
			answer->elems[a++].offset >= 0 ? PG_INT64_MAX : -1;
	}
	if (answer != NULL)
		rd_kafka_topic_partition_list_destroy(answer);
	rd_kafka_topic_partition_list_destroy(list);
	return status;
}

static SqStatus
run_times(SqKafkaCall *call)
{
	rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new(call->count);
	rd_kafka_topic_partition_list_t *answer = NULL;
	SqStatus status;

	for (int i = 0; i < call->count; i++)
		rd_kafka_topic_partition_list_add(list, call->topic,
										  call->times[i].partition)
			->offset = call->times[i].timestamp;
	status = get_offsets(call, list, &answer);
	rd_kafka_topic_partition_list_destroy(list);
	if (status != SQ_OK)
		return status;
	for (int i = 0; i < call->count; i++)
		call->times[i].offset = answer->elems[i].offset;
	rd_kafka_topic_partition_list_destroy(answer);
	return verify_times(call);
}

static int
compare_topics(const void *a, const void *b)
{
	return strcmp(((const SqKafkaTopic *) a)->name,
				  ((const SqKafkaTopic *) b)->name);
}

static void
keep_topics(SqKafkaCall *call, const rd_kafka_metadata_t *metadata)
{
	call->topics = calloc(Max(metadata->topic_cnt, 1), sizeof(SqKafkaTopic));
	for (int i = 0; i < metadata->topic_cnt; i++)
	{
		const rd_kafka_metadata_topic_t *topic = &metadata->topics[i];

		if (strncmp(topic->topic, "__", 2) == 0 || topic->err)
			continue;
		call->topics[call->count++] =
			(SqKafkaTopic){strdup(topic->topic), topic->partition_cnt};
	}
	qsort(call->topics, call->count, sizeof(SqKafkaTopic), compare_topics);
}

static SqStatus
run_topics(SqKafkaCall *call)
{
	const rd_kafka_metadata_t *metadata;
	rd_kafka_resp_err_t code;

	do
	{
		int slice = next_slice(call);

		if (slice == 0)
			return no_answer(call);
		code = rd_kafka_metadata(call->link->rk, 1, NULL, &metadata, slice);
	} while (code != RD_KAFKA_RESP_ERR_NO_ERROR && is_transient(call, code));
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		sq_error_set(&call->error, sq_kafka_sqlstate(code),
					 "could not list topics");
		sq_error_detail(&call->error, "%s.", rd_kafka_err2str(code));
		return SQ_ERROR;
	}
	keep_topics(call, metadata);
	rd_kafka_metadata_destroy(metadata);
	return SQ_OK;
}

/* ---- Threads ---- */

static void
drop_call(SqKafkaCall *call)
{
	int left;

	pthread_mutex_lock(&call->lock);
	left = --call->references;
	pthread_mutex_unlock(&call->lock);
	if (left > 0)
		return;
	if (call->topics != NULL)
		for (int i = 0; i < call->count; i++)
			free((void *) call->topics[i].name);
	free(call->topics);
	free(call->watermarks);
	free(call->times);
	free(call->topic);
	free(call->servers);
	close(call->fd);
	pthread_mutex_destroy(&call->lock);
	free(call);
}

static void *
call_thread(void *arg)
{
	SqKafkaCall *call = arg;
	SqKafkaLink *link = call->link;
	uint64 one = 1;

	call->status = call->run(call);
	if (call->status == SQ_ERROR &&
		call->error.sqlstate == ERRCODE_CONNECTION_FAILURE &&
		call->error.detail[0] == '\0')
	{
		pthread_mutex_lock(&link->lock);
		if (link->complaint[0] != '\0')
			sq_error_detail(&call->error, "The last complaint was: %s.",
							link->complaint);
		pthread_mutex_unlock(&link->lock);
	}
	pthread_mutex_lock(&call->lock);
	call->done = true;
	if (write(call->fd, &one, sizeof(one)) < 0)
		call->status = SQ_ERROR; /* can't be: the counter is far from full */
	pthread_mutex_unlock(&call->lock);
	drop_call(call);
	sq_kafka_link_drop(link);
	sq_kafka_thread_end();
	return NULL;
}

/* Start a call whose own fields are set by the caller; NULL and an error if
 * there are no resources. times are copied. */
static SqKafkaCall *
start_call(SqKafkaClient *client, SqKafkaCall template, SqError *error)
{
	SqKafkaCall *call = malloc(sizeof(SqKafkaCall));

	*call = template;
	pthread_mutex_init(&call->lock, NULL);
	call->references = 2;
	call->link = client->link;
	call->servers = strdup(client->servers);
	call->deadline = now_ms() + call->timeout_ms;
	call->slice_ms = FIRST_SLICE_MS;
	call->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sq_kafka_link_hold(call->link);
	if (call->fd >= 0 && sq_kafka_thread_start(call_thread, call))
		return call;
	sq_error_set(error, ERRCODE_INSUFFICIENT_RESOURCES,
				 "could not start a thread for a Kafka request");
	sq_kafka_link_drop(call->link);
	call->references = 1;
	drop_call(call);
	return NULL;
}

SqKafkaCall *
sq_kafka_ask_topics(SqKafkaClient *client, int timeout_ms, SqError *error)
{
	return start_call(
		client, (SqKafkaCall){.run = run_topics, .timeout_ms = timeout_ms},
		error);
}

SqKafkaCall *
sq_kafka_ask_watermarks(SqKafkaClient *client, const char *topic,
						int timeout_ms, SqError *error)
{
	return start_call(client,
					  (SqKafkaCall){.run = run_watermarks,
									.topic = strdup(topic),
									.timeout_ms = timeout_ms},
					  error);
}

SqKafkaCall *
sq_kafka_ask_times(SqKafkaClient *client, const char *topic,
				   const SqKafkaTime *times, int count, int timeout_ms,
				   SqError *error)
{
	SqKafkaTime *copy = malloc(count * sizeof(SqKafkaTime));

	memcpy(copy, times, count * sizeof(SqKafkaTime));
	return start_call(client,
					  (SqKafkaCall){.run = run_times,
									.topic = strdup(topic),
									.times = copy,
									.count = count,
									.timeout_ms = timeout_ms},
					  error);
}

/* ---- Answers ---- */

int
sq_kafka_call_fd(const SqKafkaCall *call)
{
	return call->fd;
}

SqStatus
sq_kafka_call_poll(SqKafkaCall *call, SqError *error)
{
	bool done;

	pthread_mutex_lock(&call->lock);
	done = call->done;
	pthread_mutex_unlock(&call->lock);
	if (!done)
		return SQ_WAIT;
	if (call->status == SQ_ERROR)
		*error = call->error;
	return call->status;
}

const SqKafkaTopic *
sq_kafka_call_topics(SqKafkaCall *call, int *count)
{
	*count = call->count;
	return call->topics;
}

const SqKafkaWatermark *
sq_kafka_call_watermarks(SqKafkaCall *call, int *count)
{
	*count = call->count;
	return call->watermarks;
}

const SqKafkaTime *
sq_kafka_call_times(SqKafkaCall *call, int *count)
{
	*count = call->count;
	return call->times;
}

void
sq_kafka_call_free(SqKafkaCall *call)
{
	pthread_mutex_lock(&call->lock);
	call->abandoned = true;
	pthread_mutex_unlock(&call->lock);
	drop_call(call);
}

/* ---- Waking ---- */

typedef struct SqWake
{
	SqKafkaLink *link;
	int32 partition;
	char topic[256];
} SqWake;

static void *
wake_thread(void *arg)
{
	SqWake *wake = arg;
	int64 low, high;

	rd_kafka_query_watermark_offsets(wake->link->rk, wake->topic,
									 wake->partition, &low, &high, 1000);
	sq_kafka_link_waking(wake->link, false);
	sq_kafka_link_drop(wake->link);
	free(wake);
	sq_kafka_thread_end();
	return NULL;
}

void
sq_kafka_call_wake(SqKafkaLink *link, const char *topic, int32 partition)
{
	SqWake *wake;

	if (!sq_kafka_link_waking(link, true))
		return;
	wake = malloc(sizeof(SqWake));
	wake->link = link;
	wake->partition = partition;
	strlcpy(wake->topic, topic, sizeof(wake->topic));
	sq_kafka_link_hold(link);
	if (sq_kafka_thread_start(wake_thread, wake))
		return;
	sq_kafka_link_waking(link, false);
	sq_kafka_link_drop(link);
	free(wake);
}
