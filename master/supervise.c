/* supervise.c - compares the children that are wanted with those that run, and acts
 * SPDX-License-Identifier: MIT
 * Starting goes spawner, workers, edges; ending goes the other way round, so that nobody loses the one it
 * needs. A kind waits for the one before it only at the first start. */
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
#define PAST_THE_BOUND_MS 5000 /* given to children beyond drain_timeout, to end by themselves */
#define SPAWNER_LAST_MS 2000		/* to end the commands it runs, when all ends at once */
#define LEAST_DRAIN_MS 2000		/* for who is told late */

const char *const child_kind_names[CHILD_KINDS] = { "spawner", "worker", "edge" };
const char *const child_state_names[] = { "gone", "starting", "ready", "draining" };

static void arm(struct event *event, int64_t ms)
{
	struct timeval timeout = { ms / 1000, ms % 1000 * 1000 };

	event_add(event, &timeout);
}

static void set_state(struct slot *slot, enum child_state state)
{
	slot->state = state;
	slot->since_ms = clock_wall_ms();
}

size_t supervise_count(const struct master *master, enum child_state state)
{
	size_t count = 0;

	for (size_t i = 0; i < master->generation.slot_count; i++)
		count += master->generation.slots[i].state == state;
	return count;
}

#define SLOT_FIELDS(slot) \
	LOG_TEXT("child", child_kind_names[(slot)->kind]), LOG_TEXT("queue", (slot)->queue), \
		LOG_INT("instance", (slot)->instance), LOG_INT("child_pid", (slot)->pid)

static void end_now(struct slot *slot, const char *because)
{
	log_warn("master", "killed child", SLOT_FIELDS(slot), LOG_TEXT("because", because));
	slot->ended_at_once = true;
	if (slot->master->phase >= MASTER_STOPPING)
		slot->master->failed = true;
	kill(slot->pid, SIGKILL);
}

/* ---- what children say */

/* It waits for the answer to a final dot. */
static void extend(struct slot *slot, int64_t ms)
{
	if (ms <= 0 || ms > CHILD_EXTEND_MAX_MS)
		return;
	slot->extended_ms = clock_boot_ms() + ms + PAST_THE_BOUND_MS;
	log_info("master", "child has more time", SLOT_FIELDS(slot), LOG_INT("ms", ms));
}

static void on_message(void *arg, enum control_type type, json_t *body, int fd)
{
	struct slot *slot = arg;

	if (fd >= 0)
		close(fd);
	if (type == CONTROL_HELLO) {
		event_del(slot->timer);
		if (json_integer_value(json_object_get(body, "version")) != CONTROL_VERSION)
			end_now(slot, "it speaks another version of the control protocol");
	} else if (type == CONTROL_READY && slot->state == CHILD_STARTING) {
		slot->tried = true;
		set_state(slot, CHILD_READY);
		log_info("master", "child is ready", SLOT_FIELDS(slot),
			LOG_INT("after_ms", clock_boot_ms() - slot->started_ms));
		supervise(slot->master);
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

struct control *supervise_connect(struct slot *slot, int fd)
{
	return control_new(slot->master->base, fd, on_message, on_closed, slot);
}

/* ---- starting */

static void start_later(struct slot *slot, int64_t ran_ms)
{
	arm(slot->timer, restart_delay_ms(&slot->restart, ran_ms));
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
		log_error("master", "could not start child", SLOT_FIELDS(slot),
			LOG_TEXT("error", why), LOG_INT("again_ms", slot->restart.last_ms));
		return;
	}
	set_state(slot, CHILD_STARTING);
	log_info("master", "started child", SLOT_FIELDS(slot));
	arm(slot->timer, HELLO_TIMEOUT_MS);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct slot *slot = arg;

	(void)fd, (void)what;
	if (slot->state == CHILD_STARTING)
		end_now(slot, "it did not say hello");
	supervise(slot->master);
}

static void prepare_timer(struct slot *slot)
{
	if (slot->timer)
		return;
	slot->timer = evtimer_new(slot->master->base, on_timer, slot);
	if (!slot->timer)
		BUG("no timer event");
}

/* ---- draining */

static void drain(struct slot *slot)
{
	const struct process_options *process =
		&slot->master->generation.plans[PROGRAM_MASTER].process;
	int64_t left = slot->master->stop_ms + process->drain_timeout_ms - clock_boot_ms();

	if (left < LEAST_DRAIN_MS && left < process->drain_timeout_ms)
		left = process->drain_timeout_ms < LEAST_DRAIN_MS ? process->drain_timeout_ms
								  : LEAST_DRAIN_MS;
	event_del(slot->timer);
	set_state(slot, CHILD_DRAINING);
	if (slot->control)
		control_send(slot->control, CONTROL_DRAIN,
			json_pack("{s:I}", "timeout_ms", (json_int_t)left), -1);
	else
		kill(slot->pid, SIGTERM);
}

/* True when none of the kind is left. */
static bool drain_kind(struct master *master, enum child_kind kind)
{
	bool none = true;

	for (size_t i = 0; i < master->generation.slot_count; i++) {
		struct slot *slot = &master->generation.slots[i];

		if (slot->kind != kind)
			continue;
		if (slot->state != CHILD_GONE)
			none = false;
		else if (slot->timer)
			event_del(slot->timer);
		if (slot->state == CHILD_STARTING || slot->state == CHILD_READY)
			drain(slot);
	}
	return none;
}

/* Who is still at work at the bound does not keep the others from being told. */
static void drain_all(struct master *master)
{
	for (int kind = CHILD_KINDS - 1; kind >= 0; kind--)
		if (!drain_kind(master, (enum child_kind)kind) && !master->late)
			return;
	if (supervise_count(master, CHILD_GONE) == master->generation.slot_count)
		event_base_loopbreak(master->base);
}

/* ---- the one decision */

/* True when each of the kind has been ready, or has died, once. */
static bool start_kind(struct master *master, enum child_kind kind)
{
	bool tried = true;

	for (size_t i = 0; i < master->generation.slot_count; i++) {
		struct slot *slot = &master->generation.slots[i];

		if (slot->kind != kind)
			continue;
		prepare_timer(slot);
		if (slot->state == CHILD_GONE && !event_pending(slot->timer, EV_TIMEOUT, NULL))
			start(slot);
		tried = tried && slot->tried;
	}
	return tried;
}

static void say_status(struct master *master)
{
	size_t ready = supervise_count(master, CHILD_READY), all = master->generation.slot_count;

	if (master->phase >= MASTER_STOPPING)
		notify_send("STATUS=stopping: %zu of %zu processes left",
			all - supervise_count(master, CHILD_GONE), all);
	else if (master->phase == MASTER_RUNNING && ready == all)
		notify_send("STATUS=running: %zu processes", all);
	else
		notify_send("STATUS=%s: %zu of %zu processes ready",
			master->phase == MASTER_STARTING ? "starting" : "running", ready, all);
}

void supervise(struct master *master)
{
	if (master->phase >= MASTER_STOPPING) {
		drain_all(master);
	} else {
		for (int kind = 0; kind < CHILD_KINDS; kind++)
			if (!start_kind(master, (enum child_kind)kind))
				break;
		if (master->phase == MASTER_STARTING &&
		    supervise_count(master, CHILD_READY) == master->generation.slot_count)
			master_is_ready(master);
	}
	say_status(master);
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

static void ended(struct slot *slot, int status)
{
	/* One that drained by a signal of its own, as a process group gets it, has done what was wanted. */
	bool expected = status == 0;
	char *why = cause(status);

	slot->tried = true;
	event_del(slot->timer);
	if (slot->master->phase < MASTER_STOPPING) {
		start_later(slot, clock_boot_ms() - slot->started_ms);
		log_error("master", "child ended", SLOT_FIELDS(slot), LOG_TEXT("cause", why),
			LOG_INT("again_ms", slot->restart.last_ms));
	} else if (expected || slot->ended_at_once) {
		log_info("master", "child ended", SLOT_FIELDS(slot), LOG_TEXT("cause", why));
	} else {
		log_warn("master", "child ended", SLOT_FIELDS(slot), LOG_TEXT("cause", why));
	}
	free(why);
	slot->pid = 0;
	set_state(slot, CHILD_GONE);
	if (slot->control)
		on_closed(slot);
	counters_retire(slot->master->counters, slot->row);
}

void supervise_reap(struct master *master)
{
	int status;
	pid_t pid;

	/* Of all, not only ours: as process 1 of a container we inherit orphans. */
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < master->generation.slot_count; i++)
			if (master->generation.slots[i].pid == pid)
				ended(&master->generation.slots[i], status);
	supervise(master);
}

static void end_all_now(struct master *master, const char *because)
{
	struct slot *spawner = NULL;

	master->phase = MASTER_ENDING;
	for (size_t i = 0; i < master->generation.slot_count; i++) {
		struct slot *slot = &master->generation.slots[i];

		if (slot->pid && slot->kind == CHILD_SPAWNER && slot->control &&
			!slot->ended_at_once)
			spawner = slot;
		else if (slot->pid && !slot->ended_at_once)
			end_now(slot, because);
	}
	if (!spawner)
		return;
	/* It alone knows the commands that run, and ends them. */
	spawner->ended_at_once = true;
	set_state(spawner, CHILD_DRAINING);
	control_send(spawner->control, CONTROL_DRAIN, json_pack("{s:i}", "timeout_ms", 0), -1);
	arm(master->bound, SPAWNER_LAST_MS);
}

/* True: children have more time, as they asked for, and the bound is set anew. The others are ended, but for the spawner,
 * which may run what such a worker waits for. */
static bool extends(struct master *master)
{
	int64_t now_ms = clock_boot_ms(), until_ms = 0;

	for (size_t i = 0; i < master->generation.slot_count; i++)
		if (master->generation.slots[i].pid && master->generation.slots[i].extended_ms > until_ms)
			until_ms = master->generation.slots[i].extended_ms;
	if (until_ms <= now_ms)
		return false;
	for (size_t i = 0; i < master->generation.slot_count; i++) {
		struct slot *slot = &master->generation.slots[i];

		if (slot->pid && slot->extended_ms <= now_ms && slot->kind != CHILD_SPAWNER && !slot->ended_at_once)
			end_now(slot, "drain_timeout is over");
	}
	log_info("master", "waits for answers", LOG_INT("ms", until_ms - now_ms));
	arm(master->bound, until_ms - now_ms);
	return true;
}

/* The time is over: of draining, of what is given beyond it, or of the spawner's last act. */
void supervise_bound(struct master *master)
{
	if (master->phase == MASTER_STOPPING && !master->late) {
		master->late = true;
		arm(master->bound, PAST_THE_BOUND_MS);
		supervise(master);
		return;
	}
	if (master->phase == MASTER_STOPPING) {
		if (!extends(master))
			end_all_now(master, "drain_timeout is over");
		return;
	}
	for (size_t i = 0; i < master->generation.slot_count; i++)
		if (master->generation.slots[i].pid)
			end_now(&master->generation.slots[i], "it did not end");
}

void supervise_stop(struct master *master)
{
	int64_t drain_ms = master->generation.plans[PROGRAM_MASTER].process.drain_timeout_ms;

	if (master->phase >= MASTER_STOPPING) {
		if (master->phase == MASTER_STOPPING)
			end_all_now(master, "a second signal came");
		return;
	}
	master->phase = MASTER_STOPPING;
	master->stop_ms = clock_boot_ms();
	arm(master->bound, drain_ms);
	supervise(master);
}
