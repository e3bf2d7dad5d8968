/* spawn_protocol.c - what a worker and the spawner say to each other
 * SPDX-License-Identifier: MIT */
#include "worker/spawn_protocol.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

static void put(struct buffer *out, uint64_t value, size_t size)
{
	uint8_t u8 = (uint8_t)value;
	uint16_t u16 = (uint16_t)value;
	uint32_t u32 = (uint32_t)value;
	const void *data = size == 1 ? (void *)&u8 : size == 2 ? (void *)&u16 : size == 4 ? (void *)&u32 : (void *)&value;

	buffer_append(out, data, size);
}

static void put_text(struct buffer *out, const char *text)
{
	size_t size = text ? strlen(text) : 0;

	if (size > UINT16_MAX)
		BUG("a text of %zu octets for the spawner", size);
	put(out, size, 2);
	buffer_append(out, text, size);
}

static void put_head(struct buffer *out, enum spawn_type type, uint32_t number)
{
	buffer_append(out, "Sp", 2);
	put(out, SPAWN_VERSION, 1);
	put(out, type, 1);
	put(out, number, 4);
}

void spawn_encode_request(struct buffer *out, uint32_t number, const char *relay, const struct macros *macros,
	const struct spawn_piece *pieces, unsigned piece_count)
{
	put_head(out, SPAWN_REQUEST, number);
	put_text(out, relay);
	for (unsigned i = 0; i < MACRO_COUNT; i++)
		put_text(out, macros->values[i]);
	put(out, piece_count, 1);
	for (unsigned i = 0; i < piece_count; i++) {
		put(out, pieces[i].fd, 1);
		put(out, pieces[i].offset, 8);
		put(out, pieces[i].size, 8);
	}
}

void spawn_encode_plain(struct buffer *out, enum spawn_type type, uint32_t number)
{
	put_head(out, type, number);
}

void spawn_encode_output(struct buffer *out, uint32_t number, enum spawn_stream stream, const void *octets,
	size_t size)
{
	put_head(out, SPAWN_OUTPUT, number);
	put(out, stream, 1);
	buffer_append(out, octets, size);
}

void spawn_encode_end(struct buffer *out, uint32_t number, enum spawn_end end, uint32_t detail)
{
	put_head(out, SPAWN_END, number);
	put(out, end, 1);
	put(out, detail, 4);
}

/* Reading past the end gives zeros and leaves `bad` set. */
struct reader {
	const char *data;
	size_t left;
	bool bad;
};

static void take(struct reader *reader, void *out, size_t size)
{
	if (reader->bad || reader->left < size) {
		reader->bad = true;
		memset(out, 0, size);
		return;
	}
	memcpy(out, reader->data, size);
	reader->data += size;
	reader->left -= size;
}

static unsigned take_u8(struct reader *reader)
{
	uint8_t value;

	take(reader, &value, sizeof(value));
	return value;
}

static uint32_t take_u32(struct reader *reader)
{
	uint32_t value;

	take(reader, &value, sizeof(value));
	return value;
}

static uint64_t take_u64(struct reader *reader)
{
	uint64_t value;

	take(reader, &value, sizeof(value));
	return value;
}

static char *take_text(struct reader *reader, size_t max)
{
	uint16_t size;
	char *text;

	take(reader, &size, sizeof(size));
	if (size > max || reader->left < size || memchr(reader->data, '\0', size))
		reader->bad = true;
	if (reader->bad)
		return xstrdup("");
	text = xstrndup(reader->data, size);
	reader->data += size;
	reader->left -= size;
	return text;
}

static void take_piece(struct reader *reader, unsigned fd_count, struct spawn_piece *piece)
{
	piece->fd = take_u8(reader);
	piece->offset = take_u64(reader);
	piece->size = take_u64(reader);
	if (piece->fd >= fd_count || piece->offset > INT64_MAX || piece->size > INT64_MAX - piece->offset)
		reader->bad = true;
}

static void take_request(struct reader *reader, unsigned fd_count, struct spawn_packet *packet)
{
	packet->relay = take_text(reader, SPAWN_RELAY_MAX);
	for (unsigned i = 0; i < MACRO_COUNT; i++)
		packet->values[i] = take_text(reader, MACRO_MAX);
	packet->piece_count = take_u8(reader);
	if (packet->piece_count > SPAWN_PIECES)
		reader->bad = true;
	for (unsigned i = 0; i < packet->piece_count && !reader->bad; i++)
		take_piece(reader, fd_count, &packet->pieces[i]);
}

static void take_output(struct reader *reader, struct spawn_packet *packet)
{
	packet->stream = take_u8(reader);
	if (packet->stream >= SPAWN_STREAMS || reader->left > SPAWN_CHUNK_MAX)
		reader->bad = true;
	packet->octets = reader->data;
	packet->octet_count = reader->left;
	reader->left = 0;
}

static void take_body(struct reader *reader, unsigned fd_count, struct spawn_packet *packet)
{
	switch (packet->type) {
	case SPAWN_REQUEST:
		take_request(reader, fd_count, packet);
		break;
	case SPAWN_CANCEL:
	case SPAWN_STARTED:
	case SPAWN_HELLO:
		break;
	case SPAWN_OUTPUT:
		take_output(reader, packet);
		break;
	case SPAWN_END:
		packet->end = take_u8(reader);
		packet->detail = take_u32(reader);
		if (packet->end < SPAWN_EXITED || packet->end >= SPAWN_LOST)
			reader->bad = true;
		break;
	default:
		reader->bad = true;
	}
}

int spawn_decode(const void *data, size_t size, unsigned fd_count, struct spawn_packet *packet)
{
	struct reader reader = { .data = data, .left = size };
	char magic[2];

	*packet = (struct spawn_packet){ 0 };
	take(&reader, magic, sizeof(magic));
	if (memcmp(magic, "Sp", 2) != 0 || take_u8(&reader) != SPAWN_VERSION)
		return -1;
	packet->type = take_u8(&reader);
	packet->number = take_u32(&reader);
	take_body(&reader, fd_count, packet);
	if (reader.bad || reader.left) {
		spawn_packet_release(packet);
		return -1;
	}
	return 0;
}

void spawn_packet_release(struct spawn_packet *packet)
{
	free(packet->relay);
	for (unsigned i = 0; i < MACRO_COUNT; i++)
		free(packet->values[i]);
	*packet = (struct spawn_packet){ 0 };
}
