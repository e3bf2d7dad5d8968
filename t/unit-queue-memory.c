/* unit-queue-memory.c - a memory queue reached by its worker's socket: edges, operators, hostile peers, bounds
 * SPDX-License-Identifier: MIT
 * P8: memory is bounded, whatever peers claim. */
#include <errno.h>
#include <time.h>

#define CLOCK_AHEAD CLOCK_BOOTTIME
#include "t/lib/clock_ahead.h"
#include "t/lib/memory_places.h"

#define SECTION "type: memory, max_memory: 8M"

static struct place worker, edge;

static bool same_octets(const struct envelope *envelope, const struct buffer *octets)
{
	char *read = xmalloc(octets->size + 1);
	bool same = content_size(&envelope->content) == octets->size &&
		content_read(&envelope->content, 0, read, octets->size + 1) == (long)octets->size &&
		memcmp(read, octets->data, octets->size) == 0;

	free(read);
	return same;
}

static void test_way_in(void)
{
	struct envelope *items[3], *again;
	struct answer claimed, got;

	for (unsigned i = 0; i < 3; i++)
		items[i] = message("a@example.org", "Subject: x\r\n\r\nbody\r\n");
	is_int(do_write(&edge, items, 3, 0), 0, "three copies written by an edge");
	is_int(do_write(&edge, items, 3, 0), 0, "and again");
	is_int(do_info(&edge).fresh, 3, "are three messages");
	is_int(do_info(&worker).fresh, 3, "for the worker too");
	is_int(do_claim(&worker, 10, &claimed, WAIT_MS), 3, "the worker claims them");
	is_int(do_info(&edge).leased, 3, "an edge sees it");
	do_peek(&edge, items[0]->id, false, &got);
	is_int(got.place, PLACE_LEASED, "peek: under a lease");
	is_int(content_size(&got.envelope->content), content_size(&items[0]->content), "its size is known");
	answer_release(&got);
	again = items[0];
	is_int(do_discard(&edge, again->id), 0, "discarded from outside");
	is_int(do_mark(&edge, items[1]->id, MARK_HOLD, "operator"), 0, "held from outside");
	for (size_t i = 0; i < 3; i++)
		is_int(do_defer(&worker, claimed.leases[i], 3600000, true, NULL, NULL), 0, "its lease ends");
	do_peek(&edge, items[0]->id, false, &got);
	is_int(got.why.code, 550, "the discarded one is gone");
	answer_release(&got);
	do_peek(&edge, items[1]->id, true, &got);
	is_int(got.place, PLACE_HELD, "the held one is held");
	is_str(got.state.held, "operator", "for its reason");
	ok(got.state.due_in_ms > 3500000, "due as the worker said");
	is_int(got.state.attempts, 1, "after an attempt");
	is_str(got.envelope->sender, "a@example.org", "peek: the envelope");
	answer_release(&got);
	is_int(do_mark(&edge, "00000000000000000000000000", MARK_RETRY, NULL), 550, "a mark of none");
	is_int(do_discard(&edge, items[1]->id) + do_discard(&edge, items[2]->id), 0, "discarded");
	is_int(do_info(&edge).oldest_age_ms, -1, "empty");
	for (unsigned i = 0; i < 3; i++)
		envelope_free(items[i]);
}

static void test_large(void)
{
	struct buffer whole = { 0 };
	struct envelope *envelope = message("l@example.org", "Subject: large\r\n\r\n");
	struct answer claimed, got;
	FILE *spool = tmpfile();

	buffer_append_str(&whole, "Subject: large\r\n\r\n");
	for (unsigned i = 0; whole.size < 3000000; i++)
		buffer_appendf(&whole, "line %u of the spool file\r\n", i);
	if (!spool || fwrite(whole.data + 18, 1, whole.size - 18, spool) != whole.size - 18 || fflush(spool))
		abort();
	envelope->content.fd = dup(fileno(spool));
	envelope->content.fd_size = whole.size - 18;
	is_int(do_write(&edge, &envelope, 1, 0), 0, "a spooled message written by an edge");
	do_peek(&edge, envelope->id, true, &got);
	ok(got.envelope && same_octets(got.envelope, &whole), "peeked, octet for octet");
	answer_release(&got);
	is_int(do_claim(&worker, 1, &claimed, WAIT_MS), 1, "claimed");
	do_get(&worker, claimed.leases[0], &got);
	ok(got.envelope && same_octets(got.envelope, &whole), "the worker has it, octet for octet");
	answer_release(&got);
	do_remove(&worker, claimed.leases[0]);
	/* The file is cut behind its writer's back. */
	id_new(envelope->id);
	if (ftruncate(fileno(spool), 1000000) < 0)
		abort();
	is_int(do_write(&edge, &envelope, 1, 0), 451, "one that cannot be read: 451");
	is_int(do_info(&edge).fresh, 0, "and nothing of it");
	fclose(spool);
	envelope_free(envelope);
	buffer_release(&whole);
}

static void test_bounds(void)
{
	struct buffer octets = { 0 };
	struct envelope *envelope;
	struct reply why = { 0 };
	struct answer got;
	unsigned code = 0, stored = 0;

	buffer_append_str(&octets, "Subject: fill\r\n\r\n");
	while (octets.size < 500000)
		buffer_append_str(&octets, "some octets to fill the memory of it\r\n");
	for (; stored < 100 && code == 0; stored++) {
		envelope = message("f@example.org", buffer_str(&octets));
		code = do_write(&edge, &envelope, 1, 3600000);
		envelope_free(envelope);
	}
	is_int(code, 452, "full: 452");
	is_int(stored, 17, "after the 16 that fit into 8M");
	is_int(worker.storage->driver->accepts(worker.storage, 600000, &why), -1, "accepts: not by the worker");
	is_int(why.code, 452, "452");
	is_int(edge.storage->driver->accepts(edge.storage, 600000, &why), -1, "accepts: nor by the edge");
	is_int(why.code, 452, "452");
	is_int(edge.storage->driver->accepts(edge.storage, 1000, &why), 0, "a small one would fit");
	is_int(worker.storage->driver->accepts(worker.storage, 1000, &why), 0, "for the worker too");
	for (char cursor[LIST_CURSOR_SIZE] = ""; ; snprintf(cursor, sizeof(cursor), "%s", got.cursor), answer_release(&got)) {
		do_list(&edge, &(struct list_filter){ 0 }, "", 7, &got);
		for (size_t i = 0; i < got.ids.count; i++)
			do_discard(&edge, got.ids.items[i]);
		if (!got.ids.count)
			break;
	}
	answer_release(&got);
	envelope = message("f@example.org", buffer_str(&octets));
	is_int(do_write(&edge, &envelope, 1, 0), 0, "with room again: accepted");
	do_discard(&edge, envelope->id);
	while (octets.size < 9000000)
		buffer_append_str(&octets, "more than it can ever hold\r\n");
	buffer_append(&envelope->content.memory, octets.data, octets.size);
	is_int(do_write(&edge, &envelope, 1, 0), 452, "larger than all of it: 452");
	envelope_free(envelope);
	reply_release(&why);
	buffer_release(&octets);
}

static void on_settings(void *arg, const struct reply *why, const struct setting *settings, size_t count)
{
	struct answer *answer = arg;

	on_done(arg, why);
	for (size_t i = 0; i < count; i++) {
		strings_add(&answer->ids, settings[i].key);
		strings_add(&answer->ids, settings[i].value);
	}
}

static void test_settings(void)
{
	struct answer got = { 0 };
	char *long_value = xmalloc(10000);

	memset(long_value, 'v', 9999);
	long_value[9999] = '\0';
	is_int(do_set(&edge, "b", "two", INT64_MAX) + do_set(&edge, "a", "one \"and\" a half", 60000), 0, "set by an edge");
	is_int(do_set(&edge, "c", "gone", 1), 0, "one for a moment");
	is_int(do_set(&edge, "long", long_value, 60000), 501, "too long a value");
	is_int(do_set(&edge, "", "x", 60000), 501, "no key");
	run_loop(&worker, 20, NULL, NULL);
	worker.storage->driver->settings(worker.storage, on_settings, &got);
	answered(&worker, &got);
	ok(got.ids.count == 4 && !strcmp(got.ids.items[0], "a") && !strcmp(got.ids.items[3], "two"), "the worker sees them");
	answer_release(&got);
	is_int(do_set(&worker, "a", NULL, 0), 0, "one taken away");
	edge.storage->driver->settings(edge.storage, on_settings, &got);
	answered(&edge, &got);
	ok(got.ids.count == 2 && !strcmp(got.ids.items[0], "b"), "the edge sees it");
	answer_release(&got);
	free(long_value);
}

/* Each on a connection of its own; what is expected is part of the answer, "" the end of the connection. */
static void test_hostile(void)
{
	static const struct {
		const char *sent, *expected;
	} rows[] = {
		{ "GET / HTTP/1.0\r\n", "" },
		{ "[]\n", "" },
		{ "{\"op\": \"info\", \"bytes\": -1}\n", "" },
		{ "{\"op\": \"info\", \"bytes\": \"7\"}\n", "" },
		{ "{\"op\": \"info\", \"op\": \"list\"}\n", "" },
		{ "{\"op\": \"sing\", \"number\": 1}\n", "502" },
		{ "{\"number\": 1}\n", "502" },
		{ "{\"op\": \"write\", \"bytes\": 9007199254740993}\n", "" },
		{ "{\"op\": \"write\", \"bytes\": 6, \"number\": 2}\nslimta", "554" },
		{ "{\"op\": \"write\", \"number\": 2}\n", "\"free\"" },
		{ "{\"op\": \"write\", \"bytes\": 43, \"number\": 2}\nslimta 1 2 18446744073709551615 00000000\n{}", "554" },
		{ "{\"op\": \"hand over\", \"bytes\": 3, \"state_bytes\": 9999, \"number\": 2}\n{}\n", "554" },
		{ "{\"op\": \"hand over\", \"bytes\": 3, \"state_bytes\": 3, \"number\": 2}\n{}\n", "501" },
		{ "{\"op\": \"hand over\", \"bytes\": 1073741825, \"number\": 2}\n", "" },
		{ "{\"op\": \"discard\", \"bytes\": 5, \"number\": 2}\nabcd\n", "501" },
		{ "{\"op\": \"discard\", \"bytes\": 99999999, \"number\": 2}\nabcd\n", "" },
		{ "{\"op\": \"known\", \"bytes\": 27, \"number\": 2}\n../../../etc/passwd.......\n", "501" },
		{ "{\"op\": \"peek\", \"id\": \"../x\", \"number\": 3}\n", "501" },
		{ "{\"op\": \"peek\", \"id\": 7, \"number\": 3}\n", "501" },
		{ "{\"op\": \"mark\", \"id\": \"00000000000000000000000000\", \"mark\": \"x\", \"number\": 3}\n", "501" },
		{ "{\"op\": \"mark\", \"id\": \"0\", \"mark\": \"hold\", \"number\": 3}\n", "501" },
		{ "{\"op\": \"list\", \"max\": -5, \"cursor\": 8, \"number\": 3}\n", "cursor" },
		{ "{\"op\": \"list\", \"sender\": \"x\", \"number\": 3}\n", "501" },
		{ "{\"op\": \"info\", \"max\": 1, \"number\": 3}\n", "501" },
		{ "{\"op\": \"list\", \"filter\": {\"colour\": \"red\"}, \"number\": 3}\n", "501" },
		{ "{\"op\": \"list\", \"filter\": {\"sender\": null}, \"number\": 3}\n", "501" },
		{ "{\"op\": \"list\", \"filter\": {\"places\": []}, \"number\": 3}\n", "501" },
		{ "{\"op\": \"list\", \"filter\": {\"places\": [\"lost\"]}, \"number\": 3}\n", "501" },
		{ "{\"op\": \"list\", \"filter\": {\"older\": \"1h\"}, \"number\": 3}\n", "501" },
		{ "{\"op\": \"list\", \"filter\": {\"attempts_below\": 4294967296}, \"number\": 3}\n", "501" },
		{ "{\"op\": \"list\", \"filter\": [], \"number\": 3}\n", "501" },
		{ "{\"op\": \"list\", \"filter\": {\"older\": 5}, \"number\": 3}\n", "cursor" },
		{ "{\"op\": \"set\", \"number\": 3}\n", "501" },
		{ "{\"op\": \"info\", \"number\": {}}\n{\"op\": \"info\", \"number\": 9}\n", "oldest_age" },
	};
	struct envelope *envelope = message("h@example.org", "Subject: h\r\n\r\n");
	int silent[3];

	silent[0] = raw_connect("queue-test");
	silent[1] = raw_connect("queue-test");
	raw_send(silent[1], "{\"op\": \"wri");
	silent[2] = raw_connect("queue-test");
	raw_send(silent[2], "{\"op\": \"write\", \"bytes\": 4000000}\nslimta 1 ");
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		int fd = raw_connect("queue-test");
		char *line;

		raw_send(fd, rows[i].sent);
		if (!*rows[i].expected)
			shutdown(fd, SHUT_WR);
		line = raw_line(&worker, fd);
		ok(*rows[i].expected ? strstr(line, rows[i].expected) != NULL : !*line || strstr(line, "\"reply\""),
			"hostile %u: %s", i, line);
		free(line);
		close(fd);
	}
	is_int(do_write(&edge, &envelope, 1, 0), 0, "an edge is served meanwhile");
	for (unsigned i = 0; i < 3; i++)
		close(silent[i]);
	is_int(do_discard(&edge, envelope->id), 0, "and afterwards");
	envelope_free(envelope);
}

static void test_long_line(void)
{
	int fd = raw_connect("queue-test");
	char *text = xmalloc(40001), *line;

	memset(text, ' ', 40000);
	text[40000] = '\0';
	raw_send(fd, text);
	line = raw_line(&worker, fd);
	is_str(line, "", "a line without end ends the connection");
	close(fd);
	free(line);
	free(text);
}

/* Room that was promised to a request is given back when that takes too long. */
static void test_slow(void)
{
	struct envelope *envelope = message("s@example.org", "Subject: s\r\n\r\n");
	struct reply why = { 0 };
	int fd = raw_connect("queue-test"), half = raw_connect("queue-test");
	char *line;

	raw_send(fd, "{\"op\": \"write\", \"bytes\": 8000000}\nslimta 1 ");
	raw_send(half, "{\"op\": \"wri");
	run_loop(&worker, 50, NULL, NULL);
	is_int(worker.storage->driver->accepts(worker.storage, 1000000, &why), -1, "a large request is on its way");
	ahead_s += 61;
	raw_send(fd, "2");
	raw_send(half, "t");
	line = raw_line(&worker, fd);
	is_str(line, "", "a minute later its connection ends");
	free(line);
	line = raw_line(&worker, half);
	is_str(line, "", "and that of a line that does not come to its end");
	free(line);
	is_int(worker.storage->driver->accepts(worker.storage, 1000000, &why), 0, "its room is free again");
	is_int(do_write(&edge, &envelope, 1, 0), 0, "others are served");
	is_int(do_discard(&edge, envelope->id), 0, "as before");
	close(fd);
	close(half);
	reply_release(&why);
	envelope_free(envelope);
}

static void test_finished(void)
{
	struct envelope *items[2] = { message("f@example.org", "Subject: f\r\n\r\n"),
		message("", "Subject: derived\r\n\r\n") };
	struct answer claimed;

	id_derive(items[0]->id, "x", 1, items[1]->id);
	is_int(do_write(&edge, items, 2, 0), 0, "a message and one that follows from it");
	is_int(do_claim(&worker, 2, &claimed, WAIT_MS), 2, "claimed");
	do_remove(&worker, claimed.leases[0]);
	do_remove(&worker, claimed.leases[1]);
	ahead_s += 119;
	is_int(do_write(&edge, items, 2, 0), 0, "written again within two minutes");
	is_int(do_info(&edge).fresh, 0, "they are known as finished");
	ahead_s += 2;
	is_int(do_write(&edge, items, 2, 0), 0, "and after them");
	is_int(do_info(&edge).fresh, 1, "the derived one alone is");
	do_discard(&edge, items[0]->id);
	ahead_s += 86400;
	is_int(do_write(&edge, &items[1], 1, 0), 0, "a day later");
	is_int(do_info(&edge).fresh, 1, "it is a new message");
	do_discard(&edge, items[1]->id);
	envelope_free(items[0]);
	envelope_free(items[1]);
}

/* Pipelined, an octet at a time. */
static void test_cut(void)
{
	static const char text[] = "{\"op\": \"info\", \"number\": 1}\n"
		"{\"op\": \"discard\", \"number\": 2, \"bytes\": 27}\n00000000000000000000000000\n"
		"{\"op\": \"info\", \"number\": 3}\n";
	int fd = raw_connect("queue-test");
	unsigned answers = 0;

	for (const char *at = text; *at; at++) {
		raw_send(fd, (char[]){ *at, '\0' });
		run_loop(&worker, 1, NULL, NULL);
	}
	for (; answers < 3; answers++) {
		char *line = raw_line(&worker, fd);
		bool right = strstr(line, "\"number\":") && !strstr(line, "reply");

		free(line);
		if (!right)
			break;
	}
	is_int(answers, 3, "requests cut at every octet are answered");
	close(fd);
}

static void test_many(void)
{
	enum { COUNT = 20000, BATCH = 200 };
	struct envelope *items[BATCH];
	struct answer got;
	char cursor[LIST_CURSOR_SIZE] = "";
	size_t listed = 0, removed = 0;
	unsigned failed = 0;
	struct place big, feeder;

	place_close(&edge);
	place_close(&worker);
	open_or_bail(&big, NULL, STORAGE_FOR_WORKER, "type: memory");
	open_or_bail(&feeder, &big, STORAGE_FOR_EDGE, "type: memory");
	for (unsigned i = 0; i < COUNT / BATCH; i++) {
		for (unsigned j = 0; j < BATCH; j++)
			items[j] = message("many@example.org", "Subject: one of many\r\n\r\n");
		failed += do_write(&feeder, items, BATCH, i % 2 ? 1 : 0) != 0;
		for (unsigned j = 0; j < BATCH; j++)
			envelope_free(items[j]);
	}
	is_int(failed, 0, "20,000 messages fit into 64M");
	do {
		do_list(&feeder, &(struct list_filter){ 0 }, cursor, 1000, &got);
		listed += got.ids.count;
		snprintf(cursor, sizeof(cursor), "%s", got.cursor);
		answer_release(&got);
	} while (*cursor);
	is_int(listed, COUNT, "all are listed");
	while (do_claim(&big, 64, &got, 1000)) {
		for (size_t i = 0; i < got.lease_count; i++)
			failed += do_remove(&big, got.leases[i]) != 0;
		removed += got.lease_count;
	}
	is_int(removed, COUNT, "all are claimed once");
	is_int(failed, 0, "and removed");
	place_close(&feeder);
	place_close(&big);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	scratch_make();
	open_or_bail(&worker, NULL, STORAGE_FOR_WORKER, SECTION);
	open_or_bail(&edge, &worker, STORAGE_FOR_EDGE, SECTION);
	test_way_in();
	test_large();
	test_bounds();
	test_settings();
	test_hostile();
	test_long_line();
	test_cut();
	test_slow();
	test_finished();
	test_many();
	scratch_remove();
	return done_testing();
}
