/* content.c - the octets of a message
 * SPDX-License-Identifier: MIT */
#include "common/message/content.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/message/header.h"

void content_init(struct content *content)
{
	*content = (struct content){ .fd = -1 };
}

void content_release(struct content *content)
{
	buffer_release(&content->prepended);
	buffer_release(&content->appended);
	buffer_release(&content->memory);
	fd_close(&content->fd);
	content_init(content);
}

static size_t separator_size(const struct content *content)
{
	return content->needs_separator && content->prepended.size + content->appended.size ? 2 : 0;
}

uint64_t content_size(const struct content *content)
{
	return content->prepended.size + content->appended.size + separator_size(content) +
		content->memory.size + (content->fd < 0 ? 0 : content->fd_size);
}

static bool is_empty_line(const char *text, size_t size)
{
	return size && (text[0] == '\n' || (size > 1 && text[0] == '\r' && text[1] == '\n'));
}

/* A field may go on behind what we see: only one that is followed by something else is known to be whole. One
 * that has no line end, at the end of the message, is left behind what we add. */
void content_finish(struct content *content)
{
	const char *text = buffer_str(&content->memory);
	size_t size = content->memory.size, at = 0, whole = 0;
	struct header_field field;
	bool cut = content->fd >= 0 && content->fd_size > 0;

	if (size > CONTENT_HEADER_MAX) {
		size = CONTENT_HEADER_MAX;
		cut = true;
	}
	while (header_next(text, size, &at, &field))
		if (text[at - 1] == '\n' && (at < size || !cut))
			whole = at;
	content->header_size = whole;
	content->needs_separator = at == 0 && size && !is_empty_line(text, size);
}

static void add_piece(struct content_piece pieces[], unsigned *count, const void *data, size_t size)
{
	if (size)
		pieces[(*count)++] = (struct content_piece){ .data = data, .fd = -1, .size = size };
}

/* A content without a header of its own has the separator where others have the header: five at most. */
unsigned content_pieces(const struct content *content, struct content_piece pieces[CONTENT_PIECES])
{
	const char *memory = buffer_str(&content->memory);
	unsigned count = 0;

	add_piece(pieces, &count, content->prepended.data, content->prepended.size);
	add_piece(pieces, &count, memory, content->header_size);
	add_piece(pieces, &count, content->appended.data, content->appended.size);
	add_piece(pieces, &count, "\r\n", separator_size(content));
	add_piece(pieces, &count, memory + content->header_size, content->memory.size - content->header_size);
	if (content->fd >= 0 && content->fd_size)
		pieces[count++] = (struct content_piece){
			.fd = content->fd, .offset = content->fd_offset, .size = content->fd_size
		};
	return count;
}

/* A file that ends early is no end of the message. */
static long read_piece(const struct content_piece *piece, uint64_t offset, void *out, size_t size)
{
	ssize_t got;

	if (piece->data) {
		memcpy(out, (const char *)piece->data + offset, size);
		return (long)size;
	}
	do
		got = FAULT("content.read", pread(piece->fd, out, size, (off_t)(piece->offset + offset)));
	while (got < 0 && errno == EINTR);
	if (got == 0)
		errno = EIO;
	return got > 0 ? (long)got : -1;
}

long content_read(const struct content *content, uint64_t offset, void *out, size_t size)
{
	struct content_piece pieces[CONTENT_PIECES];
	unsigned count = content_pieces(content, pieces);
	size_t done = 0;

	for (unsigned i = 0; i < count && done < size;) {
		uint64_t left = offset < pieces[i].size ? pieces[i].size - offset : 0;
		long got;

		if (!left) {
			offset -= pieces[i++].size;
			continue;
		}
		got = read_piece(&pieces[i], offset, (char *)out + done, left < size - done ? (size_t)left : size - done);
		if (got < 0)
			return -1;
		done += (size_t)got;
		offset += (uint64_t)got;
	}
	return (long)done;
}

int fd_open_again(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return FAULT("content.open", open(path, O_RDONLY | O_CLOEXEC));
}

int content_copy(struct content *to, const struct content *from)
{
	int fd = -1;

	if (from->fd >= 0 && (fd = fd_open_again(from->fd)) < 0)
		return -1;
	content_init(to);
	to->fd = fd;
	to->fd_offset = from->fd_offset;
	to->fd_size = from->fd_size;
	to->header_size = from->header_size;
	to->needs_separator = from->needs_separator;
	buffer_append(&to->prepended, from->prepended.data, from->prepended.size);
	buffer_append(&to->appended, from->appended.data, from->appended.size);
	buffer_append(&to->memory, from->memory.data, from->memory.size);
	return 0;
}
