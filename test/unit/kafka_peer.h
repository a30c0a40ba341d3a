/*
 * kafka_peer.h
 *		The other end of a connection, for tests: it follows a script.
 *
 * The peer is a socket of this very thread: a step of the connection and a few
 * bytes of the peer take turns, so that every cut between two bytes can be
 * made.
 */
#ifndef SQ_KAFKA_PEER_H
#define SQ_KAFKA_PEER_H

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kafka/kafka_connection.h"
#include "kafka/kafka_internal.h"
#include "kafka/kafka_transport.h"
#include "unit.h"

#define MS 5000

static SqError error;

/* The other end: a listener, the connection that it has taken, and the bytes
 * that came. */
typedef struct Peer
{
	int listener;
	int port;
	int fd;
	char *got;
	size_t length;
} Peer;

/* ---- The peer ---- */

static inline Peer
peer_listen(void)
{
	Peer peer = {.fd = -1};
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t size = sizeof(address);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	peer.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	bind(peer.listener, (struct sockaddr *) &address, sizeof(address));
	listen(peer.listener, 4);
	getsockname(peer.listener, (struct sockaddr *) &address, &size);
	peer.port = ntohs(address.sin_port);
	return peer;
}

static inline void
peer_hang_up(Peer *peer)
{
	if (peer->fd >= 0)
		close(peer->fd);
	peer->fd = -1;
	free(peer->got);
	peer->got = NULL;
	peer->length = 0;
}

static inline void
peer_end(Peer *peer)
{
	peer_hang_up(peer);
	close(peer->listener);
}

/* Take what the connection has sent. */
static inline void
peer_read(Peer *peer)
{
	char piece[65536];
	ssize_t got;

	if (peer->fd < 0)
		peer->fd = accept4(peer->listener, NULL, NULL, SOCK_NONBLOCK);
	while (peer->fd >= 0 && (got = recv(peer->fd, piece, sizeof(piece), 0)) > 0)
	{
		peer->got = realloc(peer->got, peer->length + got);
		memcpy(peer->got + peer->length, piece, got);
		peer->length += got;
	}
}

/* Is there a whole request, or something else? */
static inline bool
peer_has_request(const Peer *peer)
{
	uint32 length;

	if (peer->length > 0 && peer->got[0] != 0)
		return true;
	if (peer->length < sizeof(length))
		return false;
	memcpy(&length, peer->got, sizeof(length));
	return peer->length >= sizeof(length) + pg_ntoh32(length);
}

/* The request at the front, and drop it. */
typedef struct Request
{
	int api;
	int version;
	int32 id;
	char body[1024];
	size_t length;
} Request;

static inline Request
peer_take(Peer *peer)
{
	SqKafkaCursor cursor = sq_kafka_cursor((SqSlice){peer->got, peer->length});
	size_t whole = sq_kafka_read_int32(&cursor) + sizeof(int32);
	Request request = {.api = -1};

	if (!peer_has_request(peer))
		return request;
	cursor.end = peer->got + whole;
	request.api = sq_kafka_read_int16(&cursor);
	request.version = sq_kafka_read_int16(&cursor);
	request.id = sq_kafka_read_int32(&cursor);
	sq_kafka_read_string(&cursor, false);
	request.length = Min(sq_kafka_read_left(&cursor), sizeof(request.body));
	memcpy(request.body, cursor.at, request.length);
	peer->length -= whole;
	memmove(peer->got, peer->got + whole, peer->length);
	return request;
}

static inline void
peer_send(Peer *peer, const void *data, size_t length)
{
	CHECK_INT(send(peer->fd, data, length, MSG_NOSIGNAL), length);
}

/* Send a frame: id and body, or with an id of -1 the body alone. */
static inline void
peer_answer(Peer *peer, int32 id, const SqKafkaOutput *body)
{
	SqKafkaOutput out = {0};

	sq_kafka_write_int32(&out, (int32) body->length + (id < 0 ? 0 : 4));
	if (id >= 0)
		sq_kafka_write_int32(&out, id);
	sq_kafka_write_raw(&out, body->data, body->length);
	peer_send(peer, out.data, out.length);
	free(out.data);
}

/* ---- Both ends ---- */

/* Step the connection until it does not want to wait, the peer has a whole
 * request, or nothing happens for a while. */
static inline SqStatus
turn(SqKafkaConnection *connection, Peer *peer)
{
	int64 until = sq_kafka_now() + MS;
	SqStatus status;

	for (;;)
	{
		struct pollfd wait;

		status = sq_kafka_connection_poll(connection, &error);
		peer_read(peer);
		if (status != SQ_WAIT || peer_has_request(peer) ||
			sq_kafka_now() > until)
			return status;
		wait = (struct pollfd){
			.fd = sq_kafka_connection_fd(connection),
			.events =
				(sq_kafka_connection_events(connection) & SQ_KAFKA_READABLE
					 ? POLLIN
					 : 0) |
				(sq_kafka_connection_events(connection) & SQ_KAFKA_WRITABLE
					 ? POLLOUT
					 : 0)};
		poll(&wait, 1, 10);
	}
}

/* Step until it is ready or has failed. */
static inline SqStatus
settle(SqKafkaConnection *connection)
{
	int64 until = sq_kafka_now() + MS;
	SqStatus status;

	while ((status = sq_kafka_connection_poll(connection, &error)) == SQ_WAIT &&
		   sq_kafka_now() < until)
		poll(&(struct pollfd){.fd = sq_kafka_connection_fd(connection),
							  .events = POLLIN},
			 1, 10);
	return status;
}

static inline SqStatus
receive(SqKafkaConnection *connection, SqKafkaFrame *frame)
{
	int64 until = sq_kafka_now() + MS;
	SqStatus status;

	while ((status = sq_kafka_connection_receive(connection, frame, &error)) ==
			   SQ_WAIT &&
		   sq_kafka_now() < until)
		poll(&(struct pollfd){.fd = sq_kafka_connection_fd(connection),
							  .events = POLLIN},
			 1, 10);
	return status;
}

static inline SqKafkaConnection *
open_with(const Peer *peer, const SqKafkaProperty *properties, int count)
{
	SqKafkaConfig config = {count, properties};
	SqKafkaSettings *settings = sq_kafka_settings_create(&config, &error);
	SqKafkaConnection *connection =
		sq_kafka_connection_open(settings, "127.0.0.1", peer->port, &error);

	sq_kafka_settings_drop(settings);
	return connection;
}

static inline SqKafkaConnection *
open_plain(const Peer *peer)
{
	return open_with(peer, NULL, 0);
}

static inline SqKafkaConnection *
open_login(const Peer *peer, const char *mechanism)
{
	const SqKafkaProperty properties[] = {
		{"security.protocol", "sasl_plaintext"},
		{"sasl.mechanism", mechanism},
		{"sasl.username", "me"},
		{"sasl.password", "secret"}};

	return open_with(peer, properties, lengthof(properties));
}

/* The list of versions, as version 3 or 0 has it. */
static inline SqKafkaOutput
versions_body(int16 code, bool flexible, int16 login_most)
{
	static const int16 apis[] = {1, 3, 17, 18};
	SqKafkaOutput body = {0};

	sq_kafka_write_int16(&body, code);
	sq_kafka_write_count(&body, lengthof(apis) + (login_most >= 0), flexible);
	for (int i = 0; i < lengthof(apis) + (login_most >= 0); i++)
	{
		sq_kafka_write_int16(&body, i < lengthof(apis) ? apis[i] : 36);
		sq_kafka_write_int16(&body, i == 0 ? 4 : 0);
		sq_kafka_write_int16(&body, i == 0               ? 13
									: i < lengthof(apis) ? 9
														 : login_most);
		sq_kafka_write_no_tags(&body, flexible);
	}
	if (flexible)
		sq_kafka_write_int32(&body, 0);
	sq_kafka_write_no_tags(&body, flexible);
	return body;
}

static inline void
answer_versions(Peer *peer, int32 id, int16 login_most)
{
	SqKafkaOutput body = versions_body(0, true, login_most);

	peer_answer(peer, id, &body);
	free(body.data);
}

/* A connection that is ready. */
static inline SqKafkaConnection *
open_ready(Peer *peer)
{
	SqKafkaConnection *connection = open_plain(peer);

	turn(connection, peer);
	answer_versions(peer, peer_take(peer).id, 2);
	CHECK_INT(settle(connection), SQ_OK);
	return connection;
}

static inline void
end(SqKafkaConnection *connection, Peer *peer)
{
	sq_kafka_connection_close(connection);
	peer_hang_up(peer);
}

#endif
