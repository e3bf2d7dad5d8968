/* disk_write.c - a message in its stored form, staged and synced, not yet visible
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/message/stored.h"
#include "common/queue/disk/disk.h"

#define COPY_SIZE 131072

static int write_vector(int fd, struct iovec *iov, int count, off_t offset)
{
	while (count) {
		ssize_t written = FAULT("disk.write", pwritev(fd, iov, count, offset));

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -1;
		offset += written;
		while (count && (size_t)written >= iov->iov_len) {
			written -= (ssize_t)iov->iov_len;
			iov++;
			count--;
		}
		if (count) {
			iov->iov_base = (char *)iov->iov_base + written;
			iov->iov_len -= (size_t)written;
		}
	}
	return 0;
}

static int write_at(int fd, const void *data, size_t size, off_t offset)
{
	struct iovec iov = { .iov_base = (void *)data, .iov_len = size };

	return size ? write_vector(fd, &iov, 1, offset) : 0;
}

static int copy_range(int fd, off_t offset, const struct content_piece *piece)
{
	char *copy = xmalloc(COPY_SIZE);
	uint64_t done = 0;
	int result = 0;

	while (done < piece->size && result == 0) {
		size_t part = piece->size - done < COPY_SIZE ? (size_t)(piece->size - done) : COPY_SIZE;
		ssize_t got = FAULT("disk.read", pread(piece->fd, copy, part, (off_t)(piece->offset + done)));

		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0)
			errno = EIO;	/* the spool file is shorter than it was */
		result = got <= 0 ? -1 : write_at(fd, copy, (size_t)got, offset + (off_t)done);
		done += got > 0 ? (uint64_t)got : 0;
	}
	free(copy);
	return result;
}

/* All that lies in memory side by side is one call. */
static int write_pieces(int fd, const struct buffer *head, const struct content *content, off_t *size)
{
	struct content_piece pieces[CONTENT_PIECES];
	unsigned count = content_pieces(content, pieces), i = 0;
	struct iovec iov[CONTENT_PIECES + 1] = { { .iov_base = head->data, .iov_len = head->size } };
	int gathered = 1;
	off_t offset = 0, gathered_size = (off_t)head->size;

	for (;;) {
		for (; i < count && pieces[i].data; i++) {
			iov[gathered++] = (struct iovec){ (void *)pieces[i].data, (size_t)pieces[i].size };
			gathered_size += (off_t)pieces[i].size;
		}
		if (gathered && write_vector(fd, iov, gathered, offset) < 0)
			return -1;
		offset += gathered_size;
		gathered = 0;
		gathered_size = 0;
		if (i == count)
			break;
		if (copy_range(fd, offset, &pieces[i]) < 0)
			return -1;
		offset += (off_t)pieces[i++].size;
	}
	*size = offset;
	return 0;
}

static void staged_name(char name[DISK_NAME_SIZE], const char *id)
{
	snprintf(name, DISK_NAME_SIZE, ".%s.new", id);
}

/* A used file is overwritten in place and then cut to size: cutting it to nothing first would make the file system
 * find its blocks again, at half the speed. Before the sync nobody relies on what it holds. */
static int fill(const struct envelope *envelope, int fd, off_t old_size)
{
	struct buffer head = { 0 };
	off_t size = 0;
	int result = stored_encode(envelope, &head);

	if (result == 0)
		result = write_pieces(fd, &head, &envelope->content, &size);
	if (result == 0 && old_size > size)
		result = FAULT("disk.ftruncate", ftruncate(fd, size));
	if (result == 0)
		result = FAULT("disk.fsync", fdatasync(fd));
	buffer_release(&head);
	return result;
}

int disk_stage(struct disk *disk, const struct envelope *envelope)
{
	char name[DISK_NAME_SIZE];
	off_t old_size;
	int fd, result;

	staged_name(name, envelope->id);
	fd = recycler_take(&disk->envelopes, name, &old_size);
	if (fd < 0) {
		disk_log_error(disk, "create", envelope->id, errno);
		return -1;
	}
	result = fill(envelope, fd, old_size);
	if (result < 0) {
		int error = errno;

		disk_log_error(disk, "write", envelope->id, error);
		/* Never recycled: what an fsync could not write stays doubtful with that file. */
		unlinkat(disk->envelope_fd, name, 0);
		errno = error;
	}
	fd_close(&fd);
	return result;
}

/* Not kept to be used again: its room may be what the storage lacks. */
int disk_unstage(struct disk *disk, const char *id)
{
	char name[DISK_NAME_SIZE];

	staged_name(name, id);
	return unlinkat(disk->envelope_fd, name, 0);
}

static int compare(int fd, int other)
{
	char *block = xmalloc(2 * COPY_SIZE);
	off_t offset = 0;
	int same = 1;

	while (same == 1) {
		ssize_t got = FAULT("disk.read", pread(fd, block, COPY_SIZE, offset));
		ssize_t there = got < 0 ? -1 : FAULT("disk.read", pread(other, block + COPY_SIZE, COPY_SIZE, offset));

		if (got < 0 || there < 0)
			same = -1;
		else if (got != there || memcmp(block, block + COPY_SIZE, (size_t)got) != 0)
			same = 0;
		else if (got == 0)
			break;
		offset += got;
	}
	free(block);
	return same;
}

int disk_staged_is_same(struct disk *disk, const char *id)
{
	char name[DISK_NAME_SIZE];
	int staged, there, same = -1;

	staged_name(name, id);
	staged = openat(disk->envelope_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	snprintf(name, sizeof(name), "%s.env", id);
	there = openat(disk->envelope_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (staged >= 0 && there >= 0)
		same = compare(staged, there);
	fd_close(&staged);
	fd_close(&there);
	return same;
}

int disk_sync_directory(int fd)
{
	return FAULT("disk.dirsync", fsync(fd));
}

bool disk_name_id(const char *name, const char *suffix, char id[ID_SIZE])
{
	if (strlen(name) <= ID_LENGTH || strcmp(name + ID_LENGTH, suffix) != 0)
		return false;
	memcpy(id, name, ID_LENGTH);
	id[ID_LENGTH] = '\0';
	return id_is_valid(id);
}
