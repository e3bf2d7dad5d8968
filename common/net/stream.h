/* stream.h - a connection on the loop: reads handed out at once, writes gathered, one time-out
 * SPDX-License-Identifier: MIT
 * An idle stream holds no memory but this struct. Callbacks come from the loop alone, never from
 * within a call of the owner; `closed` is the last, so the owner frees everything there. */
#ifndef SLIMTA_NET_STREAM_H
#define SLIMTA_NET_STREAM_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/buffer.h"

struct stream;

/* How octets pass: recv(2) and send(2), unless something such as TLS stands between. As those they
 * return -1 with EAGAIN when the loop must wait, and set what they wait for where it is not the obvious. */
struct stream_io {
	ssize_t (*read)(struct stream *, void *data, size_t size);
	ssize_t (*write)(struct stream *, const void *data, size_t size);
	/* Both optional. What is sent last, once: */
	void (*finish)(struct stream *);
	void (*release)(struct stream *);	/* frees io_data; the descriptor is still open */
};
extern const struct stream_io stream_plain_io;

struct stream_handler {
	/* Octets came: returns how many were taken. The rest is offered again in front of what
	 * comes next, or when a pause ends. */
	size_t (*input)(void *arg, const char *data, size_t size);
	void (*ended)(void *arg);		/* the peer closed its side; all was offered */
	void (*timed_out)(void *arg);		/* no octet came within the time */
	/* The descriptor is closed; `error` is an errno, 0 for an end that somebody wanted. */
	void (*closed)(void *arg, int error);
	/* Optional: all of `out` was sent, so that more may be appended. */
	void (*drained)(void *arg);
};

struct stream {
	const struct stream_handler *handler;
	const struct stream_io *io;
	void *arg;
	int fd;
	bool hear_out;			/* the owner's: the peer is read from whatever is unsent, and before a write's error */
	/* The io's own. */
	bool write_wants_read;		/* a write waits until something was read */
	bool read_wants_write;		/* a read waits until something can be written */
	bool more;			/* octets wait within the io, which no event tells of */
	void *io_data;
	/* What is to be sent. */
	struct buffer out;		/* the owner appends, then calls stream_touch */
	uint64_t sent;			/* octets of `out` that were taken in all */
	int64_t sent_ms;		/* clock_boot_ms() of the last of them */
	/* The rest is stream.c's. */
	struct buffer in;
	struct event read_event, write_event;
	size_t read_size, lingered;
	int64_t timeout_ms, linger_until_ms, write_until_ms;
	int error;
	unsigned char state;
	bool busy, paused, offer_due, listening, blocked, peer_ended, linger;
};

/* Takes the fd, which does not block. Reads begin, with this time-out, on the loop's next turn. */
void stream_open(struct stream *, struct event_base *, int fd, int64_t timeout_ms,
	const struct stream_handler *, void *arg);
/* Closes without a callback; all-zero is fine. To be called, in `closed` too, before the struct is
 * freed. */
void stream_release(struct stream *);

/* Reads what is there now, before anything is written. Calls `input`, but not `closed`. */
void stream_poll(struct stream *);
/* Something changed: sends `out` on this turn of the loop, once for all touches. */
void stream_touch(struct stream *);
/* A paused one offers nothing, and does not time out: the time begins anew behind the pause. */
void stream_pause(struct stream *, bool paused);
/* Throws away what was read and not taken: how many octets. */
size_t stream_discard(struct stream *);
void stream_set_timeout(struct stream *, int64_t timeout_ms);
/* The most octets of one read; at most STREAM_READ_MAX. */
void stream_set_read_size(struct stream *, size_t size);
#define STREAM_READ_MAX 65536

/* Sends what is in `out`, then closes. `linger`: the peer may be sending; reads on for a moment, so
 * that the reset for what nobody reads does not overtake our last octets. */
void stream_finish(struct stream *, bool linger);
void stream_abort(struct stream *, int error);		/* sends nothing more */

#endif
