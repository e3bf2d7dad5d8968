/* macros.c - the values that a command's arguments are made of
 * SPDX-License-Identifier: MIT */
#include "worker/macros.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/text.h"

static const char *const names[MACRO_COUNT] = {
	[MACRO_SENDER] = "sender",
	[MACRO_RECIPIENT] = "recipient",
	[MACRO_MESSAGE_ID] = "message_id",
	[MACRO_CLIENT_IP] = "client_ip",
	[MACRO_CLIENT_HOST] = "client_host",
	[MACRO_CLIENT_EHLO] = "client_ehlo",
	[MACRO_CLIENT_PROTOCOL] = "client_protocol",
	[MACRO_CLIENT_AUTH] = "client_auth",
};

/* A part is literal text, and then perhaps a value. */
struct part {
	char *literal;
	bool has_value;
	enum macro value;
};

struct template {
	struct part *parts;
	size_t count;
};

const char *macro_name(enum macro macro)
{
	return names[macro];
}

void macros_from_envelope(struct macros *macros, const struct envelope *envelope, size_t recipient)
{
	const struct client *client = &envelope->client;

	*macros = (struct macros){ {
		[MACRO_SENDER] = envelope->sender,
		[MACRO_RECIPIENT] = envelope->recipients[recipient].address,
		[MACRO_MESSAGE_ID] = envelope->id,
		[MACRO_CLIENT_IP] = client->ip,
		[MACRO_CLIENT_HOST] = client->host,
		[MACRO_CLIENT_EHLO] = client->name,
		[MACRO_CLIENT_PROTOCOL] = client->protocol,
		[MACRO_CLIENT_AUTH] = client->auth,
	} };
}

static bool is_clean(const char *value)
{
	size_t size = strnlen(value, MACRO_MAX + 1);

	for (size_t i = 0; i < size; i++)
		if ((unsigned char)value[i] < ' ' || value[i] == 0x7f)
			return false;
	return size <= MACRO_MAX;
}

bool macros_are_clean(const struct macros *macros, enum macro *which)
{
	for (unsigned i = 0; i < MACRO_COUNT; i++) {
		if (macros->values[i] && !is_clean(macros->values[i])) {
			*which = i;
			return false;
		}
	}
	return true;
}

static int find_macro(const char *name, size_t size, enum macro *macro, char **why)
{
	char *field = xstrndup(name, size);
	const char *near;
	size_t at = name_index(field, names, MACRO_COUNT);

	if (at < MACRO_COUNT) {
		*macro = (enum macro)at;
		free(field);
		return 0;
	}
	near = nearest_name(field, names, MACRO_COUNT);
	if (near)
		*why = xasprintf("there is no field {%s} (did you mean {%s}?)", field, near);
	else
		*why = xasprintf("there is no field {%s}; a brace is written {{", field);
	free(field);
	return -1;
}

static struct part *add_part(struct template *template, struct buffer *literal)
{
	struct part *part;

	template->parts = xrealloc(template->parts, template->count + 1, sizeof(*template->parts));
	part = &template->parts[template->count++];
	*part = (struct part){ .literal = xstrdup(buffer_str(literal)) };
	buffer_reset(literal);
	return part;
}

/* Reads one character, brace pair or field at `text`; the place behind it, or NULL with *why. */
static const char *parse_next(struct template *template, const char *text, struct buffer *literal, char **why)
{
	const char *end;
	struct part *part;
	enum macro macro;

	if ((text[0] == '{' || text[0] == '}') && text[1] == text[0]) {
		buffer_append_char(literal, text[0]);
		return text + 2;
	}
	if (text[0] != '{') {
		buffer_append_char(literal, text[0]);
		return text + 1;
	}
	end = strchr(text, '}');
	if (!end) {
		*why = xstrdup("a field that begins with { ends with }; a brace is written {{");
		return NULL;
	}
	if (find_macro(text + 1, (size_t)(end - text - 1), &macro, why) < 0)
		return NULL;
	part = add_part(template, literal);
	part->has_value = true;
	part->value = macro;
	return end + 1;
}

struct template *template_parse(const char *text, char **why)
{
	struct template *template = xcalloc(1, sizeof(*template));
	struct buffer literal = { 0 };

	while (text && *text)
		text = parse_next(template, text, &literal, why);
	if (text && (literal.size || !template->count))
		add_part(template, &literal);
	buffer_release(&literal);
	if (!text) {
		template_free(template);
		return NULL;
	}
	return template;
}

void template_free(struct template *template)
{
	if (!template)
		return;
	for (size_t i = 0; i < template->count; i++)
		free(template->parts[i].literal);
	free(template->parts);
	free(template);
}

char *template_expand(const struct template *template, const struct macros *macros)
{
	struct buffer out = { 0 };

	for (size_t i = 0; i < template->count; i++) {
		const struct part *part = &template->parts[i];

		buffer_append_str(&out, part->literal);
		if (part->has_value && macros->values[part->value])
			buffer_append_str(&out, macros->values[part->value]);
	}
	return buffer_detach(&out);
}

bool template_is_constant(const struct template *template)
{
	for (size_t i = 0; i < template->count; i++)
		if (template->parts[i].has_value)
			return false;
	return true;
}

bool template_uses(const struct template *template, enum macro macro)
{
	for (size_t i = 0; i < template->count; i++)
		if (template->parts[i].has_value && template->parts[i].value == macro)
			return true;
	return false;
}

bool template_begins_with_value(const struct template *template)
{
	return template->parts[0].has_value && !*template->parts[0].literal;
}
