/* parameters.c - the parameters of MAIL and RCPT as rows
 * SPDX-License-Identifier: MIT */
#include <string.h>
#include <strings.h>

#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/message/xtext.h"
#include "common/smtp/verbs.h"

#define AUTH_PARAMETER_MAX 500

/* Each takes its value (NULL: there was no "="): 0, or -1 after the session has replied. */

static int take_size(struct session *s, const char *value, size_t size)
{
	uint64_t most = s->settings->max_size_bytes, declared;

	if (!value || size > 20) {
		session_reply_arguments(s);
		return -1;
	}
	for (size_t i = 0; i < size; i++) {
		if (value[i] < '0' || value[i] > '9') {
			session_reply_arguments(s);
			return -1;
		}
	}
	/* Twenty digits may be more than 64 bits hold: then it is more than any limit. */
	if (!parse_u64(value, size, INT64_MAX, &declared)) {
		if (size == 0) {
			session_reply_arguments(s);
			return -1;
		}
		declared = INT64_MAX;
	}
	if (most && declared > most) {
		s->cause = &(struct session_cause){ "max_size", NULL };
		session_reply(s, 552, "5.3.4", "Message size exceeds %llu limit",
			(unsigned long long)most);
		return -1;
	}
	s->envelope->size = declared;
	return 0;
}

static int take_body(struct session *s, const char *value, size_t size)
{
	if (value && size == 4 && strncasecmp(value, "7BIT", 4) == 0) {
		s->envelope->body = BODY_7BIT;
		return 0;
	}
	if (value && size == 8 && strncasecmp(value, "8BITMIME", 8) == 0) {
		s->envelope->body = BODY_8BITMIME;
		return 0;
	}
	session_reply_arguments(s);
	return -1;
}

static int take_smtputf8(struct session *s, const char *value, size_t size)
{
	(void)size;
	if (value) {
		session_reply_arguments(s);
		return -1;
	}
	s->envelope->smtputf8 = true;
	return 0;
}

static int take_requiretls(struct session *s, const char *value, size_t size)
{
	(void)size;
	if (value) {
		session_reply_arguments(s);
		return -1;
	}
	s->envelope->requiretls = true;
	return 0;
}

static int take_ret(struct session *s, const char *value, size_t size)
{
	if (value && size == 4 && strncasecmp(value, "FULL", 4) == 0) {
		s->envelope->ret = 'F';
		return 0;
	}
	if (value && size == 4 && strncasecmp(value, "HDRS", 4) == 0) {
		s->envelope->ret = 'H';
		return 0;
	}
	session_reply_arguments(s);
	return -1;
}

static int take_envid(struct session *s, const char *value, size_t size)
{
	if (value && size + strlen("ENVID=") <= XTEXT_ENVID_MAX)
		s->envelope->envid = xtext_decode(value, size);
	if (s->envelope->envid)
		return 0;
	session_reply_arguments(s);
	return -1;
}

static bool is_upper_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F');
}

/* xtext (RFC 4954 5). Who sent it first is read, and said to nobody: a client is who it has shown to be. */
static int take_auth(struct session *s, const char *value, size_t size)
{
	bool good = value && size <= AUTH_PARAMETER_MAX;

	for (size_t i = 0; good && i < size; i++) {
		if (value[i] != '+')
			continue;
		good = size - i > 2 && is_upper_hex(value[i + 1]) && is_upper_hex(value[i + 2]);
		i += 2;
	}
	if (good)
		return 0;
	session_reply_arguments(s);
	return -1;
}

static struct recipient *last_recipient(struct session *s)
{
	return &s->envelope->recipients[s->envelope->recipient_count - 1];
}

static unsigned notify_bit(const char *name, size_t size)
{
	static const struct {
		const char *name;
		unsigned bit;
	} names[] = {
		{ "NEVER", NOTIFY_NEVER }, { "SUCCESS", NOTIFY_SUCCESS },
		{ "FAILURE", NOTIFY_FAILURE }, { "DELAY", NOTIFY_DELAY },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strlen(names[i].name) == size && strncasecmp(names[i].name, name, size) == 0)
			return names[i].bit;
	}
	return 0;
}

/* NEVER alone, or a list of the others; 0 if it is neither. */
static unsigned notify_bits(const char *value, size_t size)
{
	unsigned bits = 0;

	for (;;) {
		const char *comma = memchr(value, ',', size);
		size_t name_size = comma ? (size_t)(comma - value) : size;
		unsigned bit = notify_bit(value, name_size);

		if (!bit || (bits && ((bits | bit) & NOTIFY_NEVER)))
			return 0;
		bits |= bit;
		if (!comma)
			return bits;
		value += name_size + 1;
		size -= name_size + 1;
	}
}

static int take_notify(struct session *s, const char *value, size_t size)
{
	unsigned bits = value ? notify_bits(value, size) : 0;

	if (!bits) {
		session_reply_arguments(s);
		return -1;
	}
	last_recipient(s)->notify = bits;
	return 0;
}

static int take_orcpt(struct session *s, const char *value, size_t size)
{
	bool utf8 = s->settings->extensions & EXTENSION_SMTPUTF8;
	char *orcpt = NULL;

	if (value && size + strlen("ORCPT=") <= XTEXT_ORCPT_MAX)
		orcpt = orcpt_decode(value, size, utf8);
	if (!orcpt) {
		session_reply_arguments(s);
		return -1;
	}
	last_recipient(s)->orcpt = orcpt;
	return 0;
}

static const struct {
	const char *name;
	enum parameter_of of;
	unsigned extension;
	int (*take)(struct session *, const char *value, size_t size);
} parameters[] = {
	{ "SIZE", PARAMETER_OF_MAIL, EXTENSION_SIZE, take_size },
	{ "BODY", PARAMETER_OF_MAIL, EXTENSION_8BITMIME, take_body },
	{ "SMTPUTF8", PARAMETER_OF_MAIL, EXTENSION_SMTPUTF8, take_smtputf8 },
	{ "REQUIRETLS", PARAMETER_OF_MAIL, EXTENSION_REQUIRETLS, take_requiretls },
	{ "RET", PARAMETER_OF_MAIL, EXTENSION_DSN, take_ret },
	{ "ENVID", PARAMETER_OF_MAIL, EXTENSION_DSN, take_envid },
	{ "AUTH", PARAMETER_OF_MAIL, EXTENSION_AUTH, take_auth },
	{ "NOTIFY", PARAMETER_OF_RCPT, EXTENSION_DSN, take_notify },
	{ "ORCPT", PARAMETER_OF_RCPT, EXTENSION_DSN, take_orcpt },
};

/* RFC 5321 4.1.2: a letter or digit, then those and hyphens; a value is printable without "="
 * (UTF-8 by RFC 6531). */
static bool is_well_formed(const char *text, size_t size, size_t name_size)
{
	for (size_t i = 0; i < name_size; i++) {
		bool letter = (text[i] >= 'A' && text[i] <= 'Z') ||
			(text[i] >= 'a' && text[i] <= 'z') || (text[i] >= '0' && text[i] <= '9');

		if (!letter && !(text[i] == '-' && i > 0))
			return false;
	}
	for (size_t i = name_size + 1; i < size; i++) {
		if ((unsigned char)text[i] <= ' ' || text[i] == '=' || text[i] == 127)
			return false;
	}
	return name_size > 0 && name_size + 1 != size && utf8_is_valid(text, size);
}

static int read_one(struct session *s, enum parameter_of of, unsigned *seen, const char *text,
	size_t size)
{
	const char *equals = memchr(text, '=', size);
	size_t name_size = equals ? (size_t)(equals - text) : size;

	if (!is_well_formed(text, size, name_size)) {
		session_reply_arguments(s);
		return -1;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(parameters); i++) {
		if (parameters[i].of != of || !s->extended
			|| !session_offers(s, parameters[i].extension)
			|| strlen(parameters[i].name) != name_size
			|| strncasecmp(parameters[i].name, text, name_size) != 0)
			continue;
		if (*seen & (1u << i)) {
			session_reply_arguments(s);
			return -1;
		}
		*seen |= 1u << i;
		return parameters[i].take(s, equals ? equals + 1 : NULL,
			equals ? size - name_size - 1 : 0);
	}
	session_reply(s, 555, "5.5.4", "Parameter %.*s not recognized", (int)name_size, text);
	return -1;
}

int parameters_read(struct session *s, enum parameter_of of, const char *text, size_t size)
{
	unsigned seen = 0;
	size_t at = 0;

	while (at < size) {
		size_t end = at;

		while (end < size && text[end] != ' ')
			end++;
		if (end > at && read_one(s, of, &seen, text + at, end - at) < 0)
			return -1;
		at = end + 1;
	}
	return 0;
}
