/* piping.c - what all relays that run commands share: the messages they have, and their line for the spawner
 * SPDX-License-Identifier: MIT */
#include "worker/piping.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "worker/relay_drivers.h"
#include "worker/spawn_client.h"

#define AWAY_MAX_MS 60000	/* a message waits so long for a spawner before it is an attempt that failed */

/* A message, and those of its recipients that are not settled. */
struct piped {
	TAILQ_ENTRY(piped) of_all, link;
	struct piping *owner;
	struct relay_delivery delivery;
	struct spawn_message message;
	size_t *recipients;		/* indices in the envelope of those that were open */
	struct piped_call *calls;	/* one for each of them, or one for all */
	size_t *open;			/* of which these are open; before `next`: with the spawner, or settled */
	size_t count, next;
	unsigned out;			/* with the spawner */
	bool asks;			/* whether the next command may be started; in no list meanwhile */
	bool may;			/* it may */
};

/* One run of the command. */
struct piped_call {
	struct piped *piped;
	const size_t *recipients;
	size_t count;
};

void piping_init(struct piping *piping, const struct command_options *options, const struct relay_setting *setting,
	const struct config_node *section, struct config_errors *errors)
{
	TAILQ_INIT(&piping->all);
	TAILQ_INIT(&piping->waiting);
	command_init(&piping->command, options, setting, section, errors);
	/* Twice, so that a command ends and the next message is here already. */
	piping->relay.capacity = 2 * piping->command.options.concurrent;
	piping->relay.step_ms = options->timeout_ms;
}

const struct command *piping_command(const struct relay *relay)
{
	return &((const struct piping *)relay)->command;
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
	const char *program = piped->owner->command.options.args->items[0];

	for (size_t i = 0; i < call->count; i++)
		piped->delivery.settled(piped->delivery.arg, call->recipients[i], RELAY_RESULT(reply, program));
}

static void piped_free(struct piped *piped)
{
	if (piped->asks)
		piped->delivery.commit(piped->delivery.arg, NULL, NULL);
	TAILQ_REMOVE(&piped->owner->all, piped, of_all);
	fd_close(&piped->message.fds[0]);
	free(piped->recipients);
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

static void settle_all_waiting(struct piping *piping, const struct reply *reply)
{
	struct piped *piped;

	while ((piped = TAILQ_FIRST(&piping->waiting))) {
		TAILQ_REMOVE(&piping->waiting, piped, link);
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

	for (size_t i = 0; i < call->count; i++)
		log_warn("relay", "in doubt", LOG_TEXT("id", envelope->id),
			LOG_TEXT("recipient", envelope->recipients[call->recipients[i]].address),
			LOG_TEXT("relay", call->piped->owner->relay.name), LOG_TEXT("reason", reason));
}

/* Of one run for several recipients, {recipient} is none of them. */
static void set_macros(struct macros *macros, const struct piped_call *call)
{
	macros_from_envelope(macros, call->piped->delivery.envelope, call->recipients[0]);
	if (call->piped->owner->once_a_message)
		macros->values[MACRO_RECIPIENT] = NULL;
}

static void on_result(void *arg, const struct spawn_result *result)
{
	struct piped_call *call = arg;
	struct piped *piped = call->piped;
	struct piping *piping = piped->owner;
	struct reply reply = { 0 };

	piped->out--;
	piping->under_way--;
	event_active(piping->wake, EV_TIMEOUT, 0);
	if (result->end == SPAWN_CANCELLED) {
		put_back(call);
		return;
	}
	if (result->end == SPAWN_LOST)
		log_in_doubt(call, "the spawner ended");
	exit_reply(&reply, result, &piping->rules);
	settle(call, &reply);
	reply_release(&reply);
	end_if_finished(piped);
}

/* The next run for the message at the head of the line, which then goes to its end. */
static void send_next(struct piping *piping)
{
	struct piped *piped = TAILQ_FIRST(&piping->waiting);
	struct piped_call *call = next_call(piped);
	struct macros macros;

	TAILQ_REMOVE(&piping->waiting, piped, link);
	piped->may = false;
	if (piped->next < piped->count)
		TAILQ_INSERT_TAIL(&piping->waiting, piped, link);
	piped->out++;
	piping->under_way++;
	set_macros(&macros, call);
	spawn_client_call(piping->client, piping->relay.name, &macros, &piped->message, on_result, call);
}

/* Both ends refuse such values; here it is found before it would not fit a packet. */
static bool refuse_values(struct piped *piped)
{
	struct macros macros;
	struct reply reply = { 0 };
	enum macro which;

	set_macros(&macros, &piped->calls[piped->open[piped->next]]);
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
static void say_who_waits(const struct piping *piping)
{
	bool full = piping->under_way >= piping->command.options.concurrent;
	const struct piped *piped;

	TAILQ_FOREACH(piped, &piping->waiting, link)
		relay_say_in_line(&piped->delivery, full);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct piping *piping = arg;
	struct piped *first;

	(void)fd;
	(void)what;
	if (piping->draining)
		settle_all_waiting(piping, &(struct reply){ 0 });
	while (spawn_client_is_connected(piping->client) && piping->under_way < piping->command.options.concurrent
		&& (first = TAILQ_FIRST(&piping->waiting))) {
		if (!first->message.fd_count && prepare_message(&first->message,
			&first->delivery.envelope->content) < 0)
			refuse_unprepared(first);
		else if (!refuse_values(first) && may_start(first))
			send_next(piping);
	}
	say_who_waits(piping);
}

static void on_state(void *arg, bool connected, int64_t away_ms)
{
	struct piping *piping = arg;
	struct reply reply = { 0 };

	if (connected)
		event_active(piping->wake, EV_TIMEOUT, 0);
	if (connected || away_ms < AWAY_MAX_MS)
		return;
	reply_set(&reply, 450, "4.3.0", "Spawner cannot be reached");
	settle_all_waiting(piping, &reply);
	reply_release(&reply);
}

/* ---- what drivers have in common */

int piping_open(struct relay *relay)
{
	struct piping *piping = (struct piping *)relay;

	piping->wake = event_new(relay->context.base, -1, 0, on_wake, piping);
	if (!piping->wake)
		return -1;
	piping->client = spawn_client_new(relay->context.base, relay->context.spawner_path, on_state, piping);
	return 0;
}

static void add_call(struct piped *piped, const size_t *recipients, size_t count)
{
	piped->calls[piped->count] = (struct piped_call){ piped, recipients, count };
	piped->open[piped->count] = piped->count;
	piped->count++;
}

void piping_deliver(struct relay *relay, const struct relay_delivery *delivery)
{
	struct piping *piping = (struct piping *)relay;
	struct piped *piped = xcalloc(1, sizeof(*piped));
	size_t most = delivery->envelope->recipient_count, open = 0;

	*piped = (struct piped){ .owner = piping, .delivery = *delivery,
		.recipients = xcalloc(most + 1, sizeof(*piped->recipients)),
		.calls = xcalloc(most + 1, sizeof(*piped->calls)), .open = xcalloc(most + 1, sizeof(*piped->open)) };
	piped->message.fds[0] = piped->message.fds[1] = -1;
	for (size_t i = 0; i < most; i++)
		if (relay_is_open(delivery, i))
			piped->recipients[open++] = i;
	if (!open)
		BUG("a delivery without recipients");
	if (piping->once_a_message)
		add_call(piped, piped->recipients, open);
	for (size_t i = 0; !piping->once_a_message && i < open; i++)
		add_call(piped, &piped->recipients[i], 1);
	TAILQ_INSERT_TAIL(&piping->all, piped, of_all);
	TAILQ_INSERT_TAIL(&piping->waiting, piped, link);
	event_active(piping->wake, EV_TIMEOUT, 0);
}

void piping_drain(struct relay *relay, int64_t bound_ms)
{
	struct piping *piping = (struct piping *)relay;

	(void)bound_ms;		/* what is begun is for the end of the worker to end */
	piping->draining = true;
	spawn_client_cancel_all(piping->client);
	event_active(piping->wake, EV_TIMEOUT, 0);
}

static void on_abandoned(void *arg)
{
	log_in_doubt(arg, "the worker ends before the command");
}

void piping_close(struct relay *relay)
{
	struct piping *piping = (struct piping *)relay;

	spawn_client_free(piping->client, on_abandoned);
	while (!TAILQ_EMPTY(&piping->all))
		piped_free(TAILQ_FIRST(&piping->all));
	if (piping->wake)
		event_free(piping->wake);
	command_release(&piping->command);
}
