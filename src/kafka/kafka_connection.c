/*
 * kafka_connection.c
 *		One connection to one broker: addresses, the socket, frames.
 *
 * Stages follow each other: the name is looked up by a job, its addresses are
 * tried one after the other, TLS shakes hands, versions are negotiated and the
 * login is done (kafka_handshake.c), then it is ready for requests. An address
 * that does not answer is given up after a while if there is another one.
 *
 * A frame is four bytes of length and so many bytes. The length is read
 * together with whatever else has come, up to a few kilobytes; what is missing
 * then goes straight into the frame's buffer, in as few calls as the socket
 * allows, and what follows it into «ahead» by the same call. A length beyond
 * the limit is an error before any memory is taken. Answers come in the order
 * of their requests, so the ring of requests tells what each one is.
 *
 * When writing fails, the broker may have said why before it closed: the
 * errno is kept until reading has found nothing more.
 *
 * Memory: malloc. One buffer for what is sent, wiped when it may hold a
 * password; a frame's buffer goes to the caller with the frame, and one that
 * was given back is kept for the next. Locks: none, one thread has it.
 */
#include "kafka/kafka_internal.h"
#include "kafka/kafka_transport.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* How long an address may be silent while there is another one. */
#define ADDRESS_MS 3000
/* The smallest buffer for a frame. */
#define LEAST_BUFFER 16384

/* ---- Troubles ---- */

SqStatus
sq_kafka_connection_fail(SqKafkaConnection *connection, SqKafkaTrouble trouble)
{
	connection->trouble = trouble;
	sq_kafka_connection_enter(connection, SQ_KAFKA_FAILED);
	return SQ_ERROR;
}

void
sq_kafka_connection_enter(SqKafkaConnection *connection, SqKafkaStage stage)
{
	connection->stage = stage;
	connection->since = sq_kafka_now();
}

/* A hint for a broker that closes instead of answering. */
static void
hint_closed(SqKafkaConnection *connection)
{
	SqError *fault = &connection->fault;
	bool login = connection->stage == SQ_KAFKA_READY && !connection->served &&
				 !connection->settings->sasl && connection->request_count > 0;

	if (connection->stage == SQ_KAFKA_SECURING)
		sq_error_hint(fault, "Perhaps the port is one without TLS: see the "
							 "option \"security_protocol\".");
	else if (!connection->answered && !connection->settings->tls)
		sq_error_hint(fault, "Perhaps the port is one with TLS: see the "
							 "option \"security_protocol\".");
	else if (login)
		sq_error_hint(fault, "Perhaps the broker wants a login: see the "
							 "option \"security_protocol\".");
}

const char *
sq_kafka_connection_doing(const SqKafkaConnection *connection)
{
	static const char *const doing[] = {
		[SQ_KAFKA_RESOLVING] = "the lookup of its name",
		[SQ_KAFKA_CONNECTING] = "connecting",
		[SQ_KAFKA_SECURING] = "the TLS handshake",
		[SQ_KAFKA_NEGOTIATING] = "the negotiation of versions",
		[SQ_KAFKA_LOGGING_IN] = "the login",
		[SQ_KAFKA_READY] = "use",
		[SQ_KAFKA_FAILED] = "use",
	};

	return doing[connection->stage];
}

SqStatus
sq_kafka_connection_lost(SqKafkaConnection *connection, int code)
{
	const char *doing = sq_kafka_connection_doing(connection);
	SqError *fault = &connection->fault;

	sq_error_set(fault, ERRCODE_CONNECTION_FAILURE,
				 "lost the connection to Kafka at \"%s\"", connection->name);
	if (code != 0 && code != EPIPE && code != ECONNRESET)
		sq_error_detail(fault, "During %s: %s.", doing, strerror(code));
	else
		sq_error_detail(fault, "The broker closed it during %s.", doing);
	hint_closed(connection);
	return sq_kafka_connection_fail(connection, SQ_KAFKA_PASSING);
}

SqStatus
sq_kafka_connection_nonsense(SqKafkaConnection *connection, const char *detail)
{
	sq_error_set(&connection->fault, ERRCODE_PROTOCOL_VIOLATION,
				 "could not understand the answer of Kafka at \"%s\"",
				 connection->name);
	sq_error_detail(&connection->fault, "%s", detail);
	return sq_kafka_connection_fail(connection, SQ_KAFKA_LASTING);
}

/* The answer in fault is the caller's too. */
static SqStatus
tell(const SqKafkaConnection *connection, SqStatus status, SqError *error)
{
	if (status == SQ_ERROR)
		*error = connection->fault;
	return status;
}

/* ---- Connecting ---- */

static SqStatus
fail_lookup(SqKafkaConnection *connection)
{
	int code = connection->lookup->code;

	sq_error_set(&connection->fault, ERRCODE_CONNECTION_FAILURE,
				 "could not find the host of Kafka at \"%s\"",
				 connection->name);
	sq_error_detail(&connection->fault, "Looking up \"%s\": %s.",
					connection->host, gai_strerror(code));
	return sq_kafka_connection_fail(
		connection, code == EAI_AGAIN ? SQ_KAFKA_PASSING : SQ_KAFKA_NAMELESS);
}

/* Add what became of an address to the detail of the error to come. */
static void
note_refusal(SqKafkaConnection *connection, const char *reason)
{
	char *detail = connection->fault.detail;
	size_t length = strlen(detail);
	char address[INET6_ADDRSTRLEN] = "?";

	getnameinfo(connection->address->ai_addr, connection->address->ai_addrlen,
				address, sizeof(address), NULL, 0, NI_NUMERICHOST);
	snprintf(detail + length, SQ_ERROR_TEXT - length, "%s%s: %s",
			 length > 0 ? "; " : "Address ", address, reason);
	connection->address = connection->address->ai_next;
	if (connection->fd >= 0)
		close(connection->fd);
	connection->fd = -1;
}

static SqStatus
fail_addresses(SqKafkaConnection *connection)
{
	char detail[SQ_ERROR_TEXT];

	strlcpy(detail, connection->fault.detail, sizeof(detail));
	sq_error_set(&connection->fault, ERRCODE_CONNECTION_FAILURE,
				 "could not connect to Kafka at \"%s\"", connection->name);
	sq_error_detail(&connection->fault, "%s.", detail);
	return sq_kafka_connection_fail(connection, SQ_KAFKA_PASSING);
}

static void
set_option(int fd, int level, int option, int value)
{
	/* what the system does not want it does without */
	(void) setsockopt(fd, level, option, &value, sizeof(value));
}

/* A socket with the settings' options, not waited for. -1 and errno. */
static int
make_socket(const SqKafkaSettings *settings, int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (!settings->nagle)
		set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (settings->keepalive)
		set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	if (settings->send_buffer > 0)
		set_option(fd, SOL_SOCKET, SO_SNDBUF, settings->send_buffer);
	if (settings->receive_buffer > 0)
		set_option(fd, SOL_SOCKET, SO_RCVBUF, settings->receive_buffer);
	return fd;
}

/* TCP is there: what comes on it? */
static SqStatus
connected(SqKafkaConnection *connection)
{
	connection->fault.detail[0] = '\0';
	connection->try_until = 0;
	connection->read_wants = SQ_KAFKA_READABLE;
	connection->write_wants = 0;
	if (!connection->settings->tls)
		return sq_kafka_handshake_start(connection);
	sq_kafka_connection_enter(connection, SQ_KAFKA_SECURING);
	return sq_kafka_tls_start(connection);
}

/* Begin with the address, or those after it. SQ_OK: connected at once. */
static SqStatus
try_addresses(SqKafkaConnection *connection)
{
	const struct addrinfo *address;

	while ((address = connection->address) != NULL)
	{
		connection->fd = make_socket(connection->settings, address->ai_family);
		if (connection->fd >= 0 &&
			connect(connection->fd, address->ai_addr, address->ai_addrlen) == 0)
			return SQ_OK;
		if (connection->fd >= 0 && errno == EINPROGRESS)
		{
			connection->try_until =
				address->ai_next != NULL ? sq_kafka_now() + ADDRESS_MS : 0;
			connection->write_wants = SQ_KAFKA_WRITABLE;
			connection->read_wants = 0;
			return SQ_WAIT;
		}
		note_refusal(connection, strerror(errno));
	}
	return fail_addresses(connection);
}

/* Is the address that is being tried there? */
static SqStatus
look_at_address(SqKafkaConnection *connection)
{
	int code = 0;
	socklen_t size = sizeof(code);
	struct sockaddr_storage peer;
	socklen_t peer_size = sizeof(peer);

	if (getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &code, &size) != 0)
		code = errno;
	if (code == 0 &&
		getpeername(connection->fd, (struct sockaddr *) &peer, &peer_size) == 0)
		return SQ_OK;
	if (code == 0 &&
		(connection->try_until == 0 || sq_kafka_now() < connection->try_until))
		return SQ_WAIT;
	note_refusal(connection, strerror(code != 0 ? code : ETIMEDOUT));
	return try_addresses(connection);
}

/* The lookup is answered. */
static SqStatus
look_at_lookup(SqKafkaConnection *connection)
{
	SqKafkaLookup *lookup = connection->lookup;

	if (!lookup->numeric && !sq_kafka_job_done(&lookup->job))
		return SQ_WAIT;
	if (lookup->code != 0 || lookup->addresses == NULL)
		return fail_lookup(connection);
	sq_kafka_connection_enter(connection, SQ_KAFKA_CONNECTING);
	connection->address = lookup->addresses;
	return try_addresses(connection);
}

/* ---- Sending ---- */

SqKafkaOutput *
sq_kafka_connection_begin(SqKafkaConnection *connection, int api, int version)
{
	SqKafkaOutput *out = &connection->out;

	if (connection->request_count == SQ_KAFKA_MAX_REQUESTS)
		return NULL;
	connection->request_at = out->length;
	connection->request =
		(SqKafkaRequest){(int16) api, (int16) version, connection->next_id};
	sq_kafka_write_int32(out, 0); /* the length, later */
	if (api == 0)
		return out;
	sq_kafka_write_int16(out, (int16) api);
	sq_kafka_write_int16(out, (int16) version);
	sq_kafka_write_int32(out, connection->next_id);
	sq_kafka_write_string(out, connection->settings->client_id, false);
	sq_kafka_write_no_tags(out,
						   sq_kafka_api_is_flexible((SqKafkaApi) api, version));
	return out;
}

SqStatus
sq_kafka_connection_queue(SqKafkaConnection *connection)
{
	SqKafkaOutput *out = &connection->out;
	size_t length = out->length - connection->request_at - sizeof(int32);
	int last = (connection->first_request + connection->request_count) %
			   SQ_KAFKA_MAX_REQUESTS;

	if (out->failed || length > PG_INT32_MAX)
	{
		sq_kafka_error_memory(&connection->fault);
		return sq_kafka_connection_fail(connection, SQ_KAFKA_PASSING);
	}
	sq_kafka_write_int32_at(out, connection->request_at, (int32) length);
	connection->requests[last] = connection->request;
	connection->request_count++;
	connection->next_id = (connection->next_id + 1) & PG_INT32_MAX;
	return SQ_OK;
}

/* Send some bytes: how many, 0 when it has to wait or writing has failed, -1
 * when the connection has. */
static ssize_t
send_some(SqKafkaConnection *connection, const char *data, size_t length)
{
	ssize_t sent;

	if (connection->ssl != NULL)
		return sq_kafka_tls_write(connection, data, length);
	sent = send(connection->fd, data, length, MSG_NOSIGNAL);
	if (sent >= 0)
		return sent;
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
		connection->write_wants = SQ_KAFKA_WRITABLE;
	else
		connection->write_errno = errno;
	return 0;
}

/* Send what is to be sent, as far as the socket takes it. */
static SqStatus
flush(SqKafkaConnection *connection)
{
	SqKafkaOutput *out = &connection->out;
	ssize_t sent;

	while (connection->sent < out->length && connection->write_errno == 0)
	{
		sent = send_some(connection, out->data + connection->sent,
						 out->length - connection->sent);
		if (sent < 0)
			return SQ_ERROR;
		if (sent == 0)
			return SQ_OK;
		connection->sent += (size_t) sent;
	}
	connection->write_wants = 0;
	if (connection->sent < out->length)
		return SQ_OK;
	if (connection->stage == SQ_KAFKA_LOGGING_IN)
		sq_kafka_wipe(out->data, out->length);
	connection->sent = out->length = 0;
	return SQ_OK;
}

/* ---- Receiving ---- */

void
sq_kafka_buffer_free(SqKafkaBuffer *buffer)
{
	free(buffer->data);
	*buffer = (SqKafkaBuffer){NULL, 0};
}

void
sq_kafka_connection_recycle(SqKafkaConnection *connection, SqKafkaBuffer buffer)
{
	if (buffer.capacity > connection->spare.capacity)
	{
		SqKafkaBuffer smaller = connection->spare;

		connection->spare = buffer;
		buffer = smaller;
	}
	sq_kafka_buffer_free(&buffer);
}

/* Have a buffer for a frame. */
static bool
take_buffer(SqKafkaConnection *connection, size_t bytes)
{
	SqKafkaBuffer *buffer = &connection->buffer;
	size_t capacity = LEAST_BUFFER;

	if (buffer->data == NULL)
	{
		*buffer = connection->spare;
		connection->spare = (SqKafkaBuffer){NULL, 0};
	}
	if (buffer->capacity >= bytes)
		return true;
	while (capacity < bytes)
		capacity *= 2;
	if (capacity > connection->most_bytes)
		capacity = bytes;
	sq_kafka_buffer_free(buffer);
	buffer->data = malloc(capacity);
	if (buffer->data != NULL)
		buffer->capacity = capacity;
	return buffer->data != NULL;
}

/* What a length that can't be one looks like. */
static SqStatus
refuse_length(SqKafkaConnection *connection, const char *bytes, uint32 length)
{
	char detail[SQ_ERROR_TEXT / 2];
	bool alert = bytes[0] == 0x15 && bytes[1] == 0x03;

	if (!connection->answered || length > PG_INT32_MAX || length < 4)
	{
		snprintf(detail, sizeof(detail), "It says that it has %u bytes.",
				 length);
		if (alert && connection->ssl == NULL)
			strlcpy(detail, "It is one of TLS.", sizeof(detail));
		sq_kafka_connection_nonsense(connection, detail);
		if (!connection->answered)
			sq_error_hint(&connection->fault,
						  alert ? "Perhaps the port is one with TLS: see the "
								  "option \"security_protocol\"."
								: "Perhaps the port is not one of Kafka.");
		return SQ_ERROR;
	}
	sq_error_set(&connection->fault, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
				 "answer of Kafka at \"%s\" is too large", connection->name);
	sq_error_detail(&connection->fault,
					"It says that it has %u bytes, %zu are allowed.", length,
					connection->most_bytes);
	return sq_kafka_connection_fail(connection, SQ_KAFKA_LASTING);
}

/* Take the length of the next frame from what was read ahead, and as much of
 * the frame as is there. */
static SqStatus
begin_frame(SqKafkaConnection *connection)
{
	const char *at = connection->ahead + connection->ahead_from;
	size_t most = connection->stage == SQ_KAFKA_READY
					  ? connection->most_bytes
					  : Min(connection->most_bytes, SQ_KAFKA_EARLY_BYTES);
	bool bare;
	uint32 length;
	size_t here;

	memcpy(&length, at, sizeof(length));
	length = pg_ntoh32(length);
	if (connection->request_count == 0)
		return sq_kafka_connection_nonsense(connection,
											"Nothing had been asked.");
	bare = connection->requests[connection->first_request].api == 0;
	if (length > most || (length < sizeof(int32) && !bare))
		return refuse_length(connection, at, length);
	connection->answered = true;
	connection->has_length = true;
	connection->frame_bytes = length;
	if (!take_buffer(connection, length))
	{
		sq_kafka_error_memory(&connection->fault);
		return sq_kafka_connection_fail(connection, SQ_KAFKA_PASSING);
	}
	connection->ahead_from += sizeof(length);
	here = Min(connection->ahead_to - connection->ahead_from, length);
	memcpy(connection->buffer.data, connection->ahead + connection->ahead_from,
		   here);
	connection->received = here;
	connection->ahead_from += here;
	return SQ_OK;
}

/* Read into the frame, then ahead; bytes, 0 when nothing is there, -1. */
static ssize_t
read_socket(SqKafkaConnection *connection, struct iovec *parts, int count)
{
	ssize_t got;

	if (connection->ssl != NULL)
		return sq_kafka_tls_read(connection, parts[0].iov_base,
								 parts[0].iov_len);
	got = readv(connection->fd, parts, count);
	if (got > 0)
		return got;
	if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return 0;
	connection->closed = got == 0;
	sq_kafka_connection_lost(connection, got == 0 ? 0 : errno);
	return -1;
}

/* Read once. SQ_OK: go on, SQ_WAIT: there is no more now. */
static SqStatus
read_more(SqKafkaConnection *connection)
{
	size_t missing = connection->has_length
						 ? connection->frame_bytes - connection->received
						 : 0;
	size_t kept = connection->ahead_to - connection->ahead_from;
	struct iovec parts[2];
	int count = 0;
	ssize_t got;

	/* at most a part of a length is kept */
	memmove(connection->ahead, connection->ahead + connection->ahead_from,
			kept);
	connection->ahead_from = 0;
	connection->ahead_to = kept;
	if (missing > 0)
		parts[count++] = (struct iovec){
			connection->buffer.data + connection->received, missing};
	parts[count++] =
		(struct iovec){connection->ahead + kept, SQ_KAFKA_AHEAD_BYTES - kept};
	got = read_socket(connection, parts, count);
	if (got < 0)
		return SQ_ERROR;
	if (got == 0 && connection->write_errno != 0)
		return sq_kafka_connection_lost(connection, connection->write_errno);
	connection->received += Min((size_t) got, missing);
	if ((size_t) got > missing)
		connection->ahead_to += (size_t) got - missing;
	/* fewer bytes than there was room for: the socket has no more */
	if (connection->ssl == NULL && (size_t) got < missing)
		return SQ_WAIT;
	return got == 0 ? SQ_WAIT : SQ_OK;
}

/* The frame is whole: what it is the answer to. */
static SqStatus
finish_frame(SqKafkaConnection *connection, SqKafkaFrame *frame)
{
	SqKafkaRequest request = connection->requests[connection->first_request];
	SqSlice bytes = {connection->buffer.data, connection->frame_bytes};
	SqKafkaCursor cursor = sq_kafka_cursor(bytes);

	if (request.api != 0)
	{
		if (sq_kafka_read_int32(&cursor) != request.id)
			return sq_kafka_connection_nonsense(
				connection, "It is not the answer to what was asked.");
		/* an answer about versions is to be read by those without them */
		if (request.api != SQ_KAFKA_API_VERSIONS)
			sq_kafka_skip_tags(
				&cursor, sq_kafka_api_is_flexible((SqKafkaApi) request.api,
												  request.version));
		if (cursor.failed)
			return sq_kafka_connection_nonsense(connection,
												"Its header is cut off.");
	}
	connection->first_request =
		(connection->first_request + 1) % SQ_KAFKA_MAX_REQUESTS;
	connection->request_count--;
	*frame = (SqKafkaFrame){(SqKafkaApi) request.api,
							request.version,
							request.id,
							{cursor.at, sq_kafka_read_left(&cursor)},
							connection->buffer};
	connection->buffer = (SqKafkaBuffer){NULL, 0};
	connection->has_length = false;
	connection->received = 0;
	connection->served = connection->stage == SQ_KAFKA_READY;
	return SQ_OK;
}

SqStatus
sq_kafka_connection_exchange(SqKafkaConnection *connection, SqKafkaFrame *frame)
{
	SqStatus status = flush(connection);

	while (status == SQ_OK)
	{
		if (!connection->has_length &&
			connection->ahead_to - connection->ahead_from >= sizeof(uint32))
			status = begin_frame(connection);
		else if (connection->has_length &&
				 connection->received == connection->frame_bytes)
			return finish_frame(connection, frame);
		else
			status = read_more(connection);
	}
	return status;
}

/* ---- The door ---- */

SqKafkaConnection *
sq_kafka_connection_open(SqKafkaSettings *settings, const char *host, int port,
						 SqError *error)
{
	SqKafkaConnection *connection = calloc(1, sizeof(SqKafkaConnection));
	size_t length = strlen(host) + 16;

	if (connection == NULL)
	{
		sq_kafka_error_memory(error);
		return NULL;
	}
	connection->settings = sq_kafka_settings_hold(settings);
	connection->fd = -1;
	connection->most_bytes = settings->most_bytes;
	connection->opened = sq_kafka_now();
	sq_kafka_connection_enter(connection, SQ_KAFKA_RESOLVING);
	connection->host = strdup(host);
	connection->name = malloc(length);
	if (connection->host == NULL || connection->name == NULL)
		sq_kafka_error_memory(error);
	else
	{
		snprintf(connection->name, length,
				 strchr(host, ':') != NULL ? "[%s]:%d" : "%s:%d", host, port);
		connection->lookup =
			sq_kafka_lookup_start(host, port, settings->family, error);
	}
	if (connection->lookup != NULL)
		return connection;
	sq_kafka_connection_close(connection);
	return NULL;
}

/* One step of getting ready; SQ_OK: the stage has changed, or it is ready. */
static SqStatus
step(SqKafkaConnection *connection)
{
	SqStatus status;

	switch (connection->stage)
	{
		case SQ_KAFKA_RESOLVING:
		case SQ_KAFKA_CONNECTING:
			status = connection->stage == SQ_KAFKA_RESOLVING
						 ? look_at_lookup(connection)
						 : look_at_address(connection);
			return status == SQ_OK ? connected(connection) : status;
		case SQ_KAFKA_SECURING:
			status = sq_kafka_tls_handshake(connection);
			return status == SQ_OK ? sq_kafka_handshake_start(connection)
								   : status;
		case SQ_KAFKA_NEGOTIATING:
		case SQ_KAFKA_LOGGING_IN:
			return sq_kafka_handshake_step(connection);
		case SQ_KAFKA_READY:
			return flush(connection);
		default:
			return SQ_ERROR;
	}
}

/* Has it taken too long to get ready? */
static SqStatus
check_setup(SqKafkaConnection *connection)
{
	int64 took = sq_kafka_now() - connection->opened;

	if (connection->settings->setup_timeout_ms == 0 ||
		took < connection->settings->setup_timeout_ms)
		return SQ_WAIT;
	sq_error_set(&connection->fault, ERRCODE_CONNECTION_FAILURE,
				 "could not reach Kafka at \"%s\" within %d ms",
				 connection->name, connection->settings->setup_timeout_ms);
	sq_error_detail(&connection->fault, "It took too long in %s.",
					sq_kafka_connection_doing(connection));
	return sq_kafka_connection_fail(connection, SQ_KAFKA_PASSING);
}

SqStatus
sq_kafka_connection_poll(SqKafkaConnection *connection, SqError *error)
{
	SqStatus status = step(connection);

	while (status == SQ_OK && connection->stage != SQ_KAFKA_READY)
		status = step(connection);
	if (status == SQ_WAIT)
		status = check_setup(connection);
	return tell(connection, status, error);
}

SqStatus
sq_kafka_connection_receive(SqKafkaConnection *connection, SqKafkaFrame *frame,
							SqError *error)
{
	SqStatus status = SQ_ERROR;

	if (connection->stage == SQ_KAFKA_READY)
		status = sq_kafka_connection_exchange(connection, frame);
	else if (connection->stage != SQ_KAFKA_FAILED)
		status = SQ_WAIT;
	return tell(connection, status, error);
}

SqKafkaOutput *
sq_kafka_connection_request(SqKafkaConnection *connection, SqKafkaApi api,
							int version)
{
	if (connection->stage != SQ_KAFKA_READY)
		return NULL;
	return sq_kafka_connection_begin(connection, api, version);
}

SqStatus
sq_kafka_connection_submit(SqKafkaConnection *connection, int32 *id,
						   SqError *error)
{
	SqStatus status;

	if (id != NULL)
		*id = connection->request.id;
	status = sq_kafka_connection_queue(connection);
	if (status == SQ_OK)
		status = flush(connection);
	return tell(connection, status, error);
}

int
sq_kafka_connection_fd(const SqKafkaConnection *connection)
{
	if (connection->stage == SQ_KAFKA_RESOLVING)
		return connection->lookup->job.fd;
	if (connection->login_working)
		return connection->login->job.fd;
	return connection->fd;
}

int
sq_kafka_connection_events(const SqKafkaConnection *connection)
{
	if (connection->stage == SQ_KAFKA_RESOLVING || connection->login_working)
		return SQ_KAFKA_READABLE;
	return connection->read_wants | connection->write_wants;
}

int
sq_kafka_connection_wait_ms(const SqKafkaConnection *connection)
{
	int64 until = connection->try_until;
	int64 setup = connection->opened + connection->settings->setup_timeout_ms;
	int64 left;

	if (connection->stage >= SQ_KAFKA_READY)
		return -1;
	if (connection->settings->setup_timeout_ms > 0 &&
		(until == 0 || setup < until))
		until = setup;
	left = until - sq_kafka_now();
	return until == 0 ? -1 : left < 0 ? 0 : (int) Min(left, INT_MAX);
}

SqKafkaStage
sq_kafka_connection_stage(const SqKafkaConnection *connection)
{
	return connection->stage;
}

int64
sq_kafka_connection_since(const SqKafkaConnection *connection)
{
	return connection->since;
}

SqKafkaTrouble
sq_kafka_connection_trouble(const SqKafkaConnection *connection)
{
	return connection->trouble;
}

const char *
sq_kafka_connection_name(const SqKafkaConnection *connection)
{
	return connection->name;
}

int64
sq_kafka_connection_expires(const SqKafkaConnection *connection)
{
	return connection->expires;
}

int
sq_kafka_connection_pending(const SqKafkaConnection *connection)
{
	return connection->request_count;
}

void
sq_kafka_connection_limit(SqKafkaConnection *connection, size_t bytes)
{
	connection->most_bytes = bytes;
}

void
sq_kafka_connection_close(SqKafkaConnection *connection)
{
	if (connection == NULL)
		return;
	sq_kafka_tls_end(connection);
	if (connection->fd >= 0)
		close(connection->fd);
	if (connection->lookup != NULL)
		sq_kafka_job_drop(&connection->lookup->job);
	if (connection->login != NULL)
		sq_kafka_job_drop(&connection->login->job);
	sq_kafka_wipe(connection->out.data, connection->out.length);
	free(connection->out.data);
	sq_kafka_buffer_free(&connection->buffer);
	sq_kafka_buffer_free(&connection->spare);
	sq_kafka_settings_drop(connection->settings);
	free(connection->host);
	free(connection->name);
	free(connection);
}
