/* fuzz-queue-files.c - ID.meta and ID.mark of a disk queue, as somebody might leave them
 * SPDX-License-Identifier: MIT
 * The first line is the meta, the rest are marks. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/queue/disk/disk.h"

#define ID "01k81jgqeg9rcta1u4i47kfj4q"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct disk disk;
static char folder[] = "/tmp/slimta-fuzz-XXXXXX";

static void remove_folder(void)
{
	unlinkat(disk.meta_fd, ID ".meta", 0);
	unlinkat(disk.meta_fd, ID ".mark", 0);
	rmdir(folder);
}

static void open_once(void)
{
	const struct log_settings silent = { .level = LOG_LEVEL_ERROR, .output = "/dev/null" };

	if (disk.storage.context.queue)
		return;
	disk.storage.context.queue = "fuzz";
	disk.storage.max_strikes = 3;
	if (log_open("fuzz", &silent) < 0 || !mkdtemp(folder))
		abort();
	disk.meta_fd = disk.envelope_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	atexit(remove_folder);
}

static void put(const char *name, const void *data, size_t size)
{
	int fd = openat(disk.meta_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || fd_write_all(fd, data, size) < 0)
		abort();
	fd_close(&fd);
}

/* What is written of it is read again, the same. */
static void round_trip(struct disk_lease *lease)
{
	struct disk_lease *again = disk_lease_new(ID, -1, &(struct stat){ 0 });
	char *text = disk_meta_text(lease), *second;
	const char *why;

	put(ID ".meta", text, strlen(text));
	if (disk_meta_read(&disk, again, &why) != META_READ)
		BUG("not read again: %s", why);
	second = disk_meta_text(again);
	if (strcmp(text, second))
		BUG("not the same:\n%s\n%s", text, second);
	free(text);
	free(second);
	disk_lease_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *line_end = size ? memchr(data, '\n', size) : NULL;
	size_t meta_size = line_end ? (size_t)(line_end - data) : size;
	struct disk_lease *lease = disk_lease_new(ID, -1, &(struct stat){ 0 });
	struct strings shown = { 0 };
	const char *why = NULL;
	uint64_t obeyed;

	open_once();
	put(ID ".meta", data, meta_size);
	put(ID ".mark", data + meta_size, size - meta_size);
	if (disk_meta_read(&disk, lease, &why) == META_DAMAGED && !why)
		BUG("damaged without a reason");
	disk_marks_show(&disk, lease, &shown);
	obeyed = lease->marks;
	if (disk_marks_obey(&disk, lease, size % 2) != OBEYED_FAILED) {
		if (lease->marks < obeyed || (shown.count && lease->marks == obeyed))
			BUG("marks that were obeyed are not counted");
		round_trip(lease);
	}
	strings_release(&shown);
	disk_lease_free(lease);
	return 0;
}
