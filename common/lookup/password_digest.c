/* password_digest.c - passwords stored as digests, by PBKDF2, and as the keys of SCRAM
 * SPDX-License-Identifier: MIT
 * RFC 2307 5.3 and what LDAP servers made of it, RFC 8018 5.2, RFC 5802. */
#include <openssl/crypto.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/lookup/password_form.h"
#include "common/smtp/sasl_client.h"
#include "common/smtp/sasl_prepare.h"

#define SALT_MAX 1024
#define ROUNDS_MAX 10000000	/* some seconds */

/* ---- digests, with the salt behind them */

static long read_digest(const struct password_form *form, const char *value, unsigned char *raw, size_t room)
{
	long size = password_decode(raw, room, value, strlen(value)), digest = EVP_MD_get_size(form->digest());

	return form->salted ? (size > digest ? size : -1) : (size == digest ? size : -1);
}

const char *password_digest_problem(const struct password_form *form, const char *value)
{
	unsigned char raw[EVP_MAX_MD_SIZE + SALT_MAX];

	return read_digest(form, value, raw, sizeof(raw)) < 0 ? form->salted ? "neither digest nor salt in base64" :
		"no digest in base64" : NULL;
}

bool password_digest_check(const struct password_form *form, const char *value, const char *password, size_t size)
{
	unsigned char raw[EVP_MAX_MD_SIZE + SALT_MAX], made[EVP_MAX_MD_SIZE];
	long raw_size = read_digest(form, value, raw, sizeof(raw));
	size_t digest = (size_t)EVP_MD_get_size(form->digest());
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool same;

	if (raw_size < 0)
		BUG("a digest that was right is wrong");
	if (!context || EVP_DigestInit_ex(context, form->digest(), NULL) != 1 || EVP_DigestUpdate(context, password, size) != 1
			|| EVP_DigestUpdate(context, raw + digest, (size_t)raw_size - digest) != 1
			|| EVP_DigestFinal_ex(context, made, NULL) != 1)
		BUG("a digest failed");
	EVP_MD_CTX_free(context);
	same = CRYPTO_memcmp(raw, made, digest) == 0;
	OPENSSL_cleanse(raw, sizeof(raw));
	OPENSSL_cleanse(made, sizeof(made));
	return same;
}

/* ---- ROUNDS$SALT$HASH */

struct pbkdf2 {
	uint64_t rounds;
	unsigned char salt[SALT_MAX], hash[EVP_MAX_MD_SIZE];
	long salt_size, hash_size;
};

static bool read_pbkdf2(const struct password_form *form, const char *value, struct pbkdf2 *p)
{
	const char *salt = strchr(value, '$'), *hash = salt ? strchr(salt + 1, '$') : NULL;

	if (!hash || value[0] == '0' || !parse_u64(value, (size_t)(salt - value), ROUNDS_MAX, &p->rounds))
		return false;
	p->salt_size = password_decode(p->salt, sizeof(p->salt), salt + 1, (size_t)(hash - salt) - 1);
	p->hash_size = password_decode(p->hash, sizeof(p->hash), hash + 1, strlen(hash + 1));
	return p->salt_size >= 0 && p->hash_size == EVP_MD_get_size(form->digest());
}

const char *password_pbkdf2_problem(const struct password_form *form, const char *value)
{
	struct pbkdf2 p;

	return read_pbkdf2(form, value, &p) ? NULL : "not ROUNDS$SALT$HASH, or more than 10000000 rounds";
}

bool password_pbkdf2_check(const struct password_form *form, const char *value, const char *password, size_t size)
{
	struct pbkdf2 p;
	unsigned char made[EVP_MAX_MD_SIZE];
	bool same;

	if (!read_pbkdf2(form, value, &p))
		BUG("a hash that was right is wrong");
	if (PKCS5_PBKDF2_HMAC(password, (int)size, p.salt, (int)p.salt_size, (int)p.rounds, form->digest(), (int)p.hash_size,
			made) != 1)
		BUG("PBKDF2 failed");
	same = CRYPTO_memcmp(p.hash, made, (size_t)p.hash_size) == 0;
	OPENSSL_cleanse(&p, sizeof(p));
	OPENSSL_cleanse(made, sizeof(made));
	return same;
}

/* ---- ITERATIONS,SALT,STOREDKEY,SERVERKEY */

static bool read_key(unsigned char key[SCRAM_KEY_SIZE], const char *text, size_t size)
{
	return password_decode(key, SCRAM_KEY_SIZE, text, size) == SCRAM_KEY_SIZE;
}

bool password_scram_parse(const char *value, struct password_salt *salt, struct scram_keys *keys)
{
	const char *salts = strchr(value, ','), *stored = salts ? strchr(salts + 1, ',') : NULL;
	const char *server = stored ? strchr(stored + 1, ',') : NULL;
	uint64_t iterations;
	long size;

	if (!server || value[0] == '0' || !parse_u64(value, (size_t)(salts - value), SASL_ITERATIONS_MAX, &iterations))
		return false;
	size = password_decode(salt->octets, sizeof(salt->octets), salts + 1, (size_t)(stored - salts) - 1);
	salt->size = size > 0 ? (size_t)size : 0;
	salt->iterations = (unsigned)iterations;
	return size > 0 && read_key(keys->stored, stored + 1, (size_t)(server - stored) - 1)
		&& read_key(keys->server, server + 1, strlen(server + 1));
}

const char *password_scram_problem(const struct password_form *form, const char *value)
{
	struct password_salt salt;
	struct scram_keys keys;

	(void)form;
	return password_scram_parse(value, &salt, &keys) ? NULL : "not ITERATIONS,SALT,STOREDKEY,SERVERKEY";
}

bool password_scram_check_plain(const struct password_form *form, const char *value, const char *password, size_t size)
{
	struct password_salt salt;
	struct scram_keys stored, made;
	struct buffer text = { 0 }, prepared = { 0 };
	bool same;

	(void)form;
	if (!password_scram_parse(value, &salt, &stored))
		BUG("keys that were right are wrong");
	buffer_append(&text, password, size);
	sasl_prepare(&prepared, buffer_str(&text));
	scram_make_keys(&made, buffer_str(&prepared), prepared.size, salt.octets, salt.size, salt.iterations);
	same = scram_keys_equal(&stored, &made);
	OPENSSL_cleanse(&stored, sizeof(stored));
	OPENSSL_cleanse(&made, sizeof(made));
	if (text.capacity)
		OPENSSL_cleanse(text.data, text.capacity);
	if (prepared.capacity)
		OPENSSL_cleanse(prepared.data, prepared.capacity);
	buffer_release(&text);
	buffer_release(&prepared);
	return same;
}
