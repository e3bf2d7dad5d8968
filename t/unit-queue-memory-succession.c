/* unit-queue-memory-succession.c - what a memory queue holds goes to its next worker, with all that is known of it
 * SPDX-License-Identifier: MIT */
#include "t/lib/memory_places.h"

#define SECTION "type: memory"

static struct place old, new, edge;

/* As under a master: may wait for the one that serves. */
static void open_supervised(struct place *place, const struct place *beside)
{
	struct answer opened = { 0 };

	if (!place_load_beside(place, beside, STORAGE_FOR_WORKER, SECTION))
		exit(1);
	place->storage->context.supervised = true;
	place->storage->driver->open(place->storage, on_done, &opened);
	answered(place, &opened);
	ok(opened.why.code == 0, "a worker opens the queue");
	answer_release(&opened);
}

/* One that was closed, whose loop is still needed. */
static void open_again(struct place *place)
{
	struct answer opened = { 0 };

	place->storage->driver->open(place->storage, on_done, &opened);
	answered(place, &opened);
	ok(opened.why.code == 0, "opened again");
	answer_release(&opened);
}

/* Two workers and an edge on one loop, which the first lends. */
static void open_all(void)
{
	open_supervised(&old, NULL);
	open_supervised(&new, &old);
	open_or_bail(&edge, &old, STORAGE_FOR_EDGE, SECTION);
}

static void drain(struct place *place, bool successor, struct answer *drained)
{
	memset(drained, 0, sizeof(*drained));
	place->storage->driver->stop(place->storage);
	place->storage->driver->drain(place->storage, successor, on_done, drained);
}

static void on_settings(void *arg, const struct reply *why, const struct setting *settings, size_t count)
{
	(void)arg;
	ok(!why && count == 1 && strcmp(settings[0].value, "value") == 0, "settings go over too");
}

static struct lease *lease_of(const struct answer *claimed, const struct envelope *envelope)
{
	for (size_t i = 0; i < claimed->lease_count; i++)
		if (strcmp(claimed->leases[i]->id, envelope->id) == 0)
			return claimed->leases[i];
	abort();
}

static void test_with_all_that_is_known(void)
{
	struct envelope *items[6];
	struct outcomes done = { 0 };
	struct attempt attempt = { .time_ms = 1234, .host = (char *)"mx.example.com" };
	struct answer claimed, got, drained, set = { 0 };
	struct lease *leases[4];
	struct place third;

	open_all();
	reply_set(&attempt.reply, 450, "4.2.0", "later");
	outcomes_add(&done, &(struct outcome){ .index = 1, .kind = OUTCOME_DELIVERED, .reply = attempt.reply });
	for (unsigned i = 0; i < 6; i++)
		items[i] = message("over@example.org", "Subject: over\r\n\r\n");
	do_write(&edge, items, 4, 0);
	is_int(do_claim(&old, 4, &claimed, WAIT_MS), 4, "four claimed");
	for (unsigned i = 0; i < 4; i++)
		leases[i] = lease_of(&claimed, items[i]);
	do_remove(&old, leases[0]);					/* items[0] is finished */
	do_defer(&old, leases[1], 3600000, true, &done, &attempt);	/* items[1] deferred */
	do_mark(&edge, items[2]->id, MARK_HOLD, "operator");
	do_defer(&old, leases[2], 0, false, NULL, NULL);			/* items[2] held */
	do_write(&edge, &items[4], 1, 0);					/* new; items[3] under a lease */
	old.storage->driver->set(old.storage, "key", "value", INT64_MAX, on_done, &set);
	is_int(do_info(&new).oldest_age_ms, -1, "the next worker has nothing yet");
	drain(&old, true, &drained);
	run_loop(&old, 300, NULL, NULL);
	ok(!drained.done, "what is under a lease is waited for");
	is_int(do_info(&new).fresh, 1, "a new one is there");
	is_int(do_info(&new).deferred, 1, "a deferred one");
	is_int(do_info(&new).held, 1, "a held one");
	is_int(do_info(&old).leased, 1, "one is still with the first");
	do_peek(&new, items[1]->id, true, &got);
	is_int(got.state.attempts, 1, "with its attempts");
	ok(outcomes_find(&got.state.done, 1) != NULL, "who has got it");
	is_str(got.state.last[0].reply.text, "later", "its last reply");
	ok(got.state.due_in_ms > 3500000 && got.state.due_in_ms <= 3600000, "and its time");
	ok(content_size(&got.envelope->content) == 17, "and its octets");
	answer_release(&got);
	do_peek(&new, items[2]->id, false, &got);
	is_str(got.state.held, "operator", "held for its reason");
	answer_release(&got);
	is_int(do_write(&edge, &items[5], 1, 0), 0, "the edge goes on");
	is_int(do_info(&new).fresh, 2, "with the next worker");
	is_int(do_info(&edge).fresh, 2, "which it asks from now on");
	is_int(do_write(&edge, items, 1, 0) + do_write(&edge, &items[3], 1, 0), 0,
		"written again: known as finished, or on its way");
	is_int(do_info(&new).fresh, 2, "and no message more");
	do_mark(&old, items[3]->id, MARK_BOUNCE, "why");
	do_defer(&old, leases[3], 60000, true, NULL, &attempt);
	ok(wait_for(&old, &drained, WAIT_MS), "it is done");
	is_int(do_info(&old).oldest_age_ms, -1, "then the first one has nothing more");
	do_peek(&new, items[3]->id, false, &got);
	is_int(got.place, PLACE_DEFERRED, "the last one came when its lease ended");
	is_str(got.state.bounce ? got.state.bounce : "", "why", "with the marks that stood beside it");
	answer_release(&got);
	new.storage->driver->settings(new.storage, on_settings, &set);
	is_int(do_claim(&new, 10, &claimed, WAIT_MS), 3, "the next worker goes on with what is due");
	place_close(&edge);
	ok(!place_open_beside(&third, &old, STORAGE_FOR_WORKER, SECTION), "a third is refused meanwhile");
	place_close(&third);
	place_close(&new);
	place_close(&old);
	for (unsigned i = 0; i < 6; i++)
		envelope_free(items[i]);
	outcomes_release(&done);
	reply_release(&attempt.reply);
}

static bool holds_all(void *arg)
{
	return do_info(arg).fresh == 300;
}

/* Many, large ones among them, and more than max_memory of the next. */
static void test_many(void)
{
	struct envelope *items[300];
	struct buffer octets = { 0 };
	struct answer drained;

	open_all();
	buffer_append_str(&octets, "Subject: large\r\n\r\n");
	while (octets.size < 300000)
		buffer_append_str(&octets, "a line of a large message\r\n");
	for (unsigned i = 0; i < 300; i++)
		items[i] = message("many@example.org", i % 10 ? "Subject: small\r\n\r\n" : buffer_str(&octets));
	is_int(do_write(&edge, items, 300, 0), 0, "300 written");
	drain(&old, true, &drained);
	ok(wait_for(&old, &drained, WAIT_MS), "it is done");
	ok(holds_all(&new), "all are over there");
	is_int(do_info(&old).oldest_age_ms, -1, "none is left");
	place_close(&edge);
	place_close(&new);
	place_close(&old);
	for (unsigned i = 0; i < 300; i++)
		envelope_free(items[i]);
	buffer_release(&octets);
}

/* The next one dies when it has taken over, one after it comes. */
static void test_successor_dies(void)
{
	struct envelope *items[2] = { message("d@example.org", "Subject: d\r\n\r\n"),
		message("d@example.org", "Subject: e\r\n\r\n") };
	struct answer claimed, drained;
	struct place third;

	open_all();
	do_write(&edge, items, 1, 0);
	is_int(do_claim(&old, 1, &claimed, WAIT_MS), 1, "one under a lease");
	drain(&old, true, &drained);
	run_loop(&old, 200, NULL, NULL);
	place_close(&new);
	do_defer(&old, claimed.leases[0], 0, false, NULL, NULL);
	run_loop(&old, 400, NULL, NULL);
	ok(!drained.done && do_info(&old).deferred == 1, "its successor gone, the message stays");
	open_supervised(&third, &old);
	ok(wait_for(&old, &drained, WAIT_MS), "it is done");
	is_int(do_info(&third).deferred, 1, "another comes, and gets it");
	is_int(do_write(&edge, &items[1], 1, 0), 0, "the edge finds it too");
	is_int(do_info(&third).fresh, 1, "there");
	place_close(&edge);
	place_close(&third);
	place_close(&old);
	envelope_free(items[0]);
	envelope_free(items[1]);
}

/* The first one dies before it was told anything. */
static void test_predecessor_dies(void)
{
	struct envelope *envelope = message("p@example.org", "Subject: p\r\n\r\n");

	open_supervised(&new, NULL);		/* lends its loop */
	open_supervised(&old, &new);
	open_or_bail(&edge, &new, STORAGE_FOR_EDGE, SECTION);
	is_int(do_write(&edge, &envelope, 1, 0), 0, "written");
	is_int(do_info(&new).fresh, 1, "to the first");
	place_close(&edge);
	open_or_bail(&edge, &old, STORAGE_FOR_EDGE, SECTION);
	envelope_free(envelope);
	envelope = message("p@example.org", "Subject: q\r\n\r\n");
	new.storage->driver->close(new.storage);
	is_int(do_write(&edge, &envelope, 1, 0), 0, "it ends; what is written next");
	is_int(do_info(&old).fresh, 1, "goes to the one that waited");
	place_close(&edge);
	place_close(&old);
	open_again(&new);
	place_close(&new);
	envelope_free(envelope);
}

static void test_nobody(void)
{
	struct envelope *envelope = message("n@example.org", "Subject: n\r\n\r\n");
	struct answer claimed, drained;

	open_supervised(&old, NULL);
	do_write(&old, &envelope, 1, 0);
	is_int(do_claim(&old, 1, &claimed, WAIT_MS), 1, "one under a lease");
	drain(&old, false, &drained);
	run_loop(&old, 50, NULL, NULL);
	ok(!drained.done, "an ordinary stop waits for it");
	do_defer(&old, claimed.leases[0], 0, false, NULL, NULL);
	ok(wait_for(&old, &drained, WAIT_MS), "it is done");
	is_int(do_info(&old).deferred, 1, "then it is done, whatever is left");
	place_close(&old);
	open_supervised(&old, NULL);
	do_write(&old, &envelope, 1, 0);
	drain(&old, true, &drained);
	run_loop(&old, 300, NULL, NULL);
	ok(!drained.done, "a successor that was promised is waited for");
	place_close(&old);
	is_int(drained.done, 0, "until the end");
	envelope_free(envelope);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	scratch_make();
	test_with_all_that_is_known();
	test_many();
	test_successor_dies();
	test_predecessor_dies();
	test_nobody();
	scratch_remove();
	return done_testing();
}
