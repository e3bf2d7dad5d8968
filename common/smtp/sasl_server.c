/* sasl_server.c - how a server finds out who a client is: PLAIN, LOGIN, and what all mechanisms share
 * SPDX-License-Identifier: MIT */
#include "common/smtp/sasl_server.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/smtp/sasl_server_private.h"

static void wipe(char **text)
{
	if (*text)
		OPENSSL_cleanse(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

bool sasl_server_set_name(char **name, const char *text, size_t size)
{
	if (size > SASL_NAME_MAX || !utf8_is_valid(text, size))
		return false;
	for (size_t i = 0; i < size; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return false;
	free(*name);
	*name = xstrndup(text, size);
	return true;
}

static void set_question(struct sasl_server *server, enum sasl_question_kind kind)
{
	server->question = (struct sasl_question){ .kind = kind, .mechanism = server->mechanism->name,
		.authcid = server->authcid ? server->authcid : "", .authzid = server->authzid ? server->authzid : "" };
}

enum sasl_result sasl_server_ask(struct sasl_server *server, enum sasl_question_kind kind)
{
	set_question(server, kind);
	server->asks = true;
	return SASL_ASKS;
}

static enum sasl_result ask_password(struct sasl_server *server, const char *password, size_t size)
{
	if (memchr(password, '\0', size))
		return SASL_MALFORMED;
	if (size == 0 || size > SASL_PASSWORD_MAX)
		return SASL_REFUSED;
	server->password = xstrndup(password, size);
	sasl_server_ask(server, SASL_PASSWORD);
	server->question.password = server->password;
	server->question.password_size = size;
	return SASL_ASKS;
}

static enum sasl_result password_is_right(struct sasl_server *server, const struct sasl_answer *answer, struct buffer *challenge)
{
	(void)answer;
	(void)challenge;
	wipe(&server->password);
	return SASL_ACCEPTED;
}

/* ---- PLAIN (RFC 4616): [authzid] NUL authcid NUL password */

static enum sasl_result plain_input(struct sasl_server *server, const char *octets, size_t size, struct buffer *challenge)
{
	const char *end = octets ? octets + size : NULL, *name, *password;

	(void)challenge;
	if (!octets)
		return SASL_CHALLENGE;
	name = memchr(octets, '\0', size);
	password = name ? memchr(name + 1, '\0', (size_t)(end - name) - 1) : NULL;
	if (!password || password == name + 1)
		return SASL_MALFORMED;
	if (!sasl_server_set_name(&server->authzid, octets, (size_t)(name - octets))
			|| !sasl_server_set_name(&server->authcid, name + 1, (size_t)(password - name) - 1))
		return SASL_REFUSED;
	return ask_password(server, password + 1, (size_t)(end - password) - 1);
}

/* ---- LOGIN: asks for the name, which some clients send at once, then for the password */

static enum sasl_result login_input(struct sasl_server *server, const char *octets, size_t size, struct buffer *challenge)
{
	if (!octets) {
		buffer_append_str(challenge, "Username:");
		return SASL_CHALLENGE;
	}
	if (server->authcid)
		return ask_password(server, octets, size);
	if (size == 0 || !sasl_server_set_name(&server->authcid, octets, size))
		return SASL_REFUSED;
	buffer_append_str(challenge, "Password:");
	return SASL_CHALLENGE;
}

/* ---- what they share */

static const struct sasl_mechanism mechanisms[] = {
	{ "SCRAM-SHA-256", sasl_server_scram_input, sasl_server_scram_answer },
	{ "PLAIN", plain_input, password_is_right },
	{ "LOGIN", login_input, password_is_right },
};

struct sasl_server *sasl_server_new(const char *mechanism, size_t size, bool scram)
{
	for (size_t i = scram ? 0 : 1; i < ARRAY_SIZE(mechanisms); i++) {
		if (strlen(mechanisms[i].name) == size && strncasecmp(mechanisms[i].name, mechanism, size) == 0) {
			struct sasl_server *server = xcalloc(1, sizeof(*server));

			server->mechanism = &mechanisms[i];
			return server;
		}
	}
	return NULL;
}

void sasl_server_free(struct sasl_server *server)
{
	if (!server)
		return;
	wipe(&server->password);
	free(server->authcid);
	free(server->authzid);
	buffer_release(&server->scram.message);
	free(server->scram.nonce);
	free(server->scram.whole_nonce);
	free(server->scram.header);
	OPENSSL_cleanse(server, sizeof(*server));
	free(server);
}

const char *sasl_server_mechanism(const struct sasl_server *server)
{
	return server->mechanism->name;
}

static enum sasl_result go_on(struct sasl_server *server, enum sasl_result result)
{
	if (result == SASL_REFUSED)
		set_question(server, SASL_NOBODY);
	server->over = result != SASL_CHALLENGE && result != SASL_ASKS;
	return result;
}

enum sasl_result sasl_server_input(struct sasl_server *server, const char *octets, size_t size, struct buffer *challenge)
{
	if (server->asks || server->over)
		BUG("input where none is due");
	return go_on(server, server->mechanism->input(server, octets, size, challenge));
}

const struct sasl_question *sasl_server_question(const struct sasl_server *server)
{
	return &server->question;
}

enum sasl_result sasl_server_answer(struct sasl_server *server, const struct sasl_answer *answer, struct buffer *challenge)
{
	if (!server->asks)
		BUG("an answer that nobody asked for");
	server->asks = false;
	return go_on(server, server->mechanism->answer(server, answer, challenge));
}

const char *sasl_server_user(const struct sasl_server *server)
{
	return server->authcid;
}

void sasl_server_set_nonce(struct sasl_server *server, const char *nonce)
{
	xstrset(&server->scram.nonce, nonce);
}
