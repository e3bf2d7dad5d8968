/* drain.c - the end of a generation's children: edges first, then workers, then the spawner
 * SPDX-License-Identifier: MIT
 * The other way round than they were started, so that nobody loses the one it needs. */
#include <event2/event.h>
#include <signal.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "master/master.h"

#define PAST_THE_BOUND_MS SLOT_EXTENSION_MS	/* given to children beyond the time-out, to end by themselves */
#define SPAWNER_LAST_MS 2000		/* to end the commands it runs, when all ends at once */
#define LEAST_DRAIN_MS 2000		/* for who is told late */

static void arm(struct generation *generation, int64_t ms)
{
	struct timeval timeout = { ms / 1000, ms % 1000 * 1000 };

	event_add(generation->bound, &timeout);
}

/* ---- telling them */

static int64_t time_left(const struct generation *generation)
{
	int64_t left = generation->drained_ms - clock_boot_ms();
	int64_t least = generation->drain_timeout_ms < LEAST_DRAIN_MS ? generation->drain_timeout_ms : LEAST_DRAIN_MS;

	return left < least ? least : left;
}

static void tell(struct slot *slot)
{
	struct generation *generation = slot->generation;
	json_t *body;

	if (!slot->control) {
		kill(slot->pid, SIGTERM);
		return;
	}
	body = json_pack("{s:I, s:b}", "timeout_ms", (json_int_t)time_left(generation), "successor",
		generation->successor);
	if (slot->kind == CHILD_EDGE && generation->closing)
		json_object_set(body, "closing", generation->closing);
	control_send(slot->control, CONTROL_DRAIN, body, -1);
}

/* True when none of the kind is left. */
static bool drain_kind(struct generation *generation, enum child_kind kind)
{
	bool none = true;

	for (size_t i = 0; i < generation->slot_count; i++) {
		struct slot *slot = &generation->slots[i];

		if (slot->kind != kind)
			continue;
		if (slot->timer)
			event_del(slot->timer);
		if (slot->state != CHILD_GONE)
			none = false;
		if (slot->state == CHILD_STARTING || slot->state == CHILD_READY) {
			slot_set_state(slot, CHILD_DRAINING);
			tell(slot);
		}
	}
	return none;
}

/* Who is still at work at the bound does not keep the others from being told. */
void drain_go_on(struct generation *generation)
{
	for (int kind = CHILD_KINDS - 1; kind >= 0; kind--)
		if (!drain_kind(generation, (enum child_kind)kind) && !generation->late)
			return;
}

/* ---- the bound */

/* True: children have more time, as they asked for, and the bound is set anew. The others are ended, but for the spawner,
 * which may run what such a worker waits for. */
static bool extends(struct generation *generation, const char *because)
{
	int64_t now_ms = clock_boot_ms(), until_ms = 0;

	for (size_t i = 0; i < generation->slot_count; i++)
		if (generation->slots[i].pid && generation->slots[i].extended_ms > until_ms)
			until_ms = generation->slots[i].extended_ms;
	if (until_ms <= now_ms)
		return false;
	for (size_t i = 0; i < generation->slot_count; i++) {
		struct slot *slot = &generation->slots[i];

		if (slot->pid && slot->extended_ms <= now_ms && slot->kind != CHILD_SPAWNER && !slot->ended_at_once)
			slot_kill(slot, because);
	}
	log_info("master", "waits for answers", LOG_INT("ms", until_ms - now_ms));
	arm(generation, until_ms - now_ms);
	return true;
}

static void kill_the_rest(struct generation *generation)
{
	for (size_t i = 0; i < generation->slot_count; i++)
		if (generation->slots[i].pid)
			slot_kill(&generation->slots[i], "it did not end");
}

/* The time is over: of draining, of what is given beyond it, or of the spawner's last act. */
static void on_bound(evutil_socket_t fd, short what, void *arg)
{
	struct generation *generation = arg;
	const char *because = generation->master->phase >= MASTER_STOPPING ? "drain_timeout is over" :
									     "reload_timeout is over";

	(void)fd, (void)what;
	if (generation->ending) {
		kill_the_rest(generation);
	} else if (!generation->late) {
		generation->late = true;
		arm(generation, PAST_THE_BOUND_MS);
		supervise(generation->master);
	} else if (!extends(generation, because)) {
		drain_end_now(generation, because);
	}
}

static void prepare_bound(struct generation *generation)
{
	if (!generation->bound)
		generation->bound = evtimer_new(generation->master->base, on_bound, generation);
	if (!generation->bound)
		BUG("no timer event");
}

/* ---- beginning, and ending at once */

/* They were told of another bound. */
static void tell_again(struct generation *generation)
{
	for (size_t i = 0; i < generation->slot_count; i++)
		if (generation->slots[i].state == CHILD_DRAINING && generation->slots[i].control)
			tell(&generation->slots[i]);
}

void drain_begin(struct generation *generation, int64_t timeout_ms, const struct generation *successor)
{
	int64_t drained_ms = clock_boot_ms() + timeout_ms;
	bool again = generation->phase == GENERATION_DRAINING;

	if (again && (generation->late || drained_ms >= generation->drained_ms))
		return;
	prepare_bound(generation);
	generation->phase = GENERATION_DRAINING;
	generation->drained_ms = drained_ms;
	generation->drain_timeout_ms = timeout_ms;
	arm(generation, timeout_ms);
	if (again) {
		tell_again(generation);
		return;
	}
	generation->successor = successor != NULL;
	if (successor)
		generation->closing = sockets_not_in(&generation->sockets, &successor->sockets);
	/* The edges have theirs, refuse what still comes to those that close, and are then the last to close them. */
	sockets_release(&generation->sockets, successor ? &successor->sockets : NULL);
}

void drain_end_now(struct generation *generation, const char *because)
{
	struct slot *spawner = NULL;

	generation->ending = true;
	for (size_t i = 0; i < generation->slot_count; i++) {
		struct slot *slot = &generation->slots[i];

		if (slot->pid && slot->kind == CHILD_SPAWNER && slot->control &&
			!slot->ended_at_once)
			spawner = slot;
		else if (slot->pid && !slot->ended_at_once)
			slot_kill(slot, because);
	}
	if (!spawner)
		return;
	/* It alone knows the commands that run, and ends them. */
	spawner->ended_at_once = true;
	slot_set_state(spawner, CHILD_DRAINING);
	control_send(spawner->control, CONTROL_DRAIN, json_pack("{s:i}", "timeout_ms", 0), -1);
	arm(generation, SPAWNER_LAST_MS);
}
