/* tls_stream.c - TLS between a stream and its descriptor
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/net/hosts.h"
#include "common/net/stream.h"
#include "common/net/tls_private.h"

/* --- below OpenSSL: the descriptor, as a plain stream uses it --- */

static int below_write(BIO *bio, const char *data, size_t size, size_t *written)
{
	struct tls *tls = BIO_get_data(bio);
	ssize_t n = stream_plain_io.write(tls->stream, data, size);

	BIO_clear_retry_flags(bio);
	tls->error = n < 0 ? errno : 0;
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		BIO_set_retry_write(bio);
	*written = n > 0 ? (size_t)n : 0;
	return n > 0;
}

static int below_read(BIO *bio, char *data, size_t size, size_t *got)
{
	struct tls *tls = BIO_get_data(bio);
	ssize_t n = stream_plain_io.read(tls->stream, data, size);

	BIO_clear_retry_flags(bio);
	tls->error = n < 0 ? errno : 0;
	tls->ended = n == 0;
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		BIO_set_retry_read(bio);
	*got = n > 0 ? (size_t)n : 0;
	return n > 0;
}

static long below_control(BIO *bio, int command, long number, void *arg)
{
	(void)number;
	(void)arg;
	if (command == BIO_CTRL_EOF)
		return ((struct tls *)BIO_get_data(bio))->ended;
	return command == BIO_CTRL_FLUSH;
}

static BIO *below_new(struct tls *tls)
{
	static BIO_METHOD *method;
	BIO *bio;

	if (!method) {
		method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
		if (!method || BIO_meth_set_write_ex(method, below_write) != 1 || BIO_meth_set_read_ex(method, below_read) != 1 ||
				BIO_meth_set_ctrl(method, below_control) != 1)
			BUG("no memory for TLS");
	}
	bio = BIO_new(method);
	if (!bio)
		BUG("no memory for TLS");
	BIO_set_data(bio, tls);
	BIO_set_init(bio, 1);
	return bio;
}

/* --- what went wrong --- */

static void say(struct tls *tls, const char *what)
{
	const char *phase = tls->up ? "TLS" : "TLS handshake";

	if (!tls->problem[0])
		snprintf(tls->problem, sizeof(tls->problem), "%s: %s", phase, what);
}

/* The certificate's own trouble says more than that it was refused. */
static void say_openssl(struct tls *tls)
{
	unsigned long code = ERR_peek_error();
	long verified = SSL_get_verify_result(tls->ssl);
	char text[192];

	if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
		snprintf(text, sizeof(text), "its certificate for %s is not trusted: %s", tls->host,
			X509_verify_cert_error_string(verified));
		say(tls, text);
	} else if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
		say(tls, "the connection was cut");
	} else if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER) {
		say(tls, "the answer is not TLS; is this a port for TLS?");
	} else {
		say(tls, tls_openssl_error());
	}
	ERR_clear_error();
}

/* -1 with errno, or 0 for an end in order. */
static ssize_t result_of(struct tls *tls, int result, bool reading)
{
	int error = SSL_get_error(tls->ssl, result);

	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
		tls->stream->write_wants_read = !reading && error == SSL_ERROR_WANT_READ;
		tls->stream->read_wants_write = reading && error == SSL_ERROR_WANT_WRITE;
		errno = EAGAIN;
		return -1;
	}
	if (reading && error == SSL_ERROR_ZERO_RETURN)
		return 0;
	/* What the peer had to say of it may wait behind a write that failed. */
	tls->failed = reading || error != SSL_ERROR_SYSCALL;
	errno = EPROTO;
	if (error == SSL_ERROR_SYSCALL && tls->error)
		errno = tls->error;
	else if (error == SSL_ERROR_SSL)
		say_openssl(tls);
	else
		say(tls, "the connection was cut");
	return -1;
}

/* --- above it: the stream --- */

/* As much as fits, so that nothing waits within OpenSSL, where no event tells of it. */
static ssize_t tls_read(struct stream *stream, void *data, size_t size)
{
	struct tls *tls = stream->io_data;
	size_t total = 0, got;
	int result;

	ERR_clear_error();
	tls->up = tls->up || SSL_is_init_finished(tls->ssl);
	stream->read_wants_write = false;
	if (tls->failed) {
		errno = EPROTO;
		return -1;
	}
	do {
		got = 0;
		result = SSL_read_ex(tls->ssl, (char *)data + total, size - total, &got);
		total += got;
	} while (result == 1 && total < size && SSL_pending(tls->ssl));
	stream->more = result == 1 && SSL_pending(tls->ssl);
	return total ? (ssize_t)total : result_of(tls, result, true);
}

static ssize_t tls_write(struct stream *stream, const void *data, size_t size)
{
	struct tls *tls = stream->io_data;
	size_t written = 0;
	int result;

	ERR_clear_error();
	tls->up = tls->up || SSL_is_init_finished(tls->ssl);
	stream->write_wants_read = false;
	if (tls->failed) {
		errno = EPROTO;
		return -1;
	}
	result = SSL_write_ex(tls->ssl, data, size, &written);
	return result == 1 ? (ssize_t)written : result_of(tls, result, false);
}

/* One try: what waits behind a full socket is not worth a wait. */
static void tls_finish(struct stream *stream)
{
	struct tls *tls = stream->io_data;

	if (!tls->failed && SSL_is_init_finished(tls->ssl) && !(SSL_get_shutdown(tls->ssl) & SSL_SENT_SHUTDOWN))
		SSL_shutdown(tls->ssl);
	ERR_clear_error();
}

static void tls_release(struct stream *stream)
{
	struct tls *tls = stream->io_data;

	stream->io_data = NULL;
	SSL_free(tls->ssl);
	free(tls->host);
	free(tls);
}

static const struct stream_io tls_io = { tls_read, tls_write, tls_finish, tls_release };

/* As certificates and SNI have names (RFC 6066 3). */
static char *without_dot(const char *host)
{
	size_t size = strlen(host);

	return xstrndup(host, size > 1 && host[size - 1] == '.' ? size - 1 : size);
}

static void expect_host(struct tls *tls, const struct tls_context *context)
{
	struct host_address address;
	bool is_address = host_address_parse(&address, tls->host);
	char text[HOST_ADDRESS_TEXT_SIZE];
	int good = 1;

	if (!is_address)
		good = SSL_set_tlsext_host_name(tls->ssl, tls->host);
	if (context->check_hostname && is_address)
		good = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls->ssl), host_address_text(&address, text));
	else if (context->check_hostname)
		good = SSL_set1_host(tls->ssl, tls->host);
	if (good != 1) {
		tls->failed = true;
		say(tls, "no certificate can be for such a host");
	}
	SSL_set_hostflags(tls->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
}

void tls_start_client(struct stream *stream, const struct tls_context *context, const char *host)
{
	struct tls *tls = xcalloc(1, sizeof(*tls));
	BIO *below = below_new(tls);

	tls->stream = stream;
	tls->host = without_dot(host);
	tls->ssl = SSL_new(context->ssl);
	if (!tls->ssl)
		BUG("no memory for TLS");
	SSL_set_bio(tls->ssl, below, below);
	SSL_set_connect_state(tls->ssl);
	SSL_set_app_data(tls->ssl, tls);
	expect_host(tls, context);
	stream->io_data = tls;
	stream->io = &tls_io;
}

void tls_shake_hands(struct stream *stream)
{
	struct tls *tls = stream->io_data;
	int result;

	ERR_clear_error();
	errno = EPROTO;
	result = tls->failed ? -1 : SSL_do_handshake(tls->ssl);
	if (result != 1 && (tls->failed || result_of(tls, result, true) <= 0) && errno != EAGAIN)
		stream_abort(stream, errno);
}

bool tls_is_shaking_hands(const struct stream *stream)
{
	const struct tls *tls = stream->io_data;

	return tls && !SSL_is_init_finished(tls->ssl);
}

const char *tls_problem(const struct stream *stream)
{
	const struct tls *tls = stream->io_data;

	return tls && tls->problem[0] ? tls->problem : NULL;
}

static const struct tls *of_up(const struct stream *stream)
{
	const struct tls *tls = stream->io == &tls_io ? stream->io_data : NULL;

	return tls && SSL_is_init_finished(tls->ssl) ? tls : NULL;
}

const char *tls_version(const struct stream *stream)
{
	const struct tls *tls = of_up(stream);

	return tls ? SSL_get_version(tls->ssl) : NULL;
}

const char *tls_cipher(const struct stream *stream)
{
	const struct tls *tls = of_up(stream);

	return tls ? SSL_get_cipher_name(tls->ssl) : NULL;
}

bool tls_is_resumed(const struct stream *stream)
{
	const struct tls *tls = of_up(stream);

	return tls && SSL_session_reused(tls->ssl);
}
