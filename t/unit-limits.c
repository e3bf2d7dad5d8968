/* unit-limits.c - what clients hold and do, counted over processes: kept, freed, forgotten, never full
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/base/siphash.h"
#include "t/lib/tap.h"

#define MINUTE LIMITS_MINUTE_MS

static uint64_t key(const struct limits *limits, enum limits_kind kind, const char *scope, const char *who)
{
	return limits_key(limits, kind, scope, who, strlen(who));
}

static uint64_t numbered(const struct limits *limits, enum limits_kind kind, uint32_t number)
{
	return limits_key(limits, kind, "edge", &number, sizeof(number));
}

/* ---- the hash, against the first and the last of its authors' vectors */

static void test_siphash(void)
{
	unsigned char octets[64];
	const struct siphash_key secret = { { 0x0706050403020100, 0x0f0e0d0c0b0a0908 } };

	for (unsigned i = 0; i < sizeof(octets); i++)
		octets[i] = (unsigned char)i;
	ok(siphash(&secret, octets, 15) == 0xa129ca6149be45e5, "of 15 octets");
	ok(siphash(&secret, octets, 0) == 0x726fdb47dd0e0e31, "of none");
	ok(siphash(&secret, octets, 63) == 0x958a324ceb064572, "of 63");
}

static void test_keys(void)
{
	struct limits *limits = limits_create(1, NULL), *other = limits_create(1, NULL);
	char name[2000];

	memset(name, 'x', sizeof(name));
	ok(key(limits, LIMITS_MESSAGES, "a", "bc") != key(limits, LIMITS_MESSAGES, "ab", "c"), "scope and client stay apart");
	ok(key(limits, LIMITS_MESSAGES, "a", "b") != key(limits, LIMITS_FAILURES, "a", "b"), "kinds differ");
	ok(key(limits, LIMITS_MESSAGES, "a", "b") != key(other, LIMITS_MESSAGES, "a", "b"), "a machine has a secret");
	ok(key(limits, LIMITS_MESSAGES, "a", "b") == key(limits, LIMITS_MESSAGES, "a", "b"), "and keeps it");
	ok(limits_key(limits, LIMITS_MESSAGES, "a", name, 1999) != limits_key(limits, LIMITS_MESSAGES, "a", name, 2000),
		"long names count whole");
	limits_free(other);
	limits_free(limits);
	limits_free(NULL);
	ok(!limits_create(0, NULL) && errno == EINVAL, "no rows are refused");
	ok(!limits_create(1u << 20, NULL) && errno == EINVAL, "so are a million");
}

/* ---- held */

static void test_held(void)
{
	struct limits *limits = limits_create(1, NULL);
	uint64_t one = key(limits, LIMITS_CLIENT_CONNECTIONS, "e", "1"), two = key(limits, LIMITS_CLIENT_CONNECTIONS, "e", "2");

	is_int(limits_held(limits, one), 0, "nothing is held");
	limits_release(limits, one);
	is_int(limits_held(limits, one), 0, "nor is it below 0");
	ok(limits_hold(limits, one) && limits_hold(limits, one) && limits_hold(limits, two), "held");
	is_int(limits_held(limits, one), 2, "twice");
	is_int(limits_held(limits, two), 1, "and once");
	limits_retire(limits, 0);
	is_int(limits_held(limits, one), 2, "its own row is not retired");
	limits_release(limits, one);
	limits_release(limits, one);
	limits_release(limits, one);
	is_int(limits_held(limits, one), 0, "released");
	is_int(limits_held(limits, two), 1, "the other is not");
	limits_free(limits);
}

/* All that can be held is held, more is not, all of it can be released, and there is room again. */
static void test_full_row(void)
{
	struct limits *limits = limits_create(1, NULL);
	static bool held[100000];
	uint32_t count = 0, first_not = 0, wrong = 0;

	for (uint32_t i = 0; i < 100000; i++) {
		held[i] = limits_hold(limits, numbered(limits, LIMITS_CLIENT_CONNECTIONS, i));
		count += held[i];
		if (!held[i] && !first_not)
			first_not = i;
	}
	diag("of 65536 places %u were taken, the first that found none was number %u", count, first_not);
	ok(first_not > 40000 && count > 60000 && count <= 65536, "a row is nearly full before one finds no place");
	for (uint32_t i = 0; i < 100000; i++)
		wrong += limits_held(limits, numbered(limits, LIMITS_CLIENT_CONNECTIONS, i)) != held[i];
	is_int(wrong, 0, "each is counted once, or not at all");
	for (uint32_t i = 0; i < 100000; i++) {
		if (held[i] && limits_hold(limits, numbered(limits, LIMITS_CLIENT_CONNECTIONS, i)))
			limits_release(limits, numbered(limits, LIMITS_CLIENT_CONNECTIONS, i));
		else
			wrong += held[i];
	}
	is_int(wrong, 0, "who has a place can hold more in a full row");
	for (uint32_t i = 0; i < 100000; i++) {
		if (held[i])
			limits_release(limits, numbered(limits, LIMITS_CLIENT_CONNECTIONS, i));
	}
	for (uint32_t i = 0; i < 100000; i++)
		wrong += limits_held(limits, numbered(limits, LIMITS_CLIENT_CONNECTIONS, i)) != 0;
	is_int(wrong, 0, "all are released");
	for (uint32_t i = 0; i < 40000; i++)
		wrong += !limits_hold(limits, numbered(limits, LIMITS_CLIENT_CONNECTIONS, 100000 + i));
	is_int(wrong, 0, "others find their places");
	limits_free(limits);
}

/* ---- processes */

enum { CHILDREN = 6, TURNS = 20000, HELD_AT_END = 3 };

static _Noreturn void hammer(int fd, unsigned row, int ready)
{
	struct limits *limits = limits_attach(fd, row);
	uint64_t shared = key(limits, LIMITS_CONNECTIONS, "edge", "");
	uint64_t now = (uint64_t)clock_boot_ms();

	for (uint32_t i = 0; limits && i < TURNS; i++) {
		uint64_t own = numbered(limits, LIMITS_CLIENT_CONNECTIONS, i % 500);

		if (!limits_hold(limits, shared) || !limits_hold(limits, own) || !limits_held(limits, own))
			_exit(2);
		limits_release(limits, own);
		limits_release(limits, shared);
		limits_count(limits, numbered(limits, LIMITS_MESSAGES, 7), LIMITS_RATE_MAX, (int64_t)now);
		limits_count(limits, numbered(limits, LIMITS_MESSAGES, 1000 + row * TURNS + i), 5, (int64_t)now);
		limits_fail(limits, numbered(limits, LIMITS_FAILURES, i % 2), (int64_t)now);
	}
	for (unsigned i = 0; limits && i < HELD_AT_END; i++)
		limits_hold(limits, shared);
	if (write(ready, limits ? "+" : "-", 1) < 0)
		_exit(3);
	for (;;)
		pause();
}

static size_t memory_of(int fd)
{
	struct stat status;

	return fstat(fd, &status) < 0 ? 0 : (size_t)status.st_blocks * 512;
}

/* The promise of time is the master's part: what a child held is free with the one call that follows its end. */
static void test_processes(void)
{
	int fd = -1, pipes[2], status;
	struct limits *limits = limits_create(CHILDREN + 2, &fd);
	uint64_t shared = key(limits, LIMITS_CONNECTIONS, "edge", "");
	int64_t now = clock_boot_ms();
	size_t memory = memory_of(fd);
	pid_t children[CHILDREN];
	unsigned ready = 0, sum = 0;
	char octet;

	ok(memory <= 16384, "untouched, it has %zu octets of memory", memory);
	ok(!limits_hold(limits, shared), "the master holds nothing");
	ok(pipe(pipes) == 0, "a pipe");
	for (unsigned i = 0; i < CHILDREN; i++) {
		children[i] = fork();
		if (!children[i])
			hammer(fd, i, pipes[1]);
	}
	while (ready < CHILDREN && read(pipes[0], &octet, 1) == 1 && octet == '+')
		ready++;
	is_int(ready, CHILDREN, "processes count beside each other");
	is_int(limits_held(limits, shared), CHILDREN * HELD_AT_END, "the sum of what they hold");
	for (uint32_t i = 0; i < 500; i++)
		sum += (unsigned)limits_held(limits, numbered(limits, LIMITS_CLIENT_CONNECTIONS, i));
	is_int(sum, 0, "what was released is");
	sum = limits_failures(limits, numbered(limits, LIMITS_FAILURES, 0), now) +
		limits_failures(limits, numbered(limits, LIMITS_FAILURES, 1), now);
	ok(sum >= CHILDREN * TURNS * 99 / 100 && sum <= CHILDREN * TURNS * 101 / 100, "%u failures of %u", sum, CHILDREN * TURNS);
	sum = CHILDREN * TURNS;
	ok(limits_count(limits, numbered(limits, LIMITS_MESSAGES, 7), sum * 101 / 100, now), "no more messages");
	ok(!limits_count(limits, numbered(limits, LIMITS_MESSAGES, 7), sum * 99 / 100, now), "nor less");
	memory = memory_of(fd);
	for (unsigned i = 0; i < CHILDREN; i++) {
		kill(children[i], SIGKILL);
		waitpid(children[i], &status, 0);
		limits_retire(limits, i);
		is_int(limits_held(limits, shared), (CHILDREN - 1 - i) * HELD_AT_END, "one was killed: what it held is free");
	}
	ok(memory_of(fd) < memory, "so is its memory: %zu octets of %zu are left", memory_of(fd), memory);
	limits_retire(limits, CHILDREN + 7);
	limits_retire(NULL, 0);
	is_int(ftruncate(fd, 0), -1, "nobody can cut it under us");
	limits_free(limits);
	close(fd);
	close(pipes[0]);
	close(pipes[1]);
}

/* A row that was retired is the next child's, and a master executed anew sees all. */
static void test_rows(void)
{
	int fd = -1;
	struct limits *master = limits_create(3, &fd), *again;
	struct limits *first = limits_attach(fd, 0), *second = limits_attach(fd, 2);
	uint64_t one = key(master, LIMITS_CLIENT_CONNECTIONS, "e", "1");

	ok(limits_hold(first, one) && limits_hold(second, one) && limits_hold(second, one), "two generations hold the same");
	is_int(limits_held(first, one), 3, "each sees both");
	limits_release(first, one);
	limits_release(first, one);
	is_int(limits_held(second, one), 2, "what another holds is not released");
	limits_free(first);
	first = limits_attach(fd, 0);
	ok(limits_hold(first, one), "a successor of the row");
	again = limits_attach(fd, LIMITS_NO_ROW);
	is_int(limits_held(again, one), 3, "a master executed anew sees it");
	limits_retire(again, 2);
	is_int(limits_held(again, one), 1, "and clears rows");
	limits_free(again);
	ok(!limits_attach(fd, 3) && errno == EPROTO, "there is no such row");
	limits_free(first);
	limits_free(second);
	limits_free(master);
	close(fd);
}

static void test_foreign(void)
{
	int fd = memfd_create("foreign", MFD_CLOEXEC | MFD_ALLOW_SEALING), null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char zeros[64] = { 0 };

	ok(!limits_attach(null, 0), "/dev/null is none");
	ok(write(fd, zeros, sizeof(zeros)) == sizeof(zeros) && !limits_attach(fd, 0) && errno == EPROTO, "nor what can be cut");
	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK);
	ok(!limits_attach(fd, 0) && errno == EPROTO, "nor what is too short");
	ok(ftruncate(fd, 1 << 20) == 0 && !limits_attach(fd, 0) && errno == EPROTO, "nor zeros");
	ok(pwrite(fd, "slimtalm\1\0\0\0\377\377\0\0", 16, 0) == 16 && !limits_attach(fd, 0) && errno == EPROTO,
		"nor what has not the size for its rows");
	close(fd);
	close(null);
}

/* What another process may write there is believed in no size. */
static void test_scribbled(void)
{
	char octets[4096];
	int fd = -1, copy = memfd_create("copy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct limits *master = limits_create(1, &fd), *child = limits_attach(fd, 0);
	uint64_t one = key(master, LIMITS_CONNECTIONS, "e", "1");
	struct stat status;

	if (fstat(fd, &status) < 0 || ftruncate(copy, status.st_size) < 0 || pread(fd, octets, sizeof(octets), 0) < 0 ||
			pwrite(copy, octets, sizeof(octets), 0) < 0)
		BUG("no copy");
	ok(!limits_attach(copy, 0) && errno == EPROTO, "memory that could be cut");
	close(copy);
	ok(limits_hold(child, one), "one is held");
	/* rows_used, and the use of rows, of which there is one */
	memset(octets, 0xff, sizeof(octets));
	ok(pwrite(fd, octets, sizeof(octets) - 32, 32) == (ssize_t)sizeof(octets) - 32, "nonsense");
	is_int(limits_held(child, one), 1, "leads nobody out of the memory");
	limits_retire(master, 1);
	limits_release(child, one);
	is_int(limits_held(child, one), 0, "and it is released");
	limits_free(child);
	limits_free(master);
	close(fd);
}

/* ---- rates */

static unsigned count_of(struct limits *limits, uint64_t one, unsigned most, unsigned tries, int64_t now)
{
	unsigned count = 0;

	while (tries--)
		count += limits_count(limits, one, most, now);
	return count;
}

/* From each start within a minute on: never more than `most` at once, and all of them again two minutes later. */
static void test_minute(void)
{
	unsigned wrong = 0, at_once = 0, most_in_minute = 0, in_all = 0;

	for (int64_t start = 100 * MINUTE; start < 101 * MINUTE; start += 997) {
		struct limits *limits = limits_create(1, NULL);
		uint64_t one = key(limits, LIMITS_MESSAGES, "e", "1");

		at_once += count_of(limits, one, 10, 20, start) == 10;
		wrong += count_of(limits, one, 10, 5, start + 5999);
		wrong += count_of(limits, one, 10, 20, start + 2 * MINUTE) != 10;
		wrong += count_of(limits, one, 10, 5, start + 2 * MINUTE + 5999);
		limits_free(limits);
	}
	is_int(at_once, 61, "ten of ten, not eleven");
	is_int(wrong, 0, "no more some seconds later, nor across the clock's minute; ten again after two minutes");

	/* Who tries every second for an hour. */
	struct limits *limits = limits_create(1, NULL);
	uint64_t one = key(limits, LIMITS_MESSAGES, "e", "1");
	unsigned passed[3600];

	for (unsigned i = 0; i < 3600; i++) {
		unsigned in_minute = 0;

		passed[i] = count_of(limits, one, 30, 1, 7 * MINUTE + i * 1000);
		in_all += passed[i];
		for (unsigned j = i < 60 ? 0 : i - 59; j <= i; j++)
			in_minute += passed[j];
		most_in_minute = in_minute > most_in_minute ? in_minute : most_in_minute;
	}
	diag("30 a minute: %u in an hour, at most %u within 60 s", in_all, most_in_minute);
	ok(in_all >= 29 * 60 && in_all <= 31 * 60, "over an hour the limit is the rate");
	ok(most_in_minute <= 36, "and a minute has not much more");
	limits_free(limits);
}

static void test_failures(void)
{
	struct limits *limits = limits_create(1, NULL);
	uint64_t one = key(limits, LIMITS_FAILURES, "", "1");
	int64_t now = 5 * MINUTE;

	is_int(limits_failures(limits, one, now), 0, "none yet");
	for (unsigned i = 1; i <= 5; i++, now += 9 * MINUTE)
		is_int(limits_fail(limits, one, now), i, "one more");
	now -= 9 * MINUTE;
	is_int(limits_failures(limits, one, now + LIMITS_FAILURES_MS - 1000), 5, "kept for ten minutes after the last");
	is_int(limits_failures(limits, one, now + LIMITS_FAILURES_MS), 0, "and no longer");
	is_int(limits_fail(limits, one, now + LIMITS_FAILURES_MS), 1, "the next is a first one");
	limits_free(limits);
}

/* Where the numbers of minutes, or of seconds, begin again: as at any other time. */
static void test_wrap(void)
{
	struct limits *limits = limits_create(1, NULL);
	uint64_t one = key(limits, LIMITS_MESSAGES, "e", "1"), two = key(limits, LIMITS_FAILURES, "e", "1");
	int64_t end = (INT64_C(1) << 24) * MINUTE, second = (INT64_C(1) << 32) * 1000;

	is_int(count_of(limits, one, 10, 20, end - 1000), 10, "before the last minute ends");
	is_int(count_of(limits, one, 10, 20, end + 1000), 0, "in the first it still counts");
	is_int(count_of(limits, one, 10, 20, end + 2 * MINUTE), 10, "not in the third");
	is_int(count_of(limits, one, 10, 20, end + 2 * MINUTE - 1), 0, "another's clock was read a moment before");
	is_int(limits_fail(limits, two, second - 1000), 1, "a failure in the last second");
	is_int(limits_fail(limits, two, second + 1000), 2, "and one after it");
	is_int(limits_failures(limits, two, second), 2, "for who reads a second before it too");
	is_int(limits_failures(limits, two, second + LIMITS_FAILURES_MS + 1000), 0, "which is forgotten in time");
	limits_free(limits);
}

/* A million others: who is at the limit stays there, and nobody new is refused. */
static void test_full_table(void)
{
	struct limits *limits = limits_create(1, NULL);
	uint64_t heavy[50];
	int64_t now = 100 * MINUTE;
	unsigned refused = 0, forgotten = 0;

	for (uint32_t i = 0; i < 50; i++) {
		heavy[i] = numbered(limits, LIMITS_MESSAGES, i);
		refused += count_of(limits, heavy[i], 5, 5, now) != 5;
		for (unsigned j = 0; j < 5; j++)
			limits_fail(limits, numbered(limits, LIMITS_FAILURES, i), now);
	}
	for (uint32_t i = 0; i < 1000000; i++) {
		refused += !limits_count(limits, numbered(limits, LIMITS_MESSAGES, 1000 + i), 5, now + i / 100);
		limits_fail(limits, numbered(limits, LIMITS_FAILURES, 1000 + i), now + i / 100);
	}
	is_int(refused, 0, "none of a million clients is refused for the others");
	for (uint32_t i = 0; i < 50; i++) {
		forgotten += limits_count(limits, heavy[i], 5, now + 10000);
		forgotten += limits_failures(limits, numbered(limits, LIMITS_FAILURES, i), now + 10000) != 5;
	}
	is_int(forgotten, 0, "and who was at the limit still is");
	refused = 0;
	for (uint32_t i = 0; i < 1000; i++)
		refused += count_of(limits, numbered(limits, LIMITS_MESSAGES, 5000000 + i), 5, 8, now + 10000) != 5;
	is_int(refused, 0, "who comes new to a full table is counted");
	limits_free(limits);
}

int main(void)
{
	test_siphash();
	test_keys();
	test_held();
	test_full_row();
	test_processes();
	test_rows();
	test_foreign();
	test_scribbled();
	test_minute();
	test_failures();
	test_wrap();
	test_full_table();
	return done_testing();
}
