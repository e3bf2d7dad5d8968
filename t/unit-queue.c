/* unit-queue.c - the storage contract, walked on every driver
 * SPDX-License-Identifier: MIT
 * P20: a storage that is opened again after its owner is gone has everything. */
#include "t/lib/contract.h"

static bool same_octets(const struct envelope *envelope, const char *octets)
{
	size_t size = strlen(octets);
	char *read = xmalloc(size + 1);
	bool same = content_size(&envelope->content) == size &&
		content_read(&envelope->content, 0, read, size + 1) == (long)size && memcmp(read, octets, size) == 0;

	free(read);
	return same;
}

static void test_whole_way(struct place *place)
{
	struct envelope *envelope = message("a@example.org", "Subject: x\r\n\r\nbody\r\n");
	struct answer claimed, got;
	char id[ID_SIZE];

	memcpy(id, envelope->id, ID_SIZE);
	is_int(do_write(place, &envelope, 1, 0), 0, "written");
	is_int(do_claim(place, 10, &claimed, WAIT_MS), 1, "claimed");
	is_str(claimed.leases[0]->id, id, "the same id");
	do_get(place, claimed.leases[0], &got);
	is_str(got.envelope->sender, "a@example.org", "sender");
	is_int(got.envelope->recipient_count, 2, "recipients");
	ok(same_octets(got.envelope, "Subject: x\r\n\r\nbody\r\n"), "octet for octet");
	is_int(got.state.attempts, 0, "no attempt yet");
	is_int(do_info(place).leased, 1, "info: leased");
	is_int(do_remove(place, claimed.leases[0]), 0, "removed");
	answer_release(&got);
	do_peek(place, id, false, &got);
	is_int(got.why.code, 550, "gone");
	answer_release(&got);
	is_int(do_write(place, &envelope, 1, 0), 0, "written again: known as finished");
	is_int(do_info(place).fresh, 0, "and no second message");
	envelope_free(envelope);
}

static void test_same_id(struct place *place)
{
	struct envelope *envelope = message("same@example.org", "Subject: one\r\n\r\n");
	struct answer claimed;
	const char *id = envelope->id;

	is_int(do_write(place, &envelope, 1, 0), 0, "written");
	is_int(do_write(place, &envelope, 1, 0), 0, "the same content again is success");
	is_int(do_info(place).fresh, 1, "one message");
	buffer_append_str(&envelope->content.memory, "more\r\n");
	ok(do_write(place, &envelope, 1, 0) >= 400, "other content under the same id is not");
	is_int(do_claim(place, 10, &claimed, WAIT_MS), 1, "claimed");
	is_int(do_write(place, &envelope, 1, 0) >= 400, 1, "nor under a lease");
	is_int(do_remove(place, claimed.leases[0]), 0, "removed");
	is_int(do_discard(place, id), 0, "discarding what is gone is success");
	envelope_free(envelope);
}

static void test_several(struct place *place)
{
	struct envelope *items[5];
	struct answer claimed;

	for (unsigned i = 0; i < 5; i++)
		items[i] = message("split@example.org", "Subject: copy\r\n\r\n");
	is_int(do_write(place, items, 5, 0), 0, "five copies written");
	is_int(do_info(place).fresh, 5, "all visible");
	is_int(do_write(place, items, 5, 0), 0, "and again");
	is_int(do_info(place).fresh, 5, "are the same five");
	for (unsigned left = 5; left;) {
		size_t count = do_claim(place, 2, &claimed, WAIT_MS);

		ok(count >= 1 && count <= 2, "claimed at most two");
		for (size_t i = 0; i < count; i++)
			do_remove(place, claimed.leases[i]);
		left -= (unsigned)count;
	}
	is_int(do_info(place).oldest_age_ms, -1, "empty");
	for (unsigned i = 0; i < 5; i++)
		envelope_free(items[i]);
}

static void test_defer(struct place *place)
{
	struct envelope *envelope = message("d@example.org", "Subject: d\r\n\r\n");
	struct outcomes done = { 0 };
	struct attempt attempt = { .time_ms = 1000, .host = (char *)"mx.example.com", .tls = (char *)"TLSv1.3" };
	struct answer claimed, got;

	reply_set(&attempt.reply, 450, "4.2.0", "later");
	outcomes_add(&done, &(struct outcome){ 1, OUTCOME_DELIVERED, attempt.reply });
	do_write(place, &envelope, 1, 0);
	is_int(do_claim(place, 1, &claimed, WAIT_MS), 1, "claimed");
	is_int(do_renew(place, claimed.leases[0], NULL), 0, "renewed with nothing to say");
	is_int(do_renew(place, claimed.leases[0], &done), 0, "renewed with a recipient done");
	is_int(do_defer(place, claimed.leases[0], 300, true, NULL, &attempt), 0, "deferred");
	do_peek(place, envelope->id, true, &got);
	is_int(got.place, PLACE_DEFERRED, "peek: deferred");
	is_int(got.state.attempts, 1, "one attempt");
	ok(outcomes_find(&got.state.done, 1) && !outcomes_find(&got.state.done, 0), "who is done is known");
	is_int(got.state.last_count, 1, "the reply is kept");
	is_str(got.state.last[0].host, "mx.example.com", "with its host");
	is_str(got.state.last[0].reply.text, "later", "and its text");
	is_str(got.state.last[0].tls, "TLSv1.3", "and its TLS");
	ok(same_octets(got.envelope, "Subject: d\r\n\r\n"), "peek: the octets");
	answer_release(&got);

	int64_t before = clock_boot_ms();

	is_int(do_claim(place, 1, &claimed, WAIT_MS), 1, "comes again when it is due");
	ok(clock_boot_ms() - before >= 150, "not before");
	do_get(place, claimed.leases[0], &got);
	is_int(got.state.attempts, 1, "get: attempts");
	ok(outcomes_find(&got.state.done, 1) != NULL, "get: done");
	answer_release(&got);
	is_int(do_defer(place, claimed.leases[0], 0, false, &done, &attempt), 0, "given back");
	do_peek(place, envelope->id, false, &got);
	is_int(got.state.attempts, 1, "without an attempt");
	is_int(got.state.last_count, 1, "which is none of the last");
	is_str(got.state.waits, "later", "but why is said");
	answer_release(&got);
	is_int(do_claim(place, 1, &claimed, WAIT_MS), 1, "due at once");
	is_int(do_defer(place, claimed.leases[0], 0, false, NULL, NULL), 0, "given back for no reason");
	do_peek(place, envelope->id, false, &got);
	is_str(got.state.waits, NULL, "nothing is said");
	answer_release(&got);
	is_int(do_discard(place, envelope->id), 0, "discarded");
	is_int(do_info(place).oldest_age_ms, -1, "empty");
	outcomes_release(&done);
	reply_release(&attempt.reply);
	envelope_free(envelope);
}

/* What became of a recipient only grows, and is there whoever looks, also after the end of the lease without a word. */
static void test_renew(struct place *place)
{
	struct envelope *envelope = message("r@example.org", "Subject: r\r\n\r\n");
	struct outcomes first = { 0 }, second = { 0 };
	struct reply reply = { 0 };
	struct answer claimed, got;
	struct place other;
	unsigned code;

	reply_set(&reply, 250, NULL, "first");
	outcomes_add(&first, &(struct outcome){ 0, OUTCOME_DELIVERED, reply, (char *)"mx", 5 });
	outcomes_add(&first, &(struct outcome){ 1, OUTCOME_DELAYED, reply, (char *)"mx", 6 });
	reply_set(&reply, 550, NULL, "second");
	outcomes_add(&second, &(struct outcome){ 0, OUTCOME_FAILED, reply, (char *)"other", 7 });
	outcomes_add(&second, &(struct outcome){ 1, OUTCOME_FAILED, reply, (char *)"other", 8 });
	do_write(place, &envelope, 1, 0);
	do_claim(place, 1, &claimed, WAIT_MS);
	is_int(do_renew(place, claimed.leases[0], &first), 0, "renewed");
	is_int(do_renew(place, claimed.leases[0], &second), 0, "and again, with other news");
	is_int(do_renew(place, claimed.leases[0], NULL), 0, "and with none");
	contract_open(&other, place, STORAGE_FOR_OPERATOR);
	do_peek(&other, envelope->id, false, &got);
	is_int(got.place, PLACE_LEASED, "another sees that it is leased");
	is_int(outcomes_find(&got.state.done, 0)->kind, OUTCOME_DELIVERED, "who was delivered stays so");
	is_str(outcomes_find(&got.state.done, 0)->reply.text, "first", "with that reply");
	is_str(outcomes_find(&got.state.done, 0)->host, "mx", "and host");
	is_int(outcomes_find(&got.state.done, 1)->kind, OUTCOME_FAILED, "who was late has failed");
	is_int(outcomes_find(&got.state.done, 1)->time_ms, 8, "at that time");
	is_int(got.state.attempts, 0, "an attempt is not counted before its end");
	answer_release(&got);
	ok(!do_claim_id(&other, envelope->id, &code) && code, "and cannot have it");
	place_close(&other);
	is_int(do_defer(place, claimed.leases[0], 0, false, NULL, NULL), 0, "given back without a word");
	do_claim(place, 1, &claimed, WAIT_MS);
	do_get(place, claimed.leases[0], &got);
	is_int(got.state.done.count, 2, "all of it is there");
	answer_release(&got);
	do_remove(place, claimed.leases[0]);
	outcomes_release(&first);
	outcomes_release(&second);
	reply_release(&reply);
	envelope_free(envelope);
}

static void test_delay(struct place *place)
{
	struct envelope *envelope = message("late@example.org", "Subject: l\r\n\r\n");
	struct answer claimed;
	int64_t before = clock_boot_ms();

	is_int(do_write(place, &envelope, 1, 300), 0, "written with a delay");
	is_int(do_claim(place, 1, &claimed, WAIT_MS), 1, "claimed");
	ok(clock_boot_ms() - before >= 250, "not before its time");
	do_remove(place, claimed.leases[0]);
	envelope_free(envelope);
}

static void test_discard_leased(struct place *place)
{
	struct envelope *envelope = message("m@example.org", "Subject: m\r\n\r\n");
	struct answer claimed, got;

	do_write(place, &envelope, 1, 0);
	do_claim(place, 1, &claimed, WAIT_MS);
	is_int(do_discard(place, envelope->id), 0, "discard under a lease is taken");
	do_peek(place, envelope->id, false, &got);
	is_int(got.place, PLACE_LEASED, "the lease is untouched");
	answer_release(&got);
	is_int(do_defer(place, claimed.leases[0], 60000, true, NULL, NULL), 0, "its end");
	do_peek(place, envelope->id, false, &got);
	is_int(got.why.code, 550, "takes the message away");
	answer_release(&got);
	envelope_free(envelope);
}

static void test_claim_id(struct place *place)
{
	struct envelope *envelope = message("c@example.org", "Subject: c\r\n\r\n");
	struct lease *lease;
	unsigned code;

	do_write(place, &envelope, 1, 3600000);
	lease = do_claim_id(place, envelope->id, &code);
	ok(lease != NULL, "claimed by its id, whatever its time");
	do_claim_id(place, envelope->id, &code);
	is_int(code, 450, "a second time: 450");
	do_remove(place, lease);
	do_claim_id(place, envelope->id, &code);
	is_int(code, 550, "when it is gone: 550");
	envelope_free(envelope);
}

/* Half from deferred, half from new. */
static void test_fairness(struct place *place)
{
	struct envelope *items[8];
	struct answer claimed, got;
	unsigned deferred = 0;

	for (unsigned i = 0; i < 8; i++)
		items[i] = message(i < 4 ? "old@example.org" : "new@example.org", "Subject: f\r\n\r\n");
	do_write(place, items, 4, 0);
	do_claim(place, 4, &claimed, WAIT_MS);
	is_int(claimed.lease_count, 4, "four claimed");
	for (size_t i = 0; i < claimed.lease_count; i++)
		do_defer(place, claimed.leases[i], 0, true, NULL, NULL);
	do_write(place, items + 4, 4, 0);
	is_int(do_claim(place, 4, &claimed, WAIT_MS), 4, "four of four deferred and four new");
	for (size_t i = 0; i < claimed.lease_count; i++) {
		do_get(place, claimed.leases[i], &got);
		deferred += got.state.attempts > 0;
		answer_release(&got);
		do_remove(place, claimed.leases[i]);
	}
	is_int(deferred, 2, "half of them deferred");
	is_int(do_claim(place, 8, &claimed, WAIT_MS), 4, "the rest");
	for (size_t i = 0; i < claimed.lease_count; i++)
		do_remove(place, claimed.leases[i]);
	for (unsigned i = 0; i < 8; i++)
		envelope_free(items[i]);
}

/* Taken one by one, neither kind waits for the end of the other. */
static void test_fairness_one_by_one(struct place *place)
{
	struct envelope *items[8];
	struct answer claimed, got;
	unsigned deferred = 0;

	for (unsigned i = 0; i < 8; i++)
		items[i] = message("fair@example.org", "Subject: f\r\n\r\n");
	do_write(place, items, 4, 0);
	do_claim(place, 4, &claimed, WAIT_MS);
	for (size_t i = 0; i < claimed.lease_count; i++)
		do_defer(place, claimed.leases[i], 0, true, NULL, NULL);
	do_write(place, items + 4, 4, 0);
	for (unsigned i = 0; i < 8; i++) {
		is_int(do_claim(place, 1, &claimed, WAIT_MS), 1, "one claimed");
		do_get(place, claimed.leases[0], &got);
		deferred += i < 4 && got.state.attempts > 0;
		answer_release(&got);
		do_remove(place, claimed.leases[0]);
	}
	is_int(deferred, 2, "half of the first four were deferred ones");
	for (unsigned i = 0; i < 8; i++)
		envelope_free(items[i]);
}

static void test_max_bytes(struct place *place)
{
	struct buffer octets = { 0 };
	struct envelope *items[6];
	struct answer claimed;
	unsigned left = 6, most = 0;

	buffer_append_str(&octets, "Subject: b\r\n\r\n");
	while (octets.size < 100000)
		buffer_append_str(&octets, "0123456789\r\n");
	for (unsigned i = 0; i < 6; i++)
		items[i] = message("bytes@example.org", buffer_str(&octets));
	do_write(place, items, 6, 0);
	for (unsigned turn = 0; left && turn < 6; turn++) {
		memset(&claimed, 0, sizeof(claimed));
		place->storage->driver->claim(place->storage, 6, 250000, 60000, on_claimed, &claimed);
		answered(place, &claimed);
		if (claimed.lease_count > most)
			most = (unsigned)claimed.lease_count;
		left -= (unsigned)claimed.lease_count;
		for (size_t i = 0; i < claimed.lease_count; i++)
			do_remove(place, claimed.leases[i]);
	}
	is_int(most, 2, "250,000 octets are two messages of 100,000");
	is_int(left, 0, "all are claimed in turn");
	do_write(place, items, 1, 0);
	for (unsigned i = 0; i < 6; i++)
		envelope_free(items[i]);
	items[0] = message("bytes@example.org", buffer_str(&octets));
	do_write(place, items, 1, 0);
	memset(&claimed, 0, sizeof(claimed));
	place->storage->driver->claim(place->storage, 6, 10, 60000, on_claimed, &claimed);
	answered(place, &claimed);
	is_int(claimed.lease_count, 1, "one that is larger than that comes alone");
	do_remove(place, claimed.leases[0]);
	envelope_free(items[0]);
	buffer_release(&octets);
}

static void test_list(struct place *place)
{
	enum { COUNT = 250 };
	struct envelope *items[COUNT];
	struct answer answer;
	struct strings all = { 0 };
	char cursor[LIST_CURSOR_SIZE] = "";
	bool ascending = true;
	unsigned calls = 0;

	for (unsigned i = 0; i < COUNT; i++)
		items[i] = message("list@example.org", "Subject: l\r\n\r\n");
	do_write(place, items, COUNT, 3600000);
	do {
		do_list(place, &(struct list_filter){ 0 }, cursor, 100, &answer);
		for (size_t i = 0; i < answer.ids.count; i++)
			strings_add(&all, answer.ids.items[i]);
		snprintf(cursor, sizeof(cursor), "%s", answer.cursor);
		answer_release(&answer);
	} while (*cursor && ++calls < 10);
	is_int(all.count, COUNT, "listed in batches, each once");
	for (size_t i = 1; i < all.count; i++)
		ascending = ascending && strcmp(all.items[i - 1], all.items[i]) < 0;
	ok(ascending, "in the order of ids");
	do_list(place, &(struct list_filter){ .id = items[3]->id }, "", 100, &answer);
	is_int(answer.ids.count, 1, "one by its id");
	answer_release(&answer);
	is_int(do_info(place).deferred, COUNT, "info counts them");
	for (unsigned i = 0; i < COUNT; i++) {
		do_discard(place, items[i]->id);
		envelope_free(items[i]);
	}
	is_int(do_info(place).deferred, 0, "discarded");
	strings_release(&all);
}

static void test_stop(struct place *place)
{
	struct envelope *envelope = message("s@example.org", "Subject: s\r\n\r\n");
	struct answer claimed, waiting;

	do_write(place, &envelope, 1, 0);
	do_claim(place, 1, &claimed, WAIT_MS);
	is_int(do_claim(place, 1, &waiting, 20), 0, "a claim waits");
	place->storage->driver->stop(place->storage);
	ok(!waiting.done, "stop() does not call back from within");
	ok(wait_for(place, &waiting, WAIT_MS) && waiting.lease_count == 0, "it calls back with none");
	is_int(do_defer(place, claimed.leases[0], 0, true, NULL, NULL), 0, "results still go through");
	is_int(do_claim(place, 1, &waiting, WAIT_MS), 0, "a claim after stop() gets none");
	ok(waiting.done, "at once");
	envelope_free(envelope);
}

static void test_large(struct place *place)
{
	struct buffer octets = { 0 };
	struct envelope *envelope;
	struct answer claimed, got;

	buffer_append_str(&octets, "Subject: large\r\n\r\n");
	for (unsigned i = 0; octets.size < 300000; i++)
		buffer_appendf(&octets, "line %u of it\r\n", i);
	envelope = message("l@example.org", buffer_str(&octets));
	is_int(do_write(place, &envelope, 1, 0), 0, "a large one written");
	is_int(do_claim(place, 1, &claimed, WAIT_MS), 1, "claimed");
	do_get(place, claimed.leases[0], &got);
	ok(same_octets(got.envelope, buffer_str(&octets)), "octet for octet");
	answer_release(&got);
	do_remove(place, claimed.leases[0]);
	envelope_free(envelope);
	envelope = message("l@example.org", "Subject: small\r\n\r\n");
	do_write(place, &envelope, 1, 0);
	do_claim(place, 1, &claimed, WAIT_MS);
	do_get(place, claimed.leases[0], &got);
	ok(same_octets(got.envelope, "Subject: small\r\n\r\n"), "a small one after it");
	answer_release(&got);
	do_remove(place, claimed.leases[0]);
	envelope_free(envelope);
	buffer_release(&octets);
}

/* As an edge hands it over: fields added by policies, the header in memory, the rest in a spool file. */
static void test_spooled(struct place *place)
{
	struct buffer whole = { 0 }, rest = { 0 };
	struct envelope *envelope = message("s@example.org", "Subject: spooled\r\n\r\nin memory\r\n");
	struct answer claimed, got;
	FILE *spool = tmpfile();

	while (rest.size < 200000)
		buffer_append_str(&rest, "in the file\r\n");
	if (!spool || fputs("skipped", spool) < 0 || fwrite(rest.data, 1, rest.size, spool) != rest.size || fflush(spool))
		abort();
	buffer_append_str(&envelope->content.prepended, "Received: here\r\n");
	buffer_append_str(&envelope->content.appended, "Date: now\r\n");
	envelope->content.fd = dup(fileno(spool));
	envelope->content.fd_offset = 7;
	envelope->content.fd_size = rest.size;
	buffer_append_str(&whole, "Received: here\r\nSubject: spooled\r\nDate: now\r\n\r\nin memory\r\n");
	buffer_append(&whole, rest.data, rest.size);
	is_int(do_write(place, &envelope, 1, 0), 0, "a spooled one written");
	is_int(do_claim(place, 1, &claimed, WAIT_MS), 1, "claimed");
	do_get(place, claimed.leases[0], &got);
	ok(same_octets(got.envelope, buffer_str(&whole)), "octet for octet");
	answer_release(&got);
	do_remove(place, claimed.leases[0]);
	fclose(spool);
	envelope_free(envelope);
	buffer_release(&whole);
	buffer_release(&rest);
}

static void test_reopen(void)
{
	struct place place;
	struct answer claimed, got;

	contract_open(&place, NULL, STORAGE_FOR_WORKER);
	is_int(do_claim(&place, 10, &claimed, WAIT_MS), 1, "opened again: the message is there");
	do_get(&place, claimed.leases[0], &got);
	is_int(got.state.attempts, 1, "with its attempt");
	answer_release(&got);
	is_int(do_remove(&place, claimed.leases[0]), 0, "removed");
	place_close(&place);
}

/* What is under way when a storage closes is called back, each once. */
static void test_lost_lease(void)
{
	struct place place;
	struct envelope *envelope = message("lost@example.org", "Subject: l\r\n\r\n");
	struct outcomes done = { 0 };
	struct answer claimed, got;

	outcomes_add(&done, &(struct outcome){ 1, OUTCOME_DELIVERED });
	contract_open(&place, NULL, STORAGE_FOR_WORKER);
	do_write(&place, &envelope, 1, 0);
	do_claim(&place, 1, &claimed, WAIT_MS);
	do_renew(&place, claimed.leases[0], &done);
	place_close(&place);
	contract_open(&place, NULL, STORAGE_FOR_WORKER);
	is_int(do_claim(&place, 1, &claimed, WAIT_MS), 1, "its owner is gone: it is free at once");
	do_get(&place, claimed.leases[0], &got);
	ok(outcomes_find(&got.state.done, 1) && got.state.attempts == 0, "what was recorded while it lived is known");
	answer_release(&got);
	do_remove(&place, claimed.leases[0]);
	place_close(&place);
	outcomes_release(&done);
	envelope_free(envelope);
}

static void test_close(void)
{
	struct place place;
	struct envelope *items[20];
	struct answer answers[20] = { 0 };
	unsigned calls = 0;

	contract_open(&place, NULL, STORAGE_FOR_WORKER);
	for (unsigned i = 0; i < 20; i++) {
		items[i] = message("close@example.org", "Subject: x\r\n\r\n");
		place.storage->driver->write(place.storage, &items[i], 1, 0, on_done, &answers[i]);
	}
	event_base_loop(place.base, EVLOOP_NONBLOCK);
	place_close(&place);
	for (unsigned i = 0; i < 20; i++) {
		calls += answers[i].calls;
		answer_release(&answers[i]);
		envelope_free(items[i]);
	}
	is_int(calls, 20, "twenty writes, twenty answers");
}

static void walk(void)
{
	struct place place;

	contract_open(&place, NULL, STORAGE_FOR_WORKER);
	test_whole_way(&place);
	test_same_id(&place);
	test_several(&place);
	test_defer(&place);
	test_renew(&place);
	test_delay(&place);
	test_discard_leased(&place);
	test_claim_id(&place);
	test_fairness(&place);
	test_fairness_one_by_one(&place);
	test_max_bytes(&place);
	test_list(&place);
	test_large(&place);
	test_spooled(&place);
	test_stop(&place);
	place_close(&place);
	if (driver->lasts) {
		test_reopen();
		test_lost_lease();
	}
	test_close();
}

int main(void)
{
	contract_walk(walk);
	return done_testing();
}
