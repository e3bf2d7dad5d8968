/* smtp_harness.h - a session without a connection: octets in, replies out, the owner's answers in hand
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_T_SMTP_HARNESS_H
#define SLIMTA_T_SMTP_HARNESS_H

#include <string.h>

#include "common/base/buffer.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/smtp/session.h"

/* The log of a program of tests, in which sessions do wrong by the thousand. */
static inline void harness_quiet(const char *program)
{
	log_open(program, &(struct log_settings){ .level = LOG_LEVEL_ERROR, .output = "stderr" });
}

struct harness {
	struct session_settings settings;
	struct session *session;
	struct buffer out, in;
	struct envelope *taken;		/* the last message */
	struct reply answer;		/* given to questions; none = accepted */
	bool later;			/* questions wait for harness_answer */
	const struct sasl_question *question;	/* the last about who a client is */
	unsigned questions, messages, changes;
};

static inline void harness_ask(struct harness *h)
{
	h->questions++;
	if (!h->later)
		session_answer(h->session, &h->answer);
}

static inline void harness_sender(void *arg, struct session *s, const struct envelope *e)
{
	(void)s;
	(void)e;
	harness_ask(arg);
}

static inline void harness_recipient(void *arg, struct session *s, const struct envelope *e,
	const struct recipient *r)
{
	(void)s;
	(void)e;
	(void)r;
	harness_ask(arg);
}

static inline void harness_message(void *arg, struct session *s, struct envelope **e)
{
	struct harness *h = arg;

	(void)s;
	envelope_free(h->taken);
	h->taken = *e;
	*e = NULL;
	h->messages++;
	harness_ask(h);
}

static inline void harness_changed(void *arg)
{
	((struct harness *)arg)->changes++;
}

/* Answered by session_authenticated(), where a test has it `later`; else everybody knows every password. */
static inline void harness_authenticate(void *arg, struct session *s, const struct sasl_question *question)
{
	struct harness *h = arg;
	static const struct sasl_answer salt = { .salt = "salt", .salt_size = 4, .iterations = 4096 };

	h->questions++;
	h->question = question;
	if (!h->later)
		session_authenticated(s, h->answer.code ? &h->answer : NULL, &salt);
}

static const struct session_owner harness_owner = { harness_sender, harness_recipient, harness_message, harness_authenticate,
	harness_changed };

static inline void harness_init(struct harness *h)
{
	memset(h, 0, sizeof(*h));
	h->settings = (struct session_settings){ .hostname = "mx.example", .banner = "mx.example ESMTP",
		.max_size_bytes = 100, .max_recipients = 2, .max_errors = 1000, .max_hops = 3,
		.command_timeout_ms = 300000, .data_timeout_ms = 200000, .extensions = EXTENSIONS_ALL,
		.spool = { NULL, "/nonexistent", 1 << 20 } };
}

/* A session that was greeted. */
static inline void harness_open(struct harness *h)
{
	h->session = session_new(&h->settings, &harness_owner, h, &h->out, "192.0.2.1");
	session_greet(h->session);
}

static inline void harness_close(struct harness *h)
{
	session_free(h->session);
	h->session = NULL;
	buffer_release(&h->out);
	buffer_release(&h->in);
	envelope_free(h->taken);
	h->taken = NULL;
	reply_release(&h->answer);
}

/* Offers what is waiting, as a stream does. */
static inline void harness_offer(struct harness *h)
{
	size_t taken;

	if (h->in.size && session_state(h->session) == SESSION_READING) {
		taken = session_input(h->session, h->in.data, h->in.size);
		buffer_consume(&h->in, taken);
	}
}

static inline void harness_send(struct harness *h, const char *data, size_t size, size_t step)
{
	while (size > 0) {
		size_t more = step < size ? step : size;

		buffer_append(&h->in, data, more);
		harness_offer(h);
		data += more;
		size -= more;
	}
}

static inline void harness_answer(struct harness *h, const struct reply *why)
{
	session_answer(h->session, why);
	harness_offer(h);
}

/* Sends text, and gives what was answered since the last call; borrowed until the next. */
static inline const char *harness_say(struct harness *h, const char *text)
{
	buffer_reset(&h->out);
	harness_send(h, text, strlen(text), strlen(text) + 1);
	return buffer_str(&h->out);
}

#endif
