/* child.c - how slimta-edge and slimta-worker begin, drain and end
 * SPDX-License-Identifier: MIT */
#include "common/net/child.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/net/child_private.h"

#define DISK_THREADS 4
#define PAST_THE_BOUND_MS 3000

static void stop_loop(struct child *child, int exit_code)
{
	child->private->finished = true;
	child->private->exit_code = exit_code;
	event_base_loopbreak(child->base);
}

void child_finished(struct child *child)
{
	if (!child->private->finished)
		stop_loop(child, 0);
}

static void set_bound(struct child *child, int64_t timeout_ms)
{
	int64_t bound_ms = timeout_ms + PAST_THE_BOUND_MS;
	struct timeval bound = { bound_ms / 1000, bound_ms % 1000 * 1000 };

	child->private->drained_ms = clock_boot_ms() + timeout_ms;
	event_add(child->private->bound, &bound);
}

/* A drain for a successor has more time than the stop that comes in the middle of it. */
static void hurry(struct child *child, int64_t timeout_ms)
{
	if (child->private->extended || clock_boot_ms() + timeout_ms >= child->private->drained_ms)
		return;
	log_info("process", "drains sooner", LOG_INT("timeout_ms", timeout_ms));
	set_bound(child, timeout_ms);
	if (child->hurry)
		child->hurry(child->arg, timeout_ms);
}

static void start_drain(struct child *child, const char *because, const struct child_drain *how)
{
	struct child_private *private = child->private;

	if (private->draining) {
		hurry(child, how->timeout_ms);
		return;
	}
	private->draining = true;
	log_info("process", "began to drain", LOG_TEXT("because", because),
		LOG_INT("timeout_ms", how->timeout_ms));
	set_bound(child, how->timeout_ms);
	if (child->drain)
		child->drain(child->arg, how);
	else
		child_finished(child);
}

void child_extend(struct child *child, int64_t ms)
{
	struct child_private *private = child->private;
	int64_t given_ms = ms < CHILD_EXTEND_MAX_MS ? ms : CHILD_EXTEND_MAX_MS;

	if (!private->draining || private->finished)
		return;
	set_bound(child, given_ms);
	private->extended = true;
	if (private->control)
		control_send(private->control, CONTROL_EXTEND, json_pack("{s:I}", "ms", (json_int_t)given_ms), -1);
	log_info("process", "asked for more time", LOG_INT("ms", given_ms));
}

static void on_bound(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	log_warn("process", "ended before it had drained",
		LOG_TEXT("because", "the time was over"));
	stop_loop(arg, 1);
}

/* What waits in a sibling's sockets is the sibling's, as far as a signal to one of us can know. */
static void keep_of_siblings(struct child *child)
{
	for (size_t i = 0; i < child->listener_count; i++)
		child->listeners[i].kept = !child->listeners[i].own;
}

static void on_term(evutil_socket_t number, short what, void *arg)
{
	struct child *child = arg;
	const char *name = number == SIGINT ? "SIGINT" : "SIGTERM";

	(void)what;
	if (!child->private->draining) {
		keep_of_siblings(child);
		start_drain(child, name, &(struct child_drain){ child->process.drain_timeout_ms, false });
		return;
	}
	log_warn("process", "ended before it had drained", LOG_TEXT("because", name));
	stop_loop(child, 1);
}

/* A terminal sends its signals to the master and to all children; the master says what they mean. */
static void on_ignored(evutil_socket_t number, short what, void *arg)
{
	(void)number, (void)what, (void)arg;
}

static void on_hangup(evutil_socket_t number, short what, void *arg)
{
	(void)number, (void)what, (void)arg;
	log_warn("process", "ignored SIGHUP", LOG_TEXT("because", "only slimta-master reloads"));
}

static void reopen_log(void)
{
	if (log_reopen() < 0)
		log_error("process", "could not reopen the log",
			LOG_TEXT("error", strerror(errno)));
	else
		log_info("process", "reopened the log");
}

static void on_reopen(evutil_socket_t number, short what, void *arg)
{
	(void)number, (void)what, (void)arg;
	reopen_log();
}

/* ---- the master's words */

static void answer_stats(struct child *child)
{
	json_t *answer = json_object();

	if (child->stats)
		child->stats(child->arg, answer);
	control_send(child->private->control, CONTROL_STATS, answer, -1);
}

static int64_t timeout_in(const json_t *body, int64_t otherwise)
{
	const json_t *timeout = json_object_get(body, "timeout_ms");

	return json_is_integer(timeout) && json_integer_value(timeout) >= 0 ?
		(int64_t)json_integer_value(timeout) : otherwise;
}

static struct child_listener *listener_at(struct child *child, const json_t *index)
{
	json_int_t at = json_is_integer(index) ? json_integer_value(index) : -1;

	return at >= 0 && (size_t)at < child->listener_count ? &child->listeners[at] : NULL;
}

static void adopt(struct child *child, const json_t *body, bool on)
{
	const json_t *list = json_object_get(body, "listeners"), *index;
	size_t i;

	if (child->private->draining || !child->adopt)
		return;
	json_array_foreach(list, i, index) {
		const struct child_listener *listener = listener_at(child, index);

		if (listener)
			child->adopt(child->arg, (size_t)(listener - child->listeners), on);
	}
	log_info("process", on ? "adopted sockets" : "returned sockets", LOG_INT("count", json_array_size(list)));
}

static void drain_as_told(struct child *child, const json_t *body)
{
	struct child_drain how = { timeout_in(body, child->process.drain_timeout_ms),
		json_is_true(json_object_get(body, "successor")) };
	const json_t *closing = json_object_get(body, "closing"), *index;
	size_t i;

	for (i = 0; i < child->listener_count; i++)
		child->listeners[i].kept = how.successor;
	json_array_foreach(closing, i, index) {
		struct child_listener *listener = listener_at(child, index);

		if (listener)
			listener->kept = false;
	}
	start_drain(child, how.successor ? "another generation does its work" : "the master said so", &how);
}

void child_on_message(void *arg, enum control_type type, json_t *body, int fd)
{
	struct child *child = arg;

	switch (type) {
	case CONTROL_DRAIN:
		drain_as_told(child, body);
		break;
	case CONTROL_ADOPT:
	case CONTROL_RETURN:
		adopt(child, body, type == CONTROL_ADOPT);
		break;
	case CONTROL_STATS:
		answer_stats(child);
		break;
	case CONTROL_LOG:
		if (fd >= 0 && dup2(fd, STDERR_FILENO) < 0)
			log_error("process", "could not take a new stderr",
				LOG_TEXT("error", strerror(errno)));
		reopen_log();
		break;
	default:
		log_warn("process", "received a control message it does not know",
			LOG_INT("type", type));
	}
	if (fd >= 0)
		close(fd);
}

void child_on_closed(void *arg)
{
	struct child *child = arg;

	control_free(child->private->control);
	child->private->control = NULL;
	start_drain(child, "the master is gone", &(struct child_drain){ child->process.drain_timeout_ms, false });
}

/* ---- begin, run, end */

/* Sessions need descriptors; the spawner's commands keep what they are used to. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int drop_privileges(struct child *child)
{
	if (child->private->spawner) {
		umask(077);
		return 0;
	}
	if (identity_assume(&child->private->identity) == 0)
		return 0;
	log_error("process", "could not become its user", LOG_TEXT("user", child->process.user),
		LOG_TEXT("group", child->process.group), LOG_TEXT("error", strerror(errno)));
	return -1;
}

static struct event *on_signal(struct child *child, int number, event_callback_fn fn)
{
	struct event *event = evsignal_new(child->base, number, fn, child);

	if (!event || event_add(event, NULL) < 0)
		BUG("no event for signal %d", number);
	return event;
}

static void watch_signals(struct child *child)
{
	struct child_private *private = child->private;
	bool alone = child->alone;

	signal(SIGPIPE, SIG_IGN);
	private->term = on_signal(child, SIGTERM, on_term);
	private->interrupt = on_signal(child, SIGINT, alone ? on_term : on_ignored);
	private->hangup = on_signal(child, SIGHUP, alone ? on_hangup : on_ignored);
	private->reopen = on_signal(child, SIGUSR1, alone ? on_reopen : on_ignored);
	private->bound = evtimer_new(child->base, on_bound, child);
	if (!private->bound)
		BUG("no timer event");
}

int child_begin(struct child *child)
{
	prctl(PR_SET_NAME, child->program);
	watch_signals(child);
	if (!child->private->spawner)
		raise_descriptors();
	if (drop_privileges(child) < 0)
		return -1;
	if (!child->private->spawner)
		child->disk = pool_new(child->base, "disk", DISK_THREADS);
	return 0;
}

void child_ready(struct child *child)
{
	if (child->private->control)
		control_send(child->private->control, CONTROL_READY, NULL, -1);
	log_info("process", "ready", LOG_TEXT("queue", child->queue));
}

int child_run(struct child *child)
{
	if (!child->private->finished && event_base_dispatch(child->base) < 0) {
		log_error("process", "could not run its loop", LOG_TEXT("error", strerror(errno)));
		return 1;
	}
	return child->private->exit_code;
}

static void event_release(struct event **event)
{
	if (*event)
		event_free(*event);
	*event = NULL;
}

void child_free(struct child *child)
{
	struct child_private *private;

	if (!child)
		return;
	private = child->private;
	if (child->disk)
		pool_free(child->disk);
	control_free(private->control);
	event_release(&private->term);
	event_release(&private->interrupt);
	event_release(&private->hangup);
	event_release(&private->reopen);
	event_release(&private->bound);
	identity_release(&private->identity);
	for (size_t i = 0; i < child->listener_count; i++) {
		free(child->listeners[i].edge);
		if (child->listeners[i].fd >= 0)
			close(child->listeners[i].fd);
	}
	free(child->listeners);
	if (child->spawner_fd >= 0)
		close(child->spawner_fd);
	free(child->queue);
	process_release(&child->process);
	config_free(child->config);
	log_set_counters(NULL);
	counters_free(child->counters);
	limits_free(child->limits);
	if (child->base)
		event_base_free(child->base);
	free(private);
	free(child);
}
