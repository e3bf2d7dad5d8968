/* children.c - one child: started, heard, and what its end means
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/net/child.h"
#include "master/master.h"

#define HELLO_TIMEOUT_MS 30000

const char *const child_kind_names[CHILD_KINDS] = { "spawner", "worker", "edge" };
const char *const child_state_names[] = { "gone", "starting", "ready", "draining" };

static void arm(struct event *event, int64_t ms)
{
	struct timeval timeout = { ms / 1000, ms % 1000 * 1000 };

	event_add(event, &timeout);
}

void slot_set_state(struct slot *slot, enum child_state state)
{
	slot->state = state;
	slot->since_ms = clock_wall_ms();
}

void slot_kill(struct slot *slot, const char *because)
{
	struct master *master = slot->generation->master;

	log_warn("master", "killed child", SLOT_FIELDS(slot), LOG_TEXT("because", because));
	slot->ended_at_once = true;
	if (master->phase >= MASTER_STOPPING)
		master->failed = true;
	kill(slot->pid, SIGKILL);
}

/* ---- what children say */

/* It waits for the answer to a final dot. */
static void extend(struct slot *slot, int64_t ms)
{
	if (ms <= 0 || ms > CHILD_EXTEND_MAX_MS)
		return;
	slot->extended_ms = clock_boot_ms() + ms + SLOT_EXTENSION_MS;
	log_info("master", "child has more time", SLOT_FIELDS(slot), LOG_INT("ms", ms));
}

static void is_ready(struct slot *slot)
{
	slot->tried = true;
	slot_set_state(slot, CHILD_READY);
	log_info("master", "child is ready", SLOT_FIELDS(slot),
		LOG_INT("after_ms", clock_boot_ms() - slot->started_ms));
	supervise(slot->generation->master);
}

static void on_message(void *arg, enum control_type type, json_t *body, int fd)
{
	struct slot *slot = arg;

	if (fd >= 0)
		close(fd);
	if (type == CONTROL_HELLO) {
		event_del(slot->timer);
		if (json_integer_value(json_object_get(body, "version")) != CONTROL_VERSION)
			slot_kill(slot, "it speaks another version of the control protocol");
	} else if (type == CONTROL_READY && slot->state == CHILD_STARTING) {
		is_ready(slot);
	} else if (type == CONTROL_STATS) {
		status_answer(slot, body);
	} else if (type == CONTROL_EXTEND && slot->state == CHILD_DRAINING) {
		extend(slot, json_integer_value(json_object_get(body, "ms")));
	}
}

static void on_closed(void *arg)
{
	struct slot *slot = arg;

	control_free(slot->control);
	slot->control = NULL;
	status_answer(slot, NULL);
}

struct control *slot_connect(struct slot *slot, int fd)
{
	return control_new(slot->generation->master->base, fd, on_message, on_closed, slot);
}

/* Of a generation that another one waits to replace nothing is tried again. */
static bool is_next(const struct slot *slot)
{
	return slot->generation == slot->generation->master->next;
}

static void fail(struct slot *slot, const char *why)
{
	struct generation *generation = slot->generation;

	if (!generation->failure)
		generation->failure = xasprintf("the %s%s%s %u of the new configuration %s before all were ready",
			child_kind_names[slot->kind], slot->queue ? " of queue " : "", slot->queue ? slot->queue : "",
			slot->instance, why);
}

/* ---- starting */

static void start_later(struct slot *slot, int64_t ran_ms)
{
	arm(slot->timer, restart_delay_ms(&slot->restart, ran_ms));
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct slot *slot = arg;

	(void)fd, (void)what;
	if (slot->state == CHILD_STARTING)
		slot_kill(slot, "it did not say hello");
	supervise(slot->generation->master);
}

static void prepare_timer(struct slot *slot)
{
	if (slot->timer)
		return;
	slot->timer = evtimer_new(slot->generation->master->base, on_timer, slot);
	if (!slot->timer)
		BUG("no timer event");
}

static void start(struct slot *slot)
{
	if (slot->tried)
		slot->restarts++;
	slot->started_ms = clock_boot_ms();
	slot->ended_at_once = false;
	slot->extended_ms = 0;
	if (slot_spawn(slot) < 0) {
		const char *why = strerror(errno);

		slot->tried = true;
		start_later(slot, 0);
		if (is_next(slot))
			fail(slot, why);
		log_error("master", "could not start child", SLOT_FIELDS(slot),
			LOG_TEXT("error", why), LOG_INT("again_ms", slot->restart.last_ms));
		return;
	}
	slot_set_state(slot, CHILD_STARTING);
	log_info("master", "started child", SLOT_FIELDS(slot), LOG_INT("generation", slot->generation->number));
	arm(slot->timer, HELLO_TIMEOUT_MS);
}

void slot_keep_running(struct slot *slot)
{
	prepare_timer(slot);
	if (slot->state == CHILD_GONE && !event_pending(slot->timer, EV_TIMEOUT, NULL))
		start(slot);
}

/* ---- ends */

static char *cause(int status)
{
	if (WIFSIGNALED(status))
		return xasprintf("killed by signal %d (%s)%s", WTERMSIG(status),
			strsignal(WTERMSIG(status)), WCOREDUMP(status) ? ", core dumped" : "");
	return xasprintf("exited with status %d%s", WEXITSTATUS(status),
		WEXITSTATUS(status) == EX_CONFIG ? " (configuration)" : "");
}

static void log_end(struct slot *slot, int status, const char *why)
{
	/* One that drained by a signal of its own, as a process group gets it, has done what was wanted. */
	bool expected = status == 0 || slot->ended_at_once;

	if (slot->generation->phase != GENERATION_DRAINING)
		log_error("master", "child ended", SLOT_FIELDS(slot), LOG_TEXT("cause", why),
			LOG_INT("again_ms", slot->restart.last_ms));
	else if (expected)
		log_info("master", "child ended", SLOT_FIELDS(slot), LOG_TEXT("cause", why));
	else
		log_warn("master", "child ended", SLOT_FIELDS(slot), LOG_TEXT("cause", why));
}

void slot_ended(struct slot *slot, int status)
{
	char *why = cause(status);

	slot->tried = true;
	event_del(slot->timer);
	if (slot->generation->phase != GENERATION_DRAINING)
		start_later(slot, clock_boot_ms() - slot->started_ms);
	if (is_next(slot))
		fail(slot, why);
	log_end(slot, status, why);
	free(why);
	slot->pid = 0;
	slot_set_state(slot, CHILD_GONE);
	if (slot->control)
		on_closed(slot);
	counters_retire(slot->generation->master->counters, slot->row);
	limits_retire(slot->generation->master->limits, slot->row);
}
