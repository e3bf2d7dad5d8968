/* unit-sasl-server.c - PLAIN, LOGIN and SCRAM-SHA-256 at the server: the RFCs' examples, and what no client should send
 * SPDX-License-Identifier: MIT */
#include "common/smtp/sasl_server.h"

#include "common/base/memory.h"
#include "t/lib/tap.h"

#define NONCE "rOprNGfwEbeRWgbNEkqO"
#define OURS "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define SERVER_FIRST "r=" NONCE OURS ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
#define FINAL "c=biws,r=" NONCE OURS
#define PROOF "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="

static const char *const results[] = { "challenge", "asks", "accepted", "refused", "malformed" };
static struct buffer said;

static struct sasl_server *new_server(const char *mechanism)
{
	struct sasl_server *server = sasl_server_new(mechanism, strlen(mechanism), true);

	sasl_server_set_nonce(server, OURS);
	return server;
}

static const char *input_sized(struct sasl_server *server, const char *octets, size_t size)
{
	buffer_release(&said);
	return results[sasl_server_input(server, octets, size, &said)];
}

static const char *input(struct sasl_server *server, const char *text)
{
	return input_sized(server, text, text ? strlen(text) : 0);
}

static const char *answer(struct sasl_server *server, const struct sasl_answer *given)
{
	buffer_release(&said);
	return results[sasl_server_answer(server, given, &said)];
}

/* A whole exchange of one message: its result. */
static const char *alone(const char *mechanism, const char *octets, size_t size)
{
	struct sasl_server *server = new_server(mechanism);
	const char *result = input_sized(server, octets, size);

	sasl_server_free(server);
	return result;
}
#define ALONE(mechanism, literal) alone(mechanism, literal, sizeof(literal) - 1)

static void mechanisms(void)
{
	struct sasl_server *server = sasl_server_new("plain", 5, false);

	is_str(sasl_server_mechanism(server), "PLAIN", "names are of any case");
	sasl_server_free(server);
	ok(!sasl_server_new("PLAINER", 7, true) && !sasl_server_new("PLAIN", 4, true) && !sasl_server_new("", 0, true)
		&& !sasl_server_new("SCRAM-SHA-256-PLUS", 18, true), "and whole");
	ok(!sasl_server_new("SCRAM-SHA-256", 13, false), "SCRAM where it is offered");
}

static void plain(void)
{
	struct sasl_server *server = new_server("PLAIN");
	const struct sasl_question *question = sasl_server_question(server);

	is_str(input(server, NULL), "challenge", "PLAIN without initial response");
	is_int((int64_t)said.size, 0, "is asked for it by nothing");
	is_str(input_sized(server, "\0tim\0tanstaaftanstaaf", 21), "asks", "a name and a password");
	is_str(question->authcid, "tim", "the name");
	is_str(question->authzid, "", "of no other");
	is_str(question->password, "tanstaaftanstaaf", "the password");
	ok(question->kind == SASL_PASSWORD && question->password_size == 16 && !strcmp(question->mechanism, "PLAIN"),
		"and the rest");
	is_str(answer(server, NULL), "accepted", "yes");
	is_str(sasl_server_user(server), "tim", "who it is");
	sasl_server_free(server);
	server = new_server("PLAIN");
	is_str(input_sized(server, "Ursel\0Kurt\0xipj3plmq", 20), "asks", "for another");
	is_str(sasl_server_question(server)->authzid, "Ursel", "which is asked, too");
	is_str(answer(server, NULL), "accepted", "which may be");
	is_str(sasl_server_user(server), "Kurt", "who it is stays who it is");
	sasl_server_free(server);
}

/* Who counts guesses is told of those that cannot be right, too. */
static void nobody(void)
{
	struct sasl_server *server = new_server("PLAIN");
	const struct sasl_question *question = sasl_server_question(server);

	is_str(input_sized(server, "\0tim\0", 5), "refused", "no password");
	ok(question->kind == SASL_NOBODY && !strcmp(question->authcid, "tim") && !strcmp(question->mechanism, "PLAIN"), "by tim");
	sasl_server_free(server);
	server = new_server("SCRAM-SHA-256");
	is_str(input(server, "n,a=kim,n=us=er,r=abc"), "refused", "no name");
	question = sasl_server_question(server);
	ok(question->kind == SASL_NOBODY && !*question->authcid && !strcmp(question->authzid, "kim"), "by nobody");
	sasl_server_free(server);
}

static void plain_wrong(void)
{
	char *name = xasprintf("%*s", 256, "n"), *password = xasprintf("%*s", 1025, "p");
	struct buffer text = { 0 };

	is_str(ALONE("PLAIN", ""), "malformed", "nothing");
	is_str(ALONE("PLAIN", "tim"), "malformed", "no NUL");
	is_str(ALONE("PLAIN", "\0tim"), "malformed", "one NUL");
	is_str(ALONE("PLAIN", "\0tim\0pass\0"), "malformed", "three");
	is_str(ALONE("PLAIN", "\0\0pass"), "malformed", "no name");
	is_str(ALONE("PLAIN", "\0tim\0"), "refused", "no password");
	is_str(ALONE("PLAIN", "\0t\xffm\0pass"), "refused", "a name that is not UTF-8");
	is_str(ALONE("PLAIN", "\0t\nm\0pass"), "refused", "a name with a line end");
	is_str(ALONE("PLAIN", "a\x7f\0tim\0pass"), "refused", "another's name with a control character");
	is_str(ALONE("PLAIN", "\0tim\0\xff\x01"), "asks", "a password of any octets");
	buffer_appendf(&text, "%c%s%cx", 0, name, 0);
	is_str(alone("PLAIN", text.data, text.size), "refused", "a name of 256 octets");
	is_str(alone("PLAIN", "\0n\0", 3), "refused", "no password");
	buffer_reset(&text);
	buffer_appendf(&text, "%cn%c%s", 0, 0, password);
	is_str(alone("PLAIN", text.data, text.size), "refused", "a password of 1025 octets");
	is_str(alone("PLAIN", text.data, text.size - 1), "asks", "one of 1024");
	buffer_release(&text);
	free(name);
	free(password);
}

static void login(void)
{
	struct sasl_server *server = new_server("LOGIN");

	is_str(input(server, NULL), "challenge", "LOGIN");
	is_str(buffer_str(&said), "Username:", "asks for the name");
	is_str(input(server, "tim"), "challenge", "which is heard");
	is_str(buffer_str(&said), "Password:", "then for the password");
	is_str(input(server, "secret"), "asks", "which is to be looked at");
	is_str(sasl_server_question(server)->authcid, "tim", "the name");
	is_str(sasl_server_question(server)->password, "secret", "the password");
	is_str(answer(server, NULL), "accepted", "yes");
	sasl_server_free(server);
	server = new_server("LOGIN");
	is_str(input(server, "tim"), "challenge", "a name at once");
	is_str(buffer_str(&said), "Password:", "is the first answer");
	is_str(input(server, ""), "refused", "no password");
	sasl_server_free(server);
	server = new_server("LOGIN");
	input(server, "tim");
	is_str(input_sized(server, "a\0b", 3), "malformed", "a password with NUL");
	sasl_server_free(server);
	is_str(ALONE("LOGIN", ""), "refused", "no name");
	is_str(ALONE("LOGIN", "a\0b"), "refused", "a name with NUL");
}

static const struct sasl_answer salt = {
	.salt = "\x5b\x6d\x99\x68\x9d\x12\x35\x8e\xec\xa0\x4b\x14\x12\x36\xfa\x81", .salt_size = 16, .iterations = 4096,
};

/* RFC 7677 section 3 */
static void scram(void)
{
	struct sasl_server *server = new_server("SCRAM-SHA-256");
	const struct sasl_question *question = sasl_server_question(server);
	struct sasl_answer signature = { 0 };

	is_str(input(server, NULL), "challenge", "SCRAM without initial response");
	is_int((int64_t)said.size, 0, "is asked for it by nothing");
	is_str(input(server, "n,,n=user,r=" NONCE), "asks", "client-first-message");
	ok(question->kind == SASL_SALT && !strcmp(question->authcid, "user") && !*question->authzid, "for the salt");
	is_str(answer(server, &salt), "challenge", "which is given");
	is_str(buffer_str(&said), SERVER_FIRST, "server-first-message");
	is_str(input(server, FINAL ",p=" PROOF), "asks", "client-final-message");
	ok(question->kind == SASL_PROOF && question->proof[0] == 0x74 && question->proof[31] == 0x54, "about the proof");
	ok(question->message_size == strlen("n=user,r=" NONCE "," SERVER_FIRST "," FINAL) && memcmp(question->message,
		"n=user,r=" NONCE "," SERVER_FIRST "," FINAL, question->message_size) == 0, "for this");
	memcpy(signature.signature, "\xea\xba\xe2", 3);
	is_str(answer(server, &signature), "challenge", "yes");
	ok(!strncmp(buffer_str(&said), "v=6rri", 6) && said.size == 46, "server-final-message");
	is_str(input(server, ""), "accepted", "the client is content");
	is_str(sasl_server_user(server), "user", "who it is");
	sasl_server_free(server);
}

static void scram_first(void)
{
	struct sasl_server *server = new_server("SCRAM-SHA-256");
	char *nonce = xasprintf("n,,n=user,r=%0*d", 129, 0);

	is_str(alone("SCRAM-SHA-256", nonce, strlen(nonce)), "malformed", "a nonce of 129 octets");
	is_str(alone("SCRAM-SHA-256", nonce, strlen(nonce) - 1), "asks", "one of 128");
	free(nonce);
	is_str(ALONE("SCRAM-SHA-256", "p,,n=user,r=abc"), "malformed", "a channel binding without a name");
	is_str(input(server, "y,a=a=3Db=2Cc,n=u=2Cs=3D,r=abc,x=later"), "asks", "names with signs in them, an extension");
	is_str(sasl_server_question(server)->authcid, "u,s=", "the name");
	is_str(sasl_server_question(server)->authzid, "a=b,c", "the other's");
	sasl_server_free(server);
	is_str(ALONE("SCRAM-SHA-256", "p=tls-unique,,n=user,r=abc"), "malformed", "a channel binding");
	is_str(ALONE("SCRAM-SHA-256", ""), "malformed", "nothing");
	is_str(ALONE("SCRAM-SHA-256", "n"), "malformed", "n");
	is_str(ALONE("SCRAM-SHA-256", "n,"), "malformed", "n,");
	is_str(ALONE("SCRAM-SHA-256", "n,,"), "malformed", "n,,");
	is_str(ALONE("SCRAM-SHA-256", "n,a=x"), "malformed", "no end of the header");
	is_str(ALONE("SCRAM-SHA-256", "n,a=x,"), "malformed", "nothing behind the header");
	is_str(ALONE("SCRAM-SHA-256", "n,a=,n=user,r=abc"), "malformed", "an empty other");
	is_str(ALONE("SCRAM-SHA-256", "n,x,n=user,r=abc"), "malformed", "another header");
	is_str(ALONE("SCRAM-SHA-256", "n,,m=x,n=user,r=abc"), "malformed", "an extension that must be known");
	is_str(ALONE("SCRAM-SHA-256", "n,,n=user"), "malformed", "no nonce");
	is_str(ALONE("SCRAM-SHA-256", "n,,n=user,r="), "malformed", "an empty one");
	is_str(ALONE("SCRAM-SHA-256", "n,,n=user,r=a b"), "malformed", "a nonce with a space");
	is_str(ALONE("SCRAM-SHA-256", "n,,r=abc,n=user"), "malformed", "another order");
	is_str(ALONE("SCRAM-SHA-256", "n,,n=user,r=abc\0"), "malformed", "NUL");
	is_str(ALONE("SCRAM-SHA-256", "n,,n=,r=abc"), "refused", "no name");
	is_str(ALONE("SCRAM-SHA-256", "n,,n=us=er,r=abc"), "refused", "a name with a bare =");
	is_str(ALONE("SCRAM-SHA-256", "n,,n=user=3,r=abc"), "refused", "one that is cut");
	is_str(ALONE("SCRAM-SHA-256", "n,,n=us\xff,r=abc"), "refused", "one that is not UTF-8");
}

/* What comes of this final message, to "n,,n=user,r=NONCE". */
static const char *final(const char *text)
{
	struct sasl_server *server = new_server("SCRAM-SHA-256");
	const char *result;

	input(server, "n,,n=user,r=" NONCE);
	answer(server, &salt);
	result = input(server, text);
	sasl_server_free(server);
	return result;
}

static void scram_final(void)
{
	struct sasl_server *server = new_server("SCRAM-SHA-256");
	char *other;

	is_str(final(FINAL ",x=y,p=" PROOF), "asks", "an extension");
	is_str(final(FINAL), "malformed", "no proof");
	is_str(final(""), "malformed", "nothing");
	is_str(final(FINAL ",p=" PROOF "="), "malformed", "a longer proof");
	is_str(final(FINAL ",p=dHzb"), "malformed", "a shorter one");
	is_str(final(FINAL ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQA"), "malformed", "one of 33 octets");
	is_str(final("c=biws,r=" NONCE ",p=" PROOF), "malformed", "the client's part of the nonce alone");
	is_str(final("c=biws,r=" NONCE OURS "x,p=" PROOF), "malformed", "more than the nonce");
	other = xstrdup(FINAL ",p=" PROOF);
	other[strlen(FINAL) - 1] ^= 1;
	is_str(final(other), "malformed", "another nonce of that length");
	free(other);
	is_str(final("c=eSws,r=" NONCE OURS ",p=" PROOF), "malformed", "another header than it began with");
	is_str(final("c=,r=" NONCE OURS ",p=" PROOF), "malformed", "none");
	is_str(final("r=" NONCE OURS ",c=biws,p=" PROOF), "malformed", "another order");
	is_str(final(",p=" PROOF), "malformed", "a proof alone");
	input(server, "n,,n=user,r=" NONCE);
	answer(server, &salt);
	input(server, FINAL ",p=" PROOF);
	answer(server, &(struct sasl_answer){ 0 });
	is_str(input(server, "x"), "malformed", "an answer behind the end");
	sasl_server_free(server);
}

int main(void)
{
	mechanisms();
	plain();
	plain_wrong();
	nobody();
	login();
	scram();
	scram_first();
	scram_final();
	buffer_release(&said);
	return done_testing();
}
