/* unit-queue-redis-odd.c - a redis queue with what should not be there: damage, hints that are not true, a clock that went back
 * SPDX-License-Identifier: MIT
 * P19: a message that is damaged or taken away under its lease. */
#include "t/lib/redis_hosts.h"

static struct answer claimed;

/* A command about a message, with %s for its id. */
static const char *ask(const char *format, const char *id)
{
	struct buffer command = { 0 };
	const char *at = strstr(format, "ID"), *answer;

	buffer_append(&command, format, (size_t)(at - format));
	buffer_append_str(&command, id);
	buffer_append_str(&command, at + 2);
	answer = redis_server_ask(&server, buffer_str(&command));
	buffer_release(&command);
	return answer;
}

static bool is_held(const char *id)
{
	struct answer seen;
	bool held;

	do_peek(&two, id, false, &seen);
	held = seen.place == PLACE_HELD && seen.state.held && strcmp(seen.state.held, "damaged") == 0;
	answer_release(&seen);
	return held;
}

static void test_damaged_content(void)
{
	struct answer got, seen;
	struct lease *lease;
	char id[ID_SIZE];

	write_one(&one, 0, id);
	ask("HSET t:ID octets other", id);
	lease = claim_one(&one, LONG_MS);
	do_get(&one, lease, &got);
	is_int(got.why.code, 554, "other octets than were written: damaged");
	answer_release(&got);
	do_peek(&two, id, false, &seen);
	is_str(seen.state.held, "damaged", "that is known at once, should its worker die now");
	answer_release(&seen);
	is_int(do_defer(&one, lease, 0, false, NULL, NULL), 0, "given back");
	ok(is_held(id), "held");
	is_int(do_discard(&two, id), 0, "discarded");
	write_one(&one, 0, id);
	lease = claim_one(&one, LONG_MS);
	do_get(&one, lease, &got);
	is_int(got.why.code, 0, "content came with the claim");
	answer_release(&got);
	ask("HDEL t:ID octets", id);
	do_get(&one, lease, &got);
	is_int(got.why.code, 554, "gone when it is asked for again: damaged");
	answer_release(&got);
	ask("DEL t:ID", id);
	do_get(&one, lease, &got);
	is_int(got.why.code, 550, "the message is gone: 550");
	answer_release(&got);
	is_int(do_renew(&one, lease, NULL), 450, "so is the lease");
	is_int(do_defer(&one, lease, 0, true, NULL, NULL), 550, "and nothing can be given back");
	is_int(do_discard(&two, id), 0, "what is left of it");
}

static void test_damaged_state(void)
{
	static const char *const damages[] = { "HSET t:ID state nonsense", "HSET t:ID marks nonsense", "HDEL t:ID head" };
	char id[ID_SIZE], good[ID_SIZE];
	unsigned code;

	for (unsigned i = 0; i < ARRAY_SIZE(damages); i++) {
		write_one(&one, 0, id);
		ask(damages[i], id);
		write_one(&one, 0, good);
		begin_claim(&one, 10, LONG_MS, &claimed);
		answered(&one, &claimed);
		is_int(claimed.lease_count, 1, damages[i]);
		is_str(claimed.lease_count ? claimed.leases[0]->id : "", good, "the one behind it goes on");
		do_remove(&one, claimed.leases[0]);
		ok(is_held(id), "it is held");
		do_discard(&two, id);
	}
	write_one(&one, 3600000, id);
	ask("HSET t:ID state nonsense", id);
	ok(!do_claim_id(&one, id, &code) && code == 554, "by its id: 554");
	ok(is_held(id), "held");
	do_discard(&two, id);
}

/* Many more than a script looks at. */
static void test_false_hints(void)
{
	struct buffer command = { 0 };
	char id[ID_SIZE], false_id[ID_SIZE];

	for (unsigned i = 0; i < 5; i++) {
		buffer_reset(&command);
		buffer_append_str(&command, "RPUSH t:queue");
		for (unsigned j = 0; j < 1000; j++) {
			id_new(false_id);
			buffer_appendf(&command, " %s", false_id);
		}
		redis_server_ask(&server, buffer_str(&command));
	}
	buffer_release(&command);
	id_new(false_id);
	ask("ZADD t:deferred 1 ID", false_id);
	redis_server_ask(&server, "SET t:aaaaaaaaaaaaaaaaaaaaaaaaaa text");
	redis_server_ask(&server, "RPUSH t:queue aaaaaaaaaaaaaaaaaaaaaaaaaa");
	write_one(&one, 0, id);
	begin_claim(&one, 10, LONG_MS, &claimed);
	answered(&one, &claimed);
	is_int(claimed.lease_count, 1, "5,000 ids that are none stand before it");
	is_str(claimed.lease_count ? claimed.leases[0]->id : "", id, "the one that is");
	do_remove(&one, claimed.leases[0]);
	ok(strstr(redis_server_ask(&server, "LLEN t:queue"), ":0"), "they are dropped");
	ok(strstr(redis_server_ask(&server, "ZCARD t:deferred"), ":0"), "of the deferred ones, too");
	redis_server_ask(&server, "DEL t:aaaaaaaaaaaaaaaaaaaaaaaaaa");
}

static void claim_short(struct place *place, size_t count, int64_t lease_ms)
{
	begin_claim(place, count, lease_ms, &claimed);
	answered(place, &claimed);
}

/* Its lease began, and ends, in an hour. */
static void test_clock_back(void)
{
	struct buffer command = { 0 };
	int64_t later_ms = clock_wall_ms() + 3600000, since_ms = clock_boot_ms();
	char id[ID_SIZE];

	write_one(&one, 0, id);
	claim_short(&one, 1, 300);
	buffer_appendf(&command, "HSET t:ID since %lld until %lld", (long long)later_ms, (long long)later_ms + 300);
	ask(buffer_str(&command), id);
	buffer_reset(&command);
	buffer_appendf(&command, "ZADD t:leased %lld ID", (long long)later_ms + 300);
	ask(buffer_str(&command), id);
	buffer_release(&command);
	begin_claim(&two, 1, 300, &claimed);
	answered(&two, &claimed);
	is_int(claimed.lease_count, 1, "redis' clock went back by an hour: a lease ends in its time all the same");
	ok(clock_boot_ms() - since_ms < WAIT_MS, "after %d ms", (int)(clock_boot_ms() - since_ms));
	do_remove(&two, claimed.leases[0]);
}

/* More than one script gives back. */
static void test_many_expire(void)
{
	enum { COUNT = 300 };
	struct envelope *items[COUNT];
	unsigned got = 0;

	for (unsigned i = 0; i < COUNT; i++)
		items[i] = message("m@example.org", "Subject: m\r\n\r\n");
	is_int(do_write(&one, items, COUNT, 0), 0, "300 written");
	for (unsigned left = COUNT; left; left -= (unsigned)claimed.lease_count)
		claim_short(&one, 60, 2000);
	while (got < COUNT) {
		begin_claim(&two, 60, LONG_MS, &claimed);
		if (!wait_for(&two, &claimed, WAIT_MS))
			break;
		for (size_t i = 0; i < claimed.lease_count; i++)
			got += do_remove(&two, claimed.leases[i]) == 0;
	}
	is_int(got, COUNT, "all come back when their leases end");
	is_int(do_info(&two).leased, 0, "none is left");
	for (unsigned i = 0; i < COUNT; i++)
		envelope_free(items[i]);
}

int main(void)
{
	hosts_begin(NULL);
	open_both();
	test_damaged_content();
	test_damaged_state();
	test_false_hints();
	test_clock_back();
	test_many_expire();
	close_both();
	return hosts_end();
}
