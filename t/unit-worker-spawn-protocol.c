/* unit-worker-spawn-protocol.c - what worker and spawner say to each other, whole, cut and hostile
 * SPDX-License-Identifier: MIT */
#include "t/lib/tap.h"

#include "common/base/memory.h"
#include "worker/spawn_protocol.h"

static const struct macros macros = { {
	[MACRO_SENDER] = "s@example.org",
	[MACRO_RECIPIENT] = "r@example.org",
} };
static const struct spawn_piece pieces[2] = { { 0, 0, 10 }, { 1, 77, 1ull << 40 } };

static int decodes(const struct buffer *packet, unsigned fd_count)
{
	struct spawn_packet got;
	int result = spawn_decode(packet->data, packet->size, fd_count, &got);

	if (result == 0)
		spawn_packet_release(&got);
	return result;
}

/* Each prefix, in a buffer of its own size so that a sanitizer sees what is read behind it. */
static void cut_is_refused(const struct buffer *packet, const char *what)
{
	size_t taken = 0;

	for (size_t size = 0; size < packet->size; size++) {
		struct spawn_packet got;
		char *cut = xmemdup(packet->data, size);

		if (spawn_decode(cut, size, 2, &got) == 0) {
			spawn_packet_release(&got);
			taken++;
		}
		free(cut);
	}
	is_int(taken, 0, what);
}

static void requests(void)
{
	struct buffer packet = { 0 };
	struct spawn_packet got;

	spawn_encode_request(&packet, 7, "save", &macros, pieces, 2);
	is_int(spawn_decode(packet.data, packet.size, 2, &got), 0, "a request is read back");
	is_int(got.type, SPAWN_REQUEST, "its type");
	is_int(got.number, 7, "its number");
	is_str(got.relay, "save", "its relay");
	is_str(got.values[MACRO_SENDER], "s@example.org", "its sender");
	is_str(got.values[MACRO_CLIENT_AUTH], "", "a missing value is empty");
	is_int(got.piece_count, 2, "its pieces");
	is_mem(got.pieces, sizeof(pieces), pieces, sizeof(pieces), "which are those");
	spawn_packet_release(&got);
	is_int(decodes(&packet, 1), -1, "a piece of a descriptor that did not come is refused");
	cut_is_refused(&packet, "a cut request is refused");
	buffer_append_char(&packet, 'x');
	is_int(decodes(&packet, 2), -1, "so is one with something behind it");
	buffer_release(&packet);
}

static void answers(void)
{
	struct buffer packet = { 0 };
	struct spawn_packet got;

	spawn_encode_plain(&packet, SPAWN_STARTED, 8);
	is_int(spawn_decode(packet.data, packet.size, 0, &got), 0, "a start is read back");
	is_int(got.type, SPAWN_STARTED, "its type");
	cut_is_refused(&packet, "a cut start is refused");

	buffer_reset(&packet);
	spawn_encode_output(&packet, 9, SPAWN_STDERR, "a\0b", 3);
	is_int(spawn_decode(packet.data, packet.size, 0, &got), 0, "output is read back");
	is_int(got.stream, SPAWN_STDERR, "its stream");
	is_mem(got.octets, got.octet_count, "a\0b", 3, "its octets");

	buffer_reset(&packet);
	spawn_encode_end(&packet, 10, SPAWN_SIGNALLED, 9);
	is_int(spawn_decode(packet.data, packet.size, 0, &got), 0, "an end is read back");
	is_int(got.end, SPAWN_SIGNALLED, "what it was");
	is_int(got.detail, 9, "and the detail");
	cut_is_refused(&packet, "a cut end is refused");
	buffer_release(&packet);
}

static void refuses(struct buffer *packet, const char *what)
{
	is_int(decodes(packet, 2), -1, what);
	buffer_reset(packet);
}

static void hostile(void)
{
	static char many[SPAWN_CHUNK_MAX + 1];
	struct spawn_piece far = { 0, UINT64_MAX - 1, 10 }, nine[SPAWN_PIECES + 1] = { 0 };
	struct macros bad = macros;
	struct buffer packet = { 0 };
	char *long_value = xmalloc(MACRO_MAX + 2);

	spawn_encode_output(&packet, 1, SPAWN_STDOUT, many, sizeof(many));
	refuses(&packet, "more output than a packet has");
	spawn_encode_output(&packet, 1, SPAWN_STREAMS, "x", 1);
	refuses(&packet, "a third stream");
	spawn_encode_end(&packet, 1, SPAWN_LOST, 0);
	refuses(&packet, "an end that only a worker finds");
	spawn_encode_plain(&packet, SPAWN_HELLO + 1, 1);
	refuses(&packet, "an unknown type");
	spawn_encode_plain(&packet, SPAWN_STARTED, 1);
	packet.data[2]++;
	refuses(&packet, "another version");
	spawn_encode_request(&packet, 1, "save", &macros, &far, 1);
	refuses(&packet, "a piece beyond any file");
	far = (struct spawn_piece){ 0, INT64_MAX, 1 };
	spawn_encode_request(&packet, 1, "save", &macros, &far, 1);
	refuses(&packet, "a piece that ends beyond any file");
	spawn_encode_request(&packet, 1, "save", &macros, nine, SPAWN_PIECES + 1);
	refuses(&packet, "too many pieces");
	memset(long_value, 'x', MACRO_MAX + 1);
	long_value[MACRO_MAX + 1] = '\0';
	bad.values[MACRO_SENDER] = long_value;
	spawn_encode_request(&packet, 1, "save", &bad, pieces, 2);
	refuses(&packet, "a value that is too long");
	free(long_value);

	spawn_encode_request(&packet, 1, "save", &macros, pieces, 2);
	for (size_t i = 0; i + 1 < packet.size; i++)
		if (packet.data[i] == 's' && packet.data[i + 1] == '@')
			packet.data[i] = '\0';
	refuses(&packet, "a NUL in a value");
	buffer_release(&packet);
}

int main(void)
{
	requests();
	answers();
	hostile();
	return done_testing();
}
