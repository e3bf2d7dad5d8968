/* address.c - mailboxes and paths
 * SPDX-License-Identifier: MIT
 * A reader walks text[at..size); each take_* moves `at` behind what it took, or says what was expected. */
#include "common/message/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "common/base/memory.h"
#include "common/base/text.h"

#define LABEL_MAX 63
#define LITERAL_MAX 64

struct reader {
	const char *text;
	size_t size;
	size_t at;
	bool utf8;
	const char *why;
};

static bool fail(struct reader *reader, const char *why)
{
	if (!reader->why)
		reader->why = why;
	return false;
}

/* The octet at hand; 0 at the end, which no rule takes. */
static unsigned char peek(const struct reader *reader)
{
	return reader->at < reader->size ? (unsigned char)reader->text[reader->at] : 0;
}

static bool take(struct reader *reader, char c)
{
	if (peek(reader) != (unsigned char)c)
		return false;
	reader->at++;
	return true;
}

/* A character beyond ASCII, where SMTPUTF8 allows them (RFC 6531 3.3); C1 controls are none. */
static bool take_non_ascii(struct reader *reader)
{
	uint32_t character = 0;
	size_t length;

	if (peek(reader) < 0x80)
		return false;
	if (!reader->utf8)
		return fail(reader, "expected ASCII, as SMTPUTF8 was not asked for");
	length = utf8_next(reader->text + reader->at, reader->size - reader->at, &character);
	if (!length || character < 0xa0)
		return fail(reader, "expected valid UTF-8");
	reader->at += length;
	return true;
}

static bool is_atext(unsigned char c)
{
	return isalnum(c) || (c && c < 0x80 && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool take_dot_string(struct reader *reader)
{
	do {
		size_t start = reader->at;

		while (is_atext(peek(reader)) || take_non_ascii(reader))
			if (is_atext(peek(reader)))
				reader->at++;
		if (reader->at == start)
			return fail(reader, "expected a local part");
	} while (take(reader, '.'));
	return true;
}

static bool take_quoted_string(struct reader *reader)
{
	reader->at++;
	while (!take(reader, '"')) {
		unsigned char c = peek(reader);

		if (c == '\\') {
			reader->at++;
			c = peek(reader);
		}
		if (c >= 0x20 && c < 0x7f)
			reader->at++;
		else if (!take_non_ascii(reader))
			return fail(reader, "expected the end of the quoted local part");
	}
	return true;
}

static bool take_local_part(struct reader *reader)
{
	size_t start = reader->at;

	if (!(peek(reader) == '"' ? take_quoted_string(reader) : take_dot_string(reader)))
		return false;
	return reader->at - start <= ADDRESS_MAX_LOCAL || fail(reader, "expected a local part of at most 64 octets");
}

/* With "_", which the grammar lacks and hosts have. */
static bool is_label_octet(unsigned char c)
{
	return isalnum(c) || c == '-' || c == '_';
}

static bool take_label(struct reader *reader)
{
	size_t start = reader->at;

	while (is_label_octet(peek(reader)) || take_non_ascii(reader))
		if (is_label_octet(peek(reader)))
			reader->at++;
	if (reader->at == start || reader->text[start] == '-' || reader->text[reader->at - 1] == '-')
		return fail(reader, "expected a domain");
	return reader->at - start <= LABEL_MAX || fail(reader, "expected labels of at most 63 octets");
}

static bool take_domain(struct reader *reader)
{
	size_t start = reader->at;

	do {
		if (!take_label(reader))
			return false;
	} while (take(reader, '.'));
	return reader->at - start <= ADDRESS_MAX_DOMAIN || fail(reader, "expected a domain of at most 255 octets");
}

/* [192.0.2.1] or [IPv6:2001:db8::1]; no other tag was ever registered. */
static bool take_literal(struct reader *reader)
{
	const char *start = reader->text + reader->at + 1;
	const char *end = memchr(start, ']', reader->size - reader->at - 1);
	struct in6_addr address;
	char inside[LITERAL_MAX];
	size_t size = end ? (size_t)(end - start) : 0;
	int family = AF_INET;

	if (size && size < sizeof(inside)) {
		memcpy(inside, start, size);
		inside[size] = '\0';
		if (!strncasecmp(inside, "IPv6:", 5)) {
			family = AF_INET6;
			memmove(inside, inside + 5, size - 5 + 1);
		}
		if (strlen(inside) == size - (family == AF_INET6 ? 5 : 0) && inet_pton(family, inside, &address) == 1) {
			reader->at += size + 2;
			return true;
		}
	}
	return fail(reader, "expected an address literal as [192.0.2.1] or [IPv6:2001:db8::1]");
}

static bool take_host(struct reader *reader)
{
	return peek(reader) == '[' ? take_literal(reader) : take_domain(reader);
}

/* "@one,@two:" (RFC 5321 appendix C): read and left out. */
static bool take_source_route(struct reader *reader)
{
	do {
		if (!take(reader, '@'))
			return fail(reader, "expected @ and a domain in the source route");
		if (!take_domain(reader))
			return false;
	} while (take(reader, ','));
	return take(reader, ':') || fail(reader, "expected : behind the source route");
}

static bool take_mailbox(struct reader *reader, enum address_kind kind, size_t *start)
{
	if (peek(reader) == '@' && !take_source_route(reader))
		return false;
	*start = reader->at;
	if (!take_local_part(reader))
		return false;
	if (kind == ADDRESS_FORWARD_PATH && peek(reader) == '>' && reader->at - *start == strlen("postmaster") &&
			!strncasecmp(reader->text + *start, "postmaster", reader->at - *start))
		return true;
	if (!take(reader, '@'))
		return fail(reader, "expected @ and a domain behind the local part");
	if (!take_host(reader))
		return false;
	return reader->at - *start + 2 <= ADDRESS_MAX_PATH || fail(reader, "expected a path of at most 256 octets");
}

static bool take_path(struct reader *reader, enum address_kind kind, size_t *start, size_t *end)
{
	if (!take(reader, '<'))
		return fail(reader, "expected <");
	*start = reader->at;
	if (!(kind == ADDRESS_REVERSE_PATH && peek(reader) == '>') && !take_mailbox(reader, kind, start))
		return false;
	*end = reader->at;
	return take(reader, '>') || fail(reader, "expected > at the end of the address");
}

long address_parse_path(const char *text, size_t size, enum address_kind kind, bool utf8, char **address,
	const char **why)
{
	struct reader reader = { .text = text, .size = size, .utf8 = utf8 };
	size_t start = 0, end = 0;

	if (!take_path(&reader, kind, &start, &end)) {
		*why = reader.why;
		return -1;
	}
	*address = xstrndup(text + start, end - start);
	return (long)reader.at;
}

bool address_is_mailbox(const char *address, enum address_kind kind, bool utf8)
{
	struct reader reader = { .size = strlen(address) + 2, .utf8 = utf8 };
	char path[ADDRESS_MAX_PATH];
	size_t start = 0, end = 0;

	if (reader.size > ADDRESS_MAX_PATH)
		return false;
	path[0] = '<';
	memcpy(path + 1, address, reader.size - 2);
	path[reader.size - 1] = '>';
	reader.text = path;
	return take_path(&reader, kind, &start, &end) && reader.at == reader.size && start == 1;
}

const char *address_domain(const char *address)
{
	const char *at = strrchr(address, '@');

	return at ? at + 1 : NULL;
}

bool address_is_ascii(const char *address)
{
	return text_is_ascii(address, strlen(address));
}

bool address_is_postmaster(const char *address)
{
	return !strcasecmp(address, "postmaster");
}

bool address_is_ehlo_name(const char *text, size_t size)
{
	struct reader reader = { .text = text, .size = size };

	return size && take_host(&reader) && reader.at == size;
}
