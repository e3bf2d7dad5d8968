/* master.c - start, loop and end of the supervisor
 * SPDX-License-Identifier: MIT */
#include "master/reload.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "config.h"

#define PROGRAM "slimta-master"
#define SAME_SIGNAL_MS 100

static const struct process_options *own(const struct master *master)
{
	return &master->current->plans[PROGRAM_MASTER].process;
}

static int complain(const char *what)
{
	fprintf(stderr, PROGRAM ": %s: %s\n", what, strerror(errno));
	return -1;
}

/* ---- what happens */

static void on_term(evutil_socket_t number, short what, void *arg)
{
	struct master *master = arg;

	(void)what;
	/* A signal to the whole process group comes once more from whoever there passes it on, such as make. */
	if (master->phase >= MASTER_STOPPING && number == master->stop_signal &&
	    clock_boot_ms() - master->stop_ms < SAME_SIGNAL_MS)
		return;
	log_info("master",
		master->phase >= MASTER_STOPPING ? "told to end at once" : "began to stop",
		LOG_TEXT("because", number == SIGINT ? "SIGINT" : "SIGTERM"));
	if (master->phase < MASTER_STOPPING) {
		master->stop_signal = (int)number;
		notify_send("STOPPING=1");
	}
	supervise_stop(master);
}

static void on_child(evutil_socket_t number, short what, void *arg)
{
	(void)number, (void)what;
	supervise_reap(arg);
}

static void on_hangup(evutil_socket_t number, short what, void *arg)
{
	(void)number, (void)what;
	outputs_reopen(arg);
	if (!reload_ask(arg))
		log_warn("master", "ignored SIGHUP", LOG_TEXT("because", "it stops"));
}

static void on_reopen(evutil_socket_t number, short what, void *arg)
{
	(void)number, (void)what;
	outputs_reopen(arg);
}

static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	notify_send("WATCHDOG=1");
}

void master_is_ready(struct master *master)
{
	const char *pid_file = own(master)->pid_file;

	master->phase = MASTER_RUNNING;
	if (pid_file && pidfile_write(pid_file) < 0)
		log_error("master", "could not write its pid_file", LOG_TEXT("path", pid_file),
			LOG_TEXT("error", strerror(errno)));
	master->pid_file_written = pid_file != NULL;
	log_info("master", "ready", LOG_INT("children", master->current->slot_count));
	notify_send("READY=1\nMAINPID=%d", (int)getpid());
	daemon_is_ready(master);
}

/* ---- start */

static struct event *on_event(struct master *master, int number, short what, event_callback_fn fn)
{
	struct event *event = event_new(master->base, number, what, fn, master);

	if (!event)
		BUG("no event");
	if (what & EV_SIGNAL)
		event_add(event, NULL);
	return event;
}

static int open_loop(struct master *master)
{
	int64_t watchdog_ms = notify_watchdog_ms();
	struct timeval watchdog = { watchdog_ms / 1000, watchdog_ms % 1000 * 1000 };

	master->base = event_base_new();
	if (!master->base)
		return -1;
	signal(SIGPIPE, SIG_IGN);
	master->term = on_event(master, SIGTERM, EV_SIGNAL | EV_PERSIST, on_term);
	master->interrupt = on_event(master, SIGINT, EV_SIGNAL | EV_PERSIST, on_term);
	master->child = on_event(master, SIGCHLD, EV_SIGNAL | EV_PERSIST, on_child);
	master->hangup = on_event(master, SIGHUP, EV_SIGNAL | EV_PERSIST, on_hangup);
	master->reopen = on_event(master, SIGUSR1, EV_SIGNAL | EV_PERSIST, on_reopen);
	master->watchdog = on_event(master, -1, EV_PERSIST, on_watchdog);
	if (watchdog_ms > 0)
		event_add(master->watchdog, &watchdog);
	return 0;
}

static int check_pid_file(const struct master *master)
{
	char *why;

	if (!own(master)->pid_file || pidfile_check(own(master)->pid_file, &why) == 0)
		return 0;
	fprintf(stderr, PROGRAM ": %s\n", why);
	free(why);
	return -1;
}

static bool is_daemon(const struct master *master)
{
	return master->arguments.daemon >= 0 ? master->arguments.daemon : own(master)->daemon;
}

/* Descriptors are needed for each edge process times each listener; children raise theirs by themselves. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* All that can fail for the operator's reasons, while stderr is still his. */
static int prepare(struct master *master)
{
	char *why = NULL;
	int result;

	umask(027);
	if (runtime_open(master) < 0 || check_pid_file(master) < 0)
		return -1;
	raise_descriptors();
	result = outputs_open(master->current, &why);
	if (result == 0)
		result = generation_prepare(master->current, NULL, &why);
	if (result < 0)
		fprintf(stderr, PROGRAM ": %s\n", why);
	free(why);
	return result;
}

static void warn_of_silence(const struct master *master)
{
	if (is_daemon(master) && !own(master)->stderr_path &&
		strcmp(own(master)->logging.output, "stderr") == 0)
		fprintf(stderr, PROGRAM
			": warning: a daemon that logs to stderr needs process.master.stderr; "
			"without it there is no log\n");
}

static int begin(struct master *master)
{
	warn_of_silence(master);
	if (is_daemon(master) && daemon_start(master) < 0)
		return complain("cannot become a daemon");
	outputs_use_own(master->current);
	if (process_open_log(PROGRAM, own(master)) < 0)
		return complain("cannot open its log");
	if (privileges_reduce() < 0)
		log_warn("master", "could not give up capabilities",
			LOG_TEXT("error", strerror(errno)));
	if (open_loop(master) < 0)
		return complain("cannot make an event loop");
	reload_open(master);
	if (status_open(master) < 0)
		return complain("cannot listen for status requests in runtime_dir");
	log_info("master", "started", LOG_TEXT("version", VERSION),
		LOG_INT("children", master->current->slot_count));
	return 0;
}

/* ---- end */

static void release(struct master *master)
{
	struct event **events[] = { &master->term, &master->interrupt, &master->child,
		&master->hangup, &master->reopen, &master->watchdog };

	if (master->pid_file_written)
		pidfile_remove(own(master)->pid_file);
	status_close(master);
	reload_close(master);
	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		if (*events[i])
			event_free(*events[i]);
	generation_free(master->next, master->current);
	generation_free(master->old, master->current);
	generation_free(master->current, NULL);
	counters_free(master->counters);
	limits_free(master->limits);
	free(master->rows_taken);
	free(master->config_path);
	fd_close(&master->counters_fd);
	fd_close(&master->limits_fd);
	fd_close(&master->ready_fd);
	fd_close(&master->lock_fd);
	if (master->base)
		event_base_free(master->base);
	log_close();
}

/* A daemon leaves the directory that it was started in. */
static char *absolute(const char *path)
{
	char *folder, *joined;

	if (!path || path[0] == '/')
		return path ? xstrdup(path) : NULL;
	folder = getcwd(NULL, 0);
	joined = folder ? xasprintf("%s/%s", folder, path) : xstrdup(path);
	free(folder);
	return joined;
}

int master_run(const struct master_arguments *arguments)
{
	struct master master = {
		.arguments = *arguments, .lock_fd = -1, .counters_fd = -1, .limits_fd = -1, .ready_fd = -1
	};
	int code = 1;

	prctl(PR_SET_NAME, PROGRAM);
	notify_open();
	shared_secrets_make(&master.secrets);
	master.current = generation_new(&master);
	master.current->number = master.last_number = 1;
	master.config_path = absolute(arguments->config_path);
	if (check_read(master.current, arguments) == 0 && prepare(&master) == 0 &&
		begin(&master) == 0) {
		supervise(&master);
		if (event_base_dispatch(master.base) < 0)
			log_error("master", "could not run its loop",
				LOG_TEXT("error", strerror(errno)));
		else
			code = master.failed ? 1 : 0;
		log_info("master", "ended");
	}
	release(&master);
	return code;
}
