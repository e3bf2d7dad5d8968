/* worker_run.c - slimta-worker: the process that serves one queue
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/net/child.h"
#include "common/queue/queue.h"
#include "worker/arguments.h"
#include "worker/claims.h"
#include "worker/deaths.h"
#include "worker/keeper.h"

struct worker {
	struct child *child;
	struct queue *queue;
	struct queue *bounce_queue;	/* the same, where the section names no other */
	struct relay *relay;
	struct now *now;		/* NULL: it could not be made */
	struct deaths *deaths;		/* NULL until the queue is open */
	struct suspended *suspended;	/* NULL until what dead workers held was seen to ... */
	struct claims *claims;		/* ... likewise */
	struct event *bound;		/* of the drain */
	struct keeper keeper;
	char *spawner_path;
	bool draining, claims_ended, handed_over;
	int code;
};

/* ---- what is read from the configuration */

static int print_errors(struct config_errors *errors)
{
	struct buffer text = { 0 };
	int result = errors->error_count ? -1 : 0;

	config_errors_print(errors, &text);
	fputs(buffer_str(&text), stderr);
	buffer_release(&text);
	config_errors_release(errors);
	return result;
}

static void say_no_queue(const struct child *child, struct config_errors *errors)
{
	const struct config_node *root = config_root(child->config), *queues = config_get(root, "queue");
	size_t count = queues && queues->kind == CONFIG_MAP ? queues->count : 0;
	const char **names = xcalloc(count + 1, sizeof(*names)), *near;

	for (size_t i = 0; i < count; i++)
		names[i] = queues->items[i]->key;
	near = nearest_name(child->queue, names, count);
	config_error_at(errors, root, near ? "no queue is named \"%s\" (did you mean \"%s\"?)" : "no queue is named \"%s\"",
		child->queue, near);
	free(names);
}

static const char *relay_name(const struct child *child, struct config_errors *errors)
{
	const struct config_node *queue = config_section(child->config, "queue", child->queue);
	const struct config_node *relay = config_get(queue, "relay");

	if (!queue)
		say_no_queue(child, errors);
	else if (!relay || relay->kind != CONFIG_SCALAR)
		config_error_at(errors, queue, "expected a `relay`, without which no worker can serve it");
	else
		return relay->text;
	return NULL;
}

/* Before privileges are dropped: users of commands are checked as the one who may become them. */
static int load_relay(struct worker *worker, bool allow_root)
{
	struct child *child = worker->child;
	struct relay_setting setting = { child->config, &child->process, allow_root || !child->alone };
	struct config_errors errors = { 0 };
	const char *name = relay_name(child, &errors);

	if (name)
		worker->relay = relay_load(&setting, name, &errors);
	return print_errors(&errors);
}

static struct queue *load_one(struct worker *worker, const char *name, enum storage_role role)
{
	struct child *child = worker->child;
	struct storage_context context = { child->base, child->disk, &child->process, name, role };
	struct config_errors errors = { 0 };
	struct queue *queue;

	context.supervised = !child->alone;
	queue = queue_load(child->config, name, &context, &errors);
	if (child->alone && role == STORAGE_FOR_WORKER)
		queue_warn(child->config, name, &errors);
	return print_errors(&errors) == 0 ? queue : NULL;
}

/* Notifications enter their queue as mail does by an edge. One storage is not opened twice. */
static int load_queues(struct worker *worker)
{
	const char *name;

	worker->queue = load_one(worker, worker->child->queue, STORAGE_FOR_WORKER);
	if (!worker->queue)
		return -1;
	name = queue_options(worker->queue)->bounce_queue;
	if (!name || strcmp(name, worker->child->queue) == 0)
		worker->bounce_queue = worker->queue;
	else
		worker->bounce_queue = load_one(worker, name, STORAGE_FOR_EDGE);
	return worker->bounce_queue ? 0 : -1;
}

/* ---- the spawner of its commands */

static int prepare_spawner(struct worker *worker, bool allow_root)
{
	struct child *child = worker->child;

	if (!relay_command(worker->relay))
		return 0;
	if (!child->alone) {
		worker->spawner_path = xasprintf("%s/spawner-%u", child->process.runtime_dir, child->generation);
		return 0;
	}
	if (keeper_start(&worker->keeper, child, allow_root) < 0)
		return -1;
	worker->spawner_path = xstrdup(worker->keeper.socket_path);
	return 0;
}

/* ---- running */

static void finish_if_drained(struct worker *worker)
{
	if (worker->claims_ended && worker->handed_over)
		child_finished(worker->child);
}

static void on_ended(void *arg)
{
	struct worker *worker = arg;

	worker->claims_ended = true;
	finish_if_drained(worker);
}

static void on_handed_over(void *arg, const struct reply *why)
{
	struct worker *worker = arg;

	(void)why;
	worker->handed_over = true;
	finish_if_drained(worker);
}

/* What is past the dot gets its answer, whatever the bound. */
static void on_bound(evutil_socket_t fd, short what, void *arg)
{
	struct worker *worker = arg;

	(void)fd;
	(void)what;
	if (worker->relay->answer_ms && claims_past_the_dot(worker->claims))
		child_extend(worker->child, worker->relay->answer_ms);
}

static void set_bound(struct worker *worker, int64_t ms)
{
	event_add(worker->bound, &(struct timeval){ ms / 1000, ms % 1000 * 1000 });
}

static void hurry(void *arg, int64_t timeout_ms)
{
	struct worker *worker = arg;

	if (!worker->claims)
		return;
	set_bound(worker, timeout_ms);
	relay_drain(worker->relay, timeout_ms);
}

static void drain(void *arg, const struct child_drain *how)
{
	struct worker *worker = arg;

	worker->draining = true;
	deaths_stop(worker->deaths);
	if (!worker->claims) {
		child_finished(worker->child);
		return;
	}
	set_bound(worker, how->timeout_ms);
	claims_drain(worker->claims, how->timeout_ms, on_ended, worker);
	worker->handed_over = !queue_drain(worker->queue, how->successor, on_handed_over, worker);
}

static void stats(void *arg, json_t *into)
{
	const struct worker *worker = arg;

	json_object_set_new(into, "queue", json_string(queue_name(worker->queue)));
	json_object_set_new(into, "relay", json_string(worker->relay->name));
	json_object_set_new(into, "under_way",
		json_integer(worker->claims ? (json_int_t)claims_under_way(worker->claims) : 0));
}

static void open_now(struct worker *worker)
{
	const struct process_options *process = &worker->child->process;
	struct now_keeper keeper = { worker->child->program, process->hostname };

	worker->now = now_open(process->runtime_dir, worker->child->queue, &keeper, worker->relay->capacity);
	if (!worker->now)
		log_warn("worker", "could not keep a file of what it holds", LOG_TEXT("queue", worker->child->queue),
			LOG_TEXT("runtime_dir", process->runtime_dir), LOG_TEXT("error", strerror(errno)));
}

static void on_deaths_seen(void *arg)
{
	struct worker *worker = arg;
	struct child *child = worker->child;
	struct delivery_context context = { .base = child->base, .queue = worker->queue, .relay = worker->relay,
		.counters = child->counters, .now = worker->now, .disk = child->disk,
		.bounce_queue = worker->bounce_queue, .hostname = child->process.fqdn };

	worker->suspended = context.suspended = suspended_new(child->base, worker->queue);
	worker->claims = claims_new(&context);
	child_ready(child);
}

static void log_unopened(const char *event, const struct queue *queue, const struct reply *why)
{
	struct buffer text = { 0 };

	reply_append(why, &text);
	log_error("worker", event, LOG_TEXT("queue", queue_name(queue)), LOG_TEXT("reply", buffer_str(&text)));
	buffer_release(&text);
}

/* Until it can be opened, what is owed waits with its messages; other mail is delivered. */
static void on_bounce_queue_open(void *arg, const struct reply *why)
{
	const struct worker *worker = arg;

	if (why)
		log_unopened("could not open the queue of its bounces", worker->bounce_queue, why);
}

static void on_queue_open(void *arg, const struct reply *why)
{
	struct worker *worker = arg;
	struct child *child = worker->child;
	struct deaths_context context = { child->base, worker->queue, child->process.runtime_dir, worker->relay->name };

	if (worker->draining)
		return;
	if (why)
		log_unopened("could not open its queue", worker->queue, why);
	if (why && reply_is_permanent(why)) {
		worker->code = 1;
		child_finished(child);
		return;
	}
	/* A storage that is only away is tried again by its driver. */
	worker->deaths = deaths_new(&context, on_deaths_seen, worker);
	open_now(worker);
}

static int serve(struct worker *worker, bool allow_root)
{
	struct child *child = worker->child;
	struct relay_context context = { child->base, &child->process, NULL };
	int code;

	if (!child->queue) {
		log_error("worker", "was given no queue");
		return 1;
	}
	if (load_relay(worker, allow_root) < 0 || prepare_spawner(worker, allow_root) < 0
		|| child_begin(child) < 0 || load_queues(worker) < 0)
		return 1;
	context.spawner_path = worker->spawner_path;
	context.disk = child->disk;
	if (relay_open(worker->relay, &context) < 0)
		return 1;
	worker->bound = evtimer_new(child->base, on_bound, worker);
	if (!worker->bound)
		BUG("no timer event");
	child->drain = drain;
	child->hurry = hurry;
	child->stats = stats;
	child->arg = worker;
	if (worker->bounce_queue != worker->queue)
		queue_open(worker->bounce_queue, on_bounce_queue_open, worker);
	queue_open(worker->queue, on_queue_open, worker);
	code = child_run(child);
	return code ? code : worker->code;
}

int worker_run(const struct child_arguments *arguments)
{
	struct worker worker = { .keeper = { NULL, -1 } };
	int code;

	worker.child = child_open("slimta-worker", arguments);
	if (!worker.child)
		return 1;
	code = serve(&worker, arguments->allow_root);
	/* What the queues still answer belongs to deliveries, what the relay ends to their messages, and they name
	 * their relay. */
	deaths_stop(worker.deaths);
	claims_stop(worker.claims);
	suspended_stop(worker.suspended);
	if (worker.bounce_queue != worker.queue)
		queue_free(worker.bounce_queue);
	queue_free(worker.queue);
	deaths_free(worker.deaths);
	relay_close(worker.relay);
	claims_free(worker.claims);
	suspended_free(worker.suspended);
	now_close(worker.now);
	if (worker.bound)
		event_free(worker.bound);
	relay_free(worker.relay);
	keeper_end(&worker.keeper);
	free(worker.spawner_path);
	child_free(worker.child);
	return code;
}
