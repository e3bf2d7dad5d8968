/* fuzz-sasl-server.c - what a client says that is asked who it is
 * SPDX-License-Identifier: MIT
 * The first octet says which mechanism, whether there is an initial response, and what the answers are; then a line is a
 * message, and "@" in it stands for NUL. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/smtp/sasl_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const char *name, bool may_be_empty)
{
	size_t size = strlen(name);

	if (size > SASL_NAME_MAX || (!size && !may_be_empty) || !utf8_is_valid(name, size))
		BUG("a name that is none");
	for (size_t i = 0; i < size; i++)
		if ((unsigned char)name[i] < ' ' || name[i] == 0x7f)
			BUG("a name with a control character");
}

static void check_question(const struct sasl_question *question)
{
	check_name(question->authcid, question->kind == SASL_NOBODY);
	check_name(question->authzid, true);
	if (question->kind == SASL_PASSWORD && (!question->password_size || question->password_size > SASL_PASSWORD_MAX
			|| strlen(question->password) != question->password_size))
		BUG("a password that is none");
	if (question->kind == SASL_PROOF && (!question->proof || !question->message_size
			|| memchr(question->message, '\0', question->message_size)))
		BUG("a proof of nothing");
}

static enum sasl_result answer(struct sasl_server *server, struct buffer *challenge)
{
	struct sasl_answer given = { .salt = "saltsalt", .salt_size = 8, .iterations = 4096 };

	check_question(sasl_server_question(server));
	return sasl_server_answer(server, &given, challenge);
}

/* False: it is over. */
static bool say(struct sasl_server *server, const char *text, size_t size, struct buffer *out)
{
	enum sasl_result result = sasl_server_input(server, text, size, out);

	if (result == SASL_ASKS)
		result = answer(server, out);
	if (result == SASL_REFUSED)
		check_question(sasl_server_question(server));
	if (result == SASL_REFUSED && sasl_server_question(server)->kind != SASL_NOBODY)
		BUG("refused, and asked");
	if (result == SASL_CHALLENGE && out->size > 375)
		BUG("a challenge that is no line");
	if (result != SASL_CHALLENGE && out->size)
		BUG("a challenge where the exchange is over");
	if (result == SASL_ACCEPTED)
		check_name(sasl_server_user(server), false);
	return result == SASL_CHALLENGE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "SCRAM-SHA-256", "PLAIN", "login", "SCRAM-SHA-256" };
	const char *name = names[size ? data[0] % 4 : 0];
	struct sasl_server *server = sasl_server_new(name, strlen(name), true);
	struct buffer out = { 0 };
	char *text = xmalloc(size + 1);
	bool on = true;

	sasl_server_set_nonce(server, "ours");
	for (size_t i = 0; i < size; i++)
		text[i] = data[i] == '@' ? '\0' : (char)data[i];
	if (size && data[0] & 4)
		on = say(server, NULL, 0, &out);
	for (size_t at = 1; at < size && on;) {
		const char *end = memchr(text + at, '\n', size - at);
		size_t length = end ? (size_t)(end - text) - at : size - at;
		char *exact = xmalloc(length + 1);	/* so that nobody reads beyond it unseen */

		memcpy(exact, text + at, length);
		exact = xrealloc(exact, length ? length : 1, 1);
		buffer_reset(&out);
		on = say(server, exact, length, &out);
		free(exact);
		at += length + 1;
	}
	buffer_release(&out);
	free(text);
	sasl_server_free(server);
	return 0;
}
