/* password.c - the forms in which passwords are stored, and whether one is right
 * SPDX-License-Identifier: MIT */
#include "common/lookup/password.h"

#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>

#include "common/base/base64.h"
#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/lookup/password_form.h"
#include "common/smtp/sasl_prepare.h"

static const char *plain_problem(const struct password_form *form, const char *value)
{
	(void)form;
	if (!*value)
		return "an empty password";
	return utf8_is_valid(value, strlen(value)) ? NULL : "a password that is not UTF-8";
}

/* Of digests: lengths may differ, and that may not be told by the time it takes either. */
static bool plain_check(const struct password_form *form, const char *value, const char *password, size_t size)
{
	unsigned char a[EVP_MAX_MD_SIZE], b[EVP_MAX_MD_SIZE];
	unsigned a_size = 0, b_size = 0;
	bool same;

	(void)form;
	if (EVP_Digest(value, strlen(value), a, &a_size, EVP_sha256(), NULL) != 1
			|| EVP_Digest(password, size, b, &b_size, EVP_sha256(), NULL) != 1)
		BUG("SHA-256 failed");
	same = CRYPTO_memcmp(a, b, a_size) == 0;
	OPENSSL_cleanse(a, sizeof(a));
	OPENSSL_cleanse(b, sizeof(b));
	return same;
}

static const struct password_form forms[] = {
	{ "PLAIN", plain_problem, plain_check, NULL, false },
	{ "CRYPT", password_crypt_problem, password_crypt_check, NULL, false },
	{ "ARGON2", password_argon2_problem, password_argon2_check, NULL, false },
	{ "SCRAM-SHA-256", password_scram_problem, password_scram_check_plain, NULL, false },
	{ "PBKDF2-SHA256", password_pbkdf2_problem, password_pbkdf2_check, EVP_sha256, true },
	{ "PBKDF2-SHA512", password_pbkdf2_problem, password_pbkdf2_check, EVP_sha512, true },
	{ "SHA", password_digest_problem, password_digest_check, EVP_sha1, false },
	{ "SSHA", password_digest_problem, password_digest_check, EVP_sha1, true },
	{ "SHA256", password_digest_problem, password_digest_check, EVP_sha256, false },
	{ "SSHA256", password_digest_problem, password_digest_check, EVP_sha256, true },
	{ "SHA512", password_digest_problem, password_digest_check, EVP_sha512, false },
	{ "SSHA512", password_digest_problem, password_digest_check, EVP_sha512, true },
};

/* Of what stands without a scheme: `skip` is not part of the value. */
static const struct {
	const char *prefix, *form;
	bool skip;
} modular[] = {
	{ "$5$", "CRYPT", false }, { "$6$", "CRYPT", false }, { "$2a$", "CRYPT", false }, { "$2b$", "CRYPT", false },
	{ "$2y$", "CRYPT", false }, { "$y$", "CRYPT", false }, { "$pbkdf2-sha256$", "PBKDF2-SHA256", true },
	{ "$pbkdf2-sha512$", "PBKDF2-SHA512", true }, { "$argon2id$", "ARGON2", false }, { "$argon2i$", "ARGON2", false },
};

static const struct password_form *form_named(const char *name, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		if (strlen(forms[i].name) == size && strncasecmp(forms[i].name, name, size) == 0)
			return &forms[i];
	return NULL;
}

/* $NAME$...: what some other software means by it would else be a password in plain text, and known to whoever sees it. */
static bool looks_modular(const char *stored)
{
	size_t size;

	if (stored[0] != '$')
		return false;
	size = strspn(stored + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
	return size && stored[1 + size] == '$';
}

static const struct password_form *find(const char *stored, const char **value, const char **problem)
{
	const char *end = stored[0] == '{' ? strchr(stored, '}') : NULL;
	const struct password_form *form;

	*value = stored;
	*problem = NULL;
	if (end) {
		*value = end + 1;
		form = form_named(stored + 1, (size_t)(end - stored) - 1);
		if (!form)
			*problem = "a {SCHEME} that is not known; plain text that looks so needs {PLAIN} before it";
		return form;
	}
	for (size_t i = 0; i < ARRAY_SIZE(modular); i++) {
		if (text_has_prefix(stored, modular[i].prefix)) {
			*value = stored + (modular[i].skip ? strlen(modular[i].prefix) : 0);
			return form_named(modular[i].form, strlen(modular[i].form));
		}
	}
	if (!looks_modular(stored))
		return &forms[0];
	*problem = "a $SCHEME$ that is not known; plain text that looks so needs {PLAIN} before it";
	return NULL;
}

static const struct password_form *find_right(const char *stored, const char **value)
{
	const char *problem;
	const struct password_form *form = find(stored, value, &problem);

	return form && !form->problem(form, *value) ? form : NULL;
}

const char *password_problem(const char *stored)
{
	const char *value, *problem;
	const struct password_form *form = find(stored, &value, &problem);

	return form ? form->problem(form, value) : problem;
}

bool password_is_bare(const char *stored)
{
	const char *value, *problem;

	return find(stored, &value, &problem) == &forms[0] && value == stored;
}

bool password_check(const char *stored, const char *password, size_t size)
{
	const char *value;
	const struct password_form *form = find_right(stored, &value);

	return form && form->check(form, value, password, size);
}

long password_decode(unsigned char *out, size_t room, const char *text, size_t size)
{
	struct buffer padded = { 0 }, raw = { 0 };
	long length = -1;

	while (size && text[size - 1] == '=')
		size--;
	buffer_reserve(&padded, size + 4);
	for (size_t i = 0; i < size; i++)
		buffer_append_char(&padded, text[i] == '.' ? '+' : text[i]);
	while (padded.size % 4)
		buffer_append_char(&padded, '=');
	buffer_reserve(&raw, padded.size);
	if (base64_decode(&raw, buffer_str(&padded), padded.size) && raw.size <= room) {
		if (raw.size)
			memcpy(out, raw.data, raw.size);
		length = (long)raw.size;
	}
	OPENSSL_cleanse(raw.data, raw.capacity);
	OPENSSL_cleanse(padded.data, padded.capacity);
	buffer_release(&padded);
	buffer_release(&raw);
	return length;
}

/* ---- SCRAM */

bool password_allows_scram(const char *stored)
{
	const char *value;
	const struct password_form *form = find_right(stored, &value);

	return form && (form->check == plain_check || form->check == password_scram_check_plain);
}

bool password_scram_salt(const char *stored, struct password_salt *salt)
{
	const char *value;
	const struct password_form *form = find_right(stored, &value);
	struct scram_keys keys;

	return form && form->check == password_scram_check_plain && password_scram_parse(value, salt, &keys);
}

bool password_scram_check(const char *stored, const struct password_salt *salt, const char *auth_message, size_t size,
	const unsigned char proof[SCRAM_KEY_SIZE], unsigned char signature[SCRAM_KEY_SIZE])
{
	const char *value;
	const struct password_form *form = find_right(stored, &value);
	struct password_salt own;
	struct scram_keys keys;
	struct buffer prepared = { 0 };
	bool right;

	if (!form || !password_allows_scram(stored))
		return false;
	if (form->check == plain_check) {
		sasl_prepare(&prepared, value);
		scram_make_keys(&keys, buffer_str(&prepared), prepared.size, salt->octets, salt->size, salt->iterations);
		OPENSSL_cleanse(prepared.data, prepared.capacity);
		buffer_release(&prepared);
	} else if (!password_scram_parse(value, &own, &keys)) {
		return false;
	}
	right = scram_verify(&keys, auth_message, size, proof, signature);
	OPENSSL_cleanse(&keys, sizeof(keys));
	return right;
}
