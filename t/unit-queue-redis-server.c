/* unit-queue-redis-server.c - redis queues and their server: full, away, a replica, of a kind that loses messages
 * SPDX-License-Identifier: MIT
 * S8, P2: what is refused is not there, and a server that is full can be worked empty. */
#include <sys/wait.h>

#include "common/queue/redis/redis_checks.h"
#include "t/lib/redis_places.h"

static struct place place;

static struct envelope *large(size_t size)
{
	struct envelope *envelope = message("l@example.org", "Subject: l\r\n\r\n");

	while (envelope->content.memory.size < size)
		buffer_append_str(&envelope->content.memory, "0123456789012345678901234567890123456789012345678901234567890\r\n");
	return envelope;
}

static bool has_more(void)
{
	struct queue_counts counts = do_info(&place);

	return counts.fresh + counts.deferred > 0;
}

static unsigned empty(void)
{
	struct answer claimed;
	unsigned removed = 0;

	while (has_more() && do_claim(&place, 10, &claimed, WAIT_MS) > 0) {
		for (size_t i = 0; i < claimed.lease_count; i++)
			removed += do_remove(&place, claimed.leases[i]) == 0;
	}
	return removed;
}

static void test_full(void)
{
	struct strings ids = { 0 };
	unsigned code = 0, held;

	serve_redis("maxmemory 8mb\nmaxmemory-policy noeviction");
	open_redis(&place, STORAGE_FOR_WORKER, "");
	for (unsigned i = 0; i < 200 && !code; i++) {
		struct envelope *envelope = large(100000);

		code = do_write(&place, &envelope, 1, 0);
		if (!code)
			strings_add(&ids, envelope->id);
		envelope_free(envelope);
	}
	is_int(code, 452, "full: refused");
	ok(ids.count > 10, "%zu messages went in", ids.count);
	is_int(do_info(&place).fresh, ids.count, "nothing is there of the one that was refused");
	is_int(accepts(&place, 100), 452, "and no more are accepted");
	held = do_mark(&place, ids.items[0], MARK_HOLD, "operator");
	is_int(held, 0, "marks are obeyed");
	is_int(empty(), ids.count - 1, "all others are claimed and removed");
	is_int(do_mark(&place, ids.items[0], MARK_RELEASE, NULL), 0, "that one is released");
	is_int(empty(), 1, "and gone");
	await_accepts(&place);
	is_int(do_info(&place).octets, 0, "nothing is counted");
	strings_release(&ids);
	place_close(&place);
	end_redis();
}

static void is_opened(const char *more, unsigned code, const char *text, const char *what)
{
	is_int(try_redis(&place, STORAGE_FOR_EDGE, more), code, what);
	if (text)
		ok(place.opened.text && strstr(place.opened.text, text), "and why: %s",
			place.opened.text ? place.opened.text : "?");
	place_close(&place);
}

static void test_policies(void)
{
	static const char *const losing[] = { "allkeys-lru", "volatile-ttl" };

	serve_redis(NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(losing); i++) {
		ask("CONFIG SET maxmemory-policy %s", losing[i]);
		is_opened("", 554, losing[i], "a policy that loses messages: refused for good");
	}
	ask("CONFIG SET maxmemory-policy noeviction");
	is_opened("", 0, NULL, "noeviction: fine");
	end_redis();
}

/* A fault of its first server is no reason to end: another may come. */
static void test_changed_later(void)
{
	serve_redis("appendonly yes\nappendfsync always");
	open_redis(&place, STORAGE_FOR_EDGE, "");
	redis_server_signal(&server, SIGKILL);
	ok(await_code(&place, 451), "the server dies: nothing is accepted");
	free(server.conf);
	server.conf = xstrdup("appendonly yes\nmaxmemory-policy allkeys-lru");
	redis_server_write_conf(&server);
	redis_server_run(&server);
	ok(!await_code_for(&place, 0, 1500), "it comes again with a policy that loses messages: nothing is");
	ask("CONFIG SET maxmemory-policy noeviction");
	await_accepts(&place);
	place_close(&place);
	end_redis();
}

static void test_away(void)
{
	struct envelope *envelope = message("a@example.org", "Subject: a\r\n\r\n");
	struct answer answer = { 0 };

	serve_redis("appendonly yes\nappendfsync always");
	redis_server_signal(&server, SIGKILL);
	is_int(try_redis(&place, STORAGE_FOR_WORKER, ""), 451, "opened while the server is away");
	is_int(accepts(&place, 100), 451, "nothing is accepted");
	is_int(do_write(&place, &envelope, 1, 0), 451, "nothing is written");
	is_int(do_discard(&place, envelope->id), 451, "nothing is taken back");
	is_int(do_mark(&place, envelope->id, MARK_HOLD, NULL), 451, "nothing is marked");
	is_int(do_set(&place, "a", "b", INT64_MAX), 451, "nothing is set");
	do_peek(&place, envelope->id, true, &answer);
	is_int(answer.why.code, 451, "nothing is seen");
	answer_release(&answer);
	do_list(&place, NULL, "", 10, &answer);
	is_int(answer.why.code, 451, "nor listed");
	answer_release(&answer);
	redis_server_run(&server);
	await_accepts(&place);
	is_int(do_write(&place, &envelope, 1, 0), 0, "written when it is there");
	redis_server_signal(&server, SIGKILL);
	ok(await_code(&place, 451), "it is killed");
	redis_server_run(&server);
	await_accepts(&place);
	is_int(do_write(&place, &envelope, 1, 0), 0, "again after it was killed");
	is_int(do_info(&place).fresh, 1, "one message");
	envelope_free(envelope);
	place_close(&place);
	end_redis();
}

/* What cannot be looked at is not held against anybody. */
static void test_denied(void)
{
	struct envelope *envelope = message("d@example.org", "Subject: d\r\n\r\n");

	serve_redis("user mail on >secret ~slimta:* &* +@all -@dangerous -@admin");
	open_redis(&place, STORAGE_FOR_WORKER, ", username: mail, password: secret");
	is_int(do_write(&place, &envelope, 1, 0), 0, "a user without INFO, CONFIG and KEYS writes");
	is_int(empty(), 1, "claims and removes");
	place_close(&place);
	open_redis(&place, STORAGE_FOR_OPERATOR, ", username: mail, password: secret");
	is_int(do_info(&place).oldest_age_ms, -1, "and looks");
	place_close(&place);
	is_opened(", username: mail, password: wrong", 451, "password", "a wrong password may be mended");
	is_opened(", username: mail, password: secret, prefix: \"other:\"", 451, NULL, "and so may keys that are denied");
	envelope_free(envelope);
	end_redis();
}

static void test_large(void)
{
	struct envelope *items[3];

	serve_redis("proto-max-bulk-len 1mb\nclient-query-buffer-limit 2mb");
	open_redis(&place, STORAGE_FOR_WORKER, "");
	is_int(accepts(&place, 1000000), 0, "what is below its limit is accepted");
	is_int(accepts(&place, 1048577), 552, "what is above is not");
	items[0] = large(1100000);
	is_int(do_write(&place, items, 1, 0), 552, "nor written");
	envelope_free(items[0]);
	for (unsigned i = 0; i < 3; i++)
		items[i] = large(900000);
	is_int(do_write(&place, items, 3, 0), 0, "three copies of one content are");
	for (unsigned i = 0; i < 3; i++) {
		envelope_free(items[i]);
		items[i] = large(900000 + 100 * i);
	}
	is_int(do_write(&place, items, 3, 0), 552, "three contents are too much for one command");
	is_int(do_info(&place).fresh, 3, "and nothing is there of them");
	for (unsigned i = 0; i < 3; i++)
		envelope_free(items[i]);
	place_close(&place);
	end_redis();
}

static void test_max_messages(void)
{
	struct envelope *items[2] = { message("m@example.org", "1"), message("m@example.org", "2") };

	serve_redis(NULL);
	open_redis(&place, STORAGE_FOR_WORKER, "");
	place.storage->max_messages = 2;
	is_int(do_write(&place, items, 1, 0), 0, "one");
	is_int(accepts(&place, 1), 0, "a second is accepted");
	is_int(do_write(&place, &items[1], 1, 0), 0, "two");
	is_int(accepts(&place, 1), 452, "a third is not");
	is_int(empty(), 2, "emptied");
	await_accepts(&place);
	envelope_free(items[0]);
	envelope_free(items[1]);
	place_close(&place);
	end_redis();
}

static void test_prefix(void)
{
	struct envelope *envelope = message("p@example.org", "Subject: p\r\n\r\n");
	struct redis_queue tagged = { .prefix = (char *)"q{a}:" }, untagged = { .prefix = (char *)"q{}:" };
	struct redis_found cluster = { .aof = -1, .cluster = true };
	struct reply why = { 0 };

	serve_redis(NULL);
	open_redis(&place, STORAGE_FOR_WORKER, ", prefix: \"q{a}:\"");
	is_int(do_write(&place, &envelope, 1, 0), 0, "written with a prefix of its own");
	is_str(ask("EXISTS q{a}:%s q{a}:index", envelope->id), ":2\r\n", "which its keys have");
	is_int(empty(), 1, "and is claimed");
	place_close(&place);
	redis_found_judge(&cluster, &tagged, &why);
	is_int(why.code, 0, "a cluster takes a prefix with a tag");
	redis_found_judge(&cluster, &untagged, &why);
	is_int(why.code, 554, "and none without");
	reply_release(&why);
	envelope_free(envelope);
	end_redis();
}

/* Until it has told the server how much it has. */
static void await_replica(void)
{
	for (int64_t end_ms = clock_boot_ms() + WAIT_MS; clock_boot_ms() < end_ms; usleep(20000)) {
		const char *info = ask("INFO replication");

		if (strstr(info, "state=online") && !strstr(info, ",offset=0,"))
			return;
	}
	printf("Bail out! no replica\n");
	exit(1);
}

static void test_replicas(void)
{
	struct envelope *items[8], *envelope = message("w@example.org", "Subject: w\r\n\r\n");
	struct answer answers[8] = { 0 };
	struct redis_server replica, first;
	char *conf;

	serve_redis("repl-diskless-sync-delay 0");
	open_redis(&place, STORAGE_FOR_WORKER, ", wait_replicas: 1");
	is_int(do_write(&place, &envelope, 1, 0), 451, "no replica: not written");
	is_int(do_info(&place).oldest_age_ms, -1, "and taken back");
	conf = xasprintf("replicaof 127.0.0.1 %u", server.port);
	redis_server_start(&replica, conf);
	await_replica();
	is_int(do_write(&place, &envelope, 1, 0), 0, "the same, with one: written");
	is_int(do_info(&place).fresh, 1, "it is there");
	for (unsigned i = 0; i < 8; i++) {
		items[i] = message("w@example.org", "Subject: w\r\n\r\n");
		place.storage->driver->write(place.storage, &items[i], 1, 0, on_done, &answers[i]);
	}
	for (unsigned i = 0; i < 8; i++) {
		wait_for(&place, &answers[i], WAIT_MS);
		ok(answers[i].done && !answers[i].why.code, "so are those that come together");
		answer_release(&answers[i]);
		envelope_free(items[i]);
	}
	redis_server_signal(&replica, SIGSTOP);
	envelope_free(envelope);
	envelope = message("w@example.org", "Subject: w\r\n\r\n");
	is_int(do_write(&place, &envelope, 1, 0), 451, "a replica that is silent does not count");
	is_int(do_info(&place).fresh, 9, "nothing of it is left");
	redis_server_signal(&replica, SIGCONT);
	place_close(&place);
	first = server;
	server = replica;
	is_opened("", 451, "replica", "a replica takes no messages");
	server = first;
	redis_server_stop(&replica);
	envelope_free(envelope);
	free(conf);
	end_redis();
}

int main(void)
{
	test_full();
	test_policies();
	test_changed_later();
	test_away();
	test_denied();
	test_large();
	test_max_messages();
	test_prefix();
	test_replicas();
	return done_testing();
}
