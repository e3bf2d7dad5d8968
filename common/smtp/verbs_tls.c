/* verbs_tls.c - STARTTLS, and what TLS changes in a session
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/smtp/verbs.h"

bool session_is_secure(const struct session *s)
{
	return s->tls;
}

bool session_lacks_tls(const struct session *s)
{
	return s->settings->require_tls && !s->tls;
}

void session_discarded(const struct session *s, size_t octets)
{
	log_info("smtp", "discarded", LOG_TEXT("session", s->id), LOG_TEXT("client", s->client_ip), LOG_INT("octets", octets),
		LOG_TEXT("reason", "in clear behind STARTTLS"));
}

void run_starttls(struct session *s, const char *text, size_t size)
{
	(void)text;
	if (!(s->settings->extensions & EXTENSION_STARTTLS))
		session_reply(s, 502, "5.5.1", "Command not implemented");
	else if (session_is_secure(s) || !s->extended)
		session_reply(s, 503, "5.5.1", "Bad sequence of commands");
	else if (size > 0)
		session_reply_arguments(s);
	else if (!s->settings->tls_available)
		session_reply(s, 454, "4.7.0", "TLS not available");
	else
		session_reply(s, 220, "2.7.0", "Go ahead");
}

/* Whoever was on the way could have said any of it. */
static void forget(struct session *s)
{
	session_reset(s, "TLS began");
	free(s->name);
	s->name = NULL;
	free(s->auth);
	s->auth = NULL;
	s->extended = false;
	s->reader = (struct reader){ 0 };
	s->partial_since_ms = 0;
	s->refused_chunk = s->refused_before = false;
}

void session_tls_started(struct session *s, const char *version, const char *cipher)
{
	if (s->phase == PHASE_CLOSED)
		return;
	if (s->phase != PHASE_TLS)
		BUG("TLS in phase %d", s->phase);
	forget(s);
	s->tls = xasprintf("%s %s", version, cipher);
	session_enter(s, s->settings->tls_immediately ? PHASE_CONNECT : PHASE_START);
	if (s->draining && s->phase == PHASE_START)
		session_drain(s, false);
	else
		s->owner->changed(s->arg);
}
