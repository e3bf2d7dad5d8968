/* verbs_auth.c - AUTH (RFC 4954)
 * SPDX-License-Identifier: MIT
 * Between a 334 and the client's response the session is in PHASE_AUTH; else the exchange is that of the verb under way. */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/base64.h"
#include "common/base/memory.h"
#include "common/smtp/verbs.h"

static const struct verb challenge = { "AUTH", 0, PHASE_AUTH, NULL, .useful = true };
static const struct verb response = { "AUTH", 0, PHASE_SAME, run_auth };

bool session_allows_auth(const struct session *s)
{
	return s->settings->auth && (session_is_secure(s) || s->settings->auth->without_tls);
}

const char *session_auth(const struct session *s)
{
	return s->auth;
}

bool session_forget_secret(struct session *s)
{
	bool had = s->had_secret;

	s->had_secret = false;
	return had;
}

void auth_end(struct session *s)
{
	sasl_server_free(s->sasl);
	s->sasl = NULL;
	s->asking = false;
}

static void refuse(struct session *s, unsigned code, const char *status, const char *text)
{
	auth_end(s);
	session_reply(s, code, status, "%s", text);
}

static void refuse_base64(struct session *s)
{
	refuse(s, 501, "5.5.2", "Cannot decode what is not base64");
}

static void accept_user(struct session *s)
{
	s->auth = xstrdup(sasl_server_user(s->sasl));
	auth_end(s);
	session_reply(s, 235, "2.7.0", "Authentication successful");
}

static void send_challenge(struct session *s, const struct buffer *text)
{
	struct buffer encoded = { 0 };

	base64_append(&encoded, text->data, text->size);
	s->verb = &challenge;
	session_reply(s, 334, NULL, "%s", buffer_str(&encoded));
	buffer_release(&encoded);
}

static void go_on(struct session *s, enum sasl_result result, const struct buffer *text)
{
	switch (result) {
	case SASL_CHALLENGE:
		send_challenge(s, text);
		break;
	case SASL_ASKS:
	case SASL_REFUSED:
		s->asking = true;
		s->owner->authenticate(s->arg, s, sasl_server_question(s->sasl));
		break;
	case SASL_ACCEPTED:
		accept_user(s);
		break;
	case SASL_MALFORMED:
		refuse(s, 501, "5.5.2", "Not what the mechanism says");
		break;
	}
}

static void input(struct session *s, const char *octets, size_t size)
{
	struct buffer text = { 0 };
	enum sasl_result result = sasl_server_input(s->sasl, octets, size, &text);

	go_on(s, result, &text);
	buffer_release(&text);
}

static void input_base64(struct session *s, const char *text, size_t size)
{
	struct buffer raw = { 0 };

	buffer_reserve(&raw, size + 1);		/* so that no copy of a secret stays behind */
	if (base64_decode(&raw, text, size))
		input(s, buffer_str(&raw), raw.size);
	else
		refuse_base64(s);
	OPENSSL_cleanse(raw.data, raw.capacity);
	buffer_release(&raw);
}

void session_authenticated(struct session *s, const struct reply *why, const struct sasl_answer *answer)
{
	struct buffer text = { 0 };

	if (!s->asking)
		BUG("an answer that nobody asked for");
	s->asking = false;
	if (why) {
		auth_end(s);
		session_reply_with(s, why);
		return;
	}
	if (sasl_server_question(s->sasl)->kind == SASL_NOBODY)
		refuse(s, 535, "5.7.8", "Authentication credentials invalid");
	else
		go_on(s, sasl_server_answer(s->sasl, answer, &text), &text);
	buffer_release(&text);
}

/* ---- AUTH MECHANISM [INITIAL-RESPONSE] */

static void begin(struct session *s, const char *text, size_t size)
{
	const char *space = memchr(text, ' ', size);
	size_t name_size = space ? (size_t)(space - text) : size, at = name_size;

	while (at < size && text[at] == ' ')
		at++;
	s->sasl = sasl_server_new(text, name_size, s->settings->auth->scram);
	if (!s->sasl)
		refuse(s, 504, "5.5.4", "Invalid authentication mechanism");
	else if (at == size)
		input(s, NULL, 0);
	else if (size - at == 1 && text[at] == '=')
		input(s, "", 0);
	else
		input_base64(s, text + at, size - at);
}

void run_auth(struct session *s, const char *text, size_t size)
{
	if (!s->settings->auth || !(s->settings->extensions & EXTENSION_AUTH))
		session_reply(s, 502, "5.5.1", "Command not implemented");
	else if (!s->extended || s->auth)
		session_reply(s, 503, "5.5.1", s->auth ? "Already authenticated" : "Bad sequence of commands");
	else if (!session_allows_auth(s))
		session_refuse(s, "auth_without_tls", 538, "5.7.11",
			"Encryption required for requested authentication mechanism");
	else if (size == 0)
		session_reply_arguments(s);
	else
		begin(s, text, size);
}

/* ---- what comes in PHASE_AUTH */

static void begin_response(struct session *s)
{
	s->had_secret = true;
	session_receive(s, PHASE_READY);
	session_begin(s, &response);
}

void auth_line(struct session *s, const char *line, size_t size)
{
	begin_response(s);
	if (size == 1 && line[0] == '*')
		refuse(s, 501, "5.7.0", "Authentication canceled by client");
	else
		input_base64(s, line, size);
}

void auth_line_too_long(struct session *s)
{
	begin_response(s);
	refuse(s, 500, "5.5.6", TEXT_AUTH_TOO_LONG);
}
