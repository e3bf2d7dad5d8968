/* unit-queue-aside.c - what is put aside on every driver: claimed by nobody until its time, a recall, a mark
 * SPDX-License-Identifier: MIT */
#include "common/queue/disk/disk.h"
#include "t/lib/contract.h"
#include "t/lib/disk_files.h"

#define HOUR_MS 3600000

static struct place one, other;
static struct answer claimed;

static void write_message(char id[ID_SIZE])
{
	struct envelope *envelope = message("s@example.org", "x\r\n");

	memcpy(id, envelope->id, ID_SIZE);
	is_int(do_write(&one, &envelope, 1, 0), 0, "a message");
	envelope_free(envelope);
}

static void begin_claim(void)
{
	memset(&claimed, 0, sizeof(claimed));
	one.storage->driver->claim(one.storage, 10, 0, 60000, on_claimed, &claimed);
}

static struct lease *claim(void)
{
	begin_claim();
	wait_for(&one, &claimed, WAIT_MS);
	is_int(claimed.lease_count, 1, "one is claimed");
	return claimed.leases[0];
}

static void put_aside(struct lease *lease, int64_t delay_ms, unsigned group, const struct outcomes *done)
{
	struct answer answer = { 0 };

	one.storage->driver->put_aside(one.storage, &lease, delay_ms, group, done, on_done, &answer);
	ok(!lease, "the lease is taken");
	answered(&one, &answer);
	is_int(answer.why.code, 0, "put aside");
	answer_release(&answer);
}

static struct answer peek(struct place *place, const char *id)
{
	struct answer seen;

	do_peek(place, id, false, &seen);
	return seen;
}

static void mark(const char *id, enum mark what)
{
	struct answer answer = { 0 };

	other.storage->driver->mark(other.storage, id, what, NULL, on_done, &answer);
	answered(&other, &answer);
	is_int(answer.why.code, 0, "marked");
	answer_release(&answer);
}

static void nobody_gets_it(const char *what)
{
	begin_claim();
	wait_for(&one, &claimed, 300);
	ok(!claimed.done, "%s: nobody gets it", what);
}

static void remove_claimed(const char *id, const char *what)
{
	wait_for(&one, &claimed, WAIT_MS);
	is_int(claimed.lease_count, 1, what);
	if (!claimed.lease_count)
		return;
	is_str(claimed.leases[0]->id, id, "the one");
	do_remove(&one, claimed.leases[0]);
}

static void test_recall(void)
{
	struct answer seen;
	char id[ID_SIZE];

	write_message(id);
	put_aside(claim(), HOUR_MS, 7, NULL);
	nobody_gets_it("for an hour");
	seen = peek(&other, id);
	is_int(seen.place, PLACE_NEW, "it is as it was");
	is_int(seen.state.attempts, 0, "without an attempt");
	answer_release(&seen);
	one.storage->driver->recall(one.storage, 8);
	wait_for(&one, &claimed, 300);
	ok(!claimed.done, "another group is recalled: not this one");
	one.storage->driver->recall(one.storage, 7);
	remove_claimed(id, "its group: at once");

	write_message(id);
	put_aside(claim(), HOUR_MS, ASIDE_SEVERAL, NULL);
	nobody_gets_it("for several groups");
	one.storage->driver->recall(one.storage, ASIDE_GROUPS);
	remove_claimed(id, "recalled by any");
}

/* It was decided on before. */
static void test_recalled_meanwhile(void)
{
	struct answer answer = { 0 };
	struct lease *lease;
	char id[ID_SIZE];

	write_message(id);
	lease = claim();
	one.storage->driver->put_aside(one.storage, &lease, HOUR_MS, 7, NULL, on_done, &answer);
	one.storage->driver->recall(one.storage, 7);
	answered(&one, &answer);
	answer_release(&answer);
	begin_claim();
	remove_claimed(id, "recalled while it is being put aside");
}

static void test_time(void)
{
	int64_t since_ms = clock_boot_ms();
	char id[ID_SIZE];

	write_message(id);
	put_aside(claim(), 200, 7, NULL);
	begin_claim();
	remove_claimed(id, "when its time is over");
	ok(clock_boot_ms() - since_ms >= 200, "and not before");
}

/* Others are not held up by any number of them. */
static void test_others(void)
{
	char aside[3][ID_SIZE], id[ID_SIZE];

	for (unsigned i = 0; i < ARRAY_SIZE(aside); i++) {
		write_message(aside[i]);
		put_aside(claim(), HOUR_MS, 1 + i, NULL);
	}
	write_message(id);
	begin_claim();
	remove_claimed(id, "another message goes by");
	for (unsigned i = 0; i < ARRAY_SIZE(aside); i++) {
		one.storage->driver->recall(one.storage, 1 + i);
		begin_claim();
		remove_claimed(aside[i], "each when it is recalled");
	}
}

/* What is seen of one that was marked beside its lease. */
static struct answer put_aside_marked(char id[ID_SIZE], enum mark what)
{
	struct lease *lease;

	write_message(id);
	lease = claim();
	mark(id, what);
	put_aside(lease, HOUR_MS, 7, NULL);
	return peek(&other, id);
}

static void test_marks(void)
{
	struct answer seen;
	char id[ID_SIZE];

	write_message(id);
	put_aside(claim(), HOUR_MS, 7, NULL);
	begin_claim();
	mark(id, MARK_RETRY);
	remove_claimed(id, "a retry that is asked for: at once");

	seen = put_aside_marked(id, MARK_HOLD);
	is_int(seen.place, PLACE_HELD, "a hold that was asked for beside the lease is obeyed");
	answer_release(&seen);
	one.storage->driver->recall(one.storage, 7);
	nobody_gets_it("held");
	mark(id, MARK_RELEASE);
	remove_claimed(id, "released");

	seen = put_aside_marked(id, MARK_DISCARD);
	is_int(seen.why.code, 550, "and a removal");
	answer_release(&seen);
}

static void test_done(void)
{
	struct outcome outcome = { 0, OUTCOME_DELIVERED, { 250, 0, 0, NULL }, NULL, 5 };
	struct outcomes done = { 0 };
	struct answer seen;
	char id[ID_SIZE];

	outcomes_add(&done, &outcome);
	write_message(id);
	put_aside(claim(), HOUR_MS, 7, &done);
	seen = peek(&other, id);
	is_int(seen.state.done.count, 1, "who is settled is recorded");
	is_int(seen.state.attempts, 0, "without an attempt");
	answer_release(&seen);
	nobody_gets_it("put aside all the same");
	one.storage->driver->recall(one.storage, 7);
	wait_for(&one, &claimed, WAIT_MS);
	put_aside(claimed.leases[0], HOUR_MS, 7, &done);
	nobody_gets_it("once more");
	one.storage->driver->recall(one.storage, 7);
	remove_claimed(id, "recalled");
	outcomes_release(&done);
}

/* Whoever comes next does not know of it. */
static void test_forgotten(void)
{
	char id[ID_SIZE];

	write_message(id);
	put_aside(claim(), HOUR_MS, 7, NULL);
	place_close(&other);
	place_close(&one);
	contract_open(&one, NULL, STORAGE_FOR_WORKER);
	contract_open(&other, &one, STORAGE_FOR_OPERATOR);
	begin_claim();
	remove_claimed(id, "opened again it is due");
}

static void walk(void)
{
	contract_open(&one, NULL, STORAGE_FOR_WORKER);
	contract_open(&other, &one, STORAGE_FOR_OPERATOR);
	test_recall();
	test_recalled_meanwhile();
	test_time();
	test_others();
	test_marks();
	test_done();
	if (driver->lasts)
		test_forgotten();
	place_close(&other);
	place_close(&one);
}

/* ---- disk alone: the scanner is a sibling, which sees to what a worker put aside that is gone */

static void test_sibling(void)
{
	struct place scanner, sibling;
	struct answer at_scanner = { 0 };
	char id[ID_SIZE];

	open_or_bail(&scanner, STORAGE_FOR_WORKER, SECTION);
	place_open_beside(&sibling, &scanner, STORAGE_FOR_WORKER, SECTION);
	one = sibling;
	write_message(id);
	put_aside(claim(), HOUR_MS, 7, NULL);
	nobody_gets_it("put aside by a sibling of the scanner");
	one.storage->driver->recall(one.storage, 7);
	wait_for(&one, &claimed, WAIT_MS);
	is_int(claimed.lease_count, 1, "its recall is heard");
	put_aside(claimed.leases[0], HOUR_MS, 7, NULL);
	scanner.storage->driver->claim(scanner.storage, 10, 0, 60000, on_claimed, &at_scanner);
	wait_for(&scanner, &at_scanner, 300);
	ok(!at_scanner.done, "the scanner does not get it");
	place_close(&one);
	wait_for(&scanner, &at_scanner, WAIT_MS);
	is_int(at_scanner.lease_count, 1, "the worker that put it aside is gone: at once");
	if (at_scanner.lease_count)
		do_remove(&scanner, at_scanner.leases[0]);
	place_close(&scanner);
}

static bool is_there(const char *id, const char *suffix)
{
	char *path = xasprintf("%s/meta/%s%s", scratch, id, suffix);
	bool there = access(path, F_OK) == 0;

	free(path);
	return there;
}

static void test_untouched(void)
{
	char id[ID_SIZE];

	open_or_bail(&one, STORAGE_FOR_WORKER, SECTION);
	write_message(id);
	put_aside(claim(), HOUR_MS, 7, NULL);
	ok(!is_there(id, ".meta"), "nothing is written for it");
	/* As a scan that is asked for does. */
	disk_scan_again((struct disk *)one.storage);
	begin_claim();
	wait_for(&one, &claimed, 1500);
	ok(!claimed.done, "a scan leaves it where it is");
	place_close(&one);
}

int main(void)
{
	contract_walk(walk);
	scratch_make();
	test_sibling();
	test_untouched();
	scratch_remove();
	return done_testing();
}
