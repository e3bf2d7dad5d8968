/* unit-queue-faults.c - every disk call of the disk queue fails once, or is the last one
 * SPDX-License-Identifier: MIT
 * P6: a failure is answered 4yz and leaves nothing; S11: what was answered with success survives a death at any
 * point. Each run is a process of its own, as SLIMTA_FAULT is read once. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "common/base/fault.h"
#include "common/base/file.h"
#include "t/lib/storage.h"

#define SECTION "type: disk, envelope_dir: @/env, meta_dir: @/meta, scan_interval: 3600, allow_volatile: true"

static const char *const points[] = {
	"disk.open", "disk.write", "disk.fsync", "disk.rename", "disk.dirsync", "disk.read", "disk.lock",
	"disk.utimens", "disk.ftruncate", "file.sync_directory"
};

#define RECORDS 200

/* What became of an id, told by the run to its parent before the next call. */
enum news { STORED = 'S', REFUSED = 'R', GONE = 'G', UNSURE = 'U',
	/* counted: what was begun, and what was answered with success */
	ATTEMPT_BEGUN = 'a', ATTEMPT = 'A', STRIKE_BEGUN = 'k', STRIKE = 'K' };
struct record {
	char news;
	char id[ID_SIZE];
};
struct run {
	struct record records[RECORDS];
	size_t count;
	int status;
	bool failed, wrong;		/* a call was refused; by something else than 4yz */
};

static int out;
static bool failed, wrong;

static void tell(enum news news, const char *id)
{
	struct record record = { .news = (char)news };

	memcpy(record.id, id, ID_SIZE);
	if (write(out, &record, sizeof(record)) != sizeof(record))
		_exit(3);
}

static bool refused(unsigned code)
{
	failed = failed || code;
	wrong = wrong || (code && (code < 400 || code > 499));
	return code != 0;
}

static void strike_one(struct place *, const char *id);

static void store(struct place *place, size_t count, int64_t delay_ms)
{
	struct envelope *items[3];
	bool no;

	for (size_t i = 0; i < count; i++)
		items[i] = message("fault@example.org", "Subject: fault\r\n\r\n");
	no = refused(do_write(place, items, count, delay_ms));
	for (size_t i = 0; i < count; i++) {
		tell(no ? REFUSED : STORED, items[i]->id);
		if (!no && delay_ms)
			strike_one(place, items[i]->id);
		envelope_free(items[i]);
	}
}

/* As a worker does it: what could not be recorded is claimed again, and recorded then. */
static void defer(struct place *place, struct lease *lease, const struct outcomes *done)
{
	char id[ID_SIZE];
	unsigned code;

	memcpy(id, lease->id, ID_SIZE);
	tell(ATTEMPT_BEGUN, id);
	if (refused(do_defer(place, lease, 0, true, done, NULL))) {
		lease = do_claim_id(place, id, &code);
		if (refused(lease ? do_defer(place, lease, 0, true, done, NULL) : code))
			return;
	}
	tell(ATTEMPT, id);
}

static void strike(struct place *place, const char *id)
{
	tell(STRIKE_BEGUN, id);
	if (!refused(do_mark(place, id, MARK_STRIKE, NULL)))
		tell(STRIKE, id);
}

/* At once, beside a lease, and at once again, with the result that obeys those beside it. */
static void strike_one(struct place *place, const char *id)
{
	struct lease *lease;
	unsigned code;

	strike(place, id);
	lease = do_claim_id(place, id, &code);
	refused(code);
	strike(place, id);
	strike(place, id);
	if (lease)
		refused(do_defer(place, lease, 3600000, false, NULL, NULL));
	strike(place, id);
}

static void work(struct place *place)
{
	struct answer claimed, got;
	struct outcomes done = { 0 };
	char id[ID_SIZE];

	outcomes_add(&done, &(struct outcome){ 0, OUTCOME_DELIVERED });
	for (unsigned turn = 0; turn < 5; turn++) {
		if (!do_claim(place, 1, &claimed, 150))
			break;
		memcpy(id, claimed.leases[0]->id, ID_SIZE);
		do_get(place, claimed.leases[0], &got);
		refused(got.why.code);
		answer_release(&got);
		refused(do_renew(place, claimed.leases[0], &done));
		if (turn % 2 == 0) {
			defer(place, claimed.leases[0], &done);
			continue;
		}
		tell(UNSURE, id);
		if (!refused(do_remove(place, claimed.leases[0])))
			tell(GONE, id);
	}
	outcomes_release(&done);
}

static void run_child(const char *fault)
{
	struct place place;
	struct envelope *envelope;
	unsigned code;

	setenv("SLIMTA_FAULT", fault, 1);	/* read at the first point, whichever that is */
	envelope = message("fault@example.org", "Subject: discard\r\n\r\n");
	if (!place_open(&place, STORAGE_FOR_WORKER, SECTION)) {
		refused(place.opened.code);
		_exit(wrong ? 2 : 1);
	}
	store(&place, 1, 0);
	store(&place, 3, 0);
	store(&place, 1, 3600000);
	work(&place);
	store(&place, 1, 0);
	code = do_write(&place, &envelope, 1, 3600000);
	tell(refused(code) ? REFUSED : UNSURE, envelope->id);
	if (!code && !refused(do_discard(&place, envelope->id)))
		tell(GONE, envelope->id);
	_exit(wrong ? 2 : failed ? 1 : 0);
}

static void run(const char *fault, struct run *run)
{
	int ends[2];
	pid_t child;

	memset(run, 0, sizeof(*run));
	if (pipe(ends) < 0)
		abort();
	fflush(stdout);
	child = fork();
	if (child == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, 2);
		out = ends[1];
		run_child(fault);
	}
	fd_close(&ends[1]);
	while (run->count < RECORDS && read(ends[0], &run->records[run->count], sizeof(struct record)) == sizeof(struct record))
		run->count++;
	fd_close(&ends[0]);
	waitpid(child, &run->status, 0);
	run->failed = !WIFEXITED(run->status) || WEXITSTATUS(run->status) != 0;
	run->wrong = WIFEXITED(run->status) && WEXITSTATUS(run->status) > 1;
}

static enum news last_news(const struct run *run, const char *id)
{
	char news = 0;

	for (size_t i = 0; i < run->count; i++)
		if (strcmp(run->records[i].id, id) == 0 && strchr("SRGU", run->records[i].news))
			news = run->records[i].news;
	return (enum news)news;
}

static unsigned told(const struct run *run, const char *id, enum news news)
{
	unsigned count = 0;

	for (size_t i = 0; i < run->count; i++)
		count += strcmp(run->records[i].id, id) == 0 && run->records[i].news == (char)news;
	return count;
}

/* An attempt that was recorded counts once; a mark whose caller was told that it failed may stand all the same. */
static bool counts_are_right(struct place *place, const struct run *run, const char *id)
{
	struct answer got;
	struct lease *lease;
	unsigned code, attempts, strikes;

	lease = do_claim_id(place, id, &code);	/* obeys what waits */
	if (!lease)
		return false;
	do_peek(place, id, false, &got);
	attempts = got.state.attempts;
	strikes = got.state.strikes;
	answer_release(&got);
	do_defer(place, lease, 3600000, false, NULL, NULL);
	return attempts >= told(run, id, ATTEMPT) && attempts <= told(run, id, ATTEMPT_BEGUN) &&
		strikes >= told(run, id, STRIKE) && strikes <= told(run, id, STRIKE_BEGUN);
}

static unsigned leftovers(const char *folder)
{
	char *path = xasprintf("%s/%s", scratch, folder);
	DIR *directory = opendir(path);
	struct dirent *entry;
	unsigned count = 0;

	while (directory && (entry = readdir(directory)))
		count += entry->d_type == DT_REG && entry->d_name[0] == '.';
	if (directory)
		closedir(directory);
	free(path);
	return count;
}

/* In a process without faults. 0: as it has to be; else what is not. */
static int verify_child(const struct run *run, bool died)
{
	struct place place;
	struct answer never = { 0 };

	if (!place_open(&place, STORAGE_FOR_WORKER, SECTION))
		return 11;
	wait_for(&place, &never, died ? 50 : 1);	/* a scan completes what is committed */
	for (size_t i = 0; i < run->count; i++) {
		const char *id = run->records[i].id;
		enum news news = last_news(run, id);

		/* A committed copy whose last step failed is made visible by a scan. */
		for (unsigned tries = 0; news == STORED && !has_message(&place, id) && tries < 50; tries++)
			wait_for(&place, &never, 100);
		if (news == STORED && !has_message(&place, id))
			return 12;
		if (news == STORED && !counts_are_right(&place, run, id))
			return 15;
		if (news == REFUSED && has_message(&place, id))
			return 13;
		if (news == GONE && has_message(&place, id))
			return 14;
	}
	/* What was committed but not finished is, by the scan; what was not is gone already. */
	for (unsigned tries = 0; !died && (leftovers("env") || leftovers("meta")); tries++) {
		if (tries == 10)
			return 10;
		wait_for(&place, &never, 100);
	}
	return 0;
}

static int verify(const struct run *run, bool died)
{
	pid_t child;
	int status;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, 2);
		_exit(verify_child(run, died));
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* One visit of the point. False: the process never got there (it can tell by dying alone). */
static bool test_visit(const char *point, unsigned visit, const char *what, unsigned *bad)
{
	bool died = strcmp(what, "die") == 0;
	char *fault = xasprintf("%s:%u:%s", point, visit, what);
	struct run result;
	int wrongly;

	scratch_make();
	run(fault, &result);
	wrongly = verify(&result, died);
	if (result.wrong || wrongly || (died ? result.failed && !WIFSIGNALED(result.status) : !WIFEXITED(result.status))) {
		diag("%s: status %x, verified %d", fault, (unsigned)result.status, wrongly);
		(*bad)++;
	}
	scratch_remove();
	free(fault);
	return WIFSIGNALED(result.status);
}

static void test_point(const char *point)
{
	unsigned visits = 0, bad = 0;

	while (test_visit(point, visits + 1, "die", &bad) && visits < 100)
		visits++;
	ok(!bad && visits, "death at %s, %u places", point, visits);
	bad = 0;
	for (unsigned visit = 1; visit <= visits; visit++)
		test_visit(point, visit, "EIO", &bad);
	is_int(bad, 0, "each of them failing once");
}

int main(void)
{
#ifdef SLIMTA_FAULTS
	unsigned bad = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(points); i++)
		test_point(points[i]);
	for (unsigned visit = 1; visit < 5; visit++)
		test_visit("disk.write", visit, "ENOSPC", &bad);
	is_int(bad, 0, "a full disk");
#else
	struct run result;

	(void)test_point;
	(void)points;
	scratch_make();
	run("disk.write:1:EIO", &result);
	is_int(result.status, 0, "without fault points all calls succeed");
	is_int(verify(&result, false), 0, "and every message is where it has to be");
	scratch_remove();
#endif
	return done_testing();
}
