/* password_argon2.c - passwords stored by Argon2 (RFC 9106)
 * SPDX-License-Identifier: MIT */
#include "config.h"

#include "common/lookup/password_form.h"

#if HAVE_LIBARGON2
#include <argon2.h>
#include <string.h>

#include "common/base/text.h"

#define MEMORY_MAX 1048576	/* KiB */
#define PASSES_MAX 1000
#define LANES_MAX 64

/* "NAME=NUMBER" at *at, which goes on behind it and the `end`. */
static bool read_number(const char **at, const char *name, char end, uint64_t most)
{
	size_t size;
	uint64_t number;

	if (!text_has_prefix(*at, name))
		return false;
	*at += strlen(name);
	size = strspn(*at, "0123456789");
	if (!parse_u64(*at, size, most, &number) || !number || (*at)[size] != end)
		return false;
	*at += size + 1;
	return true;
}

static bool has_text(const char **at, char end)
{
	size_t size = strspn(*at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");

	if (size < 4 || size > 1024 || (*at)[size] != end)
		return false;
	*at += size + 1;
	return true;
}

static argon2_type type_of(const char *value)
{
	return text_has_prefix(value, "$argon2id$") ? Argon2_id : Argon2_i;
}

const char *password_argon2_problem(const struct password_form *form, const char *value)
{
	const char *at = value;

	(void)form;
	if (!text_has_prefix(at, "$argon2id$") && !text_has_prefix(at, "$argon2i$"))
		return "not of Argon2id or Argon2i";
	at = strchr(at + 1, '$') + 1;
	if (text_has_prefix(at, "v="))
		if (!read_number(&at, "v=", '$', ARGON2_VERSION_13))
			return "of a version of Argon2 that is not known";
	if (!read_number(&at, "m=", ',', MEMORY_MAX) || !read_number(&at, "t=", ',', PASSES_MAX)
			|| !read_number(&at, "p=", '$', LANES_MAX))
		return "not m=KIB,t=PASSES,p=LANES, or more than 1 GiB, 1000 passes or 64 lanes";
	return has_text(&at, '$') && has_text(&at, '\0') ? NULL : "neither salt nor hash of Argon2";
}

bool password_argon2_check(const struct password_form *form, const char *value, const char *password, size_t size)
{
	(void)form;
	return argon2_verify(value, password, size, type_of(value)) == ARGON2_OK;
}

#else

const char *password_argon2_problem(const struct password_form *form, const char *value)
{
	(void)form;
	(void)value;
	return "of Argon2: this slimta was built without libargon2 (Debian's package libargon2-dev)";
}

bool password_argon2_check(const struct password_form *form, const char *value, const char *password, size_t size)
{
	(void)form;
	(void)value;
	(void)password;
	(void)size;
	return false;
}
#endif
