/* unit-message-faults.c - each fault point of common/base and common/message: failed, it is answered
 * SPDX-License-Identifier: MIT
 * Without FAULTS=1 the same calls are made and succeed. */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/counters.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/pool.h"
#include "common/message/stored.h"
#include "t/lib/tap.h"

/* Each gives 0, or the errno that the failure came with; 255 = it was not answered as it should. */
static int result_of(int result)
{
	return result < 0 ? errno : 0;
}

static int temporary(void)
{
	char path[] = "/tmp/slimta-unit-faults-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	unlink(path);
	return fd;
}

static int write_file(void)
{
	return result_of(fd_write_all(temporary(), "x", 1));
}

static int read_file(void)
{
	struct buffer got = { 0 };
	int result = result_of(file_read("/proc/self/stat", &got, 100000));

	buffer_release(&got);
	return result;
}

static int lock_file(void)
{
	int locked = ofd_lock(temporary(), 0, 1, true);

	/* That another has it is no failure. */
	return locked == 1 ? 0 : locked == 0 ? 100 : errno;
}

static int sync_directory(void)
{
	return result_of(directory_sync("/tmp"));
}

static int make_directory(void)
{
	return result_of(directory_make("/tmp", 0700));
}

static int make_counters(void)
{
	int fd = -1;
	struct counters *counters = counters_create(1, &fd);
	int result = counters ? 0 : fd == -1 ? errno : 255;

	counters_free(counters);
	return result;
}

static int make_limits(void)
{
	int fd = -1;
	struct limits *limits = limits_create(1, &fd);
	int result = limits ? 0 : fd == -1 ? errno : 255;

	limits_free(limits);
	return result;
}

static int make_pool(void)
{
	struct event_base *base = event_base_new();
	struct pool *pool = pool_new(base, "test", 3);
	int result = pool ? 0 : errno;

	pool_free(pool);
	event_base_free(base);
	return result;
}

static int make_ids(void)
{
	char last[ID_SIZE] = "", id[ID_SIZE];

	for (int i = 0; i < 1000; i++) {
		id_new(id);
		if (!id_is_valid(id) || strcmp(last, id) >= 0)
			return 255;
		memcpy(last, id, sizeof(last));
	}
	return 0;
}

static int open_log_file(void)
{
	struct log_settings settings = { .level = LOG_LEVEL_INFO, .output = "/dev/null" };

	return result_of(log_open("test", &settings));
}

/* One line fails; the next tells of it. */
static int log_lines(void)
{
	int fd = temporary();
	struct buffer got = { 0 };
	bool whole;

	dup2(fd, STDERR_FILENO);
	for (int i = 0; i < 3; i++)
		log_info("test", "wrote", LOG_INT("number", i));
	lseek(fd, 0, SEEK_SET);
	if (fd_read_all(fd, &got, 1000) < 0)
		return 255;
	whole = strstr(got.data, "number=0") && strstr(got.data, "number=1");
	if (log_lost() == 0)
		return whole ? 0 : 255;
	if (log_lost() != 1 || whole || !strstr(got.data, "log: lost lines=1\n"))
		return 255;
	buffer_release(&got);
	return 100;
}

static struct envelope *spooled(void)
{
	struct envelope *envelope = envelope_new();
	int fd = temporary();

	envelope->sender = xstrdup("");
	if (pwrite(fd, "body", 4, 0) != 4)
		BUG("not written");
	envelope->content.fd = fd;
	envelope->content.fd_size = 4;
	content_finish(&envelope->content);
	return envelope;
}

static int encode(void)
{
	struct envelope *envelope = spooled();
	struct buffer head = { 0 };
	int result = result_of(stored_encode(envelope, &head));

	if (result && head.size)
		result = 255;
	envelope_free(envelope);
	buffer_release(&head);
	return result;
}

static int copy(void)
{
	struct envelope *envelope = spooled(), *other = envelope_copy(envelope);
	int result = other ? 0 : errno;

	envelope_free(envelope);
	envelope_free(other);
	return result;
}

static int read_stored_into(size_t memory_max)
{
	struct envelope *envelope = spooled(), *back = NULL;
	struct buffer file = { 0 };
	const char *why = NULL;
	int fd = temporary(), result;

	if (stored_encode(envelope, &file) < 0)
		return 255;
	buffer_append(&file, "body", 4);
	if (pwrite(fd, file.data, file.size, 0) != (ssize_t)file.size)
		return 255;
	result = stored_read(fd, memory_max, true, &back, &why) == STORED_OK ? 0 : !back && why ? errno : 255;
	envelope_free(back);
	envelope_free(envelope);
	buffer_release(&file);
	return result;
}

static int read_stored(void)
{
	return read_stored_into(0);
}

static int read_stored_at_once(void)
{
	return read_stored_into(65536);
}

static const struct {
	const char *setting;
	int (*run)(void);
	int wanted;
} cases[] = {
	{ "file.write:1:ENOSPC", write_file, ENOSPC },
	{ "file.write:1:EINTR", write_file, 0 },
	{ "file.read:1:EIO", read_file, EIO },
	{ "file.read:2:EIO", read_file, EIO },
	{ "file.read:1:EINTR", read_file, 0 },
	{ "file.lock:1:EAGAIN", lock_file, 100 },
	{ "file.lock:1:ENOLCK", lock_file, ENOLCK },
	{ "file.sync_directory:1:EIO", sync_directory, EIO },
	{ "file.make_directory:1:EROFS", make_directory, EROFS },
	{ "counters.memfd:1:ENFILE", make_counters, ENFILE },
	{ "limits.memfd:1:ENFILE", make_limits, ENFILE },
	{ "pool.eventfd:1:EMFILE", make_pool, EMFILE },
	{ "pool.thread:1:EAGAIN", make_pool, EAGAIN },
	{ "pool.thread:3:EAGAIN", make_pool, EAGAIN },
	{ "id.random:*:ENOSYS", make_ids, 0 },
	{ "log.file:1:EACCES", open_log_file, EACCES },
	{ "log.write:2:ENOSPC", log_lines, 100 },
	{ "log.write:2:EINTR", log_lines, 0 },
	{ "content.read:1:EIO", encode, EIO },
	{ "content.read:1:EINTR", encode, 0 },
	{ "content.open:1:ENFILE", copy, ENFILE },
	{ "stored.stat:1:EIO", read_stored, EIO },
	{ "stored.read:1:EIO", read_stored, EIO },
	{ "stored.read:2:EIO", read_stored, EIO },
	{ "stored.read:3:EIO", read_stored, EIO },
	{ "stored.read:2:EINTR", read_stored, 0 },
	{ "stored.read:1:EIO", read_stored_at_once, EIO },
	{ "stored.read:1:EINTR", read_stored_at_once, 0 },
	{ "stored.read:2:EIO", read_stored_at_once, 0 },	/* there is no second */
	{ "content.open:1:EMFILE", read_stored, EMFILE },
};

static bool has_faults(void)
{
#ifdef SLIMTA_FAULTS
	return true;
#else
	return false;
#endif
}

int main(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int status = -1;
		pid_t child = fork();

		if (child == 0) {
			alarm(20);
			setenv("SLIMTA_FAULT", cases[i].setting, 1);
			_exit(cases[i].run());
		}
		waitpid(child, &status, 0);
		ok(WIFEXITED(status), "%s: nothing dies", cases[i].setting);
		is_int(WEXITSTATUS(status), has_faults() ? cases[i].wanted : 0, "and it ends as it should");
	}
	return done_testing();
}
