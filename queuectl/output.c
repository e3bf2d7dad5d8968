/* output.c - how values are written for people and programs
 * SPDX-License-Identifier: MIT */
#include "queuectl/output.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/base/text.h"

void put_text(struct buffer *out, const char *text)
{
	escaped(out, text, strlen(text));
}

void put_column(struct buffer *out, const char *text, size_t width)
{
	size_t at = out->size, count = 0;

	put_text(out, text);
	for (; at < out->size; at++)
		count += (out->data[at] & 0xc0) != 0x80;	/* not of what follows in UTF-8 */
	for (; count < width; count++)
		buffer_append_char(out, ' ');
}

void put_address(struct buffer *out, const char *address)
{
	buffer_append_char(out, '<');
	put_text(out, address ? address : "");
	buffer_append_char(out, '>');
}

void put_reply(struct buffer *out, const struct reply *reply)
{
	struct buffer text = { 0 };

	reply_append(reply, &text);
	put_text(out, buffer_str(&text));
	buffer_release(&text);
}

static const char *phase_name(enum lease_phase phase)
{
	static const char *const names[] = {
		[LEASE_CLAIMED] = "claimed", [LEASE_IN_LINE] = "in line", [LEASE_BEGUN] = "in delivery",
		[LEASE_PAST_THE_DOT] = "past the dot"
	};

	return names[phase];
}

static void put_time(struct buffer *out, int64_t ms)
{
	char text[SHORT_SIZE];

	if (ms > 0)
		buffer_appendf(out, " for %s", short_duration(text, ms));
}

void put_owner(struct buffer *out, const char *owner, enum lease_phase phase, int64_t leased_for_ms, int64_t in_phase_ms)
{
	if (!owner)
		return;
	buffer_append_str(out, " by ");
	put_text(out, owner);
	put_time(out, leased_for_ms);
	if (!phase_name(phase))
		return;
	buffer_appendf(out, ", %s", phase_name(phase));
	put_time(out, in_phase_ms);
}

const char *short_duration(char out[SHORT_SIZE], int64_t ms)
{
	static const struct { char letter; int64_t seconds; } units[] = {
		{ 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 }
	};
	int64_t left = ms / 1000 + (ms % 1000 > 0);
	size_t i = 0;
	int used;

	if (left <= 0) {
		snprintf(out, SHORT_SIZE, "now");
		return out;
	}
	while (units[i].seconds > left)
		i++;
	used = snprintf(out, SHORT_SIZE, "%lld%c", (long long)(left / units[i].seconds), units[i].letter);
	left %= units[i].seconds;
	if (i + 1 < ARRAY_SIZE(units) && left / units[i + 1].seconds)
		snprintf(out + used, SHORT_SIZE - (size_t)used, "%lld%c", (long long)(left / units[i + 1].seconds),
			units[i + 1].letter);
	return out;
}

const char *short_octets(char out[SHORT_SIZE], uint64_t octets)
{
	static const char letters[] = "KMGTPE";
	double value = (double)octets;
	size_t i = 0;

	if (octets < 1024) {
		snprintf(out, SHORT_SIZE, "%u", (unsigned)octets);
		return out;
	}
	for (value /= 1024; value >= 1023.5 && letters[i + 1]; value /= 1024)
		i++;
	snprintf(out, SHORT_SIZE, value < 9.95 ? "%.1f%c" : "%.0f%c", value, letters[i]);
	return out;
}

const char *grouped_number(char out[SHORT_SIZE], uint64_t number)
{
	char digits[SHORT_SIZE];
	int count = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)number), used = 0;

	for (int i = 0; i < count; i++) {
		if (i && (count - i) % 3 == 0)
			out[used++] = ',';
		out[used++] = digits[i];
	}
	out[used] = '\0';
	return out;
}

json_t *json_text(const char *text)
{
	struct buffer clean = { 0 };
	json_t *string;

	if (!text)
		return json_null();
	string = json_string(text);
	if (string)
		return string;
	put_text(&clean, text);
	string = json_string(buffer_str(&clean));
	buffer_release(&clean);
	return string;
}

void add_phase(json_t *object, enum lease_phase phase, int64_t leased_for_ms, int64_t in_phase_ms)
{
	const char *name = phase_name(phase);

	json_object_set_new(object, "phase", json_text(name));
	json_object_set_new(object, "leased_for_ms", name ? json_integer(leased_for_ms) : json_null());
	json_object_set_new(object, "in_phase_ms", name ? json_integer(in_phase_ms) : json_null());
}

void print_json(json_t *object)
{
	json_dumpf(object, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	putchar('\n');
	json_decref(object);
}
