/* unit-queue-redis-faults.c - each system call on the way into redis, and out of it, fails once
 * SPDX-License-Identifier: MIT
 * P6: a write that fails leaves nothing, one that succeeds is there once, whole. Each run is a process of its own, as
 * SLIMTA_FAULT is read once. */
#include <fcntl.h>
#include <sys/wait.h>

#include "t/lib/redis_places.h"

#define WRITES 4

#ifdef SLIMTA_FAULTS
static const char *const points[] = {
	"net.connect", "net.socket", "net.read", "net.write", "redis.encode", "redis.read", "redis.open", "content.read",
};
#define VISITS 8
#endif

static struct place place;

/* As submit.c does: an outcome that is not known is asked for again. */
static bool write_one(struct envelope *envelope)
{
	const struct answer never = { 0 };
	struct answer answer = { 0 };

	for (unsigned tries = 0; tries < 100; tries++, wait_for(&place, &never, 20)) {
		answer_release(&answer);
		place.storage->driver->write(place.storage, &envelope, 1, 0, on_done, &answer);
		answered(&place, &answer);
		if (answer.why.code == 0)
			return true;
		/* Once unknown, whatever comes then is no answer to the first. */
		if (answer.why.subject != 4 && !tries)
			return answer.why.code < 400 || answer.why.code > 499 ? _exit(3), false : false;
	}
	_exit(4);
}

/* A look may fail once; it says so, and does no harm. */
static bool is_there(const char *id)
{
	struct answer seen;
	unsigned code = 451;

	for (unsigned tries = 0; tries < 3 && code == 451; tries++) {
		if (!await_code(&place, 0))
			_exit(5);
		do_peek(&place, id, tries % 2, &seen);
		code = seen.why.code;
		answer_release(&seen);
	}
	if (code && code != 550)
		_exit(6);
	return !code;
}

static void finish_all(size_t left)
{
	struct answer claimed;

	while (left) {
		do_claim(&place, 1, &claimed, WAIT_MS);
		for (size_t i = 0; i < claimed.lease_count; i++, left--)
			if (do_remove(&place, claimed.leases[i]))
				_exit(7);
		if (!claimed.done)
			_exit(8);
	}
}

static void run_child(const char *fault)
{
	struct envelope *items[WRITES];
	size_t written = 0;
	unsigned code;

	if (fault)
		setenv("SLIMTA_FAULT", fault, 1);	/* read at the first point, whichever that is */
	code = try_redis(&place, STORAGE_FOR_WORKER, "");
	if ((code && code != 451) || !await_code(&place, 0))
		_exit(1);
	for (unsigned i = 0; i < WRITES; i++) {
		bool there;

		items[i] = i % 2 ? spooled("f@example.org") : message("f@example.org", "Subject: small\r\n\r\n");
		there = write_one(items[i]);
		written += there;
		if (is_there(items[i]->id) != there)
			_exit(10 + (int)i);
	}
	finish_all(written);
	for (unsigned i = 0; i < WRITES; i++) {
		if (is_there(items[i]->id))
			_exit(20 + (int)i);
		envelope_free(items[i]);
	}
	place_close(&place);
	_exit(0);
}

static int run(const char *fault)
{
	pid_t child;
	int status;

	ask("FLUSHALL");
	fflush(stdout);
	child = fork();
	if (child == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, 2);
		run_child(fault);
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int main(void)
{
	serve_redis(NULL);
	is_int(run(NULL), 0, "without faults all is written, and removed");
#ifdef SLIMTA_FAULTS
	for (unsigned i = 0; i < ARRAY_SIZE(points); i++) {
		unsigned bad = 0;

		for (unsigned visit = 1; visit <= VISITS; visit++) {
			char *fault = xasprintf("%s:%u:EIO", points[i], visit);
			int result = run(fault);

			if (result) {
				diag("%s: %d", fault, result);
				bad++;
			}
			free(fault);
		}
		ok(!bad, "%s fails once, at any of %d visits", points[i], VISITS);
	}
#endif
	end_redis();
	return done_testing();
}
