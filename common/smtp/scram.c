/* scram.c - what SCRAM-SHA-256 calculates (RFC 5802 section 3, RFC 7677)
 * SPDX-License-Identifier: MIT
 * The salted password is PBKDF2 (RFC 8018 5.2) with one block of output. OpenSSL's own cannot be left and entered again. */
#include "common/smtp/scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/base64.h"
#include "common/base/buffer.h"
#include "common/base/memory.h"

#define BLOCK_SIZE 64		/* of SHA-256 */
#define NONCE_OCTETS 18

struct scram_salting {
	EVP_MD_CTX *inner, *outer, *work;	/* both begun with the password: HMAC without its key being hashed again */
	unsigned char last[SCRAM_KEY_SIZE], key[SCRAM_KEY_SIZE];
	unsigned left;				/* iterations */
};

static void must(int done)
{
	if (done != 1)
		BUG("SHA-256 failed");
}

static void hmac(unsigned char out[SCRAM_KEY_SIZE], const void *key, size_t key_size, const void *data, size_t size)
{
	must(HMAC(EVP_sha256(), key, (int)key_size, data, size, out, NULL) != NULL);
}

static EVP_MD_CTX *begin(const unsigned char key[BLOCK_SIZE], unsigned char pad)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char block[BLOCK_SIZE];

	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = key[i] ^ pad;
	must(context && EVP_DigestInit_ex(context, EVP_sha256(), NULL));
	must(EVP_DigestUpdate(context, block, sizeof(block)));
	OPENSSL_cleanse(block, sizeof(block));
	return context;
}

struct scram_salting *scram_salting_new(const char *password, size_t password_size, const void *salt, size_t salt_size,
	unsigned iterations)
{
	struct scram_salting *salting = xcalloc(1, sizeof(*salting));
	static const unsigned char block[4] = { 0, 0, 0, 1 };
	unsigned char key[BLOCK_SIZE] = { 0 };
	unsigned char *first = xmalloc(salt_size + sizeof(block));

	if (password_size > sizeof(key))
		must(EVP_Digest(password, password_size, key, NULL, EVP_sha256(), NULL));
	else
		memcpy(key, password, password_size);
	salting->inner = begin(key, 0x36);
	salting->outer = begin(key, 0x5c);
	salting->work = EVP_MD_CTX_new();
	must(salting->work != NULL);
	if (salt_size)
		memcpy(first, salt, salt_size);
	memcpy(first + salt_size, block, sizeof(block));
	hmac(salting->last, password, password_size, first, salt_size + sizeof(block));
	memcpy(salting->key, salting->last, sizeof(salting->key));
	salting->left = iterations ? iterations - 1 : 0;
	OPENSSL_cleanse(key, sizeof(key));
	free(first);
	return salting;
}

void scram_salting_free(struct scram_salting *salting)
{
	if (!salting)
		return;
	EVP_MD_CTX_free(salting->inner);
	EVP_MD_CTX_free(salting->outer);
	EVP_MD_CTX_free(salting->work);
	OPENSSL_cleanse(salting, sizeof(*salting));
	free(salting);
}

static void iterate(struct scram_salting *salting)
{
	must(EVP_MD_CTX_copy_ex(salting->work, salting->inner));
	must(EVP_DigestUpdate(salting->work, salting->last, sizeof(salting->last)));
	must(EVP_DigestFinal_ex(salting->work, salting->last, NULL));
	must(EVP_MD_CTX_copy_ex(salting->work, salting->outer));
	must(EVP_DigestUpdate(salting->work, salting->last, sizeof(salting->last)));
	must(EVP_DigestFinal_ex(salting->work, salting->last, NULL));
	for (size_t i = 0; i < sizeof(salting->key); i++)
		salting->key[i] ^= salting->last[i];
}

bool scram_salting_run(struct scram_salting *salting, unsigned iterations)
{
	for (; iterations && salting->left; iterations--, salting->left--)
		iterate(salting);
	return !salting->left;
}

const unsigned char *scram_salting_key(const struct scram_salting *salting)
{
	return salting->key;
}

void scram_prove(struct scram_proof *proof, const unsigned char key[SCRAM_KEY_SIZE], const char *auth_message, size_t size)
{
	unsigned char client_key[SCRAM_KEY_SIZE], stored_key[SCRAM_KEY_SIZE], server_key[SCRAM_KEY_SIZE];

	hmac(client_key, key, SCRAM_KEY_SIZE, "Client Key", 10);
	must(EVP_Digest(client_key, sizeof(client_key), stored_key, NULL, EVP_sha256(), NULL));
	hmac(proof->client, stored_key, sizeof(stored_key), auth_message, size);
	for (size_t i = 0; i < sizeof(proof->client); i++)
		proof->client[i] ^= client_key[i];
	hmac(server_key, key, SCRAM_KEY_SIZE, "Server Key", 10);
	hmac(proof->server, server_key, sizeof(server_key), auth_message, size);
	OPENSSL_cleanse(client_key, sizeof(client_key));
	OPENSSL_cleanse(server_key, sizeof(server_key));
}

void scram_make_keys(struct scram_keys *keys, const char *password, size_t password_size, const void *salt, size_t salt_size,
	unsigned iterations)
{
	unsigned char key[SCRAM_KEY_SIZE], client_key[SCRAM_KEY_SIZE];

	must(PKCS5_PBKDF2_HMAC(password, (int)password_size, salt, (int)salt_size, (int)iterations, EVP_sha256(), sizeof(key),
		key));
	hmac(client_key, key, sizeof(key), "Client Key", 10);
	must(EVP_Digest(client_key, sizeof(client_key), keys->stored, NULL, EVP_sha256(), NULL));
	hmac(keys->server, key, sizeof(key), "Server Key", 10);
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(client_key, sizeof(client_key));
}

bool scram_keys_equal(const struct scram_keys *a, const struct scram_keys *b)
{
	return CRYPTO_memcmp(a, b, sizeof(*a)) == 0;
}

bool scram_verify(const struct scram_keys *keys, const char *auth_message, size_t size,
	const unsigned char client_proof[SCRAM_KEY_SIZE], unsigned char signature[SCRAM_KEY_SIZE])
{
	unsigned char client_key[SCRAM_KEY_SIZE], stored_key[SCRAM_KEY_SIZE];
	bool same;

	hmac(client_key, keys->stored, sizeof(keys->stored), auth_message, size);
	for (size_t i = 0; i < sizeof(client_key); i++)
		client_key[i] ^= client_proof[i];
	must(EVP_Digest(client_key, sizeof(client_key), stored_key, NULL, EVP_sha256(), NULL));
	same = CRYPTO_memcmp(stored_key, keys->stored, sizeof(stored_key)) == 0;
	hmac(signature, keys->server, sizeof(keys->server), auth_message, size);
	OPENSSL_cleanse(client_key, sizeof(client_key));
	return same;
}

/* ---- what messages are made of */

char *scram_nonce_new(void)
{
	unsigned char random[NONCE_OCTETS];
	struct buffer text = { 0 };

	if (RAND_bytes(random, sizeof(random)) != 1)
		BUG("no random octets");
	base64_append(&text, random, sizeof(random));
	return buffer_detach(&text);
}

const char *scram_attribute(const char **text, size_t *size, char name, size_t *value_size)
{
	const char *value = *text + 2, *comma;

	if (*size < 2 || (*text)[0] != name || (*text)[1] != '=')
		return NULL;
	comma = memchr(value, ',', *size - 2);
	*value_size = comma ? (size_t)(comma - value) : *size - 2;
	*text = value + *value_size + (comma ? 1 : 0);
	*size -= 2 + *value_size + (comma ? 1 : 0);
	return value;
}

bool scram_is_nonce(const char *nonce, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (nonce[i] <= ' ' || nonce[i] == 0x7f || nonce[i] == ',')
			return false;
	return size > 0;
}
