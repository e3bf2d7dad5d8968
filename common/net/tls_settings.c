/* tls_settings.c - the standard `tls` settings
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "common/base/memory.h"
#include "common/net/tls_private.h"

/* Python's names too, as it takes them for wrap_socket; those of SSL 2 and 3 are gone from OpenSSL. */
static const char *const version_names[] = {
	"TLSv1.2", "TLSv1.3", "TLSv1.1", "TLSv1", "PROTOCOL_TLS", "PROTOCOL_TLS_CLIENT", "PROTOCOL_SSLv23",
	"PROTOCOL_TLSv1_2", "PROTOCOL_TLSv1_1", "PROTOCOL_TLSv1", NULL
};
static const int versions[] = {
	TLS1_2_VERSION, TLS1_3_VERSION, TLS1_1_VERSION, TLS1_VERSION, TLS1_2_VERSION, TLS1_2_VERSION, TLS1_2_VERSION,
	TLS1_2_VERSION, TLS1_1_VERSION, TLS1_VERSION,
};
_Static_assert(ARRAY_SIZE(versions) + 1 == ARRAY_SIZE(version_names), "a version for each name");

static const char *const requirements[] = {
	"none", "optional", "required", "CERT_NONE", "CERT_OPTIONAL", "CERT_REQUIRED", NULL
};

#define OF_PYTHON "means nothing here; it is an argument of Python's wrap_socket"

#define ROWS_OF_PAIR(S, CERTFILE, KEYFILE) \
	{ "certfile", PATH_FIELD(S, CERTFILE), NULL, 0, 0, "our certificate, with its chain, in PEM" }, \
	{ "keyfile", PATH_FIELD(S, KEYFILE), NULL, 0, 0, "its private key; not given: in certfile too" }

#define ROWS_OF_ALL \
	{ "ciphers", TEXT_FIELD(tls_settings, ciphers), NULL, 0, 0, \
		"ciphers of TLS 1.2 and before, as OpenSSL lists them" }, \
	{ "min_version", CHOICE_FIELD(tls_settings, min_version), "TLSv1.2", 0, 0, "the oldest protocol that is spoken", \
		.alias = "ssl_version", .choices = version_names }, \
	{ "server_side", OPTION_IGNORED, .text = OF_PYTHON }, \
	{ "do_handshake_on_connect", OPTION_IGNORED, .text = OF_PYTHON }, \
	{ "suppress_ragged_eofs", OPTION_IGNORED, .text = OF_PYTHON }, \
	{ 0 }

#define ROWS_OF_CLIENT(VERIFY) \
	ROWS_OF_PAIR(tls_settings, own.certfile, own.keyfile), \
	{ "ca_certs", PATH_FIELD(tls_settings, ca_certs), NULL, 0, 0, \
		"file or directory of the authorities that are trusted; not given: those of the system" }, \
	{ "cert_reqs", CHOICE_FIELD(tls_settings, cert_reqs), VERIFY, 0, 0, \
		"whether the server's certificate is verified; optional is as required", .choices = requirements }, \
	{ "check_hostname", BOOL_FIELD(tls_settings, check_hostname), "true", 0, 0, \
		"whether a certificate that is verified must be for the host's name, too" }, \
	ROWS_OF_ALL

const struct option tls_client_rows[] = { ROWS_OF_CLIENT("required") };
const struct option tls_relay_rows[] = { ROWS_OF_CLIENT("none") };

static const struct option pair_rows[] = { ROWS_OF_PAIR(tls_pair, certfile, keyfile), { 0 } };

const struct option tls_server_rows[] = {
	ROWS_OF_PAIR(tls_settings, own.certfile, own.keyfile),
	{ "certs", SECTIONS_FIELD(tls_settings, certs), NULL, 0, 0,
		"further certificates, for clients that ask for a name which they have", .rows = pair_rows,
		.item_size = sizeof(struct tls_pair) },
	{ "ca_certs", PATH_FIELD(tls_settings, ca_certs), NULL, 0, 0,
		"file or directory of the authorities of clients' certificates; not given: those of the system" },
	{ "cert_reqs", CHOICE_FIELD(tls_settings, cert_reqs), "none", 0, 0,
		"whether clients are asked for a certificate; optional: one that is shown must be good",
		.choices = requirements },
	{ "check_hostname", OPTION_IGNORED, .text = "means nothing for a server: clients have no host's name to check" },
	ROWS_OF_ALL
};

static const char *content_of(const struct config_node *map, const char *key)
{
	const struct config_node *node = config_get(map, key);

	return node ? node->content : NULL;
}

static void take_contents(struct tls_pair *pair, const struct config_node *map)
{
	pair->cert_pem = content_of(map, "certfile");
	pair->key_pem = content_of(map, "keyfile");
}

void tls_settings_given(const struct config_node *node, void *field, struct config_errors *errors)
{
	struct tls_settings *settings = field;
	const struct config_node *certs = config_get(node, "certs");
	struct tls_pair *pairs = settings->certs.items;

	settings->given = true;
	settings->ca_pem = content_of(node, "ca_certs");
	take_contents(&settings->own, node);
	for (size_t i = 0; i < settings->certs.count; i++)
		take_contents(&pairs[i], certs->kind == CONFIG_LIST ? certs->items[i] : certs);
	if (node->kind == CONFIG_NULL)
		config_error_at(errors, node, "expected a map; {} is TLS with its defaults");
}

enum tls_cert_reqs tls_cert_reqs(const struct tls_settings *settings)
{
	return (enum tls_cert_reqs)(settings->cert_reqs % 3);
}

int tls_min_version(const struct tls_settings *settings)
{
	return versions[settings->min_version];
}

static void say_error(const struct tls_error *error, const struct config_node *map, struct config_errors *errors)
{
	const struct config_node *certs = config_get(map, "certs"), *node;

	if (error->pair && certs && certs->kind == CONFIG_LIST && error->pair <= certs->count)
		map = certs->items[error->pair - 1];
	else if (error->pair && certs)
		map = certs;
	node = config_get(map, error->key);
	config_error_at_value(errors, node ? node : map, "%s", error->text);
}

static void warn_of_pairs(const struct tls_context *context, const struct tls_settings *settings,
	const struct config_node *map, struct config_errors *errors)
{
	const struct config_node *certs = config_get(map, "certs");
	const struct tls_pair *pairs = settings->certs.items;

	tls_warn_of_dates(context->ssl, &settings->own, map, errors);
	for (size_t i = 0; i < settings->certs.count; i++) {
		const struct config_node *pair = certs->kind == CONFIG_LIST ? certs->items[i] : certs;

		tls_warn_of_dates(tls_names_context(context->ssl, i + 1), &pairs[i], pair, errors);
		if (!tls_names_chooses(context->ssl, i + 1))
			config_warning_at(errors, config_get(pair, "certfile"),
				"never used: it has no name that a certificate before it lacks");
	}
}

static bool has_chain(SSL_CTX *ssl)
{
	STACK_OF(X509) *chain = NULL;

	SSL_CTX_get0_chain_certs(ssl, &chain);
	return sk_X509_num(chain) > 0;
}

/* OpenSSL has its own opinion of what is strong enough, and says so to clients alone. */
static void warn_of_version(const struct tls_context *context, const struct tls_settings *settings,
	const struct config_node *map, struct config_errors *errors)
{
	int level = context ? SSL_CTX_get_security_level(context->ssl) : 0;
	const struct config_node *node = config_get(map, "min_version");

	if (level > 0 && tls_min_version(settings) < TLS1_2_VERSION)
		config_warning_at(errors, node ? node : config_get(map, "ssl_version"),
			"nothing before TLS 1.2 is spoken at OpenSSL's security level %d; "
			"ciphers \"DEFAULT:@SECLEVEL=0\" would allow it, and other weak things", level);
}

static void warn_of_authorities(const struct tls_settings *settings, const struct config_node *map,
	struct config_errors *errors)
{
	if (settings->ca_certs && tls_cert_reqs(settings) == TLS_CERT_NONE)
		config_warning_at(errors, config_get(map, "ca_certs"), "not used: cert_reqs none verifies nothing");
}

void tls_client_check(const struct tls_settings *settings, const struct config_node *map, struct config_errors *errors)
{
	struct tls_error error = { 0 };
	struct tls_context *context;

	if (!settings->given)
		return;
	context = tls_client_context_new(settings, &error);
	if (!context)
		say_error(&error, map, errors);
	warn_of_version(context, settings, map, errors);
	warn_of_authorities(settings, map, errors);
	free(error.text);
	tls_context_free(context);
}

void tls_server_check(const struct tls_settings *settings, const struct config_node *map, struct config_errors *errors)
{
	struct tls_error error = { 0 };
	struct tls_context *context;

	if (!settings->given)
		return;
	context = tls_server_context_new(settings, NULL, &error);
	if (context)
		warn_of_pairs(context, settings, map, errors);
	else
		say_error(&error, map, errors);
	warn_of_version(context, settings, map, errors);
	if (context && settings->ca_certs && tls_cert_reqs(settings) == TLS_CERT_NONE && !has_chain(context->ssl))
		config_warning_at(errors, config_get(map, "ca_certs"),
			"not used: cert_reqs none asks clients for no certificate, and it has no chain for certfile");
	if (!settings->ca_certs && tls_cert_reqs(settings) != TLS_CERT_NONE)
		config_warning_at(errors, config_get(map, "cert_reqs"),
			"without ca_certs whoever has a certificate of a public authority has a good one");
	free(error.text);
	tls_context_free(context);
}
