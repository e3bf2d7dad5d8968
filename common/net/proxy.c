/* proxy.c - the PROXY header, versions 1 and 2, by which a proxy tells whose connection it passes on
 * SPDX-License-Identifier: MIT */
#include "common/net/proxy.h"

#include <arpa/inet.h>
#include <string.h>

#include "common/base/crc32c.h"
#include "common/base/text.h"

#define V1_MAX 107			/* with CR LF */
#define V2_FIXED 16			/* signature, version and command, family, length */

static const char v1_signature[] = "PROXY ";
static const char v2_signature[] = "\r\n\r\n\0\r\nQUIT\n";
#define V1_SIGNATURE_SIZE (sizeof(v1_signature) - 1)
#define V2_SIGNATURE_SIZE (sizeof(v2_signature) - 1)

static int refuse(const char **why, const char *text)
{
	*why = text;
	return -1;
}

/* ---- version 1 */

struct words {
	const char *at, *end;
};

/* What stands before the next space or the end, as text that ends in NUL; false if that does not fit, or has one within. */
static bool take_word(struct words *words, char *out, size_t room)
{
	const char *space = words->at > words->end ? NULL : memchr(words->at, ' ', (size_t)(words->end - words->at));
	const char *end = space ? space : words->end;
	size_t size;

	if (words->at > words->end)
		return false;
	size = (size_t)(end - words->at);
	if (size >= room || memchr(words->at, '\0', size))
		return false;
	memcpy(out, words->at, size);
	out[size] = '\0';
	words->at = end + 1;
	return true;
}

static bool take_address(struct words *words, int family, struct host_address *address)
{
	char text[INET6_ADDRSTRLEN];
	unsigned char octets[16];

	if (!take_word(words, text, sizeof(text)) || inet_pton(family, text, octets) != 1)
		return false;
	if (family == AF_INET)
		host_address_v4(address, octets);
	else
		host_address_v6(address, octets);
	return true;
}

static bool take_port(struct words *words, unsigned *port)
{
	char text[sizeof("65535")];
	uint64_t number;

	if (!take_word(words, text, sizeof(text)) || !parse_u64(text, strlen(text), 65535, &number))
		return false;
	*port = (unsigned)number;
	return text[0] != '0' || !text[1];
}

/* The line between "PROXY " and CR LF. */
static bool read_line(struct words *words, struct proxy_header *header)
{
	char protocol[sizeof("UNKNOWN")];
	struct host_address ours;
	unsigned our_port;
	int family;

	if (!take_word(words, protocol, sizeof(protocol)))
		return false;
	if (strcmp(protocol, "UNKNOWN") == 0) {
		header->of = PROXY_OF_UNKNOWN;
		return true;
	}
	if (strcmp(protocol, "TCP4") != 0 && strcmp(protocol, "TCP6") != 0)
		return false;
	family = protocol[3] == '4' ? AF_INET : AF_INET6;
	header->of = PROXY_OF_CLIENT;
	return take_address(words, family, &header->client) && take_address(words, family, &ours) &&
		take_port(words, &header->port) && take_port(words, &our_port) && words->at > words->end;
}

static int read_v1(const char *data, size_t size, struct proxy_header *header, const char **why)
{
	size_t most = size < V1_MAX ? size : V1_MAX, end = 0;
	struct words words;

	while (end < most && data[end] != '\r' && data[end] != '\n')
		end++;
	if (end + 1 >= V1_MAX)
		return refuse(why, "a PROXY line of more than 107 octets");
	if (end == size || (end + 1 == size && data[end] == '\r'))
		return 0;
	if (data[end] != '\r' || data[end + 1] != '\n')
		return refuse(why, "a PROXY line that does not end in CR LF");
	words = (struct words){ data + V1_SIGNATURE_SIZE, data + end };
	if (!read_line(&words, header))
		return refuse(why, "a malformed PROXY line");
	return (int)end + 2;
}

/* ---- version 2 */

enum { LOCAL, PROXY };
enum { UNSPEC, STREAM, DGRAM };
enum { TLV_CRC32C = 3 };
#define TLV_HEAD 3

static size_t get16(const unsigned char *at)
{
	return (size_t)at[0] << 8 | at[1];
}

static uint32_t checksum_of(const unsigned char *data, size_t size, size_t at)
{
	static const unsigned char zeros[4];
	uint32_t crc = crc32c(crc32c(0, data, at), zeros, sizeof(zeros));

	return crc32c(crc, data + at + sizeof(zeros), size - at - sizeof(zeros));
}

/* The TLVs from `at` on: we want none of them, but they have to be ones, and a checksum to be right. */
static bool check_tlvs(const unsigned char *data, size_t size, size_t at)
{
	while (at < size) {
		size_t length;
		unsigned type = data[at];

		if (size - at < TLV_HEAD)
			return false;
		length = get16(data + at + 1);
		at += TLV_HEAD;
		if (size - at < length)
			return false;
		if (type == TLV_CRC32C && (length != 4 ||
				checksum_of(data, size, at) != ((uint32_t)get16(data + at) << 16 | get16(data + at + 2))))
			return false;
		at += length;
	}
	return true;
}

static void read_addresses(const unsigned char *at, unsigned family, struct proxy_header *header)
{
	header->of = PROXY_OF_CLIENT;
	if (family == 1)
		host_address_v4(&header->client, at);
	else
		host_address_v6(&header->client, at);
	header->port = (unsigned)get16(at + (family == 1 ? 8 : 32));
}

/* Datagrams and Unix sockets are told of rightly, but tell us nothing. */
static int read_proxied(const unsigned char *data, size_t size, struct proxy_header *header, const char **why)
{
	static const size_t address_sizes[] = { 0, 12, 36, 216 };
	unsigned family = data[13] >> 4, protocol = data[13] & 15;

	if (family >= sizeof(address_sizes) / sizeof(address_sizes[0]) || protocol > DGRAM)
		return refuse(why, "a PROXY header of an unknown family or protocol");
	header->of = PROXY_OF_UNKNOWN;
	if (family == UNSPEC || protocol == UNSPEC)
		return (int)size;
	if (size - V2_FIXED < address_sizes[family])
		return refuse(why, "a PROXY header too short for its addresses");
	if (!check_tlvs(data, size, V2_FIXED + address_sizes[family]))
		return refuse(why, "a PROXY header with malformed values or a wrong checksum");
	if (family <= 2 && protocol == STREAM)
		read_addresses(data + V2_FIXED, family, header);
	return (int)size;
}

static int read_v2(const unsigned char *data, size_t size, struct proxy_header *header, const char **why)
{
	size_t whole;

	if (size > 12 && data[12] != (0x20 | LOCAL) && data[12] != (0x20 | PROXY))
		return refuse(why, "a PROXY header of an unknown version or command");
	if (size < V2_FIXED)
		return 0;
	whole = V2_FIXED + get16(data + 14);
	if (whole > PROXY_HEADER_MAX)
		return refuse(why, "a PROXY header of more than 1040 octets");
	if (size < whole)
		return 0;
	if (data[12] == (0x20 | PROXY))
		return read_proxied(data, whole, header, why);
	header->of = PROXY_OF_ITSELF;
	return (int)whole;
}

static bool begins(const void *data, size_t size, const char *signature, size_t signature_size)
{
	return memcmp(data, signature, size < signature_size ? size : signature_size) == 0;
}

int proxy_header_read(const void *data, size_t size, struct proxy_header *header, const char **why)
{
	memset(header, 0, sizeof(*header));
	if (size == 0)
		return 0;
	if (begins(data, size, v1_signature, V1_SIGNATURE_SIZE))
		return size < V1_SIGNATURE_SIZE ? 0 : read_v1(data, size, header, why);
	if (begins(data, size, v2_signature, V2_SIGNATURE_SIZE))
		return size < V2_SIGNATURE_SIZE ? 0 : read_v2(data, size, header, why);
	return refuse(why, "no PROXY header");
}
