/* verbs_mail.c - MAIL, RCPT and RSET
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/message/address.h"
#include "common/smtp/verbs.h"

/* Behind "FROM:" or "TO:" (white space after the colon is tolerated): the mailbox, owned, and where the
 * parameters begin. NULL after a reply that says what is wrong. */
static char *read_path(struct session *s, enum address_kind kind, const char *text, size_t size, size_t *rest)
{
	bool from = kind == ADDRESS_REVERSE_PATH;
	const char *keyword = from ? "FROM:" : "TO:";
	size_t at = strlen(keyword);
	const char *why = "expected a space behind the address";
	char *address = NULL;
	long taken;

	if (size < at || strncasecmp(text, keyword, at) != 0) {
		session_reply_arguments(s);
		return NULL;
	}
	while (at < size && text[at] == ' ')
		at++;
	taken = address_parse_path(text + at, size - at, kind, true, &address, &why);
	if (taken >= 0) {
		*rest = at + (size_t)taken;
		if (*rest == size || text[*rest] == ' ')
			return address;
		free(address);
	}
	session_reply(s, 501, from ? "5.1.7" : "5.1.3", "Bad %s address, %s", from ? "sender" : "recipient", why);
	return NULL;
}

/* RFC 3848, RFC 6531 4.3: what came by HELO has one name. */
static const char *protocol_of(const struct session *s)
{
	static const char *const names[][2] = {
		{ "ESMTP", "UTF8SMTP" }, { "ESMTPS", "UTF8SMTPS" }, { "ESMTPA", "UTF8SMTPA" }, { "ESMTPSA", "UTF8SMTPSA" },
	};
	unsigned row = session_is_secure(s) + 2 * (s->auth != NULL);

	return s->extended ? names[row][s->envelope->smtputf8] : "SMTP";
}

static void sender_answered(struct session *s, const struct reply *why)
{
	if (!why) {
		session_reply(s, 250, "2.1.0", "Sender <%s> Ok", s->envelope->sender);
		return;
	}
	session_reply_with(s, why);
	session_reset(s, NULL);
}

static void begin_transaction(struct session *s, char *sender)
{
	struct envelope *e = envelope_new();

	free(e->sender);
	e->sender = sender;
	e->client.ip = strcmp(s->client_ip, "unknown") == 0 ? NULL : xstrdup(s->client_ip);
	e->client.name = xstrdup(s->name);
	xstrset(&e->client.tls, s->tls);
	xstrset(&e->client.auth, s->auth);
	e->receiver = xstrdup(s->settings->hostname);
	s->envelope = e;
}

const struct envelope *session_envelope(const struct session *s)
{
	return s->envelope;
}

void session_set_client_host(struct session *s, const char *host)
{
	if (s->envelope)
		xstrset(&s->envelope->client.host, host);
}

void run_mail(struct session *s, const char *text, size_t size)
{
	size_t rest;
	char *sender = read_path(s, ADDRESS_REVERSE_PATH, text, size, &rest);

	if (!sender)
		return;
	begin_transaction(s, sender);
	if (parameters_read(s, PARAMETER_OF_MAIL, text + rest, size - rest) < 0) {
		session_reset(s, NULL);
		return;
	}
	if (!address_is_ascii(sender) && !s->envelope->smtputf8) {
		session_reply(s, 553, "5.6.7", "Address needs SMTPUTF8");
		session_reset(s, NULL);
		return;
	}
	s->envelope->client.protocol = xstrdup(protocol_of(s));
	s->answered = sender_answered;
	s->owner->sender(s->arg, s, s->envelope);
}

/* After the reply, which may have ended the session. */
static void refuse_recipient(struct session *s)
{
	struct envelope *e = s->envelope;
	struct recipient *r;

	if (!e)
		return;
	r = &e->recipients[--e->recipient_count];
	free(r->address);
	free(r->orcpt);
	json_decref(r->other);
}

static void recipient_answered(struct session *s, const struct reply *why)
{
	struct envelope *e = s->envelope;

	if (!why) {
		session_reply(s, 250, "2.1.5", "Recipient <%s> Ok",
			e->recipients[e->recipient_count - 1].address);
		return;
	}
	s->recipient = e->recipients[e->recipient_count - 1].address;
	session_reply_with(s, why);
	s->recipient = NULL;
	refuse_recipient(s);
}

void run_rcpt(struct session *s, const char *text, size_t size)
{
	size_t rest;
	char *address = read_path(s, ADDRESS_FORWARD_PATH, text, size, &rest);

	if (!address)
		return;
	s->recipient = address;
	if (!address_is_ascii(address) && !s->envelope->smtputf8) {
		session_reply(s, 553, "5.6.7", "Address needs SMTPUTF8");
	} else if (s->envelope->recipient_count >= s->settings->max_recipients) {
		session_refuse(s, "max_recipients", 452, "4.5.3", "Too many recipients");
	} else {
		envelope_add_recipient(s->envelope, address);
		if (parameters_read(s, PARAMETER_OF_RCPT, text + rest, size - rest) < 0) {
			refuse_recipient(s);
		} else {
			s->answered = recipient_answered;
			s->owner->recipient(s->arg, s, s->envelope,
				&s->envelope->recipients[s->envelope->recipient_count - 1]);
		}
	}
	s->recipient = NULL;
	free(address);
}

void run_rset(struct session *s, const char *text, size_t size)
{
	(void)text;
	if (size > 0) {
		session_reply_arguments(s);
		return;
	}
	session_reset(s, "RSET");
	session_reply(s, 250, "2.0.0", "Ok");
}
