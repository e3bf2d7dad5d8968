/* feed.c - the octets of a message into the stdin of a command
 * SPDX-License-Identifier: MIT */
#include "worker/feed.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/memory.h"

/* As much as a pipe takes at once: a message up to this size is in the pipe before the command begins. */
#define CHUNK_SIZE 65536

struct feed {
	struct event_base *base;
	struct pool *pool;
	struct feed_source source;
	unsigned piece;			/* where reading goes on */
	uint64_t offset;		/* within it */
	char chunk[CHUNK_SIZE];
	size_t size, at;
	int error;
	bool loading, started, orphaned;
	int pipe;
	struct guard_slot *slot;	/* NULL: none yet */
	struct event *writable;
	feed_ready_fn *ready;
	feed_failed_fn *failed;
	void *arg;
};

void feed_source_release(struct feed_source *source)
{
	for (unsigned i = 0; i < SPAWN_FDS; i++)
		fd_close(&source->fds[i]);
}

static void destroy(struct feed *feed)
{
	feed_source_release(&feed->source);
	free(feed);
}

/* In a thread of the pool. */
static void load(void *arg)
{
	struct feed *feed = arg;

	feed->size = feed->at = 0;
	while (feed->piece < feed->source.piece_count && feed->size < CHUNK_SIZE) {
		const struct spawn_piece *piece = &feed->source.pieces[feed->piece];
		uint64_t wanted = piece->size - feed->offset;
		ssize_t got;

		if (!wanted) {
			feed->piece++;
			feed->offset = 0;
			continue;
		}
		if (wanted > CHUNK_SIZE - feed->size)
			wanted = CHUNK_SIZE - feed->size;
		got = FAULT("spawner.read", pread(feed->source.fds[piece->fd], feed->chunk + feed->size,
			wanted, (off_t)(piece->offset + feed->offset)));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			feed->error = got < 0 ? errno : EIO;
			return;
		}
		feed->size += (size_t)got;
		feed->offset += (uint64_t)got;
	}
}

static void loaded(void *arg)
{
	struct feed *feed = arg;

	feed->loading = false;
	if (feed->orphaned)
		destroy(feed);
	else if (feed->error)
		feed->failed(feed->arg, feed->error);
	else if (!feed->started) {
		feed->started = true;
		feed->ready(feed->arg);
	} else
		event_add(feed->writable, NULL);
}

static void load_more(struct feed *feed)
{
	feed->loading = true;
	pool_submit(feed->pool, load, loaded, feed);
}

struct feed *feed_new(struct event_base *base, struct pool *pool, struct feed_source *source,
	feed_ready_fn *ready, feed_failed_fn *failed, void *arg)
{
	struct feed *feed = xcalloc(1, sizeof(*feed));

	feed->base = base;
	feed->pool = pool;
	feed->source = *source;
	for (unsigned i = 0; i < SPAWN_FDS; i++)
		source->fds[i] = -1;
	feed->pipe = -1;
	feed->ready = ready;
	feed->failed = failed;
	feed->arg = arg;
	load_more(feed);
	return feed;
}

static void end_feeding(struct feed *feed)
{
	if (feed->writable)
		event_free(feed->writable);
	feed->writable = NULL;
	if (feed->slot)
		guard_slot_fed(feed->slot);
	feed->slot = NULL;
	fd_close(&feed->pipe);
}

static void write_some(struct feed *feed)
{
	while (feed->at < feed->size) {
		ssize_t written = FAULT("spawner.feed",
			write(feed->pipe, feed->chunk + feed->at, feed->size - feed->at));

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0 && errno == EAGAIN) {
			event_add(feed->writable, NULL);
			return;
		}
		if (written < 0 && errno != EPIPE) {
			feed->failed(feed->arg, errno);
			return;
		}
		if (written < 0) {
			end_feeding(feed);
			return;
		}
		feed->at += (size_t)written;
	}
	if (feed->piece >= feed->source.piece_count)
		end_feeding(feed);
	else
		load_more(feed);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	write_some(arg);
}

void feed_begin(struct feed *feed, int pipe_fd)
{
	feed->pipe = pipe_fd;
	feed->writable = event_new(feed->base, pipe_fd, EV_WRITE, on_writable, feed);
	if (!feed->writable)
		BUG("no event for a pipe");
	write_some(feed);
}

int feed_pipe(const struct feed *feed)
{
	return feed->pipe;
}

void feed_guard(struct feed *feed, struct guard_slot *slot)
{
	feed->slot = slot;
}

bool feed_is_read(const struct feed *feed)
{
	return !feed->loading && feed->piece >= feed->source.piece_count;
}

void feed_free(struct feed *feed)
{
	if (!feed)
		return;
	end_feeding(feed);
	if (feed->loading)
		feed->orphaned = true;
	else
		destroy(feed);
}
