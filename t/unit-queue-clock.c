/* unit-queue-clock.c - the disk driver when the wall clock is set, forward and back
 * SPDX-License-Identifier: MIT
 * clock_gettime is this file's own; the times of files stay the kernel's. */
#include <fcntl.h>
#include <time.h>

#include "common/base/file.h"
#include "common/queue/disk/disk.h"
#define CLOCK_AHEAD CLOCK_REALTIME
#include "t/lib/clock_ahead.h"
#include "t/lib/storage.h"

#define SECTION "type: disk, envelope_dir: @/env, meta_dir: @/meta, scan_interval: 1, allow_volatile: true"
#define HOUR 3600
#define COPIES 20

static void open_or_bail(struct place *place)
{
	if (place_open(place, STORAGE_FOR_WORKER, SECTION))
		return;
	printf("Bail out! cannot open: %s\n", place->opened.text ? place->opened.text : "?");
	exit(1);
}

static void test_set_back(void)
{
	struct place place;
	struct envelope *envelope;
	struct answer claimed;

	ahead_s = 10 * HOUR;
	envelope = message("new@example.org", "Subject: n\r\n\r\n");
	open_or_bail(&place);
	do_write(&place, &envelope, 1, 0);
	place_close(&place);
	ahead_s = 0;
	open_or_bail(&place);
	is_int(do_claim(&place, 1, &claimed, 5000), 1, "a new message whose id is of the future is due");
	do_defer(&place, claimed.leases[0], 2 * HOUR * 1000, true, NULL, NULL);
	is_int(do_claim(&place, 1, &claimed, 1500), 0, "deferred for two hours, it is not");
	place_close(&place);
	ahead_s = -24 * HOUR;
	open_or_bail(&place);
	is_int(do_claim(&place, 1, &claimed, 5000), 1, "it is when the clock was set back by a day");
	do_remove(&place, claimed.leases[0]);
	place_close(&place);
	envelope_free(envelope);
	ahead_s = 0;
}

/* While the queue is open, with a scan every second. */
static void test_jumps(void)
{
	struct place place;
	struct envelope *items[2] = { message("j@example.org", "Subject: j\r\n\r\n"),
		message("j@example.org", "Subject: held\r\n\r\n") };
	struct answer claimed;

	open_or_bail(&place);
	do_write(&place, items, 2, 2 * HOUR * 1000);
	do_mark(&place, items[1]->id, MARK_HOLD, "held");
	is_int(do_claim(&place, 1, &claimed, 500), 0, "due in two hours");
	ahead_s = 3 * HOUR;
	ok(wait_for(&place, &claimed, 5000) && claimed.lease_count == 1, "three hours forward: due");
	is_str(claimed.leases[0]->id, items[0]->id, "but not what is held");
	do_defer(&place, claimed.leases[0], 2 * HOUR * 1000, true, NULL, NULL);
	is_int(do_claim(&place, 1, &claimed, 1500), 0, "deferred for two hours of the new time");
	ahead_s = -24 * HOUR;
	ok(wait_for(&place, &claimed, 5000) && claimed.lease_count == 1, "a day back: it does not wait for that day");
	is_str(claimed.leases[0]->id, items[0]->id, "and what is held stays held");
	is_int(do_mark(&place, items[1]->id, MARK_RELEASE, NULL), 0, "released in the past");
	is_int(do_claim(&place, 1, &claimed, 5000), 1, "it is due now");
	do_remove(&place, claimed.leases[0]);
	ahead_s = 0;
	place_close(&place);
	open_or_bail(&place);
	is_int(do_claim(&place, 1, &claimed, 500), 0, "in the present the other waits for the time that was recorded");
	do_discard(&place, items[0]->id);
	place_close(&place);
	for (unsigned i = 0; i < 2; i++)
		envelope_free(items[i]);
}

/* Committed, and found when its copies have grown old. */
static void test_late_batch(void)
{
	struct place place;
	struct envelope *copies[COPIES + 1];
	struct buffer text = { 0 };
	struct answer claimed;
	char from[128], to[128];
	size_t got = 0;
	int fd;

	open_or_bail(&place);
	for (unsigned i = 0; i <= COPIES; i++)
		copies[i] = message("batch@example.org", "Subject: b\r\n\r\n");
	do_write(&place, copies, COPIES + 1, HOUR * 1000);
	place_close(&place);
	for (unsigned i = 0; i <= COPIES; i++) {
		snprintf(from, sizeof(from), "%s/env/%s.env", scratch, copies[i]->id);
		snprintf(to, sizeof(to), "%s/env/.%s.new", scratch, copies[i]->id);
		if (rename(from, to) < 0)
			abort();
		if (i < COPIES)
			buffer_appendf(&text, "%s\n", copies[i]->id);
	}
	buffer_appendf(&text, "end %d\n", COPIES);
	snprintf(from, sizeof(from), "%s/env/.%s.batch", scratch, copies[0]->id);
	fd = open(from, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd_write_all(fd, text.data, text.size) < 0)
		abort();
	fd_close(&fd);
	ahead_s = 48 * HOUR;
	open_or_bail(&place);
	while (got < COPIES && do_claim(&place, 64, &claimed, 5000)) {
		got += claimed.lease_count;
		for (size_t i = 0; i < claimed.lease_count; i++)
			do_remove(&place, claimed.leases[i]);
	}
	is_int(got, COPIES, "no copy of a batch is swept before it is visible");
	do_claim(&place, 1, &claimed, 2500);
	ok(access(to, F_OK) < 0, "but what no batch names is");
	place_close(&place);
	for (unsigned i = 0; i <= COPIES; i++)
		envelope_free(copies[i]);
	buffer_release(&text);
	ahead_s = 0;
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	scratch_make();
	test_set_back();
	test_jumps();
	test_late_batch();
	scratch_remove();
	return done_testing();
}
