/* unit-net-stream.c - connections: gathered writes, pauses, half closes, time-outs, peers that vanish
 * SPDX-License-Identifier: MIT */
#include "t/lib/tap.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/net/stream.h"

static struct event_base *base;

struct peer {
	struct stream stream;
	int fd;				/* the other end */
	struct buffer got;		/* what `input` was given and took */
	size_t take;			/* most octets taken at once */
	bool finish_at_end, pause_after_input;
	unsigned inputs, ends, timeouts, closed, ticks;
	int error;
};

static size_t on_input(void *arg, const char *data, size_t size)
{
	struct peer *p = arg;
	size_t taken = p->take < size ? p->take : size;

	p->inputs++;
	buffer_append(&p->got, data, taken);
	if (p->pause_after_input)
		stream_pause(&p->stream, true);
	return taken;
}

static void on_ended(void *arg)
{
	struct peer *p = arg;

	p->ends++;
	if (p->finish_at_end)
		stream_finish(&p->stream, false);
}

static void on_timed_out(void *arg)
{
	struct peer *p = arg;

	p->timeouts++;
	buffer_append_str(&p->stream.out, "late");
	stream_finish(&p->stream, true);
}

static void on_closed(void *arg, int error)
{
	struct peer *p = arg;

	p->closed++;
	p->error = error;
	stream_release(&p->stream);
}

static const struct stream_handler handler = { on_input, on_ended, on_timed_out, on_closed };

static void open_peer(struct peer *p, int64_t timeout_ms)
{
	int fds[2];

	memset(p, 0, sizeof(*p));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
		BUG("socketpair");
	p->fd = fds[1];
	p->take = SIZE_MAX;
	p->finish_at_end = true;
	stream_open(&p->stream, base, fds[0], timeout_ms, &handler, p);
}

static void close_peer(struct peer *p)
{
	stream_release(&p->stream);
	fd_close(&p->fd);
	buffer_release(&p->got);
}

static void turns(unsigned count)
{
	while (count--)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static void run_until_closed(const struct peer *p)
{
	while (!p->closed)
		event_base_loop(base, EVLOOP_ONCE);
}

static void write_peer(const struct peer *p, const char *text)
{
	if (write(p->fd, text, strlen(text)) < 0)
		diag("write: %s", strerror(errno));
}

static const char *read_peer(const struct peer *p)
{
	static char text[64];
	ssize_t size = read(p->fd, text, sizeof(text) - 1);

	if (size < 0)
		return errno == EAGAIN ? "(nothing)" : strerror(errno);
	text[size] = '\0';
	return text;
}

static void test_passing(void)
{
	struct peer p;

	open_peer(&p, 10000);
	write_peer(&p, "one");
	turns(2);
	is_str(buffer_str(&p.got), "one", "what the peer sends comes in");
	ok(!p.stream.in.capacity && !p.stream.out.capacity, "and no memory is held");
	buffer_append_str(&p.stream.out, "a");
	stream_touch(&p.stream);
	buffer_append_str(&p.stream.out, "b");
	stream_touch(&p.stream);
	is_str(read_peer(&p), "(nothing)", "nothing is sent at once");
	turns(1);
	is_str(read_peer(&p), "ab", "but all together on the loop's turn");
	ok(!p.stream.out.capacity, "and no memory is held for the next");
	p.take = 2;
	write_peer(&p, "xyz");
	turns(1);
	is_str(buffer_str(&p.got), "onexy", "what is not taken stays");
	p.take = SIZE_MAX;
	write_peer(&p, "!");
	turns(1);
	is_str(buffer_str(&p.got), "onexyz!", "and comes again before the next");
	close_peer(&p);
}

static void test_pause(void)
{
	struct peer p;

	open_peer(&p, 10000);
	p.pause_after_input = true;
	p.take = 1;
	write_peer(&p, "abc");
	turns(2);
	write_peer(&p, "def");
	turns(2);
	is_int(p.inputs, 1, "a paused stream offers nothing");
	p.pause_after_input = false;
	p.take = SIZE_MAX;
	stream_pause(&p.stream, false);
	is_int(p.inputs, 1, "nor within the call that ends the pause");
	turns(3);
	is_str(buffer_str(&p.got), "abcdef", "but then all of it, in order");
	stream_pause(&p.stream, true);
	shutdown(p.fd, SHUT_WR);
	turns(3);
	is_int(p.ends + p.closed, 0, "nor does it tell an end");
	stream_pause(&p.stream, false);
	turns(3);
	is_int(p.ends, 1, "until it goes on");
	is_int(p.closed, 1, "and was finished there");
	close_peer(&p);
}

/* Who waited for us through most of the time still has all of it. */
static void test_time_after_pause(void)
{
	struct timeval most = { 0, 250000 };
	int64_t resumed_ms;
	struct peer p;

	open_peer(&p, 400);
	stream_pause(&p.stream, true);
	event_base_loopexit(base, &most);
	event_base_dispatch(base);
	is_int(p.timeouts, 0, "a pause is no silence");
	resumed_ms = clock_boot_ms();
	stream_pause(&p.stream, false);
	while (!p.timeouts)
		event_base_loop(base, EVLOOP_ONCE);
	ok(clock_boot_ms() - resumed_ms >= 350, "what follows it has the whole time");
	close_peer(&p);
}

static void test_ends(void)
{
	struct peer p;

	open_peer(&p, 10000);
	write_peer(&p, "last words");
	shutdown(p.fd, SHUT_WR);
	run_until_closed(&p);
	is_str(buffer_str(&p.got), "last words", "what came before the end is offered first");
	is_int(p.error, 0, "an end is no error");
	close_peer(&p);
	open_peer(&p, 50);
	run_until_closed(&p);
	is_int(p.timeouts, 1, "silence is told");
	is_str(read_peer(&p), "late", "and may be answered");
	is_str(read_peer(&p), "", "before the end");
	close_peer(&p);
	open_peer(&p, 10000);
	stream_abort(&p.stream, ECANCELED);
	is_int(p.closed, 0, "abort does not call back");
	turns(1);
	is_int(p.closed, 1, "but the loop does");
	is_int(p.error, ECANCELED, "with its error");
	close_peer(&p);
	open_peer(&p, 10000);
	write_peer(&p, "early");
	stream_poll(&p.stream);
	is_str(buffer_str(&p.got), "early", "poll reads what is there");
	fd_close(&p.fd);
	buffer_append_str(&p.stream.out, "to nobody");
	stream_touch(&p.stream);
	run_until_closed(&p);
	is_int(p.error, EPIPE, "a peer that is gone");
	close_peer(&p);
}

/* A peer that does not read: what is unsent is bounded by what the owner adds, and time runs. */
static void test_blocked(void)
{
	struct peer p;
	char block[4096];

	memset(block, 'x', sizeof(block));
	open_peer(&p, 100);
	for (unsigned i = 0; i < 200; i++)
		buffer_append(&p.stream.out, block, sizeof(block));
	stream_touch(&p.stream);
	turns(1);
	ok(p.stream.out.size > 16384, "not all can be sent");
	write_peer(&p, "more");
	turns(2);
	is_int(p.inputs, 0, "then nothing more is taken");
	run_until_closed(&p);
	is_int(p.error, ETIMEDOUT, "and the time-out closes it");
	close_peer(&p);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct peer *p = arg;

	(void)fd;
	(void)what;
	if (!p->closed)
		stream_touch(&p->stream);
	p->ticks++;
}

/* The owner has reasons of its own to touch it: that gives the peer no more time. */
static void test_blocked_and_touched(void)
{
	struct timeval often = { 0, 10000 };
	struct event *ticker;
	struct peer p;

	open_peer(&p, 100);
	for (unsigned i = 0; i < 100000; i++)
		buffer_append_str(&p.stream.out, "12345678");
	stream_touch(&p.stream);
	ticker = event_new(base, -1, EV_PERSIST, on_tick, &p);
	event_add(ticker, &often);
	while (!p.closed && p.ticks < 500)
		event_base_loop(base, EVLOOP_ONCE);
	is_int(p.error, ETIMEDOUT, "a peer that takes nothing is given up in time");
	event_free(ticker);
	close_peer(&p);
}

static void test_linger(void)
{
	struct peer p;
	char block[65536] = "";
	size_t sent = 0;
	ssize_t size;

	open_peer(&p, 10000);
	buffer_append_str(&p.stream.out, "bye");
	stream_finish(&p.stream, true);
	turns(1);
	is_str(read_peer(&p), "bye", "a lingering stream has sent all");
	is_int(p.closed, 0, "and reads on");
	while (!p.closed && (size = write(p.fd, block, sizeof(block))) != 0 && (size > 0 || errno == EAGAIN)) {
		sent += size > 0 ? (size_t)size : 0;
		turns(1);
	}
	ok(p.closed && sent < 4000000, "but not for ever (%zu octets)", sent);
	is_int(p.inputs, 0, "nor does anybody get it");
	close_peer(&p);
}

/* A sender that appends more whenever all was sent never has more than a piece in memory. */
static unsigned pieces;

static void on_drained(void *arg)
{
	struct peer *p = arg;
	char piece[1000];

	if (++pieces > 50) {
		if (pieces == 51)
			stream_finish(&p->stream, false);
		return;
	}
	memset(piece, 'x', sizeof(piece));
	buffer_append(&p->stream.out, piece, sizeof(piece));
}

static void test_drained(void)
{
	static const struct stream_handler sender = { on_input, on_ended, on_timed_out, on_closed, on_drained };
	struct peer p = { .finish_at_end = false };
	char got[4096];
	size_t total = 0;
	ssize_t size;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
		BUG("socketpair");
	stream_open(&p.stream, base, fds[0], 10000, &sender, &p);
	buffer_append_str(&p.stream.out, "first");
	stream_touch(&p.stream);
	while (!p.closed || total < 50005) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		ok(p.stream.out.size <= 1000, "a piece at most waits");
		while ((size = read(fds[1], got, sizeof(got))) > 0)
			total += (size_t)size;
		if (size == 0)
			break;
	}
	is_int(total, 50005, "all pieces come, and what was appended last too");
	is_int(p.closed, 1, "then it is closed");
	close(fds[1]);
}

/* A write fails while the peer's last words wait to be read. */
static void test_last_words(void)
{
	for (int hear_out = 0; hear_out < 2; hear_out++) {
		struct peer p;

		open_peer(&p, 5000);
		p.stream.hear_out = hear_out;
		if (write(p.fd, "552 no", 6) != 6)
			BUG("write");
		close(p.fd);
		buffer_append_str(&p.stream.out, "more");
		stream_touch(&p.stream);
		for (unsigned i = 0; i < 100 && !p.closed; i++)
			event_base_loop(base, EVLOOP_ONCE);
		is_str(buffer_str(&p.got), hear_out ? "552 no" : "", "what was said is heard if somebody listens");
		is_int(p.closed, 1, "and the end comes once");
		is_int(p.error, EPIPE, "with the write's error");
		buffer_release(&p.got);
	}
}

static void unpause(evutil_socket_t fd, short what, void *arg)
{
	struct peer *p = arg;

	(void)fd;
	(void)what;
	stream_pause(&p->stream, false);
}

/* A pause ends just when the peer's time would be over: in one turn of the loop, before that is heard of. */
static void test_pause_ends_in_time(void)
{
	struct event *timer;
	struct peer p;

	open_peer(&p, 40);
	p.pause_after_input = true;
	write_peer(&p, "1");
	turns(2);
	timer = evtimer_new(base, unpause, &p);
	event_add(timer, &(struct timeval){ 0, 20000 });
	usleep(100000);
	event_base_loop(base, EVLOOP_ONCE);
	is_int(p.timeouts, 0, "it was not the peer that took time");
	write_peer(&p, "2");
	for (unsigned i = 0; i < 100 && !p.timeouts && p.inputs < 2; i++)
		event_base_loop(base, EVLOOP_ONCE);
	is_str(buffer_str(&p.got), "12", "what it says then is heard");
	event_free(timer);
	close_peer(&p);
}

int main(void)
{
	base = event_base_new();
	test_passing();
	test_last_words();
	test_pause();
	test_time_after_pause();
	test_pause_ends_in_time();
	test_ends();
	test_blocked();
	test_blocked_and_touched();
	test_linger();
	test_drained();
	event_base_free(base);
	return done_testing();
}
