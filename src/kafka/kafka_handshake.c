/*
 * kafka_handshake.c
 *		What is said before a connection is ready: versions, then the login.
 *
 * ApiVersions is asked in version 3, which brokers from 2.4 on know; an older
 * one answers UNSUPPORTED_VERSION in the form of version 0, and is asked in
 * that (KIP-511). The login is SaslHandshake, which names the mechanism, then
 * a conversation of tokens in SaslAuthenticate (KIP-152); where the broker
 * does not know that, the tokens are frames without headers.
 *
 * The login is good when both sides say so: the broker by an answer without an
 * error, libsasl2 by «complete». With a lifetime in the answer (KIP-368) the
 * connection expires.
 *
 * Memory: of the connection; frames are recycled. Locks: none.
 */
#include "kafka/kafka_internal.h"
#include "kafka/kafka_transport.h"

#define VERSIONS_VERSION     3
#define HANDSHAKE_VERSION    1
#define AUTHENTICATE_VERSION 2

/* Kafka's error codes that are met here. */
#define UNSUPPORTED_MECHANISM 33
#define ILLEGAL_STATE         34
#define UNSUPPORTED_VERSION   35

/* ---- Versions ---- */

bool
sq_kafka_api_is_flexible(SqKafkaApi api, int version)
{
	switch (api)
	{
		case SQ_KAFKA_FETCH:
			return version >= 12;
		case SQ_KAFKA_LIST_OFFSETS:
			return version >= 6;
		case SQ_KAFKA_METADATA:
			return version >= 9;
		case SQ_KAFKA_API_VERSIONS:
			return version >= 3;
		case SQ_KAFKA_OFFSET_FOR_LEADER_EPOCH:
			return version >= 4;
		case SQ_KAFKA_SASL_AUTHENTICATE:
			return version >= 2;
		default:
			return false;
	}
}

int
sq_kafka_connection_version(const SqKafkaConnection *connection, SqKafkaApi api,
							int least, int most)
{
	const SqKafkaVersions *broker = &connection->versions[api];

	most = Min(most, broker->most);
	return most >= Max(least, broker->least) ? most : -1;
}

static SqStatus
ask_versions(SqKafkaConnection *connection, int version)
{
	SqKafkaOutput *out =
		sq_kafka_connection_begin(connection, SQ_KAFKA_API_VERSIONS, version);

	if (version >= 3)
	{
		sq_kafka_write_string(out, "streamsql", true);
		sq_kafka_write_string(out, "1.0", true);
		sq_kafka_write_no_tags(out, true);
	}
	return sq_kafka_connection_queue(connection);
}

SqStatus
sq_kafka_handshake_start(SqKafkaConnection *connection)
{
	sq_kafka_connection_enter(connection, SQ_KAFKA_NEGOTIATING);
	return ask_versions(connection, VERSIONS_VERSION);
}

/* Ready: nothing of the login is needed any more. */
static SqStatus
become_ready(SqKafkaConnection *connection)
{
	if (connection->login != NULL)
		sq_kafka_job_drop(&connection->login->job);
	connection->login = NULL;
	sq_kafka_connection_enter(connection, SQ_KAFKA_READY);
	return SQ_OK;
}

static SqStatus
ask_mechanism(SqKafkaConnection *connection)
{
	int version = sq_kafka_connection_version(
		connection, SQ_KAFKA_SASL_HANDSHAKE, 0, HANDSHAKE_VERSION);
	SqKafkaOutput *out;

	connection->login_version = sq_kafka_connection_version(
		connection, SQ_KAFKA_SASL_AUTHENTICATE, 0, AUTHENTICATE_VERSION);
	/* version 0 says that bare tokens follow */
	if (connection->login_version < 0 || version == 0)
		connection->login_version = version = -1;
	sq_kafka_connection_enter(connection, SQ_KAFKA_LOGGING_IN);
	out = sq_kafka_connection_begin(connection, SQ_KAFKA_SASL_HANDSHAKE,
									Max(version, 0));
	sq_kafka_write_string(out, connection->settings->mechanism, false);
	return sq_kafka_connection_queue(connection);
}

/* Read the list of APIs; false if the answer is cut off. */
static bool
read_versions(SqKafkaConnection *connection, SqKafkaCursor *cursor,
			  bool flexible)
{
	int32 count = sq_kafka_read_count(cursor, flexible, 6);

	for (int i = 0; i < SQ_KAFKA_API_COUNT; i++)
		connection->versions[i] = (SqKafkaVersions){0, -1};
	for (int32 i = 0; i < count; i++)
	{
		int16 api = sq_kafka_read_int16(cursor);
		int16 least = sq_kafka_read_int16(cursor);
		int16 most = sq_kafka_read_int16(cursor);

		sq_kafka_skip_tags(cursor, flexible);
		if (cursor->failed)
			return false;
		if (api >= 0 && api < SQ_KAFKA_API_COUNT)
			connection->versions[api] = (SqKafkaVersions){least, most};
	}
	return !cursor->failed;
}

static SqStatus
hear_versions(SqKafkaConnection *connection, const SqKafkaFrame *frame)
{
	SqKafkaCursor cursor = sq_kafka_cursor(frame->body);
	int code = sq_kafka_read_int16(&cursor);
	char detail[64];

	if (code == UNSUPPORTED_VERSION && frame->version > 0)
		return ask_versions(connection, 0);
	if (code != 0 && !cursor.failed)
	{
		snprintf(detail, sizeof(detail),
				 "Asked for its versions it says error %d.", code);
		return sq_kafka_connection_nonsense(connection, detail);
	}
	if (!read_versions(connection, &cursor, frame->version >= 3))
		return sq_kafka_connection_nonsense(
			connection, "The list of its versions is cut off.");
	return connection->settings->sasl ? ask_mechanism(connection)
									  : become_ready(connection);
}

/* ---- Login ---- */

/* The login has failed; detail says why. */
static SqStatus
fail_login(SqKafkaConnection *connection, const char *detail)
{
	sq_error_set(&connection->fault,
				 ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
				 "could not log in to Kafka at \"%s\"", connection->name);
	sq_error_detail(&connection->fault, "%s", detail);
	return sq_kafka_connection_fail(connection, SQ_KAFKA_LASTING);
}

/* A step of libsasl2 has begun, or could not. */
static SqStatus
work(SqKafkaConnection *connection, bool begun)
{
	connection->login_working = begun;
	return begun ? SQ_OK
				 : sq_kafka_connection_fail(connection, SQ_KAFKA_PASSING);
}

/* The names of the mechanisms that the broker has, for a message. */
static void
list_mechanisms(SqKafkaCursor *cursor, char *list, size_t size)
{
	int32 count = sq_kafka_read_count(cursor, false, 2);
	char name[64];

	list[0] = '\0';
	for (int32 i = 0; i < count && !cursor->failed; i++)
	{
		sq_kafka_read_text(sq_kafka_read_string(cursor, false), name,
						   sizeof(name));
		strlcat(list, i > 0 ? ", " : "", size);
		strlcat(list, name, size);
	}
}

static SqStatus
hear_mechanism(SqKafkaConnection *connection, const SqKafkaFrame *frame)
{
	SqKafkaCursor cursor = sq_kafka_cursor(frame->body);
	int code = sq_kafka_read_int16(&cursor);
	char list[SQ_ERROR_TEXT / 4];
	char detail[SQ_ERROR_TEXT / 2];

	list_mechanisms(&cursor, list, sizeof(list));
	if (cursor.failed)
		return sq_kafka_connection_nonsense(
			connection, "The list of its mechanisms is cut off.");
	if (code == 0)
	{
		connection->login = sq_kafka_sasl_start(
			connection->settings, connection->host, &connection->fault);
		return work(connection, connection->login != NULL);
	}
	if (code == UNSUPPORTED_MECHANISM)
		snprintf(detail, sizeof(detail),
				 "The broker has not the SASL mechanism %s, but: %s.",
				 connection->settings->mechanism, list);
	else if (code == ILLEGAL_STATE)
		snprintf(detail, sizeof(detail),
				 "The port is not one with a login: see the option "
				 "\"security_protocol\".");
	else
		snprintf(detail, sizeof(detail),
				 "The broker answers the wish to log in with error %d.", code);
	return fail_login(connection, detail);
}

static SqStatus
send_token(SqKafkaConnection *connection, SqSlice token)
{
	int version = connection->login_version;
	SqKafkaOutput *out = sq_kafka_connection_begin(
		connection, version < 0 ? 0 : SQ_KAFKA_SASL_AUTHENTICATE,
		Max(version, 0));

	if (version < 0)
		sq_kafka_write_raw(out, token.data, token.length);
	else
	{
		sq_kafka_write_bytes(out, token, version >= 2);
		sq_kafka_write_no_tags(out, version >= 2);
	}
	return sq_kafka_connection_queue(connection);
}

/* A step of libsasl2 may be done. */
static SqStatus
look_at_login(SqKafkaConnection *connection)
{
	SqKafkaLogin *login = connection->login;
	char detail[SQ_ERROR_TEXT];

	if (!sq_kafka_job_done(&login->job))
		return SQ_WAIT;
	connection->login_working = false;
	if (login->failed)
	{
		snprintf(detail, sizeof(detail), "SASL mechanism %s: %s.",
				 connection->settings->mechanism, login->reason);
		return fail_login(connection, detail);
	}
	return login->sends ? send_token(connection, login->token)
						: become_ready(connection);
}

/* The broker has answered a token. */
static SqStatus
take_token(SqKafkaConnection *connection, SqSlice token)
{
	if (connection->login->complete)
		return become_ready(connection);
	return work(connection, sq_kafka_sasl_step(connection->login, token,
											   &connection->fault));
}

static SqStatus
hear_token(SqKafkaConnection *connection, const SqKafkaFrame *frame)
{
	SqKafkaCursor cursor = sq_kafka_cursor(frame->body);
	bool flexible = frame->version >= 2;
	int code;
	SqSlice said;
	SqSlice token;
	int64 lifetime = 0;
	char reason[SQ_ERROR_TEXT / 2];
	char detail[SQ_ERROR_TEXT];

	if (frame->api == 0)
		return take_token(connection, frame->body);
	code = sq_kafka_read_int16(&cursor);
	said = sq_kafka_read_string(&cursor, flexible);
	token = sq_kafka_read_bytes(&cursor, flexible);
	if (frame->version >= 1)
		lifetime = sq_kafka_read_int64(&cursor);
	if (cursor.failed)
		return sq_kafka_connection_nonsense(
			connection, "Its answer to the login is cut off.");
	if (code != 0)
	{
		sq_kafka_read_text(said, reason, sizeof(reason));
		snprintf(detail, sizeof(detail), "The broker says: %s (error %d).",
				 reason[0] != '\0' ? reason : "nothing", code);
		return fail_login(connection, detail);
	}
	if (lifetime > 0 && lifetime < PG_INT64_MAX - sq_kafka_now())
		connection->expires = sq_kafka_now() + lifetime;
	return take_token(connection, token);
}

/* ---- Steps ---- */

SqStatus
sq_kafka_handshake_step(SqKafkaConnection *connection)
{
	SqKafkaFrame frame;
	SqStatus status;

	if (connection->login_working)
		return look_at_login(connection);
	status = sq_kafka_connection_exchange(connection, &frame);
	if (status != SQ_OK)
		return status;
	switch (frame.api)
	{
		case SQ_KAFKA_API_VERSIONS:
			status = hear_versions(connection, &frame);
			break;
		case SQ_KAFKA_SASL_HANDSHAKE:
			status = hear_mechanism(connection, &frame);
			break;
		default:
			status = hear_token(connection, &frame);
			break;
	}
	sq_kafka_connection_recycle(connection, frame.buffer);
	return status;
}
