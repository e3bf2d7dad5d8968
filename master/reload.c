/* reload.c - SIGHUP: the configuration is read again, and a new generation takes over
 * SPDX-License-Identifier: MIT */
#include "master/reload.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"

#define READY_TIMEOUT_S 60	/* for all of a new generation */

struct reload {
	struct master *master;
	bool asked;			/* for another one */
	bool under_way;
	unsigned number;		/* of the one under way, else of the last */
	int64_t began_ms;		/* clock_boot_ms() */
	struct generation *next;	/* while it is checked; then it is the master's */
	struct check *check;
	char *warnings;
	char *failure;			/* of the last one */
	struct event *timeout;
};

/* ---- the outcome */

typedef void line_fn(void *arg, const char *line);

static void each_line(const char *text, line_fn *call, void *arg)
{
	while (*text) {
		size_t size = strcspn(text, "\n");
		char *line = xstrndup(text, size);

		if (*line)
			call(arg, line);
		free(line);
		text += size + (text[size] == '\n');
	}
}

static void log_warning_line(void *arg, const char *line)
{
	(void)arg;
	log_warn("master", "configuration warning", LOG_TEXT("warning", line));
}

/* As errors and warnings are printed, in the order of the file. */
static bool is_warning(const char *line)
{
	return strstr(line, ": warning: ");
}

/* `arg`: the first of what refused it. */
static void log_refused_line(void *arg, const char *line)
{
	char **first = arg;

	if (is_warning(line)) {
		log_warning_line(NULL, line);
		return;
	}
	log_error("master", "reload refused", LOG_TEXT("error", line));
	if (!*first)
		*first = xstrdup(line);
}

static void append_line(void *arg, const char *line)
{
	json_array_append_new(arg, json_string(line));
}

static json_t *lines_of(const char *text)
{
	json_t *lines = json_array();

	each_line(text, append_line, lines);
	return lines;
}

static void end(struct reload *reload, json_t *outcome_taken)
{
	reload->under_way = false;
	event_del(reload->timeout);
	xstrset(&reload->warnings, NULL);
	notify_send("READY=1");
	status_reloaded(reload->master, reload->number, outcome_taken);
}

static void refuse(struct reload *reload, const char *why)
{
	char *first = NULL;

	each_line(why, log_refused_line, &first);
	free(reload->failure);
	reload->failure = first ? first : xstrndup(why, strcspn(why, "\n"));
	end(reload, json_pack("{s:o}", "refused", lines_of(why)));
}

const char *reload_failure(const struct master *master)
{
	return master->reload->failure;
}

/* ---- one generation after the other */

/* It gets its own outputs and log too. */
static void use_outputs(const struct master *master)
{
	const struct process_options *own = &master->current->plans[PROGRAM_MASTER].process;

	outputs_use_own(master->current);
	if (process_open_log("slimta-master", own) < 0)
		log_error("master", "could not open its log", LOG_TEXT("output", own->logging.output),
			LOG_TEXT("error", strerror(errno)));
}

static void take_over(struct reload *reload)
{
	struct master *master = reload->master;
	int64_t took_ms = clock_boot_ms() - reload->began_ms;

	master->old = master->current;
	master->current = master->next;
	master->next = NULL;
	master->current->phase = GENERATION_SERVING;
	if (master->phase == MASTER_STARTING)
		master_is_ready(master);
	drain_begin(master->old, master->current->plans[PROGRAM_MASTER].process.reload_timeout_ms, master->current);
	use_outputs(master);
	each_line(reload->warnings, log_warning_line, NULL);
	log_info("master", "reloaded", LOG_INT("generation", master->current->number),
		LOG_INT("children", master->current->slot_count), LOG_INT("ms", took_ms));
	xstrset(&reload->failure, NULL);
	end(reload, json_pack("{s:i, s:I, s:o}", "generation", (int)master->current->number, "ms", (json_int_t)took_ms,
		"warnings", lines_of(reload->warnings)));
}

/* What it has begun goes on with the others, as the old generation's work does after a reload. */
static void give_up(struct reload *reload, const char *why)
{
	struct master *master = reload->master;

	master->old = master->next;
	master->next = NULL;
	drain_begin(master->old, master->current->plans[PROGRAM_MASTER].process.drain_timeout_ms, master->current);
	refuse(reload, why);
}

void reload_go_on(struct master *master)
{
	struct generation *next = master->next;
	char *why = NULL;

	if (!next)
		return;
	if (next->failure)
		give_up(master->reload, next->failure);
	else if (generation_count(next, CHILD_READY) < next->slot_count)
		return;
	else if (sockets_listen(&next->sockets, &why) < 0)
		give_up(master->reload, why);
	else
		take_over(master->reload);
	free(why);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct reload *reload = arg;
	struct generation *next = reload->master->next;

	(void)fd, (void)what;
	next->failure = xasprintf("%zu of %zu processes were ready after %d s", generation_count(next, CHILD_READY),
		next->slot_count, READY_TIMEOUT_S);
	supervise(reload->master);
}

/* ---- checking, starting */

static int prepare(struct generation *next, char **why)
{
	check_load_plans(next);
	next->number = ++next->master->last_number;
	if (outputs_open(next, why) < 0)
		return -1;
	return generation_prepare(next, next->master->current, why);
}

static void start(struct reload *reload, struct generation *next)
{
	const struct timeval timeout = { READY_TIMEOUT_S, 0 };

	reload->master->next = next;
	event_add(reload->timeout, &timeout);
	supervise(reload->master);
}

static void on_checked(struct generation *next, bool good, const char *said)
{
	struct master *master = next->master;
	struct reload *reload = master->reload;
	char *why = NULL;

	reload->check = NULL;
	reload->next = NULL;
	if (good && prepare(next, &why) == 0) {
		xstrset(&reload->warnings, said);
		start(reload, next);
		return;
	}
	generation_free(next, master->current);
	refuse(reload, why ? why : said);
	free(why);
	supervise(master);
}

static void say_reloading(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	notify_send("RELOADING=1\nMONOTONIC_USEC=%" PRId64, (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

static void begin(struct reload *reload)
{
	struct generation *next = generation_new(reload->master);
	char *why = NULL;

	reload->asked = false;
	reload->under_way = true;
	reload->number++;
	reload->began_ms = clock_boot_ms();
	log_info("master", "reload began");
	say_reloading();
	if (generation_open_programs(next, &why) == 0)
		reload->check = check_start(next, on_checked, &why);
	if (reload->check) {
		reload->next = next;
		return;
	}
	generation_free(next, reload->master->current);
	refuse(reload, why);
	free(why);
}

/* A start in which nothing has died is waited for; another one may be what a reload is to mend. */
static bool is_starting(const struct master *master)
{
	if (master->phase != MASTER_STARTING)
		return false;
	for (size_t i = 0; i < master->current->slot_count; i++)
		if (master->current->slots[i].restart.last_ms)
			return false;
	return true;
}

void reload_begin(struct master *master)
{
	struct reload *reload = master->reload;

	if (reload->asked && !reload->under_way && master->phase < MASTER_STOPPING && !is_starting(master) && !master->old)
		begin(reload);
}

unsigned reload_next(const struct master *master)
{
	return master->reload->number + 1;
}

bool reload_ask(struct master *master)
{
	struct reload *reload = master->reload;

	if (master->phase >= MASTER_STOPPING)
		return false;
	if (reload->under_way || master->old || is_starting(master))
		log_info("master", "reload waits", LOG_TEXT("for", reload->under_way ? "the reload under way" :
			master->old ? "the old generation to end" : "the start"));
	reload->asked = true;
	reload_begin(master);
	return true;
}

/* ---- open, stop, close */

static void cancel(struct reload *reload)
{
	if (reload->check)
		check_cancel(reload->check);
	reload->check = NULL;
	generation_free(reload->next, reload->master->current);
	reload->next = NULL;
}

void reload_stop(struct master *master)
{
	struct reload *reload = master->reload;
	unsigned last = reload->number + reload->asked;

	cancel(reload);
	if (reload->under_way || reload->asked)
		log_warn("master", "reload given up", LOG_TEXT("because", "the master stops"));
	reload->under_way = reload->asked = false;
	event_del(reload->timeout);
	status_reloaded(master, last, json_pack("{s:[s]}", "refused", "the master stops"));
}

void reload_reaped(struct master *master, pid_t pid)
{
	if (master->reload->check)
		check_reaped(master->reload->check, pid);
}

void reload_open(struct master *master)
{
	struct reload *reload = xcalloc(1, sizeof *reload);

	master->reload = reload;
	reload->master = master;
	reload->timeout = evtimer_new(master->base, on_timeout, reload);
	if (!reload->timeout)
		BUG("no timer event");
}

void reload_close(struct master *master)
{
	struct reload *reload = master->reload;

	if (!reload)
		return;
	cancel(reload);
	event_free(reload->timeout);
	free(reload->warnings);
	free(reload->failure);
	free(reload);
	master->reload = NULL;
}
