/* smtp_connection.c - a session on a socket, and what becomes of its messages
 * SPDX-License-Identifier: MIT */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/net/stream.h"
#include "edge/client_name.h"
#include "edge/server.h"
#include "edge/smtp_edge.h"

#define COMMAND_READ_SIZE 4096		/* what a pipelining client may have waiting here */
#define RECIPIENTS_LOGGED 2048		/* octets */

/* A message that the queue has; it outlives its connection. */
struct submission {
	struct smtp_connection *connection;	/* NULL: the client is gone */
	struct smtp_edge *edge;
	char id[ID_SIZE], session[ID_SIZE];
	char *sender, *client, *host, *user;
	struct buffer recipients;
	size_t recipient_count;
	uint64_t size;
};

struct smtp_connection {
	TAILQ_ENTRY(smtp_connection) entry;
	struct smtp_edge *edge;
	struct peer peer;
	struct session *session;
	struct submission *submission;		/* under way; NULL = none */
	struct rules_query *query;		/* the same */
	struct client_name *name;		/* NULL = none */
	struct inquiry *inquiry;		/* about who it is; NULL = none */
	char *user;				/* who it was found to be, which session_auth() has to say yet */
	bool trusted;				/* a client of trusted_clients */
	unsigned messages;			/* accepted */
	struct stream stream;
};

/* ---- what the session asks */

static struct rules_client client_of(const struct smtp_connection *c)
{
	return (struct rules_client){ .session = session_id(c->session), .ip = session_client(c->session),
		.user = session_auth(c->session), .trusted = c->trusted };
}

static void sender_checked(void *arg, const struct rules_verdict *verdict)
{
	struct smtp_connection *c = arg;
	struct reply limit = { 0 };

	c->query = NULL;
	if (reply_is_none(&verdict->why)) {
		edge_limits_message(&c->edge->edge, &c->peer, client_of(c).user ? c->user : NULL, &limit);
		session_answer_for(c->session, &limit, &(struct session_cause){ "max_messages_per_minute", NULL });
	} else {
		session_answer_for(c->session, &verdict->why, &(struct session_cause){ verdict->rule, verdict->reason });
	}
	reply_release(&limit);
}

static void recipient_checked(void *arg, const struct rules_verdict *verdict)
{
	struct smtp_connection *c = arg;

	c->query = NULL;
	session_answer_for(c->session, &verdict->why, &(struct session_cause){ verdict->rule, verdict->reason });
}

static void on_sender(void *arg, struct session *session, const struct envelope *envelope)
{
	struct smtp_connection *c = arg;
	struct rules_client client = client_of(c);
	struct rules_verdict verdict = { 0 };

	(void)session;
	queue_accepts(c->edge->edge.queue, envelope->size, &verdict.why);
	if (reply_is_none(&verdict.why))
		c->query = rules_sender(c->edge->edge.rules, &client, envelope->sender, &verdict, sender_checked, c);
	if (!c->query)
		sender_checked(c, &verdict);
	reply_release(&verdict.why);
}

/* MAIL waits for the client's name, which belongs to what rules look at. */
static void on_named(void *arg)
{
	struct smtp_connection *c = arg;

	session_set_client_host(c->session, client_name_text(c->name));
	on_sender(c, c->session, session_envelope(c->session));
}

static void on_mail(void *arg, struct session *session, const struct envelope *envelope)
{
	struct smtp_connection *c = arg;

	(void)session;
	(void)envelope;
	if (!client_name_await(c->name, on_named, c))
		on_named(c);
}

static void on_recipient(void *arg, struct session *session, const struct envelope *envelope,
	const struct recipient *recipient)
{
	struct smtp_connection *c = arg;
	struct rules_client client = client_of(c);
	struct rules_verdict verdict = { 0 };

	(void)session;
	(void)envelope;
	c->query = rules_recipient(c->edge->edge.rules, &client, recipient->address, &verdict, recipient_checked,
		c);
	if (!c->query)
		recipient_checked(c, &verdict);
	reply_release(&verdict.why);
}

static struct submission *submission_new(struct smtp_connection *c, const struct envelope *e)
{
	struct submission *s = xcalloc(1, sizeof(*s));

	s->connection = c;
	s->edge = c->edge;
	memcpy(s->id, e->id, ID_SIZE);
	memcpy(s->session, session_id(c->session), ID_SIZE);
	s->sender = xstrdup(e->sender);
	s->client = xstrdup(e->client.ip ? e->client.ip : "unknown");
	s->host = e->client.host ? xstrdup(e->client.host) : NULL;
	s->user = e->client.auth ? xstrdup(e->client.auth) : NULL;
	s->recipient_count = e->recipient_count;
	s->size = content_size(&e->content);
	for (size_t i = 0; i < e->recipient_count && s->recipients.size < RECIPIENTS_LOGGED; i++) {
		if (i)
			buffer_append_char(&s->recipients, ',');
		buffer_append_str(&s->recipients, e->recipients[i].address);
	}
	return s;
}

static void submission_free(struct submission *s)
{
	free(s->sender);
	free(s->client);
	free(s->host);
	free(s->user);
	buffer_release(&s->recipients);
	free(s);
}

static void log_outcome(const struct submission *s, const struct reply *why)
{
	struct buffer reply = { 0 };

	if (why)
		reply_append(why, &reply);
	log_info("edge", why ? "rejected" : "accepted", LOG_TEXT("id", s->id),
		LOG_TEXT("session", s->session), LOG_TEXT("sender", s->sender),
		LOG_TEXT("recipients", buffer_str(&s->recipients)),
		LOG_INT("recipient_count", s->recipient_count), LOG_INT("size", s->size),
		LOG_TEXT("client", s->client), LOG_TEXT("host", s->host),
		LOG_TEXT("user", s->user), LOG_TEXT("edge", s->edge->edge.name), LOG_TEXT("queue", s->edge->edge.options.queue),
		LOG_TEXT("reply", why ? buffer_str(&reply) : NULL),
		LOG_TEXT("note", s->connection ? NULL : "the client was gone"));
	buffer_release(&reply);
}

static void count_outcome(const struct submission *s, const struct reply *why)
{
	struct counters *counters = s->edge->edge.child->counters;

	if (why) {
		counter_add(counters,
			reply_is_transient(why) ? COUNTER_EDGE_DEFERRED : COUNTER_EDGE_REJECTED, 1);
		return;
	}
	counter_add(counters, COUNTER_EDGE_MESSAGES, 1);
	counter_add(counters, COUNTER_EDGE_OCTETS, (int64_t)s->size);
}

static void on_submitted(void *arg, const struct reply *why)
{
	struct submission *s = arg;
	struct smtp_connection *c = s->connection;
	struct server *server = s->edge->edge.server;

	log_outcome(s, why);
	count_outcome(s, why);
	if (c) {
		c->submission = NULL;
		c->messages += !why;
		session_answer(c->session, why);
	}
	submission_free(s);
	server_settle(server);
}

static void on_message(void *arg, struct session *session, struct envelope **envelope)
{
	struct smtp_connection *c = arg;

	(void)session;
	c->submission = submission_new(c, *envelope);
	queue_submit(c->edge->edge.queue, envelope, on_submitted, c->submission);
}

static void authenticated(void *arg, const struct reply *why, const struct sasl_answer *answer, const char *user)
{
	struct smtp_connection *c = arg;

	if (user)
		xstrset(&c->user, user);
	session_authenticated(c->session, why, answer);
}

static void on_authenticate(void *arg, struct session *session, const struct sasl_question *question)
{
	struct smtp_connection *c = arg;

	inquiry_ask(&c->inquiry, &c->edge->edge, &c->peer, session_id(session), question, authenticated, c);
}

/* The stream does what the session's state asks for. What comes in clear before a handshake is not for the session. */
static void on_changed(void *arg)
{
	struct smtp_connection *c = arg;
	enum session_state state = session_state(c->session);

	stream_set_timeout(&c->stream, session_timeout_ms(c->session));
	stream_set_read_size(&c->stream,
		session_is_receiving(c->session) ? STREAM_READ_MAX : COMMAND_READ_SIZE);
	if (state == SESSION_CLOSING || state == SESSION_LINGERING)
		stream_finish(&c->stream, state == SESSION_LINGERING);
	else if (state == SESSION_WANTS_TLS)
		stream_pause(&c->stream, !tls_is_shaking_hands(&c->stream));
	else
		stream_pause(&c->stream, state == SESSION_WAITING);
}

static const struct session_owner session_owner = {
	.sender = on_mail,
	.recipient = on_recipient,
	.message = on_message,
	.authenticate = on_authenticate,
	.changed = on_changed,
};

/* ---- what the stream tells */

static size_t on_input(void *arg, const char *data, size_t size)
{
	struct smtp_connection *c = arg;
	size_t taken = session_input(c->session, data, size);

	/* It is the stream's memory. */
	if (session_forget_secret(c->session))
		OPENSSL_cleanse((void *)data, taken);

	on_changed(c);
	return taken;
}

static void on_ended(void *arg)
{
	struct smtp_connection *c = arg;

	session_input_ended(c->session);
	on_changed(c);
}

static void on_timed_out(void *arg)
{
	struct smtp_connection *c = arg;

	session_timed_out(c->session);
}

void smtp_connection_free(struct smtp_connection *c)
{
	struct smtp_edge *smtp = c->edge;

	if (c->submission)
		c->submission->connection = NULL;
	rules_cancel(c->query);
	TAILQ_REMOVE(&smtp->connections, c, entry);
	client_name_free(c->name);
	inquiry_free(&c->inquiry);
	free(c->user);
	session_free(c->session);
	stream_release(&c->stream);
	edge_limits_disconnect(&smtp->edge, &c->peer);
	free(c);
	edge_connection_closed(&smtp->edge);
}

static void on_secured(void *arg)
{
	struct smtp_connection *c = arg;

	smtp_tls_started(&c->stream, c->session);
	session_greet(c->session);
	on_changed(c);
}

static void start_tls(struct smtp_connection *c)
{
	smtp_tls_start(&c->edge->tls, &c->stream, c->session, on_secured, c);
}

static void on_drained(void *arg)
{
	struct smtp_connection *c = arg;

	if (session_state(c->session) == SESSION_WANTS_TLS && !tls_is_shaking_hands(&c->stream))
		start_tls(c);
}

static void on_closed(void *arg, int error)
{
	struct smtp_connection *c = arg;

	/* What TLS said of it is more than its errno. */
	if (smtp_tls_lost(&c->stream, c->session, error))
		error = 0;
	session_lost(c->session);
	log_info("edge", "disconnected", LOG_TEXT("session", session_id(c->session)),
		LOG_INT("messages", c->messages),
		LOG_TEXT("error", error ? strerror(error) : NULL));
	smtp_connection_free(c);
}

static const struct stream_handler stream_handler = {
	.input = on_input,
	.ended = on_ended,
	.timed_out = on_timed_out,
	.closed = on_closed,
	.drained = on_drained,
};

/* ---- beginning and draining */

/* The last step of an arrival. */
static void begin(struct smtp_connection *c)
{
	if (session_state(c->session) == SESSION_WANTS_TLS) {
		start_tls(c);
		return;
	}
	stream_poll(&c->stream);
	session_greet(c->session);
}

void smtp_connection_new(struct smtp_edge *smtp, int fd, const struct peer *peer)
{
	struct smtp_connection *c = xcalloc(1, sizeof(*c));

	c->edge = smtp;
	c->peer = *peer;
	c->trusted = networks_have(&smtp->edge.trusted, peer->text);
	TAILQ_INSERT_TAIL(&smtp->connections, c, entry);
	stream_open(&c->stream, smtp->edge.child->base, fd, smtp->command_timeout_ms,
		&stream_handler, c);
	c->session = session_new(&smtp->settings, &session_owner, c, &c->stream.out, peer->text);
	c->peer.text = session_client(c->session);
	c->peer.proxy = NULL;
	log_info("edge", "connected", LOG_TEXT("session", session_id(c->session)),
		LOG_TEXT("client", peer->text), LOG_INT("port", peer->port),
		LOG_TEXT("proxy", peer->proxy), LOG_TEXT("edge", smtp->edge.name));
	c->name = client_name_new(server_client_names(smtp->edge.server), peer, session_id(c->session));
	begin(c);
}

void smtp_connection_drain(struct smtp_connection *c, bool now)
{
	session_drain(c->session, now);
	inquiry_hurry(c->inquiry);
}

/* Where it waits for octets now; else the next call of on_changed has them. */
void smtp_connection_hurry(struct smtp_connection *c)
{
	if (session_state(c->session) == SESSION_READING)
		stream_set_timeout(&c->stream, session_timeout_ms(c->session));
}

struct smtp_connection *smtp_connection_next(struct smtp_connection *c)
{
	return TAILQ_NEXT(c, entry);
}
