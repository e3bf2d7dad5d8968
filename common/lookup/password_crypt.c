/* password_crypt.c - passwords stored as crypt(3) makes them
 * SPDX-License-Identifier: MIT */
#include "config.h"

#include "common/lookup/password_form.h"

#if HAVE_LIBCRYPT
#include <crypt.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/text.h"

/* Beyond these a password would keep the thread for a minute. */
#define ROUNDS_MAX 10000000
#define BCRYPT_COST_MAX 18

/* `hash`: characters behind the last "$", or of bcrypt behind the cost. */
static const struct {
	const char *prefix;
	size_t hash;
} methods[] = {
	{ "$5$", 43 }, { "$6$", 86 }, { "$2a$", 53 }, { "$2b$", 53 }, { "$2y$", 53 }, { "$y$", 43 },
};

static bool is_bounded(const char *value)
{
	const char *rounds = value + 3, *end;
	uint64_t number;

	if (value[1] == '2')
		return parse_u64(value + 4, 2, BCRYPT_COST_MAX, &number);
	if (!text_has_prefix(rounds, "rounds="))
		return true;
	rounds += strlen("rounds=");
	end = strchr(rounds, '$');
	return end && parse_u64(rounds, (size_t)(end - rounds), ROUNDS_MAX, &number);
}

const char *password_crypt_problem(const struct password_form *form, const char *value)
{
	int known;

	(void)form;
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		if (!text_has_prefix(value, methods[i].prefix))
			continue;
		if (strlen(strrchr(value, '$') + 1) != methods[i].hash || strlen(value) >= CRYPT_OUTPUT_SIZE)
			return "not whole";
		if (!is_bounded(value))
			return "more rounds than can be waited for";
		known = crypt_checksalt(value);
		return known == CRYPT_SALT_INVALID || known == CRYPT_SALT_METHOD_DISABLED ? "not known to libcrypt" : NULL;
	}
	return "not of crypt(3)'s methods $5$, $6$, $2b$ and $y$";
}

bool password_crypt_check(const struct password_form *form, const char *value, const char *password, size_t size)
{
	struct crypt_data *data = xcalloc(1, sizeof(*data));
	char *text = xstrndup(password, size);
	const char *made = crypt_rn(text, value, data, sizeof(*data));
	bool same = made && strlen(made) == strlen(value) && CRYPTO_memcmp(made, value, strlen(value)) == 0;

	(void)form;
	OPENSSL_cleanse(text, size);
	OPENSSL_cleanse(data, sizeof(*data));
	free(text);
	free(data);
	return same;
}

#else

const char *password_crypt_problem(const struct password_form *form, const char *value)
{
	(void)form;
	(void)value;
	return "of crypt(3): this slimta was built without libcrypt (Debian's package libcrypt-dev)";
}

bool password_crypt_check(const struct password_form *form, const char *value, const char *password, size_t size)
{
	(void)form;
	(void)value;
	(void)password;
	(void)size;
	return false;
}
#endif
