/* unit-base-fault.c - fault points: there where they are built, nothing elsewhere; what a BUG says
 * SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "t/lib/tap.h"

/* How a child ends that runs `run` with this setting; what it wrote to stderr is in *said. */
static int child_of(const char *setting, int (*run)(void), struct buffer *said)
{
	int ends[2], status = -1;
	ssize_t got;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0)
		BUG("no pipe");
	child = fork();
	if (child == 0) {
		dup2(ends[1], STDERR_FILENO);
		if (setting)
			setenv("SLIMTA_FAULT", setting, 1);
		_exit(run());
	}
	close(ends[1]);
	/* Not by fd_read_all: it has a fault point, and the setting is read at the first of them. */
	buffer_reset(said);
	do
		buffer_reserve(said, 4096);
	while ((got = read(ends[0], said->data + said->size, 4096)) > 0 && (said->size += (size_t)got));
	said->data[said->size] = '\0';
	close(ends[0]);
	waitpid(child, &status, 0);
	return status;
}

static int calls;

static int call(void)
{
	return ++calls;
}

#ifdef SLIMTA_FAULTS

/* One digit a visit: 1 = called, 0 = skipped, 8 = failed with ENOSPC, 9 = with EIO. */
static int visit(const char *point)
{
	int before = calls;
	int result = FAULT(point, call());

	if (result > 0)
		return calls == before + 1 ? 1 : 7;
	if (result == 0)
		return calls == before ? 0 : 7;
	return errno == ENOSPC ? 8 : errno == EIO ? 9 : 7;
}

static int three_visits(void)
{
	int first = visit("a.b"), second = visit("a.b"), third = visit("a.b");

	if (visit("other") != 1)
		return 255;
	return first * 100 + second * 10 + third;
}

static void test_points(void)
{
	static const struct {
		const char *setting;
		int wanted;	/* of what waitpid gives, in the low 8 bits */
	} cases[] = {
		{ NULL, 111 }, { "", 111 }, { "a.b:1:skip", 11 }, { "a.b:2:skip", 101 }, { "a.b:*:skip", 0 },
		{ "a.b:2:ENOSPC", 181 }, { "a.b:3:EIO", 119 }, { "a.b:2:EIO,a.b:1:skip", 91 }, { "a.bc:*:EIO", 111 },
	};
	struct buffer said = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int status = child_of(cases[i].setting, three_visits, &said);

		ok(WIFEXITED(status) && WEXITSTATUS(status) == cases[i].wanted, "%s",
			cases[i].setting ? cases[i].setting : "no setting");
	}
	ok(WTERMSIG(child_of("a.b:2:die", three_visits, &said)) == SIGKILL, "die");
	buffer_release(&said);
}

static void test_once(void)
{
	char folder[] = "/tmp/slimta-t-XXXXXX", *file;
	struct buffer said = { 0 };

	if (!mkdtemp(folder))
		BUG("no folder");
	file = xasprintf("%s/a.b:2", folder);
	setenv("SLIMTA_FAULT_ONCE", folder, 1);
	ok(WTERMSIG(child_of("a.b:2:die", three_visits, &said)) == SIGKILL, "the first dies");
	is_int(WEXITSTATUS(child_of("a.b:2:die", three_visits, &said)), 111, "its successor lives");
	ok(WTERMSIG(child_of("a.b:*:die", three_visits, &said)) == SIGKILL, "at another visit there is another first");
	is_int(WEXITSTATUS(child_of("a.b:2:EIO", three_visits, &said)), 191, "other faults are not of once");
	unsetenv("SLIMTA_FAULT_ONCE");
	unlink(file);
	free(file);
	file = xasprintf("%s/a.b:0", folder);
	ok(unlink(file) == 0, "by its name");
	rmdir(folder);
	free(file);
	buffer_release(&said);
}

static void test_settings(void)
{
	static const char *const wrong[] = {
		"a.b", "a.b:1", "a.b:0:EIO", "a.b:x:EIO", "a.b:1:ENONSENSE", ":1:EIO", "a.b:1:EIO,", "a.b:-1:EIO"
	};
	struct buffer said = { 0 };
	bool aborts = true;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		aborts &= WTERMSIG(child_of(wrong[i], three_visits, &said)) == SIGABRT &&
			strstr(buffer_str(&said), "SLIMTA_FAULT: ");
	ok(aborts, "a setting that cannot be read aborts and says so");
	buffer_release(&said);
}

#else

static int one_visit(void)
{
	return FAULT("a.b", call()) == 1 ? 0 : 1;
}

static void test_points(void)
{
	struct buffer said = { 0 };

	is_int(child_of("a.b:*:EIO", one_visit, &said), 0, "without FAULTS=1 there are none");
	buffer_release(&said);
}

static void test_once(void)
{
}

static void test_settings(void)
{
	struct buffer said = { 0 };

	is_int(child_of("nonsense", one_visit, &said), 0, "and the setting is not read");
	buffer_release(&said);
}

#endif

static int bug(void)
{
	BUG("seven is %d", 8);
}

static int no_memory(void)
{
	free(xrealloc(NULL, SIZE_MAX / 2, 3));
	return 0;
}

static int bug_into_full_pipe(void)
{
	fd_set_nonblocking(STDERR_FILENO, true);
	while (write(STDERR_FILENO, "0123456789abcdef", 16) == 16)
		;
	fd_set_nonblocking(STDERR_FILENO, false);
	alarm(20);
	BUG("into a full pipe");
}

/* The reader comes late: only a process that waits for it would live until then. */
static void test_bug(void)
{
	struct buffer said = { 0 };
	int ends[2], status = -1;
	pid_t child;

	ok(WTERMSIG(child_of(NULL, bug, &said)) == SIGABRT, "a BUG aborts");
	ok(strstr(buffer_str(&said), "unit-base-fault.c:") && strstr(said.data, ": seven is 8\n"), "and says where and why");
	ok(WTERMSIG(child_of(NULL, no_memory, &said)) == SIGABRT, "memory that is gone aborts");
	ok(strstr(buffer_str(&said), "out of memory") != NULL, "and says so");
	if (pipe2(ends, O_CLOEXEC) < 0)
		BUG("no pipe");
	child = fork();
	if (child == 0) {
		dup2(ends[1], STDERR_FILENO);
		_exit(bug_into_full_pipe());
	}
	waitpid(child, &status, 0);
	ok(WTERMSIG(status) == SIGABRT, "a full pipe does not hold it up");
	close(ends[0]);
	close(ends[1]);
	buffer_release(&said);
}

int main(void)
{
	test_points();
	test_once();
	test_settings();
	test_bug();
	return done_testing();
}
