/* disk_share.h - between the scanner of a queue, its siblings and those who bring it new ids
 * SPDX-License-Identifier: MIT
 * One packet a message on the socket runtime_dir/due-NAME. Everything said there is a hint: who claims looks at the
 * files, and what is lost is found by the next scan. */
#ifndef SLIMTA_QUEUE_DISK_SHARE_H
#define SLIMTA_QUEUE_DISK_SHARE_H

#include <event2/event.h>
#include <sys/queue.h>

#include "common/queue/disk/disk.h"

#define PACKET_VERSION 1
#define PACKET_ITEMS 100
#define PEERS_MAX 256
#define HOLDER_SELF 1

struct packet {
	uint32_t version, event, count;
	struct due_item items[PACKET_ITEMS];
};

struct peer {
	LIST_ENTRY(peer) next;
	struct disk *disk;
	int fd;
	struct event *readable;
	uint16_t holder;		/* its number in the due table */
	size_t want;
};
LIST_HEAD(peers, peer);

struct disk_share {
	int directory_fd;		/* runtime_dir; -1: alone */
	int lock_fd;
	bool scanner;
	/* the scanner's */
	int listen_fd;
	struct event *acceptable, *pause, *dispatch;
	struct peers peers;
	unsigned peer_count;
	uint16_t last_holder;
	/* a sibling's, or an edge's */
	int fd;
	struct event *readable, *retry, *flush;
	int64_t retry_ms, linked_boot_ms;
	enum disk_event gathered_event;	/* what one turn of the loop reports is one packet */
	struct due_item gathered[PACKET_ITEMS];
	size_t gathered_count;
	bool missed;			/* something could not be told: the scanner has to look */
};

/* disk_link.c: our end towards the scanner */
void disk_link_start(struct disk *);		/* becomes the scanner, or connects to it, or tries again soon */
void disk_link_report(struct disk *, enum disk_event, const struct due_item *, size_t count);
void disk_link_missed(struct disk *);
void disk_link_flush(struct disk *);
void disk_link_close(struct disk *);
/* Packets at `fd`: 1 = *packet holds one, 0 = nothing now, -1 = the other end is gone or talks nonsense. */
int disk_packet_read(int fd, struct packet *);
bool disk_packet_send(int fd, enum disk_event, const struct due_item *, size_t count);
int disk_socket_address(const struct disk *, const char *suffix, void *address);

/* disk_share.c */
bool disk_scanner_start(struct disk *);		/* true: it is us now (or was) */

#endif
