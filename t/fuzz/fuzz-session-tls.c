/* fuzz-session-tls.c - a session in clear and within TLS: nothing that came before the handshake may live on
 * SPDX-License-Identifier: MIT
 * Input as of fuzz-session: two octets of settings, then pieces: an octet of length and that many octets. A length of 0
 * makes something happen instead: a handshake, an answer, a drain, the end. Once TLS is up each piece also goes to a session
 * that began with TLS and heard nothing else: both have to say and do the same. */
#include "common/base/log.h"
#include "t/lib/smtp_harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct both {
	struct harness subject, fresh;	/* of fresh the session is NULL until there is TLS */
};

static const struct session_auth auths[] = { { true, false }, { false, true } };

#define ACCEPTED "Message accepted for delivery; "
#define CHALLENGE "\n334 "

/* A keyword stands in no first line, where EHLO's name is. */
static bool has_line(const struct buffer *out, const char *keyword)
{
	char line[64];

	snprintf(line, sizeof(line), "\n250-%s\r\n", keyword);
	if (memmem(buffer_str(out), out->size, line, strlen(line)))
		return true;
	line[4] = ' ';
	return memmem(buffer_str(out), out->size, line, strlen(line)) != NULL;
}

/* Each reply has a code and its lines; what is offered suits the channel. */
static void check_replies(const struct harness *h)
{
	const char *at = buffer_str(&h->out), *end = at + h->out.size;

	while (at < end) {
		const char *lf = memchr(at, '\n', (size_t)(end - at));

		if (!lf || lf - at < 5 || lf[-1] != '\r' || at[0] < '2' || at[0] > '5' || (at[3] != ' ' && at[3] != '-'))
			BUG("a reply is broken: %.*s", (int)(end - at), at);
		at = lf + 1;
	}
	if (has_line(&h->out, session_is_secure(h->session) ? "STARTTLS" : "REQUIRETLS"))
		BUG("offered where it cannot be: %s", buffer_str(&h->out));
}

/* In clear nobody is known, and nothing is asked, where TLS has to be. */
static void check_clear(const struct harness *h)
{
	if (session_is_secure(h->session))
		BUG("TLS without a handshake");
	if (h->settings.require_tls && (h->messages || session_envelope(h->session)))
		BUG("a transaction in clear");
	if (session_auth(h->session) && !h->settings.auth->without_tls)
		BUG("who is known in clear as %s?", session_auth(h->session));
	if ((h->taken && (h->taken->client.tls || h->taken->requiretls)))
		BUG("a message in clear says TLS");
}

static bool is_same(const char *one, const char *other)
{
	return one && other ? strcmp(one, other) == 0 : one == other;
}

static void check_messages(const struct envelope *one, const struct envelope *other)
{
	if (!one || !other) {
		if (one != other)
			BUG("only one has a message");
		return;
	}
	if (!is_same(one->sender, other->sender) || one->recipient_count != other->recipient_count ||
		one->requiretls != other->requiretls || !is_same(one->client.name, other->client.name) ||
		!is_same(one->client.protocol, other->client.protocol) || !is_same(one->client.auth, other->client.auth) ||
		!is_same(one->client.tls, other->client.tls) ||
		content_size(&one->content) != content_size(&other->content))
		BUG("messages differ: <%s> and <%s>", one->sender, other->sender);
}

/* What is random: ids, and the challenges of SCRAM. All else is to be the same. */
static void mask(struct buffer *out, const char *before)
{
	char *at = strstr((char *)(uintptr_t)buffer_str(out), before);

	while (at) {
		for (at += strlen(before); *at != '\r'; at++)
			*at = 'x';
		at = strstr(at, before);
	}
}

static void check_both(struct both *both)
{
	struct harness *one = &both->subject, *other = &both->fresh;

	mask(&one->out, ACCEPTED);
	mask(&other->out, ACCEPTED);
	mask(&one->out, CHALLENGE);
	mask(&other->out, CHALLENGE);
	if (strcmp(buffer_str(&one->out), buffer_str(&other->out)) != 0)
		BUG("replies differ: %s and %s", buffer_str(&one->out), buffer_str(&other->out));
	if (session_state(one->session) != session_state(other->session) ||
		one->questions != other->questions || one->messages != other->messages)
		BUG("states differ");
	if (!is_same(session_auth(one->session), session_auth(other->session)))
		BUG("users differ");
	check_messages(session_envelope(one->session), session_envelope(other->session));
	check_messages(one->taken, other->taken);
}

/* As an edge does: what was sent in clear behind STARTTLS is thrown away. */
static void shake_hands(struct both *both)
{
	struct harness *h = &both->subject, *fresh = &both->fresh;
	bool immediately = h->settings.tls_immediately;

	check_replies(h);
	buffer_reset(&h->in);
	buffer_reset(&h->out);
	envelope_free(h->taken);
	h->taken = NULL;
	session_tls_started(h->session, "TLSv1.3", "TLS_AES_256_GCM_SHA384");
	if (session_state(h->session) != SESSION_READING)
		return;
	if (!session_is_secure(h->session) || session_envelope(h->session) || session_auth(h->session))
		BUG("something is left of what came in clear");
	harness_init(fresh);
	fresh->settings = h->settings;
	fresh->settings.tls_immediately = true;
	fresh->later = h->later;
	fresh->questions = h->questions;
	fresh->messages = h->messages;
	fresh->session = session_new(&fresh->settings, &harness_owner, fresh, &fresh->out, "192.0.2.1");
	session_tls_started(fresh->session, "TLSv1.3", "TLS_AES_256_GCM_SHA384");
	session_greet(fresh->session);
	if (immediately)
		session_greet(h->session);
	else
		buffer_reset(&fresh->out);
}

static void wait_for_tls(struct both *both, unsigned what)
{
	struct harness *h = &both->subject;

	if (what < 128)
		shake_hands(both);
	else if (what < 192)
		session_lost(h->session);
	else if (what < 224)
		session_timed_out(h->session);
	else
		session_drain(h->session, what & 1);
}

static void answer(struct harness *h, unsigned what)
{
	static const struct sasl_answer salt = { .salt = "salt", .salt_size = 4, .iterations = 4096 };
	const struct sasl_question *question = h->question;
	struct reply no = { 0 };

	if (what & 1)
		reply_set(&no, what & 2 ? 451 : 550, NULL, "no %u", what);
	h->question = NULL;
	if (question)
		session_authenticated(h->session, what & 1 ? &no : NULL, &salt);
	else
		session_answer(h->session, &no);
	harness_offer(h);
	reply_release(&no);
}

static void happen(struct harness *h, unsigned what)
{
	if (session_state(h->session) == SESSION_WAITING)
		answer(h, what);
	else if (what >= 253)
		session_drain(h->session, what & 1);
	else if (what == 252 && session_state(h->session) == SESSION_READING)
		session_timed_out(h->session);
	else if (what == 251 && session_state(h->session) == SESSION_READING)
		session_input_ended(h->session);
}

/* What comes while a handshake is due never reaches the session. */
static void send_early(struct harness *h, const uint8_t *data, size_t size)
{
	size_t before = h->out.size;

	if (session_input(h->session, (const char *)data, size) != size)
		BUG("octets in clear are kept");
	if (h->out.size != before || session_state(h->session) != SESSION_WANTS_TLS)
		BUG("octets in clear have an effect");
}

/* Returns false where the input means nothing more. */
static bool step(struct both *both, const uint8_t *data, size_t size)
{
	struct harness *h = &both->subject, *fresh = &both->fresh;
	bool wants_tls = session_state(h->session) == SESSION_WANTS_TLS;

	if (wants_tls && fresh->session)
		BUG("TLS within TLS");
	if (data[0] == 0 && wants_tls) {
		wait_for_tls(both, data[1]);
		return session_state(h->session) != SESSION_CLOSING && session_state(h->session) != SESSION_LINGERING;
	}
	if (data[0] == 0) {
		happen(h, data[1]);
		if (fresh->session)
			happen(fresh, data[1]);
	} else if (wants_tls) {
		send_early(h, data + 1, size - 1);
	} else {
		harness_send(h, (const char *)data + 1, size - 1, size - 1);
		if (fresh->session)
			harness_send(fresh, (const char *)data + 1, size - 1, size - 1);
	}
	if (fresh->session)
		check_both(both);
	else
		check_clear(h);
	return true;
}

static void run(struct both *both, const uint8_t *data, size_t size)
{
	bool first = true;

	while (size > 1) {
		size_t piece = data[0] ? data[0] : 1;
		bool had_fresh = both->fresh.session != NULL;

		piece = piece < size ? piece : size - 1;
		/* The first octet of all that a client says is looked at, to know TLS by it. */
		if (had_fresh && data[0] && first && data[1] == 22)
			return;
		if (had_fresh && data[0])
			first = false;
		if (!step(both, data, 1 + piece))
			return;
		data += 1 + piece;
		size -= 1 + piece;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool quiet;
	struct log_settings settings = { .level = LOG_LEVEL_DEBUG, .output = "/dev/null" };
	struct both both = { 0 };
	struct harness *h = &both.subject;

	if (!quiet)
		log_open("fuzz-session-tls", &settings);
	quiet = true;
	if (size < 2)
		return 0;
	harness_init(h);
	h->later = data[0] & 1;
	h->settings.tls_available = !(data[0] & 2);
	h->settings.require_tls = data[0] & 4;
	h->settings.tls_immediately = data[0] & 8 && h->settings.tls_available;
	h->settings.auth = data[0] & 16 ? NULL : &auths[!!(data[0] & 32)];
	h->settings.max_errors = 1000000;
	h->settings.extensions = data[0] & 64 ? data[1] | (EXTENSIONS_ALL & ~0xffu) : EXTENSIONS_ALL;
	h->session = session_new(&h->settings, &harness_owner, h, &h->out, "192.0.2.1");
	if (!h->settings.tls_immediately)
		session_greet(h->session);
	run(&both, data + 2, size - 2);
	check_replies(h);
	harness_close(h);
	if (both.fresh.session) {
		check_replies(&both.fresh);
		harness_close(&both.fresh);
	}
	return 0;
}
