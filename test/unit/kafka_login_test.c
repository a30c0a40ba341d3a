/*
 * kafka_login_test.c
 *		Logging in to a peer that follows a script; real brokers are in
 *		test/t/031_connection.t.
 *
 * Links: src/kafka, src/base, OpenSSL, libsasl2, pthread.
 */
#include "kafka_peer.h"

/* ---- Logins ---- */

/* Up to the request for a mechanism; its answer with this code. */
static SqKafkaConnection *
open_to_login(Peer *peer, const char *mechanism, int16 most, int16 code)
{
	SqKafkaConnection *connection = open_login(peer, mechanism);
	SqKafkaOutput body = {0};
	Request request;

	turn(connection, peer);
	answer_versions(peer, peer_take(peer).id, most);
	turn(connection, peer);
	request = peer_take(peer);
	CHECK_INT(request.api, SQ_KAFKA_SASL_HANDSHAKE);
	CHECK_INT(request.version, most < 0 ? 0 : 1);
	sq_kafka_write_int16(&body, code);
	sq_kafka_write_int32(&body, 2);
	sq_kafka_write_string(&body, "ONE", false);
	sq_kafka_write_string(&body, "T\nO", false);
	peer_answer(peer, request.id, &body);
	free(body.data);
	turn(connection, peer);
	return connection;
}

static void
answer_token(Peer *peer, int version, int16 code, const char *token)
{
	SqKafkaOutput body = {0};
	Request request = peer_take(peer);

	CHECK_INT(request.api, SQ_KAFKA_SASL_AUTHENTICATE);
	CHECK_INT(request.version, version);
	/* since version 2 the header of an answer has tags */
	sq_kafka_write_no_tags(&body, version >= 2);
	sq_kafka_write_int16(&body, code);
	sq_kafka_write_string(&body, code ? "No such thing." : NULL, version >= 2);
	sq_kafka_write_bytes(&body, (SqSlice){token, strlen(token)}, version >= 2);
	if (version >= 1)
		sq_kafka_write_int64(&body, 60000);
	sq_kafka_write_no_tags(&body, version >= 2);
	peer_answer(peer, request.id, &body);
	free(body.data);
}

static void
test_plain(Peer *peer)
{
	SqKafkaConnection *connection;
	SqKafkaOutput nothing = {0};
	int64 left;

	for (int version = 0; version <= 2; version++)
	{
		connection = open_to_login(peer, "PLAIN", version, 0);
		CHECK(memmem(peer->got, peer->length, "\0me\0secret", 10) != NULL);
		answer_token(peer, version, 0, "");
		CHECK_INT(settle(connection), SQ_OK);
		left = sq_kafka_connection_expires(connection) - sq_kafka_now();
		CHECK(version == 0 ? left < 0 : left > 59000 && left <= 60000);
		CHECK_NAMED(memmem(connection->out.data, connection->out.capacity,
						   "secret", 6) == NULL,
					"the password is wiped");
		end(connection, peer);
	}
	connection = open_to_login(peer, "PLAIN", 2, 0);
	answer_token(peer, 2, 58, "");
	CHECK_INT(settle(connection), SQ_ERROR);
	CHECK_INT(error.sqlstate, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION);
	CHECK_STR(error.detail, "The broker says: No such thing (error 58).");
	CHECK_INT(sq_kafka_connection_trouble(connection), SQ_KAFKA_LASTING);
	end(connection, peer);

	connection = open_to_login(peer, "PLAIN", -1, 0);
	CHECK(peer->length == 14 &&
		  memcmp(peer->got, "\0\0\0\x0a\0me\0secret", 14) == 0);
	peer_answer(peer, -1, &nothing);
	CHECK_INT(settle(connection), SQ_OK);
	end(connection, peer);
}

static void
test_mechanism(Peer *peer)
{
	SqKafkaConnection *connection = open_to_login(peer, "PLAIN", 2, 33);

	CHECK_INT(settle(connection), SQ_ERROR);
	CHECK_STR(error.detail,
			  "The broker has not the SASL mechanism PLAIN, but: ONE, T?O.");
	end(connection, peer);
	connection = open_to_login(peer, "PLAIN", 2, 34);
	CHECK_INT(settle(connection), SQ_ERROR);
	CHECK_INT(error.sqlstate, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION);
	end(connection, peer);
}

/* The nonce that a first message of SCRAM has at its end. */
static void
first_answer(const Peer *peer, const char *rest, char *answer, size_t size)
{
	const char *nonce = memmem(peer->got, peer->length, ",r=", 3);
	size_t length = peer->got + peer->length - nonce - 2; /* and tags */

	snprintf(answer, size, "%.*sMINE,%s", (int) length, nonce + 1, rest);
}

/* Brokers that don't prove who they are, or want too much. */
static void
test_scram(Peer *peer)
{
	char answer[512];
	SqKafkaConnection *connection;

	connection = open_to_login(peer, "SCRAM-SHA-256", 2, 0);
	first_answer(peer, "s=c2FsdA==,i=1000001", answer, sizeof(answer));
	answer_token(peer, 2, 0, answer);
	CHECK_INT(settle(connection), SQ_ERROR);
	CHECK_STR(error.detail, "The broker asks to hash the password 1000001 "
							"times, more than 1000000.");
	end(connection, peer);

	connection = open_to_login(peer, "SCRAM-SHA-256", 2, 0);
	answer_token(peer, 2, 0, "");
	CHECK_INT(settle(connection), SQ_ERROR);
	CHECK_INT(error.sqlstate, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION);
	end(connection, peer);

	for (int wrong = 0; wrong < 2; wrong++)
	{
		connection = open_to_login(peer, "SCRAM-SHA-256", 2, 0);
		first_answer(peer, "s=c2FsdA==,i=4096", answer, sizeof(answer));
		answer_token(peer, 2, 0, answer);
		turn(connection, peer);
		answer_token(peer, 2, 0,
					 wrong ? "v=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaE="
						   : "");
		CHECK_INT(settle(connection), SQ_ERROR);
		CHECK_NAMED(
			strncmp(error.detail, "SASL mechanism SCRAM-SHA-256: ", 30) == 0,
			"no proof, no login: %s", error.detail);
		end(connection, peer);
	}
}

int
main(void)
{
	Peer peer = peer_listen();

	test_plain(&peer);
	test_mechanism(&peer);
	test_scram(&peer);
	peer_end(&peer);
	sq_kafka_thread_wait(5000);
	return unit_end();
}
