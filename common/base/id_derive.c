/* id_derive.c - ids that follow from another message
 * SPDX-License-Identifier: MIT
 * Apart from id.c, so that only those who derive ids load libcrypto. */
#include <openssl/evp.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/id.h"
#include "common/base/memory.h"

#define TIME_DIGITS 10
#define DERIVED 16	/* the top bit of the digit behind the time */

static const char digits[] = "0123456789abcdefghijklmnopqrstuv";

void id_derive(const char *original_id, const void *what, size_t size, char id[ID_SIZE])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	struct buffer all = { 0 };

	if (!id_is_valid(original_id))
		BUG("an id derived from \"%s\"", original_id);
	buffer_append(&all, original_id, ID_LENGTH);
	buffer_append(&all, what, size);
	if (!EVP_Digest(all.data, all.size, sum, NULL, EVP_sha256(), NULL))
		BUG("no SHA-256");
	buffer_release(&all);
	memcpy(id, original_id, TIME_DIGITS);
	for (int i = TIME_DIGITS; i < ID_LENGTH; i++)
		id[i] = digits[sum[i] & 31];
	id[TIME_DIGITS] = digits[(sum[TIME_DIGITS] & 15) | DERIVED];
	id[ID_LENGTH] = '\0';
}
