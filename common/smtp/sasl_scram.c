/* sasl_scram.c - the messages of SCRAM-SHA-256, at the client (RFC 5802 sections 5 and 7, RFC 7677)
 * SPDX-License-Identifier: MIT */
#include "common/smtp/sasl_scram.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/base64.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/smtp/sasl_prepare.h"
#include "common/smtp/scram.h"

#define SALT_MAX 1024
#define SERVER_ERROR_MAX 80	/* octets of what a server calls wrong */
#define REMEMBERED 4		/* salts: hosts of one name may differ */

struct salted {
	char *salt;		/* as the server wrote it; NULL: none */
	unsigned iterations;
	unsigned char key[SCRAM_KEY_SIZE];
};

struct sasl_memory {
	struct salted salted[REMEMBERED];
	size_t next;
};

struct sasl_scram {
	const struct sasl_credentials *credentials;
	char *nonce;
	struct buffer auth_message;	/* as far as it is known: client-first-bare,server-first,client-final-without-proof */
	char *salt;			/* in base64 */
	size_t nonce_at, nonce_size;	/* the server's, in auth_message */
	unsigned iterations;
	struct scram_salting *salting;
	bool has_key;
	unsigned char key[SCRAM_KEY_SIZE];
	struct scram_proof proof;
	char problem[128];
};

/* ---- what was calculated before */

struct sasl_memory *sasl_memory_new(void)
{
	return xcalloc(1, sizeof(struct sasl_memory));
}

void sasl_memory_free(struct sasl_memory *memory)
{
	if (!memory)
		return;
	for (size_t i = 0; i < REMEMBERED; i++)
		free(memory->salted[i].salt);
	OPENSSL_cleanse(memory, sizeof(*memory));
	free(memory);
}

static bool recall(struct sasl_scram *scram)
{
	const struct sasl_memory *memory = scram->credentials->memory;

	for (size_t i = 0; memory && i < REMEMBERED; i++) {
		const struct salted *salted = &memory->salted[i];

		if (salted->salt && salted->iterations == scram->iterations && strcmp(salted->salt, scram->salt) == 0) {
			memcpy(scram->key, salted->key, sizeof(scram->key));
			return true;
		}
	}
	return false;
}

static void remember(const struct sasl_scram *scram)
{
	struct sasl_memory *memory = scram->credentials->memory;
	struct salted *salted = memory ? &memory->salted[memory->next] : NULL;

	if (!memory)
		return;
	memory->next = (memory->next + 1) % REMEMBERED;
	xstrset(&salted->salt, scram->salt);
	salted->iterations = scram->iterations;
	memcpy(salted->key, scram->key, sizeof(salted->key));
}

/* ---- from the start to the end */

struct sasl_scram *sasl_scram_new(const struct sasl_credentials *credentials)
{
	struct sasl_scram *scram = xcalloc(1, sizeof(*scram));

	scram->credentials = credentials;
	scram->nonce = scram_nonce_new();
	return scram;
}

void sasl_scram_free(struct sasl_scram *scram)
{
	if (!scram)
		return;
	scram_salting_free(scram->salting);
	buffer_release(&scram->auth_message);
	free(scram->nonce);
	free(scram->salt);
	OPENSSL_cleanse(scram, sizeof(*scram));
	free(scram);
}

void sasl_scram_set_nonce(struct sasl_scram *scram, const char *nonce)
{
	xstrset(&scram->nonce, nonce);
}

/* ---- client-first-message */

void sasl_scram_first(struct sasl_scram *scram, struct buffer *out)
{
	struct buffer name = { 0 };

	buffer_reset(&scram->auth_message);
	buffer_append_str(&scram->auth_message, "n=");
	sasl_prepare(&name, scram->credentials->username);
	for (size_t i = 0; i < name.size; i++) {
		if (name.data[i] == ',' || name.data[i] == '=')
			buffer_append_str(&scram->auth_message, name.data[i] == ',' ? "=2C" : "=3D");
		else
			buffer_append_char(&scram->auth_message, name.data[i]);
	}
	buffer_release(&name);
	buffer_appendf(&scram->auth_message, ",r=%s", scram->nonce);
	buffer_append_str(out, "n,,");
	buffer_append(out, scram->auth_message.data, scram->auth_message.size);
}

/* ---- server-first-message: r=NONCE,s=SALT,i=NUMBER[,extensions] */

static bool is_nonce_of(const struct sasl_scram *scram, const char *nonce, size_t size)
{
	size_t ours = strlen(scram->nonce);

	return scram_is_nonce(nonce, size) && size > ours && memcmp(nonce, scram->nonce, ours) == 0;
}

static const char *begin_salting(struct sasl_scram *scram, const char *salt, size_t salt_size)
{
	struct buffer raw = { 0 }, password = { 0 };

	if (!salt_size || salt_size > SALT_MAX || !base64_decode(&raw, salt, salt_size)) {
		buffer_release(&raw);
		return "a salt that is none";
	}
	scram->salt = xstrndup(salt, salt_size);
	scram->has_key = recall(scram);
	if (!scram->has_key) {
		sasl_prepare(&password, scram->credentials->password);
		scram->salting = scram_salting_new(buffer_str(&password), password.size, raw.data, raw.size, scram->iterations);
		if (password.capacity)
			OPENSSL_cleanse(password.data, password.capacity);
		buffer_release(&password);
	}
	buffer_release(&raw);
	return NULL;
}

const char *sasl_scram_challenged(struct sasl_scram *scram, const char *text, size_t size)
{
	const char *rest = text, *nonce, *salt, *number;
	size_t left = size, nonce_size = 0, salt_size = 0, number_size = 0;
	uint64_t iterations = 0;

	if (size >= 2 && memcmp(text, "m=", 2) == 0)
		return "an extension that is not known";
	nonce = scram_attribute(&rest, &left, 'r', &nonce_size);
	salt = nonce ? scram_attribute(&rest, &left, 's', &salt_size) : NULL;
	number = salt ? scram_attribute(&rest, &left, 'i', &number_size) : NULL;
	if (!number || memchr(text, '\0', size))
		return "a challenge that is not SCRAM's";
	if (!is_nonce_of(scram, nonce, nonce_size))
		return "a nonce that is not of this exchange";
	if (number[0] == '0' || !parse_u64(number, number_size, SASL_ITERATIONS_MAX, &iterations))
		return "a number of iterations that is none, or too large";
	scram->iterations = (unsigned)iterations;
	buffer_append_char(&scram->auth_message, ',');
	scram->nonce_at = scram->auth_message.size + (size_t)(nonce - text);
	scram->nonce_size = nonce_size;
	buffer_append(&scram->auth_message, text, size);
	return begin_salting(scram, salt, salt_size);
}

/* ---- client-final-message */

bool sasl_scram_work(struct sasl_scram *scram, struct buffer *out)
{
	struct buffer final = { 0 };

	if (!scram->has_key) {
		if (!scram_salting_run(scram->salting, SCRAM_SLICE))
			return false;
		memcpy(scram->key, scram_salting_key(scram->salting), sizeof(scram->key));
		remember(scram);
	}
	/* "biws" is "n,,", what the first message began with. */
	buffer_append_str(&final, "c=biws,r=");
	buffer_append(&final, scram->auth_message.data + scram->nonce_at, scram->nonce_size);
	buffer_append_char(&scram->auth_message, ',');
	buffer_append(&scram->auth_message, final.data, final.size);
	scram_prove(&scram->proof, scram->key, scram->auth_message.data, scram->auth_message.size);
	buffer_append(out, final.data, final.size);
	buffer_append_str(out, ",p=");
	base64_append(out, scram->proof.client, sizeof(scram->proof.client));
	buffer_release(&final);
	return true;
}

/* ---- server-final-message: v=SIGNATURE or e=ERROR */

static const char *say_error(struct sasl_scram *scram, const char *error, size_t size)
{
	struct buffer text = { 0 };

	if (!size)
		return "an error without a name";
	escaped(&text, error, size < SERVER_ERROR_MAX ? size : SERVER_ERROR_MAX);
	snprintf(scram->problem, sizeof(scram->problem), "%s", buffer_str(&text));
	buffer_release(&text);
	return scram->problem;
}

const char *sasl_scram_finished(struct sasl_scram *scram, const char *text, size_t size)
{
	struct buffer signature = { 0 };
	const char *rest = text, *value;
	size_t left = size, value_size = 0;
	bool read, same;

	value = scram_attribute(&rest, &left, 'e', &value_size);
	if (value)
		return say_error(scram, value, value_size);
	value = scram_attribute(&rest, &left, 'v', &value_size);
	read = value && base64_decode(&signature, value, value_size);
	same = signature.size == SCRAM_KEY_SIZE && CRYPTO_memcmp(signature.data, scram->proof.server, SCRAM_KEY_SIZE) == 0;
	buffer_release(&signature);
	if (!read)
		return "an end of the exchange that is not SCRAM's";
	return same ? NULL : "the server does not know the password";
}
