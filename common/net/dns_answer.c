/* dns_answer.c - the records in an answer of the DNS
 * SPDX-License-Identifier: MIT
 * RFC 1035 4.1. Names of records are passed over, never followed: which name an answer belongs to was the resolver's to
 * check. */
#include "common/net/dns_answer.h"

#include <ctype.h>

#define HEADER_SIZE 12
#define CLASS_IN 1
#define NAME_MAX_SIZE 255

struct cursor {
	const unsigned char *at, *end;
};

static bool has(const struct cursor *cursor, size_t size)
{
	return (size_t)(cursor->end - cursor->at) >= size;
}

unsigned dns_get16(const unsigned char *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

/* Labels up to the root, or up to a pointer, which is always the last. */
static bool skip_name(struct cursor *cursor)
{
	size_t total = 0;

	while (has(cursor, 1)) {
		unsigned length = *cursor->at++;

		if (length == 0)
			return true;
		if (length >= 0xc0) {
			if (!has(cursor, 1))
				return false;
			cursor->at++;
			return true;
		}
		total += length + 1;
		if (length > 63 || total > NAME_MAX_SIZE || !has(cursor, length))
			return false;
		cursor->at += length;
	}
	return false;
}

static bool skip_question(struct cursor *cursor)
{
	if (!skip_name(cursor) || !has(cursor, 4))
		return false;
	cursor->at += 4;
	return true;
}

static bool take_record(struct cursor *cursor, unsigned *type, unsigned *class, struct dns_record *record)
{
	if (!skip_name(cursor) || !has(cursor, 10))
		return false;
	*type = dns_get16(cursor->at);
	*class = dns_get16(cursor->at + 2);
	record->size = dns_get16(cursor->at + 8);
	cursor->at += 10;
	if (!has(cursor, record->size))
		return false;
	record->data = cursor->at;
	cursor->at += record->size;
	return true;
}

static bool is_of_size(enum dns_type type, size_t size)
{
	switch (type) {
	case DNS_A:
		return size == 4;
	case DNS_AAAA:
		return size == 16;
	case DNS_PTR:
		return size > 0;
	case DNS_MX:
		return size > 2;
	}
	return false;
}

int dns_answer_rcode(const unsigned char *packet, size_t size)
{
	return size >= HEADER_SIZE && packet[2] & 0x80 ? packet[3] & 15 : -1;
}

long dns_answer_records(const unsigned char *packet, size_t size, enum dns_type wanted, struct dns_record *records,
	size_t max)
{
	struct cursor cursor = { packet, packet + size };
	struct dns_record record;
	unsigned type, class;
	long count = 0;

	if (dns_answer_rcode(packet, size) < 0)
		return -1;
	cursor.at += HEADER_SIZE;
	for (unsigned left = dns_get16(packet + 4); left; left--)
		if (!skip_question(&cursor))
			return -1;
	for (unsigned left = dns_get16(packet + 6); left; left--) {
		if (!take_record(&cursor, &type, &class, &record))
			return -1;
		if (type != wanted || class != CLASS_IN)
			continue;
		if (!is_of_size(wanted, record.size))
			return -1;
		if ((size_t)count < max)
			records[count] = record;
		count++;
	}
	return count;
}

/* ---- names in records */

struct name_reader {
	const unsigned char *packet;
	size_t size;
	size_t at, start;	/* of the labels being read: a pointer leads to before them */
	size_t end;		/* of the name where it stands; 0 until that is known */
	char *out;
	size_t length;
};

static bool take_pointer(struct name_reader *reader, unsigned high)
{
	size_t target;

	if (reader->at >= reader->size)
		return false;
	target = (size_t)(high & 0x3f) << 8 | reader->packet[reader->at++];
	if (!reader->end)
		reader->end = reader->at;
	if (target >= reader->start)
		return false;
	reader->at = reader->start = target;
	return true;
}

static bool take_label(struct name_reader *reader, size_t length)
{
	if (length > 63 || reader->size - reader->at < length || reader->length + 1 + length >= DNS_NAME_SIZE)
		return false;
	if (reader->length)
		reader->out[reader->length++] = '.';
	for (; length; length--) {
		unsigned char c = reader->packet[reader->at++];
		bool is_of_host = c < 0x80 && (isalnum(c) || c == '-' || c == '_');

		reader->out[reader->length++] = is_of_host ? (char)tolower(c) : '?';
	}
	return true;
}

bool dns_answer_name(const unsigned char *packet, size_t size, const struct dns_record *record, size_t offset,
	char name[DNS_NAME_SIZE])
{
	size_t at = (size_t)(record->data - packet) + offset;
	struct name_reader reader = { .packet = packet, .size = size, .at = at, .start = at, .out = name };

	while (reader.at < size) {
		unsigned length = packet[reader.at++];

		if (length >= 0xc0 ? !take_pointer(&reader, length) : length && !take_label(&reader, length))
			return false;
		if (length)
			continue;
		name[reader.length] = '\0';
		if (!reader.end)
			reader.end = reader.at;
		return reader.end == (size_t)(record->data - packet) + record->size;
	}
	return false;
}
