/* load_secure.c - TLS of load, as cheap for the client as it can be: what is measured is the server
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>

#include "t/bench/load.h"

static SSL_CTX *context;

static int take_any(X509_STORE_CTX *store, void *arg)
{
	(void)store;
	(void)arg;
	return 1;
}

void secure_init(void)
{
	signal(SIGPIPE, SIG_IGN);	/* OpenSSL writes by write() */
	context = SSL_CTX_new(TLS_client_method());
	if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) ||
		!SSL_CTX_set_ciphersuites(context, "TLS_AES_256_GCM_SHA384") || !SSL_CTX_set1_groups_list(context, "X25519") ||
		!SSL_CTX_set1_sigalgs_list(context, "ECDSA+SHA256:RSA-PSS+SHA256"))
		die("no TLS 1.3 here");
	/* Without, OpenSSL looks for a chain and then ignores what came of it. */
	SSL_CTX_set_cert_verify_callback(context, take_any, NULL);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_quiet_shutdown(context, 1);
	SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
		SSL_MODE_RELEASE_BUFFERS);
}

void secure_release(void)
{
	SSL_CTX_free(context);
}

SSL *secure_new(int fd)
{
	SSL *ssl = SSL_new(context);

	if (!ssl || !SSL_set_fd(ssl, fd))
		die("no memory for TLS");
	SSL_set_connect_state(ssl);
	return ssl;
}

void secure_free(SSL *ssl)
{
	SSL_free(ssl);
	ERR_clear_error();
}

static bool is_waiting(const SSL *ssl, int result)
{
	int why = SSL_get_error(ssl, result);

	return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
}

int secure_handshake(SSL *ssl)
{
	int result = SSL_do_handshake(ssl);

	return result == 1 ? 1 : is_waiting(ssl, result) ? 0 : -1;
}

/* As recv() and send() would say it. */
static ssize_t result_of(const SSL *ssl, int result, size_t size)
{
	if (result == 1)
		return (ssize_t)size;
	if (SSL_get_error(ssl, result) == SSL_ERROR_ZERO_RETURN)
		return 0;
	errno = is_waiting(ssl, result) ? EAGAIN : EPROTO;
	return -1;
}

ssize_t secure_recv(SSL *ssl, void *to, size_t size)
{
	size_t had = 0;
	int result = SSL_read_ex(ssl, to, size, &had);

	return result_of(ssl, result, had);
}

ssize_t secure_send(SSL *ssl, const void *data, size_t size)
{
	size_t sent = 0;
	int result = SSL_write_ex(ssl, data, size, &sent);

	return result_of(ssl, result, sent);
}
