/* disk_volume.c - the directories: made, on a file system that keeps its promises, and with room left
 * SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/queue/disk/disk.h"

#define REFRESH_MS 1000
#define INODES_MIN 100

/* Magic numbers of statfs(2). Locks of one kernel say nothing about another's, and memory is gone with the power. */
static const struct volume {
	uint32_t magic;
	const char *name;
	bool network;
} volumes[] = {
	{ 0x6969, "nfs", true }, { 0xff534d42, "cifs", true }, { 0xfe534d42, "smb2", true }, { 0x517b, "smb", true },
	{ 0x01021997, "9p", true }, { 0x65735546, "fuse", true }, { 0x5346414f, "afs", true },
	{ 0x6b414653, "afs", true }, { 0x00c36400, "ceph", true }, { 0x73757245, "coda", true },
	{ 0x564c, "ncp", true }, { 0x7461636f, "ocfs2", true }, { 0x01161970, "gfs2", true },
	{ 0x0bd00bd0, "lustre", true }, { 0x47504653, "gpfs", true }, { 0x786f4256, "vboxsf", true },
	{ 0x01021994, "tmpfs", false }, { 0x858458f6, "ramfs", false },
};

void disk_error_reply(int error, struct reply *why)
{
	if (error == ENOSPC || error == EDQUOT)
		reply_set(why, 452, "4.3.1", "Insufficient system storage");
	else if (error == EEXIST)
		reply_set(why, 554, "5.3.0", "Another message has this id");
	else
		reply_set(why, 451, "4.3.0", "Error queuing message");
}

void disk_log_error(struct disk *disk, const char *what, const char *id, int error)
{
	log_error("queue", "disk call failed", LOG_TEXT("queue", disk->storage.context.queue), LOG_TEXT("what", what),
		LOG_TEXT("id", id), LOG_TEXT("error", strerror(error)));
}

/* An operator looks at what there is, and makes nothing. */
bool disk_only_looks(const struct disk *disk)
{
	return disk->storage.context.role == STORAGE_FOR_OPERATOR;
}

void disk_look_reply(const struct disk *disk, const char *path, int error, struct reply *why)
{
	if (disk_only_looks(disk))
		reply_set(why, 451, "4.3.0", "%s: %s", path, error == EBADMSG ? "it is not understood" : strerror(error));
	else
		disk_error_reply(error, why);
}

/* It is made here, so it is not the one that is missing. */
static const char *expected_instead(int error)
{
	if (error == ENOENT)
		return "the directory above it, which this uid may write";
	return error == EACCES || error == EPERM ? "that this uid may write there" : NULL;
}

/* Whom an operator asks says it to him. */
static int refuse_errno(const struct disk *disk, const char *path, struct reply *why)
{
	int error = errno;

	if (!disk_only_looks(disk))
		log_error("queue", "directory not usable", LOG_TEXT("path", path), LOG_TEXT("error", strerror(error)),
			LOG_TEXT("queue", disk->storage.context.queue), LOG_INT("uid", geteuid()),
			LOG_TEXT("expected", expected_instead(error)));
	errno = error;
	reply_set(why, 451, "4.3.0", "%s: %s", path, strerror(errno));
	return -1;
}

/* What is wrong with a file system of this kind for us, owned; NULL: nothing. */
static char *refused_volume(const struct disk *disk, const struct statfs *status)
{
	for (unsigned i = 0; i < ARRAY_SIZE(volumes); i++) {
		const struct volume *volume = &volumes[i];

		if ((uint32_t)status->f_type != volume->magic)
			continue;
		if (volume->network ? disk->allow_network : disk->allow_volatile)
			return NULL;
		if (volume->network)
			return xasprintf("is on a network file system (%s), where locks do not hold between hosts; "
				"set allow_network: true if one host alone uses it", volume->name);
		return xasprintf("is in memory (%s), where mail is lost with the power; "
			"set allow_volatile: true to accept that", volume->name);
	}
	return NULL;
}

static int check_volume(const struct disk *disk, int fd, const char *key, const char *path, struct reply *why)
{
	struct statfs status;
	char *wrong;

	if (FAULT("disk.statfs", fstatfs(fd, &status)) < 0)
		return refuse_errno(disk, path, why);
	wrong = refused_volume(disk, &status);
	if (!wrong)
		return 0;
	reply_set(why, 554, "5.3.0", "%s: %s %s", key, path, wrong);
	free(wrong);
	return -1;
}

/* A directory that is still to be made will be where its parent is. */
static void check_place(const struct disk *disk, const struct config_node *section, const char *key, const char *path,
	struct config_errors *errors)
{
	char *parent = xstrdup(path);
	struct statfs status;
	char *wrong = NULL;

	if (statfs(path, &status) == 0 || (errno == ENOENT && statfs(dirname(parent), &status) == 0))
		wrong = refused_volume(disk, &status);
	if (wrong)
		config_error_at_value(errors, config_get(section, key), "%s %s", path, wrong);
	free(wrong);
	free(parent);
}

/* As above. 0: not known. */
static dev_t device_of(const char *path)
{
	char *parent = xstrdup(path);
	struct stat status = { 0 };

	if (stat(path, &status) < 0 && (errno != ENOENT || stat(dirname(parent), &status) < 0))
		status.st_dev = 0;
	free(parent);
	return status.st_dev;
}

static void check_tmp_dir(const struct disk *disk, const struct config_node *section, struct config_errors *errors)
{
	dev_t messages = device_of(disk->envelope_dir), arriving = disk->tmp_dir ? device_of(disk->tmp_dir) : 0;

	if (messages && arriving && messages != arriving)
		config_error_at_value(errors, config_get(section, "tmp_dir"), "%s is not on the file system of envelope_dir, %s",
			disk->tmp_dir, disk->envelope_dir);
}

void disk_check(const struct storage *storage, const struct config_node *section, struct config_errors *errors)
{
	const struct disk *disk = (const struct disk *)storage;

	check_place(disk, section, "envelope_dir", disk->envelope_dir, errors);
	check_place(disk, section, "meta_dir", disk->meta_dir, errors);
	check_tmp_dir(disk, section, errors);
}

/* One that was made just now, by us or another process, keeps its name. Where its parent cannot be synced by us,
 * somebody else has made it. */
static int keep_directory(const char *path)
{
	char *copy = xstrdup(path);
	int error = directory_sync(dirname(copy)) < 0 ? errno : 0;

	free(copy);
	if (!error || error == EACCES || error == EPERM || error == EROFS || error == EINVAL)
		return 0;
	errno = error;
	return -1;
}

static int open_directory(const struct disk *disk, const char *key, const char *path, struct reply *why)
{
	int fd = -1;

	if (disk_only_looks(disk) || (directory_make(path, 0700) == 0 && keep_directory(path) == 0))
		fd = FAULT("disk.open", open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (fd < 0 && disk_only_looks(disk) && errno == ENOENT) {
		reply_set(why, 451, "4.3.0", "%s %s is not there; who writes to the queue first makes it", key, path);
		return -1;
	}
	if (fd < 0)
		return refuse_errno(disk, path, why);
	if (check_volume(disk, fd, key, path, why) < 0)
		fd_close(&fd);
	return fd;
}

static bool same_volume(int fd, const char *path)
{
	struct stat ours, theirs;

	return fstat(fd, &ours) == 0 && stat(path, &theirs) == 0 && ours.st_dev == theirs.st_dev;
}

/* Where messages spool while they arrive: only from there can a file be moved. */
static int choose_spool_dir(struct disk *disk, struct reply *why)
{
	const char *system = getenv("TMPDIR");

	free(disk->spool_dir);
	disk->spool_dir = NULL;
	if (disk->tmp_dir) {
		if (directory_make(disk->tmp_dir, 0700) < 0)
			return refuse_errno(disk, disk->tmp_dir, why);
		if (!same_volume(disk->envelope_fd, disk->tmp_dir)) {
			reply_set(why, 554, "5.3.0", "tmp_dir: %s is not on the file system of envelope_dir",
				disk->tmp_dir);
			return -1;
		}
		disk->spool_dir = xstrdup(disk->tmp_dir);
		return 0;
	}
	system = system && *system == '/' ? system : "/tmp";
	if (same_volume(disk->envelope_fd, system) && access(system, W_OK | X_OK) == 0) {
		disk->spool_dir = xstrdup(system);
		return 0;
	}
	disk->spool_dir = xasprintf("%s/.tmp", disk->envelope_dir);
	return directory_make(disk->spool_dir, 0700) == 0 ? 0 : refuse_errno(disk, disk->spool_dir, why);
}

static uint64_t count_messages(int directory_fd)
{
	int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	char id[ID_SIZE];
	uint64_t count = 0;

	if (!directory) {
		fd_close(&fd);
		return 0;
	}
	while ((entry = readdir(directory)))
		count += disk_name_id(entry->d_name, ".env", id);
	closedir(directory);
	return count;
}

static void look(struct disk *disk, struct disk_room *room)
{
	struct statvfs status;
	int64_t begin_ms = clock_boot_ms();

	room->error = FAULT("disk.statfs", fstatvfs(disk->envelope_fd, &status)) < 0 ? errno : 0;
	if (!room->error) {
		room->free_bytes = (uint64_t)status.f_bavail * status.f_frsize;
		/* Some file systems make inodes as they need them, and count none. */
		room->free_inodes = status.f_files ? status.f_favail : UINT64_MAX;
	}
	if (disk->storage.max_messages)
		room->messages = count_messages(disk->envelope_fd);
	room->looked_boot_ms = clock_boot_ms();
	room->took_ms = room->looked_boot_ms - begin_ms;
	room->known = true;
}

/* What the processes of this host share stands in runtime_dir, which a program that was started alone makes. */
static struct finished *open_finished(struct disk *disk)
{
	const char *directory = disk->storage.context.process->runtime_dir;
	char *path = directory ? xasprintf("%s/done-%s", directory, disk->storage.context.queue) : NULL;
	struct finished *finished;

	if (directory && !disk_only_looks(disk))
		directory_make(directory, 0750);
	finished = finished_open(path, !disk_only_looks(disk));
	free(path);
	return finished;
}

int disk_volume_open(struct disk *disk, struct reply *why)
{
	int result = -1;

	disk->envelope_fd = open_directory(disk, "envelope_dir", disk->envelope_dir, why);
	disk->meta_fd = disk->envelope_fd < 0 ? -1 : open_directory(disk, "meta_dir", disk->meta_dir, why);
	if (disk->meta_fd >= 0 && (disk_only_looks(disk) || choose_spool_dir(disk, why) == 0)) {
		if (recycler_open(&disk->envelopes, disk->envelope_fd, !disk_only_looks(disk)) < 0)
			refuse_errno(disk, disk->envelope_dir, why);
		else if (recycler_open(&disk->metas, disk->meta_fd, !disk_only_looks(disk)) < 0)
			refuse_errno(disk, disk->meta_dir, why);
		else
			result = 0;
	}
	if (result == 0) {
		disk->finished = open_finished(disk);
		look(disk, &disk->room);
	} else {
		disk_volume_close(disk);
	}
	return result;
}

void disk_volume_close(struct disk *disk)
{
	recycler_close(&disk->envelopes);
	recycler_close(&disk->metas);
	finished_close(disk->finished);
	disk->finished = NULL;
	fd_close(&disk->envelope_fd);
	fd_close(&disk->meta_fd);
	free(disk->spool_dir);
	disk->spool_dir = NULL;
}

static void refresh_work(struct disk *disk, void *arg)
{
	look(disk, arg);
}

static void refresh_done(struct disk *disk, void *arg)
{
	struct disk_room *seen = arg;

	disk->room = *seen;
	disk->room.running = false;
	free(seen);
}

/* Counting is the dearer the more there are: it takes a twentieth of a thread at most. */
static void refresh(struct disk *disk)
{
	int64_t every_ms = disk->room.took_ms * 20 > REFRESH_MS ? disk->room.took_ms * 20 : REFRESH_MS;
	struct disk_room *seen;

	if (disk->room.running || clock_boot_ms() - disk->room.looked_boot_ms < every_ms)
		return;
	disk->room.running = true;
	seen = xcalloc(1, sizeof(*seen));
	disk_run(disk, refresh_work, refresh_done, seen);
}

int disk_accepts(struct storage *storage, uint64_t size, struct reply *why)
{
	struct disk *disk = (struct disk *)storage;
	const struct disk_room *room = &disk->room;

	if (!disk->is_open) {
		disk_error_reply(EIO, why);
		return -1;
	}
	refresh(disk);
	if (room->error) {
		disk_error_reply(EIO, why);
		return -1;
	}
	if ((storage->max_messages && room->messages >= storage->max_messages) ||
			(storage->min_free_bytes && room->free_inodes < INODES_MIN) ||
			room->free_bytes < size || room->free_bytes - size < storage->min_free_bytes) {
		disk_error_reply(ENOSPC, why);
		return -1;
	}
	return 0;
}

const char *disk_spool_dir(struct storage *storage)
{
	return ((struct disk *)storage)->spool_dir;
}
