/*
 * kafka.h
 *		The door of room kafka: clients, questions to a cluster, record sets,
 *		writers.
 *
 * Nothing here waits, throws or needs a server. What takes time is an object
 * with a file descriptor: poll it, wait for the descriptor (and the latch),
 * poll again. All objects are malloc'd, each with one owner who ends it; in a
 * server the owner is a memory-context callback. Objects belong to the thread
 * that made them; librdkafka's own threads never see them.
 *
 * A second reader, of Fetch responses, will stand behind the same door: no
 * type here names librdkafka.
 */
#ifndef SQ_KAFKA_H
#define SQ_KAFKA_H

#include "base/base.h"

/* ---- Configuration ---- */

/* A librdkafka property by its own name (with dots). */
typedef struct SqKafkaProperty
{
	const char *name;
	const char *value;
} SqKafkaProperty;

/* Who reads records: whoever is faster of those that can, our own Fetch
 * requests, or librdkafka. */
typedef enum SqKafkaReaderKind
{
	SQ_KAFKA_READER_AUTO,
	SQ_KAFKA_READER_WIRE,
	SQ_KAFKA_READER_LIBRDKAFKA
} SqKafkaReaderKind;

typedef struct SqKafkaConfig
{
	int count;
	const SqKafkaProperty *properties;
	SqKafkaReaderKind reader;
} SqKafkaConfig;

/* What a property is to us; flags. */
#define SQ_PROPERTY_SECRET 0x01 /* only in a user mapping */
#define SQ_PROPERTY_OWNED  0x02 /* the extension sets it */
#define SQ_PROPERTY_FILE   0x04 /* reads a file of the server */
#define SQ_PROPERTY_CODE   0x08 /* runs or loads code */

/* Who reads with this configuration, WIRE or LIBRDKAFKA, without opening
 * anything; where it is not what was asked for or best, why in reason, a short
 * text ("sasl.mechanisms OAUTHBEARER"), else "". */
extern SqKafkaReaderKind sq_kafka_config_reader(const SqKafkaConfig *config,
												char *reason, size_t size);

/*
 * The property behind an option name (each '.' written '_'), in *name as
 * librdkafka spells it (static memory) and its flags. An unknown name is an
 * SQ_ERROR (42... invalid option name) whose hint names the nearest one.
 * Reads nothing but librdkafka's list of properties: no value is set.
 */
extern SqStatus sq_kafka_property_find(const char *option, const char **name,
									   int *flags, SqError *error);

/* Would librdkafka take this value? On error its own text is in the detail.
 * Check the flags first: setting some properties opens files. */
extern SqStatus sq_kafka_property_check(const char *name, const char *value,
										SqError *error);

/* ---- Clients ---- */

/* A connection to one cluster with one configuration, for one owner at a
 * time. Threads and sockets belong to it. */
typedef struct SqKafkaClient SqKafkaClient;

/*
 * Take an idle client with the same configuration from this process's pool,
 * or make one. Does not connect yet. NULL and an error if librdkafka refuses.
 */
extern SqKafkaClient *sq_kafka_client_acquire(const SqKafkaConfig *config,
											  SqError *error);

/*
 * Give it back. A healthy one (no call or reader of it left unfinished) goes
 * to the pool, the longest idle one leaves it when there are too many; others
 * are closed by a thread of their own, so this never blocks.
 */
extern void sq_kafka_client_release(SqKafkaClient *client, bool healthy);

/* An error that the cluster or the connection told since the last call of
 * this, if it is one that waiting won't cure (authentication, TLS, unknown
 * host for all brokers …): SQ_ERROR. Else SQ_OK. Cheap; ask while waiting. */
extern SqStatus sq_kafka_client_check(SqKafkaClient *client, SqError *error);

/* The last thing librdkafka complained of ("connection refused" …), for the
 * detail of a timeout, or "". Valid until the next call for this client. */
extern const char *sq_kafka_client_complaint(SqKafkaClient *client);

/* What the cluster calls itself, as far as the client has heard (after an
 * answer of it, it has), or NULL; malloc'd, the caller's. */
extern char *sq_kafka_client_cluster(SqKafkaClient *client);

/* Close every idle client; wait at most this long for closing threads to end
 * (at exit, and in tests that count threads). True if none is left. */
extern bool sq_kafka_pool_shutdown(int timeout_ms);

/* ---- Questions ---- */

/* A question on its way, answered by a thread because librdkafka's calls
 * block. Freeing an unanswered one abandons it: its thread ends by itself
 * soon after, and the client must be released as not healthy. */
typedef struct SqKafkaCall SqKafkaCall;

typedef struct SqKafkaTopic
{
	const char *name;
	int partitions;
} SqKafkaTopic;

/* What a scan of a partition sees: low <= offset < high, where high is the
 * last stable offset under read_committed. */
typedef struct SqKafkaWatermark
{
	int32 partition;
	int64 low;
	int64 high;
} SqKafkaWatermark;

typedef struct SqKafkaTime
{
	int32 partition;
	int64 timestamp; /* asked: ms since 1970 */
	int64 offset;    /* answered: the first offset whose record has this
					  * timestamp or a later one; INT64_MAX: there is none;
					  * -1: the broker can't tell offsets by time */
} SqKafkaTime;

/* Topics of the cluster, without Kafka's internal ones, ordered by name. */
extern SqKafkaCall *sq_kafka_ask_topics(SqKafkaClient *client, int timeout_ms,
										SqError *error);
/* Partitions of a topic, in order, as watermarks without offsets. A missing
 * topic (42P01) or a forbidden one (42501) is an error and is not created. */
extern SqKafkaCall *sq_kafka_ask_partitions(SqKafkaClient *client,
											const char *topic, int timeout_ms,
											SqError *error);
/* The high watermarks (low ones are 0) of some partitions of a topic that is
 * known to exist, at least one, in the order given; one round trip. */
extern SqKafkaCall *sq_kafka_ask_ends(SqKafkaClient *client, const char *topic,
									  const int32 *partitions, int count,
									  int timeout_ms, SqError *error);
/* Watermarks of every partition of a topic; otherwise as ask_partitions. */
extern SqKafkaCall *sq_kafka_ask_watermarks(SqKafkaClient *client,
											const char *topic, int timeout_ms,
											SqError *error);
/* Offsets by time, at most one question a partition. */
extern SqKafkaCall *sq_kafka_ask_times(SqKafkaClient *client, const char *topic,
									   const SqKafkaTime *times, int count,
									   int timeout_ms, SqError *error);

/* Readable when the answer is there. */
extern int sq_kafka_call_fd(const SqKafkaCall *call);
/* SQ_WAIT, SQ_OK, or SQ_ERROR: what the cluster said; 08006 when it did not
 * answer in time. */
extern SqStatus sq_kafka_call_poll(SqKafkaCall *call, SqError *error);
/* The answer, owned by the call; after SQ_OK only, for its kind only. */
extern const SqKafkaTopic *sq_kafka_call_topics(SqKafkaCall *call, int *count);
extern const SqKafkaWatermark *sq_kafka_call_watermarks(SqKafkaCall *call,
														int *count);
extern const SqKafkaTime *sq_kafka_call_times(SqKafkaCall *call, int *count);
extern void sq_kafka_call_free(SqKafkaCall *call);

/* ---- Records ---- */

typedef enum SqTimestampType
{
	SQ_TIMESTAMP_NONE,
	SQ_TIMESTAMP_CREATE,
	SQ_TIMESTAMP_APPEND
} SqTimestampType;

/* One record; the slices point into its record set. */
typedef struct SqRecord
{
	int64 offset;
	int64 timestamp; /* ms since 1970; meaningless for SQ_TIMESTAMP_NONE */
	int32 partition;
	SqTimestampType timestamp_type;
	SqSlice key;   /* data NULL: no key */
	SqSlice value; /* data NULL: tombstone */
} SqRecord;

typedef struct SqHeader
{
	const char *name; /* ended by NUL, as sent: maybe not UTF-8 */
	SqSlice value;
} SqHeader;

/* Records that came together, and the buffer they lie in. */
typedef struct SqRecordSet
{
	int count;
	const SqRecord *records;
	size_t bytes; /* of keys and values */
} SqRecordSet;

/* The headers of one record, in order, repeats kept; the array is valid until
 * the next call for this set. NULL and 0 without headers. */
extern const SqHeader *sq_kafka_set_headers(SqRecordSet *set, int record,
											int *count);
/* End a set; every slice of it is gone. May outlive its reader, not its
 * client. */
extern void sq_kafka_set_release(SqRecordSet *set);

/* ---- Reader ---- */

typedef struct SqKafkaReader SqKafkaReader;

/* begin <= offset < end of one partition. With an end of INT64_MAX the range
 * has none: reading follows the partition. */
typedef struct SqKafkaRange
{
	int32 partition;
	int64 begin;
	int64 end;
} SqKafkaRange;

typedef struct SqKafkaReaderStats
{
	int64 messages; /* handed out */
	int64 bytes;    /* of their keys and values */
	int64 waits;    /* times SQ_WAIT was answered */
} SqKafkaReaderStats;

/* A reader of one topic over a client that has no other open reader. Sets
 * have at most max_records records. */
extern SqKafkaReader *sq_kafka_reader_open(SqKafkaClient *client,
										   const char *topic, int max_records,
										   SqError *error);

/*
 * Start reading these ranges, dropping what was being read. Ranges are
 * ordered by partition and begin, disjoint, each not empty. Partitions are
 * read together, the ranges of one partition in order. Each begin must be at
 * or above the low watermark: what retention has deleted by then is an error
 * of the reading, not a silent gap.
 */
extern SqStatus sq_kafka_reader_assign(SqKafkaReader *reader,
									   const SqKafkaRange *ranges, int count,
									   SqError *error);

/*
 * The next set in *set (SQ_OK, never empty, owned by the caller), SQ_WAIT,
 * SQ_DONE when every range was read to its end, SQ_ERROR. A range ends with
 * the record end - 1, one at or past end, or the broker's word that the
 * partition ends at or past it; never by time.
 */
extern SqStatus sq_kafka_reader_next(SqKafkaReader *reader, SqRecordSet **set,
									 SqError *error);
/* Readable when there is something to read. */
extern int sq_kafka_reader_fd(const SqKafkaReader *reader);
extern const SqKafkaReaderStats *
sq_kafka_reader_stats(const SqKafkaReader *reader);

/* How far a partition of the assignment was read. */
typedef struct SqKafkaProgress
{
	int32 partition;
	int64 position; /* everything before it was handed out, or is no record */
	int64 end; /* of the partition, as the last fetch said; -1: not known */
} SqKafkaProgress;

/* The progress of every partition with ranges left, ordered by partition, at
 * most max of them; their number. Costs no request. */
extern int sq_kafka_reader_progress(const SqKafkaReader *reader,
									SqKafkaProgress *progress, int max);

/* End it. Does not block; afterwards the client is as healthy as before,
 * unless this answers false (then release it as not healthy). */
extern bool sq_kafka_reader_close(SqKafkaReader *reader);

/* ---- Writer ---- */

/*
 * A producer with one configuration, for one owner at a time: idempotent
 * (what is acknowledged is there once, in the order of the puts of a
 * partition), and transactional if it has a transactional id. Records without
 * a partition are placed by their key as Java's clients place them (murmur2);
 * those without a key anywhere.
 *
 * Steps that take time answer SQ_WAIT: wait for the writer's descriptor and
 * call the same step again with the same arguments. They have no timeout of
 * their own; the owner gives up by closing the writer. One step is under way
 * at a time. After SQ_ERROR of any of them only abort and close make sense.
 */
typedef struct SqKafkaWriter SqKafkaWriter;

/* A record to be written. */
typedef struct SqKafkaDraft
{
	int32 partition; /* -1: by the key */
	int64 timestamp; /* ms since 1970, over 0; 0: the moment of the put */
	SqSlice key;     /* data NULL: no key */
	SqSlice value;   /* data NULL: tombstone */
	int header_count;
	const SqHeader *headers;
} SqKafkaDraft;

/* Bytes of its key, value and headers. */
extern int64 sq_kafka_draft_bytes(const SqKafkaDraft *draft);

/* Where the first record of this transaction (without one: since the writer
 * was acquired) lies in a partition. */
typedef struct SqKafkaWritten
{
	const char *topic;
	int32 partition;
	int64 offset;
} SqKafkaWritten;

typedef struct SqKafkaWriterStats
{
	int64 records;      /* put, since the writer was acquired */
	int64 bytes;        /* of their keys, values and headers */
	int64 acknowledged; /* records, by the cluster */
} SqKafkaWriterStats;

/*
 * Take an idle writer with the same configuration and transactional id (NULL:
 * none) from this process's pool, or make one. Does not connect yet. NULL and
 * an error if librdkafka refuses (a delivery that is not idempotent, say).
 */
extern SqKafkaWriter *sq_kafka_writer_acquire(const SqKafkaConfig *config,
											  const char *transactional_id,
											  SqError *error);

/*
 * Give it back, and don't wait. With everything acknowledged and no
 * transaction it goes to the pool, where it is closed when it was idle for
 * long or too many are. An open transaction is first aborted by a thread, and
 * the writer goes to the pool all the same: its next begin waits for that.
 * Every other writer (a commit without an answer, an error) is closed.
 */
extern void sq_kafka_writer_release(SqKafkaWriter *writer);

/* As sq_kafka_client_check and sq_kafka_client_complaint. */
extern SqStatus sq_kafka_writer_check(SqKafkaWriter *writer, SqError *error);
extern const char *sq_kafka_writer_complaint(SqKafkaWriter *writer);

/* Begin a transaction. The first one of a writer makes the cluster end what
 * an earlier owner of the transactional id left open. Step. */
extern SqStatus sq_kafka_writer_begin(SqKafkaWriter *writer, SqError *error);

/* Put a record into the queue; it is copied. SQ_WAIT: the queue is full, wait
 * and put it again. SQ_ERROR: this record can't be written (54000: too large)
 * or an earlier one of the topic was not. The topic must exist: a cluster may
 * create one that is written to. */
extern SqStatus sq_kafka_writer_put(SqKafkaWriter *writer, const char *topic,
									const SqKafkaDraft *draft, SqError *error);

/* Send what is queued, until all is acknowledged. Step; SQ_ERROR names the
 * topic and why its first lost record was not acknowledged. */
extern SqStatus sq_kafka_writer_flush(SqKafkaWriter *writer, SqError *error);

/*
 * Commit the transaction, after a flush. Step. SQ_ERROR: it is known not to
 * be committed, unless the sqlstate is 08007: the answer was lost, and the
 * transaction is there whole or not at all.
 */
extern SqStatus sq_kafka_writer_commit(SqKafkaWriter *writer, SqError *error);

/* Abort the transaction: nothing of it will be seen by read_committed readers.
 * Step. (Release does it without waiting.) */
extern SqStatus sq_kafka_writer_abort(SqKafkaWriter *writer, SqError *error);

/* Readable when the step, or the queue, may go on. */
extern int sq_kafka_writer_fd(const SqKafkaWriter *writer);

/* Of the records acknowledged, ordered by topic and partition; owned by the
 * writer, valid until its next step. */
extern const SqKafkaWritten *sq_kafka_writer_written(SqKafkaWriter *writer,
													 int *count);
extern const SqKafkaWriterStats *
sq_kafka_writer_stats(const SqKafkaWriter *writer);

/* Close every idle writer in threads (sq_kafka_pool_shutdown does it too and
 * waits for them). */
extern void sq_kafka_writer_close_idle(void);

#endif
