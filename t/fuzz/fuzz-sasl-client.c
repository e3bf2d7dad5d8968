/* fuzz-sasl-client.c - challenges of a server that asks who a client is
 * SPDX-License-Identifier: MIT
 * The first octet says which mechanism, and whether the lines behind it are base64 already. */
#include <stdint.h>
#include <string.h>

#include "common/base/base64.h"
#include "common/base/memory.h"
#include "common/smtp/sasl_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct sasl_client *client, int result, const struct buffer *out)
{
	struct buffer raw = { 0 };

	if (result < 0 && (out->size || sasl_client_is_satisfied(client) || !*sasl_client_problem(client)))
		BUG("nonsense that was answered, or is none");
	if (!base64_decode(&raw, buffer_str(out), out->size))
		BUG("a response that is not base64");
	buffer_release(&raw);
}

static int challenge(struct sasl_client *client, const char *line, size_t size, bool is_encoded, struct buffer *out)
{
	struct buffer text = { 0 };
	int result;

	if (is_encoded)
		buffer_append(&text, line, strnlen(line, size));
	else
		base64_append(&text, line, size);
	result = sasl_client_next(client, buffer_str(&text), out);
	buffer_release(&text);
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "SCRAM-SHA-256", "PLAIN", "LOGIN", "SCRAM-SHA-256" };
	static const struct sasl_credentials user = { "user", "pencil", NULL };
	const char *mechanism = names[size ? data[0] % 4 : 0];
	struct sasl_client *client = sasl_client_new(mechanism, &user);
	struct buffer out = { 0 };
	int result = 0;

	if (mechanism[0] == 'S')
		sasl_client_set_nonce(client, "abc");
	if (!size || !(data[0] & 8))
		sasl_client_first(client, &out);
	for (size_t at = 1; at < size && result == 0;) {
		const uint8_t *end = memchr(data + at, '\n', size - at);
		size_t length = end ? (size_t)(end - data) - at : size - at;

		buffer_reset(&out);
		result = challenge(client, (const char *)data + at, length, data[0] & 4, &out);
		if (result == 1)
			result = sasl_client_work(client, &out);
		check(client, result, &out);
		at += length + 1;
	}
	buffer_release(&out);
	sasl_client_free(client);
	return 0;
}
