/* keeper.c - the spawner of a worker that was started alone
 * SPDX-License-Identifier: MIT */
#include "worker/keeper.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/net/control.h"
#include "common/net/unix_socket.h"

#define BACKLOG 16
#define RESTART_FIRST_MS 1000
#define RESTART_LAST_MS 60000
#define STEADY_MS 60000			/* a spawner that lived so long starts the back-off anew */
#define END_MS 10000			/* for the spawner to end its commands */
#define FD_ASIDE 20

/* What the spawner gets at fixed places, here at others. */
struct kept {
	struct event_base *base;
	struct counters *view;
	struct event *ended, *again, *bound;
	struct control *control;
	int control_pair[2], config, counters, listening;
	pid_t pid;			/* 0: none runs */
	int pidfd;
	int64_t started_ms, restart_ms;
	char *socket_path;
	bool allow_root, ending;
};

static _Noreturn void become_spawner(struct kept *kept)
{
	/* Limits are for edges: what stands in their place is closed unread. */
	int sources[] = { kept->control_pair[1], kept->config, kept->counters, kept->counters, kept->listening };
	const char *args[] = { "slimta-worker", "--spawner", "--child", kept->allow_root ? "--allow-root" : NULL, NULL };
	sigset_t none;

	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		sources[i] = fcntl(sources[i], F_DUPFD, FD_ASIDE);
		if (sources[i] < 0)
			_exit(126);
	}
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
		if (dup2(sources[i], CHILD_FD_CONTROL + (int)i) < 0)
			_exit(126);
	close_range(CHILD_FD_FIRST + 1, ~0u, 0);
	for (int number = 1; number < _NSIG; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execv("/proc/self/exe", (char **)args);
	_exit(127);
}

static _Noreturn void leave(struct kept *kept, int code)
{
	unlink(kept->socket_path);
	_exit(code);
}

/* ---- the spawner's control socket */

static void on_message(void *arg, enum control_type type, json_t *body, int fd)
{
	(void)arg;
	(void)type;
	(void)body;
	fd_close(&fd);
}

static void on_closed(void *arg)
{
	struct kept *kept = arg;

	control_free(kept->control);
	kept->control = NULL;
}

/* As a master would say it. */
static void send_start(struct kept *kept)
{
	json_t *body = json_pack("{s:i s:i s:i s:b s:i s:i s:[]}", "version", CONTROL_VERSION, "generation", 0,
		"instance", 0, "spawner", 1, "spawner_socket", CHILD_FD_FIRST, "row", 0, "listeners");

	if (!body)
		BUG("no start message");
	control_send(kept->control, CONTROL_START, body, -1);
}

/* ---- start, end, again */

static void start_again_later(struct kept *kept)
{
	struct timeval after;

	if (clock_boot_ms() - kept->started_ms > STEADY_MS)
		kept->restart_ms = RESTART_FIRST_MS;
	after = (struct timeval){ kept->restart_ms / 1000, kept->restart_ms % 1000 * 1000 };
	event_add(kept->again, &after);
	kept->restart_ms = kept->restart_ms * 2 < RESTART_LAST_MS ? kept->restart_ms * 2 : RESTART_LAST_MS;
}

static void on_spawner_ended(evutil_socket_t fd, short what, void *arg)
{
	struct kept *kept = arg;
	int status = 0;
	char *cause;

	(void)fd;
	(void)what;
	event_free(kept->ended);
	kept->ended = NULL;
	fd_close(&kept->pidfd);
	waitpid(kept->pid, &status, 0);
	kept->pid = 0;
	control_free(kept->control);
	kept->control = NULL;
	if (kept->ending)
		leave(kept, 0);
	cause = WIFSIGNALED(status) ? xasprintf("killed by signal %d", WTERMSIG(status)) :
				      xasprintf("exited with status %d", WEXITSTATUS(status));
	log_error("spawner", "ended", LOG_TEXT("cause", cause));
	free(cause);
	start_again_later(kept);
}

static void start_spawner(struct kept *kept)
{
	kept->started_ms = clock_boot_ms();
	if (control_pair(kept->control_pair) < 0) {
		start_again_later(kept);
		return;
	}
	kept->pid = fork();
	if (kept->pid == 0)
		become_spawner(kept);
	fd_close(&kept->control_pair[1]);
	kept->pidfd = kept->pid > 0 ? pidfd_open(kept->pid, 0) : -1;
	if (kept->pidfd < 0) {
		log_error("spawner", "could not be started", LOG_TEXT("error", strerror(errno)));
		fd_close(&kept->control_pair[0]);	/* one that is there ends by that */
		kept->pid = 0;
		start_again_later(kept);
		return;
	}
	kept->control = control_new(kept->base, kept->control_pair[0], on_message, on_closed, kept);
	send_start(kept);
	kept->ended = event_new(kept->base, kept->pidfd, EV_READ, on_spawner_ended, kept);
	event_add(kept->ended, NULL);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	start_spawner(arg);
}

static void on_bound(evutil_socket_t fd, short what, void *arg)
{
	struct kept *kept = arg;

	(void)fd;
	(void)what;
	kill(kept->pid, SIGKILL);
	leave(kept, 1);
}

/* The worker is gone: the end of its control socket tells the spawner. */
static void on_lifeline(evutil_socket_t fd, short what, void *arg)
{
	struct kept *kept = arg;
	struct timeval bound = { END_MS / 1000, 0 };

	(void)fd;
	(void)what;
	if (!kept->pid)
		leave(kept, 0);
	kept->ending = true;
	control_free(kept->control);
	kept->control = NULL;
	event_add(kept->bound, &bound);
}

static _Noreturn void keep(struct kept *kept, int lifeline)
{
	struct event *life;

	prctl(PR_SET_NAME, "slimta-keeper");
	signal(SIGINT, SIG_IGN);	/* a terminal sends them to all; the worker says when it is over */
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	kept->base = event_base_new();
	if (!kept->base)
		_exit(1);
	life = event_new(kept->base, lifeline, EV_READ, on_lifeline, kept);
	kept->again = event_new(kept->base, -1, 0, on_again, kept);
	kept->bound = event_new(kept->base, -1, 0, on_bound, kept);
	if (!life || !kept->again || !kept->bound || event_add(life, NULL) < 0)
		_exit(1);
	kept->restart_ms = RESTART_FIRST_MS;
	start_spawner(kept);
	event_base_dispatch(kept->base);
	leave(kept, 1);
}

/* ---- the worker's side */

static int open_listening(struct kept *kept, const struct child *child)
{
	struct config_errors errors = { 0 };
	struct identity worker = { 0 };
	int fd = -1;

	if (process_identity(child->config, &child->process, "worker", &worker, &errors) == 0)
		fd = unix_socket_listen(kept->socket_path, SOCK_SEQPACKET, BACKLOG, &worker);
	identity_release(&worker);
	config_errors_release(&errors);
	return fd;
}

static int prepare(struct kept *kept, const struct child *child)
{
	struct buffer config = { 0 };

	config_serialize(child->config, &config);
	kept->config = memfd_sealed("slimta.conf", config.data, config.size);
	buffer_release(&config);
	kept->listening = open_listening(kept, child);
	if (kept->config < 0 || kept->listening < 0)
		return -1;
	kept->view = counters_create(1, &kept->counters);
	return kept->view ? 0 : -1;
}

static void kept_release(struct kept *kept)
{
	counters_free(kept->view);
	fd_close(&kept->config);
	fd_close(&kept->counters);
	fd_close(&kept->listening);
}

int keeper_start(struct keeper *keeper, const struct child *child, bool allow_root)
{
	struct kept kept = { .config = -1, .counters = -1, .listening = -1, .allow_root = allow_root };
	int ends[2] = { -1, -1 };
	pid_t pid = -1;

	kept.socket_path = xasprintf("%s/spawner-%ld", child->process.runtime_dir, (long)getpid());
	if (prepare(&kept, child) == 0 && pipe2(ends, O_CLOEXEC) == 0)
		pid = fork();
	if (pid == 0) {
		close(ends[1]);
		keep(&kept, ends[0]);
	}
	if (pid < 0)
		log_error("spawner", "could not be started", LOG_TEXT("socket", kept.socket_path),
			LOG_TEXT("error", strerror(errno)));
	kept_release(&kept);
	fd_close(&ends[0]);
	*keeper = (struct keeper){ kept.socket_path, ends[1] };
	return pid < 0 ? -1 : 0;
}

void keeper_end(struct keeper *keeper)
{
	fd_close(&keeper->lifeline);
	free(keeper->socket_path);
	*keeper = (struct keeper){ NULL, -1 };
}
