/* unit-queue-memory-lost.c - a memory queue whose worker is away, dies, comes again, or is one too many
 * SPDX-License-Identifier: MIT
 * P7, P20: a write whose outcome is not known says so and can be repeated; a stale socket or lock blocks nobody. */
#include <errno.h>

#include "common/queue/memory/client.h"
#include "t/lib/memory_places.h"

#define SECTION "type: memory"

static bool takes_mail(void *arg)
{
	struct place *edge = arg;
	struct reply why = { 0 };
	bool takes = edge->storage->driver->accepts(edge->storage, 100, &why) == 0;

	reply_release(&why);
	return takes;
}

static void test_away(void)
{
	struct place edge, operator;
	struct envelope *envelope = message("a@example.org", "Subject: a\r\n\r\n");
	struct reply why = { 0 };
	int64_t before = clock_boot_ms();

	ok(!place_open(&operator, STORAGE_FOR_OPERATOR, SECTION), "an operator is told that there is no worker");
	is_int(operator.opened.code, 451, "451");
	ok(clock_boot_ms() - before < CLIENT_PATIENCE_MS, "at once");
	place_close(&operator);
	ok(!place_open(&edge, STORAGE_FOR_EDGE, SECTION), "an edge too");
	is_int(edge.opened.code, 451, "451");
	is_int(edge.storage->driver->accepts(edge.storage, 100, &why), -1, "it takes no mail");
	is_int(why.code, 451, "451");
	before = clock_boot_ms();
	is_int(do_write(&edge, &envelope, 1, 0), 451, "a write is refused");
	ok(clock_boot_ms() - before < CLIENT_PATIENCE_MS + 10000, "before long");
	place_close(&edge);
	envelope_free(envelope);
	reply_release(&why);
}

/* The worker ends with what it has; an edge goes on with the next one. */
static void test_reconnect(void)
{
	struct place worker, edge, second;
	struct envelope *envelope = message("a@example.org", "Subject: a\r\n\r\n");
	struct answer waiting = { 0 };

	open_or_bail(&second, NULL, STORAGE_FOR_EDGE, "type: disk, envelope_dir: @/env, meta_dir: @/meta, "
		"allow_volatile: true");	/* lends its loop */
	open_or_bail(&worker, &second, STORAGE_FOR_WORKER, SECTION);
	open_or_bail(&edge, &second, STORAGE_FOR_EDGE, SECTION);
	is_int(do_write(&edge, &envelope, 1, 0), 0, "written");
	place_close(&worker);
	edge.storage->driver->write(edge.storage, &envelope, 1, 0, on_done, &waiting);
	run_loop(&second, 100, NULL, NULL);
	ok(!waiting.done, "a write waits for the next worker");
	open_or_bail(&worker, &second, STORAGE_FOR_WORKER, SECTION);
	answered(&edge, &waiting);
	is_int(waiting.why.code, 0, "and is done by it");
	is_int(do_info(&worker).fresh, 1, "there");
	answer_release(&waiting);
	place_close(&edge);
	place_close(&worker);
	place_close(&second);
	envelope_free(envelope);
}

static void test_second_worker(void)
{
	struct place worker, second;
	struct sockaddr_un address = socket_address("queue-test");

	open_or_bail(&worker, NULL, STORAGE_FOR_WORKER, SECTION);
	ok(!place_open(&second, STORAGE_FOR_WORKER, SECTION), "a second worker of the queue is refused");
	is_int(second.opened.code, 554, "for good");
	place_close(&second);
	place_load(&second, STORAGE_FOR_WORKER, SECTION);
	second.storage->context.supervised = true;
	struct answer opened = { 0 };

	second.storage->driver->open(second.storage, on_done, &opened);
	answered(&second, &opened);
	is_int(opened.why.code, 554, "a master's too, where the first has no master");
	answer_release(&opened);
	place_close(&second);
	is_int(access(address.sun_path, F_OK), 0, "and does no harm to the first one's socket");
	place_close(&worker);
	is_int(access(address.sun_path, F_OK), -1, "which is gone with it");
	close(raw_listen("queue-test"));
	open_or_bail(&worker, NULL, STORAGE_FOR_WORKER, SECTION);
	place_close(&worker);
	ok(true, "a stale socket is replaced");
}

struct accepting {
	int listener, fd;
	size_t wanted, got;
};

static bool has_enough(void *arg)
{
	struct accepting *peer = arg;
	char octets[65536];
	ssize_t size;

	if (peer->fd < 0)
		peer->fd = accept(peer->listener, NULL, NULL);
	if (peer->fd >= 0 && (size = recv(peer->fd, octets, sizeof(octets), MSG_DONTWAIT)) > 0)
		peer->got += (size_t)size;
	return peer->got >= peer->wanted;
}

/* A worker that dies after so many octets of a write: the edge learns that nobody knows, or writes it again. */
static void test_death(size_t after, bool whole)
{
	struct place edge, worker;
	struct buffer octets = { 0 };
	struct accepting peer = { .listener = raw_listen("queue-test"), .fd = -1, .wanted = after };
	struct envelope *envelope;
	struct answer written = { 0 };

	while (octets.size < 400000)
		buffer_append_str(&octets, "Subject: some octets\r\n");
	envelope = message("d@example.org", buffer_str(&octets));
	open_or_bail(&edge, NULL, STORAGE_FOR_EDGE, SECTION);
	edge.storage->driver->write(edge.storage, &envelope, 1, 0, on_done, &written);
	run_loop(&edge, WAIT_MS, has_enough, &peer);
	ok(peer.got >= after, "the worker has %zu octets of a write", peer.got);
	close(peer.fd);
	close(peer.listener);
	open_or_bail(&worker, &edge, STORAGE_FOR_WORKER, SECTION);
	wait_for(&edge, &written, WAIT_MS);
	is_int(written.why.code, whole ? 451 : 0, whole ? "it dies: 451" : "it dies: the next one gets all of it");
	is_int(written.why.subject * 10 + written.why.detail, whole ? 42 : 0, "the outcome is known, or not");
	is_int(do_info(&worker).fresh, whole ? 0 : 1, "nothing is there twice");
	run_loop(&edge, WAIT_MS, takes_mail, &edge);
	is_int(do_write(&edge, &envelope, 1, 0), 0, "it is repeated");
	is_int(do_info(&worker).fresh, 1, "and is one message");
	place_close(&worker);
	place_close(&edge);
	answer_release(&written);
	envelope_free(envelope);
	buffer_release(&octets);
}

/* A worker that answers nonsense. */
static void test_nonsense(const char *answer)
{
	struct accepting peer = { .listener = raw_listen("queue-test"), .fd = -1, .wanted = 1 };
	struct envelope *envelope = message("n@example.org", "Subject: n\r\n\r\n");
	struct answer written = { 0 };
	struct place edge;

	open_or_bail(&edge, NULL, STORAGE_FOR_EDGE, SECTION);
	edge.storage->driver->write(edge.storage, &envelope, 1, 0, on_done, &written);
	run_loop(&edge, WAIT_MS, has_enough, &peer);
	raw_send(peer.fd, answer);
	answered(&edge, &written);
	ok(written.why.code == 451, "451 after %.40s", answer);
	answer_release(&written);
	close(peer.fd);
	close(peer.listener);
	place_close(&edge);
	envelope_free(envelope);
}

/* What is under way as it closes is called back. */
static void test_close(void)
{
	struct place worker, edge;
	struct envelope *items[20];
	struct answer answers[20] = { 0 };
	unsigned calls = 0;

	open_or_bail(&worker, NULL, STORAGE_FOR_WORKER, SECTION);
	open_or_bail(&edge, &worker, STORAGE_FOR_EDGE, SECTION);
	for (unsigned i = 0; i < 20; i++) {
		items[i] = message("close@example.org", "Subject: x\r\n\r\n");
		edge.storage->driver->write(edge.storage, &items[i], 1, 0, on_done, &answers[i]);
		if (i % 5 == 4)
			event_base_loop(worker.base, EVLOOP_NONBLOCK);
	}
	place_close(&edge);
	for (unsigned i = 0; i < 20; i++) {
		calls += answers[i].calls;
		answer_release(&answers[i]);
		envelope_free(items[i]);
	}
	is_int(calls, 20, "twenty writes, twenty answers");
	place_close(&worker);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	scratch_make();
	test_away();
	test_reconnect();
	test_second_worker();
	test_death(100, false);
	test_death(200000, false);
	test_death(400100, true);
	test_nonsense("nonsense\n");
	test_nonsense("{\"number\": 99}\n");
	test_nonsense("{\"number\": 1, \"bytes\": 9000000000000}\n");
	test_nonsense("{\"number\": 1, \"reply\": {\"code\": 999}}\n");
	test_nonsense("{\"number\": 1, \"reply\": {\"code\": 554, \"text\": \"no\"}}\n");
	test_close();
	scratch_remove();
	return done_testing();
}
