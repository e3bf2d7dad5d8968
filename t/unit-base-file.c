/* unit-base-file.c - whole reads and writes, directories, locks, sealed memory, the heap
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/file.h"
#include "common/base/heap.h"
#include "common/base/memory.h"
#include "t/lib/tap.h"

static char folder[] = "/tmp/slimta-unit-file-XXXXXX";

static char *path_of(const char *name)
{
	static char path[100];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void test_whole(void)
{
	struct buffer got = { 0 }, big = { 0 };
	int fd = open(path_of("whole"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	for (int i = 0; i < 200000; i++)
		buffer_append_char(&big, (char)i);
	is_int(fd_write_all(fd, big.data, big.size), 0, "written");
	is_int(file_read(path_of("whole"), &got, big.size), 0, "read, of just the size allowed");
	is_mem(got.data, got.size, big.data, big.size, "the same");
	buffer_reset(&got);
	is_int(file_read(path_of("whole"), &got, big.size - 1), -1, "larger than allowed");
	is_int(errno, EFBIG, "EFBIG");
	is_int(file_read(path_of("none"), &got, 10), -1, "a file that is not there");
	is_int(errno, ENOENT, "ENOENT");
	is_int(file_read(folder, &got, 10), -1, "a directory");
	is_int(errno, EISDIR, "EISDIR");
	is_int(fd_write_all(fd, "", 0), 0, "nothing written is fine");
	errno = EBADMSG;
	fd_close(&fd);
	ok(fd == -1 && errno == EBADMSG, "closed, errno as it was");
	fd_close(&fd);
	is_int(fd_write_all(fd, "x", 1), -1, "no descriptor");
	is_int(errno, EBADF, "EBADF");
	unlink(path_of("whole"));
	buffer_release(&got);
	buffer_release(&big);
}

static void test_disk_full(void)
{
	struct rlimit limit, small;
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	is_int(fd_write_all(fd, "x", 1), -1, "a full disk");
	is_int(errno, ENOSPC, "ENOSPC");
	fd_close(&fd);
	fd = open(path_of("limited"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &limit);
	small = limit;
	small.rlim_cur = 10;
	setrlimit(RLIMIT_FSIZE, &small);
	is_int(fd_write_all(fd, "0123456789abcdef", 16), -1, "a write that goes in part, and then fails");
	is_int(errno, EFBIG, "EFBIG");
	setrlimit(RLIMIT_FSIZE, &limit);
	is_int(lseek(fd, 0, SEEK_END), 10, "the part is there");
	fd_close(&fd);
	unlink(path_of("limited"));
}

static void test_flags(void)
{
	int ends[2];

	if (pipe(ends) < 0)
		BUG("no pipe");
	is_int(fd_set_nonblocking(ends[0], true), 0, "non-blocking");
	is_int(read(ends[0], &(char){ 0 }, 1), -1, "so it is");
	is_int(fd_set_nonblocking(ends[0], false), 0, "blocking");
	ok(!(fcntl(ends[0], F_GETFL) & O_NONBLOCK), "again");
	is_int(fd_set_cloexec(ends[0], true), 0, "close on exec");
	ok(fcntl(ends[0], F_GETFD) & FD_CLOEXEC, "so it is");
	is_int(fd_set_cloexec(-1, true), -1, "no descriptor");
	close(ends[0]);
	close(ends[1]);
}

static void test_directories(void)
{
	char *inner = xstrdup(path_of("inner")), *file = xstrdup(path_of("file"));
	struct stat status;
	int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	umask(022);
	is_int(directory_make(inner, 0750), 0, "made");
	ok(stat(inner, &status) == 0 && (status.st_mode & 07777) == 0750, "with its mode");
	is_int(directory_make(inner, 0700), 0, "one that is there is fine");
	is_int(directory_make(file, 0700), -1, "a file is not");
	is_int(errno, ENOTDIR, "ENOTDIR");
	is_int(directory_make("/nonexistent/x", 0700), -1, "one level alone");
	is_int(errno, ENOENT, "ENOENT");
	is_int(directory_sync(inner), 0, "synced");
	is_int(directory_sync(file), -1, "a file is no directory");
	is_int(errno, ENOTDIR, "ENOTDIR");
	rmdir(inner);
	unlink(file);
	fd_close(&fd);
	free(inner);
	free(file);
}

static void test_locks(void)
{
	int one = open(path_of("lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int two = open(path_of("lock"), O_RDWR | O_CLOEXEC), again, reader;

	is_int(ofd_is_locked(two, 0, 1), 0, "nobody holds it");
	is_int(ofd_lock(one, 0, 1, true), 1, "locked");
	is_int(ofd_lock(two, 0, 1, true), 0, "another open does not get it, in the same process too");
	is_int(ofd_lock(two, 0, 1, false), 0, "nor a share of it");
	is_int(ofd_is_locked(two, 0, 1), 1, "and sees it");
	is_int(ofd_is_locked(one, 0, 1), 0, "the holder sees no other");
	is_int(ofd_lock(two, 1, 1, true), 1, "another octet is another lock");
	is_int(ofd_unlock(one, 0, 1), 0, "given up");
	is_int(ofd_lock(two, 0, 1, false), 1, "shared");
	is_int(ofd_lock(one, 0, 1, false), 1, "by both");
	is_int(ofd_lock(one, 0, 1, true), 0, "then nobody has it alone");
	again = dup(two);
	fd_close(&two);
	is_int(ofd_is_locked(one, 1, 1), 1, "a duplicate keeps it");
	close(again);
	is_int(ofd_is_locked(one, 1, 1), 0, "the last close ends it");
	is_int(ofd_lock(-1, 0, 1, true), -1, "no descriptor");
	is_int(ofd_is_locked(-1, 0, 1), -1, "nor here");
	reader = open(path_of("lock"), O_RDONLY | O_CLOEXEC);
	is_int(ofd_lock(reader, 5, 1, true), -1, "a lock needs an open for writing");
	is_int(errno, EBADF, "EBADF");
	fd_close(&reader);
	fd_close(&one);
	unlink(path_of("lock"));
}

static void test_memfd(void)
{
	int fd = memfd_sealed("test", "sealed", 6);
	struct buffer got = { 0 };

	ok(fd >= 0, "sealed memory");
	is_int(fd_read_all(fd, &got, 6), 0, "read from its beginning");
	is_str(buffer_str(&got), "sealed", "what was put in");
	is_int(write(fd, "x", 1), -1, "it cannot be written");
	is_int(ftruncate(fd, 0), -1, "nor cut");
	is_int(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), -1, "nor sealed further");
	ok(fcntl(fd, F_GETFD) & FD_CLOEXEC, "it is closed on exec");
	close(fd);
	buffer_release(&got);
}

/* ---- the heap, against a plain array */

#define NODES 200

static size_t least(const struct heap_node *nodes)
{
	size_t found = NODES;

	for (size_t i = 0; i < NODES; i++)
		if (heap_holds(&nodes[i]) && (found == NODES || nodes[i].key < nodes[found].key))
			found = i;
	return found;
}

static void test_heap(void)
{
	static struct heap_node nodes[NODES];
	struct heap heap = { 0 };
	bool good = true, ordered = true;
	size_t held = 0;
	int64_t last = INT64_MIN;

	ok(heap_first(&heap) == NULL, "an empty heap has no first");
	heap_remove(&heap, &nodes[0]);
	srand(7);
	for (int step = 0; step < 20000; step++) {
		struct heap_node *node = &nodes[rand() % NODES];

		switch (rand() % 3) {
		case 0:
			held += !heap_holds(node);
			heap_update(&heap, node, rand() % 50 - 25);
			break;
		case 1:
			held -= heap_holds(node);
			heap_remove(&heap, node);
			break;
		default:
			held += !heap_holds(node);
			if (!heap_holds(node))
				heap_insert(&heap, node, rand());
		}
		good &= heap.count == held && (held ? heap_first(&heap)->key == nodes[least(nodes)].key : !heap_first(&heap));
	}
	ok(good, "20,000 random steps agree with an array");
	while (heap.count > 10) {
		struct heap_node *node = heap_first(&heap);

		ordered &= node->key >= last;
		last = node->key;
		heap_remove(&heap, node);
		ordered &= !heap_holds(node);
	}
	ok(ordered, "they come out in order");
	heap_release(&heap);
	ok(least(nodes) == NODES && heap_first(&heap) == NULL, "released, none is held");
}

int main(void)
{
	if (!mkdtemp(folder))
		BUG("no folder");
	test_whole();
	test_disk_full();
	test_flags();
	test_directories();
	test_locks();
	test_memfd();
	test_heap();
	rmdir(folder);
	return done_testing();
}
