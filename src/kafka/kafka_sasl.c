/*
 * kafka_sasl.c
 *		Logging in by libsasl2: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, GSSAPI.
 *
 * A login is a conversation of tokens, each step one call of libsasl2. GSSAPI
 * asks name servers and a Kerberos server in such a call, SCRAM hashes as many
 * thousand times as the broker says; so each step is a job for a thread, which
 * works on the login alone, never on the connection. How often SCRAM hashes is
 * bounded, or a liar could keep a processor busy for hours.
 *
 * complete is what libsasl2 says when it has all that the mechanism asks for:
 * with SCRAM and GSSAPI that the broker has proven who it is. No word of the
 * broker stands in for it.
 *
 * No layer of SASL's own is agreed on; what is to be secret goes over TLS.
 *
 * Memory: malloc and libsasl2's; the login has copies of user and password,
 * wiped with it by kafka_job.c's rule. Locks: pthread_once; libsasl2's list of
 * plugins is read only after that.
 */
#include "kafka/kafka_internal.h"
#include "kafka/kafka_transport.h"

#include <openssl/crypto.h>
#include <sasl/sasl.h>

#define MOST_ITERATIONS 1000000

typedef int (*SqSaslCallback)(void);

/* libsasl2 wants functions of all kinds as one. */
#define AS_CALLBACK(function) ((SqSaslCallback) (void (*)(void))(function))

typedef struct SqSaslLogin
{
	SqKafkaLogin base; /* must be first */
	sasl_conn_t *sasl;
	const char *mechanism; /* static */
	char *username;
	sasl_secret_t *secret;
	char *service;
	char *host;
	sasl_callback_t callbacks[6];
	bool started;
	char *input; /* the broker's token, ended by NUL */
	size_t input_length;
} SqSaslLogin;

/* ---- The library ---- */

static int
ignore_log(void *context, int level, const char *message)
{
	return SASL_OK;
}

/* libsasl2 would tell syslog. */
static const sasl_callback_t quiet[] = {
	{SASL_CB_LOG, AS_CALLBACK(ignore_log), NULL},
	{SASL_CB_LIST_END, NULL, NULL},
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool usable = false;

static void
load(void)
{
	usable = sasl_client_init(quiet) == SASL_OK;
}

const char *
sq_kafka_sasl_missing(const char *mechanism)
{
	const char **list;

	pthread_once(&once, load);
	list = usable ? sasl_global_listmech() : NULL;
	for (; list != NULL && *list != NULL; list++)
		if (strcmp(*list, mechanism) == 0)
			return NULL;
	return strcmp(mechanism, "GSSAPI") == 0 ? "libsasl2-modules-gssapi-mit"
											: "libsasl2-modules";
}

/* ---- What libsasl2 asks ---- */

static int
give_name(void *context, int id, const char **result, unsigned *length)
{
	const SqSaslLogin *login = context;

	/* SASL_CB_USER is for whom to act: nobody else */
	*result = id == SASL_CB_AUTHNAME ? login->username : "";
	if (length != NULL)
		*length = (unsigned) strlen(*result);
	return SASL_OK;
}

static int
give_secret(sasl_conn_t *sasl, void *context, int id, sasl_secret_t **secret)
{
	*secret = ((SqSaslLogin *) context)->secret;
	return SASL_OK;
}

/* ---- A step, in the thread ---- */

static int
add_callback(SqSaslLogin *login, int count, unsigned long id,
			 SqSaslCallback function)
{
	login->callbacks[count] = (sasl_callback_t){id, function, login};
	return count + 1;
}

/* What libsasl2 may ask. Kerberos knows by its tickets who we are. */
static void
set_callbacks(SqSaslLogin *login)
{
	int count = add_callback(login, 0, SASL_CB_LOG, AS_CALLBACK(ignore_log));

	if (strcmp(login->mechanism, "GSSAPI") != 0)
	{
		count =
			add_callback(login, count, SASL_CB_USER, AS_CALLBACK(give_name));
		count = add_callback(login, count, SASL_CB_AUTHNAME,
							 AS_CALLBACK(give_name));
		count =
			add_callback(login, count, SASL_CB_PASS, AS_CALLBACK(give_secret));
	}
	add_callback(login, count, SASL_CB_LIST_END, NULL);
}

/*
 * libsasl2 looks up the name of this host, too. GSSAPI without any layer
 * makes it forget to free the credentials that it takes in each step, so it
 * may agree on one that protects integrity; run_step sees to it that it does
 * not.
 */
static int
make_sasl(SqSaslLogin *login)
{
	sasl_security_properties_t properties = {0};
	int result;

	properties.max_ssf = strcmp(login->mechanism, "GSSAPI") == 0 ? 1 : 0;

	set_callbacks(login);
	result = sasl_client_new(login->service, login->host, NULL, NULL,
							 login->callbacks, 0, &login->sasl);
	if (result != SASL_OK)
		return result;
	return sasl_setprop(login->sasl, SASL_SEC_PROPS, &properties);
}

/* Has the login agreed on a layer, which nobody here speaks? */
static bool
has_layer(const SqSaslLogin *login)
{
	const void *strength = NULL;

	return sasl_getprop(login->sasl, SASL_SSF, &strength) == SASL_OK &&
		   *(const sasl_ssf_t *) strength > 0;
}

static void
explain(SqSaslLogin *login, int result)
{
	const char *detail = login->sasl != NULL
							 ? sasl_errdetail(login->sasl)
							 : sasl_errstring(result, NULL, NULL);

	sq_kafka_read_text((SqSlice){detail, detail != NULL ? strlen(detail) : 0},
					   login->base.reason, sizeof(login->base.reason));
}

static void
run_step(SqKafkaJob *job)
{
	SqSaslLogin *login = (SqSaslLogin *) job;
	const char *chosen;
	const char *token = NULL;
	unsigned length = 0;
	int result = login->started ? SASL_OK : make_sasl(login);

	if (login->started)
		result = sasl_client_step(login->sasl, login->input,
								  (unsigned) login->input_length, NULL, &token,
								  &length);
	else if (result == SASL_OK)
		result = sasl_client_start(login->sasl, login->mechanism, NULL, &token,
								   &length, &chosen);
	if (result == SASL_OK && has_layer(login))
		result = SASL_BADPROT;
	login->base.failed = result != SASL_OK && result != SASL_CONTINUE;
	login->base.complete = result == SASL_OK;
	/* the last step of SCRAM only looks at the broker's proof */
	login->base.sends = !login->base.complete || length > 0;
	login->base.token = (SqSlice){token != NULL ? token : "", length};
	login->started = true;
	if (login->base.failed)
		explain(login, result);
	/* what OpenSSL keeps for a thread goes before the thread is counted out */
	OPENSSL_thread_stop();
}

/* ---- A login ---- */

static void
end_login(SqKafkaJob *job)
{
	SqSaslLogin *login = (SqSaslLogin *) job;

	if (login->sasl != NULL)
		sasl_dispose(&login->sasl);
	if (login->username != NULL)
		sq_kafka_wipe(login->username, strlen(login->username));
	if (login->secret != NULL)
		sq_kafka_wipe(login->secret->data, login->secret->len);
	free(login->username);
	free(login->secret);
	free(login->service);
	free(login->host);
	free(login->input);
	free(login);
}

static sasl_secret_t *
copy_secret(const char *password)
{
	size_t length = strlen(password);
	sasl_secret_t *secret = malloc(sizeof(sasl_secret_t) + length + 1);

	if (secret == NULL)
		return NULL;
	secret->len = length;
	memcpy(secret->data, password, length + 1);
	return secret;
}

static bool
copy_settings(SqSaslLogin *login, const SqKafkaSettings *settings,
			  const char *host)
{
	login->mechanism = settings->mechanism;
	login->username = strdup(settings->username);
	login->secret = copy_secret(settings->password);
	login->service = strdup(settings->service);
	login->host = strdup(host);
	return login->username != NULL && login->secret != NULL &&
		   login->service != NULL && login->host != NULL;
}

static bool
start_step(SqSaslLogin *login, SqError *error)
{
	if (sq_kafka_job_start(&login->base.job))
		return true;
	sq_error_set(error, ERRCODE_INSUFFICIENT_RESOURCES,
				 "could not start a thread for Kafka");
	return false;
}

SqKafkaLogin *
sq_kafka_sasl_start(const SqKafkaSettings *settings, const char *host,
					SqError *error)
{
	SqSaslLogin *login = calloc(1, sizeof(SqSaslLogin));

	if (login == NULL)
	{
		sq_kafka_error_memory(error);
		return NULL;
	}
	if (!sq_kafka_job_init(&login->base.job, run_step, end_login))
		sq_error_set(error, ERRCODE_INSUFFICIENT_RESOURCES,
					 "could not make a descriptor for Kafka");
	else if (!copy_settings(login, settings, host))
		sq_kafka_error_memory(error);
	else if (start_step(login, error))
		return &login->base;
	sq_kafka_job_drop(&login->base.job);
	return NULL;
}

/* The number of iterations that a first message of SCRAM's server asks for,
 * the last of its attributes; 0 if it has none. */
static unsigned long
iterations(const char *token)
{
	const char *at = strstr(token, ",i=");

	return at != NULL ? strtoul(at + 3, NULL, 10) : 0;
}

bool
sq_kafka_sasl_step(SqKafkaLogin *base, SqSlice token, SqError *error)
{
	SqSaslLogin *login = (SqSaslLogin *) base;

	free(login->input);
	login->input_length = token.length;
	login->input = malloc(token.length + 1);
	if (login->input == NULL)
	{
		sq_kafka_error_memory(error);
		return false;
	}
	if (token.length > 0)
		memcpy(login->input, token.data, token.length);
	login->input[token.length] = '\0';
	if (strncmp(login->mechanism, "SCRAM", 5) == 0 &&
		iterations(login->input) > MOST_ITERATIONS)
	{
		sq_error_set(error, ERRCODE_PROTOCOL_VIOLATION,
					 "could not log in to Kafka");
		sq_error_detail(error,
						"The broker asks to hash the password %lu "
						"times, more than %d.",
						iterations(login->input), MOST_ITERATIONS);
		return false;
	}
	return start_step(login, error);
}
