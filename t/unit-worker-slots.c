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

static struct slots *open_slots(const char *relay, unsigned port, unsigned limit)
{
	struct slots *slots = slots_open(directory, relay, "mx.example.net", port, limit);

	ok(slots, "opened");
	return slots;
}

/* Opens of their own are to each other as processes are. */
static void test_sharing(void)
{
	struct slots *one = open_slots("r", 25, 3), *other = open_slots("r", 25, 3);

	is_int(slots_take(one), 0, "the first slot");
	is_int(slots_take(one), 1, "is not taken twice by one process");
	is_int(slots_take(other), 2, "nor by another");
	is_int(slots_take(one), -1, "three are all there are");
	is_int(slots_take(other), -1, "for both");
	slots_give(one, 1);
	is_int(slots_take(other), 1, "one that is given back is free");
	slots_close(one);
	is_int(slots_take(other), 0, "so are all of one that ends");
	slots_close(other);
}

static void test_waiting(void)
{
	struct slots *one = open_slots("r", 25, 1), *other = open_slots("r", 25, 1), *third = open_slots("r", 25, 1);

	is_int(slots_take(one), 0, "taken");
	ok(!slots_are_wanted(one), "nobody waits");
	slots_wait(other, true);
	slots_wait(other, true);
	slots_wait(third, true);
	ok(slots_are_wanted(one), "two wait");
	slots_wait(other, false);
	ok(slots_are_wanted(one), "one waits");
	ok(!slots_are_wanted(third), "and not for itself");
	slots_close(third);
	ok(!slots_are_wanted(one), "who ends does not wait");
	slots_close(one);
	slots_close(other);
}

static void test_destinations(void)
{
	struct slots *all[] = { open_slots("r", 25, 1), open_slots("r", 26, 1), open_slots("s", 25, 1) };
	struct slots *lower = open_slots("r", 25, 2);

	for (unsigned i = 0; i < 3; i++)
		is_int(slots_take(all[i]), 0, "each destination has slots of its own");
	is_int(slots_take(lower), 1, "a larger limit adds to the same ones");
	for (unsigned i = 0; i < 3; i++)
		slots_close(all[i]);
	slots_close(lower);
}

static void test_death(void)
{
	struct slots *slots = open_slots("r", 25, 1);
	int pipe_fds[2], status;
	char octet;
	pid_t pid;

	if (pipe(pipe_fds) < 0)
		return;
	pid = fork();
	if (pid == 0) {
		struct slots *own = slots_open(directory, "r", "mx.example.net", 25, 1);

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
	slots_close(slots);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

int main(void)
{
	char path[64];
	struct stat status;

	if (!mkdtemp(directory))
		return 1;
	test_sharing();
	test_waiting();
	test_destinations();
	test_death();
	snprintf(path, sizeof(path), "%s/destinations", directory);
	ok(stat(path, &status) == 0 && status.st_size == 0, "the file has no octets");
	unlink(path);
	rmdir(directory);
	ok(!slots_open(directory, "r", "h", 25, 1), "a directory that is not there");
	is_int(errno, ENOENT, "is said to be");
	return done_testing();
}
