/* unit-smtp-spool.c - mail data in memory and on disk, and disks that fail
 * SPDX-License-Identifier: MIT
 * P6 P19 */
#include "t/lib/tap.h"

#include <dirent.h>
#include <event2/event.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/smtp/spool.h"

static struct event_base *base;
static struct spool_settings settings;
static unsigned ready_calls;

static void ready(void *arg)
{
	(void)arg;
	ready_calls++;
}

static void wait_ready(void)
{
	unsigned before = ready_calls;

	while (ready_calls == before)
		event_base_loop(base, EVLOOP_ONCE);
}

static void write_all(struct spool *s, const struct buffer *data, size_t step)
{
	for (size_t at = 0; at < data->size; at += step) {
		while (spool_is_full(s))
			wait_ready();
		spool_write(s, data->data + at, step < data->size - at ? step : data->size - at);
	}
}

/* A message with a header of `header` octets and `body` behind it. */
static void compose(struct buffer *data, size_t header, size_t body)
{
	buffer_reset(data);
	buffer_append_str(data, "S: ");
	while (data->size + 4 < header)
		buffer_append_char(data, 'h');
	buffer_append_str(data, "\r\n\r\n");
	for (size_t i = 0; i < body; i++)
		buffer_append_char(data, (char)('a' + i % 23));
}

static void check(size_t header, size_t body, size_t step, bool on_disk, const char *what)
{
	struct buffer data = { 0 };
	struct spool *s = spool_new(&settings, ready, NULL);
	struct content content;
	struct reply why = { 0 };
	char *back;

	compose(&data, header, body);
	write_all(s, &data, step);
	if (!spool_finish(s))
		wait_ready();
	content_init(&content);
	is_int(spool_take(s, &content, &why), 0, what);
	is_int(content.fd >= 0, on_disk, on_disk ? "is on disk" : "is in memory");
	is_int(content_size(&content), data.size, "its size");
	back = xmalloc(data.size);
	is_int(content_read(&content, 0, back, data.size), (int64_t)data.size, "is read back");
	ok(memcmp(back, data.data, data.size) == 0, "octet for octet");
	if (on_disk && header < 1000)
		ok(content.memory.size < 1000, "only its header is in memory");
	free(back);
	content_release(&content);
	spool_free(s);
	buffer_release(&data);
}

static void test_failure(void)
{
	struct spool_settings nowhere = settings;
	struct spool *s;
	struct buffer data = { 0 };
	struct content content;
	struct reply why = { 0 };

	nowhere.dir = "/nonexistent/folder";
	s = spool_new(&nowhere, ready, NULL);
	compose(&data, 100, 1000000);
	write_all(s, &data, 60000);
	if (!spool_finish(s))
		wait_ready();
	content_init(&content);
	is_int(spool_take(s, &content, &why), -1, "a folder that is not there");
	is_int(why.code, 451, "is our fault, for now");
	reply_release(&why);
	spool_free(s);
	buffer_release(&data);
}

static void test_abandoned(void)
{
	struct spool *s = spool_new(&settings, ready, NULL);
	struct buffer data = { 0 };
	unsigned before = ready_calls;

	compose(&data, 100, 300000);
	spool_write(s, data.data, data.size);
	spool_free(s);
	buffer_release(&data);
	while (pool_pending(settings.disk))
		event_base_loop(base, EVLOOP_ONCE);
	is_int(ready_calls, before, "one that was given up while it was written calls nobody");
}

static unsigned files_in(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	unsigned count = 0;

	while (dir && (entry = readdir(dir)))
		count += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
	closedir(dir);
	return count;
}

int main(void)
{
	char dir[] = "/tmp/slimta-spool-XXXXXX";
	struct log_settings quiet = { .level = LOG_LEVEL_ERROR, .output = "/dev/null" };

	if (!mkdtemp(dir))
		return 1;
	log_open("unit-smtp-spool", &quiet);
	base = event_base_new();
	settings = (struct spool_settings){ pool_new(base, "disk", 2), dir, 1000 };
	check(100, 900, 64, false, "a small message");
	check(100, 901, 1, true, "one octet more");
	check(100, 5000000, 65536, true, "a large message");
	check(5000, 100000, 4096, true, "a header above the threshold");
	check(300000, 400000, 65536, true, "a header above any measure");
	test_failure();
	test_abandoned();
	is_int(files_in(dir), 0, "no file has a name");
	pool_free(settings.disk);
	event_base_free(base);
	rmdir(dir);
	return done_testing();
}
