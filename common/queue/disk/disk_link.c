/* disk_link.c - the link to the scanner: of its siblings, and of edges that announce what they wrote
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/queue/disk/disk_share.h"

#define RETRY_FIRST_MS 10
#define RETRY_LAST_MS 1000
#define LIVED_MS 1000		/* a link that ends sooner was refused, or will be soon again */

/* By way of the directory's descriptor, as a socket's address has room for 107 octets only. */
int disk_socket_address(const struct disk *disk, const char *suffix, void *out)
{
	struct sockaddr_un *address = out;
	int size;

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	size = snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/due-%s%s",
		disk->share->directory_fd, disk->storage.context.queue, suffix);
	if (size > 0 && (size_t)size < sizeof(address->sun_path))
		return 0;
	errno = ENAMETOOLONG;
	return -1;
}

int disk_packet_read(int fd, struct packet *packet)
{
	ssize_t size = recv(fd, packet, sizeof(*packet), MSG_DONTWAIT);
	size_t head = offsetof(struct packet, items);

	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (size < (ssize_t)head || packet->version != PACKET_VERSION || packet->count > PACKET_ITEMS ||
			(size_t)size != head + packet->count * sizeof(packet->items[0]))
		return -1;
	if (packet->event == DISK_RECALL && packet->count != 1)
		return -1;
	for (uint32_t i = 0; i < packet->count; i++) {
		packet->items[i].id[ID_LENGTH] = '\0';
		if (packet->event != DISK_WANT && packet->event != DISK_MISSED && packet->event != DISK_RECALL &&
				!id_is_valid(packet->items[i].id))
			return -1;
	}
	return 1;
}

bool disk_packet_send(int fd, enum disk_event event, const struct due_item *items, size_t count)
{
	struct packet packet;

	memset(&packet, 0, offsetof(struct packet, items));
	while (count) {
		size_t part = count < PACKET_ITEMS ? count : PACKET_ITEMS;

		packet.version = PACKET_VERSION;
		packet.event = (uint32_t)event;
		packet.count = (uint32_t)part;
		memcpy(packet.items, items, part * sizeof(*items));
		if (send(fd, &packet, offsetof(struct packet, items) + part * sizeof(*items),
			    MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			return false;
		items += part;
		count -= part;
	}
	return true;
}

void disk_link_close(struct disk *disk)
{
	struct disk_share *share = disk->share;

	if (share->readable)
		event_free(share->readable);
	share->readable = NULL;
	fd_close(&share->fd);
}

static int connect_link(struct disk *disk)
{
	struct sockaddr_un address;

	if (disk->share->directory_fd < 0 || disk_socket_address(disk, "", &address) < 0)
		return -1;
	disk->share->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (disk->share->fd >= 0 && connect(disk->share->fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return 0;
	fd_close(&disk->share->fd);
	return -1;
}

/* Whoever only announces needs no link while it has nothing to say. */
static bool announces_only(const struct disk *disk)
{
	return disk->storage.context.role != STORAGE_FOR_WORKER;
}

static void try_again(struct disk *disk)
{
	struct disk_share *share = disk->share;
	struct timeval delay = { .tv_sec = share->retry_ms / 1000, .tv_usec = share->retry_ms % 1000 * 1000 };

	if (event_pending(share->retry, EV_TIMEOUT, NULL))
		return;
	share->retry_ms = share->retry_ms * 2 < RETRY_LAST_MS ? share->retry_ms * 2 : RETRY_LAST_MS;
	event_add(share->retry, &delay);
}

static bool send_packet(struct disk *disk, enum disk_event event, const struct due_item *items, size_t count)
{
	struct disk_share *share = disk->share;

	if (share->fd >= 0 && disk_packet_send(share->fd, event, items, count))
		return true;
	if (!announces_only(disk) || (share->fd >= 0 && errno == EAGAIN))
		return false;
	disk_link_close(disk);
	return connect_link(disk) == 0 && disk_packet_send(share->fd, event, items, count);
}

void disk_link_missed(struct disk *disk)
{
	disk->share->missed = announces_only(disk);
	if (!disk->share->missed)
		disk_link_close(disk);
	try_again(disk);
}

/* While nobody listens, and when the link is full, announcements are dropped and one scan stands for all of them. A
 * worker begins anew: the scanner then forgets what it gave us, and hears what we hold. */
void disk_link_flush(struct disk *disk)
{
	struct disk_share *share = disk->share;
	size_t count = share->gathered_count;

	share->gathered_count = 0;
	if (!count)
		return;
	if (!share->missed && send_packet(disk, share->gathered_event, share->gathered, count)) {
		if (announces_only(disk))
			share->retry_ms = RETRY_FIRST_MS;
		return;
	}
	disk_link_missed(disk);
}

void disk_link_report(struct disk *disk, enum disk_event event, const struct due_item *items, size_t count)
{
	struct disk_share *share = disk->share;

	while (count) {
		size_t part;

		if (share->gathered_count == PACKET_ITEMS || share->gathered_event != event)
			disk_link_flush(disk);
		part = PACKET_ITEMS - share->gathered_count;
		part = part < count ? part : count;
		share->gathered_event = event;
		memcpy(&share->gathered[share->gathered_count], items, part * sizeof(*items));
		share->gathered_count += part;
		items += part;
		count -= part;
	}
	if (share->gathered_count)
		event_active(share->flush, EV_TIMEOUT, 0);
}

static void on_packet(evutil_socket_t fd, short what, void *arg)
{
	struct disk *disk = arg;
	struct packet packet;
	int result = 0;

	(void)what;
	/* What is reported meanwhile may close the link. */
	while (disk->share->fd == fd && (result = disk_packet_read(fd, &packet)) > 0) {
		disk->share->retry_ms = RETRY_FIRST_MS;
		if (packet.event == DISK_TAKE)
			disk_claim_ids(disk, packet.items, packet.count);
	}
	if (result >= 0)
		return;
	disk_link_close(disk);
	if (clock_boot_ms() - disk->share->linked_boot_ms < LIVED_MS) {
		try_again(disk);	/* it has more siblings than it serves: the next one may have room */
		return;
	}
	disk->share->retry_ms = RETRY_FIRST_MS;
	disk_link_start(disk);
}

/* A new scanner has to know what we hold, or it would give it to others at once. */
static void introduce(struct disk *disk)
{
	struct disk_lease *lease;

	LIST_FOREACH(lease, &disk->leases, next) {
		struct due_item item = { 0 };

		memcpy(item.id, lease->lease.id, ID_SIZE);
		disk_link_report(disk, DISK_MINE, &item, 1);
	}
	disk_share_want(disk);
}

/* Of whom only announces: true once the scanner knows that it has to look. */
static bool tell_missed(struct disk *disk)
{
	const struct due_item nothing = { 0 };

	disk->share->missed = !send_packet(disk, DISK_MISSED, &nothing, 1);
	return !disk->share->missed;
}

void disk_link_start(struct disk *disk)
{
	struct disk_share *share = disk->share;

	if (announces_only(disk)) {
		if (share->missed && !tell_missed(disk))
			try_again(disk);
		return;
	}
	if (!disk->stopping && disk_scanner_start(disk))
		return;
	if (share->fd >= 0)
		return;
	if (disk->stopping && LIST_EMPTY(&disk->leases))
		return;
	if (connect_link(disk) < 0) {
		try_again(disk);
		return;
	}
	share->linked_boot_ms = clock_boot_ms();
	share->readable = event_new(disk->storage.context.base, share->fd, EV_READ | EV_PERSIST, on_packet, disk);
	if (!share->readable || event_add(share->readable, NULL) < 0)
		BUG("no event");
	introduce(disk);
}
