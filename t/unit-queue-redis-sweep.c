/* unit-queue-redis-sweep.c - wake-ups of a redis queue: tokens, what becomes due, what the dead put aside, and what it all costs
 * SPDX-License-Identifier: MIT
 * S10: a token that is lost with its worker, or with redis, costs a wait shorter than a lease, and no message comes twice. */
#include "t/lib/redis_hosts.h"

#define WAITING 64
#define SHORT_MS 1000
#define SWEEP_MS (LONG_MS / 4)
#define HOUR_MS 3600000

static struct place hosts[WAITING];
static struct answer waiting[WAITING], given_back;

static void remove_claimed(struct place *place, struct answer *answer, const char *id, const char *what)
{
	wait_for(place, answer, WAIT_MS);
	is_int(answer->lease_count, 1, what);
	if (!answer->lease_count)
		return;
	is_str(answer->leases[0]->id, id, "the one");
	is_int(do_remove(place, answer->leases[0]), 0, "removed");
}

/* ---- what it costs */

/* As a worker does: what comes is claimed, and the next claim waits. Gives how many came. */
static unsigned serve(int ms)
{
	int64_t until_ms = clock_boot_ms() + ms;
	unsigned came = 0;

	while (clock_boot_ms() < until_ms) {
		let_pass(&hosts[0], 5);
		for (unsigned i = 0; i < WAITING; i++) {
			struct lease *lease = waiting[i].lease_count ? waiting[i].leases[0] : NULL;

			if (!lease)
				continue;
			came++;
			hosts[i].storage->driver->defer(hosts[i].storage, &lease, HOUR_MS, false, NULL, NULL, on_done,
				&given_back);
			begin_claim(&hosts[i], 1, LONG_MS, &waiting[i]);
		}
	}
	return came;
}

static void test_costs(void)
{
	unsigned long calls;
	const char *stats;
	char id[ID_SIZE];

	for (unsigned i = 0; i < WAITING; i++) {
		host_open(&hosts[i], i ? &hosts[0] : NULL, "host");
		begin_claim(&hosts[i], 1, LONG_MS, &waiting[i]);
	}
	/* The server knows all scripts after a first one. */
	write_one(&hosts[0], 0, id);
	is_int(serve(500), 1, "64 wait: one claims a message");
	redis_server_ask(&server, "CONFIG RESETSTAT");
	let_pass(&hosts[0], 1500);
	stats = redis_server_ask(&server, "INFO commandstats");
	ok(!strstr(stats, "cmdstat_eval") && !strstr(stats, "cmdstat_blpop"), "they wait: redis is asked nothing");
	redis_server_ask(&server, "CONFIG RESETSTAT");
	write_one(&hosts[0], 0, id);
	is_int(serve(300), 1, "one message, claimed by one");
	calls = scripts_run();
	/* One writes, one gives back. */
	ok(calls - 2 <= 2, "two claims at most: %lu", calls - 2);
	for (unsigned i = WAITING; i--;)
		place_close(&hosts[i]);
	redis_server_ask(&server, "FLUSHALL");
}

/* ---- due, and not a sweep later */

static void test_due(void)
{
	struct answer claimed;
	int64_t since_ms;
	char id[ID_SIZE], later[ID_SIZE];
	int waited_ms;

	open_both();
	write_one(&two, HOUR_MS, later);
	begin_claim(&one, 1, LONG_MS, &claimed);
	let_pass(&one, 100);
	since_ms = clock_boot_ms();
	write_one(&two, 300, id);
	wait_for(&one, &claimed, WAIT_MS);
	waited_ms = (int)(clock_boot_ms() - since_ms);
	ok(waited_ms >= 290 && waited_ms < SWEEP_MS / 2, "due in 300 ms: claimed after %d", waited_ms);
	is_str(claimed.lease_count ? claimed.leases[0]->id : "", id, "that one");
	since_ms = clock_boot_ms();
	is_int(do_defer(&one, claimed.leases[0], 200, true, NULL, NULL), 0, "given back for 200 ms");
	begin_claim(&one, 1, LONG_MS, &claimed);
	remove_claimed(&one, &claimed, id, "it comes again");
	waited_ms = (int)(clock_boot_ms() - since_ms);
	ok(waited_ms >= 190 && waited_ms < SWEEP_MS / 2, "when it is due: after %d", waited_ms);
	is_int(do_discard(&one, later), 0, "the other was not");
	close_both();
}

/* ---- tokens that are lost */

/* As a worker that dies between its token and its claim. */
static void test_taken_token(void)
{
	struct answer claimed;
	char id[ID_SIZE];
	int64_t since_ms;
	int fd, waited_ms;

	open_both();
	/* It has waited longest, so it gets the token. */
	fd = redis_server_connect(&server);
	if (fd < 0 || dprintf(fd, "BLPOP t:wake 0\r\n") < 0)
		BUG("no connection");
	begin_claim(&one, 1, SHORT_MS, &claimed);
	let_pass(&one, 150);
	since_ms = clock_boot_ms();
	write_one(&two, 0, id);
	remove_claimed(&one, &claimed, id, "its token went to one that died with it: another claims it all the same");
	waited_ms = (int)(clock_boot_ms() - since_ms);
	ok(waited_ms < SHORT_MS, "sooner than a lease: after %d", waited_ms);
	close(fd);
	close_both();
}

/* ---- who swept is gone */

static void sweep_and_wait(void)
{
	struct answer never;

	host_open(&one, NULL, "sweeper");
	begin_claim(&one, 1, SHORT_MS, &never);
	let_pass(&one, 200);
}

static void test_sweeper_gone(void)
{
	struct victim victim = victim_start(sweep_and_wait);
	struct answer claimed;
	char id[ID_SIZE];
	int64_t since_ms;
	int waited_ms;

	victim_order(&victim);
	open_both();
	begin_claim(&one, 1, SHORT_MS, &claimed);
	let_pass(&one, 50);
	victim_kill(&victim);
	since_ms = clock_boot_ms();
	write_one(&two, 50, id);
	remove_claimed(&one, &claimed, id, "who swept is killed: what becomes due is claimed");
	waited_ms = (int)(clock_boot_ms() - since_ms);
	ok(waited_ms >= 45 && waited_ms < SHORT_MS, "sooner than a lease: after %d", waited_ms);
	close_both();
}

/* Its place is taken at once where it stops. */
static void test_sweeper_stopped(void)
{
	struct answer none, claimed;
	char id[ID_SIZE];
	int64_t since_ms;
	int waited_ms;

	open_both();
	begin_claim(&one, 1, LONG_MS, &none);
	let_pass(&one, 50);
	begin_claim(&two, 1, LONG_MS, &claimed);
	let_pass(&one, 50);
	one.storage->driver->stop(one.storage);
	wait_for(&one, &none, WAIT_MS);
	is_int(none.lease_count, 0, "who sweeps stops");
	let_pass(&one, 100);
	since_ms = clock_boot_ms();
	write_one(&one, 200, id);
	remove_claimed(&two, &claimed, id, "another sweeps");
	waited_ms = (int)(clock_boot_ms() - since_ms);
	ok(waited_ms >= 190 && waited_ms < SWEEP_MS / 2, "and knows what is due: after %d", waited_ms);
	close_both();
}

/* ---- what was put aside by who is gone */

static struct answer put;

static void put_aside(struct place *place, struct lease *lease)
{
	memset(&put, 0, sizeof(put));
	place->storage->driver->put_aside(place->storage, &lease, HOUR_MS, 7, NULL, on_done, &put);
	answered(place, &put);
	if (put.why.code)
		BUG("not put aside");
}

static void put_aside_and_wait(void)
{
	host_open(&one, NULL, "aside");
	put_aside(&one, claim_one(&one, SHORT_MS));
}

static void test_aside(void)
{
	struct victim victim = victim_start(put_aside_and_wait);
	struct answer claimed, seen;
	char id[ID_SIZE];
	int64_t since_ms;
	int waited_ms;

	open_both();
	write_one(&one, 0, id);
	victim_order(&victim);
	begin_claim(&one, 1, SHORT_MS, &claimed);
	let_pass(&one, 200);
	ok(!claimed.done, "put aside by another host: nobody gets it");
	is_int(place_now(&two, id, &seen), PLACE_NEW, "it is as it was");
	answer_release(&seen);
	victim_kill(&victim);
	since_ms = clock_boot_ms();
	wait_for(&one, &claimed, WAIT_MS);
	waited_ms = (int)(clock_boot_ms() - since_ms);
	is_int(claimed.lease_count, 1, "that host is gone: it is due");
	ok(waited_ms < 2 * SHORT_MS, "in the time of a lease: after %d", waited_ms);
	put_aside(&one, claimed.leases[0]);
	begin_claim(&two, 1, SHORT_MS, &claimed);
	let_pass(&one, 3 * SHORT_MS);
	ok(!claimed.done, "who lives keeps it aside, for longer than any lease");
	one.storage->driver->stop(one.storage);
	remove_claimed(&two, &claimed, id, "it stops: at once");
	close_both();
}

/* ---- redis itself is gone for a while */

static void test_restart(void)
{
	struct answer claimed;
	char id[ID_SIZE];

	open_both();
	begin_claim(&one, 1, LONG_MS, &claimed);
	let_pass(&one, 100);
	redis_server_signal(&server, SIGKILL);
	let_pass(&one, 200);
	redis_server_run(&server);
	/* Its connection is back before those that wait: the token is there before they are. */
	while (1) {
		struct envelope *envelope = message("s@example.org", "Subject: x\r\n\r\nbody\r\n");
		unsigned code = do_write(&two, &envelope, 1, 0);

		memcpy(id, envelope->id, ID_SIZE);
		envelope_free(envelope);
		if (!code)
			break;
		let_pass(&one, 20);
	}
	remove_claimed(&one, &claimed, id, "redis was killed and is back: a claim that waited goes on");
	begin_claim(&one, 1, LONG_MS, &claimed);
	let_pass(&one, 200);
	redis_server_ask(&server, "CLIENT KILL TYPE normal");
	do {
		let_pass(&one, 20);
	} while (!do_info(&two).octets && do_set(&two, "a", "b", 1000));
	write_one(&two, 0, id);
	remove_claimed(&one, &claimed, id, "all connections were cut: likewise");
	close_both();
}

int main(void)
{
	hosts_begin("appendonly yes\nappendfsync always\nmaxclients 1000");
	test_costs();
	test_due();
	test_taken_token();
	test_sweeper_gone();
	test_sweeper_stopped();
	test_aside();
	test_restart();
	return hosts_end();
}
