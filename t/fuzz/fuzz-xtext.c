/* fuzz-xtext.c - values of ENVID and ORCPT
 * SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/message/xtext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Nothing that could end a line, and as much as is sent is read again. */
static void check_text(const char *text)
{
	for (const char *c = text; *c; c++)
		if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f)
			BUG("a control character was taken");
	if (!utf8_is_valid(text, strlen(text)))
		BUG("not UTF-8");
}

static void check_sent(const struct buffer *out, bool utf8)
{
	if (strpbrk(buffer_str(out), " =\t\r\n") ||
			(!utf8 && !text_is_ascii(buffer_str(out), out->size)))
		BUG("what may not be in a parameter is");
}

static void envid(const char *text, size_t size)
{
	char *taken = xtext_decode(text, size), *again;
	struct buffer out = { 0 };

	if (!taken)
		return;
	check_text(taken);
	xtext_encode(&out, taken, strlen(taken));
	check_sent(&out, false);
	again = xtext_decode(buffer_str(&out), out.size);
	if (!again || strcmp(again, taken))
		BUG("not read again");
	free(again);
	free(taken);
	buffer_release(&out);
}

static void orcpt(const char *text, size_t size, bool utf8)
{
	char *taken = orcpt_decode(text, size, utf8), *again;
	struct buffer out = { 0 };

	if (!taken)
		return;
	check_text(taken);
	if (!orcpt_address(taken))
		BUG("no address");
	for (int way = 0; way < 2; way++) {
		buffer_reset(&out);
		orcpt_encode(&out, taken, way);
		check_sent(&out, way);
		again = orcpt_decode(buffer_str(&out), out.size, true);
		if (!again || strcmp(again, taken))
			BUG("not read again");
		free(again);
	}
	free(taken);
	buffer_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;

	envid(text, size);
	orcpt(text, size, false);
	orcpt(text, size, true);
	return 0;
}
