/* unit-worker-exit-reply.c - what the end of a command means as a reply (lesson S2)
 * SPDX-License-Identifier: MIT */
#include "t/lib/tap.h"

#include "common/base/memory.h"
#include "worker/exit_reply.h"

static struct pattern *compiled(const char *text)
{
	char *why = NULL;
	struct pattern *pattern = text ? pattern_compile(text, &why) : NULL;

	if (text && !pattern)
		diag("%s: %s", text, why);
	free(why);
	return pattern;
}

/* `by_status`: as a delivery agent's command, not one of one's own. */
static void gives_as(bool by_status, enum spawn_end end, uint32_t detail, const char *out, const char *err,
	const char *pattern_text, const char *wanted)
{
	struct spawn_result result = { .end = end, .detail = detail };
	struct pattern *pattern = compiled(pattern_text);
	struct reply reply = { 0 };
	struct buffer shown = { 0 };

	buffer_append_str(&result.output[SPAWN_STDOUT], out);
	buffer_append_str(&result.output[SPAWN_STDERR], err);
	exit_reply(&reply, &result, &(struct exit_rules){ pattern, by_status });
	reply_append(&reply, &shown);
	is_str(buffer_str(&shown), wanted, wanted);
	buffer_release(&shown);
	reply_release(&reply);
	pattern_free(pattern);
	buffer_release(&result.output[SPAWN_STDOUT]);
	buffer_release(&result.output[SPAWN_STDERR]);
}

static void gives(enum spawn_end end, uint32_t detail, const char *out, const char *err, const char *pattern_text,
	const char *wanted)
{
	gives_as(false, end, detail, out, err, pattern_text, wanted);
}

static void exit_codes(void)
{
	static const unsigned transient[] = { 71, 72, 73, 74, 75, 78, 126, 127 };

	gives(SPAWN_EXITED, 0, "5.1.1 no", "5.1.1 no", NULL, "250 2.0.0 Delivered");
	for (size_t i = 0; i < ARRAY_SIZE(transient); i++)
		gives(SPAWN_EXITED, transient[i], "5.1.1 No such user\n", "", NULL,
			"450 4.3.0 5.1.1 No such user");
	gives(SPAWN_EXITED, 75, "", "", NULL, "450 4.3.0 Delivery failed (exit status 75)");
	gives(SPAWN_EXITED, 70, "5.1.1 No such user\n", "", NULL, "550 5.1.1 No such user");
	gives(SPAWN_EXITED, 76, "5.1.1 No such user\n", "", NULL, "550 5.1.1 No such user");
	gives(SPAWN_EXITED, 77, "no", "", NULL, "450 4.0.0 no");
	gives(SPAWN_EXITED, 1, "", "", NULL, "450 4.0.0 Delivery failed");
	gives(SPAWN_EXITED, 255, " \n", "\r\n\t", NULL, "450 4.0.0 Delivery failed");
}

static void texts(void)
{
	gives(SPAWN_EXITED, 65, "out", "err", NULL, "450 4.0.0 out");
	gives(SPAWN_EXITED, 65, "\n", "  err \r\n", NULL, "450 4.0.0 err");
	gives(SPAWN_EXITED, 65, "", "5.2.2 Full\r\nreally\n", NULL, "550 5.2.2 Full / really");
	gives(SPAWN_EXITED, 65, "4.2.2 Full", "", NULL, "450 4.2.2 Full");
	gives(SPAWN_EXITED, 65, "5.1.1", "", NULL, "450 4.0.0 5.1.1");
	gives(SPAWN_EXITED, 65, "5.1.1No", "", NULL, "450 4.0.0 5.1.1No");
	gives(SPAWN_EXITED, 65, "5.1234.1 No", "", NULL, "450 4.0.0 5.1234.1 No");
	gives(SPAWN_EXITED, 65, "5.123.456 No", "", NULL, "550 5.123.456 No");
	gives(SPAWN_EXITED, 65, "2.0.0 Ok", "", NULL, "450 4.0.0 2.0.0 Ok");
	gives(SPAWN_EXITED, 65, "bad\x01octets\xff", "", NULL, "450 4.0.0 bad octets\xef\xbf\xbd");
}

static void patterns(void)
{
	char *why = NULL;

	gives(SPAWN_EXITED, 65, "noise\nerror: 5.1.1 Nobody here.\n", "", "error: (.*)", "550 5.1.1 Nobody here.");
	gives(SPAWN_EXITED, 65, "noise", "x: 5.7.1 No\n", "5\\.\\d\\.\\d .*", "550 5.7.1 No");
	gives(SPAWN_EXITED, 65, "5.1.1 a", "E 4.1.1 b", "^E (.*)", "450 4.1.1 b");
	gives(SPAWN_EXITED, 65, "ab", "", "(x)?ab", "450 4.0.0 ab");
	gives(SPAWN_EXITED, 65, "ab", "cd", "nothing", "450 4.0.0 ab");
	gives(SPAWN_EXITED, 65, "ab", "cd", "()", "450 4.0.0 ab");
	gives(SPAWN_EXITED, 65, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", "", "(a+)+$",
		"450 4.0.0 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!");
	gives(SPAWN_EXITED, 75, "x: y", "", "x: (.*)", "450 4.3.0 y");
	ok(!pattern_compile("a(b", &why), "a wrong pattern is refused");
	is_str(why, "missing closing parenthesis at character 4", "and it says why");
	free(why);
}

static void other_ends(void)
{
	gives(SPAWN_SIGNALLED, 9, "5.1.1 x", "", NULL, "450 4.3.0 Command was ended by signal 9");
	gives(SPAWN_TIMED_OUT, 0, "5.1.1 x", "", NULL, "450 4.4.2 Delivery timed out");
	gives(SPAWN_UNSTARTED, 2, "", "", NULL, "450 4.3.0 Command could not be started: No such file or directory");
	gives(SPAWN_INCOMPLETE, 5, "", "", NULL, "450 4.3.0 Message could not be read: Input/output error");
	gives(SPAWN_REFUSED, 0, "", "The value of {sender} is bad", NULL, "554 5.3.0 The value of {sender} is bad");
	gives(SPAWN_UNKNOWN, 0, "", "", NULL, "450 4.3.0 Spawner does not serve this relay");
	gives(SPAWN_LOST, 0, "", "", NULL, "450 4.3.0 Spawner ended while the command ran");
}

static void by_status(void)
{
	gives_as(true, SPAWN_EXITED, 0, "no", "", NULL, "250 2.0.0 Delivered");
	gives_as(true, SPAWN_EXITED, 75, "5.1.1 no", "", NULL, "450 4.3.0 5.1.1 no");
	gives_as(true, SPAWN_EXITED, 127, "", "", NULL, "450 4.3.0 Delivery failed (exit status 127)");
	gives_as(true, SPAWN_EXITED, 1, "", "no\n", NULL, "550 5.3.0 no");
	gives_as(true, SPAWN_EXITED, 65, "", "", NULL, "550 5.6.0 Delivery failed (exit status 65)");
	gives_as(true, SPAWN_EXITED, 67, "", "Invalid user", NULL, "550 5.1.1 Invalid user");
	gives_as(true, SPAWN_EXITED, 68, "", "x", NULL, "550 5.1.2 x");
	gives_as(true, SPAWN_EXITED, 76, "", "x", NULL, "550 5.5.0 x");
	gives_as(true, SPAWN_EXITED, 77, "", "Quota", NULL, "550 5.7.0 Quota");
	gives_as(true, SPAWN_EXITED, 77, "5.2.2 Quota", "", NULL, "550 5.2.2 Quota");
	gives_as(true, SPAWN_EXITED, 77, "4.2.2 Quota", "", NULL, "550 5.7.0 4.2.2 Quota");
	gives_as(true, SPAWN_SIGNALLED, 15, "5.1.1 x", "", NULL, "450 4.3.0 Command was ended by signal 15");
	gives_as(true, SPAWN_TIMED_OUT, 0, "5.1.1 x", "", NULL, "450 4.4.2 Delivery timed out");
	gives_as(true, SPAWN_UNSTARTED, 13, "", "", NULL, "450 4.3.0 Command could not be started: Permission denied");
}

int main(void)
{
	by_status();
	exit_codes();
	texts();
	patterns();
	other_ends();
	return done_testing();
}
