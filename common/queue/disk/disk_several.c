/* disk_several.c - several messages visible together: the batch file
 * SPDX-License-Identifier: MIT
 * `.ID.batch` names copies that stand staged and synced. Its rename is the commit; whoever finds one whose writer is
 * gone (its lock on byte 0 is free) finishes the work. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/queue/disk/disk.h"

#define BATCH_MAX (64 * 1024 * 1024)

static char *batch_text(const struct disk_write_op *op)
{
	struct buffer text = { 0 };

	for (size_t i = 0; i < op->count; i++)
		buffer_appendf(&text, "%s\n", op->items[i]->id);
	buffer_appendf(&text, "end %zu\n", op->count);
	return buffer_detach(&text);
}

/* The file, synced under its first name and locked. */
static int stage_batch(struct disk *disk, const struct disk_write_op *op, const char *name)
{
	char *text = batch_text(op);
	size_t size = strlen(text);
	off_t old_size;
	int fd = recycler_take(&disk->envelopes, name, &old_size);

	if (fd >= 0 && (ofd_lock(fd, 0, 1, true) != 1 ||
			FAULT("disk.write", fd_write_all(fd, text, size)) < 0 ||
			FAULT("disk.ftruncate", ftruncate(fd, (off_t)size)) < 0 ||
			FAULT("disk.fsync", fdatasync(fd)) < 0)) {
		fd_close(&fd);
		unlinkat(disk->envelope_fd, name, 0);
	}
	free(text);
	return fd;
}

/* Before the commit: an id that is taken by another message makes the whole write fail. */
static int check_clashes(struct disk *disk, const struct disk_write_op *op)
{
	for (size_t i = 0; i < op->count; i++) {
		char name[DISK_NAME_SIZE];

		snprintf(name, sizeof(name), "%s.env", op->items[i]->id);
		if (id_is_derived(op->items[i]->id) || finished_has(disk->finished, op->items[i]->id) ||
				faccessat(disk->envelope_fd, name, F_OK, 0) < 0)
			continue;
		if (disk_staged_is_same(disk, op->items[i]->id) == 0) {
			errno = EEXIST;
			return -1;
		}
	}
	return 0;
}

/* Committed: what fails from here on is finished by a scan, and the write has succeeded. */
static void make_visible(struct disk *disk, struct disk_write_op *op, const char *name)
{
	op->unfinished = true;
	for (size_t i = 0; i < op->count; i++) {
		if (disk_publish(disk, op->items[i]->id) >= 0 || errno == ENOENT)
			continue;
		disk_log_error(disk, "publish, left to the next scan", op->items[i]->id, errno);
		return;
	}
	if (disk_sync_directory(disk->envelope_fd) < 0) {
		disk_log_error(disk, "sync the directory, left to the next scan", NULL, errno);
		return;
	}
	op->unfinished = recycler_put(&disk->envelopes, name) < 0;
}

int disk_publish_several(struct disk *disk, struct disk_write_op *op)
{
	char staged[DISK_NAME_SIZE], name[DISK_NAME_SIZE];
	int fd, error;

	snprintf(name, sizeof(name), ".%s.batch", op->items[0]->id);
	snprintf(staged, sizeof(staged), ".%s.batch.new", op->items[0]->id);
	if (check_clashes(disk, op) < 0)
		return -1;
	fd = stage_batch(disk, op, staged);
	if (fd < 0)
		return -1;
	if (disk_sync_directory(disk->envelope_fd) < 0 ||
			FAULT("disk.rename", renameat(disk->envelope_fd, staged, disk->envelope_fd, name)) < 0 ||
			disk_sync_directory(disk->envelope_fd) < 0) {
		error = errno;
		unlinkat(disk->envelope_fd, staged, 0);
		unlinkat(disk->envelope_fd, name, 0);
		fd_close(&fd);
		errno = error;
		return -1;
	}
	make_visible(disk, op, name);
	fd_close(&fd);
	return 0;
}

/* True if the text is whole and that of this file: what is not was never committed, or is long done and its octets are
 * another's by now. */
static bool batch_is_whole(const char *name, const char *text)
{
	size_t count = 0;
	char id[ID_SIZE], end[32];

	if (strncmp(name + 1, text, ID_LENGTH) != 0)
		return false;
	for (; strlen(text) > ID_LENGTH && text[ID_LENGTH] == '\n'; text += ID_SIZE, count++) {
		memcpy(id, text, ID_LENGTH);
		id[ID_LENGTH] = '\0';
		if (!id_is_valid(id))
			return false;
	}
	snprintf(end, sizeof(end), "end %zu\n", count);
	return strcmp(text, end) == 0;
}

/* A copy that cannot be published does not keep back those behind it; the batch file stays for it. */
static int publish_all(struct disk *disk, const char *text, bool *any)
{
	int error = 0, result;

	for (char id[ID_SIZE]; strlen(text) > ID_LENGTH && text[ID_LENGTH] == '\n'; text += ID_SIZE) {
		memcpy(id, text, ID_LENGTH);
		id[ID_LENGTH] = '\0';
		result = disk_publish(disk, id);
		*any = *any || result == 0;
		/* Not staged any more: it was published before. */
		if (result < 0 && errno != ENOENT)
			error = errno;
	}
	if (disk_sync_directory(disk->envelope_fd) < 0)
		return -1;
	errno = error;
	return error ? -1 : 0;
}

/* After a power cut the name of one that was done with may be back, and another's octets be in the file by now: its
 * first copy was made visible first. */
static void log_damaged(struct disk *disk, const char *name)
{
	char staged[DISK_NAME_SIZE];

	snprintf(staged, sizeof(staged), ".%.*s.new", ID_LENGTH, name + 1);
	if (faccessat(disk->envelope_fd, staged, F_OK, 0) == 0)
		log_error("queue", "damaged batch file removed", LOG_TEXT("queue", disk->storage.context.queue),
			LOG_TEXT("file", name));
	else
		log_info("queue", "left-over removed", LOG_TEXT("queue", disk->storage.context.queue), LOG_TEXT("file", name));
}

bool disk_complete_batch(struct disk *disk, const char *name)
{
	struct buffer text = { 0 };
	int fd = openat(disk->envelope_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool ours = fd >= 0 && ofd_lock(fd, 0, 1, true) == 1;
	bool done = false;

	if (ours && fd_read_all(fd, &text, BATCH_MAX) == 0 && faccessat(disk->envelope_fd, name, F_OK, 0) == 0) {
		if (!batch_is_whole(name, buffer_str(&text))) {
			log_damaged(disk, name);
			done = recycler_put(&disk->envelopes, name) == 0;
		} else if (publish_all(disk, buffer_str(&text), &done) < 0) {
			disk_log_error(disk, "complete a batch", name, errno);
		} else {
			log_warn("queue", "batch completed whose writer was gone",
				LOG_TEXT("queue", disk->storage.context.queue), LOG_TEXT("file", name));
			done = recycler_put(&disk->envelopes, name) == 0 || done;
		}
	}
	buffer_release(&text);
	fd_close(&fd);
	return done;
}
