/* show.c - slimta-queuectl show: all that is known of one message
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "queuectl/find.h"
#include "queuectl/line.h"
#include "queuectl/output.h"
#include "queuectl/suspend.h"
#include "queuectl/waits.h"

static const char *const body_names[] = {
	[BODY_7BIT] = "7BIT", [BODY_8BITMIME] = "8BITMIME", [BODY_BINARYMIME] = "BINARYMIME"
};

/* --- for people --- */

static void print_line(const char *name, struct buffer *value)
{
	if (value->size)
		printf("%-11s %s\n", name, buffer_str(value));
	buffer_reset(value);
}

static void print_text(const char *name, const char *text)
{
	struct buffer value = { 0 };

	if (text)
		put_text(&value, text);
	print_line(name, &value);
	buffer_release(&value);
}

static void put_outcome(struct buffer *out, const struct outcome *outcome)
{
	static const char *const names[] = {
		[OUTCOME_DELAYED] = "delayed", [OUTCOME_WARNED] = "delayed, sender told",
		[OUTCOME_DELIVERED] = "delivered", [OUTCOME_CONFIRMED] = "delivered, sender told",
		[OUTCOME_FAILED] = "failed", [OUTCOME_BOUNCED] = "bounced",
	};

	if (!outcome) {
		buffer_append_str(out, " waits");
		return;
	}
	buffer_appendf(out, " %s", names[outcome->kind]);
	if (outcome->host && *outcome->host) {
		buffer_append_str(out, " (");
		put_text(out, outcome->host);
		if (outcome->tls && *outcome->tls) {
			buffer_append_str(out, ", ");
			put_text(out, outcome->tls);
		}
		buffer_append_char(out, ')');
	}
	if (outcome->reply.code) {
		buffer_append_str(out, ": ");
		put_reply(out, &outcome->reply);
	}
}

static void print_recipients(const struct peeked *peeked)
{
	struct buffer value = { 0 };

	for (size_t i = 0; i < peeked->envelope->recipient_count; i++) {
		put_address(&value, peeked->envelope->recipients[i].address);
		put_outcome(&value, outcomes_find(&peeked->state.done, i));
		print_line("recipient", &value);
	}
	buffer_release(&value);
}

static void put_named(struct buffer *out, const char *name, const char *text)
{
	if (!text)
		return;
	buffer_appendf(out, "%s%s ", out->size ? ", " : "", name);
	put_text(out, text);
}

static void print_client(const struct client *client)
{
	struct buffer value = { 0 };

	put_named(&value, "address", client->ip);
	put_named(&value, "host", client->host);
	put_named(&value, "EHLO", client->name);
	put_named(&value, "protocol", client->protocol);
	put_named(&value, "TLS", client->tls);
	put_named(&value, "user", client->auth);
	print_line("client", &value);
	buffer_release(&value);
}

static void print_parameters(const struct envelope *envelope)
{
	struct buffer value = { 0 };

	put_named(&value, "BODY", envelope->body ? body_names[envelope->body] : NULL);
	put_named(&value, "RET", envelope->ret == 'F' ? "FULL" : envelope->ret == 'H' ? "HDRS" : NULL);
	put_named(&value, "ENVID", envelope->envid);
	if (envelope->smtputf8)
		buffer_appendf(&value, "%sSMTPUTF8", value.size ? ", " : "");
	if (envelope->requiretls)
		buffer_appendf(&value, "%sREQUIRETLS", value.size ? ", " : "");
	print_line("parameters", &value);
	buffer_release(&value);
}

static void print_attempts(const struct message_state *state)
{
	char time[CLOCK_ISO8601_SIZE];
	struct buffer value = { 0 };

	printf("%-11s %u\n", "attempts", state->attempts);
	for (unsigned i = 0; i < state->last_count; i++) {
		const struct attempt *attempt = &state->last[i];

		buffer_append_str(&value, clock_iso8601(time, attempt->time_ms));
		if (attempt->host && *attempt->host) {
			buffer_append_str(&value, " ");
			put_text(&value, attempt->host);
		}
		if (attempt->tls && *attempt->tls) {
			buffer_append_str(&value, " ");
			put_text(&value, attempt->tls);
		}
		buffer_append_str(&value, " ");
		put_reply(&value, &attempt->reply);
		print_line("attempt", &value);
	}
	if (state->strikes)
		printf("%-11s %u\n", "strikes", state->strikes);
	buffer_release(&value);
}

static void put_asked(struct buffer *out, const struct peeked *peeked)
{
	for (size_t i = 0; i < peeked->asked.count; i++) {
		buffer_append_str(out, i ? ", " : "");
		escaped(out, peeked->asked.items[i], strlen(peeked->asked.items[i]));
	}
}

static void print_envelope(const struct peeked *peeked)
{
	const struct envelope *envelope = peeked->envelope;
	char time[CLOCK_ISO8601_SIZE];
	struct buffer value = { 0 };

	put_address(&value, envelope->sender);
	print_line("sender", &value);
	print_recipients(peeked);
	print_client(&envelope->client);
	print_text("receiver", envelope->receiver);
	print_text("accepted", clock_iso8601(time, envelope->timestamp_ms));
	printf("%-11s %llu octets\n", "size", (unsigned long long)content_size(&envelope->content));
	print_parameters(envelope);
	buffer_release(&value);
}

static void print_message(const char *id, const struct found *found)
{
	const struct envelope *envelope = found->peeked.envelope;
	struct buffer value = { 0 };

	print_text("id", id);
	print_text("queue", queue_name(found->queue));
	print_text("origin", envelope && *envelope->origin ? envelope->origin : NULL);
	print_text("state", place_name(found->peeked.place));
	if (envelope)
		print_envelope(&found->peeked);
	print_attempts(&found->peeked.state);
	put_asked(&value, &found->peeked);
	print_line("asked", &value);
	put_waits(&value, found);
	print_line("waits", &value);
	buffer_release(&value);
}

/* --- for programs --- */

static json_t *recipients_json(const struct peeked *peeked)
{
	json_t *list = json_array();

	for (size_t i = 0; i < peeked->envelope->recipient_count; i++) {
		const struct outcome *outcome = outcomes_find(&peeked->state.done, i);

		json_array_append_new(list, json_pack("{s:o, s:s, s:o, s:o, s:o}", "address",
			json_text(peeked->envelope->recipients[i].address), "state",
			outcome ? outcome_name(outcome->kind) : "waits", "host", json_text(outcome ? outcome->host : NULL),
			"tls", json_text(outcome ? outcome->tls : NULL), "reply",
			outcome && outcome->reply.code ? reply_to_json(&outcome->reply) : json_null()));
	}
	return list;
}

static json_t *attempts_json(const struct message_state *state)
{
	char time[CLOCK_ISO8601_SIZE];
	json_t *list = json_array();

	for (unsigned i = 0; i < state->last_count; i++)
		json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:o}", "time",
			clock_iso8601(time, state->last[i].time_ms), "host", json_text(state->last[i].host), "tls",
			json_text(state->last[i].tls), "reply", reply_to_json(&state->last[i].reply)));
	return list;
}

static json_t *asked_json(const struct peeked *peeked)
{
	json_t *list = json_array();

	for (size_t i = 0; i < peeked->asked.count; i++)
		json_array_append_new(list, json_text(peeked->asked.items[i]));
	return list;
}

static json_t *message_json(const char *id, const struct found *found)
{
	const struct peeked *peeked = &found->peeked;
	const struct envelope *envelope = peeked->envelope;
	struct buffer reason = { 0 };
	json_t *object;

	put_waits(&reason, found);
	object = json_pack("{s:s, s:s, s:s, s:o, s:o, s:i, s:o, s:I, s:o, s:i, s:o, s:o, s:o, s:o}", "queue",
		queue_name(found->queue), "id", id, "state", place_name(peeked->place), "envelope",
		envelope ? envelope_to_json(envelope) : json_null(), "recipients",
		envelope ? recipients_json(peeked) : json_null(), "attempts", (int)peeked->state.attempts, "last",
		attempts_json(&peeked->state), "due_in_ms", (json_int_t)peeked->state.due_in_ms, "content_size",
		envelope ? json_integer((json_int_t)content_size(&envelope->content)) : json_null(), "strikes",
		(int)peeked->state.strikes, "owner", json_text(peeked->owner), "held", json_text(peeked->state.held),
		"asked", asked_json(peeked), "waits", json_text(buffer_str(&reason)));
	add_phase(object, peeked->phase, peeked->leased_for_ms, peeked->in_phase_ms);
	buffer_release(&reason);
	return object;
}

/* --- the octets --- */

/* As they are into a file or pipe; on a terminal line by line, and only what it can show. */
static int print_octets(const char *octets, size_t size, bool terminal)
{
	struct buffer shown = { 0 };
	const char *end = octets + size;

	if (!terminal)
		return fwrite(octets, 1, size, stdout) == size ? 0 : -1;
	while (octets < end) {
		const char *line_end = memchr(octets, '\n', (size_t)(end - octets));
		size_t line = (size_t)((line_end ? line_end : end) - octets);
		size_t text = line && octets[line - 1] == '\r' ? line - 1 : line;

		escaped(&shown, octets, text);
		if (line_end)
			buffer_append_char(&shown, '\n');
		octets += line + (line_end != NULL);
	}
	fputs(buffer_str(&shown), stdout);
	buffer_release(&shown);
	return ferror(stdout) ? -1 : 0;
}

static void print_content(struct operator *operator, const char *id, const struct content *content)
{
	uint64_t size = content_size(content), at = 0;
	bool terminal = isatty(STDOUT_FILENO);
	char octets[65536];

	while (at < size) {
		long got = content_read(content, at, octets, sizeof(octets));

		if (got <= 0) {
			operator_say(operator, EXIT_ERROR, "%s: cannot be read: %s", id, strerror(got ? errno : EIO));
			return;
		}
		if (print_octets(octets, (size_t)got, terminal) < 0)
			return;		/* main says what is wrong with stdout */
		at += (uint64_t)got;
	}
}

static void show_found(struct operator *operator, const char *id, struct found *found)
{
	if (!found->why.code)
		put_suspended(&found->suspended, operator, found->queue, &found->peeked);
	line_look(found, operator);
	if (operator->json)
		print_json(message_json(id, found));
	else
		print_message(id, found);
}

/* Of a damaged one, which is an error, what is known all the same. */
void show_message(struct operator *operator, const struct arguments *arguments)
{
	const char *id = arguments->ids[0];
	struct found found;

	find_message(operator, id, arguments->message, &found);
	if (found.queue && found.why.code)
		operator_fail(operator, EXIT_ERROR, id, &found.why);
	if (found.queue && !arguments->message)
		show_found(operator, id, &found);
	else if (found.queue && !found.why.code)
		print_content(operator, id, &found.peeked.envelope->content);
	found_release(&found);
}
