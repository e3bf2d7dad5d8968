/* unit-net-mx.c - MX records: their order, and packets that lie
 * SPDX-License-Identifier: MIT
 * P10 */
#include "t/lib/tap.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/net/dns_answer.h"
#include "common/net/mx.h"

/* example.net MX: the name at 12 can be pointed to, and `net` within it at 20. */
static const unsigned char head[] = { 0x12, 0x34, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0,
	7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 3, 'n', 'e', 't', 0, 0, 15, 0, 1 };
#define RDATA_OF_FIRST (sizeof(head) + 12)	/* where the data of the first record begins */

static void begin(struct buffer *packet)
{
	packet->size = 0;
	buffer_append(packet, head, sizeof(head));
}

static void add_raw(struct buffer *packet, const void *data, size_t size)
{
	unsigned char record[] = { 0xc0, 12, 0, 15, 0, 1, 0, 0, 0, 60, (unsigned char)(size >> 8), (unsigned char)size };
	unsigned char *count = (unsigned char *)packet->data + 6;
	unsigned records = dns_get16(count) + 1;

	count[0] = (unsigned char)(records >> 8);
	count[1] = (unsigned char)records;
	buffer_append(packet, record, sizeof(record));
	buffer_append(packet, data, size);
}

/* `name` in wire form, with what ends it. */
static void add(struct buffer *packet, unsigned preference, const char *name, size_t size)
{
	unsigned char data[600] = { (unsigned char)(preference >> 8), (unsigned char)preference };

	memcpy(data + 2, name, size);
	add_raw(packet, data, size + 2);
}
#define ADD(packet, preference, name) add(packet, preference, name, sizeof(name) - 1)

/* As text: "10 a, 20 b", or what kind of nothing it is. Reads from memory that ends where the packet does. */
static const char *read_packet(const struct buffer *packet)
{
	static const char *const names[] = { "", "none", "null", "unusable", "malformed" };
	static struct buffer text;
	struct mx_records records;
	unsigned char *copy = malloc(packet->size + !packet->size);
	enum mx_result result;

	memcpy(copy, packet->data, packet->size);
	result = mx_records_read(&records, copy, packet->size);
	free(copy);
	text.size = 0;
	buffer_append(&text, names[result], strlen(names[result]));
	for (size_t i = 0; i < records.count; i++)
		buffer_appendf(&text, "%s%u %s", i ? ", " : "", records.items[i].preference, records.items[i].name);
	mx_records_release(&records);
	return buffer_str(&text);
}

static void test_order(void)
{
	struct buffer packet = { 0 };
	unsigned first[4] = { 0 };

	begin(&packet);
	is_str(read_packet(&packet), "none", "no records");
	ADD(&packet, 20, "\1b\xc0\x0c");
	ADD(&packet, 0, "\2MX\xc0\x14");
	ADD(&packet, 65535, "\1z\4mail\0");
	ADD(&packet, 10, "\1a\xc0\x0c");
	ADD(&packet, 30, "\1A\xc0\x0c");
	is_str(read_packet(&packet), "0 mx.net, 10 a.example.net, 20 b.example.net, 65535 z.mail",
		"by preference, names written out, no name twice");
	begin(&packet);
	ADD(&packet, 5, "\1" "0\0");
	ADD(&packet, 5, "\1" "1\0");
	ADD(&packet, 5, "\1" "2\0");
	ADD(&packet, 5, "\1" "3\0");
	for (unsigned i = 0; i < 2000; i++)
		first[read_packet(&packet)[2] - '0']++;
	for (unsigned i = 0; i < 4; i++)
		ok(first[i] > 350 && first[i] < 650, "host %u of equals is the first %u times in 2000", i, first[i]);
	buffer_release(&packet);
}

static void test_kinds(void)
{
	struct buffer packet = { 0 };

	begin(&packet);
	ADD(&packet, 0, "\0");
	is_str(read_packet(&packet), "null", "the root alone: no mail");
	ADD(&packet, 10, "\1a\0");
	is_str(read_packet(&packet), "10 a", "the root beside others is no host");
	begin(&packet);
	ADD(&packet, 1, "\3" "127\1" "0\1" "0\1" "1\0");
	is_str(read_packet(&packet), "unusable", "an address is no name");
	ADD(&packet, 1, "\3a b\0");
	ADD(&packet, 1, "\3a.b\0");
	ADD(&packet, 1, "\3[::\0");
	add(&packet, 1, "\3a\0b\0", 5);
	ADD(&packet, 1, "\2\xc3\xa4\0");
	is_str(read_packet(&packet), "unusable", "nor is what has other octets");
	ADD(&packet, 7, "\5_a-0Z\0");
	is_str(read_packet(&packet), "7 _a-0z", "and what is one is found among them");
	buffer_release(&packet);
}

/* Each name alone in a packet. */
static void test_malformed(void)
{
	static const struct {
		const char *what, *name;
		size_t size;
	} cases[] = {
#define CASE(what, name) { what, name, sizeof(name) - 1 }
		CASE("empty", ""), CASE("without its end", "\1a"), CASE("a label longer than the record", "\5a"),
		CASE("half a pointer", "\xc0"), CASE("half a pointer behind a label", "\1a\xc0"),
		CASE("a pointer to itself", "\xc0\x2b"), CASE("a pointer to the label before it", "\1a\xc0\x2b"),
		CASE("a pointer forward", "\xc0\x2d\1a\0"), CASE("a pointer beyond the packet", "\xff\xff"),
		CASE("octets behind the root", "\0a"), CASE("octets behind a pointer", "\xc0\x0c\0"),
		CASE("a kind of label that is none", "\x41" "a\0"), CASE("another such", "\x80" "a\0"),
		CASE("a pointer into the header that leads nowhere", "\xc0\x02"),
	};
	struct buffer packet = { 0 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(&packet);
		add(&packet, 1, cases[i].name, cases[i].size);
		is_str(read_packet(&packet), "malformed", cases[i].what);
		ADD(&packet, 2, "\1b\0");
		is_str(read_packet(&packet), "malformed", "as one of two");
	}
	begin(&packet);
	add_raw(&packet, "\0", 1);
	is_str(read_packet(&packet), "malformed", "no room for a preference");
	begin(&packet);
	add_raw(&packet, "", 0);
	is_str(read_packet(&packet), "malformed", "no data at all");
	buffer_release(&packet);
}

/* Records that point at each other, and names that grow by pointers. */
static void test_pointers(void)
{
	struct buffer packet = { 0 };
	char name[4];

	begin(&packet);
	ADD(&packet, 1, "\1a\xc0\x3a");
	ADD(&packet, 2, "\1b\xc0\x2b");
	is_str(read_packet(&packet), "malformed", "two names that go on in each other");
	begin(&packet);
	ADD(&packet, 0, "\1x\0");
	/* The name of record n is "x" n times: the one before it, and another label. */
	for (unsigned i = 1; i <= 126; i++) {
		unsigned before = (unsigned)packet.size - (i == 1 ? 3 : 4);

		name[0] = 1;
		name[1] = 'x';
		name[2] = (char)(0xc0 | before >> 8);
		name[3] = (char)before;
		add(&packet, i, name, sizeof(name));
	}
	is_int(strlen(strrchr(read_packet(&packet), ' ') + 1), 199, "a name of 100 pointers");
	begin(&packet);
	ADD(&packet, 0, "\1x\0");
	for (unsigned i = 1; i <= 127; i++) {
		unsigned before = (unsigned)packet.size - (i == 1 ? 3 : 4);

		name[2] = (char)(0xc0 | before >> 8);
		name[3] = (char)before;
		add(&packet, 1000 - i, name, sizeof(name));
	}
	is_str(read_packet(&packet), "malformed", "one too long by pointers");
	buffer_release(&packet);
}

static void test_lengths(void)
{
	struct buffer packet = { 0 };
	unsigned char name[300];

	for (size_t last = 60; last <= 64; last++) {
		size_t size = 0;

		for (unsigned i = 0; i < 4; i++) {
			size_t length = i < 3 ? 63 : last;

			name[size++] = (unsigned char)length;
			memset(name + size, 'a', length);
			size += length;
		}
		name[size++] = 0;
		begin(&packet);
		add(&packet, 1, (char *)name, size);
		is_str(last <= 61 ? "" : "malformed", last <= 61 ? "" : read_packet(&packet), "names end at 255 octets");
		if (last <= 61)
			is_int(strlen(read_packet(&packet)), 2 + 3 * 64 + last, "which is that long as text");
	}
	buffer_release(&packet);
}

static void test_many(void)
{
	struct buffer packet = { 0 };
	struct mx_records records;
	char name[] = "\3" "000\xc0\x0c";

	begin(&packet);
	for (unsigned i = 0; i < 300; i++) {
		memcpy(name + 1, (char[]){ (char)('0' + i / 100), (char)('0' + i / 10 % 10), (char)('0' + i % 10) }, 3);
		add(&packet, 300 - i, name, sizeof(name) - 1);
	}
	is_int(mx_records_read(&records, (unsigned char *)packet.data, packet.size), MX_FOUND, "300 records");
	is_int(records.count, MX_RECORDS, "of which so many are looked at");
	is_str(records.items[0].name, "299.example.net", "the best first, which was the last");
	is_str(records.items[MX_RECORDS - 1].name, "200.example.net", "and no better one is left out");
	mx_records_release(&records);
	buffer_release(&packet);
}

static void test_cuts(void)
{
	struct buffer packet = { 0 };
	size_t whole, wrong = 0;

	begin(&packet);
	ADD(&packet, 10, "\1a\xc0\x0c");
	ADD(&packet, 20, "\4mail\1b\xc0\x14");
	ADD(&packet, 30, "\4mail\3org\0");
	whole = packet.size;
	for (packet.size = 0; packet.size < whole; packet.size++)
		wrong += strcmp(read_packet(&packet), "malformed") != 0;
	is_int(wrong, 0, "a packet cut at any octet is malformed");
	/* Any octet may have any value: what comes of it is one of the kinds, and nothing outside is read. */
	for (size_t at = 0; at < whole; at++) {
		char was = packet.data[at];

		for (unsigned value = 0; value < 256; value++) {
			packet.data[at] = (char)value;
			wrong += !*read_packet(&packet);
		}
		packet.data[at] = was;
	}
	is_int(wrong, 0, "with any octet changed it is read to its end");
	buffer_release(&packet);
}

int main(void)
{
	is_int(RDATA_OF_FIRST, 0x29, "where the cases have their pointers");
	test_order();
	test_kinds();
	test_malformed();
	test_pointers();
	test_lengths();
	test_many();
	test_cuts();
	return done_testing();
}
