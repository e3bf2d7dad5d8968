/* tls_stream.c - TLS between a stream and its descriptor
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/net/hosts.h"
#include "common/net/stream.h"
#include "common/net/tls_private.h"

#define READ_QUOTA (2 * STREAM_READ_MAX)	/* octets that one call of the loop reads at most */
#define LATE_MAX 100	/* messages of a handshake after its end: each costs us more than it costs the peer */

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

/* A peer that never stops sending what is not for the owner must not keep the loop. */
static int below_read(BIO *bio, char *data, size_t size, size_t *got)
{
	struct tls *tls = BIO_get_data(bio);
	ssize_t n;

	BIO_clear_retry_flags(bio);
	*got = 0;
	if (!tls->quota) {
		tls->held_back = true;
		tls->error = EAGAIN;
		BIO_set_retry_read(bio);
		return 0;
	}
	n = stream_plain_io.read(tls->stream, data, size);
	tls->error = n < 0 ? errno : 0;
	tls->ended = n == 0;
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		BIO_set_retry_read(bio);
	if (n <= 0)
		return 0;
	*got = (size_t)n;
	tls->quota -= *got < tls->quota ? *got : tls->quota;
	return 1;
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

void tls_say(struct tls *tls, const char *what)
{
	if (!tls->problem)
		tls->problem = xasprintf("%s: %s", tls->up ? "TLS" : "TLS handshake", what);
}

static void say_certificate(struct tls *tls)
{
	const char *why = X509_verify_cert_error_string(SSL_get_verify_result(tls->ssl));
	char *text = tls->host ? xasprintf("its certificate for %s is not trusted: %s", tls->host, why)
		: xasprintf("the client's certificate is not trusted: %s", why);

	tls_say(tls, text);
	free(text);
}

/* Words in clear where a handshake was to begin. */
static bool is_no_tls(int reason)
{
	return reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST || reason == SSL_R_HTTPS_PROXY_REQUEST;
}

/* What the other end has against us. False: it was not that. Of OpenSSL's "tlsv1 alert unknown ca" the last two words: the
 * version is that of the standard which named it first. */
static bool say_alert(struct tls *tls, int reason)
{
	const char *name = reason >= SSL_AD_REASON_OFFSET ? ERR_reason_error_string(ERR_peek_error()) : NULL;
	const char *rest = name ? strchr(name, ' ') : NULL;
	char *text;

	if (!rest)
		return false;
	rest += strncmp(rest, " alert ", 7) == 0 ? 7 : 1;
	text = xasprintf("alert of the %s: %s", tls->host ? "server" : "client", rest);
	tls_say(tls, text);
	free(text);
	return true;
}

/* The certificate's own trouble says more than that it was refused. */
static void say_openssl(struct tls *tls)
{
	unsigned long code = ERR_peek_error();
	int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;

	if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
		say_certificate(tls);
	else if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		tls_say(tls, "the connection was cut");
	else if (is_no_tls(reason) && tls->host)
		tls_say(tls, "the answer is not TLS; is this a port for TLS?");
	else if (is_no_tls(reason))
		tls_say(tls, "what the client sent is not TLS");
	else if (!say_alert(tls, reason))
		tls_say(tls, tls_openssl_error());
	ERR_clear_error();
}

/* -1 with errno, or 0 for an end in order. */
ssize_t tls_result(struct tls *tls, int result, bool reading)
{
	int error = SSL_get_error(tls->ssl, result);

	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
		tls->stream->write_wants_read = !reading && error == SSL_ERROR_WANT_READ;
		tls->stream->read_wants_write = reading && error == SSL_ERROR_WANT_WRITE;
		tls->stream->more = tls->held_back;
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
		tls_say(tls, "the connection was cut");
	tls->failure = errno;
	return -1;
}

void tls_begin_call(struct tls *tls)
{
	ERR_clear_error();
	tls->quota = READ_QUOTA;
	tls->held_back = false;
	tls->error = 0;
	tls->up = tls->up || SSL_is_init_finished(tls->ssl);
}

/* --- above it: the stream --- */

/* As much as fits, so that nothing waits within OpenSSL, where no event tells of it. A fault behind good octets is told but
 * once: it is kept for the next call. */
static ssize_t tls_read(struct stream *stream, void *data, size_t size)
{
	struct tls *tls = stream->io_data;
	size_t total = 0, got;
	ssize_t end;
	int result;

	tls_begin_call(tls);
	stream->read_wants_write = stream->more = false;
	if (tls->failed) {
		errno = tls->failure;
		return -1;
	}
	do {
		got = 0;
		result = SSL_read_ex(tls->ssl, (char *)data + total, size - total, &got);
		total += got;
	} while (result == 1 && total < size && SSL_has_pending(tls->ssl));
	stream->more = result == 1 && SSL_has_pending(tls->ssl);
	if (tls->late > LATE_MAX) {
		tls->failed = true;
		tls_say(tls, "too many messages of a handshake after its end");
		errno = tls->failure = EPROTO;
		return -1;
	}
	if (result == 1)
		return (ssize_t)total;
	end = tls_result(tls, result, true);
	if (!total)
		return end;
	stream->more = end == 0 || tls->failed || stream->read_wants_write;
	stream->read_wants_write = false;
	return (ssize_t)total;
}

static ssize_t tls_write(struct stream *stream, const void *data, size_t size)
{
	struct tls *tls = stream->io_data;
	size_t written = 0;
	int result;

	tls_begin_call(tls);
	stream->write_wants_read = false;
	if (tls->failed) {
		errno = tls->failure;
		return -1;
	}
	result = SSL_write_ex(tls->ssl, data, size, &written);
	return result == 1 ? (ssize_t)written : tls_result(tls, result, false);
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
	tls_handshake_free(tls);
	SSL_free(tls->ssl);
	free(tls->host);
	free(tls->problem);
	free(tls);
}

const struct stream_io tls_io = { tls_read, tls_write, tls_finish, tls_release };

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
		tls_say(tls, "no certificate can be for such a host");
	}
	SSL_set_hostflags(tls->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
}

struct tls *tls_new(struct stream *stream, SSL_CTX *context)
{
	struct tls *tls = xcalloc(1, sizeof(*tls));
	BIO *below = below_new(tls);

	tls->stream = stream;
	tls->failure = EPROTO;
	tls->context = context;
	tls->ssl = SSL_new(context);
	if (!tls->ssl)
		BUG("no memory for TLS");
	SSL_set_bio(tls->ssl, below, below);
	SSL_set_app_data(tls->ssl, tls);
	stream->io_data = tls;
	stream->io = &tls_io;
	return tls;
}

void tls_start_client(struct stream *stream, const struct tls_context *context, const char *host)
{
	struct tls *tls = tls_new(stream, context->ssl);

	tls->host = without_dot(host);
	SSL_set_connect_state(tls->ssl);
	expect_host(tls, context);
}

void tls_shake_hands(struct stream *stream)
{
	struct tls *tls = stream->io_data;
	int result;

	tls_begin_call(tls);
	errno = EPROTO;
	result = tls->failed ? -1 : SSL_do_handshake(tls->ssl);
	if (result != 1 && (tls->failed || tls_result(tls, result, true) <= 0) && errno != EAGAIN)
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

	return tls ? tls->problem : NULL;
}

/* --- the server's --- */

static void on_message(int sent, int version, int type, const void *data, size_t size, SSL *ssl, void *arg)
{
	struct tls *tls = SSL_get_app_data(ssl);

	(void)version;
	(void)data;
	(void)size;
	(void)arg;
	if (!sent && tls->up && type == SSL3_RT_HANDSHAKE)
		tls->late++;
	if (tls->late > LATE_MAX)
		tls->quota = 0;
}

void tls_watch(struct tls *tls)
{
	SSL_set_msg_callback(tls->ssl, on_message);
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
