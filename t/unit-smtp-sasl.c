/* unit-smtp-sasl.c - SCRAM-SHA-256, PLAIN and LOGIN at the client, against the RFCs' examples and hostile servers
 * SPDX-License-Identifier: MIT */
#include "common/smtp/sasl_client.h"

#include "common/base/base64.h"
#include "common/smtp/sasl_prepare.h"
#include "common/smtp/scram.h"
#include "t/lib/tap.h"

#define NONCE "rOprNGfwEbeRWgbNEkqO"
#define SERVER_NONCE NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define SALT "W22ZaJ0SNY7soEsUEjb6gQ=="
#define SERVER_FIRST "r=" SERVER_NONCE ",s=" SALT ",i=4096"
#define SERVER_FINAL "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

static const struct sasl_credentials user = { "user", "pencil", NULL };

/* What the client answers, decoded; "-1" or "1" where it does not. Borrowed until the next call. */
static const char *decoded(int result, struct buffer *out)
{
	static struct buffer text;

	buffer_reset(&text);
	if (result)
		buffer_appendf(&text, "%d", result);
	else if (!base64_decode(&text, buffer_str(out), out->size))
		buffer_append_str(&text, "no base64");
	buffer_release(out);
	return buffer_str(&text);
}

static const char *first(struct sasl_client *client)
{
	struct buffer out = { 0 };

	return decoded(sasl_client_first(client, &out) ? 0 : -1, &out);
}

static const char *next_sized(struct sasl_client *client, const void *challenge, size_t size)
{
	struct buffer text = { 0 }, out = { 0 };
	int result;

	base64_append(&text, challenge, size);
	result = sasl_client_next(client, buffer_str(&text), &out);
	buffer_release(&text);
	return decoded(result, &out);
}

static const char *next(struct sasl_client *client, const char *challenge)
{
	return next_sized(client, challenge, strlen(challenge));
}

static struct sasl_client *scram(const struct sasl_credentials *credentials)
{
	struct sasl_client *client = sasl_client_new("SCRAM-SHA-256", credentials);

	sasl_client_set_nonce(client, NONCE);
	first(client);
	return client;
}

static void chooses(void)
{
	is_str(sasl_client_choose("LOGIN PLAIN SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-256-PLUS"), "SCRAM-SHA-256", "the best");
	is_str(sasl_client_choose(" login\tPlain CRAM-MD5 "), "PLAIN", "of any case");
	is_str(sasl_client_choose("CRAM-MD5 LOGIN"), "LOGIN", "LOGIN where there is nothing else");
	ok(!sasl_client_choose("CRAM-MD5 PLAINER SCRAM-SHA-256-PLUS XLOGIN"), "words, and not parts of them");
	ok(!sasl_client_choose(""), "none of none");
}

/* RFC 7677 section 3 */
static void example(void)
{
	struct sasl_client *client = sasl_client_new("SCRAM-SHA-256", &user);

	sasl_client_set_nonce(client, NONCE);
	is_str(first(client), "n,,n=user,r=" NONCE, "client-first-message");
	is_str(next(client, SERVER_FIRST), "c=biws,r=" SERVER_NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
		"client-final-message");
	ok(!sasl_client_is_satisfied(client), "the server has not proved anything yet");
	is_str(next(client, SERVER_FINAL), "", "an empty answer to what the server proves");
	ok(sasl_client_is_satisfied(client), "which is right");
	is_str(next(client, ""), "-1", "and is the end");
	ok(!sasl_client_is_satisfied(client), "no challenge is allowed behind it");
	sasl_client_free(client);
}

static void server_is_wrong(void)
{
	static const char *const finals[] = { "", "v=", "v=AAAA", "v=!",
		"w=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", "v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
		"e=invalid-proof", "e=" };

	for (size_t i = 0; i < sizeof(finals) / sizeof(finals[0]); i++) {
		struct sasl_client *client = scram(&user);

		next(client, SERVER_FIRST);
		is_str(next(client, finals[i]), "-1", finals[i]);
		ok(*sasl_client_problem(client), "what is wrong is said");
		ok(!sasl_client_is_satisfied(client), "it does not know the password: %s", sasl_client_problem(client));
		sasl_client_free(client);
	}
}

static void challenges_that_are_none(void)
{
	static const char *const firsts[] = { "", "r=", "r=" NONCE ",s=" SALT ",i=4096", "r=x" SERVER_NONCE ",s=" SALT ",i=4096",
		"m=x," SERVER_FIRST, "r=" SERVER_NONCE ",s=,i=4096", "r=" SERVER_NONCE ",s=!,i=4096",
		"r=" SERVER_NONCE ",s=" SALT, "r=" SERVER_NONCE ",s=" SALT ",i=", "r=" SERVER_NONCE ",s=" SALT ",i=0",
		"r=" SERVER_NONCE ",s=" SALT ",i=-1",
		"r=" SERVER_NONCE ",s=" SALT ",i=1000001", "r=" SERVER_NONCE ",s=" SALT ",i=4294967296",
		"r=" SERVER_NONCE ",s=" SALT ",i=0x10", "r=" SERVER_NONCE ",s=" SALT ",i=99999999999999999999999",
		"s=" SALT ",r=" SERVER_NONCE ",i=4096", "r=" NONCE "\x7f,s=" SALT ",i=4096", "r=" NONCE " ,s=" SALT ",i=4096",
		"e=other-error", "r=" SERVER_NONCE ",i=4096" };

	for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
		struct sasl_client *client = scram(&user);

		is_str(next(client, firsts[i]), "-1", firsts[i]);
		ok(*sasl_client_problem(client), "%s", sasl_client_problem(client));
		is_str(next(client, SERVER_FIRST), "-1", "and nothing goes on behind it");
		sasl_client_free(client);
	}
}

/* Each cut, and each octet another. */
static void mutations(void)
{
	char text[sizeof(SERVER_FIRST)];
	unsigned taken = 0;

	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		struct sasl_client *client = scram(&user);

		taken += strcmp(next_sized(client, SERVER_FIRST, i), "-1") != 0;
		sasl_client_free(client);
		for (int bit = 0; bit < 8; bit++) {
			client = scram(&user);
			memcpy(text, SERVER_FIRST, sizeof(text));
			text[i] = (char)(text[i] ^ 1 << bit);
			next_sized(client, text, sizeof(text) - 1);
			ok(!sasl_client_is_satisfied(client), "octet %zu, bit %d", i, bit);
			sasl_client_free(client);
		}
	}
	is_int(taken, 3, "cut: but for a shorter number, which is one");
}

static void base64_that_is_none(void)
{
	static const char *const odd[] = { "A", "AA", "AAA", "AA=A", "====", "A===", "AB==", "AAB=", "AA==AAAA", "AA AA",
		"AAAA\nAAA", "AAA\x80", "\xc3\xa9===", "AAAA=" };
	struct buffer out = { 0 }, huge = { 0 };

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		struct sasl_client *client = scram(&user);

		ok(sasl_client_next(client, odd[i], &out) == -1, "odd base64 %zu", i);
		is_str(buffer_str(&out), "", "nothing is said");
		sasl_client_free(client);
	}
	for (size_t i = 0; i < 20000; i++)
		buffer_append_char(&huge, 'A');
	for (unsigned i = 0; i < 2; i++) {
		struct sasl_client *client = scram(&user);

		huge.data[huge.size = i ? 20000 : 12288] = '\0';
		is_int(sasl_client_next(client, buffer_str(&huge), &out), -1, "a huge challenge");
		sasl_client_free(client);
	}
	buffer_release(&out);
	buffer_release(&huge);
}

static void iterations(void)
{
	struct sasl_credentials remembers = { "user", "pencil", sasl_memory_new() };
	char *wanted = NULL;

	for (unsigned round = 0; round < 3; round++) {
		struct sasl_client *client = scram(round < 2 ? &remembers : &user);
		struct buffer out = { 0 }, text = { 0 };
		unsigned slices = 0;
		int result;

		base64_append(&text, "r=" SERVER_NONCE ",s=" SALT ",i=100000", strlen("r=" SERVER_NONCE ",s=" SALT ",i=100000"));
		for (result = sasl_client_next(client, buffer_str(&text), &out); result == 1; slices++)
			result = sasl_client_work(client, &out);
		is_int(result, 0, "many iterations");
		is_int(slices, round == 1 ? 0 : 99999 / SCRAM_SLICE,
			round == 1 ? "at once what is remembered" : "are made in slices");
		if (round)
			is_str(buffer_str(&out), wanted, "with the same end");
		else
			wanted = strdup(buffer_str(&out));
		buffer_release(&text);
		buffer_release(&out);
		sasl_client_free(client);
	}
	for (unsigned i = 0; i < 10; i++) {
		struct sasl_client *client = scram(&remembers);
		char *challenge = NULL;

		if (asprintf(&challenge, "r=%s,s=QSX%u,i=%u", SERVER_NONCE, i, i + 1) > 0)
			ok(next(client, challenge)[0] == 'c', "more salts than are remembered");
		free(challenge);
		sasl_client_free(client);
	}
	free(wanted);
	sasl_memory_free(remembers.memory);
}

static void plain(void)
{
	static const struct sasl_credentials tim = { "tim", "tanstaaftanstaaf", NULL };
	static char name[400];
	struct sasl_credentials longer = { name, "p", NULL };
	struct sasl_client *client = sasl_client_new("PLAIN", &tim);
	struct buffer out = { 0 };

	ok(sasl_client_first(client, &out), "PLAIN has an initial response");
	is_str(buffer_str(&out), "AHRpbQB0YW5zdGFhZnRhbnN0YWFm", "the second example of RFC 4616, without an identity");
	ok(sasl_client_is_satisfied(client), "all is said");
	is_int(sasl_client_next(client, "", &out), -1, "a challenge is nonsense");
	ok(!sasl_client_is_satisfied(client), "and no success comes of it");
	sasl_client_free(client);
	buffer_release(&out);

	memset(name, 'x', sizeof(name) - 1);
	client = sasl_client_new("plain", &longer);
	ok(!sasl_client_first(client, &out) && !out.size, "what a command cannot hold");
	ok(!sasl_client_is_satisfied(client), "was not said");
	is_int(sasl_client_next(client, "=", &out), 0, "is said when asked for");
	is_int((int64_t)out.size, (400 + 2 + 2) / 3 * 4, "whole");
	ok(sasl_client_is_satisfied(client), "and that is all");
	sasl_client_free(client);
	buffer_release(&out);
}

static void login(void)
{
	struct sasl_client *client = sasl_client_new("LOGIN", &user);
	struct buffer out = { 0 };

	ok(!sasl_client_first(client, &out), "the server begins LOGIN");
	is_int(sasl_client_next(client, "VXNlcm5hbWU6", &out), 0, "asked for the name");
	is_str(buffer_str(&out), "dXNlcg==", "it is said");
	ok(!sasl_client_is_satisfied(client), "not all is said");
	buffer_release(&out);
	is_int(sasl_client_next(client, "Password:", &out), 0, "asked for the password, in whatever way");
	is_str(buffer_str(&out), "cGVuY2ls", "it is said");
	ok(sasl_client_is_satisfied(client), "all is said");
	buffer_release(&out);
	is_int(sasl_client_next(client, "", &out), -1, "and no more");
	sasl_client_free(client);
	buffer_release(&out);
}

static void prepared(const char *text, const char *wanted, const char *what)
{
	struct buffer out = { 0 };

	sasl_prepare(&out, text);
	is_str(buffer_str(&out), wanted, what);
	buffer_release(&out);
}

static void other_characters(void)
{
	static const struct sasl_credentials odd = { "a,b=c\xc2\xaa", "p\xc3\xa4ss", NULL };
	struct sasl_client *client = sasl_client_new("SCRAM-SHA-256", &odd);

	sasl_client_set_nonce(client, NONCE);
	is_str(first(client), "n,,n=a=2Cb=3Dca,r=" NONCE, "a name with signs of SCRAM's own, prepared");
	sasl_client_free(client);
	/* RFC 4013 section 3 */
	prepared("I\xc2\xadX", "IX", "SOFT HYPHEN is left out");
	prepared("USER", "USER", "case stays");
	prepared("\xc2\xaa", "a", "FEMININE ORDINAL INDICATOR is an a");
	prepared("p\xc3\xa4ss\xc2\xa0w\xc3\xb6rt\xe2\x82\xac", "p\xc3\xa4ss w\xc3\xb6rt\xe2\x82\xac", "a space is a space");
	prepared("\xef\xbc\xa1\xef\xbc\x91", "A1", "wide letters are letters");
	prepared("x\xc2\xb2 \xd0\xbf\xd0\xb0\xd1\x80 \xe5\xaf\x86",
		"x2 \xd0\xbf\xd0\xb0\xd1\x80 \xe5\xaf\x86", "other scripts stay");
	prepared("a\xcc\x88\xc2\xaa", "a\xcc\x88\xc2\xaa", "what is not known stays as it is, all of it");
	prepared("\x07\xc2\xaa", "\x07\xc2\xaa", "so do control characters");
}

int main(void)
{
	chooses();
	example();
	server_is_wrong();
	challenges_that_are_none();
	mutations();
	base64_that_is_none();
	iterations();
	plain();
	login();
	other_characters();
	return done_testing();
}
