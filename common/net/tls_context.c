/* tls_context.c - what the connections of one `tls` setting share: certificates, authorities, protocols
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/net/tls_private.h"

__attribute__((format(printf, 3, 4)))
static int wrong(struct tls_error *error, const char *key, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	error->key = key;
	error->text = xvasprintf(format, args);
	va_end(args);
	return -1;
}

const char *tls_openssl_error(void)
{
	unsigned long code = ERR_get_error();
	const char *reason = ERR_reason_error_string(code);

	ERR_clear_error();
	return reason ? reason : code ? "unknown error" : "no reason given";
}

static int check_file(const char *key, const char *path, struct stat *status, struct tls_error *error)
{
	if (access(path, R_OK) < 0 || stat(path, status) < 0)
		return wrong(error, key, "cannot read %s: %s", path, strerror(errno));
	return 0;
}

/* Nobody is there to be asked; OpenSSL would, on the terminal. */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
	(void)out;
	(void)size;
	(void)writing;
	*(bool *)arg = true;
	return 0;
}

static int load_own(SSL_CTX *ssl, const struct tls_settings *s, struct tls_error *error)
{
	const char *keyfile = s->keyfile ? s->keyfile : s->certfile, *key = s->keyfile ? "keyfile" : "certfile";
	bool asked = false;
	struct stat status = { 0 };
	int result;

	if (!s->certfile && s->keyfile)
		return wrong(error, "keyfile", "expected certfile with it");
	if (!s->certfile)
		return 0;
	if (check_file("certfile", s->certfile, &status, error) < 0 ||
			(s->keyfile && check_file("keyfile", s->keyfile, &status, error) < 0))
		return -1;
	if (SSL_CTX_use_certificate_chain_file(ssl, s->certfile) != 1)
		return wrong(error, "certfile", "expected a certificate in PEM in %s: %s", s->certfile, tls_openssl_error());
	SSL_CTX_set_default_passwd_cb(ssl, no_passphrase);
	SSL_CTX_set_default_passwd_cb_userdata(ssl, &asked);
	result = SSL_CTX_use_PrivateKey_file(ssl, keyfile, SSL_FILETYPE_PEM);
	SSL_CTX_set_default_passwd_cb_userdata(ssl, NULL);
	if (asked)
		return wrong(error, key, "expected a key without a passphrase in %s", keyfile);
	if (result != 1)
		return wrong(error, key, "expected the private key of certfile in %s: %s", keyfile, tls_openssl_error());
	return 0;
}

static int load_authorities(SSL_CTX *ssl, const struct tls_settings *s, struct tls_error *error)
{
	struct stat status = { 0 };
	int result;

	if (!s->ca_certs) {
		if (SSL_CTX_set_default_verify_paths(ssl) != 1)
			return wrong(error, "ca_certs", "the system's authorities cannot be read: %s", tls_openssl_error());
		return 0;
	}
	if (check_file("ca_certs", s->ca_certs, &status, error) < 0)
		return -1;
	result = S_ISDIR(status.st_mode) ? SSL_CTX_load_verify_dir(ssl, s->ca_certs) : SSL_CTX_load_verify_file(ssl, s->ca_certs);
	if (result != 1)
		return wrong(error, "ca_certs", "expected certificates in PEM in %s: %s", s->ca_certs, tls_openssl_error());
	return 0;
}

static int set_up(struct tls_context *context, const struct tls_settings *s, struct tls_error *error)
{
	SSL_CTX *ssl = context->ssl;

	SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	if (SSL_CTX_set_min_proto_version(ssl, tls_min_version(s)) != 1)
		return wrong(error, "min_version", "not known to this OpenSSL: %s", tls_openssl_error());
	if (s->ciphers && SSL_CTX_set_cipher_list(ssl, s->ciphers) != 1)
		return wrong(error, "ciphers", "expected ciphers as `openssl ciphers` lists them: %s", tls_openssl_error());
	if (load_own(ssl, s, error) < 0)
		return -1;
	context->verify = tls_cert_reqs(s) != TLS_CERT_NONE;
	context->check_hostname = context->verify && s->check_hostname;
	SSL_CTX_set_verify(ssl, context->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	return context->verify ? load_authorities(ssl, s, error) : 0;
}

struct tls_context *tls_client_context_new(const struct tls_settings *settings, struct tls_error *error)
{
	struct tls_context *context = xcalloc(1, sizeof(*context));

	ERR_clear_error();
	context->ssl = SSL_CTX_new(TLS_client_method());
	if (!context->ssl)
		BUG("no TLS: %s", tls_openssl_error());
	tls_session_keep(context->ssl);
	if (set_up(context, settings, error) == 0)
		return context;
	ERR_clear_error();
	tls_context_free(context);
	return NULL;
}

bool tls_context_verifies(const struct tls_context *context)
{
	return context->verify;
}

void tls_context_free(struct tls_context *context)
{
	if (!context)
		return;
	SSL_CTX_free(context->ssl);
	free(context);
}
