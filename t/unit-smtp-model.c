/* unit-smtp-model.c - random command sequences against a small model of the session
 * SPDX-License-Identifier: MIT
 * P16 */
#include "t/lib/tap.h"

#include "t/lib/smtp_harness.h"

struct model {
	bool hello, mail, chunks, secure;
	unsigned recipients, messages;
	unsigned refused;		/* the code for chunks behind one that was refused; 0 = none was */
};

/* What the model says about one command: the code. */
typedef unsigned step_fn(struct model *);

static unsigned hello(struct model *m)
{
	*m = (struct model){ .hello = true, .messages = m->messages, .secure = m->secure };
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
	if (!m->mail || m->chunks)
		return 503;
	if (m->recipients == 2)
		return 452;
	m->recipients++;
	return 250;
}

static unsigned rcpt_bad(struct model *m)
{
	return m->mail && !m->chunks ? 501 : 503;
}

static void end_transaction(struct model *m)
{
	m->mail = m->chunks = false;
	m->recipients = 0;
}

static unsigned data(struct model *m)
{
	if (!m->recipients || m->chunks)
		return 503;
	end_transaction(m);
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

static unsigned chunk(struct model *m)
{
	if (!m->recipients)
		return m->refused ? m->refused : 503;
	m->chunks = true;
	return 250;
}

static unsigned last_chunk(struct model *m)
{
	if (!m->recipients)
		return chunk(m);
	end_transaction(m);
	m->messages++;
	return 250;
}

static unsigned last_chunk_refused(struct model *m)
{
	if (!m->recipients)
		return chunk(m);
	end_transaction(m);
	return 550;
}

static unsigned chunk_refused(struct model *m)
{
	if (m->recipients)
		m->refused = 550;
	return last_chunk_refused(m);
}

static unsigned rset(struct model *m)
{
	end_transaction(m);
	return 250;
}

static unsigned starttls(struct model *m)
{
	if (!m->hello || m->mail || m->secure)
		return 503;
	*m = (struct model){ .messages = m->messages, .secure = true };
	return 220;
}

static unsigned mail_requires_tls(struct model *m)
{
	if (m->hello && !m->mail && !m->secure)
		return 555;
	return mail(m);
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
	{ "BDAT 6\r\nQUIT\r\n", NULL, chunk },
	{ "BDAT 0\r\n", NULL, chunk },
	{ "BDAT 6 LAST\r\nRSET\r\n", NULL, last_chunk },
	{ "BDAT 6\r\nQUIT\n\n", NULL, chunk_refused },
	{ "BDAT 7 LAST\r\nDATA\r\n\n", NULL, last_chunk_refused },
	{ "RSET\r\n", NULL, rset },
	{ "STARTTLS\r\n", NULL, starttls },
	{ "MAIL FROM:<a@b.example> REQUIRETLS\r\n", NULL, mail_requires_tls },
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
	h.settings.tls_available = true;
	harness_open(&h);
	for (unsigned i = 0; i < 60 && good; i++) {
		size_t at = (size_t)rand() % ARRAY_SIZE(steps);
		unsigned wanted = steps[at].step(&m), got = last_code(harness_say(&h, steps[at].line));

		if (strncmp(steps[at].line, "BDAT", 4) != 0)
			m.refused = 0;
		if (steps[at].body && got == 354)
			got = last_code(harness_say(&h, steps[at].body));
		if (session_state(h.session) == SESSION_WANTS_TLS) {
			session_input(h.session, "EHLO x\r\nQUIT\r\n", 14);
			session_tls_started(h.session, "TLSv1.3", "X");
		}
		good = got == wanted && h.messages == m.messages;
		if (!good)
			diag("seed %u step %u: %.20s gives %u, wanted %u", seed, i, steps[at].line, got, wanted);
	}
	harness_close(&h);
	return good;
}

int main(void)
{
	unsigned wrong = 0;

	harness_quiet("unit-smtp-model");
	for (unsigned seed = 1; seed <= 1000; seed++)
		wrong += !session_follows(seed);
	is_int(wrong, 0, "1000 random sessions follow the model");
	return done_testing();
}
