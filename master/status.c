/* status.c - answers who asks how we are, on runtime_dir/master
 * SPDX-License-Identifier: MIT
 * A line of JSON asks. {"op":"status"} is answered by a line for each process and one with the counters;
 * {"op":"reload"} by its outcome, when there is one: `refused`, a list of errors, or `generation`, `ms` and `warnings`;
 * anything else by one with `error`; then the connection ends. Children are asked once for all who wait. */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/net/unix_socket.h"
#include "config.h"
#include "master/reload.h"

#define CLIENTS_MAX 32
#define LINE_MAX_BYTES 4096
#define CLIENT_TIMEOUT_S 5
#define ANSWER_TIMEOUT_MS 1000

struct asker {
	TAILQ_ENTRY(asker) entry;
	struct status *status;
	struct bufferevent *connection;
	bool waiting;			/* for the children's answers */
	unsigned reload;		/* the number of the one it waits for; 0: none */
	bool answered;			/* ends when all is written */
};

struct status {
	struct master *master;
	char *path;
	int fd;
	int64_t since_ms;
	struct event *readable, *timeout;
	TAILQ_HEAD(, asker) askers;
	unsigned count;
};

static void asker_free(struct asker *asker)
{
	TAILQ_REMOVE(&asker->status->askers, asker, entry);
	asker->status->count--;
	bufferevent_free(asker->connection);
	free(asker);
}

/* ---- the answer */

static void put_line(struct asker *asker, json_t *line_taken)
{
	char *text = json_dumps(line_taken, JSON_COMPACT);

	evbuffer_add_printf(bufferevent_get_output(asker->connection), "%s\n", text ? text : "{}");
	free(text);
	json_decref(line_taken);
}

static json_t *describe_process(const char *name, pid_t pid, const char *state, int64_t since_ms)
{
	char since[CLOCK_ISO8601_SIZE];

	return json_pack("{s:s, s:i, s:s, s:s}", "process", name, "pid", (int)pid, "state", state,
		"since", clock_iso8601(since, since_ms));
}

static json_t *describe_slot(const struct slot *slot)
{
	static const char *const phases[] = { "starting", "serving", "draining" };
	json_t *line = describe_process(child_kind_names[slot->kind], slot->pid,
		child_state_names[slot->state], slot->since_ms);

	json_object_set_new(line, "instance", json_integer(slot->instance));
	json_object_set_new(line, "restarts", json_integer(slot->restarts));
	json_object_set_new(line, "generation", json_integer(slot->generation->number));
	json_object_set_new(line, "generation_phase", json_string(phases[slot->generation->phase]));
	if (slot->queue)
		json_object_set_new(line, "queue", json_string(slot->queue));
	if (slot->stats && slot->state != CHILD_GONE)
		json_object_set(line, "stats", slot->stats);
	return line;
}

static json_t *describe_counters(const struct counters *counters)
{
	json_t *all = json_object();

	for (int i = 0; i < COUNTER_COUNT; i++)
		json_object_set_new(all, counter_name((enum counter)i),
			json_integer((json_int_t)counter_sum(counters, (enum counter)i)));
	return json_pack("{s:o}", "counters", all);
}

static void answer(struct asker *asker)
{
	static const char *const phases[] = { "starting", "ready", "draining", "draining" };
	struct status *status = asker->status;
	struct master *master = status->master;
	struct generations all = master_generations(master);
	json_t *line =
		describe_process("master", getpid(), phases[master->phase], status->since_ms);

	json_object_set_new(line, "version", json_string(VERSION));
	json_object_set_new(line, "generation", json_integer(master->current->number));
	put_line(asker, line);
	for (size_t i = 0; all.items[i]; i++)
		for (size_t j = 0; j < all.items[i]->slot_count; j++)
			put_line(asker, describe_slot(&all.items[i]->slots[j]));
	put_line(asker, describe_counters(master->counters));
	asker->waiting = false;
	asker->answered = true;
}

static void answer_all(struct status *status)
{
	struct generations all = master_generations(status->master);
	struct asker *asker;

	event_del(status->timeout);
	for (size_t i = 0; all.items[i]; i++)
		for (size_t j = 0; j < all.items[i]->slot_count; j++)
			all.items[i]->slots[j].asked = false;
	TAILQ_FOREACH(asker, &status->askers, entry)
		if (asker->waiting)
			answer(asker);
}

/* ---- asking the children */

static bool anybody_asked(const struct master *master)
{
	struct generations all = master_generations(master);

	for (size_t i = 0; all.items[i]; i++)
		for (size_t j = 0; j < all.items[i]->slot_count; j++)
			if (all.items[i]->slots[j].asked)
				return true;
	return false;
}

static void ask(struct generation *generation)
{
	for (size_t i = 0; i < generation->slot_count; i++) {
		struct slot *slot = &generation->slots[i];

		slot->asked = slot->control && slot->state != CHILD_STARTING;
		if (slot->asked)
			control_send(slot->control, CONTROL_STATS, NULL, -1);
	}
}

static void ask_children(struct status *status)
{
	struct generations all = master_generations(status->master);
	const struct timeval timeout = { ANSWER_TIMEOUT_MS / 1000,
		ANSWER_TIMEOUT_MS % 1000 * 1000 };

	if (anybody_asked(status->master))
		return;
	for (size_t i = 0; all.items[i]; i++)
		ask(all.items[i]);
	if (anybody_asked(status->master))
		event_add(status->timeout, &timeout);
	else
		answer_all(status);
}

void status_answer(struct slot *slot, json_t *stats)
{
	struct master *master = slot->generation->master;

	json_decref(slot->stats);
	slot->stats = stats ? json_incref(stats) : NULL;
	slot->asked = false;
	if (master->status && !anybody_asked(master))
		answer_all(master->status);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	answer_all(arg);
}

/* ---- connections */

static void refuse(struct asker *asker, const char *why)
{
	put_line(asker, json_pack("{s:s}", "error", why));
	asker->answered = true;
}

static unsigned count_waiting(const struct status *status)
{
	const struct asker *asker;
	unsigned count = 0;

	TAILQ_FOREACH(asker, &status->askers, entry)
		count += asker->reload && !asker->answered;
	return count;
}

/* However long it takes; the outcome may be there at once. */
static void wait_for_reload(struct asker *asker)
{
	struct master *master = asker->status->master;

	if (count_waiting(asker->status) >= CLIENTS_MAX / 2) {
		refuse(asker, "too many wait for a reload already");
		return;
	}
	bufferevent_set_timeouts(asker->connection, NULL, NULL);
	log_info("master", "asked to reload");
	outputs_reopen(master);
	asker->reload = reload_next(master);
	if (!reload_ask(master))
		refuse(asker, "the master stops");
}

void status_reloaded(struct master *master, unsigned number, json_t *outcome_taken)
{
	struct asker *asker;

	TAILQ_FOREACH(asker, &master->status->askers, entry) {
		if (asker->reload && asker->reload <= number && !asker->answered) {
			put_line(asker, json_incref(outcome_taken));
			asker->answered = true;
		}
	}
	json_decref(outcome_taken);
}

static void run_request(struct asker *asker, const char *line, size_t size)
{
	json_t *request = json_loadb(line, size, 0, NULL);
	const char *op = json_string_value(json_object_get(request, "op"));

	if (op && strcmp(op, "status") == 0) {
		asker->waiting = true;
		ask_children(asker->status);
	} else if (op && strcmp(op, "reload") == 0) {
		wait_for_reload(asker);
	} else {
		refuse(asker, "expected a line {\"op\":\"status\"} or {\"op\":\"reload\"}");
	}
	json_decref(request);
}

static void on_read(struct bufferevent *connection, void *arg)
{
	struct asker *asker = arg;
	struct evbuffer *input = bufferevent_get_input(connection);
	size_t size;
	char *line;

	if (asker->waiting || asker->reload || asker->answered) {
		evbuffer_drain(input, evbuffer_get_length(input));
		return;
	}
	line = evbuffer_readln(input, &size, EVBUFFER_EOL_LF);
	if (line)
		run_request(asker, line, size);
	else if (evbuffer_get_length(input) >= LINE_MAX_BYTES)
		refuse(asker, "the line is too long");
	free(line);
}

static void on_written(struct bufferevent *connection, void *arg)
{
	struct asker *asker = arg;

	(void)connection;
	if (asker->answered)
		asker_free(asker);
}

static void on_event(struct bufferevent *connection, short what, void *arg)
{
	struct asker *asker = arg;

	/* Who has asked may close its sending side and still read. */
	if ((what & BEV_EVENT_EOF) && (asker->waiting || asker->answered))
		bufferevent_disable(connection, EV_READ);
	else
		asker_free(asker);
}

static void on_accept(evutil_socket_t listener, short what, void *arg)
{
	const struct timeval patience = { CLIENT_TIMEOUT_S, 0 };
	struct status *status = arg;
	struct asker *asker;
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)what;
	if (fd < 0)
		return;
	if (status->count >= CLIENTS_MAX) {
		close(fd);
		return;
	}
	asker = xcalloc(1, sizeof *asker);
	asker->status = status;
	asker->connection = bufferevent_socket_new(status->master->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!asker->connection)
		BUG("no bufferevent");
	TAILQ_INSERT_TAIL(&status->askers, asker, entry);
	status->count++;
	bufferevent_setcb(asker->connection, on_read, on_written, on_event, asker);
	bufferevent_setwatermark(asker->connection, EV_READ, 0, LINE_MAX_BYTES);
	bufferevent_set_timeouts(asker->connection, &patience, &patience);
	bufferevent_enable(asker->connection, EV_READ | EV_WRITE);
}

/* ---- open and close */

int status_open(struct master *master)
{
	const struct program_plan *worker = &master->current->plans[PROGRAM_WORKER];
	struct status *status = xcalloc(1, sizeof *status);

	master->status = status;
	status->master = master;
	status->since_ms = clock_wall_ms();
	TAILQ_INIT(&status->askers);
	status->path = xasprintf("%s/master", master->current->plans[PROGRAM_MASTER].process.runtime_dir);
	status->fd = unix_socket_listen(status->path, SOCK_STREAM, CLIENTS_MAX, &worker->identity);
	if (status->fd < 0)
		return -1;
	status->readable =
		event_new(master->base, status->fd, EV_READ | EV_PERSIST, on_accept, status);
	status->timeout = evtimer_new(master->base, on_timeout, status);
	if (!status->readable || !status->timeout)
		BUG("no event");
	return event_add(status->readable, NULL);
}

void status_close(struct master *master)
{
	struct status *status = master->status;

	if (!status)
		return;
	master->status = NULL;
	while (!TAILQ_EMPTY(&status->askers))
		asker_free(TAILQ_FIRST(&status->askers));
	if (status->readable)
		event_free(status->readable);
	if (status->timeout)
		event_free(status->timeout);
	if (status->fd >= 0)
		unlink(status->path);
	fd_close(&status->fd);
	free(status->path);
	free(status);
}
