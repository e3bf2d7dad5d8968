/* envelope.c - a message on its way, and its JSON
 * SPDX-License-Identifier: MIT */
#include "common/message/envelope.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"

struct envelope *envelope_new(void)
{
	struct envelope *envelope = xcalloc(1, sizeof(*envelope));

	id_new(envelope->id);
	envelope->timestamp_ms = clock_wall_ms();
	content_init(&envelope->content);
	return envelope;
}

void client_release(struct client *client)
{
	free(client->ip);
	free(client->host);
	free(client->name);
	free(client->protocol);
	free(client->auth);
	free(client->tls);
	json_decref(client->other);
	*client = (struct client){ 0 };
}

void client_copy(struct client *to, const struct client *from)
{
	xstrset(&to->ip, from->ip);
	xstrset(&to->host, from->host);
	xstrset(&to->name, from->name);
	xstrset(&to->protocol, from->protocol);
	xstrset(&to->auth, from->auth);
	xstrset(&to->tls, from->tls);
	json_decref(to->other);
	to->other = json_deep_copy(from->other);
}

void envelope_clear_recipients(struct envelope *envelope)
{
	for (size_t i = 0; i < envelope->recipient_count; i++) {
		free(envelope->recipients[i].address);
		free(envelope->recipients[i].orcpt);
		json_decref(envelope->recipients[i].other);
	}
	free(envelope->recipients);
	envelope->recipients = NULL;
	envelope->recipient_count = 0;
}

void envelope_free(struct envelope *envelope)
{
	if (!envelope)
		return;
	envelope_clear_recipients(envelope);
	client_release(&envelope->client);
	content_release(&envelope->content);
	json_decref(envelope->other);
	free(envelope->sender);
	free(envelope->receiver);
	free(envelope->envid);
	free(envelope);
}

struct recipient *envelope_add_recipient(struct envelope *envelope, const char *address)
{
	struct recipient *recipient;

	envelope->recipients = xgrow(envelope->recipients, envelope->recipient_count,
		sizeof(envelope->recipients[0]));
	recipient = &envelope->recipients[envelope->recipient_count++];
	*recipient = (struct recipient){ .address = xstrdup(address) };
	return recipient;
}

static void copy_recipients(struct envelope *to, const struct envelope *from)
{
	for (size_t i = 0; i < from->recipient_count; i++) {
		const struct recipient *old = &from->recipients[i];
		struct recipient *recipient = envelope_add_recipient(to, old->address);

		recipient->notify = old->notify;
		xstrset(&recipient->orcpt, old->orcpt);
		recipient->other = json_deep_copy(old->other);
	}
}

bool envelope_needs_requiretls(const struct envelope *envelope)
{
	return envelope->requiretls && envelope->sender && *envelope->sender;
}

struct envelope *envelope_copy(const struct envelope *from)
{
	struct envelope *to = envelope_new();

	if (content_copy(&to->content, &from->content) < 0) {
		envelope_free(to);
		return NULL;
	}
	memcpy(to->origin, from->origin[0] ? from->origin : from->id, sizeof(to->origin));
	xstrset(&to->sender, from->sender);
	copy_recipients(to, from);
	client_copy(&to->client, &from->client);
	xstrset(&to->receiver, from->receiver);
	to->timestamp_ms = from->timestamp_ms;
	to->body = from->body;
	to->smtputf8 = from->smtputf8;
	to->requiretls = from->requiretls;
	to->size = from->size;
	to->ret = from->ret;
	xstrset(&to->envid, from->envid);
	to->other = json_deep_copy(from->other);
	return to;
}
