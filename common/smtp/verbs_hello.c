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
};

unsigned extension_find(const char *keyword)
{
	for (size_t i = 0; i < ARRAY_SIZE(extensions); i++) {
		if (strcasecmp(extensions[i].keyword, keyword) == 0)
			return extensions[i].bit;
	}
	return 0;
}

static void append_extensions(const struct session_settings *settings, struct buffer *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(extensions); i++) {
		if (!(settings->extensions & extensions[i].bit))
			continue;
		buffer_appendf(text, "\n%s", extensions[i].keyword);
		if (extensions[i].bit == EXTENSION_SIZE)
			buffer_appendf(text, " %llu", (unsigned long long)settings->max_size_bytes);
		if (extensions[i].bit == EXTENSION_LIMITS)
			buffer_appendf(text, " RCPTMAX=%u", settings->max_recipients);
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
		append_extensions(s->settings, &text);
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
