/*
 * kafka_call.c
 *		Questions to a cluster, each asked by a thread of its own.
 *
 * librdkafka's metadata and offset calls block until the answer or a timeout
 * and can't be interrupted. The thread therefore waits in slices: between two
 * it looks whether the call was abandoned. A slice that ends without an answer
 * costs one more request, and a broker that takes longer than a slice would
 * never be heard, so each slice is twice as long as the one before: an
 * abandoned thread is gone after about as long as its call had lasted, and
 * every broker that answers within half of the timeout is heard.
 *
 * A topic's watermarks take three round trips however many partitions there
 * are: metadata of that topic, then the first and the last offsets, as offsets
 * for the special times -2 and -1. That honours isolation.level.
 *
 * Memory: malloc; the call is shared by its owner and its thread, the last
 * one frees it. Answers are written by the thread before it sets «status» and
 * are the owner's afterwards. Locks: call->lock guards status, error and
 * abandoned; client->lock is taken under it nowhere.
 */
#include <librdkafka/rdkafka.h>

#include "kafka/kafka_internal.h"

#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define FIRST_SLICE_MS 250
/* Between two tries after an answer that says «not yet». */
#define PAUSE_MS 50

typedef enum SqCallKind
{
	SQ_CALL_TOPICS,
	SQ_CALL_PARTITIONS,
	SQ_CALL_ENDS,
	SQ_CALL_WATERMARKS,
	SQ_CALL_TIMES
} SqCallKind;

struct SqKafkaCall
{
	atomic_int references;
	SqKafkaClient *client;
	SqCallKind kind;
	char *topic;
	int timeout_ms;
	int64 deadline;
	int64 slice_ms; /* how long the next try may take */
	int fd;

	pthread_mutex_t lock;
	pthread_cond_t wake; /* abandoned */
	bool abandoned;
	SqStatus status; /* SQ_WAIT until the answer is there */
	SqError error;

	int count; /* of the answer */
	SqKafkaTopic *topics;
	SqKafkaWatermark *watermarks;
	SqKafkaTime *times;
};

/* ---- Waiting, in the thread ---- */

static bool
is_abandoned(SqKafkaCall *call)
{
	bool abandoned;

	pthread_mutex_lock(&call->lock);
	abandoned = call->abandoned;
	pthread_mutex_unlock(&call->lock);
	return abandoned;
}

static void
pause_call(SqKafkaCall *call)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += PAUSE_MS * 1000000L;
	if (until.tv_nsec >= 1000000000L)
	{
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	pthread_mutex_lock(&call->lock);
	if (!call->abandoned)
		pthread_cond_timedwait(&call->wake, &call->lock, &until);
	pthread_mutex_unlock(&call->lock);
}

static SqStatus
fail_timeout(SqKafkaCall *call, SqError *error)
{
	char complaint[SQ_ERROR_TEXT];

	sq_kafka_client_last_complaint(call->client, complaint);
	sq_error_set(error, ERRCODE_CONNECTION_FAILURE,
				 "could not reach Kafka at \"%s\" within %d ms",
				 call->client->brokers, call->timeout_ms);
	if (complaint[0] != '\0')
		sq_error_detail(error, "The last complaint was: %s.", complaint);
	return SQ_ERROR;
}

/*
 * Ready for one more try? SQ_OK and the slice in *slice_ms, or SQ_ERROR when
 * there is no sense in it any more.
 */
static SqStatus
next_slice(SqKafkaCall *call, int *slice_ms, SqError *error)
{
	int64 left = call->deadline - sq_kafka_now();

	sq_kafka_client_serve(call->client);
	if (sq_kafka_client_fault(call->client, error) != SQ_OK)
		return SQ_ERROR;
	if (is_abandoned(call) || left <= 0)
		return fail_timeout(call, error);
	*slice_ms = (int) Min(left, call->slice_ms);
	return SQ_OK;
}

/* After a try that failed with a transient error: was it the slice's end? */
static void
after_slice(SqKafkaCall *call, int code)
{
	if (code == RD_KAFKA_RESP_ERR__TIMED_OUT)
		call->slice_ms = Min(call->slice_ms * 2, call->timeout_ms);
	else
		pause_call(call);
}

/* ---- Metadata ---- */

static SqStatus
fail_cluster(SqKafkaCall *call, int code, SqError *error)
{
	if (call->topic != NULL)
		return sq_kafka_error_topic(error, code, call->topic, NULL);
	sq_error_set(error,
				 code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED
					 ? ERRCODE_INSUFFICIENT_PRIVILEGE
					 : ERRCODE_FDW_ERROR,
				 "could not list the topics of Kafka at \"%s\"",
				 call->client->brokers);
	sq_error_detail(error, "Kafka's client says: %s.",
					rd_kafka_err2str((rd_kafka_resp_err_t) code));
	return SQ_ERROR;
}

static const rd_kafka_metadata_topic_t *
find_topic(const rd_kafka_metadata_t *metadata, const char *name)
{
	for (int i = 0; i < metadata->topic_cnt; i++)
		if (strcmp(metadata->topics[i].topic, name) == 0)
			return &metadata->topics[i];
	return NULL;
}

/* Error of an answer about one topic, or 0. */
static int
topic_error(const rd_kafka_metadata_topic_t *topic)
{
	if (topic == NULL)
		return RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
	if (topic->err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return topic->err;
	return topic->partition_cnt > 0 ? RD_KAFKA_RESP_ERR_NO_ERROR
									: RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
}

/*
 * One try; an error of librdkafka, 0 for an answer in *metadata.
 *
 * A broker may create a topic that a request names, whatever the client says
 * (old ones do, and the mock). So a client's first request for a topic lists
 * all topics, and only one that was seen there is asked for by name later.
 */
static int
try_metadata(SqKafkaCall *call, int slice_ms,
			 const rd_kafka_metadata_t **metadata)
{
	rd_kafka_t *rk = call->client->rk;
	rd_kafka_topic_t *rkt = NULL;
	int code;

	*metadata = NULL;
	if (call->topic != NULL && sq_kafka_client_knows(call->client, call->topic))
	{
		rkt = rd_kafka_topic_new(rk, call->topic, NULL);
		if (rkt == NULL)
			return rd_kafka_last_error();
	}
	code = rd_kafka_metadata(rk, rkt == NULL, rkt, metadata, slice_ms);
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR && call->topic != NULL)
		code = topic_error(find_topic(*metadata, call->topic));
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR && call->topic != NULL)
		sq_kafka_client_learn(call->client, call->topic);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR && *metadata != NULL)
	{
		rd_kafka_metadata_destroy(*metadata);
		*metadata = NULL;
	}
	if (rkt != NULL)
		rd_kafka_topic_destroy(rkt);
	return code;
}

/* Metadata of the call's topic, or of all. */
static SqStatus
ask_metadata(SqKafkaCall *call, const rd_kafka_metadata_t **metadata,
			 SqError *error)
{
	int slice_ms;
	int code;

	for (;;)
	{
		if (next_slice(call, &slice_ms, error) != SQ_OK)
			return SQ_ERROR;
		code = try_metadata(call, slice_ms, metadata);
		if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
			return SQ_OK;
		if (!sq_kafka_error_is_transient(code))
			return fail_cluster(call, code, error);
		after_slice(call, code);
	}
}

static bool
is_internal(const char *name)
{
	static const char *const names[] = {
		"__consumer_offsets",  "__transaction_state",   "__cluster_metadata",
		"__share_group_state", "__remote_log_metadata",
	};

	for (int i = 0; i < lengthof(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static int
compare_topics(const void *a, const void *b)
{
	return strcmp(((const SqKafkaTopic *) a)->name,
				  ((const SqKafkaTopic *) b)->name);
}

static SqStatus
answer_topics(SqKafkaCall *call, SqError *error)
{
	const rd_kafka_metadata_t *metadata;

	if (ask_metadata(call, &metadata, error) != SQ_OK)
		return SQ_ERROR;
	call->topics = calloc(metadata->topic_cnt + 1, sizeof(SqKafkaTopic));
	for (int i = 0; call->topics != NULL && i < metadata->topic_cnt; i++)
	{
		const rd_kafka_metadata_topic_t *topic = &metadata->topics[i];
		SqKafkaTopic *answer = &call->topics[call->count];

		if (is_internal(topic->topic))
			continue;
		answer->name = strdup(topic->topic);
		answer->partitions = topic->partition_cnt;
		if (answer->name == NULL)
			break;
		call->count++;
	}
	rd_kafka_metadata_destroy(metadata);
	if (call->topics == NULL || call->topics[call->count].partitions > 0)
		return sq_kafka_error_memory(error);
	qsort(call->topics, call->count, sizeof(SqKafkaTopic), compare_topics);
	return SQ_OK;
}

/* ---- Offsets ---- */

/* The first error of the partitions of an answer, or 0. */
static int
partition_error(const rd_kafka_topic_partition_list_t *list)
{
	for (int i = 0; i < list->cnt; i++)
		if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
			return list->elems[i].err;
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/*
 * Look who leads now: librdkafka asks those that it believes to be leaders, and
 * does not doubt it because one of them is dead.
 */
static void
learn_leaders(SqKafkaCall *call)
{
	const rd_kafka_metadata_t *metadata;

	if (!is_abandoned(call) && try_metadata(call, FIRST_SLICE_MS, &metadata) ==
								   RD_KAFKA_RESP_ERR_NO_ERROR)
		rd_kafka_metadata_destroy(metadata);
}

/*
 * Replace the times in the list by offsets: -1 for those that have none. When
 * the topic is gone meanwhile the error says so.
 */
static SqStatus
ask_offsets(SqKafkaCall *call, rd_kafka_topic_partition_list_t *list,
			SqError *error)
{
	rd_kafka_topic_partition_list_t *asked;
	int slice_ms;
	int code;

	for (;;)
	{
		if (next_slice(call, &slice_ms, error) != SQ_OK)
			return SQ_ERROR;
		asked = rd_kafka_topic_partition_list_copy(list);
		code = rd_kafka_offsets_for_times(call->client->rk, asked, slice_ms);
		if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
			code = partition_error(asked);
		for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt;
			 i++)
			list->elems[i].offset = asked->elems[i].offset;
		rd_kafka_topic_partition_list_destroy(asked);
		if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
			return SQ_OK;
		if (!sq_kafka_error_is_transient(code))
			return fail_cluster(call, code, error);
		after_slice(call, code);
		learn_leaders(call);
	}
}

/* ---- Watermarks ---- */

static int
compare_watermarks(const void *a, const void *b)
{
	return ((const SqKafkaWatermark *) a)->partition -
		   ((const SqKafkaWatermark *) b)->partition;
}

/* The topic's partitions as watermarks without offsets. */
static SqStatus
list_partitions(SqKafkaCall *call, SqError *error)
{
	const rd_kafka_metadata_t *metadata;
	const rd_kafka_metadata_topic_t *topic;

	if (ask_metadata(call, &metadata, error) != SQ_OK)
		return SQ_ERROR;
	topic = find_topic(metadata, call->topic);
	call->watermarks = calloc(topic->partition_cnt, sizeof(SqKafkaWatermark));
	if (call->watermarks != NULL)
		call->count = topic->partition_cnt;
	for (int i = 0; i < call->count; i++)
		call->watermarks[i].partition = topic->partitions[i].id;
	rd_kafka_metadata_destroy(metadata);
	if (call->watermarks == NULL)
		return sq_kafka_error_memory(error);
	qsort(call->watermarks, call->count, sizeof(SqKafkaWatermark),
		  compare_watermarks);
	return SQ_OK;
}

/* Ask one end of every watermark: time -2 is the first offset, -1 the last. */
static SqStatus
ask_ends(SqKafkaCall *call, SqKafkaWatermark *watermarks, int count,
		 int64 special_time, SqError *error)
{
	rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new(count);
	SqStatus status;

	for (int i = 0; i < count; i++)
		rd_kafka_topic_partition_list_add(list, call->topic,
										  watermarks[i].partition)
			->offset = special_time;
	status = ask_offsets(call, list, error);
	for (int i = 0; status == SQ_OK && i < count; i++)
	{
		if (special_time == RD_KAFKA_OFFSET_BEGINNING)
			watermarks[i].low = Max(list->elems[i].offset, 0);
		else
			watermarks[i].high = Max(list->elems[i].offset, watermarks[i].low);
	}
	rd_kafka_topic_partition_list_destroy(list);
	return status;
}

static SqStatus
answer_watermarks(SqKafkaCall *call, SqError *error)
{
	if (list_partitions(call, error) != SQ_OK ||
		ask_ends(call, call->watermarks, call->count, RD_KAFKA_OFFSET_BEGINNING,
				 error) != SQ_OK)
		return SQ_ERROR;
	return ask_ends(call, call->watermarks, call->count, RD_KAFKA_OFFSET_END,
					error);
}

/* ---- Offsets by time ---- */

/*
 * Ask the offsets of some of the times, or, with origin, the offset of the
 * year 1970 for the same partitions; INT64_MAX where there is none.
 */
static SqStatus
ask_some_times(SqKafkaCall *call, SqKafkaTime **times, int count, bool origin,
			   SqError *error)
{
	rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new(count);
	SqStatus status;

	/* Negative times have meanings of their own; no record is older. */
	for (int i = 0; i < count; i++)
		rd_kafka_topic_partition_list_add(list, call->topic,
										  times[i]->partition)
			->offset = origin ? 0 : Max(times[i]->timestamp, 0);
	status = ask_offsets(call, list, error);
	for (int i = 0; status == SQ_OK && i < count; i++)
	{
		int64 offset = list->elems[i].offset;

		if (offset < 0)
			times[i]->offset = INT64_MAX;
		else if (!origin)
			times[i]->offset = offset;
		else
			times[i] = NULL;
	}
	rd_kafka_topic_partition_list_destroy(list);
	return status;
}

/* Drop those that have an answer from the list; the number that is left. */
static int
keep_unanswered(SqKafkaTime **times, int count)
{
	int left = 0;

	for (int i = 0; i < count; i++)
		if (times[i] != NULL && times[i]->offset == INT64_MAX)
			times[left++] = times[i];
	return left;
}

/*
 * Set to -1 the answers of partitions that hold records, of which the broker
 * nevertheless finds none since 1970: it can't tell offsets by time.
 */
static SqStatus
distrust_times(SqKafkaCall *call, SqKafkaTime **times, int count,
			   SqError *error)
{
	SqKafkaWatermark *ends = calloc(count, sizeof(SqKafkaWatermark));
	SqStatus status;

	if (ends == NULL)
		return sq_kafka_error_memory(error);
	for (int i = 0; i < count; i++)
		ends[i].partition = times[i]->partition;
	status = ask_ends(call, ends, count, RD_KAFKA_OFFSET_BEGINNING, error);
	if (status == SQ_OK)
		status = ask_ends(call, ends, count, RD_KAFKA_OFFSET_END, error);
	for (int i = 0; status == SQ_OK && i < count; i++)
		if (ends[i].low < ends[i].high)
			times[i]->offset = -1;
	free(ends);
	return status;
}

static SqStatus
answer_times(SqKafkaCall *call, SqError *error)
{
	SqKafkaTime **times = calloc(call->count + 1, sizeof(SqKafkaTime *));
	int count = call->count;
	SqStatus status = SQ_OK;

	if (times == NULL)
		return sq_kafka_error_memory(error);
	for (int i = 0; i < count; i++)
		times[i] = &call->times[i];
	if (count > 0)
		status = ask_some_times(call, times, count, false, error);
	count = status == SQ_OK ? keep_unanswered(times, count) : 0;
	if (count > 0)
		status = ask_some_times(call, times, count, true, error);
	count = status == SQ_OK ? keep_unanswered(times, count) : 0;
	if (count > 0)
		status = distrust_times(call, times, count, error);
	free(times);
	return status;
}

/* ---- The thread and its end ---- */

static void
free_call(SqKafkaCall *call)
{
	if (atomic_fetch_sub(&call->references, 1) > 1)
		return;
	sq_kafka_client_drop(call->client);
	for (int i = 0; call->topics != NULL && i < call->count; i++)
		free((void *) call->topics[i].name);
	free(call->topics);
	free(call->watermarks);
	free(call->times);
	free(call->topic);
	pthread_mutex_destroy(&call->lock);
	pthread_cond_destroy(&call->wake);
	close(call->fd);
	free(call);
}

static void
run_call(void *argument)
{
	SqKafkaCall *call = argument;
	uint64 one = 1;
	SqError error;
	SqStatus status;

	sq_error_clear(&error);
	switch (call->kind)
	{
		case SQ_CALL_TOPICS:
			status = answer_topics(call, &error);
			break;
		case SQ_CALL_PARTITIONS:
			status = list_partitions(call, &error);
			break;
		case SQ_CALL_ENDS:
			status = ask_ends(call, call->watermarks, call->count,
							  RD_KAFKA_OFFSET_END, &error);
			break;
		case SQ_CALL_WATERMARKS:
			status = answer_watermarks(call, &error);
			break;
		default:
			status = answer_times(call, &error);
			break;
	}
	pthread_mutex_lock(&call->lock);
	call->error = error;
	call->status = status;
	pthread_mutex_unlock(&call->lock);
	while (write(call->fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	free_call(call);
}

/* ---- The owner's side ---- */

static SqKafkaCall *
make_call(SqKafkaClient *client, SqCallKind kind, const char *topic,
		  int timeout_ms, SqError *error)
{
	SqKafkaCall *call = calloc(1, sizeof(SqKafkaCall));
	char *copy = topic != NULL ? strdup(topic) : NULL;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (call == NULL || (topic != NULL && copy == NULL) || fd < 0)
	{
		if (fd < 0)
			sq_error_set(error, ERRCODE_INSUFFICIENT_RESOURCES,
						 "could not make a descriptor for Kafka");
		else
		{
			close(fd);
			sq_kafka_error_memory(error);
		}
		free(call);
		free(copy);
		return NULL;
	}
	atomic_init(&call->references, 1);
	call->client = sq_kafka_client_hold(client);
	call->kind = kind;
	call->topic = copy;
	call->timeout_ms = timeout_ms;
	call->deadline = sq_kafka_now() + timeout_ms;
	call->slice_ms = FIRST_SLICE_MS;
	call->fd = fd;
	call->status = SQ_WAIT;
	pthread_mutex_init(&call->lock, NULL);
	pthread_cond_init(&call->wake, NULL);
	return call;
}

/* Start the thread; the call itself, or NULL and an error. */
static SqKafkaCall *
start_call(SqKafkaCall *call, SqError *error)
{
	if (call == NULL)
		return NULL;
	atomic_fetch_add(&call->references, 1);
	if (sq_kafka_thread_start(run_call, call))
		return call;
	free_call(call);
	free_call(call);
	sq_error_set(error, ERRCODE_INSUFFICIENT_RESOURCES,
				 "could not start a thread for Kafka");
	return NULL;
}

SqKafkaCall *
sq_kafka_ask_topics(SqKafkaClient *client, int timeout_ms, SqError *error)
{
	return start_call(
		make_call(client, SQ_CALL_TOPICS, NULL, timeout_ms, error), error);
}

SqKafkaCall *
sq_kafka_ask_partitions(SqKafkaClient *client, const char *topic,
						int timeout_ms, SqError *error)
{
	return start_call(
		make_call(client, SQ_CALL_PARTITIONS, topic, timeout_ms, error), error);
}

SqKafkaCall *
sq_kafka_ask_ends(SqKafkaClient *client, const char *topic,
				  const int32 *partitions, int count, int timeout_ms,
				  SqError *error)
{
	SqKafkaCall *call =
		make_call(client, SQ_CALL_ENDS, topic, timeout_ms, error);

	if (call == NULL)
		return NULL;
	call->watermarks = calloc(count, sizeof(SqKafkaWatermark));
	if (call->watermarks == NULL)
	{
		free_call(call);
		sq_kafka_error_memory(error);
		return NULL;
	}
	call->count = count;
	for (int i = 0; i < count; i++)
		call->watermarks[i].partition = partitions[i];
	return start_call(call, error);
}

SqKafkaCall *
sq_kafka_ask_watermarks(SqKafkaClient *client, const char *topic,
						int timeout_ms, SqError *error)
{
	return start_call(
		make_call(client, SQ_CALL_WATERMARKS, topic, timeout_ms, error), error);
}

SqKafkaCall *
sq_kafka_ask_times(SqKafkaClient *client, const char *topic,
				   const SqKafkaTime *times, int count, int timeout_ms,
				   SqError *error)
{
	SqKafkaCall *call =
		make_call(client, SQ_CALL_TIMES, topic, timeout_ms, error);

	if (call == NULL)
		return NULL;
	call->times = calloc(count + 1, sizeof(SqKafkaTime));
	if (call->times == NULL)
	{
		free_call(call);
		sq_kafka_error_memory(error);
		return NULL;
	}
	if (count > 0)
		memcpy(call->times, times, count * sizeof(SqKafkaTime));
	call->count = count;
	return start_call(call, error);
}

int
sq_kafka_call_fd(const SqKafkaCall *call)
{
	return call->fd;
}

SqStatus
sq_kafka_call_poll(SqKafkaCall *call, SqError *error)
{
	SqStatus status;

	pthread_mutex_lock(&call->lock);
	status = call->status;
	if (status == SQ_ERROR)
		*error = call->error;
	pthread_mutex_unlock(&call->lock);
	return status;
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
	pthread_cond_signal(&call->wake);
	pthread_mutex_unlock(&call->lock);
	free_call(call);
}
