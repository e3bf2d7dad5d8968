/* fuzz-session.c - the SMTP session: octets cut anywhere, answers that come later or refuse, TLS that begins amid them
 * SPDX-License-Identifier: MIT
 * Input: two octets of settings, then pieces: an octet of length and that many octets. A length of 0 makes
 * something happen instead: an answer, the end of a handshake, a drain, a time-out, the end of the input. */
#include "common/base/log.h"
#include "t/lib/smtp_harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every reply is a code, a hyphen or space, and printable text or UTF-8, ended by CR LF. */
static void check_replies(const struct buffer *out)
{
	const char *at = buffer_str(out), *end = at + out->size;

	while (at < end) {
		const char *lf = memchr(at, '\n', (size_t)(end - at));

		if (!lf || lf - at < 5 || lf[-1] != '\r' || at[0] < '2' || at[0] > '5' || (at[3] != ' ' && at[3] != '-'))
			BUG("a reply is broken: %.*s", (int)(end - at), at);
		for (const char *c = at; c < lf - 1; c++) {
			if ((unsigned char)*c < ' ' || *c == 127)
				BUG("a reply has a control character");
		}
		at = lf + 1;
	}
}

/* What is sent in clear behind STARTTLS has no effect, and what was said before it is forgotten. */
static void shake_hands(struct harness *h, const char *junk, size_t size)
{
	size_t had = h->out.size;
	unsigned asked = h->questions;

	if (session_input(h->session, junk, size) != size || h->out.size != had || h->questions != asked)
		BUG("what came in clear behind STARTTLS is not gone: %s", buffer_str(&h->out));
	session_tls_started(h->session, "TLSv1.3", "X");
	if (session_envelope(h->session) || session_auth(h->session) || !session_is_secure(h->session) || h->questions != asked)
		BUG("not all is forgotten");
	session_greet(h->session);
}

static void authenticate(struct harness *h, unsigned what)
{
	struct sasl_answer answer = { .salt = "salt", .salt_size = 1 + what % 4, .iterations = 4096 };
	struct reply no = { 0 };

	h->question = NULL;
	if (what & 1)
		reply_set(&no, what & 2 ? 454 : 535, NULL, "no %u", what);
	session_authenticated(h->session, what & 1 ? &no : NULL, &answer);
	reply_release(&no);
	harness_offer(h);
}

static bool is_open(const struct harness *h)
{
	return session_state(h->session) == SESSION_READING || session_state(h->session) == SESSION_WANTS_TLS;
}

static void happen(struct harness *h, unsigned what)
{
	struct reply no = { 0 };

	if (session_state(h->session) == SESSION_WANTS_TLS && what < 240) {
		shake_hands(h, "RSET\r\nQUIT\r\n", what % 13);
		harness_offer(h);
	} else if (h->question && session_state(h->session) == SESSION_WAITING) {
		authenticate(h, what);
	} else if (session_state(h->session) == SESSION_WAITING) {
		if (what & 1)
			reply_set(&no, what & 2 ? 451 : 550, NULL, "no %u", what);
		harness_answer(h, &no);
		reply_release(&no);
	} else if (what >= 253) {
		session_drain(h->session, what & 1);
	} else if (what == 252 && is_open(h)) {
		session_timed_out(h->session);
	} else if (what == 251 && is_open(h)) {
		session_input_ended(h->session);
	}
}

/* Ids are random; all else is to be the same. */
static void mask_ids(struct buffer *out)
{
	static const char before[] = "Message accepted for delivery; ";
	char *at = out->size ? memmem(out->data, out->size, before, strlen(before)) : NULL;

	while (at) {
		at += strlen(before);
		memset(at, 'x', ID_SIZE - 1);
		at = memmem(at, out->size - (size_t)(at - out->data), before, strlen(before));
	}
}

/* Where nothing happens in between, no cut makes a difference. */
static void check_cuts(const struct session_settings *settings, bool greet, const uint8_t *data, size_t size)
{
	size_t steps[] = { 1, 7, size + 1 };
	struct buffer first = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct harness h;

		harness_init(&h);
		h.settings = *settings;
		h.session = session_new(&h.settings, &harness_owner, &h, &h.out, "192.0.2.1");
		if (greet)
			session_greet(h.session);
		harness_send(&h, (const char *)data, size, steps[i]);
		check_replies(&h.out);
		mask_ids(&h.out);
		if (i == 0)
			buffer_append(&first, h.out.data, h.out.size);
		else if (strcmp(buffer_str(&first), buffer_str(&h.out)) != 0)
			BUG("cuts make a difference: %s and %s", buffer_str(&first), buffer_str(&h.out));
		harness_close(&h);
	}
	buffer_release(&first);
}

/* Nor does what comes in clear behind STARTTLS, be it all that is said within TLS later. */
static void check_injected(const struct session_settings *settings, bool greet, const char *data, size_t size)
{
	struct buffer first = { 0 };

	for (unsigned i = 0; i < 2; i++) {
		struct harness h;

		harness_init(&h);
		h.settings = *settings;
		h.session = session_new(&h.settings, &harness_owner, &h, &h.out, "192.0.2.1");
		if (greet)
			session_greet(h.session);
		for (size_t at = 0; at < size; at++) {
			if (session_state(h.session) == SESSION_WANTS_TLS)
				shake_hands(&h, data + at, i ? size - at : 0);
			harness_send(&h, data + at, 1, 1);
		}
		check_replies(&h.out);
		mask_ids(&h.out);
		if (i == 0)
			buffer_append(&first, h.out.data, h.out.size);
		else if (strcmp(buffer_str(&first), buffer_str(&h.out)) != 0)
			BUG("what was injected makes a difference: %s and %s", buffer_str(&first), buffer_str(&h.out));
		harness_close(&h);
	}
	buffer_release(&first);
}

static void run(struct harness *h, const uint8_t *data, size_t size)
{
	while (size > 1) {
		size_t piece = data[0];

		if (piece == 0) {
			happen(h, data[1]);
			piece = 1;
		} else {
			piece = piece < size ? piece : size - 1;
			harness_send(h, (const char *)data + 1, piece, piece);
		}
		data += 1 + piece;
		size -= 1 + piece;
		if (session_state(h->session) == SESSION_READING && h->in.size > (h->settings.auth ? 12290 : 2048))
			BUG("%zu octets are kept", h->in.size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool quiet;
	static struct session_auth auth;
	struct log_settings settings = { .level = LOG_LEVEL_DEBUG, .output = "/dev/null" };
	struct harness h;

	if (!quiet)
		log_open("fuzz-session", &settings);
	quiet = true;
	if (size < 2)
		return 0;
	harness_init(&h);
	h.later = data[0] & 1;
	h.settings.normalize_newlines = data[0] & 2;
	h.settings.max_size_bytes = data[0] & 4 ? 0 : 100;
	h.settings.max_errors = data[0] & 8 ? 3 : 1000;
	h.settings.extensions = data[0] & 16 ? EXTENSIONS_ALL : data[1] | (EXTENSIONS_ALL & ~255u);
	h.settings.tls_available = data[0] & 64;
	h.settings.auth = data[0] & 128 ? &auth : NULL;
	if (data[0] & 16) {
		h.settings.require_tls = data[1] & 1;
		h.settings.tls_immediately = h.settings.tls_available && data[1] & 2;
	}
	auth = (struct session_auth){ .scram = h.later, .without_tls = data[1] & 8 };
	h.session = session_new(&h.settings, &harness_owner, &h, &h.out, "192.0.2.1");
	if (!(data[0] & 32))
		session_greet(h.session);
	run(&h, data + 2, size - 2);
	check_replies(&h.out);
	if (!h.later && h.settings.tls_available)
		check_injected(&h.settings, !(data[0] & 32), (const char *)data + 2, size - 2);
	else if (!h.later)
		check_cuts(&h.settings, !(data[0] & 32), data + 2, size - 2);
	harness_close(&h);
	return 0;
}
