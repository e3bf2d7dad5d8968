/* unit-base-id.c - ids, clocks and the sum
 * SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/crc32c.h"
#include "common/base/id.h"
#include "common/base/memory.h"
#include "t/lib/tap.h"

#define MANY 20000
#define THREADS 4
#define FORKED 5

static void test_ids(void)
{
	char id[ID_SIZE], last[ID_SIZE] = "";
	int64_t before = clock_wall_ms(), after, made = 0;
	bool ordered = true, valid = true, guessable = false;

	for (int i = 0; i < MANY; i++) {
		id_new(id);
		ordered &= strcmp(last, id) < 0;
		valid &= id_is_valid(id) && strlen(id) == ID_LENGTH && !id_is_derived(id);
		guessable |= !strncmp(id, last, ID_LENGTH - 3);
		memcpy(last, id, sizeof(last));
	}
	after = clock_wall_ms();
	ok(ordered, "%d ids sort as they were made", MANY);
	ok(valid, "all of them of 26 letters and digits");
	ok(!guessable, "no two are neighbours");
	made = id_wall_ms(id);
	ok(made >= before && made <= after + 1, "the time is in it");
	is_int(id_wall_ms("00000000000000000000000000"), 0, "the first of all ids");
	is_int(id_wall_ms("7vvvvvvvvvvvvvvvvvvvvvvvvv"), (int64_t)(((uint64_t)1 << 48) - 1), "the last of all");
}

static void test_not_ids(void)
{
	static const char *const wrong[] = {
		"", "0", "0000000000000000000000000", "000000000000000000000000000", "0000000000000000000000000V",
		"0000000000000000000000000w", "../00000000000000000000000", "000000000000000000000000 0",
		"0000000000000000000000000\n", "0000000000000000000000000/",
	};
	bool refused = true;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		refused &= !id_is_valid(wrong[i]) && id_wall_ms(wrong[i]) == -1;
	ok(refused, "what is no id is refused");
}

static void test_derived(void)
{
	static const char original[] = "0jqs8e3c5v0123456789abcdef";
	char fresh[ID_SIZE], first[ID_SIZE], again[ID_SIZE], other[ID_SIZE];

	id_derive(original, "a\0b", 3, first);
	is_str(first, "0jqs8e3c5vp4eajcf60p4bjv7t", "a derived id, as every slimta makes it");
	id_derive(original, "a\0b", 3, again);
	is_str(again, first, "the same of the same");
	ok(id_is_valid(first) && id_is_derived(first), "it is an id, and seen to be derived");
	is_int(id_wall_ms(first), id_wall_ms(original), "with the time of the original");
	id_derive(original, "a\0c", 3, other);
	ok(strcmp(other, first) != 0, "another of another thing");
	id_derive(original, "", 0, other);
	ok(strcmp(other, first) != 0 && id_is_derived(other), "also of nothing");
	id_derive("0jqs8e3c5v0123456789abcdeg", "a\0b", 3, other);
	ok(strcmp(other, first) != 0, "another of another original");
	id_derive(first, "a\0b", 3, other);
	ok(strcmp(other, first) != 0 && id_is_derived(other), "one of a derived one");
	id_new(fresh);
	ok(!id_is_derived(fresh), "a new id is not derived");
	ok(!id_is_derived("") && !id_is_derived("0jqs8e3c5vg"), "nor is what is no id");
}

static void *make_ids(void *arg)
{
	char (*ids)[ID_SIZE] = arg;

	for (int i = 0; i < MANY / THREADS; i++)
		id_new(ids[i]);
	return NULL;
}

static int compare_ids(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void test_threads(void)
{
	char (*ids)[ID_SIZE] = xcalloc(MANY, ID_SIZE);
	pthread_t threads[THREADS];
	bool distinct = true;

	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, make_ids, ids + i * (MANY / THREADS)))
			BUG("no thread");
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	qsort(ids, MANY, ID_SIZE, compare_ids);
	for (int i = 1; i < MANY; i++)
		distinct &= strcmp(ids[i - 1], ids[i]) != 0;
	ok(distinct, "ids of several threads are distinct");
	free(ids);
}

/* Each in a millisecond of its own, so that its second part is what was random, and nothing added to. */
static void make_apart(char ids[FORKED][ID_SIZE])
{
	for (int i = 0; i < FORKED; i++) {
		int64_t before = clock_wall_ms();

		while (clock_wall_ms() == before)
			;
		id_new(ids[i]);
	}
}

/* A process and the one that it forked, both in the middle of what they know of randomness. */
static void test_fork(void)
{
	char ours[FORKED][ID_SIZE], theirs[FORKED][ID_SIZE];
	bool distinct = true;
	int ends[2], status = -1;
	pid_t child;

	make_apart(ours);
	if (pipe(ends) < 0 || (child = fork()) < 0)
		BUG("no child");
	make_apart(ours);
	if (child == 0)
		_exit(write(ends[1], ours, sizeof(ours)) != sizeof(ours));
	waitpid(child, &status, 0);
	is_int(status, 0, "a forked process makes ids");
	ok(read(ends[0], theirs, sizeof(theirs)) == sizeof(theirs), "they are read");
	for (int i = 0; i < FORKED; i++)
		for (int j = 0; j < FORKED; j++)
			distinct &= strcmp(ours[i] + 10, theirs[j] + 10) != 0;
	ok(distinct, "it shares nothing random with its parent");
	close(ends[0]);
	close(ends[1]);
}

static void test_clock(void)
{
	char date[CLOCK_RFC5322_SIZE], iso[CLOCK_ISO8601_SIZE];
	int64_t boot = clock_boot_ms();

	is_str(clock_rfc5322(date, 1795334616123), "Sun, 22 Nov 2026 08:03:36 +0000", "RFC 5322");
	is_str(clock_iso8601(iso, 1795334616123), "2026-11-22T08:03:36.123Z", "RFC 3339");
	is_str(clock_rfc5322(date, 951782400000), "Tue, 29 Feb 2000 00:00:00 +0000", "a leap day");
	is_str(clock_rfc5322(date, 0), "Thu, 01 Jan 1970 00:00:00 +0000", "the first moment");
	is_str(clock_iso8601(iso, -1), "1969-12-31T23:59:59.999Z", "the one before");
	ok(strlen(clock_iso8601(iso, INT64_MIN)) < sizeof(iso) && strlen(clock_rfc5322(date, INT64_MAX)) < sizeof(date),
		"the ends of time fit");
	ok(clock_wall_ms() > 1700000000000, "the wall clock is after 2023");
	ok(boot > 0 && clock_boot_ms() >= boot, "the boot clock goes forward");
}

/* The sum by its definition, one bit at a time. */
static uint32_t slow_crc(const unsigned char *data, size_t size)
{
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < size; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? (crc >> 1) ^ 0x82f63b78 : crc >> 1;
	}
	return ~crc;
}

static void test_crc(void)
{
	unsigned char data[300];
	bool same = true, continues = true, aligned = true;

	is_int(crc32c(0, "123456789", 9), 0xe3069283, "the check value");
	is_int(crc32c_by_tables(0, "123456789", 9), 0xe3069283, "by tables too");
	is_int(crc32c(0, "", 0), 0, "of nothing");
	memset(data, 0, 32);
	is_int(crc32c(0, data, 32), 0x8a9136aa, "32 zeros, as in RFC 3720 B.4");
	memset(data, 0xff, 32);
	is_int(crc32c(0, data, 32), 0x62a8ab43, "32 ones");
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 7 + (i >> 3));
	for (size_t size = 0; size <= sizeof(data); size++) {
		uint32_t whole = slow_crc(data, size);

		same &= crc32c(0, data, size) == whole && crc32c_by_tables(0, data, size) == whole;
		continues &= crc32c(crc32c(0, data, size / 3), data + size / 3, size - size / 3) == whole;
		continues &= crc32c_by_tables(crc32c(0, data, size / 2), data + size / 2, size - size / 2) == whole;
	}
	for (size_t from = 0; from < 16; from++)
		aligned &= crc32c(0, data + from, 100) == slow_crc(data + from, 100);
	ok(same, "every length by processor, tables and definition");
	ok(continues, "in two steps as in one");
	ok(aligned, "from any address");
}

int main(void)
{
	test_ids();
	test_not_ids();
	test_derived();
	test_threads();
	test_fork();
	test_clock();
	test_crc();
	return done_testing();
}
