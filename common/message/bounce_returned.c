/* bounce_returned.c - the third part of a notification: the original, or its header
 * SPDX-License-Identifier: MIT
 * message/rfc822 cannot be encoded (RFC 2046 5.2.1): without proper lines only a header comes back. */
#include <errno.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/text.h"
#include "common/message/bounce_parts.h"
#include "common/message/header.h"
#include "common/message/quoted_printable.h"

#define LINE_SIZE_MAX 998	/* RFC 5322 2.1.1, without CR LF */
#define HEADER_SIZE_MAX 65536

/* Whether the octets are lines that any server takes. */
static bool has_lines(const char *data, size_t size)
{
	size_t start = 0;

	if (memchr(data, '\0', size))
		return false;
	for (size_t at = 0; at < size; at++) {
		if (data[at] == '\n')
			return false;
		if (data[at] != '\r')
			continue;
		if (at + 1 == size || data[at + 1] != '\n' || at - start > LINE_SIZE_MAX)
			return false;
		start = ++at + 1;
	}
	return size - start <= LINE_SIZE_MAX;
}

/* The whole fields that the original's header begins with. */
static void read_header(const struct content *content, struct buffer *out)
{
	struct header_field field;
	size_t at = 0, whole = 0;

	buffer_append(out, content->prepended.data, content->prepended.size);
	buffer_append(out, content->memory.data, content->header_size);
	buffer_append(out, content->appended.data, content->appended.size);
	if (out->size <= HEADER_SIZE_MAX)
		return;
	while (header_next(out->data, out->size, &at, &field) && at <= HEADER_SIZE_MAX)
		whole = at;
	out->size = whole;
	out->data[whole] = '\0';
}

static int read_whole(const struct content *content, struct buffer *out)
{
	size_t size = (size_t)content_size(content);
	long got;

	buffer_reserve(out, size);
	got = content_read(content, 0, out->data, size);
	if (got < 0)
		return -1;
	if ((size_t)got != size) {
		errno = EIO;
		return -1;
	}
	out->size = size;
	out->data[size] = '\0';
	return 0;
}

static bool is_whole_wanted(const struct bounce *b)
{
	uint64_t size = content_size(&b->original->content);

	/* RFC 8689 5: REQUIRETLS is RET=HDRS, whatever RET says. */
	return bounce_action(b) == BOUNCE_FAILED && b->original->ret != 'H' && !b->original->requiretls && size > 0 &&
		size <= b->options->size_limit_bytes;
}

static void encode(struct bounce_part *part)
{
	struct buffer encoded = { 0 };

	quoted_printable_encode(&encoded, buffer_str(&part->octets), part->octets.size);
	buffer_release(&part->octets);
	part->octets = encoded;
	part->encoding = "quoted-printable";
}

/* `global`: a header in UTF-8, which the way back takes as it is or not at all. */
static void label_whole(const struct bounce *b, struct bounce_part *part, bool global)
{
	bool ascii = text_is_ascii(part->octets.data, part->octets.size);

	part->type = global ? "message/global" : "message/rfc822";
	part->encoding = ascii ? "7bit" : "8bit";
	if (global && !b->utf8)
		encode(part);
}

static void label_header(const struct bounce *b, struct bounce_part *part, bool global)
{
	bool ascii = text_is_ascii(part->octets.data, part->octets.size);

	part->type = global ? "message/global-headers" : "text/rfc822-headers";
	part->encoding = ascii ? "7bit" : "8bit";
	if (!has_lines(part->octets.data, part->octets.size) || (!ascii && !(global && b->utf8)))
		encode(part);
}

int bounce_make_returned(const struct bounce *b, struct bounce_part *part, bool *whole)
{
	struct buffer header = { 0 };
	bool global;

	*part = (struct bounce_part){ 0 };
	read_header(&b->original->content, &header);
	global = b->original->smtputf8 && !text_is_ascii(buffer_str(&header), header.size) &&
		utf8_is_valid(header.data, header.size);
	*whole = is_whole_wanted(b);
	if (*whole && read_whole(&b->original->content, &part->octets) < 0) {
		buffer_release(&part->octets);
		buffer_release(&header);
		return -1;
	}
	*whole = *whole && has_lines(part->octets.data, part->octets.size);
	if (*whole) {
		buffer_release(&header);
		label_whole(b, part, global);
		return 0;
	}
	buffer_release(&part->octets);
	part->octets = header;
	if (header.size)
		label_header(b, part, global);
	return 0;
}
