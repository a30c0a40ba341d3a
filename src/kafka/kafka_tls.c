/*
 * kafka_tls.c
 *		TLS by OpenSSL: the context of settings, and a connection's session.
 *
 * The context is made once for settings, from files or PEM texts, and holds
 * what librdkafka's holds. TLS 1.2 is the least that is spoken. With
 * ssl.endpoint.identification.algorithm (https unless it says none) the
 * certificate must be one of the host that was asked for, be it a name or an
 * address.
 *
 * OpenSSL reads and writes the socket by functions of ours, which raise no
 * SIGPIPE, and keep apart an end of the stream and an error of the system. It
 * reads ahead, so that a large answer takes few calls of the system.
 *
 * Its errors are a queue of the thread, which PostgreSQL uses as well: it is
 * emptied before each call that is asked for its errors, and left empty.
 *
 * Memory: OpenSSL's. Locks: none, one thread has them.
 */
#include "kafka/kafka_internal.h"
#include "kafka/kafka_transport.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* So much is read from the socket at a time: all that is usually there. */
#define READ_BYTES (128 * 1024)

void
sq_kafka_wipe(void *data, size_t length)
{
	if (data != NULL)
		OPENSSL_cleanse(data, length);
}

/* ---- Errors ---- */

/* What an error of OpenSSL says. */
static const char *
reason_of(unsigned long code)
{
	const char *reason;

	if (code == 0)
		return "unknown reason";
	if (ERR_GET_LIB(code) == ERR_LIB_SYS)
		return strerror(ERR_GET_REASON(code));
	reason = ERR_reason_error_string(code);
	return reason != NULL ? reason : "unknown reason";
}

/* A property that OpenSSL did not take. */
static bool
refuse_property(SqError *error, const char *name)
{
	unsigned long code = ERR_get_error();

	sq_error_set(error, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION,
				 "could not use Kafka property \"%s\"", name);
	sq_error_detail(error, "OpenSSL says: %s.", reason_of(code));
	ERR_clear_error();
	return false;
}

/* ---- The context ---- */

/* Never ask a terminal for the password of a key. */
static int
give_password(char *buffer, int size, int writing, void *password)
{
	size_t length = password != NULL ? strlen(password) : 0;

	if (password == NULL || length > (size_t) size)
		return -1;
	memcpy(buffer, password, length);
	return (int) length;
}

static BIO *
text_bio(const char *pem)
{
	return BIO_new_mem_buf(pem, -1);
}

/* Add every certificate of a PEM text to those that are trusted. */
static bool
trust_pem(SSL_CTX *context, const char *pem)
{
	BIO *bio = text_bio(pem);
	X509_STORE *store = SSL_CTX_get_cert_store(context);
	X509 *certificate;
	int count = 0;
	bool good = bio != NULL;

	while (good &&
		   (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
	{
		good = X509_STORE_add_cert(store, certificate) == 1;
		X509_free(certificate);
		count++;
	}
	BIO_free(bio);
	/* The end of the text is an error to OpenSSL, and the usual one. */
	if (good && count > 0 &&
		ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
	{
		ERR_clear_error();
		return true;
	}
	return false;
}

static bool
load_trust(SSL_CTX *context, const SqKafkaConfig *config, SqError *error)
{
	const char *location = sq_kafka_config_value(config, "ssl.ca.location");
	const char *pem = sq_kafka_config_value(config, "ssl.ca.pem");
	const char *crl = sq_kafka_config_value(config, "ssl.crl.location");
	struct stat file;

	if (location != NULL)
	{
		bool folder = stat(location, &file) == 0 && S_ISDIR(file.st_mode);

		if (SSL_CTX_load_verify_locations(context, folder ? NULL : location,
										  folder ? location : NULL) != 1)
			return refuse_property(error, "ssl.ca.location");
	}
	if (pem != NULL && !trust_pem(context, pem))
		return refuse_property(error, "ssl.ca.pem");
	if (location == NULL && pem == NULL)
		SSL_CTX_set_default_verify_paths(context);
	if (crl == NULL)
		return true;
	if (SSL_CTX_load_verify_locations(context, crl, NULL) != 1)
		return refuse_property(error, "ssl.crl.location");
	X509_STORE_set_flags(SSL_CTX_get_cert_store(context),
						 X509_V_FLAG_CRL_CHECK);
	return true;
}

/* Our own certificate, then those between it and a trusted one. */
static bool
use_certificate_pem(SSL_CTX *context, const char *pem)
{
	BIO *bio = text_bio(pem);
	X509 *certificate =
		bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	bool good = certificate != NULL &&
				SSL_CTX_use_certificate(context, certificate) == 1;

	X509_free(certificate);
	while (good &&
		   (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		if (SSL_CTX_add0_chain_cert(context, certificate) != 1)
		{
			X509_free(certificate);
			good = false;
		}
	BIO_free(bio);
	if (good)
		ERR_clear_error();
	return good;
}

static bool
use_key_pem(SSL_CTX *context, const char *pem, void *password)
{
	BIO *bio = text_bio(pem);
	EVP_PKEY *key =
		bio != NULL
			? PEM_read_bio_PrivateKey(bio, NULL, give_password, password)
			: NULL;
	bool good = key != NULL && SSL_CTX_use_PrivateKey(context, key) == 1;

	EVP_PKEY_free(key);
	BIO_free(bio);
	return good;
}

/* Certificate, key and chain from a PKCS#12 file. */
static bool
use_keystore(SSL_CTX *context, const char *path, const char *password)
{
	BIO *bio = BIO_new_file(path, "rb");
	PKCS12 *store = bio != NULL ? d2i_PKCS12_bio(bio, NULL) : NULL;
	EVP_PKEY *key = NULL;
	X509 *certificate = NULL;
	STACK_OF(X509) *chain = NULL;
	bool good =
		store != NULL &&
		PKCS12_parse(store, password, &key, &certificate, &chain) == 1 &&
		key != NULL && certificate != NULL &&
		SSL_CTX_use_certificate(context, certificate) == 1 &&
		SSL_CTX_use_PrivateKey(context, key) == 1;

	for (int i = 0; good && i < sk_X509_num(chain); i++)
		good = SSL_CTX_add1_chain_cert(context, sk_X509_value(chain, i)) == 1;
	sk_X509_pop_free(chain, X509_free);
	X509_free(certificate);
	EVP_PKEY_free(key);
	PKCS12_free(store);
	BIO_free(bio);
	return good;
}

/* Who we are, to a broker that asks. */
static bool
load_identity(SqKafkaSettings *settings, const SqKafkaConfig *config,
			  SqError *error)
{
	SSL_CTX *context = settings->context;
	const char *file =
		sq_kafka_config_value(config, "ssl.certificate.location");
	const char *pem = sq_kafka_config_value(config, "ssl.certificate.pem");
	const char *key_file = sq_kafka_config_value(config, "ssl.key.location");
	const char *key_pem = sq_kafka_config_value(config, "ssl.key.pem");
	const char *store = sq_kafka_config_value(config, "ssl.keystore.location");
	void *password = (void *) sq_kafka_config_value(config, "ssl.key.password");

	SSL_CTX_set_default_passwd_cb(context, give_password);
	SSL_CTX_set_default_passwd_cb_userdata(context, password);
	settings->has_certificate = file != NULL || pem != NULL || store != NULL;
	if (file != NULL && SSL_CTX_use_certificate_chain_file(context, file) != 1)
		return refuse_property(error, "ssl.certificate.location");
	if (pem != NULL && !use_certificate_pem(context, pem))
		return refuse_property(error, "ssl.certificate.pem");
	if (key_file != NULL &&
		SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1)
		return refuse_property(error, "ssl.key.location");
	if (key_pem != NULL && !use_key_pem(context, key_pem, password))
		return refuse_property(error, "ssl.key.pem");
	if (store != NULL &&
		!use_keystore(context, store,
					  sq_kafka_config_value(config, "ssl.keystore.password")))
		return refuse_property(error, "ssl.keystore.location");
	/* it is the configuration's, which goes */
	SSL_CTX_set_default_passwd_cb_userdata(context, NULL);
	if (settings->has_certificate && SSL_CTX_check_private_key(context) != 1)
		return refuse_property(error, "ssl.key.location");
	return true;
}

/* Which algorithms may be used. */
static bool
load_algorithms(SSL_CTX *context, const SqKafkaConfig *config, SqError *error)
{
	const char *ciphers = sq_kafka_config_value(config, "ssl.cipher.suites");
	const char *curves = sq_kafka_config_value(config, "ssl.curves.list");
	const char *sigalgs = sq_kafka_config_value(config, "ssl.sigalgs.list");

	if (ciphers != NULL && SSL_CTX_set_cipher_list(context, ciphers) != 1)
		return refuse_property(error, "ssl.cipher.suites");
	if (curves != NULL && SSL_CTX_set1_curves_list(context, curves) != 1)
		return refuse_property(error, "ssl.curves.list");
	if (sigalgs != NULL && SSL_CTX_set1_sigalgs_list(context, sigalgs) != 1)
		return refuse_property(error, "ssl.sigalgs.list");
	return true;
}

bool
sq_kafka_tls_prepare(SqKafkaSettings *settings, const SqKafkaConfig *config,
					 SqError *error)
{
	SSL_CTX *context;
	bool good;

	ERR_clear_error();
	context = settings->context = SSL_CTX_new(TLS_client_method());
	if (context == NULL)
	{
		ERR_clear_error();
		sq_kafka_error_memory(error);
		return false;
	}
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
								  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(context, 1);
	SSL_CTX_set_default_read_buffer_len(context, READ_BYTES);
	SSL_CTX_set_verify(
		context, settings->verify_peer ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
		NULL);
	good = load_algorithms(context, config, error) &&
		   load_trust(context, config, error) &&
		   load_identity(settings, config, error);
	ERR_clear_error();
	return good;
}

void
sq_kafka_tls_forget(SqKafkaSettings *settings)
{
	SSL_CTX_free(settings->context);
	settings->context = NULL;
}

/* ---- The socket, as OpenSSL sees it ---- */

static int
socket_read(BIO *bio, char *data, int length)
{
	SqKafkaConnection *connection = BIO_get_data(bio);
	ssize_t got = recv(connection->fd, data, (size_t) length, 0);

	BIO_clear_retry_flags(bio);
	if (got == 0)
		connection->closed = true;
	else if (got < 0 &&
			 (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		BIO_set_retry_read(bio);
	return (int) got;
}

static int
socket_write(BIO *bio, const char *data, int length)
{
	SqKafkaConnection *connection = BIO_get_data(bio);
	ssize_t sent = send(connection->fd, data, (size_t) length, MSG_NOSIGNAL);

	BIO_clear_retry_flags(bio);
	if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		BIO_set_retry_write(bio);
	return (int) sent;
}

static long
socket_control(BIO *bio, int command, long number, void *pointer)
{
	return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP;
}

static int
socket_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

/* The functions above as OpenSSL wants them; made once, stays. */
static BIO_METHOD *
socket_method(void)
{
	static BIO_METHOD *method = NULL;
	BIO_METHOD *made;

	if (method != NULL)
		return method;
	made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK,
						"streamsql socket");
	if (made == NULL)
		return NULL;
	BIO_meth_set_read(made, socket_read);
	BIO_meth_set_write(made, socket_write);
	BIO_meth_set_ctrl(made, socket_control);
	BIO_meth_set_create(made, socket_create);
	method = made;
	return method;
}

/* ---- A session ---- */

/* Which host the certificate must be one of, and the name for servers that
 * have several: addresses are not sent. */
static bool
name_host(SSL *ssl, const SqKafkaConnection *connection)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

	if (connection->lookup->numeric)
		return !connection->settings->verify_host ||
			   X509_VERIFY_PARAM_set1_ip_asc(param, connection->host) == 1;
	return SSL_set_tlsext_host_name(ssl, connection->host) == 1 &&
		   (!connection->settings->verify_host ||
			X509_VERIFY_PARAM_set1_host(param, connection->host, 0) == 1);
}

SqStatus
sq_kafka_tls_start(SqKafkaConnection *connection)
{
	BIO_METHOD *method = socket_method();
	BIO *bio = method != NULL ? BIO_new(method) : NULL;

	connection->ssl = SSL_new(connection->settings->context);
	if (bio == NULL || connection->ssl == NULL)
	{
		BIO_free(bio);
		ERR_clear_error();
		sq_kafka_error_memory(&connection->fault);
		return sq_kafka_connection_fail(connection, SQ_KAFKA_PASSING);
	}
	BIO_set_data(bio, connection);
	SSL_set_bio(connection->ssl, bio, bio);
	if (!name_host(connection->ssl, connection))
	{
		ERR_clear_error();
		sq_error_set(&connection->fault, ERRCODE_CONNECTION_FAILURE,
					 "could not agree on TLS with Kafka at \"%s\"",
					 connection->name);
		sq_error_detail(&connection->fault,
						"A certificate can not be one of host \"%s\".",
						connection->host);
		return sq_kafka_connection_fail(connection, SQ_KAFKA_LASTING);
	}
	return SQ_OK;
}

/* Why the broker's certificate was not taken. */
static void
tell_certificate(SqKafkaConnection *connection, long verified)
{
	SqError *fault = &connection->fault;

	if (verified == X509_V_ERR_HOSTNAME_MISMATCH ||
		verified == X509_V_ERR_IP_ADDRESS_MISMATCH)
	{
		sq_error_detail(fault,
						"The broker's certificate is not one of host \"%s\".",
						connection->host);
		sq_error_hint(fault, "Connect by a name that is in the certificate.");
	}
	else
		sq_error_detail(fault, "The broker's certificate is not trusted: %s.",
						X509_verify_cert_error_string(verified));
}

/* An alert that the broker sent. */
static void
tell_alert(SqKafkaConnection *connection, unsigned long code)
{
	int alert = ERR_GET_REASON(code) - SSL_AD_REASON_OFFSET;

	sq_error_detail(&connection->fault, "The broker says: %s.",
					reason_of(code));
	if (!connection->settings->has_certificate &&
		(alert == SSL_AD_CERTIFICATE_REQUIRED ||
		 alert == SSL_AD_BAD_CERTIFICATE || alert == SSL_AD_HANDSHAKE_FAILURE))
		sq_error_hint(&connection->fault,
					  "The broker may want a certificate of its clients: see "
					  "the options \"ssl_certificate_location\" and "
					  "\"ssl_key_location\".");
}

/* OpenSSL says that TLS is at its end. */
static SqStatus
fail_tls(SqKafkaConnection *connection)
{
	SqError *fault = &connection->fault;
	unsigned long code = ERR_get_error();
	long verified = SSL_get_verify_result(connection->ssl);
	int reason = ERR_GET_REASON(code);

	ERR_clear_error();
	sq_error_set(fault, ERRCODE_CONNECTION_FAILURE,
				 "could not agree on TLS with Kafka at \"%s\"",
				 connection->name);
	if (connection->settings->verify_peer && verified != X509_V_OK)
		tell_certificate(connection, verified);
	else if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET)
		tell_alert(connection, code);
	else if (reason == SSL_R_WRONG_VERSION_NUMBER ||
			 reason == SSL_R_HTTP_REQUEST)
	{
		sq_error_detail(fault, "The broker's answer is not TLS.");
		sq_error_hint(fault, "Perhaps the port is one without TLS: see the "
							 "option \"security_protocol\".");
	}
	else
		sq_error_detail(fault, "OpenSSL says: %s.", reason_of(code));
	return sq_kafka_connection_fail(connection, SQ_KAFKA_LASTING);
}

/* What a call of OpenSSL came to that did not succeed; *wants is what it has
 * to wait for. SQ_WAIT or SQ_ERROR. */
static SqStatus
judge(SqKafkaConnection *connection, int result, int code, int *wants)
{
	switch (SSL_get_error(connection->ssl, result))
	{
		case SSL_ERROR_WANT_READ:
			*wants = SQ_KAFKA_READABLE;
			return SQ_WAIT;
		case SSL_ERROR_WANT_WRITE:
			*wants = SQ_KAFKA_WRITABLE;
			return SQ_WAIT;
		case SSL_ERROR_ZERO_RETURN:
			return sq_kafka_connection_lost(connection, 0);
		case SSL_ERROR_SYSCALL:
			ERR_clear_error();
			return sq_kafka_connection_lost(connection,
											connection->closed ? 0 : code);
		default:
			if (!connection->closed)
				return fail_tls(connection);
			ERR_clear_error();
			return sq_kafka_connection_lost(connection, 0);
	}
}

SqStatus
sq_kafka_tls_handshake(SqKafkaConnection *connection)
{
	int result;

	ERR_clear_error();
	errno = 0;
	result = SSL_connect(connection->ssl);
	if (result == 1)
	{
		connection->read_wants = SQ_KAFKA_READABLE;
		return SQ_OK;
	}
	return judge(connection, result, errno, &connection->read_wants);
}

ssize_t
sq_kafka_tls_read(SqKafkaConnection *connection, char *data, size_t length)
{
	size_t got = 0;
	int result;

	ERR_clear_error();
	errno = 0;
	result = SSL_read_ex(connection->ssl, data, length, &got);
	if (result == 1)
	{
		connection->read_wants = SQ_KAFKA_READABLE;
		return (ssize_t) got;
	}
	return judge(connection, result, errno, &connection->read_wants) == SQ_WAIT
			   ? 0
			   : -1;
}

ssize_t
sq_kafka_tls_write(SqKafkaConnection *connection, const char *data,
				   size_t length)
{
	size_t sent = 0;
	int result;
	int code;

	ERR_clear_error();
	errno = 0;
	result = SSL_write_ex(connection->ssl, data, length, &sent);
	code = errno;
	if (result == 1)
	{
		connection->write_wants = 0;
		return (ssize_t) sent;
	}
	if (SSL_get_error(connection->ssl, result) == SSL_ERROR_SYSCALL)
	{
		/* reading may still tell why */
		ERR_clear_error();
		connection->write_errno = code != 0 ? code : EPIPE;
		return 0;
	}
	return judge(connection, result, code, &connection->write_wants) == SQ_WAIT
			   ? 0
			   : -1;
}

void
sq_kafka_tls_end(SqKafkaConnection *connection)
{
	if (connection->ssl == NULL)
		return;
	ERR_clear_error();
	if (connection->stage != SQ_KAFKA_FAILED &&
		SSL_is_init_finished(connection->ssl))
		SSL_shutdown(connection->ssl);
	SSL_free(connection->ssl);
	connection->ssl = NULL;
	ERR_clear_error();
}
