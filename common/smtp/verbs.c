/* verbs.c - the verbs as rows, and those that need no file of their own
 * SPDX-License-Identifier: MIT */
#include "common/smtp/verbs.h"

#include <string.h>
#include <strings.h>

#include "common/base/memory.h"

#define GREETED (IN(READY) | IN(MAIL) | IN(RCPT) | IN(BDAT))
#define ALWAYS (IN(START) | GREETED)

static void run_noop(struct session *s, const char *text, size_t size)
{
	(void)text;
	(void)size;
	session_reply(s, 250, "2.0.0", "Ok");
}

static void run_vrfy(struct session *s, const char *text, size_t size)
{
	(void)text;
	if (size == 0)
		session_reply_arguments(s);
	else
		session_reply(s, 252, "2.5.0",
			"Cannot verify, but will take a message and try to deliver it");
}

static void run_expn(struct session *s, const char *text, size_t size)
{
	(void)text;
	(void)size;
	session_reply(s, 502, "5.5.1", "Command not implemented");
}

static void run_help(struct session *s, const char *text, size_t size)
{
	(void)text;
	(void)size;
	session_reply(s, 214, "2.0.0", "See RFC 5321");
}

static void run_quit(struct session *s, const char *text, size_t size)
{
	(void)text;
	if (size > 0) {
		session_reply_arguments(s);
		return;
	}
	session_reset(s, "QUIT");
	session_reply(s, 221, "2.0.0", "Bye");
}

/* A browser was led here, maybe to say what is SMTP in its body. */
static void run_http(struct session *s, const char *text, size_t size)
{
	(void)text;
	(void)size;
	session_end(s, 421, "4.7.0", "This is SMTP, not HTTP");
}

static void run_unknown(struct session *s, const char *text, size_t size)
{
	(void)text;
	(void)size;
	session_reply(s, 500, "5.5.2", "Syntax error, command unrecognized");
}

/* MAIL: SIZE 26, BODY 17, SMTPUTF8 10 (RFC 1870, 6152, 6531), RET 9, ENVID 101; RCPT: NOTIFY 29,
 * ORCPT 501 (RFC 3461 5.4), REQUIRETLS 11 (RFC 8689 2), AUTH 506 (RFC 4954 5), each with its space. */
static const struct verb verbs[] = {
	{ "EHLO", ALWAYS,		PHASE_FRESH,	run_ehlo, .plain = true },
	{ "HELO", ALWAYS,		PHASE_FRESH,	run_helo, .plain = true },
	{ "MAIL", IN(READY),		PHASE_MAIL,	run_mail, .more = 26 + 17 + 10 + 9 + 101 + 11 + 506, .useful = true,
		.guarded = true },
	{ "RCPT", IN(MAIL) | IN(RCPT),	PHASE_RCPT,	run_rcpt, .more = 29 + 501, .useful = true, .guarded = true },
	{ "DATA", IN(RCPT),		PHASE_DATA,	run_data, .useful = true, .guarded = true },
	{ "BDAT", ALWAYS,		PHASE_SAME,	run_bdat },
	{ "RSET", ALWAYS,		PHASE_FRESH,	run_rset },
	{ "NOOP", ALWAYS,		PHASE_SAME,	run_noop },
	{ "STARTTLS", IN(READY),	PHASE_TLS,	run_starttls },
	{ "AUTH", IN(READY),		PHASE_SAME,	run_auth, .more = AUTH_LINE_MAX - READER_LINE_MAX, .guarded = true },
	{ "VRFY", ALWAYS,		PHASE_SAME,	run_vrfy, .guarded = true },
	{ "EXPN", ALWAYS,		PHASE_SAME,	run_expn, .guarded = true },
	{ "HELP", ALWAYS,		PHASE_SAME,	run_help },
	{ "QUIT", ALWAYS,		PHASE_CLOSED,	run_quit },
	{ "GET", ALWAYS,		PHASE_CLOSED,	run_http },
	{ "POST", ALWAYS,		PHASE_CLOSED,	run_http },
	{ "PUT", ALWAYS,		PHASE_CLOSED,	run_http },
	{ "HEAD", ALWAYS,		PHASE_CLOSED,	run_http },
	{ "CONNECT", ALWAYS,		PHASE_CLOSED,	run_http },
	{ "OPTIONS", ALWAYS,		PHASE_CLOSED,	run_http },
};
static const struct verb unknown = { "unknown", ALWAYS, PHASE_SAME, run_unknown };
const struct verb end_of_data = { "end of data", 0, PHASE_FRESH, NULL, .useful = true };
const struct verb end_of_chunk = { "BDAT", 0, PHASE_BDAT, NULL, .useful = true };
const struct verb end_of_empty_chunk = { "BDAT", 0, PHASE_BDAT, NULL };
const struct verb end_of_discarded = { "BDAT", 0, PHASE_SAME, NULL };

const struct verb *verb_find(const char *line, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		size_t length = strlen(verbs[i].name);

		if (size < length || strncasecmp(line, verbs[i].name, length) != 0)
			continue;
		if (size == length || line[length] == ' ' || line[length] == '\t')
			return &verbs[i];
	}
	return &unknown;
}
