/* disk_mark.c - ID.mark: what was asked of a message while somebody had it
 * SPDX-License-Identifier: MIT
 * A line of JSON a mark, numbered. The meta says up to which number they were obeyed: one that still stands there,
 * because its obeyer died or another was just being added, does nothing a second time. */
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

#define MARKS_MAX 65536			/* octets of a file */
#define LOCK_WAIT_MS 500		/* others add a mark within some milliseconds */
#define LOCK_STEP_NS 2000000

struct asked {
	uint64_t number;
	enum mark mark;
	char *reason;			/* NULL: none */
};

struct asked_list {
	struct asked *items;
	size_t count;
	uint64_t last;			/* the greatest number seen */
};

static void asked_release(struct asked_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i].reason);
	free(list->items);
	memset(list, 0, sizeof(*list));
}

static bool parse_line(const char *line, size_t size, struct asked *asked)
{
	json_t *object = json_loadb(line, size, 0, NULL);
	const json_t *number = json_object_get(object, "number"), *reason = json_object_get(object, "reason");
	bool good;

	*asked = (struct asked){ .number = json_is_integer(number) && json_integer_value(number) > 0
		? (uint64_t)json_integer_value(number) : 0 };
	good = asked->number && mark_find(json_string_value(json_object_get(object, "mark")), &asked->mark) &&
		(!reason || json_is_string(reason));
	if (good)
		xstrset(&asked->reason, json_string_value(reason));
	json_decref(object);
	return good;
}

/* Those behind number `after`. `disk` NULL: what is not understood is not said. */
static void parse(struct disk *disk, const char *id, const struct buffer *text, uint64_t after,
	struct asked_list *list)
{
	const char *at = buffer_str(text), *end = at + text->size, *line_end;

	for (; at < end; at = line_end + 1) {
		struct asked asked;
		char *line;

		line_end = memchr(at, '\n', (size_t)(end - at));
		if (!line_end)
			line_end = end;
		if (parse_line(at, (size_t)(line_end - at), &asked) && asked.number > after) {
			list->items = xgrow(list->items, list->count, sizeof(*list->items));
			list->items[list->count++] = asked;
		} else if (!asked.number || asked.number > after) {
			line = xstrndup(at, (size_t)(line_end - at));
			if (disk)
				log_error("queue", "mark not understood and ignored", LOG_TEXT("id", id),
					LOG_TEXT("queue", disk->storage.context.queue), LOG_TEXT("mark", line));
			free(line);
		} else {
			free(asked.reason);
		}
		if (asked.number > list->last)
			list->last = asked.number;
	}
}

static void mark_path(char name[DISK_NAME_SIZE], const char *id)
{
	snprintf(name, DISK_NAME_SIZE, "%s.mark", id);
}

/* 1: *text is what stands there; 0: there is none; -1 with errno. */
static int read_text(const struct disk *disk, const char *id, struct buffer *text)
{
	char name[DISK_NAME_SIZE];
	int fd, result;

	mark_path(name, id);
	fd = FAULT("disk.open", openat(disk->meta_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	result = FAULT("disk.read", fd_read_all(fd, text, MARKS_MAX));
	fd_close(&fd);
	return result < 0 ? -1 : 1;
}

bool disk_mark_stands(const struct disk *disk, const char *id)
{
	char name[DISK_NAME_SIZE];

	mark_path(name, id);
	return faccessat(disk->meta_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void disk_mark_remove(struct disk *disk, const char *id)
{
	char name[DISK_NAME_SIZE];

	mark_path(name, id);
	unlinkat(disk->meta_fd, name, 0);
}

/* ---- obeying */

bool disk_mark_apply(struct disk *disk, struct disk_lease *lease, enum mark mark, const char *reason)
{
	return storage_obey(&disk->storage, lease->lease.id, &lease->state, mark, reason, &lease->due_ms, clock_wall_ms());
}

enum disk_obeyed disk_marks_obey(struct disk *disk, struct disk_lease *lease, bool with_result)
{
	struct asked_list list = { 0 };
	struct buffer text = { 0 };
	enum disk_obeyed result = OBEYED_NOTHING;
	int found = read_text(disk, lease->lease.id, &text);

	if (found > 0) {
		parse(disk, lease->lease.id, &text, lease->marks, &list);
		result = OBEYED;
	} else if (found < 0) {
		disk_log_error(disk, "read the marks", lease->lease.id, errno);
		result = OBEYED_FAILED;
	}
	for (size_t i = 0; i < list.count && result != OBEYED_DISCARD; i++)
		if (!(with_result && mark_is_of_death(list.items[i].mark)) &&
				!disk_mark_apply(disk, lease, list.items[i].mark, list.items[i].reason))
			result = OBEYED_DISCARD;
	if (list.last > lease->marks)
		lease->marks = list.last;
	asked_release(&list);
	buffer_release(&text);
	return result;
}

/* Only under the lock of those who add: one that came since they were read stays. */
void disk_marks_tidy(struct disk *disk, const struct disk_lease *lease)
{
	struct asked_list list = { 0 };
	struct buffer text = { 0 };

	if (ofd_lock(lease->fd, 1, 1, true) != 1)
		return;
	if (read_text(disk, lease->lease.id, &text) == 1) {
		parse(NULL, NULL, &text, lease->marks, &list);
		if (list.last <= lease->marks)
			disk_mark_remove(disk, lease->lease.id);
	}
	ofd_unlock(lease->fd, 1, 1);
	asked_release(&list);
	buffer_release(&text);
}

void disk_marks_show(struct disk *disk, const struct disk_lease *seen, struct strings *out)
{
	struct asked_list list = { 0 };
	struct buffer text = { 0 };

	if (read_text(disk, seen->lease.id, &text) == 1)
		parse(NULL, NULL, &text, seen->marks, &list);
	for (size_t i = 0; i < list.count; i++)
		mark_show(out, list.items[i].mark, list.items[i].reason);
	asked_release(&list);
	buffer_release(&text);
}

/* ---- adding */

static int lock_marks(int env_fd)
{
	int64_t end_ms = clock_boot_ms() + LOCK_WAIT_MS;
	int locked;

	while ((locked = ofd_lock(env_fd, 1, 1, true)) == 0 && clock_boot_ms() < end_ms)
		nanosleep(&(struct timespec){ .tv_nsec = LOCK_STEP_NS }, NULL);
	if (locked == 0)
		errno = EBUSY;
	return locked == 1 ? 0 : -1;
}

/* Asked twice in a row it is the same, but for strikes, which are counted. */
static bool is_asked(const struct asked_list *list, enum mark mark, const char *reason)
{
	const struct asked *last = list->count ? &list->items[list->count - 1] : NULL;

	return last && mark != MARK_STRIKE && last->mark == mark && last->number == list->last &&
		strcmp(last->reason ? last->reason : "", reason ? reason : "") == 0;
}

static void append_line(struct buffer *text, uint64_t number, enum mark mark, const char *reason)
{
	struct buffer safe = { 0 };
	json_t *object;
	char *line;

	if (reason && !utf8_is_valid(reason, strlen(reason))) {
		quoted(&safe, reason, strlen(reason));
		reason = buffer_str(&safe);
	}
	object = json_pack("{s:I, s:s, s:s*}", "number", (json_int_t)number, "mark", mark_name(mark), "reason", reason);
	line = object ? json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	if (!line)
		BUG("a mark that is no JSON");
	buffer_release(&safe);
	if (text->size && text->data[text->size - 1] != '\n')
		buffer_append_char(text, '\n');
	buffer_appendf(text, "%s\n", line);
	free(line);
	json_decref(object);
}

static int place(struct disk *disk, const char *id, const struct buffer *text)
{
	char staged[DISK_NAME_SIZE], name[DISK_NAME_SIZE];
	int fd, result = -1, error;

	snprintf(staged, sizeof(staged), ".%s.mark.new", id);
	mark_path(name, id);
	fd = FAULT("disk.open", openat(disk->meta_fd, staged, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
	if (fd < 0)
		return -1;
	if (FAULT("disk.write", fd_write_all(fd, text->data, text->size)) == 0 &&
			FAULT("disk.fsync", fdatasync(fd)) == 0)
		result = FAULT("disk.rename", renameat(disk->meta_fd, staged, disk->meta_fd, name));
	error = errno;
	if (result < 0)
		unlinkat(disk->meta_fd, staged, 0);
	fd_close(&fd);
	errno = error;
	return result;
}

/* The marks are read before the meta: those that are gone by then are in its number. */
static int add(struct disk *disk, const char *id, enum mark mark, const char *reason)
{
	struct asked_list list = { 0 };
	struct buffer text = { 0 };
	uint64_t obeyed = 0;
	int result = read_text(disk, id, &text) < 0 || disk_meta_marks(disk, id, &obeyed) < 0 ? -1 : 0;

	if (result == 0) {
		parse(NULL, NULL, &text, obeyed, &list);
		if (!is_asked(&list, mark, reason)) {
			append_line(&text, (list.last > obeyed ? list.last : obeyed) + 1, mark, reason);
			result = text.size > MARKS_MAX ? (errno = EFBIG, -1) : place(disk, id, &text);
		}
	}
	asked_release(&list);
	buffer_release(&text);
	return result;
}

int disk_mark_add(struct disk *disk, const char *id, enum mark mark, const char *reason)
{
	char name[DISK_NAME_SIZE];
	int fd, result;

	snprintf(name, sizeof(name), "%s.env", id);
	fd = FAULT("disk.open", openat(disk->envelope_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
	if (fd < 0)
		return -1;
	result = lock_marks(fd);
	if (result == 0)
		result = add(disk, id, mark, reason);
	fd_close(&fd);
	return result;
}
