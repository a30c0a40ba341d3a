/*
 * kafka_connection_test.c
 *		Settings, and one connection against a peer that follows a script.
 *		Real brokers and TLS: test/t/031_connection.t.
 *
 * Links: src/kafka, src/base, OpenSSL, libsasl2, pthread.
 */
#include "kafka_peer.h"

/* ---- Settings ---- */

static const char *
reason_of(const char *name, const char *value, const char *protocol)
{
	static char reason[128];
	const SqKafkaProperty properties[] = {{"security.protocol", protocol},
										  {name, value}};
	const SqKafkaConfig config = {2, properties};

	return sq_kafka_settings_speak(&config, reason, sizeof(reason)) ? ""
																	: reason;
}

static void
test_speak(void)
{
	CHECK_STR(reason_of("client.id", "x", "plaintext"), "");
	CHECK_STR(reason_of("client.id", "x", "telnet"),
			  "security.protocol telnet");
	CHECK_STR(reason_of("sasl.mechanism", "OAUTHBEARER", "SASL_SSL"),
			  "sasl.mechanisms OAUTHBEARER");
	CHECK_STR(reason_of("sasl.mechanism", "OAUTHBEARER", "SSL"), "");
	CHECK_STR(reason_of("sasl.mechanisms", " plain", "sasl_ssl"), "");
	CHECK_STR(reason_of("sasl.mechanisms", "SCRAM-SHA-512", "sasl_ssl"), "");
	CHECK_STR(reason_of("ssl.providers", "legacy", "ssl"), "ssl.providers");
	CHECK_STR(reason_of("ssl.providers", "legacy", "plaintext"), "");
	CHECK_STR(reason_of("ssl.engine.location", "/x", "sasl_ssl"),
			  "ssl.engine.location");
	CHECK_STR(reason_of("ssl.ca.location", "probe", "ssl"),
			  "ssl.ca.location probe");
	CHECK_STR(reason_of("ssl.ca.location", "/x", "ssl"), "");
	CHECK_STR(reason_of("plugin.library.paths", "x.so", "ssl"),
			  "plugin.library.paths");
	CHECK_STR(reason_of("api.version.request", "0", "ssl"),
			  "api.version.request false");
	CHECK_STR(reason_of("api.version.request", "true", "ssl"), "");
}

static void
test_settings(void)
{
	SqKafkaProperty properties[] = {
		{"client.id", "first"},
		{"client.id", "second"},
		{"broker.address.family", "V6"},
		{"socket.keepalive.enable", "T"},
		{"socket.nagle.disable", "false"},
		{"receive.message.max.bytes", "0x1000"},
		{"enable.ssl.certificate.verification", "what"},
		{"security.protocol", "ssl"},
		{"ssl.endpoint.identification.algorithm", "NONE"}};
	SqKafkaConfig config = {lengthof(properties), properties};
	SqKafkaSettings *settings = sq_kafka_settings_create(&config, &error);

	CHECK_STR(settings->client_id, "second");
	CHECK_INT(settings->family, AF_INET6);
	CHECK(settings->keepalive && settings->nagle);
	CHECK_INT(settings->most_bytes, 4096);
	CHECK_NAMED(settings->verify_peer, "what is not understood is safe");
	CHECK(!settings->verify_host);
	sq_kafka_settings_drop(settings);
	config.count--;
	settings = sq_kafka_settings_create(&config, &error);
	CHECK_NAMED(settings->verify_host, "hosts are verified unless told not to");
	sq_kafka_settings_drop(settings);
	properties[0] = (SqKafkaProperty){"security.protocol", "sasl_ssl"};
	properties[1] = (SqKafkaProperty){"sasl.mechanism", "PLAIN"};
	config.count = 2;
	CHECK(sq_kafka_settings_create(&config, &error) == NULL);
	CHECK_STR(error.message, "no user and password for Kafka");
}

/* ---- Negotiation ---- */

/* Every byte of the answer alone. */
static void
test_bytewise(Peer *peer)
{
	SqKafkaConnection *connection = open_plain(peer);
	SqKafkaOutput body = versions_body(0, true, 2);
	SqKafkaOutput out = {0};
	Request request;
	bool waited = true;

	CHECK_INT(turn(connection, peer), SQ_WAIT);
	request = peer_take(peer);
	CHECK_INT(request.api, SQ_KAFKA_API_VERSIONS);
	CHECK_INT(request.version, 3);
	CHECK(request.length == 1 + 10 + 4 + 1 && memcmp(request.body,
													 "\0\x0astreamsql\4"
													 "1.0",
													 15) == 0);
	sq_kafka_write_int32(&out, (int32) body.length + 4);
	sq_kafka_write_int32(&out, request.id);
	sq_kafka_write_raw(&out, body.data, body.length);
	for (size_t i = 0; i < out.length; i++)
	{
		waited =
			waited && sq_kafka_connection_poll(connection, &error) == SQ_WAIT;
		send(peer->fd, out.data + i, 1, 0);
	}
	CHECK_NAMED(waited, "it waits for the last byte");
	CHECK_INT(settle(connection), SQ_OK);
	CHECK_INT(sq_kafka_connection_version(connection, SQ_KAFKA_FETCH, 4, 17),
			  13);
	CHECK_INT(sq_kafka_connection_version(connection, SQ_KAFKA_FETCH, 1, 3),
			  -1);
	CHECK_INT(sq_kafka_connection_version(connection, SQ_KAFKA_FETCH, 14, 17),
			  -1);
	CHECK_INT(
		sq_kafka_connection_version(connection, SQ_KAFKA_LIST_OFFSETS, 0, 9),
		-1);
	CHECK_INT(sq_kafka_connection_wait_ms(connection), -1);
	free(body.data);
	free(out.data);
	end(connection, peer);
}

static void
test_fallback(Peer *peer)
{
	SqKafkaConnection *connection = open_plain(peer);
	SqKafkaOutput refusal = versions_body(35, false, -1);
	SqKafkaOutput body = versions_body(0, false, -1);
	Request request;

	turn(connection, peer);
	peer_answer(peer, peer_take(peer).id, &refusal);
	turn(connection, peer);
	request = peer_take(peer);
	CHECK_INT(request.api, SQ_KAFKA_API_VERSIONS);
	CHECK_INT(request.version, 0);
	CHECK_INT(request.length, 0);
	peer_answer(peer, request.id, &body);
	CHECK_INT(settle(connection), SQ_OK);
	CHECK_INT(sq_kafka_connection_version(connection, SQ_KAFKA_METADATA, 4, 12),
			  9);
	end(connection, peer);

	connection = open_plain(peer);
	turn(connection, peer);
	peer_answer(peer, peer_take(peer).id, &refusal);
	turn(connection, peer);
	peer_answer(peer, peer_take(peer).id, &refusal);
	CHECK_INT(settle(connection), SQ_ERROR);
	CHECK_STR(error.detail, "Asked for its versions it says error 35.");
	end(connection, peer);
	free(refusal.data);
	free(body.data);
}

/* Answers to the first question that are none. */
static void
test_nonsense(Peer *peer)
{
	static const struct
	{
		const char *bytes;
		int length;
		const char *detail;
	} cases[] = {
		{"\xff\xff\xff\xff", 4, "It says that it has 4294967295 bytes."},
		{"\0\0\0\3abc", 7, "It says that it has 3 bytes."},
		{"\0\x10\0\1", 4, "It says that it has 1048577 bytes."},
		{"HTTP/1.1 400", 12, "It says that it has 1213486160 bytes."},
		{"\x15\x03\x03\0\2\2\x50", 7, "It is one of TLS."},
		{"\0\0\0\4\0\0\0\7", 8, "It is not the answer to what was asked."},
		{"\0\0\0\4\0\0\0\0", 8, "The list of its versions is cut off."},
		{"\0\0\0\7\0\0\0\0\0\0\2", 11, "The list of its versions is cut off."},
		{"\0\0\0\x0b\0\0\0\0\0\0\xff\xff\xff\xff\x0f", 15,
		 "The list of its versions is cut off."},
		{"\0\0\0\6\0\0\0\0\0\x0a", 10,
		 "Asked for its versions it says error 10."},
	};

	for (int i = 0; i < lengthof(cases); i++)
	{
		SqKafkaConnection *connection = open_plain(peer);

		turn(connection, peer);
		peer_send(peer, cases[i].bytes, cases[i].length);
		CHECK_INT(settle(connection), SQ_ERROR);
		CHECK_INT(error.sqlstate, ERRCODE_PROTOCOL_VIOLATION);
		CHECK_STR(error.detail, cases[i].detail);
		CHECK_INT(sq_kafka_connection_trouble(connection), SQ_KAFKA_LASTING);
		end(connection, peer);
	}
}

/* TLS asked of a port that answers in clear. */
static void
test_not_tls(Peer *peer)
{
	const SqKafkaProperty property = {"security.protocol", "ssl"};
	SqKafkaConnection *connection = open_with(peer, &property, 1);

	turn(connection, peer);
	peer_read(peer);
	peer_send(peer, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
	CHECK_INT(settle(connection), SQ_ERROR);
	CHECK_STR(error.detail, "The broker's answer is not TLS.");
	CHECK_INT(error.sqlstate, ERRCODE_CONNECTION_FAILURE);
	end(connection, peer);
}

/* ---- Closing ---- */

static void
check_lost(SqKafkaConnection *connection, Peer *peer, const char *detail)
{
	SqError again;

	CHECK_INT(settle(connection), SQ_ERROR);
	CHECK_INT(error.sqlstate, ERRCODE_CONNECTION_FAILURE);
	CHECK_STR(error.detail, detail);
	CHECK_INT(sq_kafka_connection_trouble(connection), SQ_KAFKA_PASSING);
	CHECK_INT(sq_kafka_connection_stage(connection), SQ_KAFKA_FAILED);
	CHECK_INT(sq_kafka_connection_poll(connection, &again), SQ_ERROR);
	CHECK_STR(again.message, error.message);
	end(connection, peer);
}

static void
test_close(Peer *peer)
{
	SqKafkaConnection *connection;
	SqKafkaFrame frame;

	for (int sent = 0; sent < 8; sent++)
	{
		connection = open_plain(peer);
		turn(connection, peer);
		if (sent > 0)
			peer_send(peer, "\0\0\0\x10\0\0\0\0", sent);
		peer_hang_up(peer);
		check_lost(connection, peer,
				   "The broker closed it during the negotiation of versions.");
	}
	connection = open_login(peer, "PLAIN");
	turn(connection, peer);
	answer_versions(peer, peer_take(peer).id, 2);
	turn(connection, peer);
	peer_hang_up(peer);
	check_lost(connection, peer, "The broker closed it during the login.");

	connection = open_ready(peer);
	peer_hang_up(peer);
	CHECK_INT(receive(connection, &frame), SQ_ERROR);
	CHECK_STR(error.detail, "The broker closed it during use.");
	end(connection, peer);

	connection = open_plain(peer);
	sq_kafka_connection_close(connection);
	connection = open_plain(peer);
	turn(connection, peer);
	sq_kafka_connection_close(connection);
	peer_hang_up(peer);
}

/* ---- Requests and answers ---- */

static int32
ask(SqKafkaConnection *connection, int version)
{
	SqKafkaOutput *out =
		sq_kafka_connection_request(connection, SQ_KAFKA_METADATA, version);
	int32 id = -1;

	sq_kafka_write_int32(out, 42);
	CHECK_INT(sq_kafka_connection_submit(connection, &id, &error), SQ_OK);
	return id;
}

static void
test_order(Peer *peer)
{
	SqKafkaConnection *connection = open_ready(peer);
	SqKafkaFrame frame;
	SqKafkaOutput body = {0};
	int32 ids[3];

	for (int i = 0; i < 3; i++)
		ids[i] = ask(connection, i == 1 ? 9 : 4);
	CHECK_INT(sq_kafka_connection_pending(connection), 3);
	peer_read(peer);
	for (int i = 0; i < 3; i++)
	{
		Request request = peer_take(peer);

		CHECK_INT(request.id, ids[i]);
		CHECK_INT(request.length, i == 1 ? 5 : 4); /* with tags of the header */
		body.length = 0;
		if (i == 1)
			sq_kafka_write_no_tags(&body, true);
		sq_kafka_write_int32(&body, i);
		peer_answer(peer, request.id, &body);
	}
	for (int i = 0; i < 3; i++)
	{
		SqKafkaCursor cursor;

		CHECK_INT(receive(connection, &frame), SQ_OK);
		CHECK_INT(frame.id, ids[i]);
		CHECK_INT(frame.api, SQ_KAFKA_METADATA);
		cursor = sq_kafka_cursor(frame.body);
		CHECK_INT(sq_kafka_read_int32(&cursor), i);
		CHECK_INT(sq_kafka_read_left(&cursor), 0);
		sq_kafka_connection_recycle(connection, frame.buffer);
	}
	CHECK_INT(sq_kafka_connection_receive(connection, &frame, &error), SQ_WAIT);
	CHECK_INT(sq_kafka_connection_events(connection), SQ_KAFKA_READABLE);

	ask(connection, 4);
	peer_answer(peer, 99, &body);
	CHECK_INT(receive(connection, &frame), SQ_ERROR);
	CHECK_STR(error.detail, "It is not the answer to what was asked.");
	free(body.data);
	end(connection, peer);
}

static void
test_full(Peer *peer)
{
	SqKafkaConnection *connection = open_ready(peer);
	SqKafkaFrame frame;
	SqKafkaOutput body = {0};

	for (int i = 0; i < SQ_KAFKA_MAX_REQUESTS; i++)
		sq_kafka_connection_submit(
			connection, NULL,
			sq_kafka_connection_request(connection, SQ_KAFKA_METADATA, 4)
				? &error
				: NULL);
	CHECK(sq_kafka_connection_request(connection, SQ_KAFKA_METADATA, 4) ==
		  NULL);
	CHECK_INT(sq_kafka_connection_pending(connection), SQ_KAFKA_MAX_REQUESTS);
	peer_read(peer);
	for (int i = 0; i < SQ_KAFKA_MAX_REQUESTS; i++)
		peer_answer(peer, peer_take(peer).id, &body);
	for (int i = 0; i < SQ_KAFKA_MAX_REQUESTS; i++)
	{
		if (receive(connection, &frame) != SQ_OK || frame.body.length != 0)
			CHECK_STR(error.message, "no error");
		sq_kafka_connection_recycle(connection, frame.buffer);
	}
	CHECK_INT(sq_kafka_connection_pending(connection), 0);
	peer_answer(peer, 0, &body);
	CHECK_INT(receive(connection, &frame), SQ_ERROR);
	CHECK_STR(error.detail, "Nothing had been asked.");
	end(connection, peer);
}

static void
test_limit(Peer *peer)
{
	SqKafkaConnection *connection = open_ready(peer);
	SqKafkaFrame frame;

	sq_kafka_connection_limit(connection, 1000);
	ask(connection, 4);
	peer_send(peer, "\0\0\3\xe9", 4);
	CHECK_INT(receive(connection, &frame), SQ_ERROR);
	CHECK_INT(error.sqlstate, ERRCODE_PROGRAM_LIMIT_EXCEEDED);
	CHECK_STR(error.detail,
			  "It says that it has 1001 bytes, 1000 are allowed.");
	CHECK_NAMED(connection->buffer.capacity < 100000, "no memory is taken");
	end(connection, peer);
}

/* Large answers, two at a time: contents, and no new memory in the end. */
static void
test_large(Peer *peer)
{
	enum
	{
		SIZE = 3000000
	};
	SqKafkaConnection *connection = open_ready(peer);
	SqKafkaOutput out = {0};
	SqKafkaFrame frame;
	const char *seen[4];
	bool same = true;

	for (int round = 0; round < 4; round++)
	{
		int32 id = ask(connection, 4);
		size_t sent = 0;

		out.length = 0;
		sq_kafka_write_int32(&out, SIZE + 4);
		sq_kafka_write_int32(&out, id);
		memset(sq_kafka_write_space(&out, SIZE), 'a' + round, SIZE);
		while (sq_kafka_connection_receive(connection, &frame, &error) ==
			   SQ_WAIT)
		{
			ssize_t piece = send(peer->fd, out.data + sent, out.length - sent,
								 MSG_NOSIGNAL | MSG_DONTWAIT);

			sent += piece > 0 ? piece : 0;
		}
		for (int i = 0; i < SIZE; i++)
			same = same && frame.body.data[i] == 'a' + round;
		CHECK_INT(frame.body.length, SIZE);
		seen[round] = frame.buffer.data;
		sq_kafka_connection_recycle(connection, frame.buffer);
	}
	CHECK_NAMED(same, "every byte is there");
	CHECK_NAMED(seen[1] == seen[3], "buffers are used again");
	free(out.data);
	end(connection, peer);
}

/* A request that the socket takes in pieces. */
static void
test_pieces(Peer *peer)
{
	enum
	{
		SIZE = 8000000
	};
	SqKafkaConnection *connection = open_ready(peer);
	SqKafkaOutput *out =
		sq_kafka_connection_request(connection, SQ_KAFKA_METADATA, 4);
	SqKafkaFrame frame;
	int waits = 0;
	bool same = true;

	memset(sq_kafka_write_space(out, SIZE), 'x', SIZE);
	CHECK_INT(sq_kafka_connection_submit(connection, NULL, &error), SQ_OK);
	CHECK_INT(sq_kafka_connection_events(connection),
			  SQ_KAFKA_READABLE | SQ_KAFKA_WRITABLE);
	for (int i = 0; i < 10000 && !peer_has_request(peer); i++)
	{
		waits +=
			(sq_kafka_connection_events(connection) & SQ_KAFKA_WRITABLE) != 0;
		peer_read(peer);
		sq_kafka_connection_receive(connection, &frame, &error);
	}
	CHECK(waits > 0 && peer_has_request(peer));
	CHECK_INT(sq_kafka_connection_events(connection), SQ_KAFKA_READABLE);
	for (size_t i = peer->length - SIZE; i < peer->length; i++)
		same = same && peer->got[i] == 'x';
	CHECK_NAMED(same, "every byte is there");
	end(connection, peer);
}

/* ---- Addresses ---- */

static struct addrinfo *
address_of(const char *host, int port)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *address = NULL;
	char digits[16];

	snprintf(digits, sizeof(digits), "%d", port);
	getaddrinfo(host, digits, &hints, &address);
	return address;
}

/* Every address is tried: one that refuses, one that says nothing. */
static void
test_addresses(Peer *peer)
{
	SqKafkaConnection *connection = open_plain(peer);
	Peer silent = peer_listen();
	int fds[16];

	for (int i = 0; i < lengthof(fds); i++)
	{
		struct sockaddr_in address = {.sin_family = AF_INET,
									  .sin_port = htons(silent.port)};

		address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(fds[i], (struct sockaddr *) &address, sizeof(address));
	}
	connection->lookup->addresses->ai_next =
		address_of("127.0.0.1", silent.port);
	connection->lookup->addresses->ai_next->ai_next = address_of("::1", 1);
	connection->lookup->addresses->ai_next->ai_next->ai_next =
		connection->lookup->addresses;
	/* from the silent one on, the peer's last */
	connection->lookup->addresses = connection->lookup->addresses->ai_next;
	connection->lookup->addresses->ai_next->ai_next->ai_next = NULL;
	CHECK_INT(sq_kafka_connection_poll(connection, &error), SQ_WAIT);
	CHECK_INT(sq_kafka_connection_stage(connection), SQ_KAFKA_CONNECTING);
	CHECK_INT(sq_kafka_connection_events(connection), SQ_KAFKA_WRITABLE);
	CHECK(sq_kafka_connection_wait_ms(connection) <= 3000);
	CHECK_INT(sq_kafka_connection_poll(connection, &error), SQ_WAIT);
	connection->try_until = sq_kafka_now();
	turn(connection, peer);
	answer_versions(peer, peer_take(peer).id, 2);
	CHECK_INT(settle(connection), SQ_OK);
	for (int i = 0; i < lengthof(fds); i++)
		close(fds[i]);
	peer_end(&silent);
	end(connection, peer);
}

/* No name server need be asked for a name that none can have. */
static void
test_names(Peer *peer)
{
	SqKafkaConfig config = {0, NULL};
	SqKafkaSettings *settings = sq_kafka_settings_create(&config, &error);
	SqKafkaConnection *connection =
		sq_kafka_connection_open(settings, "localhost", peer->port, &error);

	turn(connection, peer);
	CHECK_STR(sq_kafka_connection_name(connection) + 0, connection->name);
	answer_versions(peer, peer_take(peer).id, 2);
	CHECK_INT(settle(connection), SQ_OK);
	end(connection, peer);
	connection = sq_kafka_connection_open(settings, "no..host", 1, &error);
	CHECK_INT(settle(connection), SQ_ERROR);
	CHECK_STR(error.message, "could not find the host of Kafka at "
							 "\"no..host:1\"");
	end(connection, peer);
	connection = sq_kafka_connection_open(settings, "::1", 1, &error);
	CHECK_STR(sq_kafka_connection_name(connection), "[::1]:1");
	CHECK_INT(settle(connection), SQ_ERROR);
	end(connection, peer);
	sq_kafka_settings_drop(settings);
}

static void
test_setup_timeout(Peer *peer)
{
	const SqKafkaProperty property = {"socket.connection.setup.timeout.ms",
									  "1000"};
	SqKafkaConnection *connection = open_with(peer, &property, 1);

	turn(connection, peer);
	CHECK(sq_kafka_connection_wait_ms(connection) <= 1000);
	connection->opened -= 1000;
	CHECK_INT(sq_kafka_connection_wait_ms(connection), 0);
	CHECK_INT(sq_kafka_connection_poll(connection, &error), SQ_ERROR);
	CHECK_NAMED(strstr(error.message, "within 1000 ms") != NULL, "%s",
				error.message);
	end(connection, peer);
}

/* ---- Nothing is left ---- */

static int
count_entries(const char *path)
{
	DIR *folder = opendir(path);
	int count = 0;

	while (readdir(folder) != NULL)
		count++;
	closedir(folder);
	return count;
}

static void
test_leak(Peer *peer)
{
	SqKafkaConfig config = {0, NULL};
	SqKafkaSettings *settings = sq_kafka_settings_create(&config, &error);
	SqKafkaConnection *connection;
	int failed = 0;
	int descriptors;

	CHECK(sq_kafka_thread_wait(5000));
	descriptors = count_entries("/proc/self/fd");

	for (int i = 0; i < 100; i++)
	{
		/* refused, not found, closed, given up */
		connection = sq_kafka_connection_open(
			settings, i % 4 == 1 ? "no..host" : "localhost",
			i % 4 == 0 ? 1 : peer->port, &error);
		if (i % 4 < 2)
			failed += settle(connection) == SQ_ERROR;
		else
		{
			turn(connection, peer);
			peer_hang_up(peer);
			failed += i % 4 == 3 || settle(connection) == SQ_ERROR;
		}
		sq_kafka_connection_close(connection);
	}
	sq_kafka_settings_drop(settings);
	CHECK_INT(failed, 100);
	CHECK(sq_kafka_thread_wait(5000));
	CHECK_INT(count_entries("/proc/self/fd"), descriptors);
}

int
main(void)
{
	Peer peer = peer_listen();

	test_speak();
	test_settings();
	test_bytewise(&peer);
	test_fallback(&peer);
	test_nonsense(&peer);
	test_not_tls(&peer);
	test_close(&peer);
	test_order(&peer);
	test_full(&peer);
	test_limit(&peer);
	test_large(&peer);
	test_pieces(&peer);
	test_addresses(&peer);
	test_names(&peer);
	test_setup_timeout(&peer);
	test_leak(&peer);
	peer_end(&peer);
	sq_kafka_thread_wait(5000);
	return unit_end();
}
