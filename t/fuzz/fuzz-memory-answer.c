/* fuzz-memory-answer.c - what the worker of a memory queue may answer
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/queue/memory/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct reply *why)
{
	if (why && !why->code)
		BUG("a failure that is none");
}

static void on_peeked(void *arg, const struct reply *why, struct peeked *peeked)
{
	(void)arg;
	check(why);
	if (!why && (!peeked || !peeked->envelope))
		BUG("a success without an envelope");
}

static void on_listed(void *arg, const struct reply *why, const struct list_entry *entries, size_t count,
	const char *cursor)
{
	(void)arg;
	check(why);
	for (size_t i = 0; i < count; i++) {
		if (!id_is_valid(entries[i].id) || !entries[i].sender)
			BUG("an entry that is none");
		for (size_t j = 0; j < entries[i].recipient_count; j++)
			if (strlen(entries[i].recipients[j].address) == SIZE_MAX)
				BUG("an address that is none");
	}
	if (strlen(cursor) >= LIST_CURSOR_SIZE)
		BUG("a cursor that is too long");
}

static void on_info(void *arg, const struct reply *why, const struct queue_counts *counts)
{
	(void)arg;
	(void)counts;
	check(why);
}

static void on_settings(void *arg, const struct reply *why, const struct setting *settings, size_t count)
{
	(void)arg;
	check(why);
	for (size_t i = 0; i < count; i++)
		if (!settings[i].key || !settings[i].value)
			BUG("a setting that is none");
}

static void read_answer(const struct wire *wire)
{
	const json_t *reply = json_object_get(wire->line, "reply");
	struct reply why = { 0 };

	if (reply && reply_from_json(&why, reply) == 0)
		check(&why);
	reply_release(&why);
	client_read_info(wire->line, on_info, NULL);
	client_read_peeked(wire->line, &wire->octets, true, on_peeked, NULL);
	client_read_peeked(wire->line, &wire->octets, false, on_peeked, NULL);
	client_read_list(wire->line, &wire->octets, on_listed, NULL);
	client_read_settings(&wire->octets, on_settings, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data;
	struct wire wire = { 0 };
	enum wire_result result;
	size_t taken;

	do {
		result = wire_take(&wire, at, size, &taken);
		at += taken;
		size -= taken;
		if (result == WIRE_WHOLE) {
			read_answer(&wire);
			wire_next(&wire);
		}
	} while (result == WIRE_LINE || result == WIRE_WHOLE);
	wire_next(&wire);
	return 0;
}
