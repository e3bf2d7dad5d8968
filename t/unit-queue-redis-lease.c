/* unit-queue-redis-lease.c - leases of a redis queue: their end, who takes over, and what comes too late
 * SPDX-License-Identifier: MIT
 * P2, P3, P4: taken over at the first expiry; what a dead host had moves; expiry counts at pick-up, at a claim by id and
 * in the sweep. */
#include "t/lib/redis_hosts.h"

#define SHORT_MS 1000
#define POLLERS 5

static struct place pollers[POLLERS];
static char log_path[128];

/* A line of standard error, which is a file here. */
static bool has_logged(const char *event, const char *member)
{
	static char text[65536];
	FILE *log = fopen(log_path, "r");
	size_t size = log ? fread(text, 1, sizeof(text) - 1, log) : 0;
	char *line;

	text[size] = '\0';
	if (log)
		fclose(log);
	line = strstr(text, event);
	return line && strstr(line, member);
}

static struct outcomes delivered(size_t index)
{
	struct outcomes done = { 0 };
	struct reply reply = { 0 };

	reply_set(&reply, 250, "2.0.0", "Ok");
	outcomes_add(&done, &(struct outcome){ index, OUTCOME_DELIVERED, reply, (char *)"mx", 5 });
	reply_release(&reply);
	return done;
}

/* Its owner says nothing any more, though its connection stands. */
static void test_first_expiry(void)
{
	struct answer waiting[POLLERS], *winner = NULL;
	unsigned winners = 0;
	int64_t since_ms;
	struct lease *lease;
	uint64_t epoch;
	char id[ID_SIZE];

	open_both();
	write_one(&one, 0, id);
	lease = claim_one(&one, SHORT_MS);
	ok(lease != NULL, "claimed by a host that goes silent");
	epoch = lease ? lease->epoch : 0;
	since_ms = clock_boot_ms();
	for (unsigned i = 0; i < POLLERS; i++) {
		host_open(&pollers[i], &one, "poller");
		begin_claim(&pollers[i], 1, SHORT_MS, &waiting[i]);
	}
	while (!winners && clock_boot_ms() - since_ms < WAIT_MS) {
		let_pass(&one, 10);
		for (unsigned i = 0; i < POLLERS; i++)
			if (waiting[i].done)
				winners++, winner = &waiting[i];
	}
	is_int(winners, 1, "five poll: one of them gets it");
	ok(clock_boot_ms() - since_ms >= SHORT_MS - 50, "not before its lease is over");
	ok(clock_boot_ms() - since_ms < 2 * SHORT_MS - 100, "at the first expiry (%d ms)", (int)(clock_boot_ms() - since_ms));
	is_str(winner && winner->lease_count ? winner->leases[0]->id : "", id, "the message");
	ok(has_logged("in doubt id=", "owner=one/slimta-worker["), "it is said to be in doubt, and whose lease that was");
	ok(winner && winner->lease_count && winner->leases[0]->epoch > epoch, "a later lease");
	for (unsigned i = 0; i < POLLERS; i++)
		if (&waiting[i] == winner)
			is_int(do_remove(&pollers[i], winner->leases[0]), 0, "its new owner removes it");
	for (unsigned i = 0; i < POLLERS; i++)
		place_close(&pollers[i]);
	close_both();
}

static void test_late_results(void)
{
	struct outcomes first = delivered(0), second = delivered(1);
	struct lease *late, *current;
	struct answer seen;
	char id[ID_SIZE];

	open_both();
	write_one(&one, 0, id);
	late = claim_one(&one, SHORT_MS);
	current = claim_one(&two, LONG_MS);
	ok(late && current, "another has it by now");
	is_int(do_renew(&one, late, &first), 450, "a late renewal is refused");
	do_peek(&one, id, false, &seen);
	is_int(seen.place, PLACE_LEASED, "it is not touched");
	ok(outcomes_find(&seen.state.done, 0) != NULL, "but who was settled is known");
	answer_release(&seen);
	is_int(do_defer(&one, late, 0, true, &first, NULL), 450, "a late result is refused");
	is_int(do_renew(&two, current, &second), 0, "its owner goes on");
	do_get(&two, current, &seen);
	is_int(seen.state.done.count, 2, "and knows of both");
	answer_release(&seen);
	is_int(do_defer(&two, current, 0, true, NULL, NULL), 0, "its result counts");
	do_peek(&one, id, false, &seen);
	is_int(seen.state.attempts, 1, "one attempt");
	is_int(seen.state.done.count, 2, "both are settled");
	answer_release(&seen);
	late = claim_one(&one, SHORT_MS);
	current = claim_one(&two, LONG_MS);
	is_int(do_remove(&one, late), 450, "a late removal is refused");
	ok(has_message(&two, id), "it is there");
	is_int(do_remove(&two, current), 0, "until its owner removes it");
	close_both();
	outcomes_release(&first);
	outcomes_release(&second);
}

/* Over, but nobody has had it since: no harm is done by taking what it says. */
static void test_over_but_free(void)
{
	struct outcomes done = delivered(0);
	struct lease *lease;
	struct answer seen;
	char id[ID_SIZE];
	unsigned code;

	open_both();
	write_one(&one, 0, id);
	lease = claim_one(&one, 100);
	while (place_now(&two, id, &seen) == PLACE_LEASED) {
		answer_release(&seen);
		let_pass(&one, 10);
	}
	is_int(seen.place, PLACE_NEW, "over: new again, seen by the sweep alone");
	answer_release(&seen);
	is_int(do_renew(&one, lease, &done), 0, "its owner comes back before anybody else");
	do_claim_id(&two, id, &code);
	is_int(code, 450, "and has it again");
	is_int(do_defer(&one, lease, 3600000, true, NULL, NULL), 0, "and gives it back");
	lease = do_claim_id(&two, id, &code);
	ok(lease != NULL, "then another can have it");
	is_int(do_remove(&two, lease), 0, "removed");
	close_both();
	outcomes_release(&done);
}

static void test_at_claim_id(void)
{
	struct lease *lease;
	struct answer claimed = { 0 };
	char id[ID_SIZE];

	open_both();
	write_one(&one, 0, id);
	lease = claim_one(&one, SHORT_MS);
	two.storage->driver->claim_id(two.storage, id, LONG_MS, on_claimed, on_done, &claimed);
	answered(&two, &claimed);
	is_int(claimed.why.code, 450, "by its id: somebody has it");
	ok(claimed.why.text && strstr(claimed.why.text, "one/slimta-worker["), "and it is said who: %s", claimed.why.text);
	answer_release(&claimed);
	let_pass(&one, SHORT_MS + 50);
	two.storage->driver->claim_id(two.storage, id, LONG_MS, on_claimed, on_done, &claimed);
	answered(&two, &claimed);
	is_int(claimed.lease_count, 1, "over: taken by its id");
	is_int(do_renew(&one, lease, NULL), 450, "its first owner hears of it");
	if (claimed.lease_count)
		do_remove(&two, claimed.leases[0]);
	answer_release(&claimed);
	close_both();
}

/* ---- a host that is gone for good */

static void claim_for_good(void)
{
	host_open(&one, NULL, "gone");
	claim_one(&one, SHORT_MS);
}

static void test_gone_for_good(void)
{
	struct victim victim = victim_start(claim_for_good);
	struct answer claimed;
	int64_t since_ms;
	char id[ID_SIZE];

	host_open(&two, NULL, "two");
	write_one(&two, 0, id);
	victim_order(&victim);
	since_ms = clock_boot_ms();
	victim_kill(&victim);
	begin_claim(&two, 1, SHORT_MS, &claimed);
	answered(&two, &claimed);
	is_int(claimed.lease_count, 1, "what a killed worker had is claimed");
	ok(clock_boot_ms() - since_ms < 2 * SHORT_MS - 100, "as its lease ends (%d ms)", (int)(clock_boot_ms() - since_ms));
	if (claimed.lease_count)
		do_remove(&two, claimed.leases[0]);
	place_close(&two);
}

/* ---- a stop gives back */

static void test_closed(void)
{
	struct answer claimed;
	int64_t since_ms;
	char id[ID_SIZE];

	open_both();
	write_one(&one, 0, id);
	ok(claim_one(&two, LONG_MS) != NULL, "claimed");
	begin_claim(&one, 1, LONG_MS, &claimed);
	let_pass(&one, 100);
	ok(!claimed.done, "another waits");
	since_ms = clock_boot_ms();
	place_close(&two);
	answered(&one, &claimed);
	is_int(claimed.lease_count, 1, "its owner closes: at once");
	ok(clock_boot_ms() - since_ms < LONG_MS / 4, "not after the lease");
	if (claimed.lease_count)
		do_remove(&one, claimed.leases[0]);
	place_close(&one);
}

/* ---- answers that do not come */

/* The server takes what was sent and answers a connection that is no more. */
static void lose_answers(struct place *place)
{
	let_pass(place, 20);
	redis_server_signal(&server, SIGSTOP);
}

static void answer_again(struct place *place)
{
	let_pass(place, 900);
	redis_server_signal(&server, SIGCONT);
}

static void answer_of_epoch(const char *id, const struct lease *lease)
{
	char *question = xasprintf("HGET t:%s claim", id);

	/* TAG:1, its first claim. */
	ok(strstr(redis_server_ask(&server, question), ":1\r\n"), "it is the same lease, not a second one");
	ok(lease->epoch > 0, "with an epoch");
	free(question);
}

static void test_answer_lost(void)
{
	struct outcomes done = delivered(1);
	struct answer claimed, result = { 0 }, seen;
	struct lease *lease;
	char id[ID_SIZE];

	redis_more = ", socket_timeout: 0.5";
	host_open(&one, NULL, "one");
	write_one(&one, 0, id);
	lose_answers(&one);
	begin_claim(&one, 1, LONG_MS, &claimed);
	answer_again(&one);
	answered(&one, &claimed);
	is_int(claimed.lease_count, 1, "a claim whose answer was lost has it long before that lease ends");
	lease = claimed.leases[0];
	answer_of_epoch(id, lease);
	lose_answers(&one);
	one.storage->driver->defer(one.storage, &lease, 0, true, &done, NULL, on_done, &result);
	answer_again(&one);
	answered(&one, &result);
	is_int(result.why.code, 0, "a result is told until redis says that it has it");
	answer_release(&result);
	do_peek(&one, id, false, &seen);
	is_int(seen.state.attempts, 1, "and counts once");
	is_int(seen.place, PLACE_DEFERRED, "it is free");
	answer_release(&seen);
	lease = claim_one(&one, LONG_MS);
	lose_answers(&one);
	one.storage->driver->remove(one.storage, &lease, on_done, &result);
	answer_again(&one);
	answered(&one, &result);
	is_int(result.why.code, 0, "a removal likewise");
	ok(!has_message(&one, id), "it is gone");
	answer_release(&result);
	place_close(&one);
	redis_more = "";
	outcomes_release(&done);
}

/* Beyond its lease there is nothing to tell. */
static void test_told_too_late(void)
{
	struct answer result = { 0 };
	struct lease *lease;
	char id[ID_SIZE];
	unsigned code;

	redis_more = ", socket_timeout: 0.5";
	host_open(&one, NULL, "one");
	write_one(&one, 0, id);
	lease = claim_one(&one, 1500);
	redis_server_signal(&server, SIGSTOP);
	one.storage->driver->defer(one.storage, &lease, 0, true, NULL, NULL, on_done, &result);
	answered(&one, &result);
	is_int(result.why.code, 451, "redis is away until the lease is over: 451");
	answer_release(&result);
	redis_server_signal(&server, SIGCONT);
	do {
		let_pass(&one, 20);
		lease = do_claim_id(&one, id, &code);
	} while (!lease && code == 451);
	ok(lease != NULL, "who has something to say claims it again, also where redis thinks that he has it (%u)", code);
	if (lease)
		is_int(do_remove(&one, lease), 0, "and says it");
	place_close(&one);
	redis_more = "";
}

int main(void)
{
	hosts_begin(NULL);
	snprintf(log_path, sizeof(log_path), "%s/log", scratch);
	log_open("unit", &(struct log_settings){ .level = LOG_LEVEL_INFO, .output = log_path });
	test_first_expiry();
	test_late_results();
	test_over_but_free();
	test_at_claim_id();
	test_gone_for_good();
	test_closed();
	test_answer_lost();
	test_told_too_late();
	log_close();
	return hosts_end();
}
