/* unit-queue-list.c - which messages list() shows, by every filter, in every storage, by the worker and from outside
 * SPDX-License-Identifier: MIT */
#include "t/lib/contract.h"

enum { DEFERRED, HELD, LEASED, OLD, MESSAGES };
static const char letters[] = "dhlo";
static char ids[MESSAGES][ID_SIZE];

#define HOUR_MS INT64_C(3600000)

static void put(struct place *place, unsigned which, const char *sender, const char *one, const char *other)
{
	struct envelope *envelope = envelope_new();

	envelope->sender = xstrdup(sender);
	envelope_add_recipient(envelope, one);
	if (other)
		envelope_add_recipient(envelope, other);
	buffer_append_str(&envelope->content.memory, "Subject: x\r\n\r\n");
	content_finish(&envelope->content);
	if (which == OLD)
		memcpy(envelope->id, "000", 3);	/* decades ago */
	memcpy(ids[which], envelope->id, ID_SIZE);
	is_int(do_write(place, &envelope, 1, 0), 0, "written");
	envelope_free(envelope);
}

static void attempt(struct place *place, const char *id, unsigned code, const char *text)
{
	struct attempt attempt = { .time_ms = 1000, .host = (char *)"" };
	struct lease *lease;
	unsigned refused;

	reply_set(&attempt.reply, code, NULL, "%s", text);
	lease = do_claim_id(place, id, &refused);
	is_int(do_defer(place, lease, HOUR_MS, true, NULL, &attempt), 0, "tried");
	reply_release(&attempt.reply);
}

static const struct row {
	const char *what;
	struct list_filter filter;
	const char *expected;		/* in the order of ids */
} rows[] = {
	{ "no filter", { 0 }, "odhl" },
	{ "a sender, its domain without case", { .sender = "Ann@EXAMPLE.org" }, "l" },
	{ "its local part with case", { .sender = "ann@example.org" }, "d" },
	{ "any local part", { .sender = "*@example.org" }, "odl" },
	{ "a * within", { .sender = "*nn@ex*.org" }, "dl" },
	{ "what begins only the same", { .sender = "ann@example.or" }, "" },
	{ "the null sender", { .sender = "" }, "h" },
	{ "whatever sender", { .sender = "*" }, "odhl" },
	{ "a * that is meant as one", { .sender = "z*e@example.org" }, "o" },
	{ "a recipient", { .recipient = "bob@example.com" }, "dl" },
	{ "the second one too", { .recipient = "carl@*" }, "d" },
	{ "one without a domain", { .recipient = "postmaster" }, "o" },
	{ "a domain", { .domain = "example.com" }, "dl" },
	{ "those below it", { .domain = "*.example.com" }, "d" },
	{ "both ways", { .domain = "*EXAMPLE.com" }, "dl" },
	{ "recipient and domain of the same one", { .recipient = "bob@*", .domain = "sub.example.com" }, "" },
	{ "no such domain", { .domain = "example" }, "" },
	{ "sender and recipient", { .sender = "ann@*", .recipient = "bob@*" }, "d" },
	{ "a reply", { .reply = "450 4.0.0 greylisted, *" }, "d" },
	{ "a code", { .reply = "5*" }, "h" },
	{ "any reply", { .reply = "*" }, "dh" },
	{ "a text that is not the whole reply", { .reply = "Greylisted" }, "" },
	{ "a state", { .places = PLACE_BIT(PLACE_NEW) }, "o" },
	{ "two states", { .places = PLACE_BIT(PLACE_HELD) | PLACE_BIT(PLACE_LEASED) }, "hl" },
	{ "deferred", { .places = PLACE_BIT(PLACE_DEFERRED) }, "d" },
	{ "older", { .older_ms = HOUR_MS }, "o" },
	{ "younger", { .younger_ms = HOUR_MS }, "dhl" },
	{ "neither", { .older_ms = HOUR_MS, .younger_ms = 2 * HOUR_MS }, "" },
	{ "attempts", { .attempts_least = 1 }, "dh" },
	{ "exactly one", { .attempts_least = 1, .attempts_below = 2 }, "h" },
	{ "none", { .attempts_below = 1 }, "ol" },
	{ "an id", { .id = ids[HELD] }, "h" },
	{ "an id, and what is not true of it", { .id = ids[HELD], .places = PLACE_BIT(PLACE_NEW) }, "" },
	{ "what is no id", { .id = "../x" }, "" },
	{ "all at once", { .sender = "ann@*", .recipient = "bob@*", .domain = "example.*", .reply = "*back",
		.places = PLACE_BIT(PLACE_DEFERRED), .older_ms = 1, .younger_ms = HOUR_MS, .attempts_least = 2,
		.attempts_below = 3 }, "d" },
};

static char letter_of(const char *id)
{
	for (unsigned i = 0; i < MESSAGES; i++)
		if (strcmp(ids[i], id) == 0)
			return letters[i];
	return '?';
}

/* `max`: how many a call may give. */
static void is_listed(struct place *place, const struct row *row, size_t max, const char *how)
{
	char got[16] = "", cursor[LIST_CURSOR_SIZE] = "", what[200];
	size_t count = 0;
	struct answer answer;

	do {
		do_list(place, &row->filter, cursor, max, &answer);
		for (size_t i = 0; i < answer.ids.count && count < sizeof(got) - 1; i++)
			got[count++] = letter_of(answer.ids.items[i]);
		snprintf(cursor, sizeof(cursor), "%s", answer.cursor);
		answer_release(&answer);
	} while (*cursor);
	snprintf(what, sizeof(what), "%s: %s", how, row->what);
	is_str(got, row->expected, what);
}

/* What cannot be said exactly is not asked at all. */
static void test_impossible(struct place *place)
{
	char *text = xasprintf("%01001d", 0);
	struct answer answer;

	do_list(place, &(struct list_filter){ .sender = text }, "", 10, &answer);
	is_int(answer.ids.count, 0, "a pattern that is too long matches nothing");
	answer_release(&answer);
	do_list(place, &(struct list_filter){ .sender = "\xff*" }, "", 10, &answer);
	is_int(answer.ids.count, 0, "nor does one that is no text");
	answer_release(&answer);
	free(text);
}

struct seen_done {
	struct answer answer;
	enum outcome_kind kinds[2];
};

static void on_seen_done(void *arg, const struct reply *why, const struct list_entry *entries, size_t count,
	const char *cursor)
{
	struct seen_done *seen = arg;

	(void)cursor;
	for (size_t i = 0; count && entries[0].done && i < entries[0].done->count; i++)
		seen->kinds[entries[0].done->items[i].index] = entries[0].done->items[i].kind;
	on_done(&seen->answer, why);
}

static void test_done(struct place *place, struct place *other)
{
	struct outcome items[] = { { .index = 1, .kind = OUTCOME_FAILED } };
	const struct outcomes done = { items, 1 };
	struct place *both[] = { place, other };
	unsigned code;

	reply_set(&items[0].reply, 550, NULL, "No such user");
	is_int(do_defer(place, do_claim_id(place, ids[DEFERRED], &code), HOUR_MS, false, &done, NULL), 0,
		"one of two is settled");
	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		struct seen_done seen = { 0 };

		both[i]->storage->driver->list(both[i]->storage, &(struct list_filter){ .id = ids[DEFERRED] }, "", 1,
			on_seen_done, &seen);
		answered(both[i], &seen.answer);
		ok(!seen.kinds[0] && seen.kinds[1] == OUTCOME_FAILED, "it is listed with what became of each");
		answer_release(&seen.answer);
	}
	reply_release(&items[0].reply);
}

/* Its id has the time of an old message; "older" means how long it is there itself. */
static void test_notification(struct place *place)
{
	struct envelope *envelope = message("", "x\r\n");
	char id[ID_SIZE];
	struct answer answer;
	int64_t age_ms;

	id_derive(ids[OLD], "bounce", 6, id);
	memcpy(envelope->id, id, ID_SIZE);
	is_int(do_write(place, &envelope, 1, 0), 0, "a notification is written");
	envelope_free(envelope);
	do_list(place, &(struct list_filter){ .id = id, .older_ms = HOUR_MS }, "", 10, &answer);
	is_int(answer.ids.count, 0, "a new notification of an old message is not old");
	answer_release(&answer);
	do_list(place, &(struct list_filter){ .id = id, .younger_ms = HOUR_MS }, "", 10, &answer);
	is_int(answer.ids.count, 1, "it is young");
	answer_release(&answer);
	is_int(do_discard(place, ids[OLD]), 0, "its original goes");
	age_ms = do_info(place).oldest_age_ms;
	ok(age_ms >= 0 && age_ms < HOUR_MS, "info knows its age too: %lld ms", (long long)age_ms);
}

/* Of the notifications before it, and of all others behind it. */
static void test_oldest(struct place *place)
{
	struct envelope *envelope = message("", "x\r\n");
	char original[ID_SIZE];
	int64_t age_ms;

	id_new(original);
	memcpy(original, "000", 3);
	id_derive(original, "bounce", 6, envelope->id);
	envelope->timestamp_ms -= 2 * HOUR_MS;
	is_int(do_write(place, &envelope, 1, 0), 0, "one of two hours ago is written");
	age_ms = do_info(place).oldest_age_ms;
	ok(age_ms >= 2 * HOUR_MS && age_ms < 3 * HOUR_MS, "it is the oldest then: %lld ms", (long long)age_ms);
	is_int(do_discard(place, envelope->id), 0, "until it goes");
	age_ms = do_info(place).oldest_age_ms;
	ok(age_ms >= 0 && age_ms < HOUR_MS, "all others are younger: %lld ms", (long long)age_ms);
	envelope_free(envelope);
}

static void walk(void)
{
	struct place place, other;
	unsigned code;

	contract_open(&place, NULL, STORAGE_FOR_WORKER);
	put(&place, DEFERRED, "ann@example.org", "bob@Example.COM", "carl@sub.example.com");
	put(&place, HELD, "", "dora@example.net", NULL);
	put(&place, LEASED, "Ann@Example.org", "bob@example.com", NULL);
	put(&place, OLD, "z*e@example.org", "postmaster", NULL);
	attempt(&place, ids[DEFERRED], 451, "first");
	attempt(&place, ids[DEFERRED], 450, "Greylisted, come back");
	attempt(&place, ids[HELD], 550, "No such user");
	is_int(do_mark(&place, ids[HELD], MARK_HOLD, "operator"), 0, "held");
	ok(do_claim_id(&place, ids[LEASED], &code) != NULL, "leased");
	contract_open(&other, &place, STORAGE_FOR_OPERATOR);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		is_listed(&place, &rows[i], 100, "worker");
		is_listed(&other, &rows[i], 100, "operator");
		is_listed(&other, &rows[i], 1, "one at a time");
	}
	test_impossible(&other);
	test_done(&place, &other);
	test_notification(&place);
	test_oldest(&place);
	place_close(&other);
	place_close(&place);
}

int main(void)
{
	contract_walk(walk);
	return done_testing();
}
