/* relay_pipe.c - gives each message to a command, once a recipient, through the spawner
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>

#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/config/values.h"
#include "worker/command.h"
#include "worker/exit_reply.h"
#include "worker/relay_drivers.h"
#include "worker/spawn_client.h"

#define AWAY_MAX_MS 60000	/* a message waits so long for a spawner before it is an attempt that failed */

struct pipe_relay {
	struct relay relay;
	struct strings args;
	char *error_pattern;
	int64_t timeout_ms;
	char *cwd;
	struct option_pairs env;
	char *user, *group;
	unsigned concurrent_processes;

	struct command command;
	struct pattern *pattern;
	struct spawn_client *client;
	struct event *wake;
	TAILQ_HEAD(, piped) all;
	TAILQ_HEAD(, piped) waiting;	/* with recipients that were not sent to the spawner */
	unsigned under_way;
	bool draining;
};

/* A message, and those of its recipients that are not settled. */
struct piped {
	TAILQ_ENTRY(piped) of_all, link;
	struct pipe_relay *owner;
	struct relay_delivery delivery;
	struct spawn_message message;
	struct piped_call *calls;	/* one for each recipient */
	size_t *open;			/* of which these are open; before `next`: with the spawner, or settled */
	size_t count, next;
	unsigned out;			/* with the spawner */
	bool asks;			/* whether the next command may be started; in no list meanwhile */
	bool may;			/* it may */
};

struct piped_call {
	struct piped *piped;
	size_t recipient;		/* index in the envelope */
};

/* A line of a shell would be taken for the name of a program. */
static void check_args(const struct config_node *node, void *field, struct config_errors *errors)
{
	(void)field;
	if (node->kind != CONFIG_LIST)
		option_expected(node, "a list, [PROGRAM, ARGUMENT...]", errors);
}

static const struct option rows[] = {
	{ "args", TEXTS_FIELD(pipe_relay, args), NULL, 0, 0,
		"the program and its arguments; {sender}, {recipient} and other fields", .required = true,
		.check = check_args },
	{ "error_pattern", TEXT_FIELD(pipe_relay, error_pattern), NULL, 0, 0,
		"PCRE2 pattern that picks the text of a failure out of the output" },
	{ "timeout", TIME_FIELD(pipe_relay, timeout_ms), "300", 100, 86400000,
		"time that a command may take before its process group is ended" },
	{ "cwd", PATH_FIELD(pipe_relay, cwd), "/", 0, 0, "directory in which the command runs" },
	{ "env", PAIRS_FIELD(pipe_relay, env), NULL, 0, 0, "variables of the command's environment" },
	{ "user", TEXT_FIELD(pipe_relay, user), NULL, 0, 0, "whom the command runs as; else the worker's user" },
	{ "group", TEXT_FIELD(pipe_relay, group), NULL, 0, 0, "its group; else that of the user" },
	{ "concurrent_processes", UINT_FIELD(pipe_relay, concurrent_processes), NULL, 1, 1000,
		"commands at once, over all workers; else one per CPU" },
	{ 0 },
};

static void pipe_check(struct relay *relay, const struct config_node *section, const struct relay_setting *setting,
	struct config_errors *errors)
{
	struct pipe_relay *pipe = (struct pipe_relay *)relay;
	struct command_options options = { &pipe->args, &pipe->env, pipe->cwd, pipe->user, pipe->group,
		pipe->timeout_ms, pipe->concurrent_processes };
	char *why = NULL;

	TAILQ_INIT(&pipe->all);
	TAILQ_INIT(&pipe->waiting);
	command_init(&pipe->command, &options, setting, section, errors);
	if (pipe->error_pattern) {
		pipe->pattern = pattern_compile(pipe->error_pattern, &why);
		if (!pipe->pattern)
			config_error_at_value(errors, config_get(section, "error_pattern"),
				"expected a regular expression: %s", why);
		free(why);
	}
	/* Twice, so that a command ends and the next message is here already. */
	relay->capacity = 2 * pipe->command.options.concurrent;
	relay->step_ms = pipe->timeout_ms;
}

static const struct command *pipe_command(const struct relay *relay)
{
	return &((const struct pipe_relay *)relay)->command;
}

/* ---- the message as the spawner gets it */

/* What stands in memory goes into one memfd, descriptor 0; a file is the envelope's own open of it, descriptor 1. */
static int add_piece(struct spawn_message *message, const struct content_piece *piece, uint64_t *memory_size)
{
	struct spawn_piece *added = &message->pieces[message->piece_count++];

	if (!piece->data) {
		message->fds[1] = piece->fd;
		message->fd_count = 2;
		*added = (struct spawn_piece){ 1, piece->offset, piece->size };
		return 0;
	}
	*added = (struct spawn_piece){ 0, *memory_size, piece->size };
	*memory_size += piece->size;
	return FAULT("pipe.memfd_write", fd_write_all(message->fds[0], piece->data, piece->size));
}

static int prepare_message(struct spawn_message *message, const struct content *content)
{
	struct content_piece pieces[CONTENT_PIECES];
	unsigned count = content_pieces(content, pieces);
	uint64_t memory_size = 0;

	message->fds[0] = FAULT("pipe.memfd", memfd_create("message", MFD_CLOEXEC));
	message->fd_count = 1;
	if (message->fds[0] < 0)
		return -1;
	for (unsigned i = 0; i < count; i++)
		if (add_piece(message, &pieces[i], &memory_size) < 0)
			return -1;
	return 0;
}

/* ---- one message */

static struct piped_call *next_call(struct piped *piped)
{
	return &piped->calls[piped->open[piped->next++]];
}

static void settle(const struct piped_call *call, const struct reply *reply)
{
	const struct piped *piped = call->piped;

	piped->delivery.settled(piped->delivery.arg, call->recipient,
		RELAY_RESULT(reply, piped->owner->args.items[0]));
}

static void piped_free(struct piped *piped)
{
	if (piped->asks)
		piped->delivery.commit(piped->delivery.arg, NULL, NULL);
	TAILQ_REMOVE(&piped->owner->all, piped, of_all);
	fd_close(&piped->message.fds[0]);
	free(piped->calls);
	free(piped->open);
	free(piped);
}

static void end_if_finished(struct piped *piped)
{
	struct relay_delivery delivery = piped->delivery;

	if (piped->out || piped->next < piped->count)
		return;
	piped_free(piped);
	delivery.finished(delivery.arg);
}

/* Settles all that is not with the spawner. It is in no list. */
static void settle_rest(struct piped *piped, const struct reply *reply)
{
	while (piped->next < piped->count)
		settle(next_call(piped), reply);
	end_if_finished(piped);
}

static void settle_all_waiting(struct pipe_relay *pipe, const struct reply *reply)
{
	struct piped *piped;

	while ((piped = TAILQ_FIRST(&pipe->waiting))) {
		TAILQ_REMOVE(&pipe->waiting, piped, link);
		settle_rest(piped, reply);
	}
}

static void put_back(struct piped_call *call)
{
	struct piped *piped = call->piped;

	if (piped->next == piped->count)
		TAILQ_INSERT_TAIL(&piped->owner->waiting, piped, link);
	piped->open[--piped->next] = (size_t)(call - piped->calls);
}

static void log_in_doubt(const struct piped_call *call, const char *reason)
{
	const struct envelope *envelope = call->piped->delivery.envelope;

	log_warn("relay", "in doubt", LOG_TEXT("id", envelope->id),
		LOG_TEXT("recipient", envelope->recipients[call->recipient].address),
		LOG_TEXT("relay", call->piped->owner->relay.name), LOG_TEXT("reason", reason));
}

static void on_result(void *arg, const struct spawn_result *result)
{
	struct piped_call *call = arg;
	struct piped *piped = call->piped;
	struct pipe_relay *pipe = piped->owner;
	struct reply reply = { 0 };

	piped->out--;
	pipe->under_way--;
	event_active(pipe->wake, EV_TIMEOUT, 0);
	if (result->end == SPAWN_CANCELLED) {
		put_back(call);
		return;
	}
	if (result->end == SPAWN_LOST)
		log_in_doubt(call, "the spawner ended");
	exit_reply(&reply, result, pipe->pattern);
	settle(call, &reply);
	reply_release(&reply);
	end_if_finished(piped);
}

/* The next recipient of the message at the head of the line, which then goes to its end. */
static void send_next(struct pipe_relay *pipe)
{
	struct piped *piped = TAILQ_FIRST(&pipe->waiting);
	struct piped_call *call = next_call(piped);
	struct macros macros;

	TAILQ_REMOVE(&pipe->waiting, piped, link);
	piped->may = false;
	if (piped->next < piped->count)
		TAILQ_INSERT_TAIL(&pipe->waiting, piped, link);
	piped->out++;
	pipe->under_way++;
	macros_from_envelope(&macros, piped->delivery.envelope, call->recipient);
	spawn_client_call(pipe->client, pipe->relay.name, &macros, &piped->message, on_result, call);
}

/* Both ends refuse such values; here it is found before it would not fit a packet. */
static bool refuse_values(struct piped *piped)
{
	struct macros macros;
	struct reply reply = { 0 };
	enum macro which;

	macros_from_envelope(&macros, piped->delivery.envelope, piped->calls[piped->open[piped->next]].recipient);
	if (macros_are_clean(&macros, &which))
		return false;
	reply_set(&reply, 554, "5.3.0", "The value of {%s} cannot be passed to a command", macro_name(which));
	settle(next_call(piped), &reply);
	reply_release(&reply);
	if (piped->next == piped->count) {
		TAILQ_REMOVE(&piped->owner->waiting, piped, link);
		end_if_finished(piped);
	}
	return true;
}

static void refuse_unprepared(struct piped *piped)
{
	struct reply reply = { 0 };

	reply_set(&reply, 450, "4.3.0", "Message could not be passed on: %s", strerror(errno));
	TAILQ_REMOVE(&piped->owner->waiting, piped, link);
	settle_rest(piped, &reply);
	reply_release(&reply);
}

static void on_resumed(void *arg, enum relay_go go)
{
	struct piped *piped = arg;

	piped->asks = false;
	if (go != RELAY_GO) {
		settle_rest(piped, &(struct reply){ 0 });
		return;
	}
	piped->may = true;
	TAILQ_INSERT_HEAD(&piped->owner->waiting, piped, link);
	event_active(piped->owner->wake, EV_TIMEOUT, 0);
}

/* A command that was started cannot be taken back. */
static bool may_start(struct piped *piped)
{
	enum relay_go go;

	relay_say_in_line(&piped->delivery, false);
	go = piped->may ? RELAY_GO : piped->delivery.commit(piped->delivery.arg, on_resumed, piped);
	if (go == RELAY_GO)
		return true;
	TAILQ_REMOVE(&piped->owner->waiting, piped, link);
	if (go == RELAY_WAIT)
		piped->asks = true;
	else
		settle_rest(piped, &(struct reply){ 0 });
	return false;
}

/* Without a spawner they wait for that. */
static void say_who_waits(const struct pipe_relay *pipe)
{
	bool full = pipe->under_way >= pipe->command.options.concurrent;
	const struct piped *piped;

	TAILQ_FOREACH(piped, &pipe->waiting, link)
		relay_say_in_line(&piped->delivery, full);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct pipe_relay *pipe = arg;
	struct piped *first;

	(void)fd;
	(void)what;
	if (pipe->draining)
		settle_all_waiting(pipe, &(struct reply){ 0 });
	while (spawn_client_is_connected(pipe->client) && pipe->under_way < pipe->command.options.concurrent
		&& (first = TAILQ_FIRST(&pipe->waiting))) {
		if (!first->message.fd_count && prepare_message(&first->message,
			&first->delivery.envelope->content) < 0)
			refuse_unprepared(first);
		else if (!refuse_values(first) && may_start(first))
			send_next(pipe);
	}
	say_who_waits(pipe);
}

static void on_state(void *arg, bool connected, int64_t away_ms)
{
	struct pipe_relay *pipe = arg;
	struct reply reply = { 0 };

	if (connected)
		event_active(pipe->wake, EV_TIMEOUT, 0);
	if (connected || away_ms < AWAY_MAX_MS)
		return;
	reply_set(&reply, 450, "4.3.0", "Spawner cannot be reached");
	settle_all_waiting(pipe, &reply);
	reply_release(&reply);
}

/* ---- the driver */

static int pipe_open(struct relay *relay)
{
	struct pipe_relay *pipe = (struct pipe_relay *)relay;

	pipe->wake = event_new(relay->context.base, -1, 0, on_wake, pipe);
	if (!pipe->wake)
		return -1;
	pipe->client = spawn_client_new(relay->context.base, relay->context.spawner_path, on_state, pipe);
	return 0;
}

static void pipe_deliver(struct relay *relay, const struct relay_delivery *delivery)
{
	struct pipe_relay *pipe = (struct pipe_relay *)relay;
	struct piped *piped = xcalloc(1, sizeof(*piped));
	size_t count = delivery->envelope->recipient_count;

	*piped = (struct piped){ .owner = pipe, .delivery = *delivery,
		.calls = xcalloc(count + 1, sizeof(*piped->calls)), .open = xcalloc(count + 1, sizeof(*piped->open)) };
	piped->message.fds[0] = piped->message.fds[1] = -1;
	for (size_t i = 0; i < count; i++) {
		if (!relay_is_open(delivery, i))
			continue;
		piped->calls[piped->count] = (struct piped_call){ piped, i };
		piped->open[piped->count] = piped->count;
		piped->count++;
	}
	if (!piped->count)
		BUG("a delivery without recipients");
	TAILQ_INSERT_TAIL(&pipe->all, piped, of_all);
	TAILQ_INSERT_TAIL(&pipe->waiting, piped, link);
	event_active(pipe->wake, EV_TIMEOUT, 0);
}

static void pipe_drain(struct relay *relay, int64_t bound_ms)
{
	struct pipe_relay *pipe = (struct pipe_relay *)relay;

	(void)bound_ms;		/* what is begun is for the end of the worker to end */
	pipe->draining = true;
	spawn_client_cancel_all(pipe->client);
	event_active(pipe->wake, EV_TIMEOUT, 0);
}

static void on_abandoned(void *arg)
{
	log_in_doubt(arg, "the worker ends before the command");
}

static void pipe_close(struct relay *relay)
{
	struct pipe_relay *pipe = (struct pipe_relay *)relay;

	spawn_client_free(pipe->client, on_abandoned);
	while (!TAILQ_EMPTY(&pipe->all))
		piped_free(TAILQ_FIRST(&pipe->all));
	if (pipe->wake)
		event_free(pipe->wake);
	pattern_free(pipe->pattern);
	command_release(&pipe->command);
}

const struct relay_driver relay_pipe = {
	.type = "pipe",
	.size = sizeof(struct pipe_relay),
	.options = rows,
	.is_final = true,
	.check = pipe_check,
	.open = pipe_open,
	.deliver = pipe_deliver,
	.drain = pipe_drain,
	.close = pipe_close,
	.command = pipe_command,
};
