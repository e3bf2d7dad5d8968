/* wire.c - lines of JSON with octets behind them, a piece at a time
 * SPDX-License-Identifier: MIT */
#include "common/queue/memory/wire.h"

#include <string.h>

#include "common/base/memory.h"

static enum wire_result take_line(struct wire *wire, const char *data, size_t size, size_t *taken)
{
	const char *end = memchr(data, '\n', size < WIRE_LINE_MAX ? size : WIRE_LINE_MAX);
	int64_t bytes;

	if (!end)
		return size < WIRE_LINE_MAX ? WIRE_MORE : WIRE_BROKEN;
	*taken = (size_t)(end - data) + 1;
	wire->line = json_loadb(data, *taken - 1, JSON_REJECT_DUPLICATES, NULL);
	bytes = wire_number(wire->line, "bytes", json_object_get(wire->line, "bytes") ? -1 : 0);
	if (!json_is_object(wire->line) || bytes < 0)
		return WIRE_BROKEN;
	wire->bytes = wire->left = (uint64_t)bytes;
	return WIRE_LINE;
}

enum wire_result wire_take(struct wire *wire, const char *data, size_t size, size_t *taken)
{
	*taken = 0;
	if (!wire->line)
		return size ? take_line(wire, data, size, taken) : WIRE_MORE;
	*taken = wire->left < size ? (size_t)wire->left : size;
	if (!wire->skip)
		buffer_append(&wire->octets, data, *taken);
	wire->left -= *taken;
	return wire->left ? WIRE_MORE : WIRE_WHOLE;
}

void wire_next(struct wire *wire)
{
	json_decref(wire->line);
	buffer_release(&wire->octets);
	*wire = (struct wire){ 0 };
}

bool wire_is_between(const struct wire *wire)
{
	return !wire->line;
}

int64_t wire_number(const json_t *line, const char *key, int64_t fallback)
{
	const json_t *value = json_object_get(line, key);
	int64_t number = (int64_t)json_integer_value(value);

	if (!json_is_integer(value))
		return fallback;
	return number > WIRE_NUMBER_MAX ? WIRE_NUMBER_MAX : number < -WIRE_NUMBER_MAX ? -WIRE_NUMBER_MAX : number;
}

const char *wire_text(const json_t *line, const char *key)
{
	return json_string_value(json_object_get(line, key));
}

void wire_append(struct buffer *out, json_t *line)
{
	char *text = json_dumps(line, JSON_COMPACT);

	if (!text)
		BUG("no JSON for a line");
	buffer_append_str(out, text);
	buffer_append_char(out, '\n');
	free(text);
	json_decref(line);
}
