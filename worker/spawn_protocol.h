/* spawn_protocol.h - what a worker and the spawner say to each other
 * SPDX-License-Identifier: MIT
 * Packets on a SOCK_SEQPACKET socket, in the machine's own byte order:
 *     "Sp" VERSION TYPE NUMBER(32) ...     NUMBER is the worker's, of one request
 * A request names a relay and values; what is run, and as whom, the spawner knows from its own configuration. */
#ifndef SLIMTA_WORKER_SPAWN_PROTOCOL_H
#define SLIMTA_WORKER_SPAWN_PROTOCOL_H

#include <stdint.h>

#include "common/base/buffer.h"
#include "worker/macros.h"

#define SPAWN_VERSION 1
#define SPAWN_PACKET_MAX 49152
#define SPAWN_CHUNK_MAX 16384		/* of output, in one packet */
#define SPAWN_OUTPUT_MAX 65536		/* kept of stdout and of stderr; the rest is discarded */
#define SPAWN_RELAY_MAX 255		/* octets of a relay's name */
#define SPAWN_FDS 2

enum spawn_type {
	SPAWN_REQUEST = 1,	/* worker: RELAY VALUES PIECES, with the descriptors that the pieces name */
	SPAWN_CANCEL,		/* worker: if it has not begun, end it with SPAWN_CANCELLED */
	SPAWN_STARTED,		/* spawner: sent before the command begins; from here on its end is in doubt */
	SPAWN_OUTPUT,		/* spawner: STREAM OCTETS */
	SPAWN_END,		/* spawner: END DETAIL(32); the last packet of a request */
	SPAWN_HELLO,		/* spawner: the first packet; a connection may wait for a spawner that is to be started */
};

enum spawn_end {
	SPAWN_EXITED = 1,	/* detail: exit status */
	SPAWN_SIGNALLED,	/* detail: signal */
	SPAWN_TIMED_OUT,
	SPAWN_UNSTARTED,	/* the system would not start it; detail: errno */
	SPAWN_INCOMPLETE,	/* the message could not be read; detail: errno. The command was ended before it saw an end */
	SPAWN_REFUSED,		/* a value may not be passed; the reason is on stderr's stream */
	SPAWN_UNKNOWN,		/* no such relay there */
	SPAWN_CANCELLED,	/* it had not begun */
	SPAWN_LOST,		/* never sent: the connection ended after SPAWN_STARTED */
};

enum spawn_stream { SPAWN_STDOUT, SPAWN_STDERR, SPAWN_STREAMS };

/* The message: ranges of the descriptors that came along, in order. */
struct spawn_piece {
	unsigned fd;		/* index */
	uint64_t offset, size;
};
#define SPAWN_PIECES 8

struct spawn_packet {
	enum spawn_type type;
	uint32_t number;
	/* SPAWN_REQUEST; texts are owned by the packet */
	char *relay;
	char *values[MACRO_COUNT];	/* "" for what is missing */
	struct spawn_piece pieces[SPAWN_PIECES];
	unsigned piece_count;
	/* SPAWN_OUTPUT; borrowed from what was decoded */
	enum spawn_stream stream;
	const void *octets;
	size_t octet_count;
	/* SPAWN_END */
	enum spawn_end end;
	uint32_t detail;
};

/* Appends one packet; what it says must be within the limits above. */
void spawn_encode_request(struct buffer *out, uint32_t number, const char *relay, const struct macros *,
	const struct spawn_piece *, unsigned piece_count);
void spawn_encode_plain(struct buffer *out, enum spawn_type, uint32_t number);	/* SPAWN_CANCEL, _STARTED, _HELLO */
void spawn_encode_output(struct buffer *out, uint32_t number, enum spawn_stream, const void *octets, size_t size);
void spawn_encode_end(struct buffer *out, uint32_t number, enum spawn_end, uint32_t detail);

/* 0, or -1 if it is no whole, valid packet. `fd_count` descriptors came with it: a piece may name no other. */
int spawn_decode(const void *data, size_t size, unsigned fd_count, struct spawn_packet *);
void spawn_packet_release(struct spawn_packet *);

#endif
