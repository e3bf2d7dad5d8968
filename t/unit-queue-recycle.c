/* unit-queue-recycle.c - files that are used again: none is lost or given to two, however many take and put
 * SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/queue/disk/recycle.h"
#include "t/lib/tap.h"

#define THREADS 4
#define TURNS 500

static char folder[] = "/tmp/slimta-unit-recycle-XXXXXX";
static int folder_fd;

static unsigned count_files(int parent, const char *path, bool remove)
{
	int fd = openat(parent, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	unsigned count = 0;

	while (directory && (entry = readdir(directory))) {
		if (entry->d_type != DT_REG)
			continue;
		count++;
		if (remove)
			unlinkat(dirfd(directory), entry->d_name, 0);
	}
	if (directory)
		closedir(directory);
	return count;
}

/* The file that it opens. */
static ino_t take(struct recycler *recycler, const char *name)
{
	struct stat status = { 0 };
	off_t size;
	int fd = recycler_take(recycler, name, &size);

	if (fd < 0 || fstat(fd, &status) < 0)
		abort();
	fd_close(&fd);
	return status.st_ino;
}

static void test_one(struct recycler *recycler)
{
	ino_t first = take(recycler, "a");

	is_int(count_files(folder_fd, ".free", false), 0, "there was none to use again: a new file");
	is_int(recycler_put(recycler, "a"), 0, "put");
	is_int(count_files(folder_fd, ".free", false), 1, "it waits");
	ok(take(recycler, "b") == first, "and is taken under another name");
	is_int(count_files(folder_fd, ".free", false), 0, "it waits no more");
	is_int(recycler_put(recycler, "b"), 0, "put again");
	recycler->next_take = recycler->next_put;
	ok(take(recycler, "a") == first, "it is found where the search begins behind it, too");
	is_int(recycler_put(recycler, "a"), 0, "and put");
	is_int(recycler_put(recycler, "none"), -1, "what is not there is not put");
}

/* Whatever slot the search begins at, all of them are found. */
static void test_full(struct recycler *recycler, unsigned start)
{
	unsigned again = 0;
	ino_t *known = xcalloc(RECYCLE_SLOTS, sizeof(*known));
	char name[16];

	count_files(folder_fd, ".free", true);
	memset(recycler->used, 0, sizeof(recycler->used));
	recycler->next_take = recycler->next_put = start;
	for (unsigned i = 0; i < RECYCLE_SLOTS + 5; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		take(recycler, name);
	}
	for (unsigned i = 0; i < RECYCLE_SLOTS + 5; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		if (recycler_put(recycler, name) < 0)
			abort();
	}
	diag("from slot %u", start);
	is_int(count_files(folder_fd, ".free", false), RECYCLE_SLOTS, "as many wait as there are slots");
	is_int(count_files(folder_fd, ".", false), 0, "the others were removed");
	for (unsigned i = 0; i < RECYCLE_SLOTS; i++)
		again += recycler->used[i];
	is_int(again, RECYCLE_SLOTS, "all slots are believed in use");
	for (unsigned i = 0; i < RECYCLE_SLOTS; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		known[i] = take(recycler, name);
	}
	is_int(count_files(folder_fd, ".free", false), 0, "all are taken");
	again = 0;
	for (unsigned i = 0; i < RECYCLE_SLOTS; i++)
		for (unsigned j = 0; j < i; j++)
			again += known[i] == known[j];
	is_int(again, 0, "each once");
	is_int(count_files(folder_fd, ".", true), RECYCLE_SLOTS, "under their names");
	free(known);
}

struct hand {
	struct recycler *recycler;
	unsigned number;
};

/* Two files at a time, filled with its own number: who shares one with another finds that one's. */
static void *work(void *arg)
{
	const struct hand *hand = arg;
	char name[2][32];
	int fds[2];
	off_t size;

	for (unsigned turn = 0; turn < TURNS; turn++) {
		for (unsigned i = 0; i < 2; i++) {
			snprintf(name[i], sizeof(name[i]), "t%u-%u-%u", hand->number, turn, i);
			fds[i] = recycler_take(hand->recycler, name[i], &size);
			if (fds[i] < 0 || pwrite(fds[i], &hand->number, sizeof(hand->number), 0) < 0)
				return arg;
		}
		for (unsigned i = 0; i < 2; i++) {
			unsigned found = 0;

			if (pread(fds[i], &found, sizeof(found), 0) < 0 || found != hand->number ||
					recycler_put(hand->recycler, name[i]) < 0)
				return arg;
			fd_close(&fds[i]);
		}
	}
	return NULL;
}

static bool work_in_threads(struct recycler *recycler, unsigned first)
{
	struct hand hands[THREADS];
	pthread_t threads[THREADS];
	bool good = true;

	for (unsigned i = 0; i < THREADS; i++) {
		hands[i] = (struct hand){ recycler, first + i };
		pthread_create(&threads[i], NULL, work, &hands[i]);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		void *failed;

		pthread_join(threads[i], &failed);
		good &= !failed;
	}
	return good;
}

/* Both have a recycler of their own, so neither hears of what the other takes and puts. */
static void test_many(struct recycler *recycler)
{
	struct recycler theirs;
	int status = -1;
	pid_t child = fork();

	if (child == 0)
		_exit(recycler_open(&theirs, folder_fd, true) == 0 && work_in_threads(&theirs, THREADS) ? 0 : 1);
	ok(work_in_threads(recycler, 0), "%u threads have each file for themselves", THREADS);
	waitpid(child, &status, 0);
	is_int(status, 0, "and those of another process");
	is_int(count_files(folder_fd, ".", false), 0, "none is left under its name");
	ok(count_files(folder_fd, ".free", false) <= RECYCLE_SLOTS, "no more wait than there are slots");
}

int main(void)
{
	struct recycler recycler;

	if (!mkdtemp(folder))
		return 1;
	folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (recycler_open(&recycler, folder_fd, true) < 0)
		return 1;
	test_one(&recycler);
	test_full(&recycler, 0);
	test_full(&recycler, RECYCLE_SLOTS - 1);
	test_full(&recycler, 437);
	test_many(&recycler);
	recycler_close(&recycler);
	count_files(folder_fd, ".free", true);
	unlinkat(folder_fd, ".free", AT_REMOVEDIR);
	fd_close(&folder_fd);
	rmdir(folder);
	return done_testing();
}
