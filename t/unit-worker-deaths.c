/* unit-worker-deaths.c - a worker ends at each call of the storage, and at each pair of calls (lesson S8)
 * SPDX-License-Identifier: MIT
 * Whatever was recorded, the next one makes the best of it: no notification is lost or doubled, and a recipient whose
 * record was made is not served again. */
#include "t/lib/fake_queue.h"

#define LIVES_MAX 40
#define RECIPIENTS_MAX 4

static struct {
	unsigned delivered[RECIPIENTS_MAX];
	bool recorded[RECIPIENTS_MAX];		/* when the last worker died */
	unsigned wrong;
} seen;

static const struct scenario {
	const char *name;
	const char *const *recipients;
	const char *sender;
	unsigned maximum;
	int64_t age_ms, notify_delay_ms;
	const char *double_bounce, *bounce;
	unsigned notify;
	const char *wanted;		/* what is told: "ACTION RECIPIENT..., ..." in any order; NULL: see is_either */
} scenarios[] = {
	{ "two fail alike, one is delivered", TO("never1@x", "ok@x", "never2@x"), "s@x", UINT_MAX,
		.wanted = "failed never1@x never2@x" },
	{ "they fail one after the other", TO("script-n@x", "script-lln@x", "script-ln@x", "script-llo@x"), "s@x", UINT_MAX,
		.wanted = "failed script-n@x, failed script-lln@x, failed script-ln@x" },
	{ "too many attempts", TO("later@x", "never@x", "script-lo@x"), "s@x", 4,
		.wanted = "failed later@x, failed never@x" },
	{ "success is wanted too", TO("script-o@x", "script-lo@x", "script-no@x"), "s@x", UINT_MAX,
		.notify = NOTIFY_SUCCESS | NOTIFY_FAILURE,
		.wanted = "delivered script-o@x, delivered script-lo@x, failed script-no@x" },
	{ "success is wanted, and partly told by others", TO("script-P@x", "script-lP@x", "script-lo@x", "never@x"), "s@x",
		UINT_MAX, .notify = NOTIFY_SUCCESS | NOTIFY_FAILURE,
		.wanted = "delivered script-lo@x, failed never@x" },
	{ "one finds a full line, while others are tried", TO("script-Fo@x", "script-ln@x", "script-GFo@x", "script-llo@x"),
		"s@x", UINT_MAX, .wanted = "failed script-ln@x" },
	{ "late, and failed in the end", TO("script-lln@x", "script-lo@x", "ok@x"), "s@x", UINT_MAX, 10000, 5000,
		.wanted = "delayed script-lln@x script-lo@x, failed script-lln@x" },
	{ "no sender", TO("never@x", "ok@x"), "", UINT_MAX, .double_bounce = "p@x", .wanted = "failed never@x" },
	{ "no sender, and nobody to tell", TO("never@x", "later@x"), "", 3, .wanted = "" },
	{ "an operator wants it bounced", TO("ok1@x", "ok2@x"), "s@x", UINT_MAX, .bounce = "spam",
		.wanted = "failed ok1@x ok2@x" },
	{ "who failed would be delivered if he was tried again", TO("fickle-@x", "ok@x"), "s@x", UINT_MAX, .wanted = NULL },
	{ "never told", TO("never@x", "ok@x"), "s@x", UINT_MAX, .notify = NOTIFY_NEVER, .wanted = "" },
};

static unsigned chosen_notify;

static void set_notify(struct envelope *envelope)
{
	for (size_t i = 0; i < envelope->recipient_count; i++)
		envelope->recipients[i].notify = chosen_notify;
}

static void on_recipient(size_t index, char how)
{
	seen.wrong += seen.recorded[index];
	seen.delivered[index] += how == 'o' || how == 'P';
}

static void note_recorded(void)
{
	for (size_t i = 0; i < RECIPIENTS_MAX; i++)
		seen.recorded[i] = !outcome_is_open(outcomes_find(&storage.state.done, i));
}

static void begin(const struct scenario *scenario, struct scripted *scripted)
{
	memset(&seen, 0, sizeof(seen));
	set_up(scripted, scenario->recipients);
	scripted->settled = on_recipient;
	options.retry.maximum = scenario->maximum;
	options.retry.notify_delay_ms = scenario->notify_delay_ms;
	options.double_bounce = (char *)scenario->double_bounce;
	storage.sender = scenario->sender;
	storage.age_ms = scenario->age_ms;
	storage.state.attempts = 0;
	if (scenario->bounce)
		storage.state.bounce = xstrdup(scenario->bounce);
	chosen_notify = scenario->notify;
	storage.edit = set_notify;
}

static void live_on(struct scripted *scripted, enum cut cut, size_t first, size_t second)
{
	for (unsigned lives = 0; !storage.gone && lives < LIVES_MAX; lives++) {
		storage.cut = first ? cut : CUT_NONE;
		storage.cut_at = first;
		deliver(scripted);
		if (!storage.was_cut)
			continue;
		storage.was_cut = false;
		note_recorded();
		first = second ? storage.calls.count + second : 0;
		second = 0;
	}
	event_free(scripted->turn);
}

static unsigned times_told(const char *what)
{
	unsigned count = 0;

	for (size_t i = 0; i < storage.notified.count; i++) {
		const char *told = strchr(storage.notified.items[i] + ID_SIZE, ' ') + 1;

		count += strcmp(told, what) == 0;
	}
	return count;
}

/* The first of the recipients is delivered or failed, as the death has it, and not both. */
static void is_either(const struct scenario *scenario, struct buffer *wrong)
{
	char *failed = xasprintf("failed %s", scenario->recipients[0]);

	if (times_told(failed) + seen.delivered[0] < 1 || (times_told(failed) && seen.delivered[0]))
		buffer_appendf(wrong, "told %u times, delivered %u times; ", times_told(failed), seen.delivered[0]);
	if (storage.notified.count > 1)
		buffer_appendf(wrong, "%zu notifications; ", storage.notified.count);
	free(failed);
}

/* What went wrong, as text; empty: nothing. */
static void judge(const struct scenario *scenario, unsigned deaths, struct buffer *wrong)
{
	char *wanted = xstrdup(scenario->wanted ? scenario->wanted : ""), *next = wanted, *one;
	size_t told = 0;

	if (!storage.gone)
		buffer_append_str(wrong, "not gone; ");
	while ((one = strsep(&next, ",")) && *one) {
		one += *one == ' ';
		if (times_told(one) != 1)
			buffer_appendf(wrong, "told %u times: %s; ", times_told(one), one);
		told++;
	}
	if (!scenario->wanted)
		is_either(scenario, wrong);
	else if (storage.notified.count != told)
		buffer_appendf(wrong, "%zu notifications; ", storage.notified.count);
	if (seen.wrong)
		buffer_appendf(wrong, "%u served again after their record; ", seen.wrong);
	for (size_t i = 0; scenario->recipients[i]; i++)
		if (seen.delivered[i] > 1 + deaths)
			buffer_appendf(wrong, "recipient %zu got it %u times; ", i, seen.delivered[i]);
	free(wanted);
}

static bool is_right(const struct scenario *scenario, enum cut cut, size_t first, size_t second)
{
	struct scripted scripted;
	struct buffer wrong = { 0 };

	begin(scenario, &scripted);
	live_on(&scripted, cut, first, second);
	judge(scenario, (first > 0) + (second > 0), &wrong);
	if (wrong.size) {
		diag("%s: cut %s call %zu and %zu: %s", scenario->name, cut == CUT_BEFORE ? "before" : "after", first,
			second, buffer_str(&wrong));
		for (size_t i = 0; i < storage.calls.count; i++)
			diag("  %s", storage.calls.items[i]);
		for (size_t i = 0; i < storage.notified.count; i++)
			diag("  %s", storage.notified.items[i]);
	}
	bool right = !wrong.size;

	buffer_release(&wrong);
	return right;
}

static void walk(const struct scenario *scenario)
{
	unsigned wrong = 0, runs = 0;
	size_t calls;

	ok(is_right(scenario, CUT_NONE, 0, 0), "%s", scenario->name);
	calls = storage.calls.count;
	for (enum cut cut = CUT_BEFORE; cut <= CUT_AFTER; cut++)
		for (size_t first = 1; first <= calls && wrong < 3; first++)
			for (size_t second = 0; second <= 6 && wrong < 3; second++, runs++)
				wrong += !is_right(scenario, cut, first, second);
	is_int(wrong, 0, "and whenever a worker died");
	diag("%u runs", runs);
}

int main(void)
{
	fake_open();
	log_open("unit", &(struct log_settings){ .level = LOG_LEVEL_ERROR });
	for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++)
		walk(&scenarios[i]);
	log_close();
	fake_close();
	return done_testing();
}
