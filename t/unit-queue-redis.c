/* unit-queue-redis.c - messages in redis: what the contract does not reach of writing, reading and damage
 * SPDX-License-Identifier: MIT
 * S1: what was taken is there, whatever came of the answer. */
#include "common/queue/redis/redis_queue.h"
#include "t/lib/redis_places.h"

#define HOUR_MS 3600000

static struct place place;

static void test_repeated_write(void)
{
	struct envelope *envelope = message("r@example.org", "Subject: r\r\n\r\n");
	struct answer unknown = { 0 };

	is_int(do_write(&place, &envelope, 1, 0), 0, "one is written, so that the server knows the scripts");
	do_discard(&place, envelope->id);
	envelope_free(envelope);
	envelope = message("r@example.org", "Subject: r\r\n\r\n");
	redis_server_signal(&server, SIGSTOP);
	place.storage->driver->write(place.storage, &envelope, 1, 0, on_done, &unknown);
	answered(&place, &unknown);
	is_int(unknown.why.code, 451, "no answer");
	is_int(unknown.why.detail, 2, "the outcome is not known");
	answer_release(&unknown);
	is_int(accepts(&place, 100), 451, "nothing is accepted meanwhile");
	redis_server_signal(&server, SIGCONT);
	await_accepts(&place);
	is_int(do_write(&place, &envelope, 1, 0), 0, "asked again: success");
	is_int(do_info(&place).fresh, 1, "one message");
	is_str(ask("LLEN slimta:queue"), ":2\r\n", "and one hint of it, beside the one of what was discarded");
	do_discard(&place, envelope->id);
	envelope_free(envelope);
}

static void test_copies(void)
{
	struct envelope *items[3], *other;

	for (unsigned i = 0; i < 3; i++)
		items[i] = message("c@example.org", "Subject: c\r\n\r\n");
	other = message("other@example.org", "Subject: other\r\n\r\n");
	memcpy(other->id, items[2]->id, ID_SIZE);
	is_int(do_write(&place, &other, 1, 0), 0, "one that has the id of the third");
	is_int(do_write(&place, items, 3, 0), 451, "then nothing is written of the three");
	is_int(do_info(&place).fresh, 1, "it is alone");
	ok(!has_message(&place, items[0]->id), "the first is not there");
	do_discard(&place, other->id);
	is_int(do_info(&place).octets, 0, "no octets are counted");
	for (unsigned i = 0; i < 3; i++)
		envelope_free(items[i]);
	envelope_free(other);
}

/* Contents that are the same go over the wire once, and those that differ do not get mixed up. */
static void test_contents(void)
{
	static const char *const texts[] = { "Subject: a\r\n\r\n", "Subject: a\r\n\r\n", "Subject: b\r\n\r\n", "", "",
		"Subject: a\r\n\r\n" };
	struct envelope *items[ARRAY_SIZE(texts)];
	uint64_t octets = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
		items[i] = message("c@example.org", texts[i]);
		octets += strlen(texts[i]);
	}
	is_int(do_write(&place, items, ARRAY_SIZE(texts), 0), 0, "six copies are written");
	is_int(do_info(&place).octets, octets, "their octets are counted");
	for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
		struct answer seen;

		do_peek(&place, items[i]->id, true, &seen);
		ok(seen.envelope && content_size(&seen.envelope->content) == strlen(texts[i]) &&
			memcmp(buffer_str(&seen.envelope->content.memory), texts[i], strlen(texts[i])) == 0, "its own content");
		answer_release(&seen);
		do_discard(&place, items[i]->id);
		envelope_free(items[i]);
	}
	is_int(do_info(&place).octets, 0, "none when they are gone");
}

static void test_forgotten_scripts(void)
{
	struct envelope *items[3];
	struct answer answers[3] = { 0 };

	for (unsigned i = 0; i < 3; i++)
		items[i] = message("n@example.org", "Subject: n\r\n\r\n");
	ask("SCRIPT FLUSH");
	for (unsigned i = 0; i < 3; i++)
		place.storage->driver->write(place.storage, &items[i], 1, 0, on_done, &answers[i]);
	answered(&place, &answers[0]);
	for (unsigned i = 0; i < 3; i++) {
		wait_for(&place, &answers[i], WAIT_MS);
		ok(answers[i].done, "answered");
		is_int(answers[i].why.code, 0, "written, though the server had forgotten the script");
		do_discard(&place, items[i]->id);
		envelope_free(items[i]);
	}
}

/* ---- others write into redis, too */

static struct envelope *written(void)
{
	struct envelope *envelope = message("d@example.org", "Subject: d\r\n\r\n");

	if (do_write(&place, &envelope, 1, 0))
		abort();
	return envelope;
}

static void is_damaged(struct envelope *envelope, const char *what)
{
	struct answer seen;

	do_peek(&place, envelope->id, true, &seen);
	is_int(seen.why.code, 554, what);
	is_int(seen.place, PLACE_HELD, "shown as held");
	is_str(seen.state.held, "damaged", "and why");
	answer_release(&seen);
	do_list(&place, &(struct list_filter){ .id = envelope->id, .places = PLACE_BIT(PLACE_HELD) }, "", 10, &seen);
	is_int(seen.ids.count, 1, "listed");
	answer_release(&seen);
	is_int(do_mark(&place, envelope->id, MARK_HOLD, "operator"), 0, "a hold is nothing new");
	is_int(do_mark(&place, envelope->id, MARK_DISCARD, NULL), 0, "it can be taken away");
	do_peek(&place, envelope->id, false, &seen);
	is_int(seen.why.code, 550, "and is gone");
	answer_release(&seen);
	envelope_free(envelope);
}

static void test_damage(void)
{
	static const struct {
		const char *command, *rest, *what;
	} rows[] = {
		{ "HSET", "head \"slimta 1 2 3 00000000\\n{}\\n\"", "a head of another length" },
		{ "HSET", "head x", "a head that is none" },
		{ "HDEL", "head", "no head" },
		{ "HSET", "octets other", "other octets" },
		{ "HDEL", "octets", "no octets" },
		{ "HSET", "state {", "a state that is no JSON" },
		{ "HSET", "state \"{\\\"attempts\\\": -1}\"", "a state that cannot be" },
		{ "HSET", "place there", "a place that is none" },
		{ "HDEL", "place", "no place" },
		{ "HSET", "marks x", "marks that are none" },
		{ "SET", "x", "another type" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct envelope *envelope = written();

		ask("%s slimta:%s %s", rows[i].command, envelope->id, rows[i].rest);
		is_damaged(envelope, rows[i].what);
	}
	is_int(do_info(&place).oldest_age_ms, -1, "nothing is left of them");
}

/* One that is damaged is held when it is claimed, and the others are claimed all the same. */
static void test_claims_go_on(void)
{
	struct envelope *damaged[3], *good;
	struct answer claimed, got;
	char id[ID_SIZE];

	for (unsigned i = 0; i < 3; i++)
		damaged[i] = written();
	good = written();
	memcpy(id, good->id, ID_SIZE);
	ask("HSET slimta:%s state {", damaged[0]->id);
	ask("SET slimta:%s x", damaged[1]->id);
	ask("HSET slimta:%s octets other", damaged[2]->id);
	for (bool found = false; !found;) {
		if (!do_claim(&place, 1, &claimed, WAIT_MS)) {
			ok(false, "the good one is claimed");
			break;
		}
		do_get(&place, claimed.leases[0], &got);
		found = strcmp(claimed.leases[0]->id, id) == 0;
		if (found)
			is_int(do_remove(&place, claimed.leases[0]), 0, "the good one is claimed");
		else
			is_int(do_defer(&place, claimed.leases[0], 0, false, NULL, NULL), 0, "a damaged one is given back");
		answer_release(&got);
	}
	for (unsigned i = 0; i < 3; i++) {
		do_peek(&place, damaged[i]->id, true, &got);
		is_int(got.place, PLACE_HELD, "a damaged one is held");
		is_str(got.state.held, "damaged", "for that");
		answer_release(&got);
		do_discard(&place, damaged[i]->id);
		envelope_free(damaged[i]);
	}
	envelope_free(good);
}

/* Hints that are not true, and ids that are none. */
static void test_strange_entries(void)
{
	struct envelope *envelope = written();
	char cursor[LIST_CURSOR_SIZE] = "";
	struct answer seen;
	unsigned found = 0, turns = 0;

	ask("ZADD slimta:index 0 x 0 \"a\\x00b\" 0 zzzzzzzzzzzzzzzzzzzzzzzzzz 0 \"\" 0 %0300d", 1);
	do {
		do_list(&place, NULL, cursor, 1, &seen);
		found += (unsigned)seen.ids.count;
		snprintf(cursor, sizeof(cursor), "%s", seen.cursor);
		answer_release(&seen);
	} while (*cursor && ++turns < 20);
	is_int(found, 1, "only the message is listed");
	is_str(cursor, "", "and the list ends");
	ask("ZREM slimta:index x \"a\\x00b\" zzzzzzzzzzzzzzzzzzzzzzzzzz \"\" %0300d", 1);
	do_discard(&place, envelope->id);
	envelope_free(envelope);
}

/* What a newer slimta wrote stays as it is. */
static void test_foreign(void)
{
	struct envelope *envelope = written();
	struct answer seen;

	ask("HSET slimta:%s head \"slimta 2 x\"", envelope->id);
	do_peek(&place, envelope->id, true, &seen);
	is_int(seen.why.code, 451, "a message of another version cannot be read");
	is_int(seen.place, PLACE_NEW, "and is not held for that");
	answer_release(&seen);
	do_discard(&place, envelope->id);
	envelope_free(envelope);
}

static void test_wrong_keys(void)
{
	static const char *const names[] = { "queue", "index", "octets", "wake", "deferred" };
	struct envelope *envelope = message("w@example.org", "Subject: w\r\n\r\n");

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		ask("DEL slimta:%s", names[i]);
		ask("HSET slimta:%s x y", names[i]);
		is_int(do_write(&place, &envelope, 1, 0), 451, names[i]);
		is_str(ask("EXISTS slimta:%s", envelope->id), ":0\r\n", "nothing of it is there");
		is_int(accepts(&place, 100), 451, "no more is accepted");
		ask("DEL slimta:%s", names[i]);
		await_accepts(&place);
	}
	is_int(do_write(&place, &envelope, 1, 0), 0, "written when they are mended");
	do_discard(&place, envelope->id);
	envelope_free(envelope);
}

static void on_settings(void *arg, const struct reply *why, const struct setting *settings, size_t count)
{
	struct answer *answer = arg;

	for (size_t i = 0; i < count; i++)
		strings_add(&answer->ids, settings[i].key);
	on_done(arg, why);
}

static void test_settings(void)
{
	struct answer seen = { 0 };

	is_int(do_set(&place, "good", "\"quoted\" \\ \xc3\xa9", HOUR_MS), 0, "a setting");
	ask("HSET slimta:settings bad x");
	ask("HSET slimta:settings other \"{\\\"value\\\": 1}\"");
	place.storage->driver->settings(place.storage, on_settings, &seen);
	answered(&place, &seen);
	is_int(seen.ids.count, 1, "what cannot be read is left out");
	is_str(seen.ids.items[0], "good", "the others are there");
	answer_release(&seen);
	ask("DEL slimta:settings");
	ask("SET slimta:settings x");
	place.storage->driver->settings(place.storage, on_settings, &seen);
	answered(&place, &seen);
	is_int(seen.why.code, 451, "another type: they cannot be read");
	answer_release(&seen);
	ask("DEL slimta:settings");
}

int main(void)
{
	serve_redis(NULL);
	open_redis(&place, STORAGE_FOR_WORKER, "");
	test_repeated_write();
	test_copies();
	test_contents();
	test_forgotten_scripts();
	test_damage();
	test_strange_entries();
	test_foreign();
	test_wrong_keys();
	test_settings();
	test_claims_go_on();
	place_close(&place);
	end_redis();
	return done_testing();
}
