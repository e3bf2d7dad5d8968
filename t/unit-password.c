/* unit-password.c - every form of a stored password, with vectors that Python's hashlib, crypt and passlib made, gsasl and argon2
 * SPDX-License-Identifier: MIT */
#include "config.h"

#include "common/lookup/password.h"

#include "common/base/memory.h"
#include "common/base/buffer.h"
#include "common/base/base64.h"
#include "t/lib/tap.h"

/* All of "pencil" but those of Argon2, which are of "password". */
static const char *const stored[] = {
	"pencil", "{PLAIN}pencil", "{plain}pencil",
	"{SHA}0vxRJJChUDZGC1SJQBQ51tpUB/o=",
	"{SSHA}dFWAdLXeDBTj01WbdotiS4s3zKlzYWx0",
	"{SHA256}E4CWaPtDY4Zwb2fcsFLtWEoEuhaowCoX1m00ww/O2iE=",
	"{sha256}E4CWaPtDY4Zwb2fcsFLtWEoEuhaowCoX1m00ww/O2iE",
	"{SSHA256}IYelL73vS+N1Dkg7GnOUyJVYF5JifvEjClIz+j2xsMtzYWx0",
	"{SHA512}Gd8Bqrgo+NUINrp1cJcTrtInM1344YZDkYXAbJF6Kn03cat24wfPo7a4nvGmaC1mgd3xGISHDl3hPnk/uVXu6w==",
	"{SSHA512}i+D5SE7oOTxtkWXKlKHrQFnLB6mUMJx0OsVpWYhRi1RnUIQeI+9gQr+ANhi3p4fmzzh6sx3Lx4cvamioIp/8sXNhbHQ=",
	"$pbkdf2-sha256$1000$./9zYWx0$j5qMr2M/YUVlVuz6or2EZzk3.0setQ3.7ZiYknWLnww",
	"$pbkdf2-sha256$1000$+/9zYWx0$j5qMr2M/YUVlVuz6or2EZzk3+0setQ3+7ZiYknWLnww=",
	"{PBKDF2-SHA256}1000$./9zYWx0$j5qMr2M/YUVlVuz6or2EZzk3.0setQ3.7ZiYknWLnww",
	"$pbkdf2-sha512$1000$./9zYWx0$ad7nOtVrOSmS/kJeGyfek45IUlBI3oCvWQDbnZquT6FptMhTuGcWb2DSL7k./6.aIySzyuMoTdQ9GrF4OzUpPw",
	"{PBKDF2-SHA512}1000$./9zYWx0$ad7nOtVrOSmS/kJeGyfek45IUlBI3oCvWQDbnZquT6FptMhTuGcWb2DSL7k./6.aIySzyuMoTdQ9GrF4OzUpPw",
	"{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
		"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
	"{SCRAM-SHA-256}65536,zsa+IagqEAd8AhjH,Z3hRZr7Mk7lZNzcSuo6sZieGI80JPbmIBfvSAFxBOXk=,"
		"kely8L4bNalBUwcEozLfljR6QMGY79Bi0H5IsfnMoH0=",
#if HAVE_LIBCRYPT
	"$5$rounds=1000$saltstring$IDMRVjjzM7pxdq5saV3T0Syncing1KAt3iS2GewFZH1",
	"$6$rounds=1000$saltstring$Dst5SzMCiLiSWQN0EnEgf8DNbHOJRybf7gWFoq4HhaAWnZcpnsBwYgTSajPGyhfsjkr51qmiDafX//8bUiGTO1",
	"{CRYPT}$6$rounds=1000$saltstring$"
		"Dst5SzMCiLiSWQN0EnEgf8DNbHOJRybf7gWFoq4HhaAWnZcpnsBwYgTSajPGyhfsjkr51qmiDafX//8bUiGTO1",
	"$2b$04$abcdefghijklmnopqrstuu/FyAyuZSl3DbPdvio4KrIBdz2k2yhV2",
	"$2a$04$abcdefghijklmnopqrstuu/FyAyuZSl3DbPdvio4KrIBdz2k2yhV2",
	"$y$j75$saltstring/0123$0/2mxdwUel18Jtp7X6hwGmq928VHFPjvNTE.gy3Hr27",
#endif
};

/* Each octet counts: with another one near its end it is not the hash of that password. */
static bool is_compared_whole(const char *form, const char *password)
{
	char *other = xstrdup(form), *at = other + strlen(other) - (strlen(other) > 20 ? 5 : 1);
	bool taken;

	*at = *at == 'A' ? 'B' : 'A';
	taken = password_problem(other) || password_check(other, password, strlen(password));
	free(other);
	return !taken;
}

static void is_right(const char *form, const char *password)
{
	char *longer = xasprintf("%sx", password);
	const char *problem = password_problem(form);

	ok(!problem, "%.30s... is right: %s", form, problem ? problem : "");
	ok(password_check(form, password, strlen(password)), "the password is");
	ok(!password_check(form, longer, strlen(longer)) && !password_check(form, password, strlen(password) - 1)
		&& !password_check(form, "", 0), "no other is");
	ok(is_compared_whole(form, password), "nor is it right for another hash");
	ok(strcmp(form, password) == 0 || !password_check(form, form, strlen(form)), "nor is what is stored");
	free(longer);
}

static void forms(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(stored); i++)
		is_right(stored[i], "pencil");
#if HAVE_LIBARGON2
	is_right("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "password");
	is_right("{ARGON2}$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "password");
#else
	ok(strstr(password_problem("{ARGON2}$argon2id$"), "libargon2-dev"), "the package of what is missing is named");
#endif
}

static void wrong_forms(void)
{
	static const char *const wrong[] = {
		"", "{PLAIN}", "\xff", "{MD5}x", "{}x", "{ SHA}0vxRJJChUDZGC1SJQBQ51tpUB/o=", "{SHA}",
		"{SHA}0vxRJJChUDZGC1SJQBQ51tpUB/", "{SHA}pencil", "{SSHA}0vxRJJChUDZGC1SJQBQ51tpUB/o=",
		"{SHA256}0vxRJJChUDZGC1SJQBQ51tpUB/o=", "$1$saltsalt$wCrc3hcrR95SV83Xh8Z.41", "{CRYPT}pencil",
		"{CRYPT}ab01FAX.bQRSU", "{CRYPT}*", "{CRYPT}!", "$6$saltstring$", "$6$saltstring$short",
		"$2b$04$short", "$2b$31$abcdefghijklmnopqrstuu/FyAyuZSl3DbPdvio4KrIBdz2k2yhV2",
		"$2b$zz$abcdefghijklmnopqrstuu/FyAyuZSl3DbPdvio4KrIBdz2k2yhV2",
		"$5$rounds=999999999$saltstring$IDMRVjjzM7pxdq5saV3T0Syncing1KAt3iS2GewFZH1", "$y$$",
		"$y$j75$salt", "$pbkdf2-sha256$0$./9zYWx0$j5qMr2M/YUVlVuz6or2EZzk3.0setQ3.7ZiYknWLnww",
		"$pbkdf2-sha256$1000$./9zYWx0", "$pbkdf2-sha256$",
		"$pbkdf2-sha256$10000001$./9zYWx0$j5qMr2M/YUVlVuz6or2EZzk3.0setQ3.7ZiYknWLnww",
		"$pbkdf2-sha512$1000$./9zYWx0$j5qMr2M/YUVlVuz6or2EZzk3.0setQ3.7ZiYknWLnww",
		"$pbkdf2$1000$a$b", "$scram$x", "$apr1$x$y",
		"{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=",
		"{SCRAM-SHA-256}",
		"{SCRAM-SHA-256}0,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,wf"
			"PLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
		"{SCRAM-SHA-256}1000001,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4"
			"qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
		"{ARGON2}pencil",
		"$argon2d$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
		"$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
		"$argon2id$v=19$m=1048577,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
		"$argon2id$v=19$m=256,t=1001,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
		"$argon2id$v=19$m=256,t=2,p=65$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
		"$2b$19$abcdefghijklmnopqrstuu/FyAyuZSl3DbPdvio4KrIBdz2k2yhV2",
		"$5$rounds=10000001$saltstring$IDMRVjjzM7pxdq5saV3T0Syncing1KAt3iS2GewFZH1",
		"$argon2id$", "$argon2id$v=19$", "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ",
		"$argon2id$v=19$m=256,t=2,p=0$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQw",
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		const char *problem = password_problem(wrong[i]);

		ok(problem && *problem && !password_check(wrong[i], wrong[i], strlen(wrong[i]))
			&& !password_allows_scram(wrong[i]),
			"%.40s: %s", wrong[i], problem ? problem : "taken");
	}
}

static void long_salts(void)
{
	struct buffer raw = { 0 }, text = { 0 };

	while (raw.size < 1088)		/* of 64 octets at most a digest has, and 1024 of its salt */
		buffer_append_char(&raw, 'x');
	for (unsigned more = 0; more < 2; more++) {
		buffer_reset(&text);
		buffer_append_str(&text, "{SSHA512}");
		base64_append(&text, raw.data, raw.size);
		ok(!password_problem(buffer_str(&text)) == !more, "a salt of %zu octets", raw.size - 64);
		buffer_append_char(&raw, 'x');
	}
	buffer_release(&raw);
	buffer_release(&text);
}

static void plain_text(void)
{
	ok(password_is_bare("pencil") && password_is_bare("pen}cil") && password_is_bare("{pencil") && password_is_bare("$ecret")
		&& password_is_bare("pa$s$word"), "what looks like nothing else is plain text");
	ok(!password_is_bare("{PLAIN}pencil") && !password_is_bare("{SHA}x") && !password_is_bare("{FOO}x")
		&& !password_is_bare("$x$y"), "not what says that it is, or may be something else");
	ok(password_check("{PLAIN}{FOO}x", "{FOO}x", 6), "which {PLAIN} allows");
	ok(password_check("p\xc3\xa4ss", "p\xc3\xa4ss", 5), "UTF-8");
	ok(!password_check("pencil", "pencil\0x", 8), "a NUL ends nothing");
}

/* Each octet of what is compared counts: of so many some begin as the right one does. */
static void wrong_proofs(const struct password_salt *salt, const char *message, unsigned char proof[SCRAM_KEY_SIZE])
{
	unsigned char signature[SCRAM_KEY_SIZE];
	unsigned right = 0;

	for (unsigned i = 1; i < 4096; i++) {
		proof[i % SCRAM_KEY_SIZE] ^= (unsigned char)(i / SCRAM_KEY_SIZE + 1);
		right += password_scram_check(stored[15], salt, message, strlen(message), proof, signature);
	}
	is_int(right, 0, "no wrong proof is taken");
}

/* RFC 7677 section 3 */
static void scram(void)
{
	static const char message[] = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
		"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
	struct buffer proof = { 0 }, text = { 0 };
	struct password_salt salt = { .iterations = 7 };
	unsigned char signature[SCRAM_KEY_SIZE];
	const char *keys = stored[15];

	base64_decode(&proof, "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", 44);
	ok(password_scram_salt(keys, &salt) && salt.size == 16 && salt.iterations == 4096, "the keys have their salt");
	for (size_t i = 0; i < 3; i++) {
		const char *form = i == 0 ? keys : i == 1 ? "pencil" : "{PLAIN}pencil";
		const char *wrong = i == 0 ? stored[16] : i == 1 ? "pencil " : "{PLAIN}Pencil";

		ok(password_allows_scram(form), "%.14s allows SCRAM", form);
		ok(password_scram_check(form, &salt, message, strlen(message), (unsigned char *)proof.data, signature), "right");
		base64_append(&text, signature, sizeof(signature));
		ok(strcmp(buffer_str(&text), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=") == 0, "the server's signature");
		buffer_release(&text);
		ok(!password_scram_check(form, &salt, message, strlen(message) - 1, (unsigned char *)proof.data, signature)
			&& !password_scram_check(wrong, &salt, message, strlen(message), (unsigned char *)proof.data, signature),
			"another message, another password");
	}
	ok(!password_allows_scram(stored[4]) && !password_scram_salt(stored[4], &salt)
		&& !password_scram_salt("pencil", &salt), "no digest allows it, plain text has no salt");
	ok(!password_scram_check(stored[4], &salt, message, strlen(message), (unsigned char *)proof.data, signature),
		"nor matches");
	wrong_proofs(&salt, message, (unsigned char *)proof.data);
	buffer_release(&proof);
}

int main(void)
{
	forms();
	wrong_forms();
	long_salts();
	plain_text();
	scram();
	return done_testing();
}
