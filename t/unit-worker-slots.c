/* unit-worker-slots.c - slots of a destination, shared with other processes
 * SPDX-License-Identifier: MIT */
#include "t/lib/tap.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/slots.h"

static char directory[] = "/tmp/slimta-slots-XXXXXX";

/* Tables of their own are to each other as those of two processes are. */
static struct slots_table *tables[2];

static struct slots *slots_of(unsigned table, const char *relay, unsigned port, unsigned limit)
{
	return slots_new(tables[table], relay, "mx.example.net", port, limit);
}

static void test_sharing(unsigned of_other)
{
	struct slots *one = slots_of(0, "r", 25, 3), *other = slots_of(of_other, "r", 25, 3);

	is_int(slots_take(one), 0, "the first slot");
	is_int(slots_take(one), 1, "is not taken twice by one");
	is_int(slots_take(other), 2, "nor by another");
	is_int(slots_take(one), -1, "three are all there are");
	is_int(slots_take(other), -1, "for both");
	slots_give(one, 1);
	is_int(slots_take(other), 1, "one that is given back is free");
	slots_free(one);
	is_int(slots_take(other), 0, "so are all of one that ends");
	slots_free(other);
}

static void test_waiting(unsigned of_other, unsigned of_third)
{
	struct slots *one = slots_of(0, "r", 25, 1), *other = slots_of(of_other, "r", 25, 1);
	struct slots *third = slots_of(of_third, "r", 25, 1);

	is_int(slots_take(one), 0, "taken");
	ok(!slots_are_wanted(one), "nobody waits");
	slots_wait(other, true);
	slots_wait(other, true);
	slots_wait(third, true);
	ok(slots_are_wanted(one), "two wait");
	slots_wait(other, false);
	ok(slots_are_wanted(one), "one waits");
	ok(!slots_are_wanted(third), "and not for itself");
	slots_free(third);
	ok(!slots_are_wanted(one), "who ends does not wait");
	slots_free(one);
	slots_free(other);
}

static void test_destinations(void)
{
	struct slots *all[] = { slots_of(0, "r", 25, 1), slots_of(0, "r", 26, 1), slots_of(0, "s", 25, 1) };
	struct slots *larger = slots_of(1, "r", 25, 2);

	for (unsigned i = 0; i < 3; i++)
		is_int(slots_take(all[i]), 0, "each destination has slots of its own");
	is_int(slots_take(larger), 1, "a larger limit adds to the same ones");
	for (unsigned i = 0; i < 3; i++)
		slots_free(all[i]);
	slots_free(larger);
}

static void test_death(void)
{
	struct slots *slots = slots_of(0, "r", 25, 1);
	int pipe_fds[2], status;
	char octet;
	pid_t pid;

	if (pipe(pipe_fds) < 0)
		return;
	pid = fork();
	if (pid == 0) {
		struct slots *own = slots_new(slots_table_open(directory), "r", "mx.example.net", 25, 1);

		octet = (char)('0' + slots_take(own));
		if (write(pipe_fds[1], &octet, 1) == 1)
			pause();
		_exit(1);
	}
	is_int(read(pipe_fds[0], &octet, 1), 1, "another process");
	is_int(octet, '0', "has the slot");
	is_int(slots_take(slots), -1, "which we do not get");
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	is_int(slots_take(slots), 0, "until it is killed");
	slots_free(slots);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

int main(void)
{
	char path[64];
	struct stat status;

	if (!mkdtemp(directory))
		return 1;
	for (unsigned i = 0; i < 2; i++) {
		tables[i] = slots_table_open(directory);
		ok(tables[i], "opened");
	}
	for (unsigned i = 0; i < 2; i++) {
		test_sharing(i);
		test_waiting(i, i);
		test_waiting(i, 1 - i);
	}
	test_destinations();
	test_death();
	for (unsigned i = 0; i < 2; i++)
		slots_table_close(tables[i]);
	snprintf(path, sizeof(path), "%s/destinations", directory);
	ok(stat(path, &status) == 0 && status.st_size == 0, "the file has no octets");
	unlink(path);
	rmdir(directory);
	ok(!slots_table_open(directory), "a directory that is not there");
	is_int(errno, ENOENT, "is said to be");
	return done_testing();
}
