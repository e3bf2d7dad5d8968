/* reload_check.c - reads and checks the configuration while the children are supervised
 * SPDX-License-Identifier: MIT
 * In a process of its own, since it asks the other programs and waits for them. What it finds comes back through a pipe:
 * the sizes, what is to be said, and the configuration if nothing is wrong. */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/config/check.h"
#include "master/exec.h"
#include "master/reload.h"

#define CHECK_TIMEOUT_S 90	/* each program is given 30 */
#define ANSWER_MAX_BYTES ((size_t)64 << 20)

struct check {
	struct generation *next;
	check_done_fn *done;
	pid_t pid;			/* 0: reaped */
	int fd;
	struct buffer answer;
	struct event *readable, *timeout;
};

struct sizes {
	uint64_t said, config;
};

/* ---- what only a restart changes */

static const struct config_node *node_of(const struct config *config, const char *section, const char *key)
{
	const struct config_node *node = config_get(config_section(config, "process", section), key);

	if (!node)
		node = config_get(config_section(config, "process", "slimta"), key);
	return node ? node : config_root(config);
}

static void needs_restart(const struct generation *next, const char *section, const char *key, struct config_errors *errors)
{
	config_error_at(errors, node_of(next->config, section, key),
		"process.%s.%s cannot be changed by a reload: restart slimta-master, or put it back", section, key);
}

static bool same(const char *one, const char *other)
{
	return one && other ? strcmp(one, other) == 0 : one == other;
}

static bool same_identity(const struct identity *one, const struct identity *other)
{
	return one->uid == other->uid && one->gid == other->gid;
}

static void check_unchanged(const struct generation *now, const struct generation *next, struct config_errors *errors)
{
	const struct process_options *master = &now->plans[PROGRAM_MASTER].process,
				     *wanted = &next->plans[PROGRAM_MASTER].process;

	for (int i = 0; i < PROGRAM_COUNT; i++) {
		const struct program_plan *was = &now->plans[i], *is = &next->plans[i];

		if (!same(was->process.runtime_dir, is->process.runtime_dir))
			needs_restart(next, program_sections[i], "runtime_dir", errors);
		if (i != PROGRAM_MASTER && !same_identity(&was->identity, &is->identity))
			needs_restart(next, program_sections[i],
				same(was->process.user, is->process.user) ? "group" : "user", errors);
	}
	if (!same(master->pid_file, wanted->pid_file))
		needs_restart(next, "master", "pid_file", errors);
	if (now->master->arguments.daemon < 0 && master->daemon != wanted->daemon)
		needs_restart(next, "master", "daemon", errors);
}

/* ---- in the process of its own */

/* What it holds open of ours would outlive us: sockets, the lock, the children's ends. */
static void close_all_but(int *kept, size_t count)
{
	unsigned from = STDERR_FILENO + 1;

	for (size_t done = 0; done < count; done++) {
		int next = -1;

		for (size_t i = 0; i < count; i++)
			if (kept[i] >= (int)from && (next < 0 || kept[i] < next))
				next = kept[i];
		if (next < 0)
			break;
		if ((unsigned)next > from)
			syscall(SYS_close_range, from, (unsigned)next - 1, 0);
		from = (unsigned)next + 1;
	}
	syscall(SYS_close_range, from, ~0U, 0);
}

/* A name that nobody knows is found here, where waiting for it keeps nobody. */
static void check_addresses(const struct generation *next, struct config_errors *errors)
{
	const struct config_node *edges = config_get(config_root(next->config), "edge");
	struct config_errors said = { 0 };

	for (size_t i = 0; edges && i < edges->count; i++) {
		struct listener_options *items = NULL;
		size_t count = 0;

		listeners_load(edges->items[i], listener_default_port(edges->items[i]), &items, &count, &said);
		for (size_t j = 0; j < count; j++) {
			struct listener_address *addresses = NULL;
			size_t address_count;
			char *why = NULL;

			if (listener_addresses(&items[j], &addresses, &address_count, &why) < 0)
				config_error_at(errors, edges->items[i], "%s", why);
			free(why);
			free(addresses);
		}
		listeners_free(items, count);
	}
	config_errors_release(&said);
}

static void find_errors(struct generation *next, const struct master *master, struct config_errors *errors)
{
	next->config = config_read(master->config_path, errors);
	if (!next->config || check_configuration(next, master->arguments.allow_root, errors) < 0 ||
		errors->error_count)	/* reading gives a configuration with errors too */
		return;
	check_unchanged(master->current, next, errors);
	check_addresses(next, errors);
}

_Noreturn static void check_in_child(struct generation *next, int fd)
{
	struct config_errors errors = { 0 };
	struct buffer said = { 0 }, config = { 0 };
	struct sizes sizes;
	int kept[] = { fd, next->plans[PROGRAM_EDGE].exec_fd, next->plans[PROGRAM_WORKER].exec_fd };

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close_all_but(kept, ARRAY_SIZE(kept));
	find_errors(next, next->master, &errors);
	config_errors_print(&errors, &said);
	if (!errors.error_count)
		config_serialize(next->config, &config);
	sizes = (struct sizes){ said.size, config.size };
	if (fd_write_all(fd, &sizes, sizeof sizes) < 0 || fd_write_all(fd, said.data, said.size) < 0 ||
		fd_write_all(fd, config.data, config.size) < 0)
		_exit(1);
	_exit(0);
}

/* ---- in the master */

static void check_free(struct check *check)
{
	event_free(check->readable);
	event_free(check->timeout);
	fd_close(&check->fd);
	if (check->answer.size)
		explicit_bzero(check->answer.data, check->answer.size);
	buffer_release(&check->answer);
	free(check);
}

/* Borrowed parts of the answer; false: it is not whole. */
static bool take_apart(const struct check *check, struct sizes *sizes, const char **said, const char **config)
{
	if (check->answer.size < sizeof *sizes)
		return false;
	memcpy(sizes, check->answer.data, sizeof *sizes);
	*said = check->answer.data + sizeof *sizes;
	*config = *said + sizes->said;
	return check->answer.size - sizeof *sizes == sizes->said + sizes->config;
}

static void finish(struct check *check, const char *failure)
{
	struct generation *next = check->next;
	const char *said, *config;
	struct sizes sizes;
	struct config_errors errors = { 0 };
	char *text = NULL;

	if (!failure && !take_apart(check, &sizes, &said, &config))
		failure = "the check of the configuration ended before it was done";
	if (failure) {
		check->done(next, false, failure);
	} else {
		text = xstrndup(said, sizes.said);
		if (sizes.config)
			next->config = config_deserialize(config, sizes.config, &errors);
		check->done(next, next->config && generation_seal(next) == 0, text);
	}
	config_errors_release(&errors);
	free(text);
	check_free(check);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct check *check = arg;
	char part[65536];
	ssize_t size = read(fd, part, sizeof part);

	(void)what;
	if (size > 0 && check->answer.size < ANSWER_MAX_BYTES)
		buffer_append(&check->answer, part, (size_t)size);
	else if (size == 0)
		finish(check, NULL);
	else if (size > 0 || (errno != EINTR && errno != EAGAIN))
		finish(check, "the answer of the check cannot be read");
}

static void end_process(struct check *check)
{
	if (check->pid)
		kill(-check->pid, SIGKILL);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct check *check = arg;

	(void)fd, (void)what;
	end_process(check);
	finish(check, "the check of the configuration did not end in time");
}

struct check *check_start(struct generation *next, check_done_fn *done, char **why)
{
	const struct timeval timeout = { CHECK_TIMEOUT_S, 0 };
	struct event_base *base = next->master->base;
	struct check *check;
	int ends[2];
	pid_t pid = -1;

	if (pipe2(ends, O_CLOEXEC) == 0) {
		pid = exec_fork();
		if (pid == 0)
			check_in_child(next, ends[1]);
		fd_close(&ends[1]);
		if (pid < 0)
			fd_close(&ends[0]);
	}
	if (pid < 0) {
		*why = xasprintf("cannot check the configuration: %s", strerror(errno));
		return NULL;
	}
	setpgid(pid, pid);
	fd_set_nonblocking(ends[0], true);
	check = xcalloc(1, sizeof *check);
	*check = (struct check){ .next = next, .done = done, .pid = pid, .fd = ends[0] };
	check->readable = event_new(base, check->fd, EV_READ | EV_PERSIST, on_readable, check);
	check->timeout = evtimer_new(base, on_timeout, check);
	if (!check->readable || !check->timeout)
		BUG("no event");
	event_add(check->readable, NULL);
	event_add(check->timeout, &timeout);
	return check;
}

void check_reaped(struct check *check, pid_t pid)
{
	if (check->pid == pid)
		check->pid = 0;
}

void check_cancel(struct check *check)
{
	end_process(check);
	check_free(check);
}
