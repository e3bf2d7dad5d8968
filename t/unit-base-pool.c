/* unit-base-pool.c - threads that work for the loop, and counters that processes share
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/counters.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/base/pool.h"
#include "t/lib/tap.h"

#define JOBS 2000

/* ---- the pool */

struct job {
	struct pool *pool;
	pthread_t worked_by, done_by;
	unsigned worked, done;
	bool signals_blocked;
	bool again;
};

static struct event_base *base;
static unsigned done_count;

static void work(void *arg)
{
	struct job *job = arg;
	sigset_t blocked;

	pthread_sigmask(SIG_BLOCK, NULL, &blocked);
	job->signals_blocked = sigismember(&blocked, SIGTERM) == 1 && sigismember(&blocked, SIGHUP) == 1;
	job->worked_by = pthread_self();
	job->worked++;
}

static void on_done(void *arg)
{
	struct job *job = arg;

	job->done_by = pthread_self();
	job->done++;
	if (job->again) {
		job->again = false;
		pool_submit(job->pool, work, on_done, job);
		return;
	}
	if (++done_count == JOBS)
		event_base_loopbreak(base);
}

static void test_jobs(void)
{
	struct pool *pool = pool_new(base, "test", 4);
	struct job *jobs = xcalloc(JOBS, sizeof(*jobs));
	bool once = true, elsewhere = true, here = true, blocked = true;

	ok(pool != NULL, "a pool of four threads");
	done_count = 0;
	for (int i = 0; i < JOBS; i++) {
		jobs[i].pool = pool;
		pool_submit(pool, work, on_done, &jobs[i]);
	}
	is_int(done_count, 0, "nothing calls back before the loop runs");
	is_int(pool_pending(pool), JOBS, "all are pending");
	event_base_dispatch(base);
	is_int(done_count, JOBS, "all came back");
	is_int(pool_pending(pool), 0, "none is pending");
	for (int i = 0; i < JOBS; i++) {
		once &= jobs[i].worked == 1 && jobs[i].done == 1;
		elsewhere &= !pthread_equal(jobs[i].worked_by, pthread_self());
		here &= pthread_equal(jobs[i].done_by, pthread_self());
		blocked &= jobs[i].signals_blocked;
	}
	ok(once, "each worked once and came back once");
	ok(elsewhere && here, "worked in a thread, came back on the loop");
	ok(blocked, "signals are blocked in the threads");
	pool_free(pool);
	free(jobs);
}

static void test_free(void)
{
	struct pool *pool = pool_new(base, "a name that is too long", 2);
	struct job jobs[50] = { 0 };
	bool all = true;
	sigset_t blocked;

	done_count = 0;
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
		jobs[i].pool = pool;
		jobs[i].again = i % 2;
		pool_submit(pool, work, on_done, &jobs[i]);
	}
	pool_free(pool);
	is_int(done_count, ARRAY_SIZE(jobs), "freeing runs what waits");
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++)
		all &= jobs[i].worked == 1 + i % 2;
	ok(all, "and what that submits");
	pthread_sigmask(SIG_BLOCK, NULL, &blocked);
	is_int(sigismember(&blocked, SIGTERM), 0, "our own signals are not blocked");
	pool_free(NULL);
}

static void test_no_threads(void)
{
	struct rlimit limit, none;
	struct pool *pool;

	getrlimit(RLIMIT_NOFILE, &limit);
	none = limit;
	none.rlim_cur = 3;
	setrlimit(RLIMIT_NOFILE, &none);
	pool = pool_new(base, "test", 1);
	is_int(pool ? 0 : errno, EMFILE, "no descriptor left: no pool, and errno says why");
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* ---- counters */

static void test_alone(void)
{
	struct counters *counters = counters_create(0, NULL);
	bool named = true;

	is_int(counters_rows(counters), 1, "a program alone has one row");
	counter_add(counters, COUNTER_EDGE_ACCEPTED, 5);
	counter_add(counters, COUNTER_EDGE_ACCEPTED, 1);
	counter_add(NULL, COUNTER_EDGE_ACCEPTED, 1);
	is_int(counter_sum(counters, COUNTER_EDGE_ACCEPTED), 6, "it counts");
	is_int(counter_sum(NULL, COUNTER_EDGE_ACCEPTED), 0, "no counters are 0");
	counter_add(counters, COUNTER_EDGE_CONNECTIONS, -1);
	is_int(counter_sum(counters, COUNTER_EDGE_CONNECTIONS), 0, "a gauge is never below 0");
	counters_retire(counters, 0);
	is_int(counter_sum(counters, COUNTER_EDGE_ACCEPTED), 6, "its own row is not retired");
	counters_free(counters);
	counters_free(NULL);
	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		named &= *counter_name(i) && *counter_text(i) && counter_is_gauge(i) == !strstr(counter_name(i), "_total");
	ok(named, "all have names and texts, and totals say so");
	ok(counters_create(1u << 20, NULL) == NULL && errno == EINVAL, "a million rows are refused");
}

static void run_child(int fd, unsigned row)
{
	struct counters *counters = counters_attach(fd, row);

	for (int i = 0; i < 1000; i++)
		counter_add(counters, COUNTER_EDGE_MESSAGES, (int)row + 1);
	counter_add(counters, COUNTER_EDGE_CONNECTIONS, 3);
	_exit(counters ? 0 : 1);
}

static void test_shared(void)
{
	int fd = -1, status;
	struct counters *counters = counters_create(2, &fd), *again;
	pid_t children[2];
	bool ended = true;

	is_int(counters_rows(counters), 3, "two children and ourselves");
	ok(fcntl(fd, F_GETFD) & FD_CLOEXEC, "close on exec, until it is passed on");
	for (unsigned i = 0; i < 2; i++) {
		children[i] = fork();
		if (!children[i])
			run_child(fd, i);
	}
	for (unsigned i = 0; i < 2; i++)
		ended &= waitpid(children[i], &status, 0) > 0 && status == 0;
	ok(ended, "two processes counted");
	is_int(counter_sum(counters, COUNTER_EDGE_MESSAGES), 3000, "the sum");
	is_int(counter_of_row(counters, 1, COUNTER_EDGE_MESSAGES), 2000, "of one");
	is_int(counter_sum(counters, COUNTER_EDGE_CONNECTIONS), 6, "a gauge");
	counters_retire(counters, 1);
	counters_retire(counters, 7);
	is_int(counter_sum(counters, COUNTER_EDGE_MESSAGES), 3000, "what a child has counted outlives it");
	is_int(counter_of_row(counters, 1, COUNTER_EDGE_MESSAGES), 0, "its row is clear");
	is_int(counter_sum(counters, COUNTER_EDGE_CONNECTIONS), 3, "its gauges are gone");
	again = counters_attach(fd, counters_rows(counters) - 1);
	counter_add(again, COUNTER_EDGE_MESSAGES, 1);
	is_int(counter_sum(counters, COUNTER_EDGE_MESSAGES), 3001, "a master executed anew goes on");
	is_int(ftruncate(fd, 0), -1, "nobody can cut it under us");
	counters_free(again);
	counters_free(counters);
	close(fd);
}

/* A sealed memfd of `size` octets that begins with `header`. */
static int foreign(const void *header, size_t header_size, size_t size)
{
	char *octets = xcalloc(size + 1, 1);
	int fd;

	memcpy(octets, header, header_size < size ? header_size : size);
	fd = memfd_create("foreign", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd_write_all(fd, octets, size) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
		BUG("no memfd");
	free(octets);
	return fd;
}

static bool refused(int fd, unsigned row, int wanted)
{
	struct counters *counters;
	bool good;

	errno = 0;
	counters = counters_attach(fd, row);
	good = !counters && errno == wanted;
	counters_free(counters);
	return good;
}

static void test_foreign(void)
{
	struct {
		char magic[8];
		uint32_t version, rows, per_row, row_size;
	} header = { .magic = { 's', 'l', 'i', 'm', 't', 'a', 'c', 'n' }, 1, 2, 4, 64 };
	struct counters *other;
	int fd = -1, plain = memfd_create("plain", MFD_CLOEXEC);
	bool good = true;

	counters_free(counters_create(1, &fd));
	ok(refused(fd, 2, EPROTO), "a row that is not there");
	close(fd);
	ok(refused(-1, 0, EBADF), "no descriptor");
	ok(ftruncate(plain, 4096) == 0 && refused(plain, 0, EPROTO), "a file that could be cut under us");
	close(plain);
	for (size_t size = 0; size < 64 + 128; size++) {
		fd = foreign(&header, sizeof(header), size);
		good &= refused(fd, 0, EPROTO);
		close(fd);
	}
	ok(good, "cut at any octet it is refused");
	for (size_t at = 0; at < 12; at++) {
		((char *)&header)[at]++;
		fd = foreign(&header, sizeof(header), 64 + 128);
		good &= refused(fd, 0, EPROTO);
		close(fd);
		((char *)&header)[at]--;
	}
	header.row_size = 0xfffffff8;
	fd = foreign(&header, sizeof(header), 4096);
	good &= refused(fd, 0, EPROTO);
	close(fd);
	ok(good, "as is another magic, version or size of rows");
	header.row_size = 64;
	fd = foreign(&header, sizeof(header), 64 + 128);
	other = counters_attach(fd, 0);
	counter_add(other, COUNTER_EDGE_DEFERRED, 2);
	counter_add(other, COUNTER_LOG_LOST, 2);
	is_int(counter_sum(other, COUNTER_EDGE_DEFERRED), 2, "an older layout has the counters it knows");
	is_int(counter_sum(other, COUNTER_LOG_LOST), 0, "and no others");
	counters_free(other);
	close(fd);
}

int main(void)
{
	base = event_base_new();
	test_jobs();
	test_free();
	test_no_threads();
	event_base_free(base);
	libevent_global_shutdown();
	test_alone();
	test_shared();
	test_foreign();
	return done_testing();
}
