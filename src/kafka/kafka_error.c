/*
 * kafka_error.c
 *		Kafka's and librdkafka's errors in PostgreSQL's terms.
 *
 * Memory: none. Locks: none.
 */
#include <librdkafka/rdkafka.h>

#include "kafka/kafka_internal.h"

bool
sq_kafka_error_is_transient(int code)
{
	switch (code)
	{
		case RD_KAFKA_RESP_ERR__TRANSPORT:
		case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
		case RD_KAFKA_RESP_ERR__RESOLVE:
		case RD_KAFKA_RESP_ERR__TIMED_OUT:
		case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
		case RD_KAFKA_RESP_ERR__WAIT_CACHE:
		case RD_KAFKA_RESP_ERR__WAIT_COORD:
		case RD_KAFKA_RESP_ERR__PREV_IN_PROGRESS:
		case RD_KAFKA_RESP_ERR__RETRY:
		/* These two end by sq_kafka_client_check. */
		case RD_KAFKA_RESP_ERR__AUTHENTICATION:
		case RD_KAFKA_RESP_ERR__SSL:
		case RD_KAFKA_RESP_ERR_UNKNOWN:
		case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
		case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
		case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
		case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
		case RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE:
		case RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
		case RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR:
		case RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH:
		case RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH:
		case RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE:
		case RD_KAFKA_RESP_ERR_PREFERRED_LEADER_NOT_AVAILABLE:
		case RD_KAFKA_RESP_ERR_ELIGIBLE_LEADERS_NOT_AVAILABLE:
			return true;
		default:
			return false;
	}
}

static int
sqlstate_of(int code)
{
	switch (code)
	{
		case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
			return ERRCODE_INSUFFICIENT_PRIVILEGE;
		case RD_KAFKA_RESP_ERR__BAD_MSG:
		case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
		case RD_KAFKA_RESP_ERR_INVALID_MSG:
		case RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE:
			return ERRCODE_DATA_CORRUPTED;
		case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
		case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
		case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
			return ERRCODE_FEATURE_NOT_SUPPORTED;
		default:
			return ERRCODE_FDW_ERROR;
	}
}

static SqStatus
add_reason(SqError *error, int code, const char *reason)
{
	sq_error_detail(
		error, "Kafka's client says: %s.",
		reason != NULL ? reason : rd_kafka_err2str((rd_kafka_resp_err_t) code));
	return SQ_ERROR;
}

SqStatus
sq_kafka_error_topic(SqError *error, int code, const char *topic,
					 const char *reason)
{
	switch (code)
	{
		case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
		case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
			sq_error_set(error, ERRCODE_UNDEFINED_TABLE,
						 "topic \"%s\" does not exist", topic);
			sq_error_hint(error, "Kafka also hides topics that the user of the "
								 "connection may not describe.");
			return SQ_ERROR;
		case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
			return sq_error_set(error, ERRCODE_UNDEFINED_OBJECT,
								"a partition of topic \"%s\" does not exist",
								topic);
		case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
			return sq_error_set(error, ERRCODE_INVALID_NAME,
								"invalid topic name \"%s\"", topic);
		case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
			return sq_error_set(error, ERRCODE_INSUFFICIENT_PRIVILEGE,
								"permission denied for topic \"%s\"", topic);
		default:
			sq_error_set(error, sqlstate_of(code),
						 "could not read topic \"%s\"", topic);
			return add_reason(error, code, reason);
	}
}

/* A record was refused, or not acknowledged. */
SqStatus
sq_kafka_error_write(SqError *error, int code, const char *topic,
					 int32 partition, const char *reason)
{
	switch (code)
	{
		case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
		case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
			sq_error_set(error, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
						 "record is too large for topic \"%s\"", topic);
			sq_error_hint(error, "See message_max_bytes of the server and "
								 "max.message.bytes of the topic.");
			return SQ_ERROR;
		case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
			return sq_error_set(error, ERRCODE_INVALID_PARAMETER_VALUE,
								"topic \"%s\" has no partition %d", topic,
								partition);
		case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
			sq_error_set(error, ERRCODE_CONNECTION_FAILURE,
						 "topic \"%s\" did not acknowledge a record in time",
						 topic);
			return SQ_ERROR;
		case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
		case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
		case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
		case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
			return sq_kafka_error_topic(error, code, topic, reason);
		default:
			sq_error_set(error, sqlstate_of(code),
						 "could not write to topic \"%s\"", topic);
			return add_reason(error, code, reason);
	}
}

SqStatus
sq_kafka_error_transaction(SqError *error, int code, const char *what,
						   const char *brokers, const char *reason)
{
	switch (code)
	{
		case RD_KAFKA_RESP_ERR__FENCED:
		case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
		case RD_KAFKA_RESP_ERR_PRODUCER_FENCED:
		case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING:
		case RD_KAFKA_RESP_ERR_INVALID_TXN_STATE:
			sq_error_set(error, ERRCODE_TRANSACTION_ROLLBACK,
						 "Kafka at \"%s\" has ended the transaction", brokers);
			sq_error_hint(error,
						  "It was open for longer than transaction_timeout_ms, "
						  "or another writer has its transactional id.");
			break;
		case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
			sq_error_set(error, ERRCODE_INSUFFICIENT_PRIVILEGE,
						 "permission denied for transactions on Kafka at "
						 "\"%s\"",
						 brokers);
			break;
		default:
			sq_error_set(error, sqlstate_of(code),
						 "could not %s a transaction on Kafka at \"%s\"", what,
						 brokers);
			break;
	}
	sq_error_detail(
		error, "Kafka's client says: %s.",
		reason != NULL ? reason : rd_kafka_err2str((rd_kafka_resp_err_t) code));
	return SQ_ERROR;
}

SqStatus
sq_kafka_error_memory(SqError *error)
{
	return sq_error_set(error, ERRCODE_OUT_OF_MEMORY, "out of memory");
}
