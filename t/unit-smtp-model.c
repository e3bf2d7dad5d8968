/* unit-smtp-model.c - random command sequences against a small model of the session
 * SPDX-License-Identifier: MIT
 * P16 */
#include "t/lib/tap.h"

#include "t/lib/smtp_harness.h"

struct model {
	bool hello, mail;
	unsigned recipients, messages;
};

/* What the model says about one command: the code. */
typedef unsigned step_fn(struct model *);

static unsigned hello(struct model *m)
{
	*m = (struct model){ .hello = true, .messages = m->messages };
	return 250;
}

static unsigned mail(struct model *m)
{
	if (!m->hello || m->mail)
		return 503;
	m->mail = true;
	return 250;
}

static unsigned mail_too_large(struct model *m)
{
	return !m->hello || m->mail ? 503 : 552;
}

static unsigned rcpt(struct model *m)
{
	if (!m->mail)
		return 503;
	if (m->recipients == 2)
		return 452;
	m->recipients++;
	return 250;
}

static unsigned rcpt_bad(struct model *m)
{
	return m->mail ? 501 : 503;
}

static unsigned data(struct model *m)
{
	if (!m->recipients)
		return 503;
	m->mail = false;
	m->recipients = 0;
	m->messages++;
	return 250;
}

static unsigned data_refused(struct model *m)
{
	if (data(m) == 503)
		return 503;
	m->messages--;
	return 550;
}

static unsigned rset(struct model *m)
{
	m->mail = false;
	m->recipients = 0;
	return 250;
}

static unsigned noop(struct model *m)
{
	(void)m;
	return 250;
}

static unsigned unknown(struct model *m)
{
	(void)m;
	return 500;
}

static const struct {
	const char *line, *body;
	step_fn *step;
} steps[] = {
	{ "EHLO c.example\r\n", NULL, hello },
	{ "MAIL FROM:<a@b.example>\r\n", NULL, mail },
	{ "MAIL FROM:<> SIZE=101\r\n", NULL, mail_too_large },
	{ "RCPT TO:<c@d.example>\r\n", NULL, rcpt },
	{ "RCPT TO:<c@d.example>\r\n", NULL, rcpt },
	{ "RCPT TO:<c d@e.example>\r\n", NULL, rcpt_bad },
	{ "DATA\r\n", "x\r\n.\r\n", data },
	{ "DATA\r\n", "x\n.\r\n\r\n.\r\n", data_refused },
	{ "RSET\r\n", NULL, rset },
	{ "NOOP\r\n", NULL, noop },
	{ "XYZZY\r\n", NULL, unknown },
};

/* The code of the last line of what was answered. */
static unsigned last_code(const char *replies)
{
	const char *at = strrchr(replies, '\n');

	while (at && at > replies && at[-1] != '\n')
		at--;
	return at ? (unsigned)atoi(at) : 0;
}

static bool session_follows(unsigned seed)
{
	struct harness h;
	struct model m = { 0 };
	bool good = true;

	srand(seed);
	harness_init(&h);
	harness_open(&h);
	for (unsigned i = 0; i < 60 && good; i++) {
		size_t at = (size_t)rand() % ARRAY_SIZE(steps);
		unsigned wanted = steps[at].step(&m), got = last_code(harness_say(&h, steps[at].line));

		if (steps[at].body && got == 354)
			got = last_code(harness_say(&h, steps[at].body));
		good = got == wanted && h.messages == m.messages;
		if (!good)
			diag("seed %u step %u: %.20s gives %u, wanted %u", seed, i, steps[at].line, got, wanted);
	}
	harness_close(&h);
	return good;
}

int main(void)
{
	struct log_settings quiet = { .level = LOG_LEVEL_ERROR, .output = "stderr" };
	unsigned wrong = 0;

	log_open("unit-smtp-model", &quiet);
	for (unsigned seed = 1; seed <= 500; seed++)
		wrong += !session_follows(seed);
	is_int(wrong, 0, "500 random sessions follow the model");
	return done_testing();
}
