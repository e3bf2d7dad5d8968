/* unit-queue-mark-files.c - the files of marks: left by a death, of strange content, locked by another
 * SPDX-License-Identifier: MIT */
#include "t/lib/disk_files.h"

#define HOUR_MS 3600000

static struct place place;

static char *mark_path(const char *id)
{
	return xasprintf("%s/meta/%s.mark", scratch, id);
}

static struct envelope *written(int64_t delay_ms)
{
	struct envelope *envelope = message("f@example.org", "Subject: f\r\n\r\n");

	if (do_write(&place, &envelope, 1, delay_ms))
		abort();
	return envelope;
}

static void peek(const char *id, struct answer *seen)
{
	do_peek(&place, id, false, seen);
}

/* Its obeyer died between the meta and the removal of the marks, or a power cut brought them back. */
static void test_obeyed_once(void)
{
	struct envelope *envelope = written(HOUR_MS);
	char *path = mark_path(envelope->id);
	struct buffer text = { 0 };
	struct lease *lease;
	unsigned code;

	lease = do_claim_id(&place, envelope->id, &code);
	do_mark(&place, envelope->id, MARK_STRIKE, NULL);
	do_mark(&place, envelope->id, MARK_STRIKE, NULL);
	is_int(file_read(path, &text, 65536), 0, "marks stand in their file");
	do_defer(&place, lease, HOUR_MS, false, NULL, NULL);
	is_int(strikes_of(&place, envelope->id, NULL), 2, "two strikes");
	ok(access(path, F_OK) < 0, "obeyed, the file is gone");
	put_file(path, buffer_str(&text));
	lease = do_claim_id(&place, envelope->id, &code);
	is_int(strikes_of(&place, envelope->id, NULL), 2, "back again it is not obeyed a second time");
	ok(access(path, F_OK) < 0, "and goes");
	do_mark(&place, envelope->id, MARK_STRIKE, NULL);
	put_file(path, buffer_str(&text));
	do_mark(&place, envelope->id, MARK_STRIKE, NULL);
	do_defer(&place, lease, HOUR_MS, false, NULL, NULL);
	is_int(strikes_of(&place, envelope->id, NULL), 3, "a new one behind the old ones is");
	do_discard(&place, envelope->id);
	buffer_release(&text);
	envelope_free(envelope);
	free(path);
}

static void test_not_understood(void)
{
	struct envelope *envelope = written(HOUR_MS);
	char *path = mark_path(envelope->id);
	struct answer seen;
	struct lease *lease;
	unsigned code;

	put_file(path, "nonsense\n{\"number\":1,\"mark\":\"paint\",\"colour\":\"red\"}\n{\"number\":2,\"mark\":\"hold\","
		"\"reason\":7}\n\n{\"number\":3,\"mark\":\"hold\",\"reason\":\"why\"}\n{\"number\":4,\"mark\":\"sus");
	lease = do_claim_id(&place, envelope->id, &code);
	peek(envelope->id, &seen);
	is_str(seen.state.held, "why", "of several lines the one that is understood is obeyed");
	answer_release(&seen);
	ok(access(path, F_OK) < 0, "and the file is gone");
	do_defer(&place, lease, 0, false, NULL, NULL);
	put_file(path, "nonsense");
	lease = do_claim_id(&place, envelope->id, &code);
	ok(lease && access(path, F_OK) < 0, "one without any mark goes too");
	put_file(path, "nonsense");
	do_mark(&place, envelope->id, MARK_STRIKE, NULL);
	do_defer(&place, lease, 0, false, NULL, NULL);
	is_int(strikes_of(&place, envelope->id, NULL), 1, "a mark is added behind what is not understood");
	do_discard(&place, envelope->id);
	envelope_free(envelope);
	free(path);
}

/* Whoever had the message died, or ended its lease just before the mark stood. */
static void test_found_by_scan(void)
{
	struct envelope *envelope = written(HOUR_MS);
	char *path = mark_path(envelope->id);
	struct answer claimed;

	place_close(&place);
	put_file(path, "{\"number\":1,\"mark\":\"retry\"}\n");
	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	is_int(do_claim(&place, 1, &claimed, WAIT_MS), 1, "a mark that nobody obeyed is found by the scan");
	do_remove(&place, claimed.leases[0]);
	ok(access(path, F_OK) < 0, "and goes with its message");
	envelope_free(envelope);
	free(path);
}

static void test_many(void)
{
	struct envelope *envelope = written(HOUR_MS);
	struct lease *lease;
	unsigned code, count = 0;

	lease = do_claim_id(&place, envelope->id, &code);
	while (do_mark(&place, envelope->id, MARK_STRIKE, NULL) == 0 && count < 5000)
		count++;
	ok(count > 1000 && count < 5000, "many marks, but not any number (%u)", count);
	do_defer(&place, lease, HOUR_MS, false, NULL, NULL);
	is_int(strikes_of(&place, envelope->id, NULL), count, "all of them count");
	lease = do_claim_id(&place, envelope->id, &code);
	code = 0;
	for (unsigned i = 0; i < 3000 && !code; i++)
		code = do_mark(&place, envelope->id, MARK_RETRY, NULL);
	is_int(code, 0, "the same asked again and again is one");
	do_defer(&place, lease, HOUR_MS, false, NULL, NULL);
	do_discard(&place, envelope->id);
	envelope_free(envelope);
}

/* Another is adding a mark, and is stopped. */
static void test_locked(void)
{
	struct envelope *envelope = written(HOUR_MS);
	char *path = path_of("env", envelope->id), *marks = mark_path(envelope->id);
	int fd = open(path, O_RDWR);
	struct lease *lease;
	unsigned code;
	int64_t before = clock_boot_ms();

	lease = do_claim_id(&place, envelope->id, &code);
	do_mark(&place, envelope->id, MARK_STRIKE, NULL);
	ofd_lock(fd, 1, 1, true);
	is_int(do_mark(&place, envelope->id, MARK_STRIKE, NULL), 451, "while another adds one for too long: 451");
	ok(clock_boot_ms() - before < 5000, "soon");
	is_int(do_defer(&place, lease, HOUR_MS, false, NULL, NULL), 0, "who ends its lease does not wait");
	is_int(strikes_of(&place, envelope->id, NULL), 1, "the mark is obeyed");
	ok(access(marks, F_OK) == 0, "its file stays, as it may be about to change");
	ofd_unlock(fd, 1, 1);
	lease = do_claim_id(&place, envelope->id, &code);
	ok(access(marks, F_OK) < 0, "until the next one who looks");
	is_int(strikes_of(&place, envelope->id, NULL), 1, "not obeyed twice");
	do_defer(&place, lease, HOUR_MS, false, NULL, NULL);
	do_discard(&place, envelope->id);
	fd_close(&fd);
	envelope_free(envelope);
	free(path);
	free(marks);
}

/* A strike is written on what is due: who would claim it just then comes again soon, not at the next scan. */
static void test_locked_briefly(void)
{
	struct envelope *envelope = written(HOUR_MS);
	char *path = path_of("env", envelope->id);
	int fd = open(path, O_RDWR);
	struct answer claimed;
	unsigned code;

	do_mark(&place, envelope->id, MARK_RETRY, NULL);
	ofd_lock(fd, 2, 1, true);
	ofd_lock(fd, 0, 1, true);
	is_int(do_claim(&place, 1, &claimed, 200), 0, "while it is being marked nobody has it");
	do_claim_id(&place, envelope->id, &code);
	is_int(code, 451, "who asks for it by its id is told to come again");
	fd_close(&fd);
	ok(wait_for(&place, &claimed, 5000) && claimed.lease_count == 1, "then it comes soon");
	do_remove(&place, claimed.leases[0]);
	envelope_free(envelope);
	free(path);
}

static void test_damaged(void)
{
	struct envelope *items[2] = { written(1), written(HOUR_MS) };
	char *path = path_of("meta", items[0]->id);
	static struct answer claimed;	/* the claim waits until the end */
	struct answer seen;
	int fd;

	place_close(&place);
	put_file(path, "{\"version\":");
	free(path);
	path = path_of("env", items[1]->id);
	fd = open(path, O_RDWR);
	if (fd < 0 || pwrite(fd, "X", 1, 100) != 1)
		abort();
	fd_close(&fd);
	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	do_mark(&place, items[1]->id, MARK_RETRY, NULL);
	is_int(do_claim(&place, 2, &claimed, 100), 0, "a damaged meta and a damaged message: nobody gets them");
	is_int(do_info(&place).held, 2, "held");
	for (unsigned i = 0; i < 2; i++) {
		is_int(do_mark(&place, items[i]->id, MARK_RELEASE, NULL), 0, "released");
		wait_for(&place, &claimed, 100);
		peek(items[i]->id, &seen);
		is_str(seen.state.held, "damaged", "tried, and held again");
		answer_release(&seen);
		is_int(do_mark(&place, items[i]->id, MARK_HOLD, "operator"), 0, "to hold it is no error");
	}
	ok(!claimed.done, "still nobody has them");
	for (unsigned i = 0; i < 2; i++) {
		is_int(do_mark(&place, items[i]->id, MARK_DISCARD, NULL), 0, "discarded");
		envelope_free(items[i]);
	}
	is_int(do_info(&place).oldest_age_ms, -1, "and gone");
	free(path);
}

/* A suspect is the only one of its claim, and is not passed by. */
static void test_alone(void)
{
	struct envelope *items[6];
	struct answer claimed;
	unsigned claims = 0, alone = 0, together = 0;

	for (unsigned i = 0; i < 6; i++)
		items[i] = written(i < 4 ? HOUR_MS : 0);
	do_mark(&place, items[1]->id, MARK_SUSPECT, NULL);
	do_mark(&place, items[3]->id, MARK_STRIKE, NULL);
	for (unsigned i = 0; i < 4; i++)
		do_mark(&place, items[i]->id, MARK_RETRY, NULL);
	for (unsigned got = 0; got < 6 && claims < 12; claims++) {
		do_claim(&place, 6, &claimed, WAIT_MS);
		for (size_t i = 0; i < claimed.lease_count; i++) {
			if (claimed.leases[i]->suspect)
				claimed.lease_count == 1 ? alone++ : together++;
			do_remove(&place, claimed.leases[i]);
		}
		got += (unsigned)claimed.lease_count;
	}
	is_int(alone, 2, "each suspect came alone");
	is_int(together, 0, "none with others");
	ok(claims < 6, "the others came together (%u claims)", claims);
	for (unsigned i = 0; i < 6; i++)
		envelope_free(items[i]);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	scratch_make();
	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	test_obeyed_once();
	test_not_understood();
	test_found_by_scan();
	test_many();
	test_locked();
	test_locked_briefly();
	test_alone();
	test_damaged();
	place_close(&place);
	is_int(count_files("meta"), 0, "no file is left");
	scratch_remove();
	return done_testing();
}
