/* sasl_client.c - how a client says who it is: SCRAM-SHA-256, PLAIN, LOGIN
 * SPDX-License-Identifier: MIT */
#include "common/smtp/sasl_client.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/base64.h"
#include "common/base/memory.h"
#include "common/smtp/sasl_scram.h"

#define COMMAND_MAX 512		/* octets of a command with its line end */
#define CHALLENGE_MAX 12288	/* octets of base64 in a line (RFC 4954 section 4) */

enum step { FIRST, SECOND, LAST, OVER };

struct mechanism {
	const char *name;
	/* What the client begins with; NULL: the server does. */
	void (*first)(struct sasl_client *, struct buffer *raw);
	/* A challenge, decoded unless `ignores_text`; results as sasl_client_next(). */
	int (*next)(struct sasl_client *, const struct buffer *challenge, struct buffer *raw);
	bool ignores_text;
};

struct sasl_client {
	const struct mechanism *mechanism;
	const struct sasl_credentials *credentials;
	enum step step;
	bool satisfied;
	struct sasl_scram *scram;	/* NULL but for SCRAM */
	const char *problem;
};

static void wipe(struct buffer *buffer)
{
	if (buffer->capacity)
		OPENSSL_cleanse(buffer->data, buffer->capacity);
	buffer_release(buffer);
}

static int wrong(struct sasl_client *client, const char *problem)
{
	client->problem = problem;
	client->step = OVER;
	client->satisfied = false;
	return -1;
}

/* ---- PLAIN (RFC 4616): no authorization identity */

static void plain_first(struct sasl_client *client, struct buffer *raw)
{
	const struct sasl_credentials *credentials = client->credentials;

	buffer_reserve(raw, strlen(credentials->username) + strlen(credentials->password) + 3);
	buffer_append_char(raw, '\0');
	buffer_append_str(raw, credentials->username);
	buffer_append_char(raw, '\0');
	buffer_append_str(raw, credentials->password);
	client->step = OVER;
	client->satisfied = true;
}

static int no_next(struct sasl_client *client, const struct buffer *challenge, struct buffer *raw)
{
	(void)challenge;
	(void)raw;
	return wrong(client, "a challenge where none was expected");
}

/* ---- LOGIN: asked for the name, then for the password, in whatever words */

static int login_next(struct sasl_client *client, const struct buffer *challenge, struct buffer *raw)
{
	if (client->step == OVER)
		return no_next(client, challenge, raw);
	client->satisfied = client->step == SECOND;
	buffer_append_str(raw, client->satisfied ? client->credentials->password : client->credentials->username);
	client->step = client->satisfied ? OVER : SECOND;
	return 0;
}

/* ---- SCRAM-SHA-256 */

static void scram_first(struct sasl_client *client, struct buffer *raw)
{
	sasl_scram_first(client->scram, raw);
	client->step = SECOND;
}

static int scram_work(struct sasl_client *client, struct buffer *raw)
{
	if (!sasl_scram_work(client->scram, raw))
		return 1;
	client->step = LAST;
	return 0;
}

static int scram_next(struct sasl_client *client, const struct buffer *challenge, struct buffer *raw)
{
	const char *problem;

	if (client->step == SECOND) {
		problem = sasl_scram_challenged(client->scram, buffer_str(challenge), challenge->size);
		return problem ? wrong(client, problem) : scram_work(client, raw);
	}
	if (client->step != LAST)
		return no_next(client, challenge, raw);
	problem = sasl_scram_finished(client->scram, buffer_str(challenge), challenge->size);
	if (problem)
		return wrong(client, problem);
	client->step = OVER;
	client->satisfied = true;
	return 0;
}

/* ---- what they share; the best first */

static const struct mechanism mechanisms[] = {
	{ "SCRAM-SHA-256", scram_first, scram_next, false },
	{ "PLAIN", plain_first, no_next, false },
	{ "LOGIN", NULL, login_next, true },
};

static bool has_word(const char *words, const char *word)
{
	size_t size = strlen(word), length;

	for (; *words; words += length) {
		words += strspn(words, " \t");
		length = strcspn(words, " \t");
		if (length == size && strncasecmp(words, word, size) == 0)
			return true;
	}
	return false;
}

const char *sasl_client_choose(const char *offered)
{
	for (size_t i = 0; i < ARRAY_SIZE(mechanisms); i++)
		if (has_word(offered, mechanisms[i].name))
			return mechanisms[i].name;
	return NULL;
}

struct sasl_client *sasl_client_new(const char *mechanism, const struct sasl_credentials *credentials)
{
	struct sasl_client *client = xcalloc(1, sizeof(*client));

	for (size_t i = 0; i < ARRAY_SIZE(mechanisms); i++)
		if (strcasecmp(mechanism, mechanisms[i].name) == 0)
			client->mechanism = &mechanisms[i];
	if (!client->mechanism)
		BUG("no mechanism is named %s", mechanism);
	client->credentials = credentials;
	if (client->mechanism->first == scram_first)
		client->scram = sasl_scram_new(credentials);
	return client;
}

void sasl_client_free(struct sasl_client *client)
{
	if (!client)
		return;
	sasl_scram_free(client->scram);
	free(client);
}

void sasl_client_set_nonce(struct sasl_client *client, const char *nonce)
{
	sasl_scram_set_nonce(client->scram, nonce);
}

bool sasl_client_first(struct sasl_client *client, struct buffer *out)
{
	size_t before = out->size;
	struct buffer raw = { 0 };

	if (client->step != FIRST)
		BUG("an exchange is begun twice");
	if (!client->mechanism->first)
		return false;
	client->mechanism->first(client, &raw);
	base64_append(out, raw.data, raw.size);
	if (!raw.size)
		buffer_append_char(out, '=');
	wipe(&raw);
	if (strlen("AUTH ") + strlen(client->mechanism->name) + 1 + (out->size - before) + 2 <= COMMAND_MAX)
		return true;
	OPENSSL_cleanse(out->data + before, out->size - before);
	out->size = before;
	client->step = FIRST;
	client->satisfied = false;
	return false;
}

/* Some say the empty challenge as the empty initial response is said. */
static int decode(struct sasl_client *client, const char *challenge, struct buffer *out)
{
	size_t size;

	challenge += strspn(challenge, " \t");
	size = strlen(challenge);
	while (size && strchr(" \t\r\n", challenge[size - 1]))
		size--;
	if (client->mechanism->ignores_text || (size == 1 && challenge[0] == '='))
		return 0;
	if (size > CHALLENGE_MAX)
		return wrong(client, "a challenge that is too long");
	if (!base64_decode(out, challenge, size))
		return wrong(client, "a challenge that is not base64");
	return 0;
}

static int take(struct sasl_client *client, const struct buffer *challenge, struct buffer *raw)
{
	if (client->step != FIRST || !client->mechanism->first)
		return client->mechanism->next(client, challenge, raw);
	if (challenge->size)
		return wrong(client, "a challenge before anything was said");
	client->mechanism->first(client, raw);
	return 0;
}

static int respond(struct buffer *out, struct buffer *raw, int result)
{
	if (result == 0)
		base64_append(out, raw->data, raw->size);
	wipe(raw);
	return result;
}

int sasl_client_next(struct sasl_client *client, const char *text, struct buffer *out)
{
	struct buffer challenge = { 0 }, raw = { 0 };
	int result = decode(client, text, &challenge);

	if (result == 0)
		result = take(client, &challenge, &raw);
	buffer_release(&challenge);
	return respond(out, &raw, result);
}

int sasl_client_work(struct sasl_client *client, struct buffer *out)
{
	struct buffer raw = { 0 };

	if (!client->scram || client->step != SECOND)
		BUG("nothing is being calculated");
	return respond(out, &raw, scram_work(client, &raw));
}

bool sasl_client_is_satisfied(const struct sasl_client *client)
{
	return client->satisfied;
}

const char *sasl_client_problem(const struct sasl_client *client)
{
	return client->problem ? client->problem : "";
}
