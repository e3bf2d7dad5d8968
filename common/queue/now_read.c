/* now_read.c - `.now` files of others: of dead workers, and of those that live
 * SPDX-License-Identifier: MIT
 * They are read and never mapped: whoever cuts one short while we look does us no harm. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/queue/now_file.h"

#define READS_MAX 5

long now_name_number(const char *name, const char *queue)
{
	size_t size = strlen(queue), length = strlen(name);
	uint64_t number;

	if (length < size + 6 || strncmp(name, queue, size) != 0 || name[size] != '-' || !text_has_suffix(name, ".now"))
		return -1;
	if (!parse_u64(name + size + 1, length - size - 5, 999999, &number))
		return -1;
	return (long)number;
}

/* ---- what stands in a file */

static void put_owner(char owner[NOW_OWNER_SIZE], const struct now_header *header)
{
	snprintf(owner, NOW_OWNER_SIZE, "%.*s/%.*s[%lld]", (int)strnlen(header->host, sizeof(header->host)), header->host,
		(int)strnlen(header->program, sizeof(header->program)), header->program, (long long)header->pid);
	for (char *at = owner; *at; at++)
		if (*at <= ' ' || *at > '~')
			*at = '?';
}

static bool read_row(const struct now_row *row, struct now_held *held)
{
	static const enum lease_phase phases[] = {
		[NOW_CLAIMED] = LEASE_CLAIMED, [NOW_BEGUN] = LEASE_BEGUN, [NOW_PAST_THE_DOT] = LEASE_PAST_THE_DOT,
	};
	uint32_t phase = atomic_load_explicit(&row->phase, memory_order_relaxed);

	if (phase == NOW_FREE || phase > NOW_PAST_THE_DOT)
		return false;
	*held = (struct now_held){ .phase = phases[phase], .claimed_ms = row->claimed_ms, .phase_ms = row->phase_ms };
	if (held->phase == LEASE_CLAIMED && row->in_line)
		held->phase = LEASE_IN_LINE;
	memcpy(held->id, (const char *)row->id, ID_LENGTH);
	return id_is_valid(held->id);
}

enum now_result now_parse(const void *data, size_t size, struct now_content *content)
{
	struct now_header header = { 0 };
	char boot[48];

	*content = (struct now_content){ 0 };
	if (size >= sizeof(header))
		memcpy((void *)&header, data, sizeof(header));
	if (!size || (size >= sizeof(header) && !header.magic))
		return NOW_EMPTY;
	if (header.magic == NOW_MAGIC && header.version != NOW_VERSION)
		return NOW_FOREIGN;
	if (header.magic != NOW_MAGIC || !header.rows || header.rows > NOW_ROWS_MAX || size < now_size(header.rows))
		return NOW_DAMAGED;
	now_boot_id(boot);
	content->this_boot = strncmp(boot, header.boot, sizeof(header.boot)) == 0;
	put_owner(content->owner, &header);
	content->held = xcalloc(header.rows, sizeof(*content->held));
	for (uint32_t i = 0; i < header.rows; i++) {
		struct now_row row;

		memcpy((void *)&row, (const char *)data + now_size(i), sizeof(row));
		content->count += read_row(&row, &content->held[content->count]);
	}
	return NOW_READ;
}

void now_content_release(struct now_content *content)
{
	free(content->held);
	*content = (struct now_content){ 0 };
}

/* 0, or -1 with errno. */
static int read_once(int fd, struct buffer *out)
{
	buffer_reset(out);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -1;
	return FAULT("now.read", fd_read_all(fd, out, now_size(NOW_ROWS_MAX)));
}

/* ---- the dead */

static void add_dead(struct now_dead **dead, size_t *count, struct now_dead *one)
{
	for (size_t i = 0; i < one->content.count; i++)
		one->begun += one->content.held[i].phase >= LEASE_BEGUN;
	*dead = xgrow(*dead, *count, sizeof(**dead));
	(*dead)[(*count)++] = *one;
}

/* Takes the file away unless it says something, or is another version's. */
static void look_at_dead(char *path, int fd, struct now_dead **dead, size_t *count)
{
	struct now_dead one = { .path = path, .fd = fd };
	struct buffer text = { 0 };
	enum now_result result = NOW_DAMAGED;

	if (read_once(fd, &text) == 0)
		result = now_parse(text.data, text.size, &one.content);
	else if (errno != EFBIG)
		result = NOW_FOREIGN;
	buffer_release(&text);
	if (result == NOW_READ && one.content.count) {
		add_dead(dead, count, &one);
		return;
	}
	if (result == NOW_FOREIGN || result == NOW_DAMAGED)
		log_warn("queue", "could not tell what a dead worker held", LOG_TEXT("file", path), LOG_TEXT("because",
			result == NOW_DAMAGED ? "the file is damaged" : "the file cannot be read, or is of another version"));
	if (result == NOW_FOREIGN)
		now_dead_leave(&one);
	else
		now_dead_settle(&one);
}

static void try_dead(const char *runtime_dir, const char *name, struct now_dead **dead, size_t *count)
{
	char *path = xasprintf("%s/%s", runtime_dir, name);
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat status;

	if (fd >= 0 && ofd_lock(fd, 0, 1, true) == 1 && now_has_name(fd, path, &status)) {
		look_at_dead(path, fd, dead, count);
		return;
	}
	fd_close(&fd);
	free(path);
}

int now_take_dead(const char *runtime_dir, const char *queue, struct now_dead **dead, size_t *count)
{
	DIR *directory = FAULT("now.list", 1) == 1 ? opendir(runtime_dir) : NULL;
	struct dirent *entry;

	*dead = NULL;
	*count = 0;
	if (!directory)
		return -1;
	while ((entry = readdir(directory)))
		if (now_name_number(entry->d_name, queue) >= 0)
			try_dead(runtime_dir, entry->d_name, dead, count);
	closedir(directory);
	return 0;
}

void now_dead_settle(struct now_dead *dead)
{
	unlink(dead->path);
	now_dead_leave(dead);
}

void now_dead_leave(struct now_dead *dead)
{
	fd_close(&dead->fd);
	free(dead->path);
	now_content_release(&dead->content);
	*dead = (struct now_dead){ .fd = -1 };
}

/* ---- those that live */

struct now_view {
	struct now_seen *seen;
	size_t count;
	char (**owners)[NOW_OWNER_SIZE];
	size_t owner_count;
};

/* Two readings: a row that is the same in both is whole; another one is taken out. False: there were such. */
static bool read_living(int fd, struct buffer *first, struct buffer *second)
{
	bool all = true;

	if (read_once(fd, first) < 0 || read_once(fd, second) < 0 || first->size != second->size) {
		buffer_reset(second);
		return false;
	}
	for (size_t at = now_size(0); at + sizeof(struct now_row) <= first->size; at += sizeof(struct now_row)) {
		if (memcmp(first->data + at, second->data + at, sizeof(struct now_row)) == 0)
			continue;
		memset(second->data + at, 0, sizeof(struct now_row));
		all = false;
	}
	return all;
}

static void add_content(struct now_view *view, const struct now_content *content)
{
	char (*owner)[NOW_OWNER_SIZE] = xmemdup(content->owner, NOW_OWNER_SIZE);

	view->owners = xgrow(view->owners, view->owner_count, sizeof(*view->owners));
	view->owners[view->owner_count++] = owner;
	for (size_t i = 0; i < content->count; i++) {
		view->seen = xgrow(view->seen, view->count, sizeof(*view->seen));
		view->seen[view->count++] = (struct now_seen){ content->held[i], *owner };
	}
}

static void add_living(struct now_view *view, int fd)
{
	struct buffer first = { 0 }, second = { 0 };
	struct now_content content;
	int reads = 0;

	while (reads < READS_MAX && !read_living(fd, &first, &second))
		reads++;
	if (now_parse(second.data, second.size, &content) == NOW_READ)
		add_content(view, &content);
	now_content_release(&content);
	buffer_release(&first);
	buffer_release(&second);
}

static int by_id(const void *a, const void *b)
{
	return memcmp(((const struct now_seen *)a)->held.id, ((const struct now_seen *)b)->held.id, ID_LENGTH);
}

struct now_view *now_look(const char *runtime_dir, const char *queue)
{
	struct now_view *view = xcalloc(1, sizeof(*view));
	DIR *directory = opendir(runtime_dir);
	struct dirent *entry;

	while (directory && (entry = readdir(directory))) {
		int fd = now_name_number(entry->d_name, queue) < 0 ? -1 :
			openat(dirfd(directory), entry->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

		if (fd >= 0 && ofd_is_locked(fd, 0, 1) == 1)
			add_living(view, fd);
		fd_close(&fd);
	}
	if (directory)
		closedir(directory);
	if (view->count)
		qsort(view->seen, view->count, sizeof(*view->seen), by_id);
	return view;
}

const struct now_seen *now_find(const struct now_view *view, const char *id)
{
	struct now_seen key = { 0 };

	memcpy(key.held.id, id, ID_LENGTH);
	return view->count ? bsearch(&key, view->seen, view->count, sizeof(key), by_id) : NULL;
}

size_t now_count(const struct now_view *view, size_t *in_line)
{
	*in_line = 0;
	for (size_t i = 0; i < view->count; i++)
		*in_line += view->seen[i].held.phase == LEASE_IN_LINE;
	return view->count;
}

int64_t now_since(int64_t wall_ms)
{
	int64_t ms = clock_wall_ms() - wall_ms;

	return ms > 0 ? ms : 0;
}

int64_t now_in_phase(const struct now_held *held, int64_t leased_for_ms)
{
	int64_t ms = now_since(held->phase_ms);

	return leased_for_ms >= 0 && ms > leased_for_ms ? leased_for_ms : ms;
}

void now_view_free(struct now_view *view)
{
	if (!view)
		return;
	for (size_t i = 0; i < view->owner_count; i++)
		free(view->owners[i]);
	free((void *)view->owners);
	free(view->seen);
	free(view);
}
