/* fault.c - named points where a test makes a system call fail
 * SPDX-License-Identifier: MIT
 * A SLIMTA_FAULT that cannot be read aborts: a test whose fault never strikes would pass for nothing. */
#include "common/base/fault.h"

#ifdef SLIMTA_FAULTS

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/base/text.h"

#define FAULTS_MAX 32
#define ERRNO_MAX 4095
#define WHAT_DIE (-2)

static struct fault {
	char *point;
	uint64_t visit;		/* 0: every one */
	uint64_t visited;
	int what;
} faults[FAULTS_MAX];
static size_t fault_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t parsed = PTHREAD_ONCE_INIT;

static int parse_what(const char *what)
{
	if (!strcmp(what, "skip"))
		return FAULT_SKIP;
	if (!strcmp(what, "die"))
		return WHAT_DIE;
	for (int number = 1; number <= ERRNO_MAX; number++) {
		const char *name = strerrorname_np(number);

		if (name && !strcmp(name, what))
			return number;
	}
	BUG("SLIMTA_FAULT: %s is no errno, skip or die", what);
}

static void parse_one(char *text)
{
	struct fault *fault = &faults[fault_count];
	char *visit = strchr(text, ':');
	char *what = visit ? strchr(visit + 1, ':') : NULL;

	if (!what || visit == text || fault_count == FAULTS_MAX)
		BUG("SLIMTA_FAULT: %s: expected POINT:VISIT:WHAT, at most %d of them", text, FAULTS_MAX);
	*visit++ = '\0';
	*what++ = '\0';
	if (strcmp(visit, "*") && (!parse_u64(visit, strlen(visit), UINT64_MAX, &fault->visit) || !fault->visit))
		BUG("SLIMTA_FAULT: %s: the visit is a number from 1 or *", visit);
	fault->point = text;
	fault->what = parse_what(what);
	fault_count++;
}

static void parse(void)
{
	const char *setting = getenv("SLIMTA_FAULT");
	char *rest, *one;

	if (!setting || !*setting)
		return;
	/* Kept for life: the points lie in it. */
	rest = xstrdup(setting);
	while ((one = strsep(&rest, ",")))
		parse_one(one);
}

/* Who makes the file dies; its successors find it and live. */
static void die(const struct fault *fault)
{
	const char *once = getenv("SLIMTA_FAULT_ONCE");
	char path[PATH_MAX];
	int fd = -1;

	if (once) {
		snprintf(path, sizeof(path), "%s/%s:%" PRIu64, once, fault->point, fault->visit);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	}
	if (once && fd < 0)
		return;
	kill(getpid(), SIGKILL);
	pause();
}

int fault_at(const char *point)
{
	const struct fault *struck = NULL;
	int what = FAULT_NONE;

	pthread_once(&parsed, parse);
	if (!fault_count)
		return FAULT_NONE;
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < fault_count; i++) {
		struct fault *fault = &faults[i];

		if (strcmp(fault->point, point))
			continue;
		fault->visited++;
		if (!struck && (!fault->visit || fault->visit == fault->visited))
			struck = fault;
	}
	pthread_mutex_unlock(&lock);
	if (struck && struck->what == WHAT_DIE)
		die(struck);
	else if (struck)
		what = struck->what;
	return what;
}

#endif
