/* key_template.c - keys made of an address
 * SPDX-License-Identifier: MIT */
#include "common/lookup/key_template.h"

#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/config/values.h"

static const char *const names[] = { "address", "localpart", "domain", "authzid" };
enum { ADDRESS, LOCALPART, DOMAIN, AUTHZID };

/* A piece of a template: text, or a field. */
struct piece {
	const char *text;
	size_t size;
	size_t field;		/* ARRAY_SIZE(names): none */
};

enum { PIECE_END, PIECE, PIECE_UNKNOWN, PIECE_BRACE };

/* Takes the next piece off *at. {{ and }} are braces. */
static int next_piece(const char **at, struct piece *piece)
{
	const char *start = *at, *end;
	size_t size = strcspn(start, "{}");

	*piece = (struct piece){ start, size, ARRAY_SIZE(names) };
	if (!*start)
		return PIECE_END;
	if (size) {
		*at += size;
		return PIECE;
	}
	if (start[1] == *start) {
		piece->size = 1;
		*at += 2;
		return PIECE;
	}
	end = *start == '{' ? strchr(start, '}') : NULL;
	if (!end)
		return PIECE_BRACE;
	*piece = (struct piece){ start + 1, (size_t)(end - start) - 1, ARRAY_SIZE(names) };
	*at = end + 1;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strlen(names[i]) == piece->size && memcmp(names[i], piece->text, piece->size) == 0)
			piece->field = i;
	}
	return piece->field < ARRAY_SIZE(names) ? PIECE : PIECE_UNKNOWN;
}

static void check_one(const struct config_node *node, const char *template, struct config_errors *errors)
{
	struct buffer name = { 0 }, text = { 0 };
	struct piece piece;
	bool has_field = false;
	int kind;

	while ((kind = next_piece(&template, &piece)) == PIECE)
		has_field = has_field || piece.field < ARRAY_SIZE(names);
	if (kind == PIECE_END && !has_field)
		config_error_at_value(errors, node, "expected {address}, {localpart}, {domain} or {authzid} in it: "
			"without one the key is the same for everybody");
	if (kind == PIECE_BRACE) {
		config_error_at_value(errors, node, "a brace alone: write {{ or }} for a brace in the key");
	} else if (kind == PIECE_UNKNOWN) {
		buffer_append(&name, piece.text, piece.size);
		option_suggest(&text, buffer_str(&name), names, ARRAY_SIZE(names));
		config_error_at_value(errors, node, "expected {address}, {localpart}, {domain} or {authzid}, not {%s}%s",
			buffer_str(&name), buffer_str(&text));
	}
	buffer_release(&name);
	buffer_release(&text);
}

void key_template_check(const struct config_node *node, void *field, struct config_errors *errors)
{
	const struct strings *texts = field;

	for (size_t i = 0; i < texts->count; i++)
		check_one(node->kind == CONFIG_LIST ? node->items[i] : node, texts->items[i], errors);
	if (!texts->count)
		option_expected(node, "a template, or a list of them", errors);
}

static void append(struct buffer *out, struct buffer *folded, const char *text, size_t size, size_t domain_at)
{
	buffer_append(out, text, size);
	for (size_t i = 0; folded && i < size; i++)
		buffer_append_char(folded, i >= domain_at ? 'd' : '-');
}

/* Where the domain begins in what may be an address. */
static size_t domain_at(const char *text)
{
	const char *at = strrchr(text, '@');

	return at ? (size_t)(at - text) + 1 : strlen(text);
}

bool key_template_fill(const char *template, const struct lookup_words *words, struct buffer *out,
	struct buffer *folded)
{
	const char *const values[] = { [ADDRESS] = words->address, [LOCALPART] = words->localpart,
		[DOMAIN] = words->domain, [AUTHZID] = words->authzid };
	struct piece piece;
	int kind;

	buffer_reset(out);
	if (folded)
		buffer_reset(folded);
	while ((kind = next_piece(&template, &piece)) == PIECE) {
		const char *value = piece.field < ARRAY_SIZE(names) ? values[piece.field] : NULL;

		if (piece.field == ARRAY_SIZE(names))
			append(out, folded, piece.text, piece.size, piece.size);
		else if (!value)
			return false;
		else
			append(out, folded, value, strlen(value), piece.field == DOMAIN ? 0
				: piece.field == LOCALPART ? strlen(value) : domain_at(value));
	}
	if (kind != PIECE_END)
		BUG("a template that was not checked");
	return true;
}

/* Whether one of these fields, the last of which is before `end`, is in it. */
static bool wants(const char *template, size_t first, size_t end)
{
	struct piece piece;

	while (next_piece(&template, &piece) == PIECE) {
		if (piece.field >= first && piece.field < end)
			return true;
	}
	return false;
}

bool key_template_wants_authzid(const char *template)
{
	return wants(template, AUTHZID, AUTHZID + 1);
}

bool key_template_wants_address(const char *template)
{
	return wants(template, ADDRESS, AUTHZID);
}
