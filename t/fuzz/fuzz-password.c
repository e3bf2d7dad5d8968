/* fuzz-password.c - what may stand where a password is stored
 * SPDX-License-Identifier: MIT
 * A line that is stored, then a password. Only forms that are cheap are checked. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/lookup/password.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_cheap(const char *stored)
{
	const char *digits = stored;

	if (strchr(stored, 'm') && strstr(stored, "argon2"))
		return false;
	if (strncmp(stored, "$2", 2) == 0 || strncmp(stored, "$y", 2) == 0 || strstr(stored, "}$2") || strstr(stored, "}$y"))
		return false;
	/* Rounds: no number of more than three digits. */
	for (; *digits; digits++)
		if (strspn(digits, "0123456789") > 3)
			return false;
	return true;
}

static void scram(const char *stored, const uint8_t *message, size_t size)
{
	static const unsigned char proof[SCRAM_KEY_SIZE] = "proof";
	struct password_salt salt = { .octets = "salt", .size = 4, .iterations = 2 };
	unsigned char signature[SCRAM_KEY_SIZE];
	bool allows = password_allows_scram(stored);

	if (password_scram_salt(stored, &salt) && (!allows || !salt.size || salt.size > PASSWORD_SALT_MAX || !salt.iterations))
		BUG("a salt that is none");
	if (password_scram_check(stored, &salt, (const char *)message, size, proof, signature))
		BUG("a proof that is none");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, '\n', size);
	size_t length = end ? (size_t)(end - data) : size, rest = end ? size - length - 1 : 0;
	char *stored = xstrndup((const char *)data, length);
	const uint8_t *password = end ? end + 1 : data;
	bool cheap = is_cheap(stored);

	if (password_is_bare(stored) && password_problem(stored) == NULL
			&& !password_check(stored, stored, strlen(stored)))
		BUG("plain text is not itself");
	if (cheap && password_check(stored, (const char *)password, strnlen((const char *)password, rest))
			&& password_problem(stored))
		BUG("a form that is wrong matches");
	if (cheap)
		scram(stored, password, rest);
	free(stored);
	return 0;
}
