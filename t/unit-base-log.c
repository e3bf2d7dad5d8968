/* unit-base-log.c - log lines: their shape, hostile text, and outputs that are full, gone or elsewhere
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/counters.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/log_output.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "t/lib/tap.h"

static char folder[] = "/tmp/slimta-unit-log-XXXXXX";
static char *log_path;
static struct buffer read_back;

static int open_log(const char *output, enum log_format format)
{
	struct log_settings settings = { .level = LOG_LEVEL_DEBUG, .format = format, .output = output };

	return log_open("slimta-test", &settings);
}

/* What stands in the file, and empties it. */
static const char *logged(void)
{
	buffer_reset(&read_back);
	if (file_read(log_path, &read_back, 10000000) < 0 || truncate(log_path, 0) < 0)
		BUG("the log cannot be read");
	return buffer_str(&read_back);
}

static const char *after_time(const char *line)
{
	const char *space = strchr(line, ' ');

	return space ? space + 1 : line;
}

static size_t count_of(const char *text, const char *what)
{
	size_t count = 0;

	for (; (text = strstr(text, what)); text++)
		count++;
	return count;
}

/* The sum of what the lines about lost lines say. */
static size_t announced(const char *text)
{
	size_t sum = 0;

	for (; (text = strstr(text, "] log: lost lines=")); text++)
		sum += strtoul(strchr(text, '=') + 1, NULL, 10);
	return sum;
}

static void test_text(void)
{
	char *wanted = xasprintf("info slimta-test[%d] edge: accepted id=abc size=-5 name=\"a b\" empty=\"\"\n", (int)getpid());
	const char *line;

	is_int(open_log(log_path, LOG_FORMAT_TEXT), 0, "a file");
	log_info("edge", "accepted", LOG_TEXT("id", "abc"), LOG_INT("size", -5), LOG_TEXT("name", "a b"),
		LOG_TEXT("not", NULL), LOG_TEXT("empty", ""));
	line = logged();
	ok(strlen(line) > 24 && line[10] == 'T' && line[23] == 'Z' && line[24] == ' ', "begins with the time");
	is_str(after_time(line), wanted, "then level, program, subsystem, event and fields");
	free(wanted);
	log_warn("edge", "closed");
	ok(strstr(logged(), "] edge: closed\n") != NULL, "without fields");
	errno = EBADMSG;
	log_debug("edge", "x");
	is_int(errno, EBADMSG, "errno is left alone");
	log_error("x\ny", "a\r\nb \"c\" \\ \xff", LOG_TEXT("k", "v"));
	ok(strstr(logged(), "] x\\ny: a\\r\\nb \"c\" \\\\ \\xFF k=v\n") != NULL, "nothing forges a line, wherever it stands");
}

static void test_json(void)
{
	json_t *json;
	const char *line;

	is_int(open_log(log_path, LOG_FORMAT_JSON), 0, "JSON");
	log_info("edge", "accepted", LOG_TEXT("id", "a\"b\n\xff"), LOG_INT("size", INT64_MIN), LOG_INT("pid", 7),
		LOG_TEXT("n", NULL));
	line = logged();
	ok(strchr(line, '\n') == line + strlen(line) - 1, "one object a line");
	json = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	ok(json != NULL, "valid");
	is_str(json_string_value(json_object_get(json, "level")), "info", "level");
	is_str(json_string_value(json_object_get(json, "process")), "slimta-test", "process");
	is_int(json_integer_value(json_object_get(json, "pid")), getpid(), "pid");
	is_int(json_integer_value(json_object_get(json, "pid_")), 7, "a field of that name has another");
	is_str(json_string_value(json_object_get(json, "subsystem")), "edge", "subsystem");
	is_str(json_string_value(json_object_get(json, "event")), "accepted", "event");
	is_str(json_string_value(json_object_get(json, "id")), "a\"b\n\xef\xbf\xbd", "text");
	ok(json_integer_value(json_object_get(json, "size")) == INT64_MIN, "numbers");
	is_int(strlen(json_string_value(json_object_get(json, "time"))), 24, "time");
	is_int(json_object_size(json), 9, "and nothing else");
	json_decref(json);
}

static bool is_one_line(const char *line, enum log_format format)
{
	json_t *json;
	bool good = strchr(line, '\n') == line + strlen(line) - 1 && strlen(line) <= LOG_LINE_MAX && !strchr(line, '\r') &&
		utf8_is_valid(line, strlen(line));

	if (format != LOG_FORMAT_JSON)
		return good;
	json = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	good &= json != NULL;
	json_decref(json);
	return good;
}

static void test_hostile(enum log_format format)
{
	static const char hostile[] = "a\n2026-11-22T00:00:00.000Z error x[1] y: forged\r\n\"}\n{\"x\":\"\\\xf0\x9f\x93\xa7"
		"\xed\xa0\x80\x1b[2J\x9b\xe2\x80\xa8=\x7f";
	bool good = true;

	open_log(log_path, format);
	for (size_t from = 0; from < sizeof(hostile); from++) {
		for (size_t size = 0; size < sizeof(hostile) - from; size++) {
			char *copy = xstrndup(hostile + from, size);

			log_info(copy, copy, LOG_TEXT("text", copy), LOG_TEXT("more", copy));
			good &= is_one_line(logged(), format);
			free(copy);
		}
	}
	ok(good, "hostile text cut at every byte is one line, %s", format == LOG_FORMAT_JSON ? "JSON" : "text");
}

static void test_long(enum log_format format)
{
	static char big[20000];
	static struct log_field many[1000];
	static char keys[1000][12];
	bool good = true, cut = true;
	const char *line, *last;

	open_log(log_path, format);
	for (size_t size = 4000; size < sizeof(big); size += 97) {
		memset(big, size & 1 ? '\x01' : 'x', size);
		memcpy(big + size - 3, "\xe2\x82\xac", 4);
		log_info("edge", "received", LOG_TEXT("id", "abc"), LOG_TEXT("text", big), LOG_TEXT("other", big),
			LOG_INT("last", 1));
		line = logged();
		good &= is_one_line(line, format);
		cut &= strstr(line, "abc") && strstr(line, "...");
	}
	ok(good, "long text gives one whole line, %s", format == LOG_FORMAT_JSON ? "JSON" : "text");
	ok(cut, "which shows that it was cut, and the fields before it");
	for (size_t i = 0; i < ARRAY_SIZE(many) - 1; i++) {
		snprintf(keys[i], sizeof(keys[i]), "number%zu", i);
		many[i] = (struct log_field)LOG_INT(keys[i], i);
	}
	log_write(LOG_LEVEL_INFO, "edge", "received", many);
	line = logged();
	ok(is_one_line(line, format), "fields that do not fit are left out");
	last = strstr(line, format == LOG_FORMAT_JSON ? ",\"cut\":" : " cut=");
	ok(last && last[-1] != '.' && strtoul(last + strcspn(last, "0123456789"), NULL, 10) ==
		ARRAY_SIZE(many) - 1 - count_of(line, "number"), "and counted");
}

static void test_levels(void)
{
	struct log_subsystem_level levels[] = { { "edge", LOG_LEVEL_DEBUG }, { "queue", LOG_LEVEL_ERROR } };
	struct log_settings settings = { .level = LOG_LEVEL_WARN, .output = log_path, .levels = levels, .level_count = 2 };

	is_int(log_open("slimta-test", &settings), 0, "levels of subsystems");
	ok(log_wants(LOG_LEVEL_DEBUG, "edge") && !log_wants(LOG_LEVEL_WARN, "queue"), "more and less than the others");
	ok(log_wants(LOG_LEVEL_WARN, "relay") && !log_wants(LOG_LEVEL_INFO, "relay"), "the others");
	log_info("relay", "left out");
	log_debug("edge", "taken");
	ok(!strstr(logged(), "left out") && strstr(read_back.data, "taken"), "as written");
	is_str(log_level_name(LOG_LEVEL_ERROR), "error", "a level's name");
}

static void test_file(void)
{
	char *link = xasprintf("%s/link", folder), *moved = xasprintf("%s/moved", folder);
	struct stat status;
	uint64_t lost;

	unlink(log_path);
	is_int(open_log(log_path, LOG_FORMAT_TEXT), 0, "a new file");
	ok(stat(log_path, &status) == 0 && (status.st_mode & 0777) == 0640, "of mode 0640");
	log_info("x", "before");
	rename(log_path, moved);
	log_info("x", "still there");
	is_int(log_reopen(), 0, "reopened");
	log_info("x", "after");
	ok(!strstr(logged(), "still") && strstr(read_back.data, "after"), "the new file has what comes after");
	if (symlink(moved, link) < 0)
		BUG("no link");
	is_int(open_log(link, LOG_FORMAT_TEXT), -1, "a symbolic link is refused");
	is_int(errno, ELOOP, "ELOOP");
	is_int(open_log("relative", LOG_FORMAT_TEXT), -1, "a relative path is none");
	is_int(open_log("/nonexistent/x", LOG_FORMAT_TEXT), -1, "a folder that is not there");
	log_info("x", "kept");
	lost = log_lost();
	ok(strstr(logged(), "kept") != NULL, "the old output is kept when a new one fails");
	is_int(open_log("/dev/full", LOG_FORMAT_TEXT), 0, "a full disk");
	log_info("x", "nowhere");
	is_int(log_lost(), lost + 1, "costs the line, which is counted");
	unlink(link);
	unlink(moved);
	free(link);
	free(moved);
}

/* ---- stderr: replaced by a pipe, a socket, a file */

static int saved_stderr;

static void replace_stderr(int fd)
{
	if (dup2(fd, STDERR_FILENO) < 0)
		BUG("no stderr");
}

static size_t drain(int fd, struct buffer *into)
{
	size_t before = into->size;
	ssize_t got;

	fd_set_nonblocking(fd, true);
	for (;;) {
		buffer_reserve(into, 65536);
		got = read(fd, into->data + into->size, 65536);
		if (got <= 0)
			break;
		into->size += (size_t)got;
		into->data[into->size] = '\0';
	}
	return into->size - before;
}

struct late_reader {
	int fd;
	struct buffer got;
};

/* Reads once the pipe is full. */
static void *read_late(void *arg)
{
	struct late_reader *reader = arg;
	struct pollfd room = { .fd = STDERR_FILENO, .events = POLLOUT };

	while (poll(&room, 1, 0) == 1)
		usleep(1000);
	drain(reader->fd, &reader->got);
	return NULL;
}

/* A program without a loop waits for who reads. */
static void test_wait(void)
{
	struct late_reader reader = { 0 };
	uint64_t before = log_lost();
	pthread_t thread;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		BUG("no pipe");
	replace_stderr(ends[1]);
	is_int(open_log("stderr", LOG_FORMAT_TEXT), 0, "a pipe as stderr");
	reader.fd = ends[0];
	log_wait(10000);
	if (pthread_create(&thread, NULL, read_late, &reader) != 0)
		BUG("no thread");
	for (int i = 0; i < 900; i++)
		log_info("test", "waited", LOG_INT("number", i), LOG_TEXT("padding", "0123456789012345678901234567890123456789"));
	pthread_join(thread, NULL);
	drain(ends[0], &reader.got);
	is_int(log_lost(), before, "who waits loses no line");
	is_int(count_of(reader.got.data, "test: waited number="), 900, "all are there");
	log_wait(0);
	close(ends[0]);
	close(ends[1]);
	replace_stderr(saved_stderr);
	buffer_release(&reader.got);
}

static void test_full_pipe(void)
{
	struct counters *counters = counters_create(0, NULL);
	struct buffer got = { 0 };
	uint64_t lost, before = log_lost();
	int ends[2], flags;

	if (pipe2(ends, O_CLOEXEC) < 0)
		BUG("no pipe");
	replace_stderr(ends[1]);
	is_int(open_log("stderr", LOG_FORMAT_TEXT), 0, "a pipe as stderr");
	log_info("test", "began");
	drain(ends[0], &got);
	buffer_reset(&got);
	flags = fcntl(ends[1], F_GETFL);
	ok(!(flags & O_NONBLOCK), "its other holders still have it blocking");
	log_set_counters(counters);
	for (int i = 0; i < 3000; i++)
		log_info("test", "filled", LOG_INT("number", i), LOG_TEXT("padding", "0123456789012345678901234567890123456789"));
	lost = log_lost() - before;
	ok(lost > 0, "a full pipe does not hold us up: %d lines lost", (int)lost);
	is_int(counter_sum(counters, COUNTER_LOG_LOST), lost, "counted for all to see");
	drain(ends[0], &got);
	is_int(count_of(got.data, "test: filled number=") + lost, 3000, "each line is there or counted");
	is_int(got.data[got.size - 1], '\n', "none is there in part");
	log_info("test", "went on");
	drain(ends[0], &got);
	is_int(announced(got.data), lost, "the count is told before the next line");
	ok(text_has_suffix(got.data, "] test: went on\n"), "which follows");
	buffer_reset(&got);
	log_info("test", "once more");
	drain(ends[0], &got);
	is_int(count_of(got.data, "\n"), 1, "and once only");
	close(ends[0]);
	log_info("test", "nobody reads");
	is_int(log_lost() - before, lost + 1, "a pipe that nobody reads");
	log_set_counters(NULL);
	counters_free(counters);
	close(ends[1]);
	replace_stderr(saved_stderr);
	buffer_release(&got);
}

/* A stream socket, as systemd gives, may take a part of a line. */
static void test_full_socket(void)
{
	struct buffer got = { 0 };
	uint64_t before = log_lost();
	int ends[2], small = 1, parts = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		BUG("no socket");
	setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	replace_stderr(ends[1]);
	is_int(open_log(NULL, LOG_FORMAT_TEXT), 0, "a socket as stderr");
	for (int i = 0; i < 1000; i++)
		log_info("test", "filled", LOG_INT("number", i), LOG_TEXT("end", "end"));
	ok(log_lost() > before, "a full socket does not hold us up");
	drain(ends[0], &got);
	log_info("test", "went on", LOG_TEXT("end", "end"));
	drain(ends[0], &got);
	for (char *line = got.data, *end; (end = strchr(line, '\n')); line = end + 1)
		parts += end - line < 4 || line[0] != '2' ||
			(strncmp(end - 3, "end", 3) && !memmem(line, (size_t)(end - line), "lost", 4));
	ok(parts <= 1, "a line that went in part does not run into the next");
	ok(strstr(got.data, "test: went on") != NULL, "and it goes on");
	close(ends[0]);
	log_info("test", "nobody reads");
	close(ends[1]);
	replace_stderr(saved_stderr);
	buffer_release(&got);
}

/* A pipe that root made cannot be opened anew by who we became: it is asked for room instead. */
static void test_pipe_of_another_user(void)
{
	struct buffer got = { 0 };
	int ends[2], status = -1;
	pid_t child;

	if (geteuid() != 0)
		return;
	if (pipe2(ends, O_CLOEXEC) < 0)
		BUG("no pipe");
	replace_stderr(ends[1]);
	child = fork();
	if (child == 0) {
		uint64_t before = log_lost();

		if (setresuid(65534, 65534, 65534) < 0 || open_log("stderr", LOG_FORMAT_TEXT) < 0)
			_exit(1);
		alarm(20);
		for (int i = 0; i < 3000; i++)
			log_info("test", "filled", LOG_INT("number", i), LOG_TEXT("padding", "01234567890123456789"));
		_exit(log_lost() > before && log_lost() - before < 3000 ? 0 : 2);
	}
	replace_stderr(saved_stderr);
	waitpid(child, &status, 0);
	is_int(status, 0, "a full pipe of another user does not hold us up either");
	drain(ends[0], &got);
	ok(count_of(got.data, "test: filled number=") > 100, "and gets what fits");
	close(ends[0]);
	close(ends[1]);
	buffer_release(&got);
}

static void test_file_as_stderr(void)
{
	int fd = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	const char *text;

	if (write(fd, "already there\n", 14) != 14)
		BUG("not written");
	replace_stderr(fd);
	is_int(open_log("stderr", LOG_FORMAT_TEXT), 0, "a file as stderr");
	log_info("test", "appended");
	if (write(fd, "by hand\n", 8) != 8)
		BUG("not written");
	text = logged();
	ok(!strncmp(text, "already there\n2", 15), "what stood there stays");
	ok(strstr(text, " appended\nby hand\n") != NULL, "what others write there comes behind it");
	close(fd);
	replace_stderr(saved_stderr);
	close(STDERR_FILENO);
	is_int(open_log("stderr", LOG_FORMAT_TEXT), -1, "no stderr at all");
	is_int(errno, EBADF, "EBADF");
	log_close();
	log_info("test", "into nothing");
	replace_stderr(saved_stderr);
	ok(log_lost() > 0, "lines without an output are counted");
}

/* ---- the daemons' sockets */

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	unlink(path);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		BUG("no socket at %s", path);
	return fd;
}

static size_t receive(int fd, char *into, size_t size)
{
	ssize_t got = recv(fd, into, size - 1, MSG_DONTWAIT);

	into[got < 0 ? 0 : got] = '\0';
	return got < 0 ? 0 : (size_t)got;
}

static void test_syslog(void)
{
	char *path = xasprintf("%s/syslog", folder), got[8192], *wanted;
	uint64_t lost;
	int fd;

	log_syslog_path = path;
	is_int(open_log("syslog", LOG_FORMAT_TEXT), -1, "no daemon there");
	fd = listen_at(path);
	is_int(open_log("syslog", LOG_FORMAT_TEXT), 0, "a daemon there");
	log_info("test", "began");
	while (receive(fd, got, sizeof(got)))
		;
	log_warn("edge", "refused", LOG_TEXT("why", "a b"));
	receive(fd, got, sizeof(got));
	wanted = xasprintf(" slimta-test[%d]: edge: refused why=\"a b\"", (int)getpid());
	ok(!strncmp(got, "<20>", 4) && strlen(got) == 4 + 15 + strlen(wanted) && !strcmp(got + 19, wanted),
		"priority, time, tag, text");
	lost = log_lost();
	for (int i = 0; i < 100000 && log_lost() == lost; i++)
		log_info("test", "filled");
	is_int(log_lost(), lost + 1, "a daemon that does not read holds up nobody");
	close(fd);
	lost = log_lost();
	log_info("test", "nobody there");
	is_int(log_lost(), lost + 1, "a daemon that is gone");
	fd = listen_at(path);
	log_info("test", "back");
	receive(fd, got, sizeof(got));
	ok(strstr(got, "log: lost lines=") != NULL, "one that is back gets the count");
	receive(fd, got, sizeof(got));
	ok(strstr(got, "test: back") != NULL, "and the line");
	close(fd);
	unlink(path);
	free(path);
	free(wanted);
}

/* Does the datagram have this field with this value? */
static bool has_field(const char *data, size_t size, const char *name, const char *value)
{
	struct buffer field = { 0 };
	bool found;

	buffer_appendf(&field, "%s\n", name);
	buffer_append(&field, (unsigned char[8]){ (unsigned char)strlen(value) }, 8);
	buffer_appendf(&field, "%s\n", value);
	found = memmem(data, size, field.data, field.size) != NULL;
	buffer_release(&field);
	return found;
}

static void test_journald(void)
{
	char *path = xasprintf("%s/journal", folder), got[65536];
	size_t size;
	int fd = listen_at(path);

	log_journald_path = path;
	is_int(open_log("journald", LOG_FORMAT_TEXT), 0, "the journal");
	log_error("queue", "failed", LOG_TEXT("id", "a\nMESSAGE=forged"), LOG_INT("size", -1));
	size = receive(fd, got, sizeof(got));
	ok(has_field(got, size, "MESSAGE", "queue: failed id=\"a\\nMESSAGE=forged\" size=-1"), "the message");
	ok(has_field(got, size, "PRIORITY", "3"), "its priority");
	ok(has_field(got, size, "SYSLOG_IDENTIFIER", "slimta-test"), "the program");
	ok(has_field(got, size, "SLIMTA_SUBSYSTEM", "queue") && has_field(got, size, "SLIMTA_SIZE", "-1"), "fields");
	ok(has_field(got, size, "SLIMTA_ID", "a\nMESSAGE=forged"), "by length, so that no value makes a field");
	close(fd);
	log_close();
	unlink(path);
	free(path);
}

/* ---- threads */

static void *log_many(void *arg)
{
	for (int i = 0; i < 500; i++)
		log_info("thread", "wrote", LOG_TEXT("who", arg), LOG_INT("number", i));
	return NULL;
}

static void test_threads(void)
{
	static char names[4][2] = { "a", "b", "c", "d" };
	pthread_t threads[4];
	bool whole = true;

	open_log(log_path, LOG_FORMAT_JSON);
	logged();
	for (int i = 0; i < 4; i++)
		if (pthread_create(&threads[i], NULL, log_many, names[i]))
			BUG("no thread");
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	is_int(count_of(logged(), "\n"), 2000, "lines of four threads");
	for (char *line = read_back.data, *end; (end = strchr(line, '\n')); line = end + 1) {
		json_t *json = json_loadb(line, (size_t)(end - line), 0, NULL);

		whole &= json_is_object(json);
		json_decref(json);
	}
	ok(whole, "all of them whole");
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(folder))
		BUG("no folder");
	log_path = xasprintf("%s/log", folder);
	saved_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
	test_text();
	test_json();
	test_hostile(LOG_FORMAT_TEXT);
	test_hostile(LOG_FORMAT_JSON);
	test_long(LOG_FORMAT_TEXT);
	test_long(LOG_FORMAT_JSON);
	test_levels();
	test_file();
	test_wait();
	test_full_pipe();
	test_full_socket();
	test_pipe_of_another_user();
	test_file_as_stderr();
	test_syslog();
	test_journald();
	test_threads();
	log_close();
	unlink(log_path);
	rmdir(folder);
	free(log_path);
	buffer_release(&read_back);
	return done_testing();
}
