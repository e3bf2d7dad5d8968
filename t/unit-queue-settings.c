/* unit-queue-settings.c - shared settings on every driver: seen by all, in order, bounded, until they expire
 * SPDX-License-Identifier: MIT */
#include <time.h>

#define CLOCK_AHEAD CLOCK_REALTIME
#include "t/lib/clock_ahead.h"
#include "t/lib/contract.h"
#include "t/lib/disk_files.h"

#define NEVER INT64_MAX
#define MANY 10000

static struct place one, other;

struct seen {
	struct answer answer;
	struct buffer text;		/* key=value, comma */
	size_t count;
	int64_t last_expires_in_ms;
};

static void on_settings(void *arg, const struct reply *why, const struct setting *settings, size_t count)
{
	struct seen *seen = arg;

	for (size_t i = 0; i < count; i++) {
		buffer_appendf(&seen->text, "%s%s=%s", i ? "," : "", settings[i].key, settings[i].value);
		seen->last_expires_in_ms = settings[i].expires_in_ms;
	}
	seen->count = count;
	on_done(&seen->answer, why);
}

static unsigned settings(struct place *place, struct seen *seen)
{
	unsigned code;

	memset(seen, 0, sizeof(*seen));
	place->storage->driver->settings(place->storage, on_settings, seen);
	answered(place, &seen->answer);
	code = seen->answer.why.code;
	answer_release(&seen->answer);
	return code;
}

static void are(struct place *place, const char *wanted, const char *what)
{
	struct seen seen;

	is_int(settings(place, &seen), 0, "asked for");
	is_str(buffer_str(&seen.text), wanted, what);
	buffer_release(&seen.text);
}

static void test_seen_by_all(void)
{
	are(&one, "", "none at first");
	is_int(do_set(&one, "b", "2", NEVER), 0, "one is set");
	is_int(do_set(&other, "a", "1", NEVER), 0, "another, by somebody else");
	is_int(do_set(&one, "a:\xc3\xa9 \"x\"", "", NEVER), 0, "of any text, and empty");
	are(&other, "a=1,a:\xc3\xa9 \"x\"=,b=2", "all are seen, in the order of keys");
	is_int(do_set(&other, "b", "3", NEVER), 0, "changed");
	is_int(do_set(&one, "a", NULL, NEVER), 0, "taken away");
	is_int(do_set(&one, "a", NULL, NEVER), 0, "what is not there too");
	are(&one, "a:\xc3\xa9 \"x\"=,b=3", "seen by the first");
	do_set(&one, "a:\xc3\xa9 \"x\"", NULL, NEVER);
	do_set(&one, "b", NULL, NEVER);
}

static void test_expiry(void)
{
	struct seen seen;

	do_set(&one, "never", "1", NEVER);
	do_set(&one, "soon", "2", 3600000);
	is_int(do_set(&one, "now", "3", 0), 0, "one that has expired");
	settings(&other, &seen);
	is_str(buffer_str(&seen.text), "never=1,soon=2", "is not there");
	ok(seen.last_expires_in_ms > 3500000 && seen.last_expires_in_ms <= 3600000, "the time is told");
	buffer_release(&seen.text);
	do_set(&one, "soon", "2", 100);
	for (unsigned tries = 0; tries < 100; tries++) {
		struct answer never = { 0 };

		settings(&other, &seen);
		buffer_release(&seen.text);
		if (seen.count == 1)
			break;
		wait_for(&one, &never, 20);
	}
	are(&other, "never=1", "it goes by itself");
	do_set(&one, "never", NULL, NEVER);
}

static void test_refused(void)
{
	char text[4200];

	memset(text, 'x', sizeof(text));
	text[4097] = '\0';
	do_set(&one, "value", "old", NEVER);
	is_int(do_set(&one, "value", text, NEVER), 501, "a value of 4,097 octets");
	are(&other, "value=old", "the old one is left");
	text[4096] = '\0';
	is_int(do_set(&one, "value", text, NEVER), 0, "of 4,096");
	text[256] = '\0';
	is_int(do_set(&one, text, "v", NEVER), 501, "a key of 256");
	text[255] = '\0';
	is_int(do_set(&one, text, "v", NEVER), 0, "of 255");
	is_int(do_set(&one, "", "v", NEVER), 501, "an empty key");
	is_int(do_set(&one, "a\nb", "v", NEVER), 501, "a control character");
	is_int(do_set(&one, "\xff", "v", NEVER), 501, "no text");
	is_int(do_set(&one, "k", "\xff", NEVER), 501, "a value that is no text");
	do_set(&one, text, NULL, NEVER);
	do_set(&one, "value", NULL, NEVER);
	are(&other, "", "nothing is left");
}

static void test_lasts(void)
{
	do_set(&one, "lasts", "yes", NEVER);
	place_close(&other);
	place_close(&one);
	contract_open(&one, NULL, STORAGE_FOR_WORKER);
	contract_open(&other, &one, STORAGE_FOR_OPERATOR);
	are(&other, "lasts=yes", "opened again it is there");
	do_set(&other, "lasts", NULL, NEVER);
}

static void walk(void)
{
	contract_open(&one, NULL, STORAGE_FOR_WORKER);
	contract_open(&other, &one, STORAGE_FOR_OPERATOR);
	test_seen_by_all();
	test_expiry();
	test_refused();
	if (driver->lasts)
		test_lasts();
	place_close(&other);
	place_close(&one);
}

/* ---- disk alone */

static char *settings_path(const char *suffix)
{
	return xasprintf("%s/meta/.settings%s", scratch, suffix);
}

static void test_full(void)
{
	struct buffer text = { 0 };
	char *path = settings_path("");
	struct seen seen;

	buffer_append_str(&text, "{\"settings\":{");
	for (unsigned i = 0; i < MANY; i++)
		buffer_appendf(&text, "%s\"k%05u\":{\"value\":\"v\",\"expires\":%lld}", i ? "," : "", i,
			(long long)clock_wall_ms() + (i < MANY / 2 ? 60000 : 3600000));
	buffer_append_str(&text, "}}");
	put_file(path, buffer_str(&text));
	settings(&one, &seen);
	is_int(seen.count, MANY, "ten thousand");
	buffer_release(&seen.text);
	is_int(do_set(&one, "more", "v", NEVER), 452, "and no more: 452");
	is_int(do_set(&one, "k00007", "w", NEVER), 0, "one of them can be changed");
	ahead_s = 120;
	is_int(do_set(&one, "more", "v", NEVER), 0, "when half of them have expired there is room");
	settings(&one, &seen);
	is_int(seen.count, MANY / 2 + 2, "those are gone");
	buffer_release(&seen.text);
	ahead_s = 0;
	unlink(path);
	buffer_release(&text);
	free(path);
}

static void test_damaged(void)
{
	static const char *const texts[] = { "", "{", "[]", "{\"settings\":[]}", "{\"settings\":{\"a\":1}}",
		"{\"settings\":{\"a\":{\"value\":1}}}", "{\"settings\":{\"a\":{\"value\":\"1\",\"expires\":\"x\"}}}" };
	char *path = settings_path(""), *aside = settings_path(".damaged");
	struct buffer kept = { 0 };
	struct seen seen;

	for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
		put_file(path, texts[i]);
		is_int(settings(&one, &seen), 451, "damaged settings: 451");
		is_int(seen.count, 0, "and none");
		buffer_release(&seen.text);
	}
	is_int(do_set(&one, "new", "1", NEVER), 0, "they can be set");
	are(&one, "new=1", "and begin anew");
	is_int(file_read(aside, &kept, 4096), 0, "the old ones are kept aside");
	is_str(buffer_str(&kept), texts[ARRAY_SIZE(texts) - 1], "as they were");
	unlink(path);
	unlink(aside);
	buffer_release(&kept);
	free(path);
	free(aside);
}

/* Workers ask again and again. */
static void test_asked_again(void)
{
	char *path = settings_path(""), *log = xasprintf("%s/log", scratch), *kept = xasprintf("%s/kept", scratch), *at;
	struct buffer said = { 0 };
	struct seen seen;
	unsigned complaints = 0;

	do_set(&one, "a", "1", NEVER);
	rename(path, kept);
	are(&one, "", "the file is gone: so are they");
	rename(kept, path);
	are(&one, "a=1", "it is back");
	are(&one, "a=1", "unchanged");
	do_set(&other, "a", "2", NEVER);
	are(&one, "a=2", "changed by another");
	put_file(path, "{");
	log_open("unit", &(struct log_settings){ .level = LOG_LEVEL_ERROR, .output = log });
	for (unsigned i = 0; i < 3; i++) {
		is_int(settings(&one, &seen), 451, "damaged");
		buffer_release(&seen.text);
	}
	log_close();
	is_int(file_read(log, &said, 65536), 0, "the log");
	for (at = (char *)buffer_str(&said); (at = strstr(at, "read the settings")); at++)
		complaints++;
	is_int(complaints, 1, "has one line of it, however often it is asked for");
	unlink(path);
	buffer_release(&said);
	free(path);
	free(log);
	free(kept);
}

static void test_locked(void)
{
	char *path = settings_path(".lock");
	int fd;

	do_set(&one, "a", "1", NEVER);
	fd = open(path, O_RDWR);
	ofd_lock(fd, 0, 1, true);
	is_int(do_set(&one, "a", "2", NEVER), 451, "while another has the lock for too long: 451");
	are(&one, "a=1", "reading needs none");
	fd_close(&fd);
	is_int(do_set(&one, "a", "2", NEVER), 0, "then it works");
	free(path);
}

int main(void)
{
	contract_walk(walk);
	scratch_make();
	open_or_bail(&one, STORAGE_FOR_WORKER, SECTION);
	place_open_beside(&other, &one, STORAGE_FOR_OPERATOR, SECTION);
	test_full();
	test_damaged();
	test_asked_again();
	test_locked();
	place_close(&other);
	place_close(&one);
	scratch_remove();
	return done_testing();
}
