/* spool.c - mail data on its way in
 * SPDX-License-Identifier: MIT */
#include "common/smtp/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"

#define CHUNK_SIZE 131072	/* of one write to the file; at most two are held */

struct spool {
	const struct spool_settings *settings;
	spool_ready_fn *ready;
	void *arg;
	struct content content;
	size_t searched;		/* octets of `memory` known to hold no end of the header */
	struct buffer chunk;		/* filled by the loop */
	bool filing, finishing, abandoned;
	/* Belong to the thread while `writing`. */
	bool writing;
	struct buffer job;
	int error;
};

struct spool *spool_new(const struct spool_settings *settings, spool_ready_fn *ready, void *arg)
{
	struct spool *s = xcalloc(1, sizeof(*s));

	s->settings = settings;
	s->ready = ready;
	s->arg = arg;
	content_init(&s->content);
	return s;
}

void spool_free(struct spool *s)
{
	if (!s)
		return;
	s->abandoned = true;
	if (s->writing)
		return;
	content_release(&s->content);
	buffer_release(&s->chunk);
	buffer_release(&s->job);
	free(s);
}

static int open_unlinked(const char *dir)
{
	char *path;
	int fd = FAULT("spool.open", open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd;
	path = xasprintf("%s/.spool-XXXXXX", dir);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	free(path);
	return fd;
}

static int write_at(int fd, const char *data, size_t size, uint64_t offset)
{
	while (size > 0) {
		ssize_t written = FAULT("spool.write", pwrite(fd, data, size, (off_t)offset));

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return -1;
		data += written;
		size -= (size_t)written;
		offset += (uint64_t)written;
	}
	return 0;
}

static void write_job(void *arg)
{
	struct spool *s = arg;

	if (s->content.fd < 0)
		s->content.fd = open_unlinked(s->settings->dir);
	if (s->content.fd < 0
		|| write_at(s->content.fd, s->job.data, s->job.size, s->content.fd_size) < 0)
		s->error = errno ? errno : EIO;
	else
		s->content.fd_size += s->job.size;
}

static void job_done(void *arg);

/* Gives what waits to a thread, unless one is at work or there is nothing. */
static void submit(struct spool *s)
{
	struct buffer empty;

	if (s->writing || s->error || !s->chunk.size)
		return;
	empty = s->job;
	s->job = s->chunk;
	s->chunk = empty;
	buffer_reset(&s->chunk);
	s->writing = true;
	pool_submit(s->settings->disk, write_job, job_done, s);
}

static void job_done(void *arg)
{
	struct spool *s = arg;

	s->writing = false;
	if (s->abandoned) {
		spool_free(s);
		return;
	}
	if (s->error) {
		log_error("spool", "could not write", LOG_TEXT("dir", s->settings->dir),
			LOG_TEXT("error", strerror(s->error)));
		buffer_release(&s->chunk);
	}
	if (s->finishing || s->chunk.size >= CHUNK_SIZE)
		submit(s);
	if (!s->writing || !s->finishing)
		s->ready(s->arg);
}

/* The header stays in memory, where policies look for fields; all behind it goes to the file. */
static void start_filing(struct spool *s)
{
	struct buffer *memory = &s->content.memory;
	size_t from = s->searched > 3 ? s->searched - 3 : 0;
	const char *gap = memmem(memory->data + from, memory->size - from, "\r\n\r\n", 4);
	size_t header_size = gap ? (size_t)(gap - memory->data) + 4 : CONTENT_HEADER_MAX;
	struct buffer header = { 0 };

	s->searched = memory->size;
	if (memory->size <= header_size)
		return;
	s->filing = true;
	buffer_append(&s->chunk, memory->data + header_size, memory->size - header_size);
	buffer_append(&header, memory->data, header_size);
	buffer_release(memory);
	*memory = header;
}

void spool_write(struct spool *s, const char *data, size_t size)
{
	/* Of `error`, only what job_done saw counts here. */
	if (!s->writing && s->error)
		return;
	buffer_append(s->filing ? &s->chunk : &s->content.memory, data, size);
	if (!s->filing && s->content.memory.size > s->settings->threshold_bytes)
		start_filing(s);
	if (s->chunk.size >= CHUNK_SIZE)
		submit(s);
}

bool spool_is_full(const struct spool *s)
{
	return s->writing && s->chunk.size >= CHUNK_SIZE;
}

bool spool_finish(struct spool *s)
{
	s->finishing = true;
	submit(s);
	return !s->writing;
}

bool spool_has_failed(const struct spool *s, struct reply *why)
{
	if (s->writing || !s->error)
		return false;
	if (s->error == ENOSPC || s->error == EDQUOT || s->error == EFBIG)
		reply_set(why, 452, "4.3.1", "Insufficient system storage");
	else
		reply_set(why, 451, "4.3.0", "Error queuing message");
	return true;
}

int spool_take(struct spool *s, struct content *content, struct reply *why)
{
	if (spool_has_failed(s, why))
		return -1;
	*content = s->content;
	content_init(&s->content);
	content_finish(content);
	return 0;
}
