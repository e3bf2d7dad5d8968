/* redis_hosts.h - several hosts with one redis queue: openings with names of their own, and a process that can be killed
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_T_REDIS_HOSTS_H
#define SLIMTA_T_REDIS_HOSTS_H

#include "t/lib/redis_server.h"
#include "t/lib/storage.h"

#define LONG_MS 60000		/* a lease that does not end during a test */

static struct redis_server server;
MAYBE const char *redis_more = "";	/* further keys of the section */

MAYBE void host_open(struct place *place, const struct place *beside, const char *name)
{
	char *section = xasprintf("type: redis, socket: %s, prefix: 't:', durability: unchecked%s", server.socket, redis_more);
	struct answer answer = { 0 };

	if (!place_load_beside(place, beside, STORAGE_FOR_WORKER, section))
		BUG("the section is not taken: %s", section);
	place->process.hostname = (char *)name;
	place->storage->driver->open(place->storage, on_done, &answer);
	answered(place, &answer);
	if (answer.why.code)
		BUG("cannot open: %s", answer.why.text);
	free(section);
}

MAYBE struct place one, two;	/* two hosts with one queue */

MAYBE void open_both(void)
{
	host_open(&one, NULL, "one");
	host_open(&two, &one, "two");
}

MAYBE void close_both(void)
{
	place_close(&two);
	place_close(&one);
}

/* Begins a test program, with a server that has further lines of `conf` (NULL: none). */
MAYBE void hosts_begin(const char *conf)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	scratch_make();
	redis_server_start(&server, conf);
}

/* Ends it; gives its status. */
MAYBE int hosts_end(void)
{
	redis_server_stop(&server);
	scratch_remove();
	return done_testing();
}

/* Begins to wait. */
MAYBE void begin_claim(struct place *place, size_t max, int64_t lease_ms, struct answer *answer)
{
	memset(answer, 0, sizeof(*answer));
	place->storage->driver->claim(place->storage, max, 0, lease_ms, on_claimed, answer);
}

MAYBE struct lease *claim_one(struct place *place, int64_t lease_ms)
{
	struct answer answer;

	begin_claim(place, 1, lease_ms, &answer);
	answered(place, &answer);
	return answer.lease_count ? answer.leases[0] : NULL;
}

MAYBE void write_one(struct place *place, int64_t delay_ms, char id[ID_SIZE])
{
	struct envelope *envelope = message("s@example.org", "Subject: x\r\n\r\nbody\r\n");

	if (do_write(place, &envelope, 1, delay_ms))
		BUG("not written");
	memcpy(id, envelope->id, ID_SIZE);
	envelope_free(envelope);
}

MAYBE enum message_place place_now(struct place *place, const char *id, struct answer *seen)
{
	do_peek(place, id, false, seen);
	return seen->place;
}

/* Runs the loop for so long. */
MAYBE void let_pass(struct place *place, int ms)
{
	struct answer never = { 0 };

	wait_for(place, &never, ms);
}

/* Of "INFO commandstats": how often the command was called since the last reset. */
MAYBE unsigned long calls_of(const char *stats, const char *command)
{
	char *key = xasprintf("cmdstat_%s:calls=", command);
	const char *at = strstr(stats, key);
	unsigned long calls = at ? strtoul(at + strlen(key), NULL, 10) : 0;

	free(key);
	return calls;
}

/* Scripts that were run since CONFIG RESETSTAT. */
MAYBE unsigned long scripts_run(void)
{
	const char *stats = redis_server_ask(&server, "INFO commandstats");

	return calls_of(stats, "evalsha") + calls_of(stats, "eval");
}

/* ---- a worker in a process of its own, to be killed. To be started while this one has nothing open. */
struct victim {
	pid_t pid;
	int told, ordered;
};

/* Does `what` when it is told to, says so, and waits for its end. */
MAYBE struct victim victim_start(void (*what)(void))
{
	struct victim victim;
	int told[2], ordered[2];
	char octet;

	if (pipe2(told, O_CLOEXEC) < 0 || pipe2(ordered, O_CLOEXEC) < 0)
		BUG("no pipe");
	fflush(stdout);
	victim = (struct victim){ fork(), told[0], ordered[1] };
	if (victim.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(told[0]);
		close(ordered[1]);
		if (read(ordered[0], &octet, 1) == 1) {
			what();
			if (write(told[1], "x", 1) == 1)
				pause();
		}
		_exit(0);
	}
	close(told[1]);
	close(ordered[0]);
	return victim;
}

MAYBE void victim_order(struct victim *victim)
{
	char octet;

	if (write(victim->ordered, "x", 1) != 1 || read(victim->told, &octet, 1) != 1)
		BUG("the other process does not do it");
}

MAYBE void victim_kill(struct victim *victim)
{
	kill(victim->pid, SIGKILL);
	waitpid(victim->pid, NULL, 0);
	close(victim->told);
	close(victim->ordered);
}

#endif
