/* unit-smtp-dsn.c - RET, ENVID, NOTIFY and ORCPT, in steps of every size
 * SPDX-License-Identifier: MIT
 * P22 */
#include "t/lib/tap.h"

#include "t/lib/smtp_harness.h"

static const struct {
	const char *parameters;
	unsigned code;
	char ret;
	const char *envid;
} mail[] = {
	{ "", 250, 0, NULL },
	{ " RET=FULL", 250, 'F', NULL },
	{ " ret=hdrs ENVID=QQ314159", 250, 'H', "QQ314159" },
	{ " ENVID=a+20b+2B SIZE=10", 250, 0, "a b+" },
	{ " RET=BODY", 501 }, { " RET=", 501 }, { " RET", 501 }, { " RET=FULL RET=FULL", 501 },
	{ " ENVID=", 501 }, { " ENVID", 501 }, { " ENVID=a+00b", 501 }, { " ENVID=+0D+0A", 501 },
	{ " ENVID=a+b", 501 }, { " ENVID=a=b", 501 }, { " ENVID=a ENVID=a", 501 },
	{ " ENVID=\xc3\xa4", 501 },
	{ " NOTIFY=NEVER", 555 }, { " ORCPT=rfc822;a@b", 555 },
};

static const struct {
	const char *parameters;
	unsigned code, notify;
	const char *orcpt;
} rcpt[] = {
	{ "", 250, 0, NULL },
	{ " NOTIFY=NEVER", 250, NOTIFY_NEVER, NULL },
	{ " notify=success,Failure,DELAY", 250, NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY },
	{ " NOTIFY=DELAY,DELAY", 250, NOTIFY_DELAY },
	{ " NOTIFY=DELAY", 250, NOTIFY_DELAY, NULL },
	{ " NOTIFY=FAILURE ORCPT=rfc822;a+2Bb@x", 250, NOTIFY_FAILURE, "rfc822;a+b@x" },
	{ " ORCPT=utf-8;\\x{E4}@x NOTIFY=SUCCESS", 250, NOTIFY_SUCCESS, "utf-8;\xc3\xa4@x" },
	{ " ORCPT=utf-8;\xc3\xa4@x", 250, 0, "utf-8;\xc3\xa4@x" },
	{ " NOTIFY=NEVER,FAILURE", 501 }, { " NOTIFY=FAILURE,NEVER", 501 },
	{ " NOTIFY=NEVER,NEVER", 501 },
	{ " NOTIFY=", 501 }, { " NOTIFY", 501 }, { " NOTIFY=,", 501 }, { " NOTIFY=FAILURE,", 501 },
	{ " NOTIFY=,FAILURE", 501 }, { " NOTIFY=SUCCES", 501 }, { " NOTIFY=SUCCESSS", 501 },
	{ " NOTIFY=DELAY NOTIFY=DELAY", 501 }, { " ORCPT=rfc822;a ORCPT=rfc822;a", 501 },
	{ " ORCPT=", 501 }, { " ORCPT", 501 }, { " ORCPT=rfc822", 501 },
	{ " ORCPT=rfc822;a+00b", 501 },
	{ " ORCPT=rfc822;\xc3\xa4", 501 }, { " ORCPT=utf-8;\xc3", 501 },
	{ " RET=FULL", 555 }, { " ENVID=a", 555 },
};

#define HELLO "EHLO c\r\n"
#define BEGUN HELLO "MAIL FROM:<a@b.example>\r\n"
#define RECIPIENT "RCPT TO:<c@d.example>"

/* The code of the reply to what comes behind `before`, sent in steps. */
static unsigned code_of(struct harness *h, const char *before, const char *line, size_t step)
{
	char *text = xasprintf("%s\r\n", line);
	unsigned code;

	harness_init(h);
	harness_open(h);
	harness_say(h, before);
	buffer_reset(&h->out);
	harness_send(h, text, strlen(text), step);
	code = (unsigned)atoi(buffer_str(&h->out));
	free(text);
	return code;
}

/* What came is seen in the message that is taken. */
static const struct envelope *take(struct harness *h)
{
	harness_say(h, RECIPIENT "\r\n");
	harness_say(h, "DATA\r\nx\r\n.\r\n");
	return h->taken;
}

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void test_mail(void)
{
	struct harness h;

	for (size_t i = 0; i < ARRAY_SIZE(mail); i++) {
		char *line = xasprintf("MAIL FROM:<a@b.example>%s", mail[i].parameters);
		unsigned wrong = 0;

		for (size_t step = 1; step <= strlen(line) + 2; step++) {
			unsigned code = code_of(&h, HELLO, line, step);
			const struct envelope *e = take(&h);

			wrong += code != mail[i].code || (code == 250) != (e != NULL);
			wrong += e && (e->ret != mail[i].ret || !same(e->envid, mail[i].envid));
			harness_close(&h);
		}
		is_int(wrong, 0, line);
		free(line);
	}
}

static void test_rcpt(void)
{
	struct harness h;

	for (size_t i = 0; i < ARRAY_SIZE(rcpt); i++) {
		char *line = xasprintf(RECIPIENT "%s", rcpt[i].parameters);
		unsigned wrong = 0;

		for (size_t step = 1; step <= strlen(line) + 2; step++) {
			unsigned code = code_of(&h, BEGUN, line, step);
			const struct envelope *e = take(&h);

			wrong += code != rcpt[i].code ||
				e->recipient_count != (code == 250 ? 2 : 1);
			if (code == 250)
				wrong += e->recipients[0].notify != rcpt[i].notify ||
					!same(e->recipients[0].orcpt, rcpt[i].orcpt);
			wrong += e->recipients[e->recipient_count - 1].notify != 0;
			harness_close(&h);
		}
		is_int(wrong, 0, line);
		free(line);
	}
}

static unsigned code_of_length(const char *before, const char *line, unsigned fill)
{
	struct buffer text = { 0 };
	struct harness h;
	unsigned code;

	buffer_append_str(&text, line);
	while (fill--)
		buffer_append_char(&text, 'x');
	code = code_of(&h, before, buffer_str(&text), text.size + 2);
	harness_close(&h);
	buffer_release(&text);
	return code;
}

static void test_lengths(void)
{
	static const char envid[] = "MAIL FROM:<a@b.example> ENVID=";
	static const char orcpt[] = RECIPIENT " NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;";

	is_int(code_of_length(HELLO, envid, 94), 250, "ENVID of 100 characters");
	is_int(code_of_length(HELLO, envid, 95), 501, "but not of more");
	is_int(code_of_length(BEGUN, orcpt, 487), 250, "ORCPT of 500 characters");
	is_int(code_of_length(BEGUN, orcpt, 488), 501, "but not of more");
}

static void test_line_lengths(void)
{
	struct harness h;
	char line[1200];

	snprintf(line, sizeof(line), RECIPIENT "%*s", 1040 - (int)strlen(RECIPIENT), "");
	is_int(code_of(&h, BEGUN, line, 1), 250, "a RCPT line of 1042 octets");
	harness_close(&h);
	snprintf(line, sizeof(line), RECIPIENT "%*s", 1041 - (int)strlen(RECIPIENT), "");
	is_int(code_of(&h, BEGUN, line, 1), 500, "but not of more");
	harness_close(&h);
}

static void test_not_offered(void)
{
	struct harness h;

	harness_init(&h);
	h.settings.extensions = EXTENSIONS_ALL & ~(unsigned)(EXTENSION_DSN | EXTENSION_SMTPUTF8);
	harness_open(&h);
	ok(!strstr(harness_say(&h, HELLO), "DSN"), "DSN is not offered");
	is_int(atoi(harness_say(&h, "MAIL FROM:<a@b.example> RET=FULL\r\n")), 555,
		"then nothing of it is taken");
	harness_say(&h, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example> NOTIFY=NEVER\r\n");
	ok(strstr(buffer_str(&h.out), "\r\n555 5.5.4 "), "nor at RCPT");
	h.settings.extensions |= EXTENSION_DSN;
	is_int(atoi(harness_say(&h, "RCPT TO:<c@d.example> ORCPT=utf-8;\xc3\xa4@x\r\n")), 501,
		"UTF-8 in ORCPT only with SMTPUTF8");
	is_int(atoi(harness_say(&h, "RCPT TO:<c@d.example> ORCPT=utf-8;\\x{E4}@x\r\n")), 250,
		"escaped it is ASCII");
	harness_say(&h, "HELO c\r\nMAIL FROM:<a@b.example> ENVID=a\r\n");
	ok(strstr(buffer_str(&h.out), "\r\n555 5.5.4 "), "HELO has no parameters");
	harness_close(&h);
	harness_init(&h);
	h.settings.max_errors = 0;
	harness_open(&h);
	harness_say(&h, BEGUN);
	is_int(atoi(harness_say(&h, "RCPT TO:<c@d.example> ORCPT=rfc822;a NOTIFY=x\r\n")), 421,
		"a wrong parameter may be the last error");
	harness_close(&h);
}

int main(void)
{
	harness_quiet("unit-smtp-dsn");
	test_mail();
	test_rcpt();
	test_lengths();
	test_line_lengths();
	test_not_offered();
	return done_testing();
}
