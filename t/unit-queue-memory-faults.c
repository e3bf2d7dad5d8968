/* unit-queue-memory-faults.c - each system call of a memory queue fails once, on its way in and to the next worker
 * SPDX-License-Identifier: MIT
 * P6, P7: a write that fails leaves nothing, one that succeeds is with the next worker, exactly once. Each run is a
 * process of its own, as SLIMTA_FAULT is read once. */
#include <fcntl.h>
#include <sys/wait.h>

#include "t/lib/memory_places.h"

#define SECTION "type: memory"
#define WRITES 4
#define REFUSED_TO_START 70	/* which is said, and no message was taken */

#ifdef SLIMTA_FAULTS
static const char *const points[] = {
	"memory.directory", "memory.lock", "memory.listen", "memory.rename", "memory.peer", "memory.accept",
	"memory.connect", "memory.encode", "memory.open", "content.read", "net.read", "net.write"
};
#endif

static bool open_supervised(struct place *place, const struct place *beside)
{
	struct answer opened = { 0 };

	if (!place_load_beside(place, beside, STORAGE_FOR_WORKER, SECTION))
		_exit(1);
	place->storage->context.supervised = true;
	place->storage->driver->open(place->storage, on_done, &opened);
	answered(place, &opened);
	return opened.why.code == 0;
}

/* As submit.c does: an outcome that is not known is asked for again. */
static bool write_one(struct place *edge, struct envelope *envelope)
{
	struct answer answer = { 0 };

	for (unsigned tries = 0; tries < 10; tries++) {
		answer_release(&answer);
		edge->storage->driver->write(edge->storage, &envelope, 1, 3600000, on_done, &answer);
		answered(edge, &answer);
		if (answer.why.code == 0)
			return true;
		if (answer.why.subject != 4)
			break;
	}
	return answer.why.code < 400 || answer.why.code > 499 ? _exit(3), false : false;
}

static void run_child(const char *fault)
{
	struct place old, new, edge, operator;
	struct envelope *items[WRITES];
	bool written[WRITES];
	struct answer drained = { 0 };

	if (fault)
		setenv("SLIMTA_FAULT", fault, 1);	/* read at the first point, whichever that is */
	if (!open_supervised(&old, NULL))
		_exit(REFUSED_TO_START);
	place_open_beside(&edge, &old, STORAGE_FOR_EDGE, SECTION);
	for (unsigned i = 0; i < WRITES; i++) {
		items[i] = i % 2 ? spooled("f@example.org") : message("f@example.org", "Subject: small\r\n\r\n");
		written[i] = write_one(i < 2 ? &edge : &old, items[i]);
	}
	if (!open_supervised(&new, &old))
		_exit(REFUSED_TO_START);
	old.storage->driver->stop(old.storage);
	old.storage->driver->drain(old.storage, true, on_done, &drained);
	if (!wait_for(&old, &drained, WAIT_MS))
		_exit(4);
	for (unsigned i = 0; i < WRITES; i++)
		if (written[i] != has_message(&new, items[i]->id) || has_message(&old, items[i]->id))
			_exit(10 + (int)i);
	if (!place_open_beside(&operator, &old, STORAGE_FOR_OPERATOR, SECTION) && operator.opened.code != 451)
		_exit(5);
	place_close(&operator);
	place_close(&edge);
	place_close(&new);
	place_close(&old);
	_exit(0);
}

static int run(const char *fault)
{
	pid_t child;
	int status;

	scratch_make();
	fflush(stdout);
	child = fork();
	if (child == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, 2);
		run_child(fault);
	}
	waitpid(child, &status, 0);
	scratch_remove();
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	is_int(run(NULL), 0, "without faults all is handed over");
#ifdef SLIMTA_FAULTS
	for (unsigned i = 0; i < ARRAY_SIZE(points); i++) {
		unsigned bad = 0;

		for (unsigned visit = 1; visit <= 6; visit++) {
			char *fault = xasprintf("%s:%u:EIO", points[i], visit);
			int result = run(fault);

			if (result && result != REFUSED_TO_START) {
				diag("%s: %d", fault, result);
				bad++;
			}
			free(fault);
		}
		ok(!bad, "%s fails once, at any of six visits", points[i]);
	}
	is_int(run("memory.accept:1:EMFILE"), 0, "no descriptor for a connection: accepted later");
	is_int(run("memory.rename:*:EIO"), REFUSED_TO_START, "a worker that cannot show its socket does not start");
#endif
	return done_testing();
}
