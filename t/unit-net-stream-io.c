/* unit-net-stream-io.c - what stands between a stream and its descriptor: waits the other way round, octets kept back, ends
 * SPDX-License-Identifier: MIT */
#include "t/lib/tap.h"

#include <errno.h>
#include <event2/event.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/net/stream.h"

static struct event_base *base;

/* An io as a handshake would have it. */
struct io {
	bool read_first;	/* writes wait until something was read */
	bool write_first;	/* reads wait until something can be written */
	char kept[16];		/* read from the descriptor, and not handed out */
	size_t kept_size;
	unsigned writes, reads, finished, released;
};

struct end {
	struct stream stream;
	struct io io;
	struct buffer got;
	int fd;			/* the other end */
	unsigned closed;
	bool pause;
};

static ssize_t slow_read(struct stream *s, void *data, size_t size)
{
	struct io *io = s->io_data;
	ssize_t n;

	io->reads++;
	s->read_wants_write = io->write_first;
	if (io->write_first) {
		io->write_first = false;
		errno = EAGAIN;
		return -1;
	}
	if (!io->kept_size) {
		n = stream_plain_io.read(s, io->kept, sizeof(io->kept));
		if (n <= 0)
			return n;
		io->read_first = false;
		io->kept_size = (size_t)n;
	}
	size = size < 1 ? 0 : 1;	/* one at a time */
	memcpy(data, io->kept, size);
	io->kept_size -= size;
	memmove(io->kept, io->kept + size, io->kept_size);
	s->more = io->kept_size > 0;
	return (ssize_t)size;
}

static ssize_t slow_write(struct stream *s, const void *data, size_t size)
{
	struct io *io = s->io_data;

	io->writes++;
	s->write_wants_read = io->read_first;
	if (io->read_first) {
		errno = EAGAIN;
		return -1;
	}
	return stream_plain_io.write(s, data, size);
}

static void slow_finish(struct stream *s)
{
	struct io *io = s->io_data;

	io->finished++;
	if (write(s->fd, "<end>", 5) != 5)
		diag("write: %s", strerror(errno));
}

static void slow_release(struct stream *s)
{
	((struct io *)s->io_data)->released++;
	s->io_data = NULL;
}

static const struct stream_io slow = { slow_read, slow_write, slow_finish, slow_release };

static size_t on_input(void *arg, const char *data, size_t size)
{
	struct end *e = arg;

	buffer_append(&e->got, data, size);
	if (e->pause)
		stream_pause(&e->stream, true);
	return size;
}

static void on_ended(void *arg)
{
	stream_finish(&((struct end *)arg)->stream, false);
}

static void on_timed_out(void *arg)
{
	stream_abort(&((struct end *)arg)->stream, ETIMEDOUT);
}

static void on_closed(void *arg, int error)
{
	struct end *e = arg;

	(void)error;
	e->closed++;
	stream_release(&e->stream);
}

static const struct stream_handler handler = { on_input, on_ended, on_timed_out, on_closed };

static void open_end(struct end *e)
{
	int fds[2];

	memset(e, 0, sizeof(*e));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
		BUG("socketpair");
	e->fd = fds[1];
	stream_open(&e->stream, base, fds[0], 10000, &handler, e);
	e->stream.io = &slow;
	e->stream.io_data = &e->io;
}

static void close_end(struct end *e)
{
	stream_release(&e->stream);
	fd_close(&e->fd);
	buffer_release(&e->got);
}

static void turns(unsigned count)
{
	while (count--)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static const char *read_other(const struct end *e)
{
	static char text[64];
	ssize_t size = read(e->fd, text, sizeof(text) - 1);

	text[size > 0 ? size : 0] = '\0';
	return text;
}

static void test_waits(void)
{
	struct end e;

	open_end(&e);
	e.io.read_first = true;
	buffer_append_str(&e.stream.out, "hello");
	stream_touch(&e.stream);
	turns(20);
	is_int(e.io.writes, 1, "a write that waits for a read is not tried again and again");
	is_str(read_other(&e), "", "nor is anything sent");
	ok(write(e.fd, "x", 1) == 1, "something comes");
	turns(3);
	is_str(read_other(&e), "hello", "then it is sent");
	is_int(e.stream.sent, 5, "and counted");
	e.io.write_first = true;
	e.io.reads = 0;
	ok(write(e.fd, "y", 1) == 1, "a read that waits for a write");
	turns(5);
	is_str(buffer_str(&e.got), "xy", "goes on when there is room");
	ok(e.io.reads <= 4, "without haste (%u reads)", e.io.reads);
	close_end(&e);
}

static void test_kept(void)
{
	struct end e;

	open_end(&e);
	ok(write(e.fd, "abcdef", 6) == 6, "six octets come at once");
	turns(10);
	is_str(buffer_str(&e.got), "abcdef", "all of which are handed out, though no event tells of the rest");
	e.pause = true;
	ok(write(e.fd, "ghi", 3) == 3, "and three");
	turns(5);
	is_str(buffer_str(&e.got), "abcdefg", "but not in a pause");
	e.pause = false;
	stream_pause(&e.stream, false);
	turns(5);
	is_str(buffer_str(&e.got), "abcdefghi", "they come behind it");
	close_end(&e);
}

static void test_end(void)
{
	struct end e;

	open_end(&e);
	buffer_append_str(&e.stream.out, "bye");
	stream_finish(&e.stream, false);
	turns(3);
	is_int(e.closed, 1, "a stream that is finished");
	is_str(read_other(&e), "bye<end>", "has its end said behind all else");
	is_int(e.io.released, 1, "and its io is released");
	close_end(&e);
	is_int(e.io.released, 1, "once");
	open_end(&e);
	stream_abort(&e.stream, EPROTO);
	turns(3);
	is_int(e.closed, 1, "one that is aborted");
	is_str(read_other(&e), "", "says nothing");
	is_int(e.io.released, 1, "and is released");
	close_end(&e);
	open_end(&e);
	stream_release(&e.stream);
	is_str(read_other(&e), "<end>", "one that is let go says its end");
	is_int(e.io.released, 1, "too");
	close_end(&e);
}

int main(void)
{
	base = event_base_new();
	test_waits();
	test_kept();
	test_end();
	event_base_free(base);
	return done_testing();
}
