/* fuzz-worker-spawn.c - packets between worker and spawner
 * SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <string.h>

#include "common/base/memory.h"
#include "worker/channel.h"
#include "worker/spawn_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode_again(const struct spawn_packet *packet, struct buffer *out)
{
	struct macros macros;

	switch (packet->type) {
	case SPAWN_REQUEST:
		for (unsigned i = 0; i < MACRO_COUNT; i++)
			macros.values[i] = packet->values[i];
		spawn_encode_request(out, packet->number, packet->relay, &macros, packet->pieces, packet->piece_count);
		break;
	case SPAWN_OUTPUT:
		spawn_encode_output(out, packet->number, packet->stream, packet->octets, packet->octet_count);
		break;
	case SPAWN_END:
		spawn_encode_end(out, packet->number, packet->end, packet->detail);
		break;
	default:
		spawn_encode_plain(out, packet->type, packet->number);
	}
}

/* What is taken is within its limits, and is the same octets again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spawn_packet packet;
	struct buffer again = { 0 };

	if (size > CHANNEL_PACKET_MAX || spawn_decode(data, size, 2, &packet) < 0)
		return 0;
	for (unsigned i = 0; i < packet.piece_count; i++)
		if (packet.pieces[i].fd >= 2)
			BUG("a descriptor that did not come");
	encode_again(&packet, &again);
	if (again.size != size || memcmp(again.data, data, size) != 0)
		BUG("not the same again");
	buffer_release(&again);
	spawn_packet_release(&packet);
	return 0;
}
