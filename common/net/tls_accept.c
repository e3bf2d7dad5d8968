/* tls_accept.c - the handshake of a server
 * SPDX-License-Identifier: MIT
 * While it lasts the stream's callbacks are ours: its owner hears of the end of it only. */
#include <errno.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/net/stream.h"
#include "common/net/tls_private.h"

#define NAME_SIZE 255

struct tls_handshake {
	const struct stream_handler *handler;	/* the owner's */
	void *arg;
	tls_up_fn *up;
	void *up_arg;
	struct event timer;
};

void tls_handshake_free(struct tls *tls)
{
	if (!tls->handshake)
		return;
	event_del(&tls->handshake->timer);
	free(tls->handshake);
	tls->handshake = NULL;
}

static void give_back(struct tls *tls)
{
	tls->stream->handler = tls->handshake->handler;
	tls->stream->arg = tls->handshake->arg;
	tls_handshake_free(tls);
}

/* --- instead of the owner --- */

static size_t on_input(void *arg, const char *data, size_t size)
{
	(void)arg;
	(void)data;
	return size;
}

static void on_ended(void *arg)
{
	struct tls *tls = arg;

	tls_say(tls, "the client closed the connection");
	stream_abort(tls->stream, EPROTO);
}

/* The handshake has a time of its own. */
static void on_timed_out(void *arg)
{
	(void)arg;
}

static void on_closed(void *arg, int error)
{
	struct tls *tls = arg;
	struct stream *stream = tls->stream;

	give_back(tls);
	stream->handler->closed(stream->arg, error);
}

static const struct stream_handler handshake_handler = { on_input, on_ended, on_timed_out, on_closed };

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct tls *tls = arg;

	(void)fd;
	(void)what;
	tls_say(tls, BIO_number_read(SSL_get_rbio(tls->ssl)) ? "it took too long"
		: "it took too long, and the client said nothing");
	stream_abort(tls->stream, ETIMEDOUT);
}

/* --- the handshake --- */

static void finish(struct tls *tls)
{
	struct stream *stream = tls->stream;
	tls_up_fn *up = tls->handshake->up;
	void *arg = tls->handshake->up_arg;

	give_back(tls);
	stream->io = &tls_io;
	tls->up = true;
	tls_watch(tls);
	up(arg);
	stream->more = SSL_has_pending(tls->ssl);
}

static ssize_t handshake_read(struct stream *stream, void *data, size_t size)
{
	struct tls *tls = stream->io_data;
	int result;

	(void)data;
	(void)size;
	tls_begin_call(tls);
	stream->read_wants_write = stream->more = false;
	if (tls->failed) {
		errno = tls->failure;
		return -1;
	}
	result = SSL_do_handshake(tls->ssl);
	if (result != 1)
		return tls_result(tls, result, true);
	finish(tls);
	errno = EAGAIN;
	return -1;
}

/* Nothing goes out in clear, and nothing waits for an owner that has not heard that it may speak. */
static ssize_t handshake_write(struct stream *stream, const void *data, size_t size)
{
	(void)stream;
	(void)data;
	return (ssize_t)size;
}

static void handshake_release(struct stream *stream)
{
	tls_io.release(stream);
}

static const struct stream_io handshake_io = { handshake_read, handshake_write, NULL, handshake_release };

size_t tls_start_server(struct stream *stream, const struct tls_context *context, int64_t timeout_ms, tls_up_fn *up,
	void *arg)
{
	struct timeval timeout = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };
	struct tls *tls = tls_new(stream, context->ssl);
	size_t discarded = stream_discard(stream);

	SSL_set_accept_state(tls->ssl);
	tls->handshake = xcalloc(1, sizeof(*tls->handshake));
	tls->handshake->handler = stream->handler;
	tls->handshake->arg = stream->arg;
	tls->handshake->up = up;
	tls->handshake->up_arg = arg;
	if (evtimer_assign(&tls->handshake->timer, event_get_base(&stream->read_event), on_timer, tls) < 0 ||
			evtimer_add(&tls->handshake->timer, &timeout) < 0)
		BUG("no timer event");
	stream->handler = &handshake_handler;
	stream->arg = tls;
	stream->io = &handshake_io;
	stream_pause(stream, false);
	return discarded;
}

/* --- who the client is --- */

char *tls_peer_name(const struct stream *stream)
{
	const struct tls *tls = stream->io == &tls_io ? stream->io_data : NULL;
	X509 *certificate = tls ? SSL_get0_peer_certificate(tls->ssl) : NULL;
	BIO *bio;
	char *data, *name;
	long size;

	if (!certificate || SSL_get_verify_mode(tls->ssl) == SSL_VERIFY_NONE || SSL_get_verify_result(tls->ssl) != X509_V_OK)
		return NULL;
	bio = BIO_new(BIO_s_mem());
	if (!bio)
		BUG("no memory for TLS");
	X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
	size = BIO_get_mem_data(bio, &data);
	name = xstrndup(size > 0 ? data : "", size > NAME_SIZE ? NAME_SIZE : size > 0 ? (size_t)size : 0);
	BIO_free(bio);
	ERR_clear_error();
	return name;
}
