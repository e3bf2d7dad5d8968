/* mail_source.c - the octets of a message, a piece at a time
 * SPDX-License-Identifier: MIT */
#include "common/message/mail_source.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/fault.h"
#include "common/base/memory.h"

#define CHUNK_MAX 65536

/* One read in a thread. It outlives its source if that is freed meanwhile. */
struct read_job {
	struct mail_source *source;
	struct content_piece piece;
	ssize_t got;
	int error;
	enum { IDLE, READING, READ } state;
	char octets[CHUNK_MAX];
};

struct mail_source {
	struct pool *disk;
	struct content_piece pieces[CONTENT_PIECES];
	unsigned count, next;
	uint64_t offset;		/* within pieces[next] */
	struct read_job *job;
	void (*arrived)(void *arg);
	void *arg;
};

struct mail_source *mail_source_new(struct pool *disk, const struct content *content, void (*arrived)(void *arg), void *arg)
{
	struct mail_source *source = xcalloc(1, sizeof(*source));

	*source = (struct mail_source){ .disk = disk, .arrived = arrived, .arg = arg };
	source->count = content_pieces(content, source->pieces);
	return source;
}

static void drop_job(struct mail_source *source)
{
	if (source->job && source->job->state == READING)
		source->job->source = NULL;
	else
		free(source->job);
	source->job = NULL;
}

void mail_source_free(struct mail_source *source)
{
	if (!source)
		return;
	drop_job(source);
	free(source);
}

void mail_source_rewind(struct mail_source *source)
{
	drop_job(source);
	source->next = 0;
	source->offset = 0;
}

void mail_source_notify(struct mail_source *source, void (*arrived)(void *arg), void *arg)
{
	source->arrived = arrived;
	source->arg = arg;
}

static void read_work(void *arg)
{
	struct read_job *job = arg;

	do
		job->got = FAULT("content.read", pread(job->piece.fd, job->octets, (size_t)job->piece.size,
			(off_t)job->piece.offset));
	while (job->got < 0 && errno == EINTR);
	job->error = job->got < 0 ? errno : EIO;	/* a file that ends early is no end of the message */
}

static void read_done(void *arg)
{
	struct read_job *job = arg;
	struct mail_source *source = job->source;

	job->state = READ;
	if (source)
		source->arrived(source->arg);
	else
		free(job);
}

static enum mail_source_result take_read(struct mail_source *source, const char **data, size_t *size)
{
	struct read_job *job = source->job;

	if (job->state == READING)
		return MAIL_SOURCE_LATER;
	if (job->got <= 0) {
		errno = job->error;
		return MAIL_SOURCE_FAILED;
	}
	*data = job->octets;
	*size = (size_t)job->got;
	job->state = IDLE;
	source->offset += *size;
	return MAIL_SOURCE_DATA;
}

static enum mail_source_result begin_read(struct mail_source *source, const struct content_piece *piece, uint64_t size)
{
	struct read_job *job = source->job ? source->job : xmalloc(sizeof(*job));

	job->source = source;
	job->state = READING;
	job->piece = (struct content_piece){ .fd = piece->fd, .offset = piece->offset + source->offset, .size = size };
	source->job = job;
	pool_submit(source->disk, read_work, read_done, job);
	return MAIL_SOURCE_LATER;
}

enum mail_source_result mail_source_next(struct mail_source *source, const char **data, size_t *size)
{
	const struct content_piece *piece;
	uint64_t left;

	if (source->job && source->job->state != IDLE)
		return take_read(source, data, size);
	while (source->next < source->count && source->offset == source->pieces[source->next].size) {
		source->next++;
		source->offset = 0;
	}
	if (source->next == source->count)
		return MAIL_SOURCE_END;
	piece = &source->pieces[source->next];
	left = piece->size - source->offset < CHUNK_MAX ? piece->size - source->offset : CHUNK_MAX;
	if (!piece->data)
		return begin_read(source, piece, left);
	*data = (const char *)piece->data + source->offset;
	*size = (size_t)left;
	source->offset += left;
	return MAIL_SOURCE_DATA;
}
