/* idn.c - domains as the DNS has them
 * SPDX-License-Identifier: MIT */
#include "common/net/idn.h"

#include <ctype.h>
#include <idn2.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/text.h"

#define DOMAIN_MAX 253
#define LABEL_MAX 63
#define INPUT_MAX 1024		/* of what is worth to be converted */

static bool is_domain(const char *text)
{
	size_t size = strlen(text), label = 0;

	if (!size || size > DOMAIN_MAX)
		return false;
	for (size_t i = 0; i <= size; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '.' || !c) {
			if (!label || label > LABEL_MAX)
				return false;
			label = 0;
		} else {
			if (c >= 0x80 || (!isalnum(c) && c != '-' && c != '_'))
				return false;
			label++;
		}
	}
	return true;
}

static char *convert(const char *domain)
{
	uint8_t *found = NULL;
	char *ascii = NULL;

	if (text_is_ascii(domain, strlen(domain)))
		return xstrdup(domain);
	if (!utf8_is_valid(domain, strlen(domain)))
		return NULL;
	if (idn2_lookup_u8((const uint8_t *)domain, &found, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT) == IDN2_OK)
		ascii = xstrdup((const char *)found);
	idn2_free(found);
	return ascii;
}

char *idn_to_ascii(const char *domain)
{
	char *ascii = strlen(domain) > INPUT_MAX ? NULL : convert(domain);

	if (!ascii)
		return NULL;
	text_lower(ascii);
	if (text_has_suffix(ascii, "."))
		ascii[strlen(ascii) - 1] = '\0';
	if (is_domain(ascii))
		return ascii;
	free(ascii);
	return NULL;
}
