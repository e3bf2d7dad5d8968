/* unit-net-proxy.c - PROXY headers of both versions: right ones, cut at every octet, and all that is none
 * SPDX-License-Identifier: MIT
 * S13 */
#include "t/lib/tap.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/crc32c.h"
#include "common/net/proxy.h"

#define BEHIND "EHLO client\r\n"

/* "192.0.2.1 56324", "unknown", "local", "more" or what is wrong; `size` octets in memory that ends with them. */
static const char *read_all(const void *data, size_t size, int *taken)
{
	static char text[200];
	char *copy = malloc(size + !size), address[HOST_ADDRESS_TEXT_SIZE];
	struct proxy_header header;
	const char *why = NULL;

	memcpy(copy, data, size);
	*taken = proxy_header_read(copy, size, &header, &why);
	free(copy);
	if (*taken < 0)
		return why;
	if (*taken == 0)
		return "more";
	if (header.of == PROXY_OF_CLIENT)
		snprintf(text, sizeof(text), "%s %u", host_address_text(&header.client, address), header.port);
	else
		snprintf(text, sizeof(text), "%s", header.of == PROXY_OF_ITSELF ? "local" : "unknown");
	return text;
}

/* With commands behind it, which stay, and cut everywhere. */
static void right(const void *data, size_t size, const char *wanted, const char *what)
{
	struct buffer all = { 0 };
	bool more = true;
	int taken;

	for (size_t cut = 0; cut < size; cut++)
		more = more && strcmp(read_all(data, cut, &taken), "more") == 0;
	ok(more, "%s: not whole while a part is missing", what);
	is_str(read_all(data, size, &taken), wanted, what);
	is_int(taken, (int64_t)size, "all of it");
	buffer_append(&all, data, size);
	buffer_append_str(&all, BEHIND);
	is_str(read_all(all.data, all.size, &taken), wanted, what);
	is_int(taken, (int64_t)size, "and no more where commands follow");
	buffer_release(&all);
}

static void wrong(const void *data, size_t size, const char *wanted, const char *what)
{
	int taken;

	is_str(read_all(data, size, &taken), wanted, what);
	is_int(taken, -1, "refused");
}

#define RIGHT(line, wanted) right(line "\r\n", sizeof(line) + 1, wanted, line)
#define WRONG(line) wrong(line "\r\n", sizeof(line) + 1, "a malformed PROXY line", line)

static void test_lines(void)
{
	RIGHT("PROXY TCP4 192.0.2.1 192.0.2.25 56324 25", "192.0.2.1 56324");
	RIGHT("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535", "255.255.255.255 65535");
	RIGHT("PROXY TCP4 0.0.0.0 127.0.0.1 0 0", "0.0.0.0 0");
	RIGHT("PROXY TCP6 2001:db8::1 2001:DB8::25 1 2", "2001:db8::1 1");
	RIGHT("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2", "::ffff:192.0.2.1 1");
	RIGHT("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535");
	RIGHT("PROXY UNKNOWN", "unknown");
	RIGHT("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535",
		"unknown");
	RIGHT("PROXY UNKNOWN  any thing", "unknown");
}

static void test_wrong_lines(void)
{
	WRONG("PROXY ");
	WRONG("PROXY TCP4");
	WRONG("PROXY TCP4 192.0.2.1 192.0.2.2 1");
	WRONG("PROXY TCP4 192.0.2.1 192.0.2.2 1 ");
	WRONG("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 ");
	WRONG("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3");
	WRONG("PROXY TCP4  192.0.2.1 192.0.2.2 1 2");
	WRONG("PROXY TCP4\t192.0.2.1 192.0.2.2 1 2");
	WRONG("PROXY TCP4 192.0.2.1 192.0.2.2 1 65536");
	WRONG("PROXY TCP4 192.0.2.1 192.0.2.2 01 2");
	WRONG("PROXY TCP4 192.0.2.1 192.0.2.2 -1 2");
	WRONG("PROXY TCP4 192.0.2.1 192.0.2.2 +1 2");
	WRONG("PROXY TCP4 192.0.2.01 192.0.2.2 1 2");
	WRONG("PROXY TCP4 192.0.2.256 192.0.2.2 1 2");
	WRONG("PROXY TCP4 192.0.2 192.0.2.2 1 2");
	WRONG("PROXY TCP4 3221225985 192.0.2.2 1 2");
	WRONG("PROXY TCP4 2001:db8::1 2001:db8::2 1 2");
	WRONG("PROXY TCP6 192.0.2.1 192.0.2.2 1 2");
	WRONG("PROXY TCP6 2001:db8::1 192.0.2.2 1 2");
	WRONG("PROXY TCP6 fe80::1%eth0 ::1 1 2");
	WRONG("PROXY TCP6 [::1] ::1 1 2");
	WRONG("PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2");
	WRONG("PROXY TCP5 192.0.2.1 192.0.2.2 1 2");
	WRONG("PROXY UDP4 192.0.2.1 192.0.2.2 1 2");
	WRONG("PROXY tcp4 192.0.2.1 192.0.2.2 1 2");
	WRONG("PROXY UNKNOWNS");
	WRONG("PROXY UNKNOW");
	WRONG("PROXY TCP4 192.0.2.1\0 192.0.2.2 1 2");
	WRONG("PROXY UNKNOWN\0");
}

static void test_ends_of_lines(void)
{
	static const char why[] = "a PROXY line that does not end in CR LF";
	char line[200] = "PROXY UNKNOWN ";
	int taken;

	wrong("PROXY UNKNOWN\n", 14, why, "LF alone");
	wrong("PROXY UNKNOWN\r\r\n", 16, why, "CR CR LF");
	wrong("PROXY UNKNOWN\rEHLO", 18, why, "CR alone");
	wrong("PROXY UNKNOWN\n\r\n", 16, why, "LF first");
	memset(line + 14, 'x', sizeof(line) - 14);
	memcpy(line + 105, "\r\n", 2);
	right(line, 107, "unknown", "107 octets");
	memcpy(line + 105, "x\r\n", 3);
	is_str(read_all(line, 105, &taken), "more", "105 octets without an end may become a line");
	wrong(line, 106, "a PROXY line of more than 107 octets", "106 without one do not");
	wrong(line, 108, "a PROXY line of more than 107 octets", "108 octets");
}

/* Whatever it is, at the first octet that is none of a header's. */
static void test_others(void)
{
	static const char *const all[] = { "EHLO there\r\n", "E", "\n", "\r\n\r\n\r\n", "PROXYTCP4 ", "PROXX", "proxy ", "Px",
		"\x16\x03\x01\x02", "GET / HTTP/1.0\r\n\r\n", " PROXY UNKNOWN\r\n", "\r\nPROXY UNKNOWN\r\n" };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		wrong(all[i], strlen(all[i]), "no PROXY header", "something else");
	wrong("\0", 1, "no PROXY header", "NUL");
	wrong("\r\n\r\n\0\r\nQUIX", 11, "no PROXY header", "almost the second signature");
}

static const char *put_v2(struct buffer *out, unsigned command, unsigned family, const void *block, size_t size)
{
	static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";
	const char fixed[] = { (char)command, (char)family, (char)(size >> 8), (char)size };

	out->size = 0;
	buffer_append(out, signature, 12);
	buffer_append(out, fixed, 4);
	if (size)
		buffer_append(out, block, size);
	return out->data;
}

#define V4 "\xc0\x00\x02\x01\xc0\x00\x02\x19\xdc\x04\x00\x19"
#define V6 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01" "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x19" "\xdc\x04\x00\x19"

static void test_binary(void)
{
	struct buffer b = { 0 };
	char large[1100] = { 0 };

#define BINARY(command, family, block, wanted) \
	right(put_v2(&b, command, family, block, sizeof(block) - 1), 15 + sizeof(block), wanted, #command " " #family " " wanted)
	BINARY(0x21, 0x11, V4, "192.0.2.1 56324");
	BINARY(0x21, 0x21, V6, "2001:db8::1 56324");
	BINARY(0x21, 0x12, V4, "unknown");
	BINARY(0x21, 0x22, V6, "unknown");
	BINARY(0x21, 0x10, V4, "unknown");
	BINARY(0x21, 0x00, "", "unknown");
	BINARY(0x21, 0x00, "\x01\xff\xff", "unknown");
	BINARY(0x21, 0x01, "abc", "unknown");
	BINARY(0x20, 0x00, "", "local");
	BINARY(0x20, 0x11, V4, "local");
	BINARY(0x20, 0x11, "too short", "local");
	BINARY(0x20, 0xff, "", "local");
	BINARY(0x21, 0x11, V4 "\x04\0\0", "192.0.2.1 56324");
	BINARY(0x21, 0x11, V4 "\x01\0\x02h2\xee\0\x01!", "192.0.2.1 56324");
	right(put_v2(&b, 0x21, 0x31, large, 216), 232, "unknown", "a Unix socket");
	memcpy(large, V4 "\x04\x03\xf1", 15);
	right(put_v2(&b, 0x21, 0x11, large, 1024), 1040, "192.0.2.1 56324", "1040 octets");
	memcpy(large, V4 "\x04\x03\xf2", 15);
	wrong(put_v2(&b, 0x21, 0x11, large, 1025), 16, "a PROXY header of more than 1040 octets", "1041, by what it says");
	wrong(put_v2(&b, 0x20, 0, large, 1025), 16, "a PROXY header of more than 1040 octets", "LOCAL too");
	buffer_release(&b);
}

static void test_wrong_binary(void)
{
	struct buffer b = { 0 };
	char path[215] = { 0 };

#define WRONG_BINARY(size, command, family, block, wanted) \
	wrong(put_v2(&b, command, family, block, sizeof(block) - 1), (size) ? (size) : 16 + sizeof(block) - 1, \
		"a PROXY header " wanted, #command " " #family " " wanted)
	WRONG_BINARY(13, 0x22, 0x11, V4, "of an unknown version or command");
	WRONG_BINARY(13, 0x2f, 0x11, V4, "of an unknown version or command");
	WRONG_BINARY(13, 0x11, 0x11, V4, "of an unknown version or command");
	WRONG_BINARY(13, 0x31, 0x11, V4, "of an unknown version or command");
	WRONG_BINARY(0, 0x21, 0x41, V4, "of an unknown family or protocol");
	WRONG_BINARY(0, 0x21, 0x13, V4, "of an unknown family or protocol");
	WRONG_BINARY(0, 0x21, 0x11, "", "too short for its addresses");
	WRONG_BINARY(0, 0x21, 0x11, "\xc0\0\x02\1\xc0\0\x02\x19\xdc\4\0", "too short for its addresses");
	WRONG_BINARY(0, 0x21, 0x21, V4, "too short for its addresses");
	wrong(put_v2(&b, 0x21, 0x31, path, 215), 231, "a PROXY header too short for its addresses", "a Unix socket");
#define VALUES "with malformed values or a wrong checksum"
	WRONG_BINARY(0, 0x21, 0x11, V4 "\x01", VALUES);
	WRONG_BINARY(0, 0x21, 0x11, V4 "\x01\0", VALUES);
	WRONG_BINARY(0, 0x21, 0x11, V4 "\x01\0\x01", VALUES);
	WRONG_BINARY(0, 0x21, 0x11, V4 "\x01\xff\xff" "abc", VALUES);
	WRONG_BINARY(0, 0x21, 0x11, V4 "\x03\0\x03" "abc", VALUES);
	WRONG_BINARY(0, 0x21, 0x11, V4 "\x03\0\x05" "abcde", VALUES);
	WRONG_BINARY(0, 0x21, 0x11, V4 "\x03\0\x04" "abcd", VALUES);
	buffer_release(&b);
}

static void test_checksum(void)
{
	char block[] = V4 "\x01\0\x02h2" "\x03\0\x04\0\0\0\0" "\x04\0\x01 ";
	struct buffer b = { 0 };
	uint32_t crc;
	int taken;
	bool refused = true;

	put_v2(&b, 0x21, 0x11, block, sizeof(block) - 1);
	crc = crc32c(0, b.data, b.size);
	for (size_t i = 0; i < 4; i++)
		b.data[16 + 12 + 5 + 3 + i] = (char)(crc >> (24 - 8 * i));
	right(b.data, b.size, "192.0.2.1 56324", "a right checksum");
	for (size_t at = 16; at < b.size; at++) {
		b.data[at] ^= 1;
		read_all(b.data, b.size, &taken);
		/* The kind or length of the checksum's value: it is none then, or all is malformed. */
		refused = refused && (taken < 0 || (at >= 16 + 12 + 5 && at < 16 + 12 + 5 + 3));
		b.data[at] ^= 1;
	}
	ok(refused, "a changed bit anywhere refuses it");
	buffer_release(&b);
}

int main(void)
{
	test_lines();
	test_wrong_lines();
	test_ends_of_lines();
	test_others();
	test_binary();
	test_wrong_binary();
	test_checksum();
	return done_testing();
}
