/* redis_part.c - arguments of a command
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "common/net/redis.h"

struct redis_part redis_text_part(const char *text)
{
	return (struct redis_part){ text, strlen(text) };
}

const char *redis_number_text(char text[REDIS_NUMBER_SIZE], int64_t number)
{
	snprintf(text, REDIS_NUMBER_SIZE, "%lld", (long long)number);
	return text;
}
