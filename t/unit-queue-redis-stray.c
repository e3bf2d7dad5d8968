/* unit-queue-redis-stray.c - a redis queue whose keys somebody changed, or that fell back to older data: nothing waits for ever
 * SPDX-License-Identifier: MIT */
#include "t/lib/redis_hosts.h"

#define SWEPT_MS 200		/* a lease whose sweeps are 50 ms apart */

static struct answer claimed;

/* A command about a message, with ID where its id goes. */
static const char *ask(const char *format, const char *id)
{
	struct buffer command = { 0 };
	const char *answer, *at;

	for (; (at = strstr(format, "ID")); format = at + 2) {
		buffer_append(&command, format, (size_t)(at - format));
		buffer_append_str(&command, id);
	}
	buffer_append_str(&command, format);
	answer = redis_server_ask(&server, buffer_str(&command));
	buffer_release(&command);
	return answer;
}

/* Whoever waits gets it, and nothing else, and it goes. */
static void comes_back(const char *id, const char *name)
{
	begin_claim(&two, 1, SWEPT_MS, &claimed);
	ok(wait_for(&two, &claimed, 3000), "%s: claimed in the end", name);
	is_str(claimed.lease_count ? claimed.leases[0]->id : "", id, "the message");
	if (claimed.lease_count)
		is_int(do_remove(&two, claimed.leases[0]), 0, "removed");
}

static void test_hints_gone(void)
{
	static const struct {
		int64_t delay_ms;
		const char *commands[3];
	} strays[] = {
		{ 0, { "DEL t:queue" } },
		{ 0, { "LREM t:queue 0 ID", "RPUSH t:queue zzzzzzzzzzzzzzzzzzzzzzzzzz" } },
		{ 3600000, { "ZREM t:deferred ID", "HSET t:ID due 1" } },
		{ 3600000, { "ZREM t:deferred ID", "HSET t:ID due nonsense" } },
		{ 0, { "LREM t:queue 0 ID", "HSET t:ID place leased" } },
		{ 0, { "LREM t:queue 0 ID", "HSET t:ID place leased until 1 due x back deferred", "ZADD t:leased 9e15 ID" } },
		{ 0, { "LREM t:queue 0 ID", "HSET t:ID aside x:1" } },
	};
	char id[ID_SIZE];

	for (unsigned i = 0; i < ARRAY_SIZE(strays); i++) {
		write_one(&one, strays[i].delay_ms, id);
		for (unsigned j = 0; j < 3 && strays[i].commands[j]; j++)
			ask(strays[i].commands[j], id);
		comes_back(id, strays[i].commands[0]);
	}
	is_int(do_info(&one).octets, 0, "nothing is left");
	write_one(&one, 0, id);
	ask("DEL t:ID", id);
	begin_claim(&two, 1, SWEPT_MS, &claimed);
	for (int64_t since_ms = clock_boot_ms(); do_info(&one).oldest_age_ms >= 0 && clock_boot_ms() - since_ms < 3000;)
		let_pass(&two, 10);
	is_int(do_info(&one).oldest_age_ms, -1, "what was deleted is listed no more");
	write_one(&one, 0, id);
	ok(wait_for(&two, &claimed, 3000), "and who waited gets the next");
	is_int(do_remove(&two, claimed.leases[0]), 0, "removed");
	ask("SET t:octets 0", "");
}

static void test_held_stray(void)
{
	struct answer seen;
	char id[ID_SIZE];

	write_one(&one, 0, id);
	is_int(do_mark(&one, id, MARK_HOLD, "operator"), 0, "held");
	ask("ZREM t:held ID", id);
	begin_claim(&two, 1, SWEPT_MS, &claimed);
	for (int64_t since_ms = clock_boot_ms(); !do_info(&one).held && clock_boot_ms() - since_ms < 3000;)
		let_pass(&two, 10);
	is_int(do_info(&one).held, 1, "what is held is counted again");
	ok(!claimed.done, "and not claimed");
	is_int(do_mark(&one, id, MARK_RELEASE, NULL), 0, "released");
	ok(wait_for(&two, &claimed, 3000), "then it is");
	is_int(do_remove(&two, claimed.leases[0]), 0, "removed");
	write_one(&one, 0, id);
	ask("HDEL t:ID place", id);
	is_int(place_now(&one, id, &seen), PLACE_HELD, "one whose place is gone is held");
	answer_release(&seen);
	is_int(do_mark(&one, id, MARK_RELEASE, NULL), 0, "and can be released");
	comes_back(id, "without a place");
}

/* One whose fields are nonsense does not stand in the way of the others. */
static void test_nonsense(void)
{
	static const char *const nonsense[] = { "HSET t:ID epoch nonsense", "HSET t:ID version nonsense",
		"HSET t:ID epoch 99x version 1e400" };
	static const char *const leased[] = { "SET t:ID text", "HSET t:ID due nonsense back deferred", "HDEL t:ID place" };
	char bad[ID_SIZE], good[ID_SIZE];

	for (unsigned i = 0; i < ARRAY_SIZE(nonsense); i++) {
		write_one(&one, 0, bad);
		ask(nonsense[i], bad);
		comes_back(bad, nonsense[i]);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(leased); i++) {
		write_one(&one, 0, bad);
		begin_claim(&one, 1, 100, &claimed);
		answered(&one, &claimed);
		ask(leased[i], bad);
		let_pass(&one, 150);
		write_one(&one, 0, good);
		for (unsigned tries = 0; tries < 2; tries++) {
			begin_claim(&two, 1, SWEPT_MS, &claimed);
			ok(wait_for(&two, &claimed, 3000), "%s", leased[i]);
			if (claimed.lease_count && strcmp(claimed.leases[0]->id, good) == 0)
				break;
			do_remove(&two, claimed.leases[0]);
		}
		is_str(claimed.lease_count ? claimed.leases[0]->id : "", good, "the one behind it goes on");
		do_remove(&two, claimed.leases[0]);
		ask("DEL t:ID", bad);
		ask("ZREM t:index ID", bad);
	}
	ask("SET t:octets 0", "");
}

/* The claim was not replicated, or not on disk yet: the message is as it was written. Who has it has delivered it. */
static void test_claim_forgotten(void)
{
	struct lease *lease, *other;
	char id[ID_SIZE];

	write_one(&one, 0, id);
	lease = claim_one(&one, LONG_MS);
	ask("HDEL t:ID epoch owner since until claim back version", id);
	ask("HSET t:ID place new", id);
	ask("ZREM t:leased ID", id);
	ask("RPUSH t:queue ID", id);
	is_int(do_remove(&one, lease), 0, "delivered by who had the lease that redis does not know any more");
	ok(strstr(ask("EXISTS t:ID", id), ":0"), "the message is gone");
	ok(strstr(ask("EXISTS t:done:ID", id), ":1"), "and known as finished");
	is_int(do_info(&one).octets, 0, "with its octets");
	write_one(&one, 0, id);
	lease = claim_one(&one, LONG_MS);
	ask("HSET t:ID epoch 7 place new", id);
	ask("ZREM t:leased ID", id);
	ask("RPUSH t:queue ID", id);
	other = claim_one(&two, LONG_MS);
	ok(other != NULL, "another has it by now");
	is_int(do_remove(&one, lease), 450, "the first one's removal is refused");
	is_int(do_remove(&two, other), 0, "the other one's is not");
}

/* Who claims what is due gets a message that the same worker takes by its id, before it has heard so. */
static void test_claimed_twice(void)
{
	struct answer by_id = { 0 };
	struct lease *lease;
	char id[ID_SIZE];

	write_one(&one, 0, id);
	lease = claim_one(&one, LONG_MS);
	is_int(do_defer(&one, lease, 0, false, NULL, NULL), 0, "given back");
	begin_claim(&one, 1, LONG_MS, &claimed);
	one.storage->driver->claim_id(one.storage, id, LONG_MS, on_claimed, on_done, &by_id);
	answered(&one, &by_id);
	is_int(by_id.lease_count, 1, "by its id: claimed");
	let_pass(&one, 50);
	ok(!claimed.done, "by what is due: not a second time");
	lease = by_id.lease_count ? by_id.leases[0] : NULL;
	answer_release(&by_id);
	is_int(do_remove(&one, lease), 0, "removed");
	write_one(&one, 0, id);
	wait_for(&one, &claimed, 3000);
	is_str(claimed.lease_count ? claimed.leases[0]->id : "", id, "who waited gets the next");
	is_int(do_remove(&one, claimed.leases[0]), 0, "removed");
}

/* The connection that wrote it was given up, its last octets are on their way; what may have been written was taken back. */
static void test_discarded_before_written(void)
{
	struct envelope *envelope = message("s@example.org", "Subject: x\r\n\r\n");

	is_int(do_discard(&one, envelope->id), 0, "discarded, where it is not");
	is_int(do_write(&two, &envelope, 1, 0), 0, "written then");
	ok(strstr(ask("EXISTS t:ID", envelope->id), ":0"), "it does not come");
	envelope_free(envelope);
}

/* More than may be in memory at once: each waits for its turn, also where the storage is closed meanwhile. */
static void test_many_large(void)
{
	enum { COUNT = 40, SIZE = 4 << 20 };
	char *text = xmalloc(SIZE + 1);
	struct envelope *items[COUNT];
	struct answer answers[2][COUNT] = { 0 };
	unsigned written = 0, told = 0;

	memset(text, 'x', SIZE);
	memcpy(text, "Subject: x\r\n\r\n", 14);
	text[SIZE] = '\0';
	for (unsigned i = 0; i < COUNT; i++) {
		items[i] = message("l@example.org", text);
		one.storage->driver->write(one.storage, &items[i], 1, 0, on_done, &answers[0][i]);
	}
	for (unsigned i = 0; i < COUNT; i++)
		written += wait_for(&one, &answers[0][i], 20000) && !answers[0][i].why.code;
	is_int(written, COUNT, "40 large messages at once are written");
	for (unsigned i = 0; i < COUNT; i++)
		do_discard(&one, items[i]->id);
	place_close(&two);
	for (unsigned i = 0; i < COUNT; i++) {
		id_new(items[i]->id);
		one.storage->driver->write(one.storage, &items[i], 1, 0, on_done, &answers[1][i]);
	}
	place_close(&one);
	for (unsigned i = 0; i < COUNT; i++) {
		told += answers[1][i].done == 1 && answers[1][i].why.code == 451;
		envelope_free(items[i]);
		answer_release(&answers[0][i]);
		answer_release(&answers[1][i]);
	}
	is_int(told, COUNT, "closed meanwhile: each is told so");
	free(text);
}

int main(void)
{
	hosts_begin(NULL);
	open_both();
	test_hints_gone();
	test_held_stray();
	test_nonsense();
	test_claim_forgotten();
	test_claimed_twice();
	test_discarded_before_written();
	test_many_large();
	return hosts_end();
}
