/* operator.c - the configuration, its queues, and waiting for them
 * SPDX-License-Identifier: MIT */
#include "queuectl/operator.h"

#include <event2/event.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/config/check.h"
#include "queuectl/suspend.h"

#define DISK_THREADS 2
#define LOG_WAIT_MS 5000
#define SAID_MAX 1000

struct opening {
	bool done;
	struct reply why;
};

/* --- saying what went wrong --- */

/* What cannot be done now outweighs what was not there to be done. */
void operator_worsen(struct operator *operator, enum exit_code code)
{
	static const int weight[] = {
		[EXIT_DONE] = 0, [EXIT_NOT_FOUND] = 1, [EXIT_BUSY] = 2, [EXIT_DECLINED] = 3, [EXIT_ERROR] = 4,
		[EXIT_USAGE] = 5
	};

	if (weight[code] > weight[operator->code])
		operator->code = code;
}

void operator_say(struct operator *operator, enum exit_code code, const char *format, ...)
{
	struct buffer text = { 0 }, shown = { 0 };
	va_list args;

	va_start(args, format);
	buffer_vappendf(&text, format, args);
	va_end(args);
	escaped(&shown, buffer_str(&text), text.size);
	fprintf(stderr, "slimta-queuectl: %s\n", buffer_str(&shown));
	buffer_release(&text);
	buffer_release(&shown);
	operator_worsen(operator, code);
}

void operator_fail(struct operator *operator, enum exit_code code, const char *what, const struct reply *why)
{
	struct buffer text = { 0 };

	reply_append(why, &text);
	operator_say(operator, code, "%s: %s", what, buffer_str(&text));
	buffer_release(&text);
}

static bool *broken_of(const struct operator *operator, const struct queue *queue)
{
	for (size_t i = 0; i < operator->queue_count; i++)
		if (operator->queues[i] == queue)
			return &operator->broken[i];
	BUG("a queue that is not open");
}

bool operator_may_ask(const struct operator *operator, const struct queue *queue)
{
	return !*broken_of(operator, queue);
}

/* 4.4.2: its connection broke, or half a minute went by without an answer. */
void operator_fail_queue(struct operator *operator, const struct queue *queue, const struct reply *why)
{
	struct buffer text = { 0 };

	if (why->code == 451 && why->subject == 4 && why->detail == 2)
		*broken_of(operator, queue) = true;

	buffer_appendf(&text, "%s: ", queue_name(queue));
	reply_append(why, &text);
	if (!strings_contain(&operator->said, buffer_str(&text))) {
		if (operator->said.count < SAID_MAX)
			strings_add(&operator->said, buffer_str(&text));
		operator_say(operator, EXIT_ERROR, "%s", buffer_str(&text));
	}
	buffer_release(&text);
}

void operator_say_absent(struct operator *operator, const char *id, const char *more)
{
	operator_say(operator, operator->partly ? EXIT_ERROR : EXIT_NOT_FOUND, "%s: not in %s%s", id,
		operator->partly ? "any queue that could be opened" :
		operator->queue_count == 1 ? "the queue" : "any queue", more);
}

static void print_errors(struct config_errors *errors)
{
	struct buffer text = { 0 };

	config_errors_print(errors, &text);
	fputs(buffer_str(&text), stderr);
	buffer_release(&text);
}

/* --- who acts, and as whom --- */

static void remember_user(struct operator *operator)
{
	const struct passwd *entry = getpwuid(getuid());
	const char *sudo = getenv("SUDO_USER");

	if (entry)
		buffer_append_str(&operator->user, entry->pw_name);
	else
		buffer_appendf(&operator->user, "%u", (unsigned)getuid());
	buffer_append_str(&operator->sudo_user, sudo ? sudo : "");
}

/* What root wrote into a queue, its workers could not read. */
static int become_worker(struct operator *operator)
{
	struct config_errors errors = { 0 };
	struct identity identity = { 0 };
	struct process_options worker;
	int result = 0;

	process_load(operator->config, "worker", &worker, &errors);
	if (geteuid() == 0 && worker.user) {
		result = process_identity(operator->config, &worker, "worker", &identity, &errors);
		print_errors(&errors);
		if (result == 0 && (result = identity_assume(&identity)) < 0)
			operator_say(operator, EXIT_ERROR, "cannot become the user %s: %m", worker.user);
	}
	process_release(&worker);
	identity_release(&identity);
	config_errors_release(&errors);
	return result;
}

static int open_log(struct operator *operator)
{
	if (process_open_log("slimta-queuectl", &operator->process) == 0) {
		log_wait(LOG_WAIT_MS);
		return 0;
	}
	operator_say(operator, EXIT_ERROR, "nothing is changed, as the log %s cannot be opened: %m",
		operator->process.logging.output);
	return -1;
}

/* --- the configuration --- */

static int read_config(struct operator *operator, const struct arguments *arguments)
{
	bool of_master = arguments->command->of_master;
	struct config_errors errors = { 0 };
	int result = -1;

	operator->config = config_read(arguments->config_path, &errors);
	if (operator->config) {
		config_check_structure(operator->config, &errors);
		process_load(operator->config, "master", &operator->process, &errors);
	}
	if (operator->config && (!errors.error_count || (of_master && operator->process.runtime_dir)))
		result = 0;
	else
		print_errors(&errors);
	config_errors_release(&errors);
	return result;
}

/* --- the queues --- */

static void on_opened(void *arg, const struct reply *why)
{
	struct opening *opening = arg;

	if (why)
		reply_copy(&opening->why, why);
	opening->done = true;
}

static void open_queue(struct operator *operator, const char *name)
{
	const struct storage_context context = {
		.base = operator->base, .disk = operator->disk, .process = &operator->process, .queue = name,
		.role = STORAGE_FOR_OPERATOR,
	};
	struct config_errors errors = { 0 };
	struct opening opening = { 0 };
	struct queue *queue = queue_load(operator->config, name, &context, &errors);

	if (queue) {
		queue_open(queue, on_opened, &opening);
		operator_wait(operator, &opening.done);
	} else {
		print_errors(&errors);
		operator_worsen(operator, EXIT_ERROR);
	}
	if (queue && opening.why.code) {
		operator_fail(operator, EXIT_ERROR, name, &opening.why);
		queue_stop(queue);
		queue_free(queue);
	} else if (queue) {
		operator->queues[operator->queue_count++] = queue;
	}
	operator->partly |= !queue || opening.why.code;
	reply_release(&opening.why);
	config_errors_release(&errors);
}

static int open_queues(struct operator *operator, const char *only)
{
	const struct config_node *queues = config_get(config_root(operator->config), "queue");
	const char **names = xcalloc(queues->count, sizeof(*names)), *near;

	operator->queues = xcalloc(queues->count, sizeof(*operator->queues));
	operator->broken = xcalloc(queues->count, sizeof(*operator->broken));
	for (size_t i = 0; i < queues->count; i++) {
		names[i] = queues->items[i]->key;
		if (!only || strcmp(only, names[i]) == 0)
			open_queue(operator, names[i]);
	}
	if (only && !config_get(queues, only)) {
		near = nearest_name(only, names, queues->count);
		operator_say(operator, EXIT_ERROR, "no queue is named \"%s\"%s%s%s", only,
			near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
	}
	free(names);
	return operator->queue_count || operator->code == EXIT_DONE ? 0 : -1;
}

static int open_storages(struct operator *operator, const struct arguments *arguments)
{
	/* Of what takes a time, none of its domains: it only lists. */
	bool lists = arguments->dry_run || (arguments->command->takes & TAKES_TIME && !arguments->id_count);
	bool changes = arguments->command->changes && !lists;

	if ((changes && open_log(operator) < 0) || become_worker(operator) < 0)
		return -1;
	operator->base = event_base_new();
	if (!operator->base)
		BUG("no event base");
	operator->disk = pool_new(operator->base, "disk", DISK_THREADS);
	return open_queues(operator, arguments->queue) == 0 || (arguments->command->without_queues && !arguments->queue)
		? 0 : -1;
}

int operator_open(struct operator *operator, const struct arguments *arguments)
{
	memset(operator, 0, sizeof(*operator));
	operator->json = arguments->json;
	remember_user(operator);
	if (read_config(operator, arguments) == 0 &&
			(arguments->command->of_master || open_storages(operator, arguments) == 0))
		return 0;
	operator_worsen(operator, EXIT_ERROR);
	return -1;
}

void operator_close(struct operator *operator)
{
	for (size_t i = 0; i < operator->queue_count; i++) {
		queue_stop(operator->queues[i]);
		queue_free(operator->queues[i]);
	}
	forget_suspensions(operator);
	strings_release(&operator->said);
	free(operator->queues);
	free(operator->broken);
	if (operator->disk)
		pool_free(operator->disk);
	if (operator->base)
		event_base_free(operator->base);
	process_release(&operator->process);
	config_free(operator->config);
	buffer_release(&operator->user);
	buffer_release(&operator->sudo_user);
	log_close();
}

void operator_wait(struct operator *operator, const bool *done)
{
	while (!*done) {
		if (event_base_loop(operator->base, EVLOOP_ONCE) < 0)
			BUG("the loop cannot wait");
	}
}
