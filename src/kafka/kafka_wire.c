/*
 * kafka_wire.c
 *		Brokers, their connections, and the leaders of topics.
 *
 * A cluster is entered by one of the hosts of bootstrap.servers after the
 * other; metadata then tells the others. A broker whose connection breaks is
 * connected again: at once if it had been ready (brokers close idle
 * connections), else after a while that doubles.
 *
 * All descriptors are watched by one of epoll, which the owner waits for; a
 * timer among them ends waits that have an end of their own.
 *
 * Memory: malloc; the wire is its client's. Locks: none, the client's owner
 * alone comes here.
 */
#include "kafka/kafka_wire.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define FIRST_BACKOFF_MS 50
#define LAST_BACKOFF_MS  1000
/* Brokers close idle connections after ten minutes. */
#define IDLE_MS      60000
#define DEFAULT_PORT 9092
/* How long a broker waits for records at the end of a partition. One that
 * does not answer as soon as there are any (the mock) makes followers late by
 * so much. */
#define WAIT_MS 10
/* How long an answer of metadata may take. */
#define METADATA_TIMEOUT_MS 10000
/* A broker that is not connected by then is no reason not to ask another. */
#define PATIENCE_MS 500
/* A topic that was made just now is unknown to some brokers for a while: for so
 * long it is asked for again, after a pause. */
#define UNKNOWN_MS       500
#define UNKNOWN_PAUSE_MS 50
#define UNKNOWN_TOPIC    3
/* Topics whose leaders are remembered. */
#define MAX_TOPICS 16

struct SqKafkaWire
{
	SqKafkaClient *client;
	SqKafkaSettings *settings;
	SqKafkaFetchLimits limits;
	int epoll;
	int timer;
	int64 wake_at; /* what the timer is set to; 0: to nothing */
	SqKafkaBroker **brokers;
	int nbrokers;
	int entry; /* the broker that is asked for metadata, or next */

	/* the question for metadata under way */
	SqKafkaBroker *asked; /* NULL: there is none */
	int64 asked_at;
	int64 unknown_since; /* the topic was not known; 0: it was */
	SqKafkaLeaders topics[MAX_TOPICS];
	int64 heard_at[MAX_TOPICS]; /* when these were asked for */
	int ntopics;
	int oldest; /* the one to be forgotten next */

	SqKafkaBlockPool *pool;
	SqKafkaWireSet *spares;
};

/* ---- Descriptors ---- */

static void
unwatch(SqKafkaWire *wire, SqKafkaBroker *broker)
{
	if (broker->watched >= 0)
		epoll_ctl(wire->epoll, EPOLL_CTL_DEL, broker->watched, NULL);
	broker->watched = -1;
}

/* Watch what the connection waits for now. The number of its descriptor says
 * nothing: it may have been closed and be another one's. */
static void
watch(SqKafkaWire *wire, SqKafkaBroker *broker)
{
	int fd = sq_kafka_connection_fd(broker->connection);
	int events = sq_kafka_connection_events(broker->connection);
	struct epoll_event event = {.events =
									(events & SQ_KAFKA_READABLE ? EPOLLIN : 0) |
									(events & SQ_KAFKA_WRITABLE ? EPOLLOUT : 0),
								.data.fd = fd};

	if (broker->watched != fd)
		unwatch(wire, broker);
	if (fd < 0)
		return;
	if (epoll_ctl(wire->epoll, EPOLL_CTL_MOD, fd, &event) != 0)
		epoll_ctl(wire->epoll, EPOLL_CTL_ADD, fd, &event);
	broker->watched = fd;
	broker->events = events;
}

int
sq_kafka_wire_fd(const SqKafkaWire *wire)
{
	return wire->epoll;
}

static void
set_timer(SqKafkaWire *wire, int64 at)
{
	int64 left = Max(at - sq_kafka_now(), 1);
	struct itimerspec spec = {
		.it_value = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000}};

	if (at == wire->wake_at)
		return;
	timerfd_settime(wire->timer, 0, &spec, NULL);
	wire->wake_at = at;
}

void
sq_kafka_wire_await(SqKafkaWire *wire, int64 at)
{
	int64 now = sq_kafka_now();
	uint64 expired;

	if (read(wire->timer, &expired, sizeof(expired)) > 0)
		wire->wake_at = 0;
	for (int i = 0; i < wire->nbrokers; i++)
	{
		SqKafkaBroker *broker = wire->brokers[i];
		int ms;

		if (broker->connection == NULL)
			continue;
		watch(wire, broker);
		ms = sq_kafka_connection_wait_ms(broker->connection);
		if (ms >= 0)
			at = Min(at, now + ms);
	}
	if (at < PG_INT64_MAX)
		set_timer(wire, at);
}

/* ---- Brokers ---- */

static SqKafkaBroker *
find_host(SqKafkaWire *wire, const char *host, int port)
{
	for (int i = 0; i < wire->nbrokers; i++)
		if (strcmp(wire->brokers[i]->host, host) == 0 &&
			wire->brokers[i]->port == port)
			return wire->brokers[i];
	return NULL;
}

/* The broker of a host, which may be new; NULL without memory. */
static SqKafkaBroker *
add_broker(SqKafkaWire *wire, const char *host, int port)
{
	SqKafkaBroker *broker = find_host(wire, host, port);
	SqKafkaBroker **grown;

	if (broker != NULL)
		return broker;
	grown =
		realloc(wire->brokers, (wire->nbrokers + 1) * sizeof(SqKafkaBroker *));
	if (grown == NULL)
		return NULL;
	wire->brokers = grown;
	broker = calloc(1, sizeof(SqKafkaBroker));
	if (broker == NULL || (broker->host = strdup(host)) == NULL)
	{
		free(broker);
		return NULL;
	}
	broker->id = -1;
	broker->port = port;
	broker->watched = -1;
	wire->brokers[wire->nbrokers++] = broker;
	return broker;
}

SqKafkaBroker *
sq_kafka_wire_broker(SqKafkaWire *wire, int32 id)
{
	for (int i = 0; i < wire->nbrokers && id >= 0; i++)
		if (wire->brokers[i]->id == id)
			return wire->brokers[i];
	return NULL;
}

static void
disconnect(SqKafkaWire *wire, SqKafkaBroker *broker)
{
	unwatch(wire, broker);
	sq_kafka_connection_close(broker->connection);
	broker->connection = NULL;
	broker->request = 0;
	if (wire->asked == broker)
		wire->asked = NULL;
}

void
sq_kafka_broker_fail(SqKafkaWire *wire, SqKafkaBroker *broker,
					 const char *complaint)
{
	sq_kafka_client_complain(wire->client, complaint);
	disconnect(wire, broker);
	if (!broker->was_ready)
		broker->backoff_ms =
			Min(Max(broker->backoff_ms * 2, FIRST_BACKOFF_MS), LAST_BACKOFF_MS);
	else
		broker->backoff_ms = 0;
	broker->retry_at = sq_kafka_now() + broker->backoff_ms;
	broker->was_ready = false;
}

/* An error of the connection: of those that waiting may cure, another try. */
static SqStatus
take_trouble(SqKafkaWire *wire, SqKafkaBroker *broker, SqError *error)
{
	char complaint[SQ_ERROR_TEXT];

	if (sq_kafka_connection_trouble(broker->connection) == SQ_KAFKA_LASTING)
		return SQ_ERROR;
	snprintf(complaint, sizeof(complaint), "%s%s%.*s", error->message,
			 error->detail[0] ? ": " : "", SQ_ERROR_TEXT / 2, error->detail);
	sq_kafka_broker_fail(wire, broker, complaint);
	return SQ_WAIT;
}

SqStatus
sq_kafka_broker_ready(SqKafkaWire *wire, SqKafkaBroker *broker, SqError *error)
{
	int64 now = sq_kafka_now();
	int64 expires;
	SqStatus status;

	if (broker->connection != NULL && broker->request == 0)
	{
		expires = sq_kafka_connection_expires(broker->connection);
		if (expires != 0 && now + 1000 >= expires)
			disconnect(wire, broker);
	}
	if (broker->connection == NULL)
	{
		if (now < broker->retry_at)
			return SQ_WAIT;
		broker->connection = sq_kafka_connection_open(
			wire->settings, broker->host, broker->port, error);
		if (broker->connection == NULL)
			return SQ_ERROR;
		broker->opened_at = now;
	}
	status = sq_kafka_connection_poll(broker->connection, error);
	if (status == SQ_ERROR)
		return take_trouble(wire, broker, error);
	if (status == SQ_OK)
	{
		broker->was_ready = true;
		broker->last_used = now;
	}
	return status;
}

SqStatus
sq_kafka_broker_submit(SqKafkaWire *wire, SqKafkaBroker *broker, SqError *error)
{
	SqStatus status =
		sq_kafka_connection_submit(broker->connection, &broker->request, error);

	broker->request_at = sq_kafka_now();
	broker->sent++;
	if (status == SQ_ERROR)
		return take_trouble(wire, broker, error);
	return SQ_OK;
}

SqStatus
sq_kafka_broker_receive(SqKafkaWire *wire, SqKafkaBroker *broker,
						SqKafkaFrame *frame, SqError *error)
{
	SqStatus status;

	/* answers to requests that were given up come first */
	while ((status = sq_kafka_connection_receive(broker->connection, frame,
												 error)) == SQ_OK)
	{
		if (frame->id == broker->request)
		{
			broker->request = 0;
			broker->backoff_ms = 0;
			return SQ_OK;
		}
		sq_kafka_connection_recycle(broker->connection, frame->buffer);
	}
	if (status == SQ_ERROR)
		return take_trouble(wire, broker, error);
	if (sq_kafka_now() - broker->request_at > wire->limits.timeout_ms)
		sq_kafka_broker_fail(wire, broker, "a request got no answer");
	return SQ_WAIT;
}

/* ---- Metadata ---- */

static void
forget_topic(SqKafkaLeaders *leaders)
{
	free(leaders->topic);
	free(leaders->ids);
	free(leaders->epochs);
	*leaders = (SqKafkaLeaders){0};
}

static int
find_topic(const SqKafkaWire *wire, const char *topic)
{
	for (int i = 0; i < wire->ntopics; i++)
		if (strcmp(wire->topics[i].topic, topic) == 0)
			return i;
	return -1;
}

/* Remember leaders in the place of what was known, or of the oldest. */
static void
keep_topic(SqKafkaWire *wire, const SqKafkaLeaders *leaders)
{
	int at = find_topic(wire, leaders->topic);

	if (at < 0 && wire->ntopics < MAX_TOPICS)
		at = wire->ntopics++;
	else if (at < 0)
	{
		at = wire->oldest;
		wire->oldest = (at + 1) % MAX_TOPICS;
	}
	forget_topic(&wire->topics[at]);
	wire->topics[at] = *leaders;
	wire->heard_at[at] = wire->asked_at;
}

/* SQ_WAIT when it is asked, or could not be. Versions: 4 can ask without
 * creating a topic; 9 is another encoding. */
static SqStatus
ask_metadata(SqKafkaWire *wire, SqKafkaBroker *broker, const char *topic,
			 SqError *error)
{
	int version = sq_kafka_connection_version(broker->connection,
											  SQ_KAFKA_METADATA, 1, 8);
	SqKafkaOutput *writer;

	if (version < 0)
		return sq_error_set(error, ERRCODE_FEATURE_NOT_SUPPORTED,
							"Kafka at \"%s\" is too old to be read directly",
							sq_kafka_connection_name(broker->connection));
	writer = sq_kafka_connection_request(broker->connection, SQ_KAFKA_METADATA,
										 version);
	if (writer == NULL)
		return SQ_WAIT;
	sq_kafka_write_count(writer, 1, false);
	sq_kafka_write_string(writer, topic, false);
	if (version >= 4)
		sq_kafka_write_int8(writer, 0);
	if (version >= 8)
		sq_kafka_write_int16(writer, 0);
	wire->asked = broker;
	wire->asked_at = sq_kafka_now();
	if (sq_kafka_broker_submit(wire, broker, error) == SQ_ERROR)
		return SQ_ERROR;
	return SQ_WAIT;
}

static void
skip_numbers(SqKafkaCursor *cursor)
{
	int32 count = sq_kafka_read_count(cursor, false, sizeof(int32));

	sq_kafka_read_raw(cursor, (size_t) count * sizeof(int32));
}

static bool
read_brokers(SqKafkaWire *wire, SqKafkaCursor *cursor)
{
	int32 count = sq_kafka_read_count(cursor, false, 10);

	for (int i = 0; i < wire->nbrokers; i++)
		wire->brokers[i]->id = -1;
	while (count-- > 0 && !cursor->failed)
	{
		int32 id = sq_kafka_read_int32(cursor);
		SqSlice host = sq_kafka_read_string(cursor, false);
		int32 port = sq_kafka_read_int32(cursor);
		char name[256];
		SqKafkaBroker *broker;

		sq_kafka_read_string(cursor, false);
		if (cursor->failed || host.length >= sizeof(name) || port <= 0 ||
			port > 65535)
			continue;
		memcpy(name, host.data, host.length);
		name[host.length] = '\0';
		broker = add_broker(wire, name, port);
		if (broker == NULL)
			return false;
		broker->id = id;
	}
	return true;
}

/* The partitions of a topic; false without memory. */
static bool
read_partitions(SqKafkaCursor *cursor, int version, SqKafkaLeaders *leaders)
{
	int32 count = sq_kafka_read_count(cursor, false, 18);

	leaders->ids = malloc(Max(count, 1) * sizeof(int32));
	leaders->epochs = malloc(Max(count, 1) * sizeof(int32));
	if (leaders->ids == NULL || leaders->epochs == NULL)
		return false;
	leaders->count = count;
	for (int i = 0; i < count; i++)
		leaders->ids[i] = leaders->epochs[i] = -1;
	for (int i = 0; i < count && !cursor->failed; i++)
	{
		int32 partition;
		int32 leader;
		int32 epoch = -1;

		sq_kafka_read_int16(cursor);
		partition = sq_kafka_read_int32(cursor);
		leader = sq_kafka_read_int32(cursor);
		if (version >= 7)
			epoch = sq_kafka_read_int32(cursor);
		skip_numbers(cursor);
		skip_numbers(cursor);
		if (version >= 5)
			skip_numbers(cursor);
		if (partition < 0 || partition >= count)
			continue;
		leaders->ids[partition] = leader;
		leaders->epochs[partition] = epoch;
	}
	return true;
}

/* The one topic that was asked for; code: what the broker says of it. */
static bool
read_topic(SqKafkaCursor *cursor, int version, SqKafkaLeaders *leaders,
		   int16 *code)
{
	int32 count = sq_kafka_read_count(cursor, false, 9);
	SqSlice name;

	if (count != 1)
		cursor->failed = true;
	*code = sq_kafka_read_int16(cursor);
	name = sq_kafka_read_string(cursor, false);
	sq_kafka_read_int8(cursor);
	if (cursor->failed || name.data == NULL)
		return true;
	leaders->topic = strndup(name.data, name.length);
	return leaders->topic != NULL && read_partitions(cursor, version, leaders);
}

/* Does it not know a topic that it may know before long? */
static bool
is_unknown_yet(SqKafkaWire *wire, SqKafkaBroker *broker, int16 code)
{
	int64 now = sq_kafka_now();

	if (code != UNKNOWN_TOPIC)
		return false;
	if (wire->unknown_since == 0)
		wire->unknown_since = now;
	broker->silent_until = now + UNKNOWN_PAUSE_MS;
	return now - wire->unknown_since < UNKNOWN_MS;
}

/* Take an answer; SQ_WAIT when it must be asked again. */
static SqStatus
take_metadata(SqKafkaWire *wire, SqKafkaBroker *broker,
			  const SqKafkaFrame *frame, SqError *error)
{
	SqKafkaCursor cursor = sq_kafka_cursor(frame->body);
	SqKafkaLeaders leaders = {0};
	int16 code = 0;
	bool good;

	if (frame->version >= 3)
		broker->silent_until = sq_kafka_now() + sq_kafka_read_int32(&cursor);
	good = read_brokers(wire, &cursor);
	if (frame->version >= 2)
		sq_kafka_read_string(&cursor, false);
	sq_kafka_read_int32(&cursor);
	good = good && read_topic(&cursor, frame->version, &leaders, &code);
	if (good && !cursor.failed && code == 0)
	{
		keep_topic(wire, &leaders);
		wire->unknown_since = 0;
		return SQ_OK;
	}
	if (!good)
		sq_kafka_error_memory(error);
	else if (cursor.failed)
		sq_kafka_broker_fail(wire, broker, "an answer could not be read");
	else if (!is_unknown_yet(wire, broker, code) &&
			 !sq_kafka_error_is_transient(code))
	{
		good = false;
		wire->unknown_since = 0;
		sq_kafka_error_topic(error, code, leaders.topic, NULL);
	}
	forget_topic(&leaders);
	return good ? SQ_WAIT : SQ_ERROR;
}

/* Is it being connected, and not for too long? */
static bool
is_on_its_way(const SqKafkaBroker *broker)
{
	return broker->connection != NULL &&
		   sq_kafka_now() - broker->opened_at < PATIENCE_MS;
}

/* Send the question to the broker whose turn it is, or to the next one. */
static SqStatus
begin_question(SqKafkaWire *wire, const char *topic, SqError *error)
{
	for (int i = 0; i < wire->nbrokers; i++)
	{
		SqKafkaBroker *broker = wire->brokers[wire->entry];
		SqStatus status;

		if (broker->request == 0 && broker->silent_until <= sq_kafka_now())
		{
			status = sq_kafka_broker_ready(wire, broker, error);
			if (status == SQ_OK)
				return ask_metadata(wire, broker, topic, error);
			if (status == SQ_ERROR || is_on_its_way(broker))
				return status;
		}
		wire->entry = (wire->entry + 1) % wire->nbrokers;
	}
	return SQ_WAIT;
}

SqStatus
sq_kafka_wire_leaders(SqKafkaWire *wire, const char *topic, int64 fresh,
					  const SqKafkaLeaders **leaders, SqError *error)
{
	SqKafkaBroker *broker = wire->asked;
	SqKafkaFrame frame;
	int known = find_topic(wire, topic);
	SqStatus status;

	if (known >= 0 && wire->heard_at[known] >= fresh)
	{
		*leaders = &wire->topics[known];
		return SQ_OK;
	}
	if (broker == NULL)
		return begin_question(wire, topic, error);
	status = sq_kafka_broker_receive(wire, broker, &frame, error);
	if (status == SQ_WAIT && wire->asked == broker &&
		sq_kafka_now() - broker->request_at > METADATA_TIMEOUT_MS)
	{
		sq_kafka_broker_fail(wire, broker, "metadata got no answer");
		wire->entry = (wire->entry + 1) % wire->nbrokers;
	}
	if (status != SQ_OK)
		return status;
	wire->asked = NULL;
	status = take_metadata(wire, broker, &frame, error);
	if (broker->connection != NULL)
		sq_kafka_connection_recycle(broker->connection, frame.buffer);
	else
		sq_kafka_buffer_free(&frame.buffer);
	/* the answer may be of an earlier question, about another topic */
	known = find_topic(wire, topic);
	if (status != SQ_OK || known < 0 || wire->heard_at[known] < fresh)
		return status == SQ_ERROR ? SQ_ERROR : SQ_WAIT;
	*leaders = &wire->topics[known];
	return SQ_OK;
}

/* ---- Creation ---- */

static const char *
value_of(const SqKafkaConfig *config, const char *name, const char *otherwise)
{
	for (int i = config->count - 1; i >= 0; i--)
		if (strcmp(config->properties[i].name, name) == 0)
			return config->properties[i].value;
	return otherwise;
}

static int32
number_of(const SqKafkaConfig *config, const char *name, int32 otherwise)
{
	const char *value = value_of(config, name, NULL);

	return value != NULL ? (int32) strtol(value, NULL, 10) : otherwise;
}

/* One host of the list: host, host:port, [address]:port; perhaps with a
 * protocol before it, as librdkafka allows. */
static bool
add_host(SqKafkaWire *wire, char *entry)
{
	char *scheme = strstr(entry, "://");
	char *host = scheme != NULL ? scheme + 3 : entry;
	char *colon = strrchr(host, ':');
	int port = DEFAULT_PORT;

	if (host[0] == '[' && strchr(host, ']') != NULL)
	{
		host++;
		colon = strchr(host, ']');
		*colon++ = '\0';
	}
	if (colon != NULL && *colon == ':')
	{
		*colon = '\0';
		port = atoi(colon + 1);
	}
	return host[0] == '\0' || add_broker(wire, host, port) != NULL;
}

static bool
add_hosts(SqKafkaWire *wire, const char *list)
{
	char *copy = strdup(list);
	char *rest = copy;
	char *host;
	bool good = copy != NULL;

	while (good && (host = strsep(&rest, ", ")) != NULL)
		good = add_host(wire, host);
	free(copy);
	return good && wire->nbrokers > 0;
}

static bool
open_descriptors(SqKafkaWire *wire)
{
	struct epoll_event event = {.events = EPOLLIN};

	wire->epoll = epoll_create1(EPOLL_CLOEXEC);
	wire->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return wire->epoll >= 0 && wire->timer >= 0 &&
		   epoll_ctl(wire->epoll, EPOLL_CTL_ADD, wire->timer, &event) == 0;
}

/* Defaults are for bounded reads: an answer of this size is being decoded
 * while the next one comes, so that twice as much is held of each broker. */
static void
read_limits(SqKafkaWire *wire, const SqKafkaConfig *config)
{
	SqKafkaFetchLimits *limits = &wire->limits;
	const char *crcs = value_of(config, "check.crcs", "true");

	limits->wait_ms = number_of(config, "fetch.wait.max.ms", WAIT_MS);
	limits->least_bytes = number_of(config, "fetch.min.bytes", 1);
	limits->most_bytes = number_of(config, "fetch.max.bytes", 2 * 1024 * 1024);
	limits->partition_bytes =
		number_of(config, "fetch.message.max.bytes", 1024 * 1024);
	limits->batch_bytes =
		number_of(config, "receive.message.max.bytes", 100000000);
	limits->timeout_ms = number_of(config, "socket.timeout.ms", 60000);
	limits->committed = strcmp(value_of(config, "isolation.level", ""),
							   "read_uncommitted") != 0;
	limits->check_crcs = strcmp(crcs, "false") != 0;
	limits->rack = strdup(value_of(config, "client.rack", ""));
}

void
sq_kafka_wire_free(SqKafkaWire *wire)
{
	if (wire == NULL)
		return;
	for (int i = 0; i < wire->nbrokers; i++)
	{
		disconnect(wire, wire->brokers[i]);
		free(wire->brokers[i]->host);
		free(wire->brokers[i]);
	}
	for (int i = 0; i < wire->ntopics; i++)
		forget_topic(&wire->topics[i]);
	if (wire->epoll >= 0)
		close(wire->epoll);
	if (wire->timer >= 0)
		close(wire->timer);
	if (wire->settings != NULL)
		sq_kafka_settings_drop(wire->settings);
	sq_kafka_wire_set_free_spares(wire->spares);
	sq_kafka_block_pool_free(wire->pool);
	free((char *) wire->limits.rack);
	free(wire->brokers);
	free(wire);
}

SqKafkaWire *
sq_kafka_wire_create(SqKafkaClient *client, const SqKafkaConfig *config,
					 SqError *error)
{
	SqKafkaWire *wire = calloc(1, sizeof(SqKafkaWire));

	if (wire == NULL)
	{
		sq_kafka_error_memory(error);
		return NULL;
	}
	wire->client = client;
	wire->epoll = wire->timer = -1;
	read_limits(wire, config);
	if (!open_descriptors(wire))
		sq_error_set(error, ERRCODE_INSUFFICIENT_RESOURCES,
					 "could not make a descriptor for Kafka");
	else if (wire->limits.rack == NULL || !add_hosts(wire, client->brokers) ||
			 (wire->pool = sq_kafka_block_pool_create()) == NULL)
		sq_kafka_error_memory(error);
	else if ((wire->settings = sq_kafka_settings_create(config, error)) != NULL)
		return wire;
	sq_kafka_wire_free(wire);
	return NULL;
}

void
sq_kafka_wire_tidy(SqKafkaWire *wire)
{
	int64 now = sq_kafka_now();

	/* the answer to a question that nobody has any more is dropped */
	if (wire->asked != NULL)
		wire->asked->request = 0;
	wire->asked = NULL;
	for (int i = 0; i < wire->nbrokers; i++)
		if (wire->brokers[i]->connection != NULL &&
			now - wire->brokers[i]->last_used > IDLE_MS)
			disconnect(wire, wire->brokers[i]);
}

SqKafkaBlockPool *
sq_kafka_wire_pool(SqKafkaWire *wire)
{
	return wire->pool;
}

SqKafkaWireSet **
sq_kafka_wire_spares(SqKafkaWire *wire)
{
	return &wire->spares;
}

const SqKafkaFetchLimits *
sq_kafka_wire_limits(const SqKafkaWire *wire)
{
	return &wire->limits;
}
