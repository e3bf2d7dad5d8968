/* incoming.c - mail data as it comes, behind DATA or in the chunks of BDAT
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
	bool ended;			/* all octets came */
	/* of a chunk */
	uint64_t chunk_size, chunk_left;
	bool last;
	struct discarding {		/* it is discarded */
		unsigned code;			/* 0: it is not */
		const char *status, *text;
		enum phase phase;		/* to go back to */
	} discarding;
	/* the rate */
	int64_t window_ms;		/* since when octets are counted */
	uint64_t window_octets;
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

/* ---- how it ends */

static void refuse(struct session *s, const struct reply *why, const char *rule)
{
	counter_add(s->settings->counters,
		reply_is_transient(why) ? COUNTER_EDGE_DEFERRED : COUNTER_EDGE_REJECTED, 1);
	s->refused_chunk = s->incoming->chunk_size && !s->incoming->last;
	if (s->refused_chunk)
		reply_copy(&s->chunk_refusal, why);
	s->cause = &(struct session_cause){ rule, NULL };
	session_reply_with(s, why);
}

static void message_answered(struct session *s, const struct reply *why)
{
	if (why)
		session_reply_with(s, why);
	else
		session_reply(s, 250, "2.6.0", "Message accepted for delivery; %s", s->message_id);
}

/* Why what came so far makes no message; none = it may. Gives the key that wants it so, or NULL. */
static const char *judge(const struct incoming *in, struct reply *why)
{
	if (is_too_large(in)) {
		reply_set(why, 552, "5.3.4", "Message exceeded size limit");
		return "max_size";
	}
	if (!faults_of(in))
		return NULL;
	reply_set(why, 550, "5.5.2", "Message contains %s", faults_of(in) & NEWLINE_NUL ? "NUL" : "bare CR or LF");
	return faults_of(in) & NEWLINE_NUL ? NULL : "bare_newline";
}

/* The octets are complete and stored as far as they are going to be. */
static void complete(struct session *s)
{
	struct incoming *in = s->incoming;
	struct envelope *e = s->envelope;
	struct reply why = { 0 };
	const char *rule = judge(in, &why);

	if (reply_is_none(&why) && spool_take(in->spool, &e->content, &why) == 0
		&& header_count_hops(&e->content) > s->settings->max_hops) {
		reply_set(&why, 554, "5.4.6", "Too many hops");
		rule = "max_hops";
	}
	if (!reply_is_none(&why)) {
		refuse(s, &why, rule);
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

static void end(struct session *s)
{
	struct incoming *in = s->incoming;

	in->ended = true;
	session_begin(s, &end_of_data);
	if (!in->spool || spool_finish(in->spool))
		complete(s);
}

static void start_window(struct incoming *in)
{
	in->window_ms = clock_boot_ms();
	in->window_octets = 0;
}

static void spool_ready(void *arg)
{
	struct incoming *in = arg;
	struct session *s = in->session;

	start_window(in);
	if (in->ended)
		complete(s);
	else
		s->owner->changed(s->arg);
}

static struct incoming *incoming_new(struct session *s, bool dots)
{
	struct incoming *in = xcalloc(1, sizeof(*in));

	in->session = s;
	newline_init(&in->newline, dots, s->settings->normalize_newlines);
	start_window(in);
	s->incoming = in;
	return in;
}

void incoming_begin(struct session *s)
{
	struct incoming *in = incoming_new(s, true);

	in->spool = spool_new(&s->settings->spool, spool_ready, in);
}

/* ---- chunks */

static uint64_t most_refused(const struct session *s)
{
	uint64_t most = s->settings->max_size_bytes ? s->settings->max_size_bytes : 10485760;

	return most < UINT64_MAX / SESSION_REFUSED_FACTOR ? most * SESSION_REFUSED_FACTOR : UINT64_MAX;
}

/* The chunks that a client sent on behind one that was refused are refused as it was: whoever looks at the last reply
 * alone neither takes what is transient for permanent nor misses the reason. */
static void discarded(struct session *s)
{
	struct discarding discarding = s->incoming->discarding;

	incoming_free(s->incoming);
	s->incoming = NULL;
	session_receive(s, discarding.phase);
	session_begin(s, &end_of_discarded);
	if (s->refused_chunk)
		session_reply_with(s, &s->chunk_refusal);
	else
		session_reply(s, discarding.code, discarding.status, "%s", discarding.text);
}

/* A failure is told behind the octets of the chunk that has it (RFC 3030 2), and the transaction is over. */
static void chunk_ended(struct session *s)
{
	struct incoming *in = s->incoming;
	struct reply why = { 0 };
	const char *rule;

	if (in->discarding.code) {
		discarded(s);
		return;
	}
	if (in->last) {
		newline_finish(&in->newline, sink, in);
		end(s);
		return;
	}
	rule = judge(in, &why);
	if (reply_is_none(&why) && !spool_has_failed(in->spool, &why)) {
		session_begin(s, in->chunk_size ? &end_of_chunk : &end_of_empty_chunk);
		session_reply(s, 250, "2.0.0", "%llu octets received", (unsigned long long)in->chunk_size);
		return;
	}
	session_begin(s, &end_of_data);
	refuse(s, &why, rule);
	reply_release(&why);
}

static void expect(struct session *s, uint64_t size, bool last)
{
	struct incoming *in = s->incoming;

	if ((in->discarding.code || s->settings->max_size_bytes) && size > most_refused(s)) {
		session_end(s, 552, "5.3.4", "Message exceeded size limit");
		return;
	}
	in->chunk_size = in->chunk_left = size;
	in->last = last;
	session_receive(s, PHASE_CHUNK);
	if (!size)
		chunk_ended(s);
	else
		s->owner->changed(s->arg);
}

void incoming_chunk(struct session *s, uint64_t size, bool last)
{
	if (!s->incoming) {
		struct incoming *in = incoming_new(s, false);

		in->spool = spool_new(&s->settings->spool, spool_ready, in);
	}
	expect(s, size, last);
}

void incoming_discard(struct session *s, uint64_t size, unsigned code, const char *status, const char *text)
{
	struct incoming *in = incoming_new(s, false);

	in->discarding = (struct discarding){ code, status, text, s->phase };
	expect(s, size, false);
}

/* Stops where the spool is full: the rest of what was read is offered again. */
static size_t take_chunk(struct incoming *in, const char *data, size_t size)
{
	if (size > in->chunk_left)
		size = (size_t)in->chunk_left;
	in->chunk_left -= size;
	if (!in->discarding.code)
		newline_feed(&in->newline, data, size, sink, in);
	return size;
}

/* ---- what comes */

static bool is_too_slow(struct incoming *in, size_t more)
{
	int64_t elapsed = clock_boot_ms() - in->window_ms;
	bool slow;

	in->window_octets += more;
	if (elapsed < in->session->settings->data_timeout_ms)
		return false;
	slow = in->window_octets < (uint64_t)elapsed * SESSION_LEAST_RATE / 1000;
	start_window(in);
	return slow;
}

/* All has come that was waited for. What ends a message is never too slow; many small chunks may be. */
static bool is_complete(const struct incoming *in, bool slow)
{
	if (in->newline.dots)
		return in->newline.ended;
	return !in->chunk_left && (in->last || !slow);
}

size_t incoming_take(struct session *s, const char *data, size_t size)
{
	struct incoming *in = s->incoming;
	size_t taken = in->newline.dots ? newline_feed(&in->newline, data, size, sink, in) : take_chunk(in, data, size);
	bool slow = is_too_slow(in, taken);

	if (is_complete(in, slow))
		in->newline.dots ? end(s) : chunk_ended(s);
	else if (is_too_large(in) && in->size > most_refused(s))
		session_end(s, 552, "5.3.4", "Message exceeded size limit");
	else if (slow)
		session_timed_out(s);
	return taken;
}
