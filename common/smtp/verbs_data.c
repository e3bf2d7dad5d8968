/* verbs_data.c - DATA, and the mail data behind it
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/message/header.h"
#include "common/smtp/verbs.h"

struct incoming {
	struct session *session;
	struct newline newline;
	struct spool *spool;		/* NULL: refused already, only its end is waited for */
	uint64_t size;			/* of the mail data so far, stored or not */
};

void incoming_free(struct incoming *in)
{
	if (!in)
		return;
	spool_free(in->spool);
	free(in);
}

bool incoming_is_full(const struct session *s)
{
	return s->incoming && s->incoming->spool && spool_is_full(s->incoming->spool);
}

static bool is_too_large(const struct incoming *in)
{
	uint64_t most = in->session->settings->max_size_bytes;

	return most && in->size > most;
}

/* What no message may have; `normalize` has made the rest harmless. */
static unsigned faults_of(const struct incoming *in)
{
	return in->newline.normalize ? in->newline.found & NEWLINE_NUL : in->newline.found;
}

static void sink(void *arg, const char *data, size_t size)
{
	struct incoming *in = arg;

	in->size += size;
	if (is_too_large(in) || faults_of(in)) {
		spool_free(in->spool);
		in->spool = NULL;
	}
	if (in->spool)
		spool_write(in->spool, data, size);
}

static void refuse(struct session *s, const struct reply *why)
{
	counter_add(s->settings->counters,
		reply_is_transient(why) ? COUNTER_EDGE_DEFERRED : COUNTER_EDGE_REJECTED, 1);
	session_reply_with(s, why);
}

static void message_answered(struct session *s, const struct reply *why)
{
	if (why)
		session_reply_with(s, why);
	else
		session_reply(s, 250, "2.6.0", "Message accepted for delivery; %s", s->message_id);
}

/* The octets are complete and stored as far as they are going to be. */
static void complete(struct session *s)
{
	struct incoming *in = s->incoming;
	struct envelope *e = s->envelope;
	struct reply why = { 0 };

	if (is_too_large(in))
		reply_set(&why, 552, "5.3.4", "Message exceeded size limit");
	else if (faults_of(in))
		reply_set(&why, 550, "5.5.2", "Message contains %s",
			faults_of(in) & NEWLINE_NUL ? "NUL" : "bare CR or LF");
	else if (spool_take(in->spool, &e->content, &why) == 0
		&& header_count_hops(&e->content) > s->settings->max_hops)
		reply_set(&why, 554, "5.4.6", "Too many hops");
	if (!reply_is_none(&why)) {
		refuse(s, &why);
		reply_release(&why);
		return;
	}
	incoming_free(in);
	s->incoming = NULL;
	e->timestamp_ms = clock_wall_ms();
	memcpy(s->message_id, e->id, ID_SIZE);
	s->answered = message_answered;
	s->owner->message(s->arg, s, &s->envelope);
}

static void spool_ready(void *arg)
{
	struct incoming *in = arg;
	struct session *s = in->session;

	if (in->newline.ended)
		complete(s);
	else
		s->owner->changed(s->arg);
}

void run_data(struct session *s, const char *text, size_t size)
{
	struct incoming *in;

	(void)text;
	if (size > 0) {
		session_reply_arguments(s);
		return;
	}
	in = xcalloc(1, sizeof(*in));
	in->session = s;
	in->spool = spool_new(&s->settings->spool, spool_ready, in);
	newline_init(&in->newline, true, s->settings->normalize_newlines);
	s->incoming = in;
	session_reply(s, 354, NULL, "Start mail input; end with <CRLF>.<CRLF>");
}

size_t incoming_take(struct session *s, const char *data, size_t size)
{
	struct incoming *in = s->incoming;
	size_t taken = newline_feed(&in->newline, data, size, sink, in);

	if (!in->newline.ended)
		return taken;
	session_begin(s, &end_of_data);
	if (!in->spool || spool_finish(in->spool))
		complete(s);
	return taken;
}
