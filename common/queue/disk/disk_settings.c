/* disk_settings.c - settings that all who share the queue see: one small file, written anew at every change
 * SPDX-License-Identifier: MIT
 * {"version": 1, "settings": {"suspend:example.com": {"value": "...", "expires": 1795000000000}}} */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/queue/disk/disk.h"

#define NAME ".settings"
#define FILE_MAX (16 * 1024 * 1024)
#define COUNT_MAX 10000
#define LOCK_WAIT_MS 2000
#define LOCK_STEP_NS 5000000

/* What was read last, and of which file: it stays open, so that no other gets its number. */
struct disk_settings_seen {
	int fd;
	struct stat status;
	json_t *all;			/* NULL: it could not be read */
	int error;			/* why */
};

struct settings_op {
	char *key, *value;		/* NULL key: only to be read; NULL value: taken away */
	int64_t expiry_ms;
	json_t *all;			/* as read: key -> {value, expires} */
	struct disk_settings_seen *seen;	/* only to be read: while it runs; NULL: nothing was read yet */
	struct reply why;
	storage_done_fn *done;
	storage_settings_fn *listed;
	void *arg;
};

/* ---- the file */

static bool is_setting(const json_t *item)
{
	const json_t *expires = json_object_get(item, "expires");

	return json_is_string(json_object_get(item, "value")) && (!expires || json_is_integer(expires));
}

static json_t *parse(const struct buffer *text)
{
	json_t *file = json_loadb(text->data, text->size, 0, NULL), *all = json_object_get(file, "settings"), *item;
	const char *key;
	bool good = json_is_object(all);

	if (good)
		json_object_foreach(all, key, item)
			good = good && is_setting(item);
	json_incref(all);
	json_decref(file);
	if (good)
		return all;
	json_decref(all);
	return NULL;
}

static int open_file(struct disk *disk)
{
	return FAULT("disk.open", openat(disk->meta_fd, NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
}

/* What open_file() gave, with its errno: 0, also where there is none yet; -1 with errno, EBADMSG where it is not
 * understood. */
static int read_opened(int fd, json_t **all)
{
	struct buffer text = { 0 };
	int result;

	*all = fd < 0 && errno == ENOENT ? json_object() : NULL;
	if (fd < 0)
		return *all ? 0 : -1;
	result = FAULT("disk.read", fd_read_all(fd, &text, FILE_MAX));
	if (result == 0 && !(*all = parse(&text))) {
		errno = EBADMSG;
		result = -1;
	}
	buffer_release(&text);
	return result;
}

static int read_file(struct disk *disk, json_t **all)
{
	int fd = open_file(disk), result = read_opened(fd, all);

	fd_close(&fd);
	return result;
}

static void seen_free(struct disk_settings_seen *seen)
{
	if (!seen)
		return;
	fd_close(&seen->fd);
	json_decref(seen->all);
	free(seen);
}

void disk_settings_forget(struct disk *disk)
{
	seen_free(disk->settings);
	disk->settings = NULL;
}

/* It is still the file that was read, and reading it again would make no difference. */
static bool is_as_seen(struct disk *disk, const struct disk_settings_seen *seen)
{
	struct stat now;

	if (!seen || (seen->error && seen->error != EBADMSG && seen->error != EFBIG))
		return false;
	return fstatat(disk->meta_fd, NAME, &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_ino == seen->status.st_ino &&
		now.st_dev == seen->status.st_dev && now.st_size == seen->status.st_size &&
		now.st_mtim.tv_sec == seen->status.st_mtim.tv_sec && now.st_mtim.tv_nsec == seen->status.st_mtim.tv_nsec;
}

/* Workers ask every few seconds: a file that has not changed is not read again, nor complained of again. */
static int look_at_file(struct disk *disk, struct disk_settings_seen **seen, json_t **all)
{
	if (!is_as_seen(disk, *seen)) {
		seen_free(*seen);
		*seen = xcalloc(1, sizeof(**seen));
		(*seen)->fd = open_file(disk);
		if (((*seen)->fd >= 0 && fstat((*seen)->fd, &(*seen)->status) < 0) ||
				read_opened((*seen)->fd, &(*seen)->all) < 0) {
			(*seen)->error = errno;
			if (!disk_only_looks(disk))
				disk_log_error(disk, "read the settings", NULL, errno);
		}
	}
	*all = json_incref((*seen)->all);
	errno = (*seen)->error;
	return *all ? 0 : -1;
}

static int write_file(struct disk *disk, json_t *all)
{
	json_t *file = json_pack("{s:i, s:O}", "version", 1, "settings", all);
	char *text = json_dumps(file, JSON_COMPACT | JSON_SORT_KEYS);
	int fd, result = -1, error;

	json_decref(file);
	if (!text)
		BUG("settings that are no JSON");
	if (strlen(text) > FILE_MAX) {
		free(text);
		errno = ENOSPC;
		return -1;
	}
	fd = FAULT("disk.open", openat(disk->meta_fd, NAME ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
	if (fd >= 0 && FAULT("disk.write", fd_write_all(fd, text, strlen(text))) == 0 &&
			FAULT("disk.fsync", fdatasync(fd)) == 0 &&
			FAULT("disk.rename", renameat(disk->meta_fd, NAME ".new", disk->meta_fd, NAME)) == 0)
		result = disk_sync_directory(disk->meta_fd);
	error = errno;
	if (result < 0)
		unlinkat(disk->meta_fd, NAME ".new", 0);
	fd_close(&fd);
	free(text);
	errno = error;
	return result;
}

static bool has_expired(const json_t *item, int64_t now_ms)
{
	const json_t *expires = json_object_get(item, "expires");

	return expires && json_integer_value(expires) <= now_ms;
}

/* ---- set */

/* One writer at a time; readers see the old file or the new one. */
static int lock_settings(struct disk *disk)
{
	int64_t end_ms = clock_boot_ms() + LOCK_WAIT_MS;
	int fd = FAULT("disk.open", openat(disk->meta_fd, NAME ".lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
	int locked = -1;

	while (fd >= 0 && (locked = ofd_lock(fd, 0, 1, true)) == 0 && clock_boot_ms() < end_ms)
		nanosleep(&(struct timespec){ .tv_nsec = LOCK_STEP_NS }, NULL);
	if (locked == 0)
		errno = EBUSY;
	if (locked != 1)
		fd_close(&fd);
	return fd;
}

/* What is not understood is kept for somebody to look at, and the settings begin anew. */
static int read_or_set_aside(struct disk *disk, json_t **all)
{
	if (read_file(disk, all) == 0)
		return 0;
	if ((errno != EBADMSG && errno != EFBIG) || renameat(disk->meta_fd, NAME, disk->meta_fd, NAME ".damaged") < 0)
		return -1;
	log_error("queue", "damaged settings set aside, they are lost", LOG_TEXT("queue", disk->storage.context.queue),
		LOG_TEXT("file", NAME ".damaged"));
	*all = json_object();
	return 0;
}

static int change(const struct settings_op *op, json_t *all)
{
	int64_t now_ms = clock_wall_ms();
	const char *key;
	json_t *item;
	void *next;

	json_object_foreach_safe(all, next, key, item)
		if (has_expired(item, now_ms))
			json_object_del(all, key);
	json_object_del(all, op->key);
	if (!op->value || op->expiry_ms <= 0)
		return 0;
	if (json_object_size(all) >= COUNT_MAX) {
		errno = ENOSPC;
		return -1;
	}
	item = json_pack("{s:s}", "value", op->value);
	if (op->expiry_ms < INT64_MAX - now_ms)
		json_object_set_new(item, "expires", json_integer(now_ms + op->expiry_ms));
	return json_object_set_new(all, op->key, item);
}

static void set_work(struct disk *disk, void *arg)
{
	struct settings_op *op = arg;
	int lock_fd = lock_settings(disk);

	if (lock_fd < 0 || read_or_set_aside(disk, &op->all) < 0 || change(op, op->all) < 0 ||
			write_file(disk, op->all) < 0) {
		disk_error_reply(errno, &op->why);
		disk_log_error(disk, "change the settings", NULL, errno);
	}
	fd_close(&lock_fd);
}

static void op_free(struct settings_op *op)
{
	json_decref(op->all);
	reply_release(&op->why);
	free(op->key);
	free(op->value);
	free(op);
}

static void set_done(struct disk *disk, void *arg)
{
	struct settings_op *op = arg;

	(void)disk;
	op->done(op->arg, reply_is_none(&op->why) ? NULL : &op->why);
	op_free(op);
}

static void no_work(struct disk *disk, void *arg)
{
	(void)disk;
	(void)arg;
}

void disk_set(struct storage *storage, const char *key, const char *value, int64_t expiry_ms, storage_done_fn *done,
	void *arg)
{
	struct disk *disk = (struct disk *)storage;
	struct settings_op *op = xcalloc(1, sizeof(*op));

	*op = (struct settings_op){ .key = xstrdup(key), .value = value ? xstrdup(value) : NULL, .expiry_ms = expiry_ms,
		.done = done, .arg = arg };
	if (!disk->is_open)
		disk_error_reply(EIO, &op->why);
	else
		setting_check(key, value, &op->why);
	disk_run(disk, reply_is_none(&op->why) ? set_work : no_work, set_done, op);
}

/* ---- settings */

static void list_work(struct disk *disk, void *arg)
{
	struct settings_op *op = arg;

	char *path = xasprintf("%s/" NAME, disk->meta_dir);

	if (look_at_file(disk, &op->seen, &op->all) < 0)
		disk_look_reply(disk, path, errno, &op->why);
	free(path);
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(((const struct setting *)a)->key, ((const struct setting *)b)->key);
}

static void list_done(struct disk *disk, void *arg)
{
	struct settings_op *op = arg;
	struct setting *list = xcalloc(json_object_size(op->all) + 1, sizeof(*list));
	int64_t now_ms = clock_wall_ms();
	size_t count = 0;
	const char *key;
	json_t *item;

	seen_free(disk->settings);	/* of another call that ended meanwhile */
	disk->settings = op->seen;
	json_object_foreach(op->all, key, item) {
		const json_t *expires = json_object_get(item, "expires");

		if (!has_expired(item, now_ms))
			list[count++] = (struct setting){ key, json_string_value(json_object_get(item, "value")),
				expires ? json_integer_value(expires) - now_ms : INT64_MAX };
	}
	qsort(list, count, sizeof(*list), compare_keys);
	op->listed(op->arg, reply_is_none(&op->why) ? NULL : &op->why, list, count);
	free(list);
	op_free(op);
}

void disk_settings(struct storage *storage, storage_settings_fn *done, void *arg)
{
	struct disk *disk = (struct disk *)storage;
	struct settings_op *op = xcalloc(1, sizeof(*op));

	*op = (struct settings_op){ .listed = done, .arg = arg, .seen = disk->settings };
	disk->settings = NULL;
	if (!disk->is_open)
		disk_error_reply(EIO, &op->why);
	disk_run(disk, disk->is_open ? list_work : no_work, list_done, op);
}
