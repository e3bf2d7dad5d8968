/* unit-base-log-head.c - what every line begins with: the time, whatever the clock does, and the process, after forks too
 * SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "t/lib/tap.h"

static char path[] = "/tmp/slimta-unit-log-head-XXXXXX";
static struct buffer text;
static int64_t now_ms;

/* The wall clock stands where a test has put it. */
int clock_gettime(clockid_t id, struct timespec *now)
{
	(void)id;
	*now = (struct timespec){ .tv_sec = (time_t)(now_ms / 1000), .tv_nsec = (long)(now_ms % 1000) * 1000000 };
	return 0;
}

/* Opens the log anew, empty. */
static void open_log(enum log_format format)
{
	struct log_settings settings = { .level = LOG_LEVEL_INFO, .format = format, .output = path };

	if (truncate(path, 0) < 0 || log_open("head", &settings) < 0)
		abort();
}

static const char *logged(void)
{
	buffer_reset(&text);
	if (file_read(path, &text, 100000) < 0 || truncate(path, 0) < 0)
		abort();
	return buffer_str(&text);
}

static void time_is(int64_t ms, const char *wanted)
{
	char *text_line = xasprintf("%s info head[%d] test: said\n", wanted, (int)getpid());
	char *json_line = xasprintf("{\"time\":\"%s\",\"level\":\"info\",\"process\":\"head\",\"pid\":%d,"
		"\"subsystem\":\"test\",\"event\":\"said\"}\n", wanted, (int)getpid());

	now_ms = ms;
	open_log(LOG_FORMAT_TEXT);
	log_info("test", "said");
	is_str(logged(), text_line, wanted);
	open_log(LOG_FORMAT_JSON);
	log_info("test", "said");
	is_str(logged(), json_line, "the same in JSON");
	free(text_line);
	free(json_line);
}

static void test_times(void)
{
	time_is(0, "1970-01-01T00:00:00.000Z");
	time_is(1, "1970-01-01T00:00:00.001Z");
	time_is(-1, "1969-12-31T23:59:59.999Z");
	time_is(-999, "1969-12-31T23:59:59.001Z");
	time_is(-1000, "1969-12-31T23:59:59.000Z");
	time_is(7, "1970-01-01T00:00:00.007Z");
	time_is(1795334616123, "2026-11-22T08:03:36.123Z");
	time_is(1795334616999, "2026-11-22T08:03:36.999Z");
	time_is(1795334616000, "2026-11-22T08:03:36.000Z");
	time_is(1795334617040, "2026-11-22T08:03:37.040Z");
	time_is(1795334616500, "2026-11-22T08:03:36.500Z");
	time_is(1795391999999, "2026-11-22T23:59:59.999Z");
	time_is(1795392000000, "2026-11-23T00:00:00.000Z");
	time_is(1795391999998, "2026-11-22T23:59:59.998Z");
	time_is(951782399999, "2000-02-28T23:59:59.999Z");
	time_is(951782400000, "2000-02-29T00:00:00.000Z");
	time_is(253402300799999, "9999-12-31T23:59:59.999Z");
	time_is(253402300800000, "10000-01-01T00:00:00.000Z");
	time_is(253402300800012, "10000-01-01T00:00:00.012Z");
}

static void test_every_millisecond(void)
{
	char wanted[CLOCK_ISO8601_SIZE];
	bool same = true;

	open_log(LOG_FORMAT_TEXT);
	for (int64_t i = 0; i < 2100; i++) {
		now_ms = 1795334616000 + i;
		log_info("test", "said");
		same &= !strncmp(logged(), clock_iso8601(wanted, now_ms), strlen(wanted));
	}
	ok(same, "every millisecond of two seconds");
}

static bool is_named(void)
{
	char *wanted = xasprintf(" info head[%d] test: said\n", (int)getpid());
	bool found;

	log_info("test", "said");
	found = strstr(logged(), wanted) != NULL;
	free(wanted);
	return found;
}

static bool are_named(unsigned generations)
{
	int status = -1;
	pid_t child;

	if (!is_named())
		return false;
	if (!generations)
		return true;
	child = fork();
	if (child == 0)
		_exit(!are_named(generations - 1));
	return waitpid(child, &status, 0) == child && status == 0 && is_named();
}

int main(void)
{
	int fd = mkstemp(path);

	if (fd < 0)
		return 1;
	close(fd);
	test_times();
	test_every_millisecond();
	ok(are_named(2), "each of three generations of processes is named");
	log_close();
	unlink(path);
	buffer_release(&text);
	return done_testing();
}
