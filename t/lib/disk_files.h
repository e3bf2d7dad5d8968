/* disk_files.h - what the tests of the disk driver share: its section, and the files below the scratch folder
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_T_DISK_FILES_H
#define SLIMTA_T_DISK_FILES_H

#include <dirent.h>
#include <fcntl.h>

#include "common/base/file.h"
#include "t/lib/storage.h"

#define SECTION "type: disk, envelope_dir: @/env, meta_dir: @/meta, scan_interval: 3600, allow_volatile: true"

__attribute__((unused)) static void open_or_bail(struct place *place, enum storage_role role, const char *section)
{
	if (place_open(place, role, section))
		return;
	printf("Bail out! cannot open: %s\n", place->opened.text ? place->opened.text : "?");
	exit(1);
}

__attribute__((unused)) static char *path_of(const char *format, const char *id)
{
	char *name = xasprintf(format[0] == 'e' ? "env/%s.env" : "meta/%s.meta", id);
	char *path = xasprintf("%s/%s", scratch, name);

	free(name);
	return path;
}

__attribute__((unused)) static void put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || fd_write_all(fd, text, strlen(text)) < 0)
		abort();
	fd_close(&fd);
}

__attribute__((unused)) static unsigned count_files(const char *folder)
{
	char *path = xasprintf("%s/%s", scratch, folder);
	struct dirent *entry;
	DIR *directory = opendir(path);
	unsigned count = 0;

	while (directory && (entry = readdir(directory)))
		count += entry->d_type == DT_REG;
	if (directory)
		closedir(directory);
	free(path);
	return count;
}

#endif
