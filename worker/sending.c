/* sending.c - a message that goes by SMTP, cut into what goes to one next hop each
 * SPDX-License-Identifier: MIT */
#include "worker/sending_parts.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "worker/relay_drivers.h"

void sendings_init(struct sendings *sendings, struct event_base *base, struct pool *disk, sending_examined_fn *examined,
	void *arg)
{
	*sendings = (struct sendings){ .base = base, .disk = disk, .examined = examined, .arg = arg };
	TAILQ_INIT(&sendings->all);
}

static void sending_free(struct sending *sending)
{
	TAILQ_REMOVE(&sending->owner->all, sending, link);
	mail_source_free(sending->source);
	event_free(sending->wake);
	free(sending->taken);
	free(sending);
}

void sendings_release(struct sendings *sendings)
{
	struct sending *sending;
	struct outgoing *outgoing;

	if (!sendings->base)
		return;
	while ((sending = TAILQ_FIRST(&sendings->all))) {
		while ((outgoing = TAILQ_FIRST(&sending->outgoings)))
			outgoing_free(outgoing);
		sending_free(sending);
	}
}

void sending_end_if_over(struct sending *sending)
{
	struct relay_delivery delivery = sending->delivery;

	if (sending->left || sending->count)
		return;
	sending_free(sending);
	delivery.finished(delivery.arg);
}

/* ---- examined */

static void could_not_read(struct sending *sending)
{
	struct reply why = { 0 };

	log_error("relay", "could not read a message", LOG_TEXT("id", sending->delivery.envelope->id),
		LOG_TEXT("error", strerror(errno)));
	reply_set(&why, 451, "4.3.0", "Message could not be read");
	outgoing_finish(sending_add_all(sending, NULL, NULL), RELAY_RESULT(&why, ""));
	reply_release(&why);
}

static void note_octets(struct sending *sending, uint64_t of_header, const char *data, size_t size)
{
	if (text_is_ascii(data, size))
		return;
	sending->eight_bit = true;
	if (of_header && !text_is_ascii(data, of_header < size ? (size_t)of_header : size))
		sending->utf8_header = true;
}

static void examine(struct sending *sending)
{
	const struct content *content = &sending->delivery.envelope->content;
	uint64_t header = content->prepended.size + content->header_size + content->appended.size;
	enum mail_source_result result;
	const char *data;
	size_t size;

	while ((result = mail_source_next(sending->source, &data, &size)) == MAIL_SOURCE_DATA) {
		note_octets(sending, sending->size >= header ? 0 : header - sending->size, data, size);
		sending->size += size;
		if (sending->eight_bit && sending->size >= header)
			break;
	}
	if (result == MAIL_SOURCE_LATER)
		return;
	sending->size = content_size(content);
	if (result == MAIL_SOURCE_FAILED) {
		could_not_read(sending);
		return;
	}
	mail_source_free(sending->source);
	sending->source = NULL;
	sending->owner->examined(sending->owner->arg, sending);
}

static void on_arrived(void *arg)
{
	examine(arg);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct sending *sending = arg;

	(void)fd;
	(void)what;
	if (sending->source)
		examine(sending);
	else
		outgoing_ask_next(sending);
}

struct sending *sending_new(struct sendings *sendings, const struct relay_delivery *delivery)
{
	const struct envelope *envelope = delivery->envelope;
	struct sending *sending = xcalloc(1, sizeof(*sending));

	*sending = (struct sending){ .owner = sendings, .delivery = *delivery };
	TAILQ_INIT(&sending->outgoings);
	TAILQ_INIT(&sending->asking);
	sending->taken = xcalloc(envelope->recipient_count + 1, sizeof(*sending->taken));
	for (size_t i = 0; i < envelope->recipient_count; i++) {
		sending->taken[i] = !relay_is_open(delivery, i);
		sending->left += !sending->taken[i];
	}
	if (!sending->left)
		BUG("a message for nobody");
	sending->source = mail_source_new(sendings->disk, &envelope->content, on_arrived, sending);
	sending->wake = event_new(sendings->base, -1, 0, on_wake, sending);
	if (!sending->wake)
		BUG("no event for a message");
	event_active(sending->wake, EV_TIMEOUT, 0);
	TAILQ_INSERT_TAIL(&sendings->all, sending, link);
	return sending;
}

/* ---- cut */

const struct envelope *sending_envelope(const struct sending *sending)
{
	return sending->delivery.envelope;
}

bool sending_is_to_come(const struct sending *sending, size_t recipient)
{
	return !sending->taken[recipient];
}

/* Who reads it from another place is told there. */
static void not_heard(void *arg)
{
	(void)arg;
}

struct outgoing *sending_add(struct sending *sending, const size_t *recipients, size_t count,
	const struct outgoing_owner *owner, void *owner_arg)
{
	struct outgoing *outgoing = xcalloc(1, sizeof(*outgoing));

	*outgoing = (struct outgoing){ .sending = sending, .envelope = sending->delivery.envelope, .size = sending->size,
		.eight_bit = sending->eight_bit, .utf8_header = sending->utf8_header, .owner = owner,
		.owner_arg = owner_arg };
	outgoing->open = xcalloc(count + 1, sizeof(*outgoing->open));
	for (size_t i = 0; i < count; i++) {
		if (sending->taken[recipients[i]])
			BUG("recipient %zu is sent twice", recipients[i]);
		sending->taken[recipients[i]] = true;
		outgoing->open[outgoing->count++] = recipients[i];
	}
	outgoing->source = mail_source_new(sending->owner->disk, &outgoing->envelope->content, not_heard, NULL);
	TAILQ_INSERT_TAIL(&sending->outgoings, outgoing, of_sending);
	sending->count++;
	return outgoing;
}

struct outgoing *sending_add_all(struct sending *sending, const struct outgoing_owner *owner, void *owner_arg)
{
	size_t total = sending->delivery.envelope->recipient_count, count = 0;
	size_t *recipients = xcalloc(total + 1, sizeof(*recipients));
	struct outgoing *outgoing;

	for (size_t i = 0; i < total; i++)
		if (sending_is_to_come(sending, i))
			recipients[count++] = i;
	outgoing = sending_add(sending, recipients, count, owner, owner_arg);
	free(recipients);
	return outgoing;
}
