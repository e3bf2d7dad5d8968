/* outgoing.c - a message on its way to a next hop by SMTP
 * SPDX-License-Identifier: MIT */
#include "worker/outgoing.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "worker/relay_drivers.h"

static void examine(struct outgoing *outgoing)
{
	const struct content *content = &outgoing->delivery.envelope->content;
	uint64_t header = content->prepended.size + content->header_size + content->appended.size, at = 0;
	enum mail_source_result result;
	const char *data;
	size_t size;

	while ((result = mail_source_next(outgoing->source, &data, &size)) == MAIL_SOURCE_DATA) {
		if (!text_is_ascii(data, size)) {
			uint64_t of_header = at >= header ? 0 : header - at;

			outgoing->eight_bit = true;
			if (of_header && !text_is_ascii(data, of_header < size ? (size_t)of_header : size))
				outgoing->utf8_header = true;
		}
		at += size;
		if (outgoing->eight_bit && at >= header)
			break;
	}
	if (result == MAIL_SOURCE_LATER)
		return;
	if (result != MAIL_SOURCE_FAILED)
		errno = 0;
	outgoing->examined(outgoing->arg, outgoing);
}

static void on_arrived(void *arg)
{
	examine(arg);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	examine(arg);
}

struct outgoing *outgoing_new(struct event_base *base, struct pool *disk, const struct relay_delivery *delivery,
	void (*examined)(void *arg, struct outgoing *), void *arg)
{
	const struct envelope *envelope = delivery->envelope;
	struct outgoing *outgoing = xcalloc(1, sizeof(*outgoing));

	*outgoing = (struct outgoing){ .delivery = *delivery, .examined = examined, .arg = arg };
	outgoing->open = xcalloc(envelope->recipient_count + 1, sizeof(*outgoing->open));
	for (size_t i = 0; i < envelope->recipient_count; i++)
		if (relay_is_open(delivery, i))
			outgoing->open[outgoing->count++] = i;
	outgoing->size = content_size(&envelope->content);
	outgoing->source = mail_source_new(disk, &envelope->content, on_arrived, outgoing);
	outgoing->wake = event_new(base, -1, 0, on_wake, outgoing);
	if (!outgoing->wake)
		BUG("no event for a message");
	event_active(outgoing->wake, EV_TIMEOUT, 0);
	return outgoing;
}

void outgoing_free(struct outgoing *outgoing)
{
	mail_source_free(outgoing->source);
	event_free(outgoing->wake);
	free(outgoing->open);
	free(outgoing);
}

void outgoing_settle(struct outgoing *outgoing, size_t recipient, const struct reply *reply, const char *host)
{
	size_t at = 0;

	while (at < outgoing->count && outgoing->open[at] != recipient)
		at++;
	if (at == outgoing->count)
		BUG("recipient %zu is settled twice", recipient);
	outgoing->count--;
	for (; at < outgoing->count; at++)
		outgoing->open[at] = outgoing->open[at + 1];
	outgoing->delivery.settled(outgoing->delivery.arg, recipient, RELAY_RESULT(reply, host));
}

void outgoing_finish(struct outgoing *outgoing, const struct reply *reply, const char *host)
{
	struct relay_delivery delivery = outgoing->delivery;

	while (outgoing->count)
		outgoing_settle(outgoing, outgoing->open[0], reply, host);
	outgoing_free(outgoing);
	delivery.finished(delivery.arg);
}

void outgoing_log_in_doubt(const struct outgoing *outgoing, const char *relay, const char *host, const char *reason)
{
	const struct envelope *envelope = outgoing->delivery.envelope;

	for (size_t i = 0; i < outgoing->count; i++)
		log_warn("relay", "in doubt", LOG_TEXT("id", envelope->id),
			LOG_TEXT("recipient", envelope->recipients[outgoing->open[i]].address),
			LOG_TEXT("relay", relay), LOG_TEXT("host", host), LOG_TEXT("reason", reason));
}
