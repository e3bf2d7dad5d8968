/* supervise.c - compares the children that are wanted with those that run, and acts
 * SPDX-License-Identifier: MIT
 * Starting goes spawner, workers, edges; a kind waits for the one before it only at the first start. */
#include <event2/event.h>
#include <sys/wait.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "master/reload.h"

struct generations master_generations(const struct master *master)
{
	struct generation *const all[GENERATIONS_MAX] = { master->current, master->next, master->old };
	struct generations found = { { NULL } };
	size_t count = 0;

	for (size_t i = 0; i < GENERATIONS_MAX; i++)
		if (all[i])
			found.items[count++] = all[i];
	return found;
}

/* ---- one generation */

/* True when each of the kind has been ready, or has died, once. */
static bool start_kind(struct generation *generation, enum child_kind kind)
{
	bool tried = true;

	for (size_t i = 0; i < generation->slot_count; i++) {
		struct slot *slot = &generation->slots[i];

		if (slot->kind != kind)
			continue;
		slot_keep_running(slot);
		tried = tried && slot->tried;
	}
	return tried;
}

static void go_on(struct generation *generation)
{
	if (generation->phase == GENERATION_DRAINING) {
		drain_go_on(generation);
		return;
	}
	for (int kind = 0; kind < CHILD_KINDS; kind++)
		if (!start_kind(generation, (enum child_kind)kind))
			break;
	adopt(generation);
}

static bool is_gone(const struct generation *generation)
{
	return generation_count(generation, CHILD_GONE) == generation->slot_count;
}

static bool is_ready(const struct generation *generation)
{
	return generation_count(generation, CHILD_READY) == generation->slot_count;
}

/* ---- all of them */

static bool all_gone(const struct master *master)
{
	struct generations all = master_generations(master);

	for (size_t i = 0; all.items[i]; i++)
		if (!is_gone(all.items[i]))
			return false;
	return true;
}

/* What has become of them since. */
static void settle(struct master *master)
{
	if (master->phase == MASTER_STARTING && is_ready(master->current)) {
		master->current->phase = GENERATION_SERVING;
		master_is_ready(master);
	}
	reload_go_on(master);
	if (master->old && is_gone(master->old)) {
		log_info("master", "generation ended", LOG_INT("generation", master->old->number));
		generation_free(master->old, master->current);
		master->old = NULL;
	}
}

static void say_status(struct master *master)
{
	struct generations generations = master_generations(master);
	const char *failure = reload_failure(master);
	size_t ready = generation_count(master->current, CHILD_READY), all = master->current->slot_count, left = 0;

	for (size_t i = 0; generations.items[i]; i++)
		left += generations.items[i]->slot_count - generation_count(generations.items[i], CHILD_GONE);
	if (master->phase >= MASTER_STOPPING)
		notify_send("STATUS=stopping: %zu of %zu processes left", left, all > left ? all : left);
	else if (master->phase == MASTER_RUNNING && ready == all && !master->old && !failure)
		notify_send("STATUS=running: %zu processes", all);
	else
		notify_send("STATUS=%s: %zu of %zu processes ready%s%s%s",
			master->phase == MASTER_STARTING ? "starting" : "running", ready, all,
			master->old ? ", an earlier generation ends" : "", failure ? "; reload refused: " : "",
			failure ? failure : "");
}

void supervise(struct master *master)
{
	struct generations all;

	if (master->phase < MASTER_STOPPING)
		settle(master);
	all = master_generations(master);
	for (size_t i = 0; all.items[i]; i++)
		go_on(all.items[i]);
	if (master->phase >= MASTER_STOPPING && all_gone(master))
		event_base_loopbreak(master->base);
	reload_begin(master);
	say_status(master);
}

/* ---- ends */

static struct slot *slot_of(const struct master *master, pid_t pid)
{
	struct generations all = master_generations(master);

	for (size_t i = 0; all.items[i]; i++) {
		struct generation *generation = all.items[i];

		for (size_t j = 0; j < generation->slot_count; j++)
			if (generation->slots[j].pid == pid)
				return &generation->slots[j];
	}
	return NULL;
}

void supervise_reap(struct master *master)
{
	int status;
	pid_t pid;

	/* Of all, not only ours: as process 1 of a container we inherit orphans. */
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct slot *slot = slot_of(master, pid);

		reload_reaped(master, pid);
		if (slot)
			slot_ended(slot, status);
	}
	supervise(master);
}

void supervise_stop(struct master *master)
{
	struct generations all = master_generations(master);
	int64_t drain_ms = master->current->plans[PROGRAM_MASTER].process.drain_timeout_ms;

	if (master->phase == MASTER_ENDING)
		return;
	if (master->phase == MASTER_STOPPING) {
		master->phase = MASTER_ENDING;
		for (size_t i = 0; all.items[i]; i++)
			drain_end_now(all.items[i], "a second signal came");
		return;
	}
	master->phase = MASTER_STOPPING;
	master->stop_ms = clock_boot_ms();
	reload_stop(master);
	for (size_t i = 0; all.items[i]; i++)
		drain_begin(all.items[i], drain_ms, NULL);
	supervise(master);
}
