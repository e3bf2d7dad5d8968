/* unit-queue-now.c - `.now` files: what a worker writes, what its heirs and onlookers read
 * SPDX-License-Identifier: MIT */
#include "t/lib/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/queue/now_file.h"

static char dir[] = "/tmp/slimta-unit-XXXXXX";
static const struct now_keeper keeper = { "slimta-worker", "mx.example.net" };

static char *path_of(const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

static bool is_there(const char *name)
{
	char *path = path_of(name);
	bool there = access(path, F_OK) == 0;

	free(path);
	return there;
}

static void put_file(const char *name, const void *data, size_t size)
{
	char *path = path_of(name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || fd_write_all(fd, data, size) < 0)
		diag("could not write %s", path);
	fd_close(&fd);
	free(path);
}

/* A worker that dies with what `rows` says: a letter an id, `c`laimed, in `l`ine, `b`egun, `p`ast the dot, `f`reed. */
static void leave_dead(const char *rows, char ids[][ID_SIZE])
{
	pid_t pid = fork();

	if (!pid) {
		struct now *now = now_open(dir, "q", &keeper, 8);

		for (size_t i = 0; now && rows[i]; i++) {
			uint32_t row = now_hold(now, ids[i]);

			if (rows[i] != 'c')
				now_reach(now, row, LEASE_BEGUN);
			if (rows[i] == 'l')
				now_reach(now, row, LEASE_IN_LINE);
			if (rows[i] == 'p')
				now_reach(now, row, LEASE_PAST_THE_DOT);
			if (rows[i] == 'f')
				now_release(now, row);
		}
		raise(SIGKILL);
	}
	waitpid(pid, NULL, 0);
}

static void own(void)
{
	struct now *a = now_open(dir, "q", &keeper, 2), *b = now_open(dir, "q", &keeper, 2), *other;
	char id[ID_SIZE];
	uint32_t first, second;

	id_new(id);
	ok(a && b && now_number(a) == 0 && now_number(b) == 1, "the first that is free");
	other = now_open(dir, "q-0", &keeper, 0);
	ok(other && now_number(other) == 0 && is_there("q-0-0.now"), "a queue of a similar name has its own");
	first = now_hold(a, id);
	second = now_hold(a, id);
	ok(first != NOW_NO_ROW && second != NOW_NO_ROW && first != second, "as many rows as were asked for");
	ok(now_hold(a, id) == NOW_NO_ROW, "and no more");
	now_reach(a, NOW_NO_ROW, LEASE_BEGUN);
	now_release(a, NOW_NO_ROW);
	now_release(a, first);
	ok(now_hold(a, id) == first, "a row is used again");
	ok(now_hold(NULL, id) == NOW_NO_ROW, "without a file nothing is held");
	now_close(a);
	ok(!is_there("q-0.now") && is_there("q-1.now"), "at the end it is away");
	a = now_open(dir, "q", &keeper, 1);
	ok(a && now_number(a) == 0, "and its number is free");
	now_close(a);
	now_close(b);
	now_close(other);
	now_close(NULL);
}

static void heirs(void)
{
	char ids[5][ID_SIZE];
	struct now_dead *dead;
	struct now *living;
	size_t count;

	for (size_t i = 0; i < 5; i++)
		id_new(ids[i]);
	living = now_open(dir, "q", &keeper, 4);
	now_reach(living, now_hold(living, ids[0]), LEASE_BEGUN);
	leave_dead("cbpfl", ids);
	leave_dead("ff", ids);
	leave_dead("b", ids);
	put_file("other-0.now", "x", 1);
	is_int(now_take_dead(dir, "q", &dead, &count), 0, "the dead are looked for");
	is_int(count, 2, "those that held something, and none that lives");
	if (count == 2 && dead[0].content.count == 1) {
		struct now_dead kept = dead[0];

		dead[0] = dead[1];
		dead[1] = kept;
	}
	is_int(dead[0].content.count, 4, "what was freed is not held");
	is_int(dead[0].begun, 2, "two had begun");
	is_int(dead[0].content.held[3].phase, LEASE_IN_LINE, "one was in line, which is no more than claimed");
	is_str(dead[0].content.held[0].id, ids[0], "which ids");
	is_int(dead[0].content.held[2].phase, LEASE_PAST_THE_DOT, "and how far they were");
	ok(dead[0].content.held[2].phase_ms >= dead[0].content.held[2].claimed_ms && dead[0].content.this_boot, "since when");
	ok(strncmp(dead[0].content.owner, "mx.example.net/slimta-worker[", 29) == 0, "whose they were");
	is_int(dead[1].begun, 1, "of the other one it was the only one");
	now_close(now_open(dir, "q", &keeper, 1));
	ok(is_there("q-1.now"), "a file that is seen to is nobody's");
	now_dead_settle(&dead[0]);
	now_dead_leave(&dead[1]);
	free(dead);
	is_int(now_take_dead(dir, "q", &dead, &count), 0, "again");
	is_int(count, 1, "what was settled is gone, what was left is there");
	now_dead_settle(&dead[0]);
	free(dead);
	ok(is_there("other-0.now"), "the files of other queues stay");
	now_close(living);
	is_int(now_take_dead("/nonexistent", "q", &dead, &count), -1, "a directory that is not there is an error");
}

static void damaged(void)
{
	static char octets[1024];
	struct now_header *header = (struct now_header *)octets;
	struct now_row *row = (struct now_row *)(octets + sizeof(*header));
	struct now_content content;
	struct now_dead *dead;
	size_t count;

	for (size_t size = 1; size < sizeof(*header); size++)
		if (now_parse(octets, size, &content) != NOW_DAMAGED)
			diag("a header of %zu octets", size);
	is_int(now_parse(octets, 0, &content), NOW_EMPTY, "an empty file");
	is_int(now_parse(octets, sizeof(octets), &content), NOW_EMPTY, "one that nobody wrote to");
	header->magic = NOW_MAGIC;
	header->version = NOW_VERSION;
	header->rows = 8;
	memset(header->host, 0xff, sizeof(header->host));
	memset(header->program, 'x', sizeof(header->program));
	row[0].phase = NOW_BEGUN;
	memset((void *)row[0].id, 'a', 32);
	row[1].phase = NOW_BEGUN;
	memset((void *)row[1].id, '/', 32);
	row[2].phase = 77;
	memset((void *)row[2].id, 'a', 32);
	is_int(now_parse(octets, sizeof(octets), &content), NOW_READ, "a whole one");
	is_int(content.count, 1, "of which rows are left out that make no sense");
	ok(!strpbrk(content.owner, "\xff") && !content.this_boot, "and no octet is shown as it is");
	now_content_release(&content);
	for (size_t size = sizeof(*header); size < sizeof(octets); size++)
		if (now_parse(octets, size, &content) != NOW_DAMAGED)
			diag("%zu octets", size);
	put_file("q-0.now", octets, 800);
	put_file("q-1.now", octets, 20);
	put_file("q-2.now", "", 0);
	header->version = 99;
	put_file("q-3.now", octets, sizeof(octets));
	header->version = NOW_VERSION;
	header->rows = UINT32_MAX;
	is_int(now_parse(octets, sizeof(octets), &content), NOW_DAMAGED, "more rows than there may be");
	put_file("q-x.now", octets, 20);
	is_int(symlink("/etc/passwd", "q-4.now"), 0, "a link");
	is_int(now_take_dead(dir, "q", &dead, &count), 0, "a directory of damaged ones");
	is_int(count, 0, "holds nothing");
	ok(!is_there("q-0.now") && !is_there("q-1.now") && !is_there("q-2.now"), "they are taken away");
	ok(is_there("q-3.now"), "one of another version is not");
	ok(is_there("q-x.now") && is_there("q-4.now"), "nor what is none");
}

/* Workers and readers from before there were lines: neither is told what is not so. */
static void versions(void)
{
	static const struct {
		uint32_t phase, in_line;
		enum lease_phase expected;
	} rows[] = {
		{ 1, 0, LEASE_CLAIMED }, { 1, 1, LEASE_IN_LINE }, { 2, 0, LEASE_BEGUN }, { 2, 1, LEASE_BEGUN },
		{ 3, 0, LEASE_PAST_THE_DOT }, { 3, 1, LEASE_PAST_THE_DOT },
	};
	struct now *now = now_open(dir, "q", &keeper, ARRAY_SIZE(rows));
	struct buffer text = { 0 };
	struct now_content content;
	struct now_view *view;
	char id[ID_SIZE];
	size_t in_line;
	uint32_t row;

	id_new(id);
	row = now_hold(now, id);
	now_reach(now, row, LEASE_IN_LINE);
	view = now_look(dir, "q");
	is_int(now_count(view, &in_line) * 10 + in_line, 11, "one is held, and in line");
	now_view_free(view);
	is_int(file_read("q-0.now", &text, 10000), 0, "its file");
	is_int(((struct now_row *)(text.data + now_size(0)))->phase, 1, "who knows of no lines sees it claimed");
	now_release(now, row);
	now_hold(now, id);
	view = now_look(dir, "q");
	is_int(now_count(view, &in_line) * 10 + in_line, 10, "a row that is used again is not in line");
	now_view_free(view);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct now_row *written = (struct now_row *)(text.data + now_size((uint32_t)i));

		*written = (struct now_row){ .phase = rows[i].phase, .in_line = rows[i].in_line };
		memcpy((void *)written->id, id, ID_LENGTH);
	}
	is_int(now_parse(text.data, text.size, &content), NOW_READ, "what others write");
	is_int(content.count, ARRAY_SIZE(rows), "all of it");
	for (size_t i = 0; i < content.count; i++)
		is_int(content.held[i].phase, rows[i].expected, "is what they mean");
	now_content_release(&content);
	buffer_release(&text);
	now_close(now);
}

static void without_room(void)
{
	struct rlimit none = { 1000, RLIM_INFINITY }, before;
	struct now *now;

	getrlimit(RLIMIT_FSIZE, &before);
	signal(SIGXFSZ, SIG_IGN);
	none.rlim_max = before.rlim_max;
	setrlimit(RLIMIT_FSIZE, &none);
	now = now_open(dir, "q", &keeper, 100);
	ok(!now && errno == EFBIG, "without room there is no file");
	setrlimit(RLIMIT_FSIZE, &before);
	ok(!is_there("q-0.now"), "nor half of one");
	ok(!now_open("/nonexistent", "q", &keeper, 1), "nor without a directory");
	now_close(now);
}

/* ---- a reader beside a writer that never rests */

static atomic_bool over;
static char pair[2][ID_SIZE];

static void *write_on(void *arg)
{
	struct now *now = arg;

	for (unsigned i = 0; !over; i++) {
		uint32_t row = now_hold(now, pair[i % 2]);

		now_reach(now, row, LEASE_BEGUN);
		now_release(now, row);
	}
	return NULL;
}

static void onlookers(void)
{
	struct now *now = now_open(dir, "q", &keeper, 3);
	unsigned strange = 0, seen = 0;
	struct now_view *view;
	pthread_t thread;
	char held[ID_SIZE];

	memset(pair[0], 'a', ID_LENGTH);
	memset(pair[1], 'b', ID_LENGTH);
	id_new(held);
	now_reach(now, now_hold(now, held), LEASE_PAST_THE_DOT);
	pthread_create(&thread, NULL, write_on, now);
	for (int i = 0; i < 2000; i++) {
		char mixed[ID_SIZE];

		view = now_look(dir, "q");
		if (!now_find(view, held) || now_find(view, held)->held.phase != LEASE_PAST_THE_DOT)
			strange++;
		seen += now_find(view, pair[0]) != NULL || now_find(view, pair[1]) != NULL;
		for (unsigned cut = 8; cut < 32; cut += 8) {
			memcpy(mixed, pair[0], ID_SIZE);
			memset(mixed + cut, 'b', cut < ID_LENGTH ? ID_LENGTH - cut : 0);
			strange += now_find(view, mixed) != NULL;
			memcpy(mixed, pair[1], ID_SIZE);
			memset(mixed + cut, 'a', cut < ID_LENGTH ? ID_LENGTH - cut : 0);
			strange += now_find(view, mixed) != NULL;
		}
		now_view_free(view);
	}
	over = true;
	pthread_join(thread, NULL);
	is_int(strange, 0, "a row that changes is seen whole or not at all, another one always");
	diag("seen %u of 2000 times", seen);
	view = now_look(dir, "q");
	ok(strncmp(now_find(view, held)->owner, "mx.example.net/slimta-worker[", 29) == 0, "with its owner");
	ok(!now_find(view, "00000000000000000000000000"), "what nobody holds is not found");
	now_view_free(view);
	now_close(now);
	view = now_look(dir, "q");
	ok(!now_find(view, held), "nor what was held");
	now_view_free(view);
	view = now_look("/nonexistent", "q");
	ok(!now_find(view, held), "nor anything where there is no directory");
	now_view_free(view);
}

static void times(void)
{
	struct now_held held = { .phase_ms = clock_wall_ms() - 60000 };

	is_int(now_in_phase(&held, 1000), 1000, "a phase is no longer than the lease");
	ok(now_in_phase(&held, 90000) >= 60000, "but maybe shorter");
	ok(now_in_phase(&held, 90000) < 90000, "than that");
	ok(now_in_phase(&held, -1) >= 60000, "whatever that is, if it is not known");
	held.phase_ms += 120000;
	is_int(now_in_phase(&held, 1000), 0, "nor is it still to come");
}

int main(void)
{
	char *clean = NULL;

	if (!mkdtemp(dir) || chdir(dir) < 0)
		return 1;
	own();
	heirs();
	damaged();
	versions();
	clean = xasprintf("rm -f %s/*", dir);
	is_int(system(clean), 0, "swept");
	without_room();
	onlookers();
	times();
	is_int(system(clean), 0, "swept");
	free(clean);
	is_int(rmdir(dir), 0, "nothing is left");
	return done_testing();
}
