/* verbs_data.c - DATA and BDAT
 * SPDX-License-Identifier: MIT */
#include <string.h>
#include <strings.h>

#include "common/base/text.h"
#include "common/smtp/verbs.h"

void run_data(struct session *s, const char *text, size_t size)
{
	(void)text;
	if (size > 0) {
		session_reply_arguments(s);
		return;
	}
	incoming_begin(s);
	session_reply(s, 354, NULL, "Start mail input; end with <CRLF>.<CRLF>");
}

/* "SIZE" or "SIZE LAST" (RFC 3030 2), SIZE of 1 to 20 digits; more than any chunk has is INT64_MAX. */
static bool read_chunk(const char *text, size_t size, uint64_t *octets, bool *last)
{
	const char *gap = memchr(text, ' ', size);
	size_t digits = gap ? (size_t)(gap - text) : size, at = digits;

	while (at < size && text[at] == ' ')
		at++;
	*last = size - at == strlen("LAST") && strncasecmp(text + at, "LAST", size - at) == 0;
	if (!digits || digits > 20 || (at < size && !*last))
		return false;
	for (size_t i = 0; i < digits; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
	}
	if (!parse_u64(text, digits, INT64_MAX, octets))
		*octets = INT64_MAX;
	return true;
}

/* What follows the command are octets, whatever becomes of it: none of them is ever read as a command. */
void run_bdat(struct session *s, const char *text, size_t size)
{
	uint64_t octets;
	bool last;

	if (!read_chunk(text, size, &octets, &last))
		session_end(s, 501, "5.5.4", "Syntax: BDAT SIZE [LAST]; nobody knows where its octets end");
	else if (!(s->settings->extensions & EXTENSION_CHUNKING))
		incoming_discard(s, octets, 502, "5.5.1", "Command not implemented");
	else if (session_lacks_tls(s))
		incoming_discard(s, octets, 530, "5.7.0", TEXT_LACKS_TLS);
	else if ((s->phase != PHASE_RCPT && s->phase != PHASE_BDAT) || !s->extended)
		incoming_discard(s, octets, 503, "5.5.1", "Bad sequence of commands");
	else
		incoming_chunk(s, octets, last);
}
