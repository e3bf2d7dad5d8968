/* sasl_server_scram.c - SCRAM-SHA-256 at the server (RFC 5802 sections 5 and 7, RFC 7677)
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "common/base/base64.h"
#include "common/base/memory.h"
#include "common/smtp/sasl_server_private.h"

#define MESSAGE_MAX 2048	/* octets of a client's message */
#define NONCE_MAX 128		/* of the client's part of the nonce */

/* ",p=" and the proof in base64 are the last of a client-final-message. */
#define PROOF_SIZE 44
#define PROOF_PART (3 + PROOF_SIZE)

/* saslname: "=2C" is a comma, "=3D" a "=". False: it is none. */
static bool decode_name(char **name, const char *text, size_t size)
{
	struct buffer plain = { 0 };
	bool good = true;

	for (size_t i = 0; good && i < size; i++) {
		if (text[i] != '=') {
			buffer_append_char(&plain, text[i]);
			continue;
		}
		good = size - i > 2 && (memcmp(text + i, "=2C", 3) == 0 || memcmp(text + i, "=3D", 3) == 0);
		if (good)
			buffer_append_char(&plain, text[i + 1] == '2' ? ',' : '=');
		i += 2;
	}
	good = good && plain.size && sasl_server_set_name(name, buffer_str(&plain), plain.size);
	buffer_release(&plain);
	return good;
}

/* ---- client-first-message: gs2-header client-first-message-bare */

/* "n,," or "y,a=NAME,": its length, 0 if it is none, or asks for a channel binding. */
static size_t read_header(struct sasl_server *server, const char *text, size_t size)
{
	const char *rest = text + 2, *name;
	size_t left = size - 2, name_size = 0;

	if (size < 3 || (text[0] != 'n' && text[0] != 'y') || text[1] != ',')
		return 0;
	if (*rest == ',')
		return 3;
	name = scram_attribute(&rest, &left, 'a', &name_size);
	if (!name || rest[-1] != ',' || !left || !decode_name(&server->authzid, name, name_size))
		return 0;
	return (size_t)(rest - text);
}

static enum sasl_result read_first(struct sasl_server *server, const char *text, size_t size)
{
	struct sasl_server_scram *scram = &server->scram;
	size_t header = read_header(server, text, size), left = size - header, name_size = 0, nonce_size = 0;
	const char *rest = text + header, *name, *nonce;

	name = header ? scram_attribute(&rest, &left, 'n', &name_size) : NULL;
	nonce = name ? scram_attribute(&rest, &left, 'r', &nonce_size) : NULL;
	if (!nonce || nonce_size > NONCE_MAX || !scram_is_nonce(nonce, nonce_size))
		return SASL_MALFORMED;
	if (!decode_name(&server->authcid, name, name_size))
		return SASL_REFUSED;
	if (!scram->nonce)
		scram->nonce = scram_nonce_new();
	scram->whole_nonce = xasprintf("%.*s%s", (int)nonce_size, nonce, scram->nonce);
	scram->header = xstrndup(text, header);
	buffer_append(&scram->message, text + header, size - header);
	return sasl_server_ask(server, SASL_SALT);
}

/* ---- server-first-message */

static enum sasl_result salt_answered(struct sasl_server *server, const struct sasl_answer *answer, struct buffer *challenge)
{
	struct sasl_server_scram *scram = &server->scram;
	size_t before = challenge->size;

	if (!answer->salt_size || answer->salt_size > sizeof(answer->salt) || !answer->iterations)
		BUG("no salt");
	buffer_appendf(challenge, "r=%s,s=", scram->whole_nonce);
	base64_append(challenge, answer->salt, answer->salt_size);
	buffer_appendf(challenge, ",i=%u", answer->iterations);
	buffer_append_char(&scram->message, ',');
	buffer_append(&scram->message, challenge->data + before, challenge->size - before);
	scram->step = SCRAM_FINAL;
	return SASL_CHALLENGE;
}

/* ---- client-final-message */

static bool is_header(const struct sasl_server_scram *scram, const char *text, size_t size)
{
	struct buffer wanted = { 0 };
	bool same;

	base64_append(&wanted, scram->header, strlen(scram->header));
	same = wanted.size == size && memcmp(wanted.data, text, size) == 0;
	buffer_release(&wanted);
	return same;
}

static bool read_proof(struct sasl_server_scram *scram, const char *text)
{
	struct buffer proof = { 0 };
	bool good = memcmp(text, ",p=", 3) == 0 && base64_decode(&proof, text + 3, PROOF_SIZE) && proof.size == SCRAM_KEY_SIZE;

	if (good)
		memcpy(scram->proof, proof.data, SCRAM_KEY_SIZE);
	buffer_release(&proof);
	return good;
}

static enum sasl_result read_final(struct sasl_server *server, const char *text, size_t size)
{
	struct sasl_server_scram *scram = &server->scram;
	size_t left, header_size = 0, nonce_size = 0;
	const char *rest = text, *header, *nonce;

	if (size < PROOF_PART || !read_proof(scram, text + size - PROOF_PART))
		return SASL_MALFORMED;
	size -= PROOF_PART;
	left = size;
	header = scram_attribute(&rest, &left, 'c', &header_size);
	nonce = header ? scram_attribute(&rest, &left, 'r', &nonce_size) : NULL;
	if (!nonce || !is_header(scram, header, header_size))
		return SASL_MALFORMED;
	if (nonce_size != strlen(scram->whole_nonce) || memcmp(nonce, scram->whole_nonce, nonce_size) != 0)
		return SASL_MALFORMED;
	buffer_append_char(&scram->message, ',');
	buffer_append(&scram->message, text, size);
	sasl_server_ask(server, SASL_PROOF);
	server->question.message = scram->message.data;
	server->question.message_size = scram->message.size;
	server->question.proof = scram->proof;
	return SASL_ASKS;
}

/* ---- both */

enum sasl_result sasl_server_scram_input(struct sasl_server *server, const char *octets, size_t size, struct buffer *challenge)
{
	(void)challenge;
	if (!octets)
		return SASL_CHALLENGE;
	if (size > MESSAGE_MAX || memchr(octets, '\0', size))
		return SASL_MALFORMED;
	switch (server->scram.step) {
	case SCRAM_FIRST:
		return read_first(server, octets, size);
	case SCRAM_FINAL:
		return read_final(server, octets, size);
	case SCRAM_LAST:
		break;
	}
	return size ? SASL_MALFORMED : SASL_ACCEPTED;
}

enum sasl_result sasl_server_scram_answer(struct sasl_server *server, const struct sasl_answer *answer, struct buffer *challenge)
{
	if (server->scram.step == SCRAM_FIRST)
		return salt_answered(server, answer, challenge);
	buffer_append_str(challenge, "v=");
	base64_append(challenge, answer->signature, sizeof(answer->signature));
	server->scram.step = SCRAM_LAST;
	return SASL_CHALLENGE;
}
