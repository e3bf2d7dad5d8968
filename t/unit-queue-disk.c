/* unit-queue-disk.c - the disk driver's own edges: processes, locks, used files, bounds
 * SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "common/base/file.h"
#include "common/queue/disk/disk_share.h"
#include "t/lib/disk_files.h"

/* ---- processes */

#define IDS 1000

/* Claims until it is told to stop, and says each id it got. */
static void run_claimer(int out)
{
	struct place place;
	struct answer claimed;

	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	while (do_claim(&place, 7, &claimed, 700)) {
		for (size_t i = 0; i < claimed.lease_count; i++) {
			if (write(out, claimed.leases[i]->id, ID_LENGTH) != ID_LENGTH)
				_exit(1);
			if (do_remove(&place, claimed.leases[i]))
				_exit(1);
		}
	}
	_exit(0);
}

static int compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, ID_LENGTH);
}

static void test_race(void)
{
	struct place place;
	struct envelope *items[50];
	char (*ids)[ID_LENGTH] = calloc(2 * IDS, ID_LENGTH);
	size_t count = 0, twice = 0;
	ssize_t got;
	pid_t children[2];
	int ends[2], status, failed = 0;

	if (pipe(ends) < 0)
		abort();
	for (unsigned i = 0; i < 2; i++) {
		children[i] = fork();
		if (children[i] == 0)
			run_claimer(ends[1]);
	}
	fd_close(&ends[1]);
	open_or_bail(&place, STORAGE_FOR_EDGE, SECTION);
	for (unsigned i = 0; i < IDS; i += 50) {
		for (unsigned k = 0; k < 50; k++)
			items[k] = message("race@example.org", "Subject: r\r\n\r\n");
		for (unsigned k = 0; k < 50; k++)
			if (do_write(&place, &items[k], 1, 0))
				abort();
		for (unsigned k = 0; k < 50; k++)
			envelope_free(items[k]);
	}
	while (count < 2 * IDS && (got = read(ends[0], ids[count], ID_LENGTH)) == ID_LENGTH)
		count++;
	for (unsigned i = 0; i < 2; i++) {
		waitpid(children[i], &status, 0);
		failed += status != 0;
	}
	fd_close(&ends[0]);
	qsort(ids, count, ID_LENGTH, compare_ids);
	for (size_t i = 1; i < count; i++)
		twice += memcmp(ids[i - 1], ids[i], ID_LENGTH) == 0;
	is_int(count, IDS, "two processes claimed a thousand ids");
	is_int(twice, 0, "each once");
	is_int(failed, 0, "and ended well");
	is_int(do_info(&place).oldest_age_ms, -1, "nothing is left");
	place_close(&place);
	free(ids);
}

/* The scanner itself dies, with everything under its lease: a sibling takes over. */
static void test_kill(void)
{
	struct place place;
	struct envelope *items[5];
	struct answer claimed;
	int ends[2];
	char byte;
	pid_t child;
	int64_t before;

	open_or_bail(&place, STORAGE_FOR_EDGE, SECTION);
	for (unsigned i = 0; i < 5; i++)
		items[i] = message("kill@example.org", "Subject: k\r\n\r\n");
	do_write(&place, items, 5, 0);
	place_close(&place);
	if (pipe(ends) < 0)
		abort();
	child = fork();
	if (child == 0) {
		open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
		do_claim(&place, 5, &claimed, WAIT_MS);
		_exit(write(ends[1], claimed.lease_count == 5 ? "y" : "n", 1) == 1 ? pause() : 1);
	}
	if (read(ends[0], &byte, 1) != 1)
		abort();
	ok(byte == 'y', "a process holds five leases");
	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	is_int(do_claim(&place, 5, &claimed, 100), 0, "nothing for us");
	is_int(do_info(&place).leased, 5, "info sees its locks");
	before = clock_boot_ms();
	kill(child, SIGKILL);
	ok(wait_for(&place, &claimed, WAIT_MS), "killed: its messages come to us");
	ok(clock_boot_ms() - before < 10000, "within seconds, as no scan is due for an hour");
	is_int(claimed.lease_count, 5, "all of them");
	waitpid(child, NULL, 0);
	for (size_t i = 0; i < claimed.lease_count; i++)
		do_remove(&place, claimed.leases[i]);
	for (unsigned i = 0; i < 5; i++)
		envelope_free(items[i]);
	fd_close(&ends[0]);
	fd_close(&ends[1]);
	place_close(&place);
}

/* Starts when it is told to, so that it is forked while there are no threads yet. */
static void run_sibling(int told, int out)
{
	struct place place;
	struct answer claimed;
	char byte;

	if (read(told, &byte, 1) != 1)
		_exit(1);
	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	do_claim(&place, 5, &claimed, WAIT_MS);
	_exit(write(out, claimed.lease_count == 1 ? "y" : "n", 1) == 1 ? pause() : 1);
}

/* A sibling of a scanner that lives: what the dead one had is handed on. */
static void test_sibling_killed(void)
{
	struct place place;
	struct envelope *envelope = message("sibling@example.org", "Subject: k\r\n\r\n");
	struct answer claimed;
	int ends[2], tell[2];
	char byte;
	pid_t child;

	if (pipe(ends) < 0 || pipe(tell) < 0)
		abort();
	child = fork();
	if (child == 0)
		run_sibling(tell[0], ends[1]);
	fd_close(&ends[1]);
	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	ok(disk_is_scanner((struct disk *)place.storage), "we scan");
	if (write(tell[1], "g", 1) != 1)
		abort();
	do_write(&place, &envelope, 1, 0);
	for (struct answer never = { 0 }; poll(&(struct pollfd){ ends[0], POLLIN, 0 }, 1, 0) == 0;)
		wait_for(&place, &never, 10);
	if (read(ends[0], &byte, 1) != 1)
		abort();
	ok(byte == 'y', "the sibling that waits is given it");
	is_int(do_claim(&place, 1, &claimed, 50), 0, "we are not");
	kill(child, SIGKILL);
	ok(wait_for(&place, &claimed, 2000) && claimed.lease_count == 1, "until it is killed");
	waitpid(child, NULL, 0);
	do_remove(&place, claimed.leases[0]);
	fd_close(&ends[0]);
	fd_close(&tell[0]);
	fd_close(&tell[1]);
	envelope_free(envelope);
	place_close(&place);
}

static void test_announcement(void)
{
	struct place worker, edge;
	struct answer claimed;
	int64_t worst = 0;
	unsigned woken = 0;

	open_or_bail(&worker, STORAGE_FOR_WORKER, SECTION);
	open_or_bail(&edge, STORAGE_FOR_EDGE, SECTION);
	for (unsigned i = 0; i < 10; i++) {
		struct envelope *envelope = message("hint@example.org", "Subject: h\r\n\r\n");
		int64_t before;

		is_int(do_claim(&worker, 1, &claimed, 20), 0, "waits");
		do_write(&edge, &envelope, 1, 0);
		event_base_loop(edge.base, EVLOOP_NONBLOCK);
		before = clock_boot_ms();
		if (!wait_for(&worker, &claimed, WAIT_MS) || claimed.lease_count != 1)
			break;
		if (clock_boot_ms() - before > worst)
			worst = clock_boot_ms() - before;
		woken++;
		do_remove(&worker, claimed.leases[0]);
		envelope_free(envelope);
	}
	is_int(woken, 10, "each announcement wakes a claim, as no scan is due for an hour");
	ok(worst < 5000, "at once (%d ms)", (int)worst);
	place_close(&edge);
	place_close(&worker);
}

/* Mail that came while no worker was there to be told. */
static void test_missed(void)
{
	struct place worker, edge;
	struct envelope *envelope = message("hint@example.org", "Subject: h\r\n\r\n");
	struct answer claimed, never = { 0 };

	open_or_bail(&edge, STORAGE_FOR_EDGE, SECTION);
	open_or_bail(&worker, STORAGE_FOR_WORKER, SECTION);
	is_int(do_claim(&worker, 1, &claimed, 50), 0, "a claim waits, the first scan is over");
	/* The announcement is lost. */
	((struct disk *)edge.storage)->share->missed = true;
	do_write(&edge, &envelope, 1, 0);
	wait_for(&edge, &never, 300);
	ok(!((struct disk *)edge.storage)->share->missed, "the scanner was told to look");
	ok(wait_for(&worker, &claimed, 5000) && claimed.lease_count == 1, "and found it");
	do_remove(&worker, claimed.leases[0]);
	envelope_free(envelope);
	place_close(&edge);
	place_close(&worker);
}

/* Used again, not unlinked; never while somebody holds its lock. */
static void test_recycling(void)
{
	struct place place;
	struct envelope *envelope = message("r@example.org", "Subject: a longer text than the next\r\n\r\n");
	struct answer claimed, got;
	char slot[128];
	DIR *directory;
	struct dirent *entry;
	int fd = -1;

	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	do_write(&place, &envelope, 1, 0);
	envelope_free(envelope);
	do_claim(&place, 1, &claimed, WAIT_MS);
	do_remove(&place, claimed.leases[0]);
	unsigned before = count_files("env/.free");

	ok(before >= 1, "a removed file waits to be used again");
	envelope = message("r@example.org", "short\r\n");
	do_write(&place, &envelope, 1, 0);
	is_int(count_files("env/.free"), before - 1, "and is");
	do_claim(&place, 1, &claimed, WAIT_MS);
	do_get(&place, claimed.leases[0], &got);
	is_int(content_size(&got.envelope->content), 7, "with the new octets alone");
	answer_release(&got);
	do_remove(&place, claimed.leases[0]);
	snprintf(slot, sizeof(slot), "%s/env/.free", scratch);
	directory = opendir(slot);
	while (directory && (entry = readdir(directory)))
		if (entry->d_type == DT_REG && strcmp(entry->d_name, "x") != 0) {
			int lock = openat(dirfd(directory), entry->d_name, O_RDWR);

			if (fd >= 0)
				close(fd);
			fd = lock;
			ofd_lock(lock, 0, 1, true);
			break;
		}
	closedir(directory);
	before = count_files("env/.free");
	envelope_free(envelope);
	if (before == 1) {
		envelope = message("r@example.org", "new file\r\n");
		is_int(do_write(&place, &envelope, 1, 0), 0, "the only one is locked: a new one is made");
		is_int(count_files("env/.free"), 1, "the locked one is left alone");
		do_discard(&place, envelope->id);
		envelope_free(envelope);
	} else {
		skip(2, "several files wait");
	}
	fd_close(&fd);
	place_close(&place);
}

/* Somebody keeps copies of the queue by links: what they hold is never written over. */
static void test_linked(void)
{
	struct place place;
	struct envelope *envelope = message("l@example.org", "Subject: kept\r\n\r\n");
	struct answer claimed;
	struct stat before, after;
	char *path = path_of("env", envelope->id), copy[128];

	snprintf(copy, sizeof(copy), "%s/copy", scratch);
	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	do_write(&place, &envelope, 1, 0);
	if (link(path, copy) < 0 || stat(copy, &before) < 0)
		abort();
	do_claim(&place, 1, &claimed, WAIT_MS);
	do_remove(&place, claimed.leases[0]);
	envelope_free(envelope);
	for (unsigned waiting = count_files("env/.free") + 1; waiting; waiting--) {
		envelope = message("l@example.org", "another\r\n");
		is_int(do_write(&place, &envelope, 1, 0), 0, "another is written");
		envelope_free(envelope);
	}
	ok(stat(copy, &after) == 0 && after.st_size == before.st_size && after.st_mtim.tv_nsec == before.st_mtim.tv_nsec &&
		after.st_nlink == 1, "the copy is as it was, and nobody's but its owner's");
	unlink(copy);
	free(path);
	while (do_claim(&place, 64, &claimed, 200))
		for (size_t i = 0; i < claimed.lease_count; i++)
			do_remove(&place, claimed.leases[i]);
	place_close(&place);
}

static off_t largest_free(void)
{
	struct stat status;
	char path[128];
	off_t largest = 0;

	for (unsigned i = 0; i < RECYCLE_SLOTS; i++) {
		snprintf(path, sizeof(path), "%s/env/.free/%04u", scratch, i);
		if (stat(path, &status) == 0 && status.st_size > largest)
			largest = status.st_size;
	}
	return largest;
}

static struct envelope *write_large(struct place *place)
{
	struct buffer octets = { 0 };
	struct envelope *envelope;

	buffer_append_str(&octets, "Subject: x\r\n\r\n");
	while (octets.size < 200000)
		buffer_append_str(&octets, "0123456789\r\n");
	envelope = message("room@example.org", buffer_str(&octets));
	buffer_release(&octets);
	do_write(place, &envelope, 1, 0);
	return envelope;
}

/* What waits to be used again keeps no room, whichever way it went. */
static void test_room(void)
{
	struct place place;
	struct envelope *envelope;
	struct answer claimed;
	char path[128];

	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	envelope = write_large(&place);
	do_claim(&place, 1, &claimed, WAIT_MS);
	is_int(do_remove(&place, claimed.leases[0]), 0, "a large message is removed");
	ok(largest_free() <= RECYCLE_SIZE_MAX, "its room is free");
	envelope_free(envelope);
	envelope = write_large(&place);
	is_int(do_discard(&place, envelope->id), 0, "one that nobody has claimed is discarded");
	ok(largest_free() <= RECYCLE_SIZE_MAX, "its room is free");
	envelope_free(envelope);
	envelope = write_large(&place);
	is_int(do_write(&place, &envelope, 1, 0), 0, "a large message, written again");
	snprintf(path, sizeof(path), "%s/meta/%s.mark", scratch, envelope->id);
	put_file(path, "{\"number\":1,\"mark\":\"discard\"}\n");
	is_int(do_claim(&place, 1, &claimed, 500), 0, "and discarded by its mark when it is claimed");
	ok(largest_free() <= RECYCLE_SIZE_MAX, "its room is free");
	is_int(do_info(&place).oldest_age_ms, -1, "and it is gone");
	place_close(&place);
	envelope_free(envelope);
}

/* Somebody made room by hand. */
static void test_no_free_folder(void)
{
	struct place place;
	struct envelope *envelope = message("f@example.org", "Subject: f\r\n\r\n");
	struct answer claimed;
	char from[128], to[128], *path = path_of("env", envelope->id);

	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	do_write(&place, &envelope, 1, 0);
	do_claim(&place, 1, &claimed, WAIT_MS);
	snprintf(from, sizeof(from), "%s/env/.free", scratch);
	snprintf(to, sizeof(to), "%s/away", scratch);
	if (rename(from, to) < 0 || nftw(to, scratch_unlink, 16, FTW_DEPTH | FTW_PHYS) < 0)
		abort();
	is_int(do_remove(&place, claimed.leases[0]), 0, "removed while the folder of used files is gone");
	ok(access(path, F_OK) < 0, "the message is gone, and is not delivered again");
	envelope_free(envelope);
	envelope = message("f@example.org", "Subject: f\r\n\r\n");
	is_int(do_write(&place, &envelope, 1, 0), 0, "and the next is taken");
	do_discard(&place, envelope->id);
	place_close(&place);
	envelope_free(envelope);
	free(path);
}

/* A hole in a mapped file is filled when it is written to, or the writer ends. */
static void test_table_has_room(void)
{
	struct place place;
	struct stat status = { 0 };
	char path[128];

	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	snprintf(path, sizeof(path), "%s/run/done-test", scratch);
	is_int(stat(path, &status), 0, "the table of finished ids");
	ok(status.st_blocks * 512LL >= status.st_size, "has all its room from the start");
	place_close(&place);
}

static unsigned turns_within(struct place *place, int64_t ms)
{
	int64_t end_ms = clock_boot_ms() + ms;
	unsigned turns = 0;

	while (clock_boot_ms() < end_ms) {
		event_base_loopexit(place->base, &(struct timeval){ .tv_usec = 20000 });
		event_base_loop(place->base, EVLOOP_ONCE);
		turns++;
	}
	return turns;
}

static void test_no_descriptors(void)
{
	struct place place;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct rlimit before, limit;
	int fd, next;

	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	turns_within(&place, 100);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/run/due-test", scratch);
	next = dup(fd);
	close(next);
	getrlimit(RLIMIT_NOFILE, &before);
	limit = before;
	limit.rlim_cur = (rlim_t)next;
	setrlimit(RLIMIT_NOFILE, &limit);
	is_int(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0, "a sibling connects");
	ok(turns_within(&place, 500) < 200, "without descriptors the scanner does not spin");
	setrlimit(RLIMIT_NOFILE, &before);
	turns_within(&place, 1000);
	close(fd);
	place_close(&place);
}

/* More siblings than a scanner serves: those who are refused try again, each time later, until there is room. */
static void test_too_many_siblings(void)
{
	struct place scanner, sibling;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct envelope *envelope = message("many@example.org", "\r\n");
	struct answer claimed;
	int fds[PEERS_MAX];

	open_or_bail(&scanner, STORAGE_FOR_WORKER, SECTION);
	turns_within(&scanner, 100);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/run/due-test", scratch);
	for (unsigned i = 0; i < PEERS_MAX; i++) {
		fds[i] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		if (connect(fds[i], (struct sockaddr *)&address, sizeof(address)) < 0)
			abort();
		event_base_loop(scanner.base, EVLOOP_NONBLOCK);
	}
	place_open_beside(&sibling, &scanner, STORAGE_FOR_WORKER, SECTION);
	is_int(do_claim(&sibling, 1, &claimed, 10), 0, "a sibling too many waits");
	ok(turns_within(&scanner, 1000) < 300, "and does not spin");
	close(fds[0]);
	do_write(&scanner, &envelope, 1, 0);
	ok(wait_for(&sibling, &claimed, 5000) && claimed.lease_count == 1, "when another goes it is served");
	if (claimed.lease_count)
		do_remove(&sibling, claimed.leases[0]);
	for (unsigned i = 1; i < PEERS_MAX; i++)
		close(fds[i]);
	place_close(&sibling);
	place_close(&scanner);
	envelope_free(envelope);
}

struct closing {
	struct place *place;
	struct lease *lease;
	unsigned renewed, removed;	/* codes; 1: not answered, 0: success */
};

static void on_removed(void *arg, const struct reply *why)
{
	((struct closing *)arg)->removed = why ? why->code : 0;
}

static void on_renewed(void *arg, const struct reply *why)
{
	struct closing *closing = arg;
	struct storage *storage = closing->place->storage;

	closing->renewed = why ? why->code : 0;
	storage->driver->remove(storage, &closing->lease, on_removed, closing);
}

/* What is asked for by a callback of close() is not done, and so must not succeed. */
static void test_asked_while_closing(void)
{
	struct place place;
	struct closing closing = { .place = &place, .renewed = 1, .removed = 1 };
	struct envelope *envelope = message("c@example.org", "Subject: c\r\n\r\n");
	struct outcomes done = { 0 };
	struct reply reply = { 0 };
	struct answer claimed;
	char *path = path_of("env", envelope->id);

	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	do_write(&place, &envelope, 1, 0);
	do_claim(&place, 1, &claimed, WAIT_MS);
	closing.lease = claimed.leases[0];
	reply_set(&reply, 250, NULL, "done");
	outcomes_add(&done, &(struct outcome){ 0, OUTCOME_DELIVERED, reply });
	place.storage->driver->renew(place.storage, closing.lease, &done, on_renewed, &closing);
	place_close(&place);
	is_int(closing.renewed, 451, "a renewal that waits when the storage is closed fails");
	is_int(closing.removed, 451, "and so does the removal that is asked for then");
	ok(access(path, F_OK) == 0, "the message stays");
	unlink(path);
	outcomes_release(&done);
	reply_release(&reply);
	envelope_free(envelope);
	free(path);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	scratch_make();
	test_race();
	test_kill();
	test_sibling_killed();
	test_announcement();
	test_missed();
	test_room();
	test_no_free_folder();
	test_table_has_room();
	test_no_descriptors();
	test_too_many_siblings();
	test_asked_while_closing();
	test_recycling();
	test_linked();
	scratch_remove();
	return done_testing();
}
