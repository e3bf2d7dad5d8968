/* tls_context.c - what the connections of one `tls` setting share: certificates, authorities, protocols
 * SPDX-License-Identifier: MIT */
#include <openssl/err.h>
#include <stdarg.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "common/net/tls_private.h"

int tls_wrong(struct tls_error *error, const char *key, const char *format, ...)
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

int tls_set_up(SSL_CTX *ssl, const struct tls_settings *s, struct tls_error *error)
{
	SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	if (SSL_CTX_set_min_proto_version(ssl, tls_min_version(s)) != 1)
		return tls_wrong(error, "min_version", "not known to this OpenSSL: %s", tls_openssl_error());
	if (s->ciphers && SSL_CTX_set_cipher_list(ssl, s->ciphers) != 1)
		return tls_wrong(error, "ciphers", "expected ciphers as `openssl ciphers` lists them: %s", tls_openssl_error());
	return 0;
}

static int set_up_client(struct tls_context *context, const struct tls_settings *s, struct tls_error *error)
{
	SSL_CTX *ssl = context->ssl;

	if (tls_set_up(ssl, s, error) < 0)
		return -1;
	if ((s->own.certfile || s->own.keyfile) && tls_load_pair(ssl, &s->own, error) < 0)
		return -1;
	context->verify = tls_cert_reqs(s) != TLS_CERT_NONE;
	context->check_hostname = context->verify && s->check_hostname;
	SSL_CTX_set_verify(ssl, context->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	return context->verify ? tls_load_authorities(ssl, s, error) : 0;
}

struct tls_context *tls_client_context_new(const struct tls_settings *settings, struct tls_error *error)
{
	struct tls_context *context = xcalloc(1, sizeof(*context));

	ERR_clear_error();
	context->ssl = SSL_CTX_new(TLS_client_method());
	if (!context->ssl)
		BUG("no TLS: %s", tls_openssl_error());
	tls_session_keep(context->ssl);
	if (set_up_client(context, settings, error) == 0)
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
