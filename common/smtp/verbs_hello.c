/* verbs_hello.c - EHLO and HELO
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/message/address.h"
#include "common/smtp/verbs.h"

/* In the order of the EHLO reply. */
static const struct {
	const char *keyword;
	unsigned bit;
} extensions[] = {
	{ "SIZE", EXTENSION_SIZE },
	{ "8BITMIME", EXTENSION_8BITMIME },
	{ "PIPELINING", EXTENSION_PIPELINING },
	{ "ENHANCEDSTATUSCODES", EXTENSION_ENHANCEDSTATUSCODES },
	{ "SMTPUTF8", EXTENSION_SMTPUTF8 },
	{ "DSN", EXTENSION_DSN },
	{ "CHUNKING", EXTENSION_CHUNKING },
	{ "LIMITS", EXTENSION_LIMITS },
	{ "REQUIRETLS", EXTENSION_REQUIRETLS },
	{ "STARTTLS", EXTENSION_STARTTLS },
	{ "AUTH", EXTENSION_AUTH },
};

unsigned extension_find(const char *keyword)
{
	for (size_t i = 0; i < ARRAY_SIZE(extensions); i++) {
		if (strcasecmp(extensions[i].keyword, keyword) == 0)
			return extensions[i].bit;
	}
	return 0;
}

bool session_offers(const struct session *s, unsigned extension)
{
	if (!(s->settings->extensions & extension))
		return false;
	switch (extension) {
	case EXTENSION_REQUIRETLS:
		return session_is_secure(s);
	case EXTENSION_STARTTLS:
		return s->settings->tls_available && !session_is_secure(s);
	case EXTENSION_AUTH:
		return session_allows_auth(s);
	}
	return true;
}

static void append_extensions(const struct session *s, struct buffer *text)
{
	const struct session_settings *settings = s->settings;

	for (size_t i = 0; i < ARRAY_SIZE(extensions); i++) {
		if (!session_offers(s, extensions[i].bit))
			continue;
		buffer_appendf(text, "\n%s", extensions[i].keyword);
		if (extensions[i].bit == EXTENSION_SIZE)
			buffer_appendf(text, " %llu", (unsigned long long)settings->max_size_bytes);
		if (extensions[i].bit == EXTENSION_LIMITS)
			buffer_appendf(text, " RCPTMAX=%u", settings->max_recipients);
		if (extensions[i].bit == EXTENSION_AUTH)
			buffer_appendf(text, " %s", settings->auth->scram ? SASL_MECHANISMS : SASL_MECHANISMS_PLAIN);
	}
}

static void hello(struct session *s, const char *name, size_t size, bool extended)
{
	struct buffer text = { 0 };

	if (!address_is_ehlo_name(name, size)) {
		session_reply_arguments(s);
		return;
	}
	session_reset(s, "new EHLO");
	free(s->name);
	s->name = xstrndup(name, size);
	s->extended = extended;
	buffer_appendf(&text, "%s Hello %s", s->settings->hostname, s->name);
	if (extended)
		append_extensions(s, &text);
	session_reply(s, 250, NULL, "%s", buffer_str(&text));
	buffer_release(&text);
}

void run_ehlo(struct session *s, const char *text, size_t size)
{
	hello(s, text, size, true);
}

void run_helo(struct session *s, const char *text, size_t size)
{
	hello(s, text, size, false);
}
