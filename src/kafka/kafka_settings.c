/*
 * kafka_settings.c
 *		A configuration in librdkafka's words, as what a connection needs.
 *
 * Each property means what it means to librdkafka (its CONFIGURATION.md), with
 * one difference: a value that librdkafka would not take never comes here, so
 * what is not understood is read as the safer choice. What only librdkafka can
 * do is named, so that the caller turns to it.
 *
 * Kerberos: tickets are what kinit puts into the cache of this user; the
 * librdkafka client of the same configuration, which every reader has beside
 * its connections, renews them (sasl.kerberos.kinit.cmd).
 *
 * Memory: malloc; secrets are wiped before they are freed. Locks: none, one
 * thread has them.
 */
#include "kafka/kafka_internal.h"
#include "kafka/kafka_transport.h"

#include <ctype.h>
#include <limits.h>
#include <sys/socket.h>

static const char *const mechanisms[] = {"PLAIN", "SCRAM-SHA-256",
										 "SCRAM-SHA-512", "GSSAPI"};

#define SETUP_TIMEOUT_MS 30000
#define MOST_BYTES       100000000

/* ---- Values ---- */

/* Two names of one property. */
static bool
is_name(const char *given, const char *name)
{
	return strcmp(given, name) == 0 || (strcmp(name, "sasl.mechanisms") == 0 &&
										strcmp(given, "sasl.mechanism") == 0);
}

const char *
sq_kafka_config_value(const SqKafkaConfig *config, const char *name)
{
	const char *value = NULL;

	for (int i = 0; i < config->count; i++)
		if (is_name(config->properties[i].name, name))
			value = config->properties[i].value;
	while (value != NULL && isspace((unsigned char) *value))
		value++;
	return value;
}

static bool
is_word(const char *value, const char *word)
{
	return value != NULL && pg_strcasecmp(value, word) == 0;
}

/* A boolean; what is neither is the default. */
static bool
bool_value(const SqKafkaConfig *config, const char *name, bool otherwise)
{
	const char *value = sq_kafka_config_value(config, name);

	if (is_word(value, "true") || is_word(value, "t") || is_word(value, "1"))
		return true;
	if (is_word(value, "false") || is_word(value, "f") || is_word(value, "0"))
		return false;
	return otherwise;
}

static int
int_value(const SqKafkaConfig *config, const char *name, int otherwise)
{
	const char *value = sq_kafka_config_value(config, name);
	char *end;
	long number;

	if (value == NULL)
		return otherwise;
	number = strtol(value, &end, 0);
	return end == value || number < 0 || number > INT_MAX ? otherwise
														  : (int) number;
}

/* A copy of a text, or of the default. */
static char *
text_value(const SqKafkaConfig *config, const char *name, const char *otherwise)
{
	const char *value = sq_kafka_config_value(config, name);

	return strdup(value != NULL ? value : otherwise);
}

/* What security.protocol says; false if it says nothing that is known. */
static bool
protocol_of(const SqKafkaConfig *config, bool *tls, bool *sasl)
{
	const char *value = sq_kafka_config_value(config, "security.protocol");

	*tls = is_word(value, "ssl") || is_word(value, "sasl_ssl");
	*sasl = is_word(value, "sasl_plaintext") || is_word(value, "sasl_ssl");
	return value == NULL || *tls || *sasl || is_word(value, "plaintext");
}

/* The mechanism, as we spell it, or NULL. */
static const char *
mechanism_of(const SqKafkaConfig *config)
{
	const char *value = sq_kafka_config_value(config, "sasl.mechanisms");

	for (int i = 0; i < lengthof(mechanisms); i++)
		if (is_word(value != NULL ? value : "GSSAPI", mechanisms[i]))
			return mechanisms[i];
	return NULL;
}

/* ---- Can it be spoken? ---- */

/* What is librdkafka's alone, when it is given; word: only with this value;
 * tls: only where TLS is spoken. */
static const struct
{
	const char *name;
	const char *word;
	bool tls;
} librdkafka_only[] = {
	{"plugin.library.paths", NULL, false},
	{"api.version.request", "false", false},
	{"client.dns.lookup", "resolve_canonical_bootstrap_servers_only", false},
	{"ssl.engine.location", NULL, true},
	{"ssl.providers", NULL, true},
	{"ssl.ca.location", "probe", true},
};

/* Put the parts of a reason together; answers false. */
static bool
refuse(char *reason, size_t size, const char *name, const char *about)
{
	if (about != NULL)
		snprintf(reason, size, "%s %s", name, about);
	else
		snprintf(reason, size, "%s", name);
	return false;
}

static bool
speak_sasl(const SqKafkaConfig *config, char *reason, size_t size)
{
	const char *mechanism = mechanism_of(config);
	const char *username = sq_kafka_config_value(config, "sasl.username");
	const char *package;

	if (mechanism == NULL)
		return refuse(reason, size, "sasl.mechanisms",
					  sq_kafka_config_value(config, "sasl.mechanisms"));
	/* libsasl2 would take it away */
	if (username != NULL && username[0] != '\0' &&
		isspace((unsigned char) username[strlen(username) - 1]))
		return refuse(reason, size, "sasl.username", "with a blank at its end");
	package = sq_kafka_sasl_missing(mechanism);
	if (package == NULL)
		return true;
	snprintf(reason, size, "sasl.mechanisms %s without package %s", mechanism,
			 package);
	return false;
}

bool
sq_kafka_settings_speak(const SqKafkaConfig *config, char *reason, size_t size)
{
	bool tls;
	bool sasl;

	if (!protocol_of(config, &tls, &sasl))
		return refuse(reason, size, "security.protocol",
					  sq_kafka_config_value(config, "security.protocol"));
	for (int i = 0; i < lengthof(librdkafka_only); i++)
	{
		const char *value =
			sq_kafka_config_value(config, librdkafka_only[i].name);

		if (value == NULL || value[0] == '\0' ||
			(librdkafka_only[i].tls && !tls))
			continue;
		if (librdkafka_only[i].word == NULL ||
			is_word(value, librdkafka_only[i].word) ||
			(is_word(librdkafka_only[i].word, "false") &&
			 !bool_value(config, librdkafka_only[i].name, true)))
			return refuse(reason, size, librdkafka_only[i].name,
						  librdkafka_only[i].word);
	}
	return !sasl || speak_sasl(config, reason, size);
}

/* ---- Making ---- */

static int
family_of(const SqKafkaConfig *config)
{
	const char *value = sq_kafka_config_value(config, "broker.address.family");

	return is_word(value, "v4")   ? AF_INET
		   : is_word(value, "v6") ? AF_INET6
								  : AF_UNSPEC;
}

static bool
read_socket(SqKafkaSettings *settings, const SqKafkaConfig *config)
{
	settings->family = family_of(config);
	settings->keepalive = bool_value(config, "socket.keepalive.enable", false);
	settings->nagle = !bool_value(config, "socket.nagle.disable", true);
	settings->send_buffer = int_value(config, "socket.send.buffer.bytes", 0);
	settings->receive_buffer =
		int_value(config, "socket.receive.buffer.bytes", 0);
	settings->setup_timeout_ms = int_value(
		config, "socket.connection.setup.timeout.ms", SETUP_TIMEOUT_MS);
	settings->most_bytes =
		int_value(config, "receive.message.max.bytes", MOST_BYTES);
	settings->client_id = text_value(config, "client.id", "streamsql");
	return settings->client_id != NULL;
}

static bool
read_sasl(SqKafkaSettings *settings, const SqKafkaConfig *config,
		  SqError *error)
{
	const char *username = sq_kafka_config_value(config, "sasl.username");
	const char *password = sq_kafka_config_value(config, "sasl.password");

	settings->mechanism = mechanism_of(config);
	if (strcmp(settings->mechanism, "GSSAPI") != 0 &&
		(username == NULL || password == NULL))
	{
		sq_error_set(error, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION,
					 "no user and password for Kafka");
		sq_error_detail(error,
						"The SASL mechanism %s needs the options "
						"\"sasl_username\" and \"sasl_password\" of a user "
						"mapping.",
						settings->mechanism);
		return false;
	}
	settings->username = strdup(username != NULL ? username : "");
	settings->password = strdup(password != NULL ? password : "");
	settings->service =
		text_value(config, "sasl.kerberos.service.name", "kafka");
	if (settings->username != NULL && settings->password != NULL &&
		settings->service != NULL)
		return true;
	sq_kafka_error_memory(error);
	return false;
}

static bool
read_all(SqKafkaSettings *settings, const SqKafkaConfig *config, SqError *error)
{
	if (!read_socket(settings, config))
	{
		sq_kafka_error_memory(error);
		return false;
	}
	if (settings->sasl && !read_sasl(settings, config, error))
		return false;
	settings->verify_peer =
		bool_value(config, "enable.ssl.certificate.verification", true);
	settings->verify_host = !is_word(
		sq_kafka_config_value(config, "ssl.endpoint.identification.algorithm"),
		"none");
	return !settings->tls || sq_kafka_tls_prepare(settings, config, error);
}

SqKafkaSettings *
sq_kafka_settings_create(const SqKafkaConfig *config, SqError *error)
{
	char reason[SQ_ERROR_TEXT / 2];
	SqKafkaSettings *settings;

	if (!sq_kafka_settings_speak(config, reason, sizeof(reason)))
	{
		sq_error_set(error, ERRCODE_FEATURE_NOT_SUPPORTED,
					 "could not connect to Kafka without librdkafka");
		sq_error_detail(error, "Only librdkafka speaks %s.", reason);
		return NULL;
	}
	settings = calloc(1, sizeof(SqKafkaSettings));
	if (settings == NULL)
	{
		sq_kafka_error_memory(error);
		return NULL;
	}
	settings->references = 1;
	protocol_of(config, &settings->tls, &settings->sasl);
	if (read_all(settings, config, error))
		return settings;
	sq_kafka_settings_drop(settings);
	return NULL;
}

SqKafkaSettings *
sq_kafka_settings_hold(SqKafkaSettings *settings)
{
	settings->references++;
	return settings;
}

/* Free a text that nobody may find in memory later. */
static void
free_secret(char *secret)
{
	if (secret != NULL)
		sq_kafka_wipe(secret, strlen(secret));
	free(secret);
}

void
sq_kafka_settings_drop(SqKafkaSettings *settings)
{
	if (settings == NULL || --settings->references > 0)
		return;
	sq_kafka_tls_forget(settings);
	free_secret(settings->username);
	free_secret(settings->password);
	free(settings->service);
	free(settings->client_id);
	free(settings);
}
