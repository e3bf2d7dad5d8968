/* client_harness.h - an SMTP client without a connection: replies in, commands and results out
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_T_CLIENT_HARNESS_H
#define SLIMTA_T_CLIENT_HARNESS_H

#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/smtp/client.h"

struct client_harness {
	struct smtp_client_settings settings;
	struct smtp_client *client;
	struct buffer out, in;
	struct buffer results;		/* "0: 250 2.0.0 Ok\n" for each recipient, "done\n" or another end */
	struct envelope *envelope;
	size_t recipients[200];
	bool is_settled[200];
	bool rest;			/* some are to go in another transaction */
	struct smtp_transaction transaction;
	bool another_may;		/* of what could not begin */
	bool open;			/* a transaction is */
	bool data_ended;		/* its final dot was sent */
	unsigned settled, finished;
};

static inline void client_harness_settled(void *arg, size_t recipient, const struct reply *reply)
{
	struct client_harness *h = arg;

	if (reply->code < 200 || (reply->code >= 300 && reply->code < 400))
		BUG("a result of code %u", reply->code);
	if (reply_is_success(reply) && !h->data_ended)
		BUG("delivered without its data");
	if (h->is_settled[recipient])
		BUG("settled twice");
	h->is_settled[recipient] = true;
	h->settled++;
	buffer_appendf(&h->results, "%zu: ", recipient);
	reply_append(reply, &h->results);
	buffer_append_char(&h->results, '\n');
}

static inline void client_harness_finished(void *arg, enum transaction_end end, const struct reply *why)
{
	static const char *const names[] = { "done", "rest", "lost", "broken", "in doubt", "broken off" };
	struct client_harness *h = arg;

	if (!h->open)
		BUG("finished twice");
	h->open = false;
	h->rest = end == TRANSACTION_REST;
	h->finished++;
	buffer_append_str(&h->results, names[end]);
	if (end != TRANSACTION_DONE && !reply_is_none(why)) {
		buffer_append_str(&h->results, ": ");
		reply_append(why, &h->results);
	}
	buffer_append_char(&h->results, '\n');
}

/* A message of s@example.org to r0@example.net, r1... */
static inline void client_harness_init(struct client_harness *h, size_t recipients)
{
	memset(h, 0, sizeof(*h));
	h->settings = (struct smtp_client_settings){ .ehlo_as = "mx.example", .command_timeout_ms = 30000,
		.data_timeout_ms = 60000 };
	h->client = smtp_client_new(&h->settings, SMTP_TLS_NEVER, &h->out);
	h->envelope = envelope_new();
	h->envelope->sender = xstrdup("s@example.org");
	for (size_t i = 0; i < recipients; i++) {
		char *address = xasprintf("r%zu@example.net", i);

		envelope_add_recipient(h->envelope, address);
		h->recipients[i] = i;
		free(address);
	}
	h->transaction = (struct smtp_transaction){ .envelope = h->envelope, .recipients = h->recipients,
		.count = recipients, .size = 12, .settled = client_harness_settled, .finished = client_harness_finished,
		.arg = h };
}

/* Begins anew, with settings that were changed. */
static inline void client_harness_renew(struct client_harness *h, enum smtp_client_tls tls)
{
	smtp_client_free(h->client);
	buffer_reset(&h->out);
	h->client = smtp_client_new(&h->settings, tls, &h->out);
}

static inline void client_harness_release(struct client_harness *h)
{
	smtp_client_free(h->client);
	envelope_free(h->envelope);
	buffer_release(&h->out);
	buffer_release(&h->in);
	buffer_release(&h->results);
}

static inline void client_harness_feed(struct client_harness *h, const char *data, size_t size, size_t step)
{
	while (size > 0) {
		size_t more = step < size ? step : size;

		buffer_append(&h->in, data, more);
		buffer_consume(&h->in, smtp_client_input(h->client, h->in.data, h->in.size));
		data += more;
		size -= more;
	}
}

/* The server says this, line by line; gives what it is sent since the last time, borrowed until the next. */
static inline const char *client_harness_hear(struct client_harness *h, const char *text)
{
	buffer_reset(&h->out);
	while (*text) {
		size_t size = strcspn(text, "\n");

		size += text[size] == '\n';
		client_harness_feed(h, text, size, size);
		text += size;
	}
	return buffer_str(&h->out);
}

/* 0, or the code of the refusal; -1 if only recipients were refused. */
static inline int client_harness_begin(struct client_harness *h)
{
	struct reply why = { 0 };
	int code = 0;

	buffer_reset(&h->out);
	h->open = true;
	h->data_ended = false;
	if (!h->rest)
		memset(h->is_settled, 0, sizeof(h->is_settled));
	if (smtp_client_begin(h->client, &h->transaction, &why, &h->another_may) < 0) {
		code = why.code ? why.code : -1;
		h->open = false;
	}
	reply_release(&why);
	return code;
}

/* Those that are left go on. */
static inline int client_harness_begin_rest(struct client_harness *h)
{
	size_t left = 0;

	for (size_t i = 0; i < h->transaction.count; i++)
		if (!h->is_settled[h->recipients[i]])
			h->recipients[left++] = h->recipients[i];
	if (left == h->transaction.count || !left)
		BUG("a rest of %zu of %zu", left, h->transaction.count);
	h->transaction.count = left;
	return client_harness_begin(h);
}

static inline void client_harness_data(struct client_harness *h, const char *data)
{
	smtp_client_data(h->client, data, strlen(data));
	smtp_client_data_end(h->client);
	h->data_ended = smtp_client_dot_sent(h->client);
}

#endif
