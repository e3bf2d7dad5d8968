/* load_session.c - a session of load: what is said, what is expected, what it means
 * SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "t/bench/load.h"

/* What the next reply answers. */
enum step { NOTHING, GREETING, EHLO, STARTTLS, HANDSHAKE, MAIL, RCPT, DATA, END, RSET, QUIT };

struct session {
	int poller, fd;
	struct ssl_st *secure;	/* from the reply to STARTTLS on */
	enum step step;
	bool holds_message;
	uint64_t recipient, good_recipients, sent;
	enum outcome verdict;	/* of the envelope, while it is still answered */
	uint64_t sequence;
	int64_t due_us, heard_us;
	struct buffer in, out;
	size_t body_left;
};

/* All messages have the same body; only their first field differs. */
static struct buffer body;

static void make_body(size_t size)
{
	static const char line[] = "The quick brown fox jumps over the lazy dog and back again, all day, as told.\r\n";

	buffer_reserve(&body, size);
	while (body.size < size) {
		size_t room = size - body.size;

		buffer_append(&body, line, room < sizeof(line) - 1 ? room : sizeof(line) - 1);
	}
	if (size >= 3 && body.data[size - 3] == '\r')
		body.data[size - 3] = '.';
	if (size >= 2)
		memcpy(body.data + size - 2, "\r\n", 2);
	buffer_append_str(&body, ".\r\n");
}

/* The fields of a message: X-Bench has its number and when it was to begin, of fixed width. */
static void add_header(struct session *session)
{
	struct buffer *out = &session->out;
	size_t before = out->size;

	buffer_appendf(out, "X-Bench: %010llu %016lld\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\nFrom: <%s>\r\nTo: <%s>\r\n"
		"Message-ID: <%010llu@bench.example>\r\nSubject: a message to measure with\r\n\r\n",
		(unsigned long long)session->sequence, (long long)session->due_us, settings.from, settings.to,
		(unsigned long long)session->sequence);
	if (!body.size) {
		size_t header = out->size - before;

		make_body(settings.size > header ? (size_t)settings.size - header : 0);
	}
}

struct session *session_new(int poller)
{
	struct session *session = xcalloc(1, sizeof(*session));

	session->poller = poller;
	session->fd = -1;
	return session;
}

static void hang_up(struct session *session)
{
	secure_free(session->secure);
	session->secure = NULL;
	if (session->fd >= 0)
		close(session->fd);
	session->fd = -1;
	session->step = NOTHING;
	session->sent = 0;
	session->body_left = 0;
	buffer_reset(&session->in);
	buffer_reset(&session->out);
}

void session_free(struct session *session)
{
	hang_up(session);
	buffer_release(&session->in);
	buffer_release(&session->out);
	free(session);
}

bool session_is_connected(const struct session *session)
{
	return session->fd >= 0;
}

static enum progress lose(struct session *session)
{
	bool at_once = session->step != QUIT;

	if (session->holds_message)
		figures_end(LOST, session->due_us);
	session->holds_message = false;
	hang_up(session);
	return at_once ? SESSION_LOST : SESSION_WAITS;
}

static ssize_t transmit(const struct session *session)
{
	struct iovec parts[2] = { { session->out.data, session->out.size },
		{ body.data + body.size - session->body_left, session->body_left } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
	const struct iovec *first = &parts[session->out.size ? 0 : 1];

	return session->secure ? secure_send(session->secure, first->iov_base, first->iov_len) :
		sendmsg(session->fd, &message, MSG_NOSIGNAL);
}

static enum progress flush(struct session *session)
{
	while (session->step != HANDSHAKE && (session->out.size || session->body_left)) {
		ssize_t sent = transmit(session);
		size_t of_out;

		if (sent < 0)
			return errno == EAGAIN || errno == ENOTCONN ? SESSION_BUSY : lose(session);
		of_out = (size_t)sent < session->out.size ? (size_t)sent : session->out.size;
		buffer_consume(&session->out, of_out);
		session->body_left -= (size_t)sent - of_out;
	}
	return SESSION_BUSY;
}

static void say_recipients(struct session *session, uint64_t from, uint64_t to)
{
	const char *at = strrchr(settings.to, '@');
	size_t local_size = at && settings.domains ? (size_t)(at - settings.to) + 1 : 0;

	for (uint64_t i = from; i < to; i++) {
		buffer_append_str(&session->out, "RCPT TO:<");
		if (settings.recipients > 1)
			buffer_appendf(&session->out, "r%llu.", (unsigned long long)i);
		buffer_append(&session->out, settings.to, local_size);
		if (local_size)
			buffer_appendf(&session->out, "d%llu.", (unsigned long long)(session->sequence % settings.domains));
		buffer_appendf(&session->out, "%s>\r\n", settings.to + local_size);
	}
}

static enum progress say(struct session *session, enum step step, const char *line)
{
	session->step = step;
	buffer_append_str(&session->out, line);
	return flush(session);
}

static enum progress send_envelope(struct session *session)
{
	session->recipient = session->good_recipients = 0;
	session->verdict = ACCEPTED;
	buffer_appendf(&session->out, "MAIL FROM:<%s>\r\n", settings.from);
	if (settings.pipelining)
		say_recipients(session, 0, settings.recipients);
	return say(session, MAIL, settings.pipelining ? "DATA\r\n" : "");
}

enum progress session_begin(struct session *session)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = session };
	const struct sockaddr *address = (const struct sockaddr *)&settings.address;

	session->heard_us = clock_us();
	if (!settings.hold)
		session->sequence = figures_begin(&session->due_us);
	session->holds_message = !settings.hold;
	if (session->fd >= 0)
		return send_envelope(session);
	figures.connections++;
	session->step = GREETING;
	session->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (session->fd < 0)
		die("cannot open a socket: %s", strerror(errno));
	setsockopt(session->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	if (connect(session->fd, address, sizeof(settings.address)) != 0 && errno != EINPROGRESS)
		return lose(session);
	if (epoll_ctl(session->poller, EPOLL_CTL_ADD, session->fd, &event) != 0)
		die("cannot wait for a socket: %s", strerror(errno));
	return SESSION_BUSY;
}

static enum outcome outcome_of(unsigned code)
{
	return code / 100 == 2 ? ACCEPTED : code / 100 == 4 ? DEFERRED : FAILED;
}

static enum progress finish(struct session *session, enum outcome outcome)
{
	if (session->holds_message)
		figures_end(outcome, session->due_us);
	session->holds_message = false;
	session->sent++;
	session->step = NOTHING;
	if ((settings.per_connection && session->sent >= settings.per_connection) || !figures_wants_more())
		return say(session, QUIT, "QUIT\r\n");
	return SESSION_WAITS;
}

static enum progress on_recipient(struct session *session, unsigned code)
{
	if (outcome_of(code) == ACCEPTED)
		session->good_recipients++;
	else if (session->verdict == ACCEPTED)
		session->verdict = outcome_of(code);
	if (++session->recipient < settings.recipients) {
		if (!settings.pipelining)
			say_recipients(session, session->recipient, session->recipient + 1);
		return flush(session);
	}
	if (settings.pipelining)
		return say(session, DATA, "");
	return session->good_recipients ? say(session, DATA, "DATA\r\n") : say(session, RSET, "RSET\r\n");
}

static enum progress on_mail(struct session *session, unsigned code)
{
	session->verdict = outcome_of(code);
	if (settings.pipelining)
		return say(session, RCPT, "");
	if (session->verdict != ACCEPTED)
		return say(session, RSET, "RSET\r\n");
	say_recipients(session, 0, 1);
	return say(session, RCPT, "");
}

/* A server may ask for the message even where it took no recipient: then it gets an empty one (RFC 2920, 3.1). */
static enum progress on_data(struct session *session, unsigned code)
{
	if (code != 354) {
		if (session->verdict == ACCEPTED)
			session->verdict = outcome_of(code);
		return say(session, RSET, "RSET\r\n");
	}
	if (!session->good_recipients)
		return say(session, END, ".\r\n");
	add_header(session);
	session->body_left = body.size;
	return say(session, END, "");
}

static enum progress shake_hands(struct session *session)
{
	int done = secure_handshake(session->secure);

	return done < 0 ? lose(session) : done ? say(session, EHLO, "EHLO load.example\r\n") : SESSION_BUSY;
}

static enum progress on_starttls(struct session *session)
{
	session->secure = secure_new(session->fd);
	session->step = HANDSHAKE;
	return shake_hands(session);
}

static enum progress on_ehlo(struct session *session)
{
	if (settings.starttls && !session->secure)
		return say(session, STARTTLS, "STARTTLS\r\n");
	if (settings.empty)
		return say(session, QUIT, "QUIT\r\n");
	session->step = NOTHING;
	return settings.hold ? SESSION_HELD : send_envelope(session);
}

static enum progress on_quit(struct session *session, unsigned code)
{
	if (session->holds_message)
		figures_end(outcome_of(code), session->due_us);
	session->holds_message = false;
	hang_up(session);
	return SESSION_WAITS;
}

static enum progress on_reply(struct session *session, unsigned code)
{
	if (code == 421 || (session->step <= STARTTLS && code / 100 != 2)) {
		if (session->holds_message)
			figures_end(outcome_of(code), session->due_us);
		session->holds_message = false;
		return lose(session);
	}
	switch (session->step) {
	case GREETING:
		return say(session, EHLO, "EHLO load.example\r\n");
	case EHLO:
		return on_ehlo(session);
	case STARTTLS:
		return on_starttls(session);
	case MAIL:
		return on_mail(session, code);
	case RCPT:
		return on_recipient(session, code);
	case DATA:
		return on_data(session, code);
	case END:
		return finish(session, session->verdict == ACCEPTED ? outcome_of(code) : session->verdict);
	case RSET:
		return finish(session, session->verdict);
	case NOTHING:
	case HANDSHAKE:
	case QUIT:
		break;
	}
	return on_quit(session, code);
}

/* One line; SESSION_BUSY as long as the session has something to wait for. */
static enum progress on_line(struct session *session, const char *line)
{
	if (!isdigit((unsigned char)line[0]) || !isdigit((unsigned char)line[1]) || !isdigit((unsigned char)line[2]))
		return lose(session);
	return line[3] == '-' ? SESSION_BUSY : on_reply(session, (unsigned)strtoul(line, NULL, 10));
}

static enum progress take_lines(struct session *session)
{
	enum progress progress = SESSION_BUSY;
	char *end;

	while (progress == SESSION_BUSY && session->in.size &&
		(end = memmem(session->in.data, session->in.size, "\r\n", 2)) != NULL) {
		char line[8] = "";
		size_t size = (size_t)(end - session->in.data);

		memcpy(line, session->in.data, size < sizeof(line) ? size : sizeof(line) - 1);
		buffer_consume(&session->in, size + 2);
		progress = on_line(session, line);
	}
	return progress;
}

/* Without a message or a command under way nobody waits for it: it connects again when it is its turn. */
static enum progress lose_idle(struct session *session)
{
	hang_up(session);
	return SESSION_BUSY;
}

static ssize_t receive(const struct session *session, char *to, size_t size)
{
	return session->secure ? secure_recv(session->secure, to, size) : recv(session->fd, to, size, 0);
}

enum progress session_event(struct session *session)
{
	enum progress progress;
	bool idle = session->step == NOTHING;
	char chunk[16384];
	ssize_t size;

	if (session->fd < 0)
		return SESSION_BUSY;
	if (session->step == HANDSHAKE && ((progress = shake_hands(session)) != SESSION_BUSY || session->step == HANDSHAKE))
		return progress;
	while ((size = receive(session, chunk, sizeof(chunk))) > 0)
		buffer_append(&session->in, chunk, (size_t)size);
	if (idle)
		return size == 0 || errno != EAGAIN || session->in.size ? lose_idle(session) : SESSION_BUSY;
	session->heard_us = clock_us();
	if (size == 0 || errno != EAGAIN) {
		progress = take_lines(session);
		return progress == SESSION_BUSY && session->fd >= 0 ? lose(session) : progress;
	}
	progress = take_lines(session);
	return progress == SESSION_BUSY ? flush(session) : progress;
}

enum progress session_check(struct session *session, int64_t now_us)
{
	if (session->step == NOTHING || now_us - session->heard_us < (int64_t)settings.timeout_us)
		return SESSION_BUSY;
	return lose(session);
}

void session_quit(struct session *session)
{
	if (session->fd >= 0)
		say(session, QUIT, "QUIT\r\n");
	hang_up(session);
}
