/*
 * fuzz_connection.c
 *		libFuzzer target: any bytes as what a broker answers.
 *
 * The first byte chooses: with 1 there is a login, with 2 the bytes are what
 * comes on the socket as it is; else they are answers, each after a byte of
 * its length, put into frames that say what they should. Nothing may be read
 * that did not come, nothing taken that is larger than the limit, and the end
 * is ready or an error.
 */
#include "fuzz.h"

#include <sys/socket.h>
#include <unistd.h>

#include "kafka/kafka_internal.h"
#include "kafka/kafka_transport.h"

#define LOGIN 1
#define BARE  2

static SqError error;
static SqKafkaSettings *settings[2];

static SqKafkaSettings *
make_settings(bool login)
{
	const SqKafkaProperty properties[] = {
		{"receive.message.max.bytes", "100000"},
		{"security.protocol", login ? "sasl_plaintext" : "plaintext"},
		{"sasl.mechanism", "PLAIN"},
		{"sasl.username", "me"},
		{"sasl.password", "secret"}};
	const SqKafkaConfig config = {lengthof(properties), properties};

	return sq_kafka_settings_create(&config, &error);
}

/* Put each answer into a frame with the next id, and send them at once. */
static void
send_framed(int fd, const uint8_t *data, size_t size)
{
	SqKafkaOutput out = {0};

	for (int32 id = 0; size > 0; id++)
	{
		size_t length = Min(data[0], size - 1);

		sq_kafka_write_int32(&out, (int32) length + 4);
		sq_kafka_write_int32(&out, id);
		sq_kafka_write_raw(&out, data + 1, length);
		data += length + 1;
		size -= length + 1;
	}
	FUZZ_CHECK(send(fd, out.data, out.length, 0) == out.length);
	free(out.data);
}

/* Until it is ready, or has failed. */
static SqStatus
get_ready(SqKafkaConnection *connection)
{
	SqStatus status;

	while ((status = sq_kafka_connection_poll(connection, &error)) == SQ_WAIT)
		FUZZ_CHECK(connection->login_working);
	return status;
}

/* Two questions, and whatever answers there are. */
static void
use(SqKafkaConnection *connection)
{
	SqKafkaFrame frame;

	for (int version = 4; version < 14; version += 9)
	{
		sq_kafka_connection_request(connection, SQ_KAFKA_FETCH, version);
		if (sq_kafka_connection_submit(connection, NULL, &error) != SQ_OK)
			return;
	}
	while (sq_kafka_connection_receive(connection, &frame, &error) == SQ_OK)
	{
		FUZZ_CHECK(frame.body.data + frame.body.length <=
				   frame.buffer.data + frame.buffer.capacity);
		FUZZ_CHECK(frame.buffer.capacity <= 100000);
		sq_kafka_connection_recycle(connection, frame.buffer);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SqKafkaConnection *connection;
	int pair[2];
	int mode = size > 0 ? data[0] : 0;

	for (int i = 0; i < 2 && settings[i] == NULL; i++)
		settings[i] = make_settings(i == 1);
	if (size == 0)
		return 0;
	connection = sq_kafka_connection_open(settings[mode & LOGIN], "127.0.0.1",
										  9092, &error);
	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
	if (mode & BARE)
		FUZZ_CHECK(send(pair[1], data + 1, size - 1, 0) == size - 1);
	else
		send_framed(pair[1], data + 1, size - 1);
	shutdown(pair[1], SHUT_WR);
	connection->fd = pair[0];
	connection->read_wants = SQ_KAFKA_READABLE;
	FUZZ_CHECK(sq_kafka_handshake_start(connection) == SQ_OK);
	if (get_ready(connection) == SQ_OK)
		use(connection);
	else
		FUZZ_CHECK(error.sqlstate != 0 && error.message[0] != '\0');
	sq_kafka_connection_close(connection);
	close(pair[1]);
	return 0;
}
