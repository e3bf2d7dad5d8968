/* stream.c - a connection on the loop
 * SPDX-License-Identifier: MIT */
#include "common/net/stream.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/memory.h"

#define LINGER_MS 2000
#define LINGER_SIZE 1048576	/* octets that nobody reads */
#define UNSENT_MAX 16384	/* with more than this unsent, a peer is not read from */

enum { OPEN, FINISHING, LINGERING, ABORTED };

/* Shared by all streams: what was not taken when a callback returns is copied to the stream. */
static char scratch[STREAM_READ_MAX];

static ssize_t plain_read(struct stream *s, void *data, size_t size)
{
	return FAULT("net.read", recv(s->fd, data, size, 0));
}

static ssize_t plain_write(struct stream *s, const void *data, size_t size)
{
	return FAULT("net.write", send(s->fd, data, size, MSG_NOSIGNAL));
}

const struct stream_io stream_plain_io = { plain_read, plain_write };

static struct timeval timeval_of(int64_t ms)
{
	return (struct timeval){ ms / 1000, ms % 1000 * 1000 };
}

/* Reads are waited for until an event shows that nobody wants them: a pause mostly ends before the
 * peer sends, and then costs no system call. */
static void listen_for_input(struct stream *s)
{
	struct timeval timeout = timeval_of(s->timeout_ms);

	if (s->peer_ended)
		return;
	event_add(&s->read_event, &timeout);
	/* Where its time-out was about to be told, libevent had taken it off the descriptor, and did not put it back. */
	if (!event_pending(&s->read_event, EV_READ, NULL))
		event_add(&s->read_event, &timeout);
	s->listening = true;
}

static void stop_listening(struct stream *s)
{
	event_del(&s->read_event);
	s->listening = false;
}

static bool may_offer(const struct stream *s)
{
	return s->state == OPEN && !s->paused && (s->hear_out || !(s->blocked && s->out.size > UNSENT_MAX));
}

static void keep_rest(struct stream *s, const char *data, size_t size)
{
	/* It may be a part of a password. */
	if (s->in.size)
		explicit_bzero(s->in.data, s->in.size);
	if (size == 0 || s->state != OPEN) {
		buffer_release(&s->in);
		return;
	}
	buffer_reset(&s->in);
	buffer_append(&s->in, data, size);
}

/* Reads once behind what was not taken before; 1 = it came, 0 = nothing now, -1 = no more will. */
static int read_once(struct stream *s)
{
	size_t had = s->in.size, size = s->read_size > had ? s->read_size : had + s->read_size, taken;
	struct timeval timeout = timeval_of(s->timeout_ms);
	ssize_t got;

	if (size > sizeof(scratch))
		size = sizeof(scratch);
	got = s->io->read(s, scratch + had, size - had);
	if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
		/* What the peer sends meanwhile would wake us for nothing, and again. */
		if (s->read_wants_write) {
			stop_listening(s);
			event_add(&s->write_event, &timeout);
		}
		return 0;
	}
	if (got <= 0) {
		s->peer_ended = true;
		s->error = got < 0 ? errno : 0;
		stop_listening(s);
		return -1;
	}
	if (had)
		memcpy(scratch, s->in.data, had);
	size = had + (size_t)got;
	taken = s->handler->input(s->arg, scratch, size);
	keep_rest(s, scratch + taken, size - taken);
	return 1;
}

static void offer_again(struct stream *s)
{
	size_t taken;

	s->offer_due = false;
	if (!s->in.size)
		return;
	taken = s->handler->input(s->arg, s->in.data, s->in.size);
	if (taken == s->in.size || s->state != OPEN)
		buffer_release(&s->in);
	else
		buffer_consume(&s->in, taken);
}

/* A peer that closes may have said why: that waits here still, behind the write that failed. */
static void cannot_send(struct stream *s, int error)
{
	buffer_release(&s->out);
	s->blocked = false;
	while (s->hear_out && !s->peer_ended && may_offer(s) && read_once(s) > 0)
		;
	stream_abort(s, error);
}

/* Every touch comes by here: only what the peer takes gives it more time. */
static void wait_for_room(struct stream *s)
{
	int64_t left = s->write_until_ms - clock_boot_ms();
	struct timeval timeout = timeval_of(left > 0 ? left : 0);

	if (s->write_wants_read)
		event_del(&s->write_event);	/* there is room: it would run at once, and again */
	else
		event_add(&s->write_event, &timeout);
}

static void flush(struct stream *s)
{
	size_t sent = 0;

	while (sent < s->out.size) {
		ssize_t n = s->io->write(s, s->out.data + sent, s->out.size - sent);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
			cannot_send(s, errno);
			return;
		}
		if (n < 0)
			break;
		sent += (size_t)n;
		s->sent += (size_t)n;
	}
	if (sent)
		s->sent_ms = clock_boot_ms();
	if (sent || !s->blocked)
		s->write_until_ms = clock_boot_ms() + s->timeout_ms;
	s->blocked = sent < s->out.size;
	buffer_consume(&s->out, sent);
	if (s->blocked)
		wait_for_room(s);
	else
		buffer_release(&s->out);	/* most connections are idle: what each keeps counts */
}

static void close_stream(struct stream *s)
{
	event_del(&s->read_event);
	event_del(&s->write_event);
	close(s->fd);
	s->fd = -1;
	s->handler->closed(s->arg, s->error);
}

/* What has been asked for becomes true here, at the end of every callback of the loop. */
static void settle(struct stream *s)
{
	s->busy = true;
	if (s->offer_due && may_offer(s))
		offer_again(s);
	if (s->peer_ended && s->error == 0 && may_offer(s))
		s->handler->ended(s->arg);
	else if (s->peer_ended && s->error != 0 && s->state != ABORTED)
		stream_abort(s, s->error);
	if (s->out.size && s->state != ABORTED) {
		flush(s);
		if (!s->blocked && s->state == OPEN && s->handler->drained)
			s->handler->drained(s->arg);
	}
	s->busy = false;
	/* What was appended just now has a turn of its own, as others have theirs. */
	if (s->out.size && !s->blocked && s->state != ABORTED) {
		event_active(&s->write_event, EV_WRITE, 0);
		return;
	}
	if (s->state == OPEN && !s->listening && !s->read_wants_write && may_offer(s))
		listen_for_input(s);
	if (s->state == OPEN && s->more && may_offer(s))
		event_active(&s->read_event, EV_READ, 0);
	if (s->state == FINISHING && !s->blocked) {
		if (s->io->finish)
			s->io->finish(s);
		if (!s->linger || s->peer_ended || shutdown(s->fd, SHUT_WR) < 0) {
			close_stream(s);
			return;
		}
		s->state = LINGERING;
		s->linger_until_ms = clock_boot_ms() + LINGER_MS;
		s->timeout_ms = LINGER_MS;
		listen_for_input(s);
	} else if (s->state == ABORTED) {
		close_stream(s);
	}
}

static void linger_on(struct stream *s, short what)
{
	ssize_t got = what & EV_TIMEOUT ? 0 : s->io->read(s, scratch, sizeof(scratch));

	if (got > 0)
		s->lingered += (size_t)got;
	if (got > 0 && s->lingered < LINGER_SIZE && clock_boot_ms() < s->linger_until_ms)
		return;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	close_stream(s);
}

static void on_read(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;

	(void)fd;
	if (s->state == LINGERING) {
		linger_on(s, what);
		return;
	}
	s->busy = true;
	if (what & EV_READ && may_offer(s))
		read_once(s);
	else if (what & EV_READ)
		stop_listening(s);
	else if (may_offer(s))
		s->handler->timed_out(s->arg);
	s->busy = false;
	settle(s);
}

static void on_write(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;

	(void)fd;
	if (what & EV_TIMEOUT)
		stream_abort(s, ETIMEDOUT);
	if (s->read_wants_write && may_offer(s)) {
		s->busy = true;
		read_once(s);
		s->busy = false;
	} else if (s->read_wants_write) {
		s->read_wants_write = false;
		s->more = true;
	}
	if (s->state != LINGERING)
		settle(s);
}

void stream_open(struct stream *s, struct event_base *base, int fd, int64_t timeout_ms,
	const struct stream_handler *handler, void *arg)
{
	memset(s, 0, sizeof(*s));
	s->handler = handler;
	s->io = &stream_plain_io;
	s->arg = arg;
	s->fd = fd;
	s->timeout_ms = timeout_ms;
	s->read_size = STREAM_READ_MAX;
	if (event_assign(&s->read_event, base, fd, EV_READ | EV_PERSIST, on_read, s) < 0
		|| event_assign(&s->write_event, base, fd, EV_WRITE, on_write, s) < 0)
		BUG("no events for a connection");
	listen_for_input(s);
}

void stream_release(struct stream *s)
{
	if (!s->handler)
		return;
	if (s->fd >= 0) {
		event_del(&s->read_event);
		event_del(&s->write_event);
		if (s->io->finish && s->state == OPEN && !s->peer_ended)
			s->io->finish(s);
	}
	if (s->io->release && s->io_data)
		s->io->release(s);
	fd_close(&s->fd);
	buffer_release(&s->in);
	buffer_release(&s->out);
}

void stream_poll(struct stream *s)
{
	s->busy = true;
	read_once(s);
	s->busy = false;
	stream_touch(s);
}

void stream_touch(struct stream *s)
{
	if (!s->busy)
		event_active(&s->write_event, EV_WRITE, 0);
}

void stream_pause(struct stream *s, bool paused)
{
	if (s->paused && !paused) {
		s->offer_due = true;
		if (s->listening)
			listen_for_input(s);	/* the peer has all its time from here on */
	}
	s->paused = paused;
	stream_touch(s);
}

size_t stream_discard(struct stream *s)
{
	size_t size = s->in.size;

	buffer_release(&s->in);
	return size;
}

void stream_set_timeout(struct stream *s, int64_t timeout_ms)
{
	if (timeout_ms == s->timeout_ms || s->state != OPEN)
		return;
	s->timeout_ms = timeout_ms;
	if (s->listening)
		listen_for_input(s);
	if (s->blocked && s->write_until_ms > clock_boot_ms() + timeout_ms) {
		s->write_until_ms = clock_boot_ms() + timeout_ms;
		wait_for_room(s);
	}
}

void stream_set_read_size(struct stream *s, size_t size)
{
	s->read_size = size;
}

void stream_finish(struct stream *s, bool linger)
{
	if (s->state != OPEN)
		return;
	s->state = FINISHING;
	s->linger = linger;
	stream_touch(s);
}

void stream_abort(struct stream *s, int error)
{
	if (s->state == ABORTED)
		return;
	s->state = ABORTED;
	s->error = error;
	stream_touch(s);
}
