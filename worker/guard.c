/* guard.c - a process that ends the commands of a spawner that was killed
 * SPDX-License-Identifier: MIT */
#include "worker/guard.h"

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"

#define STACK_SIZE 262144
#define AGAIN_MS 1000
#define STEADY_MS 1000			/* one that lived so long is followed at once */
#define KILLED_MS 1000			/* for what was killed to be gone */

struct guard {
	struct event_base *base;
	struct guard_slot *slots;	/* shared memory */
	size_t slot_count, next;
	int spawner;			/* a pidfd of ourselves */
	pid_t pid;			/* 0: none */
	int pidfd, error;
	int64_t started_ms;
	struct event *ended, *again;
};

/* ---- the guard's own process: it shares descriptors and slots, all else is a copy */

static size_t end_commands(const struct guard *guard)
{
	size_t count = 0;

	for (size_t i = 0; i < guard->slot_count; i++) {
		pid_t group = atomic_load(&guard->slots[i].group);

		if (group > 0 && kill(-group, SIGKILL) == 0)
			count++;
	}
	return count;
}

static pid_t group_of(const struct guard *guard, int pipe_fd)
{
	for (size_t i = 0; i < guard->slot_count; i++)
		if (atomic_load(&guard->slots[i].pipe) == pipe_fd)
			return atomic_load(&guard->slots[i].group);
	return 0;
}

/* The lowest of the pipes not below `from`; -1: there is none. */
static int next_pipe(const struct guard *guard, int from)
{
	int lowest = INT_MAX;

	for (size_t i = 0; i < guard->slot_count; i++) {
		int fd = atomic_load(&guard->slots[i].pipe);

		if (fd >= from && fd < lowest)
			lowest = fd;
	}
	return lowest < INT_MAX ? lowest : -1;
}

/* Of a pipe's writing end only the loss of its last reader is told unasked. */
static bool is_read(int fd, int timeout_ms)
{
	struct pollfd readers = { .fd = fd };
	int lost;

	do
		lost = poll(&readers, 1, timeout_ms);
	while (lost < 0 && errno == EINTR);
	return lost == 0;
}

/* What was killed lets go of its descriptors at once. */
static void tell_of_readers(const struct guard *guard)
{
	int fd = -1, timeout_ms = KILLED_MS;

	while ((fd = next_pipe(guard, fd + 1)) >= 0) {
		if (!is_read(fd, timeout_ms))
			continue;
		timeout_ms = 0;
		log_warn("spawner", "kept a pipe open for what left its command's process group",
			LOG_INT("group", group_of(guard, fd)));
	}
}

/* Workers see by this that their spawner is gone. */
static void close_but_pipes(const struct guard *guard)
{
	unsigned from = 0;
	int fd;

	while ((fd = next_pipe(guard, (int)from)) >= 0) {
		if ((unsigned)fd > from)
			close_range(from, (unsigned)fd - 1, 0);
		from = (unsigned)fd + 1;
	}
	close_range(from, ~0u, 0);
}

/* Its end is that of the process. It calls nothing that does not return: the address sanitizer would look there for a
 * stack that is not this one. */
static int stand_guard(void *arg)
{
	const struct guard *guard = arg;
	struct pollfd spawner = { .fd = guard->spawner, .events = POLLIN };
	size_t count;
	int fd = -1;

	/* Whoever kills all of slimta by its name, or the spawner's group, leaves us the moment that we need. */
	prctl(PR_SET_NAME, "spawner-guard");
	setsid();
	log_forked();
	while (poll(&spawner, 1, -1) < 0)
		if (errno != EINTR)
			return 1;
	count = end_commands(guard);
	if (count)
		log_warn("spawner", "ended the commands of a spawner that is gone", LOG_INT("count", count));
	tell_of_readers(guard);
	close_but_pipes(guard);
	while ((fd = next_pipe(guard, fd + 1)) >= 0)
		is_read(fd, -1);
	return 0;
}

/* ---- the spawner's side */

static void run_again(struct guard *guard, int64_t after_ms)
{
	struct timeval after = { after_ms / 1000, after_ms % 1000 * 1000 };

	event_add(guard->again, &after);
}

/* The process starts on a stack of its own; nothing else of ours can be changed by it. */
static pid_t start_process(struct guard *guard)
{
	static char stack[STACK_SIZE] __attribute__((aligned(16)));
	sigset_t all, before;
	pid_t pid;

	/* It acts on the end of the spawner alone, and no handler of ours may run in it. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = FAULT("spawner.guard",
		clone(stand_guard, stack + sizeof(stack), CLONE_FILES | CLONE_PIDFD | SIGCHLD, guard, &guard->pidfd));
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return pid;
}

static void on_ended(evutil_socket_t fd, short what, void *arg);

static void start(struct guard *guard)
{
	pid_t pid = start_process(guard);

	if (pid < 0) {
		guard->error = errno;
		log_error("spawner", "could not start its guard", LOG_TEXT("error", strerror(errno)));
		run_again(guard, AGAIN_MS);
		return;
	}
	guard->pid = pid;
	guard->started_ms = clock_boot_ms();
	guard->ended = event_new(guard->base, guard->pidfd, EV_READ, on_ended, guard);
	if (!guard->ended || event_add(guard->ended, NULL) < 0)
		BUG("no event for a process");
}

static void forget_process(struct guard *guard)
{
	waitpid(guard->pid, NULL, 0);
	event_free(guard->ended);
	fd_close(&guard->pidfd);
	guard->pid = 0;
}

static void on_ended(evutil_socket_t fd, short what, void *arg)
{
	struct guard *guard = arg;

	(void)fd;
	(void)what;
	log_warn("spawner", "lost its guard", LOG_INT("guard", guard->pid));
	forget_process(guard);
	guard->error = EAGAIN;
	run_again(guard, clock_boot_ms() - guard->started_ms > STEADY_MS ? 0 : AGAIN_MS);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	start(arg);
}

struct guard *guard_new(struct event_base *base, size_t commands)
{
	struct guard *guard;

	if (!commands)
		return NULL;
	guard = xcalloc(1, sizeof(*guard));
	guard->base = base;
	guard->slot_count = commands;
	guard->slots = mmap(NULL, commands * sizeof(*guard->slots), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		-1, 0);
	guard->spawner = pidfd_open(getpid(), 0);
	guard->again = event_new(base, -1, 0, on_again, guard);
	if (guard->slots == MAP_FAILED || guard->spawner < 0 || !guard->again)
		BUG("nothing to guard by: %s", strerror(errno));
	for (size_t i = 0; i < commands; i++)
		atomic_init(&guard->slots[i].pipe, -1);
	start(guard);
	return guard;
}

void guard_free(struct guard *guard)
{
	if (!guard)
		return;
	if (guard->pid) {
		kill(guard->pid, SIGKILL);
		forget_process(guard);
	}
	event_free(guard->again);
	close(guard->spawner);
	munmap(guard->slots, guard->slot_count * sizeof(*guard->slots));
	free(guard);
}

bool guard_is_there(const struct guard *guard)
{
	if (!guard->pid)
		errno = guard->error;
	return guard->pid;
}

/* ---- commands */

struct guard_slot *guard_take(struct guard *guard, int pipe_fd)
{
	struct guard_slot *slot;

	for (size_t i = 0; i < guard->slot_count; i++) {
		slot = &guard->slots[guard->next++ % guard->slot_count];
		if (slot->taken)
			continue;
		slot->taken = true;
		atomic_store(&slot->pipe, pipe_fd);
		return slot;
	}
	BUG("more commands than the guard was made for");
}

void guard_slot_enter(struct guard_slot *slot)
{
	atomic_store(&slot->group, getpid());
	/* Either the guard sees us now, or we see that we have lost our parent. */
	atomic_thread_fence(memory_order_seq_cst);
}

void guard_slot_fed(struct guard_slot *slot)
{
	atomic_store(&slot->pipe, -1);
}

void guard_slot_leave(struct guard_slot *slot)
{
	atomic_store(&slot->group, 0);
}

void guard_slot_release(struct guard_slot *slot)
{
	if (!slot)
		return;
	guard_slot_fed(slot);
	guard_slot_leave(slot);
	slot->taken = false;
}
