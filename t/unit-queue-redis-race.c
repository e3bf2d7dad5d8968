/* unit-queue-redis-race.c - workers that race for the same messages of a redis queue, some of which are killed
 * SPDX-License-Identifier: MIT
 * S10, P19: ten workers on thousands of due messages get each once; what killed ones had comes once more, and nothing is lost. */
#include "t/lib/redis_hosts.h"

#define HOSTS 10
#define COUNT 2000
#define VICTIMS 3
#define SHORT_MS 1000

static struct place hosts[HOSTS];
static struct answer waiting[HOSTS];
static char ids[COUNT][ID_SIZE];
static unsigned claims[COUNT];

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void write_all(struct place *place)
{
	enum { BATCH = 50 };
	struct envelope *items[BATCH];

	for (unsigned i = 0; i < COUNT; i += BATCH) {
		for (unsigned j = 0; j < BATCH; j++) {
			items[j] = message("race@example.org", "Subject: race\r\n\r\n");
			memcpy(ids[i + j], items[j]->id, ID_SIZE);
		}
		if (do_write(place, items, BATCH, 0))
			BUG("not written");
		for (unsigned j = 0; j < BATCH; j++)
			envelope_free(items[j]);
	}
	qsort(ids, COUNT, ID_SIZE, compare);
	memset(claims, 0, sizeof(claims));
}

static unsigned removed, failed;

static void on_removed(void *arg, const struct reply *why)
{
	(void)arg;
	if (why)
		failed++;
	else
		removed++;
}

/* All that came is removed, and the next claim begun, until nothing more is expected. */
static void serve_all(unsigned expected)
{
	int64_t until_ms = clock_boot_ms() + WAIT_MS;

	removed = failed = 0;
	for (unsigned i = 0; i < HOSTS; i++)
		begin_claim(&hosts[i], 1 + i, SHORT_MS * 30, &waiting[i]);
	while (removed < expected && clock_boot_ms() < until_ms) {
		event_base_loop(hosts[0].base, EVLOOP_ONCE);
		for (unsigned i = 0; i < HOSTS; i++) {
			if (!waiting[i].done)
				continue;
			for (size_t j = 0; j < waiting[i].lease_count; j++) {
				char (*found)[ID_SIZE] = bsearch(waiting[i].leases[j]->id, ids, COUNT, ID_SIZE, compare);

				claims[found - ids]++;
				hosts[i].storage->driver->remove(hosts[i].storage, &waiting[i].leases[j], on_removed, NULL);
			}
			begin_claim(&hosts[i], 1 + i, SHORT_MS * 30, &waiting[i]);
		}
	}
}

static void check_all(unsigned expected, const char *what)
{
	unsigned most = 0;
	struct queue_counts counts = do_info(&hosts[0]);

	for (unsigned i = 0; i < COUNT; i++)
		if (claims[i] > most)
			most = claims[i];
	is_int(removed, expected, what);
	is_int(most, 1, "none of them twice");
	is_int(failed, 0, "none was refused");
	is_int(counts.fresh + counts.deferred + counts.leased + counts.held, 0, "none is left");
}

static void open_hosts(void)
{
	for (unsigned i = 0; i < HOSTS; i++)
		host_open(&hosts[i], i ? &hosts[0] : NULL, "host");
}

static void close_hosts(void)
{
	for (unsigned i = HOSTS; i--;)
		place_close(&hosts[i]);
}

static void claim_some(void)
{
	struct answer some;

	host_open(&hosts[0], NULL, "victim");
	begin_claim(&hosts[0], 40, SHORT_MS, &some);
	answered(&hosts[0], &some);
}

static void test_race(void)
{
	open_hosts();
	write_all(&hosts[0]);
	serve_all(COUNT);
	check_all(COUNT, "ten workers, two thousand messages: all are done");
	close_hosts();
}

static void test_killed(void)
{
	struct victim victims[VICTIMS];

	for (unsigned i = 0; i < VICTIMS; i++)
		victims[i] = victim_start(claim_some);
	open_hosts();
	write_all(&hosts[0]);
	for (unsigned i = 0; i < VICTIMS; i++) {
		victim_order(&victims[i]);
		victim_kill(&victims[i]);
	}
	is_int(do_info(&hosts[0]).leased, 40 * VICTIMS, "three workers are killed, with forty each");
	serve_all(COUNT);
	check_all(COUNT, "what they had is done by others");
	close_hosts();
}

int main(void)
{
	hosts_begin(NULL);
	log_open("unit", &(struct log_settings){ .level = LOG_LEVEL_ERROR });
	test_race();
	test_killed();
	log_close();
	return hosts_end();
}
