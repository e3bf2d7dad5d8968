/* succession.c - what a memory queue holds, handed to the worker that serves it next
 * SPDX-License-Identifier: MIT */
#include "common/queue/memory/succession.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"

#define AGAIN_MS 250
#define NOBODY_MS 5000
#define KNOWN_AT_ONCE 1000		/* ids of one request */
#define PASSING_MAX 1048576		/* octets under way */
#define OUT_MAX 65536

static void wake_up(struct succession *succession)
{
	event_active(succession->wake, EV_TIMEOUT, 0);
}

static void on_answer(struct succession *succession, const struct reply *why)
{
	succession->asked--;
	if (why)
		succession->failed = true;
	wake_up(succession);
}

static void on_told(void *arg, const struct reply *why)
{
	on_answer(arg, why);
}

static void tell(struct succession *succession, json_t *line, struct buffer *octets)
{
	succession->asked++;
	client_tell(&succession->client, line, octets, on_told, succession);
}

/* ---- what it has to know first */

static void tell_known(struct succession *succession)
{
	if (succession->known.size)
		tell(succession, json_pack("{s:s}", "op", "known"), &succession->known);
}

static void add_known(const char *id, void *arg)
{
	struct succession *succession = arg;

	buffer_appendf(&succession->known, "%s\n", id);
	if (succession->known.size >= (size_t)KNOWN_AT_ONCE * ID_SIZE)
		tell_known(succession);
}

static void on_settings(void *arg, const struct reply *why, const struct setting *settings, size_t count)
{
	struct succession *succession = arg;

	(void)why;
	for (size_t i = 0; i < count; i++) {
		succession->asked++;
		client_set(&succession->client, settings[i].key, settings[i].value, settings[i].expires_in_ms, on_told,
			succession);
	}
}

static void introduce(struct succession *succession)
{
	struct store *store = succession->store;

	buffer_release(&succession->known);
	store_settings(store, on_settings, succession);
	recent_each(&store->recent, add_known, succession);
	for (const struct store_message *message = store_next(store, ""); message;
			message = store_next(store, message->lease.id))
		add_known(message->lease.id, succession);
	tell_known(succession);
}

/* ---- messages */

struct pass_call {
	struct call call;
	struct succession *succession;
	struct form *form;
	size_t sent;
};

static enum call_more more_of_form(struct call *call, struct buffer *out)
{
	struct pass_call *pass = (struct pass_call *)call;
	size_t left = pass->form->size - pass->sent, size = left < OUT_MAX ? left : OUT_MAX;

	if (!left)
		return CALL_END;
	buffer_append(out, pass->form->data + pass->sent, size);
	pass->sent += size;
	return CALL_MORE;
}

static void rewind_pass(struct call *call)
{
	((struct pass_call *)call)->sent = 0;
}

static void on_passed(struct call *call, const json_t *line, const struct buffer *octets, const struct reply *why)
{
	struct pass_call *pass = (struct pass_call *)call;
	struct succession *succession = pass->succession;
	struct store_message *message = store_find(succession->store, pass->form->id);

	(void)line;
	(void)octets;
	if (message)
		message->passing = false;
	succession->passing_bytes -= pass->form->size;
	if (!why && message) {
		log_debug("queue", "handed over", LOG_TEXT("id", pass->form->id));
		store_forget(succession->store, message);
		succession->passed++;
	} else if (why && reply_is_permanent(why) && message) {
		log_error("queue", "could not hand over a message", LOG_TEXT("id", pass->form->id),
			LOG_TEXT("reply", why->text));
		message->passing = true;	/* not again */
		succession->refused++;
		why = NULL;
	}
	on_answer(succession, why);
	form_release(pass->form);
	call_release(call);
	free(pass);
}

static void pass_on(struct succession *succession, struct store_message *message)
{
	struct pass_call *pass = xcalloc(1, sizeof(*pass));
	struct store_look seen;
	struct reply why;

	if (store_look(succession->store, message->lease.id, &seen, &why) < 0)
		BUG("a message that is not there");
	pass->succession = succession;
	pass->form = form_hold(seen.form);
	wire_append(&pass->call.octets, wire_known(&seen.known));
	pass->call.line = json_pack("{s:s, s:I}", "op", "hand over", "state_bytes", (json_int_t)pass->call.octets.size);
	pass->call.bytes = pass->form->size;
	pass->call.more = more_of_form;
	pass->call.rewind = rewind_pass;
	pass->call.answered = on_passed;
	store_look_release(&seen);
	message->passing = true;
	succession->asked++;
	succession->passing_bytes += pass->form->size;
	client_ask(&succession->client, &pass->call);
}

static void pass_some(struct succession *succession)
{
	struct store_message *message = store_next(succession->store, "");

	tell_known(succession);
	for (; message && succession->passing_bytes < PASSING_MAX; message = store_next(succession->store, message->lease.id))
		if (!message->passing && message->place != PLACE_LEASED)
			pass_on(succession, message);
}

/* ---- the order of it */

static void finish(struct succession *succession)
{
	storage_done_fn *done = succession->done;

	if (!done)
		return;
	if (succession->passed)
		log_info("queue", "handed over a memory queue", LOG_TEXT("queue", succession->server->context->queue),
			LOG_INT("messages", succession->passed));
	succession->done = NULL;
	done(succession->arg, NULL);
}

static void begin_anew(struct succession *succession)
{
	succession->failed = false;
	succession->step = SUCCESSION_INTRODUCE;
	/* Who took over and is lost may be there under its name, or another waits. */
	if (succession->server->moved)
		succession->client.next = !succession->client.next;
}

static void look_again(struct succession *succession)
{
	event_add(succession->wake, &(struct timeval){ .tv_usec = AGAIN_MS * 1000 });
}

static void take_step(struct succession *succession)
{
	switch (succession->step) {
	case SUCCESSION_INTRODUCE:
		introduce(succession);
		succession->step = SUCCESSION_ASK;
		if (!succession->asked)
			wake_up(succession);
		break;
	case SUCCESSION_ASK:
		tell(succession, json_pack("{s:s}", "op", "take over"), NULL);
		succession->step = SUCCESSION_PASS;
		break;
	case SUCCESSION_PASS:
		server_move(succession->server);
		pass_some(succession);
		if (!succession->asked && succession->store->messages.count == succession->refused &&
				server_is_quiet(succession->server))
			finish(succession);
		break;
	}
}

/* One that was promised may have died, and its master starts another soon. */
static bool may_come(struct succession *succession)
{
	if (!succession->gone_boot_ms)
		succession->gone_boot_ms = clock_boot_ms();
	return succession->asked || (succession->expected && clock_boot_ms() - succession->gone_boot_ms < NOBODY_MS);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct succession *succession = arg;

	(void)fd;
	(void)what;
	look_again(succession);
	if (!serving_is_awaited(&succession->server->serving)) {
		if (!may_come(succession) && !succession->store->counts[PLACE_LEASED])
			finish(succession);
		return;
	}
	succession->gone_boot_ms = 0;
	/* One after the other, but for messages. */
	if (succession->asked && (succession->step != SUCCESSION_PASS || !succession->server->moved))
		return;
	if (succession->failed && !succession->asked)
		begin_anew(succession);
	else if (!succession->failed)
		take_step(succession);
}

/* Who comes next knows nothing yet. */
static void on_lost(void *arg)
{
	((struct succession *)arg)->failed = true;
	wake_up(arg);
}

static void on_quiet(void *arg)
{
	wake_up(arg);
}

static void on_changed(void *arg, struct store_message *message)
{
	(void)message;
	wake_up(arg);
}

static void on_finished(void *arg, const char *id)
{
	struct succession *succession = arg;

	buffer_appendf(&succession->known, "%s\n", id);
	wake_up(succession);
}

void succession_begin(struct succession *succession, struct store *store, struct server *server, bool expected,
	storage_done_fn *done, void *arg)
{
	*succession = (struct succession){ .store = store, .server = server, .expected = expected, .done = done, .arg = arg };
	succession->wake = event_new(server->context->base, -1, 0, on_wake, succession);
	if (!succession->wake)
		BUG("no event");
	succession->client.next = true;
	succession->client.persistent = true;
	succession->client.answer_max = OUT_MAX;
	succession->client.lost = on_lost;
	succession->client.lost_arg = succession;
	client_open(&succession->client, server->context, NULL, NULL);
	store->changed = on_changed;
	store->finished = on_finished;
	store->arg = succession;
	server->quiet = on_quiet;
	server->arg = succession;
	wake_up(succession);
}

void succession_end(struct succession *succession)
{
	if (!succession->wake)
		return;
	succession->store->changed = NULL;
	succession->store->finished = NULL;
	succession->server->quiet = NULL;
	succession->done = NULL;
	client_close(&succession->client);
	buffer_release(&succession->known);
	event_free(succession->wake);
	succession->wake = NULL;
}
