/* fuzz-smtp-reply.c - replies of SMTP servers, cut anywhere
 * SPDX-License-Identifier: MIT */
#include <stdint.h>

#include "common/base/memory.h"
#include "common/smtp/client_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct client_reply *reader)
{
	struct reply reply = { 0 };

	client_reply_get(reader, &reply);
	if (reply.code < 200 || reply.code > 599 || strlen(reply.text) > CLIENT_REPLY_TEXT_MAX)
		BUG("a reply of code %u", reply.code);
	for (const char *at = reply.text; *at; at++)
		if ((unsigned char)*at < ' ' && *at != '\n')
			BUG("a control character in a reply");
	reply_release(&reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct client_reply reader = { 0 };
	size_t at = 0, end = 0, step = size ? data[0] % 16 + 1 : 1, taken;

	while (end < size) {
		enum client_reply_result result;

		end = end + step < size ? end + step : size;
		result = client_reply_next(&reader, text + at, end - at, &taken);
		at += taken;
		if (at > end || reader.text.size > CLIENT_REPLY_TEXT_MAX + CLIENT_REPLY_LINE_MAX)
			BUG("more was taken than is there, or kept than is allowed");
		if (result == CLIENT_REPLY_MORE && end - at >= CLIENT_REPLY_LINE_MAX)
			BUG("a line without an end is waited for");
		if (result == CLIENT_REPLY_BROKEN)
			break;
		if (result == CLIENT_REPLY_READ) {
			check(&reader);
			client_reply_reset(&reader);
			end = at;
		}
	}
	client_reply_reset(&reader);
	return 0;
}
