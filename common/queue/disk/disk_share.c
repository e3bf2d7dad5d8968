/* disk_share.c - the scanner: who gets which id, and what has become of it
 * SPDX-License-Identifier: MIT
 * Of a queue's workers on this host, the one that holds the lock runtime_dir/scan-NAME. */
#include "common/queue/disk/disk_share.h"

#include <errno.h>
#include <fcntl.h>
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

#define BACKLOG 64
#define ACCEPT_PAUSE_S 1	/* without descriptors there is nothing to be done sooner */
#define LOOK_MS 60000		/* the wall clock may be set meanwhile */

bool disk_is_scanner(const struct disk *disk)
{
	return disk->share && disk->share->scanner;
}

static void apply(struct disk *disk, uint16_t holder, enum disk_event event, const struct due_item *item)
{
	struct due_table *table = &disk->due;
	struct due_entry *entry = due_find(table, item->id);
	int64_t now_ms = clock_wall_ms();

	if (event == DISK_GONE) {
		if (entry)
			due_drop(table, entry);
		return;
	}
	/* The scan may have found it before its writer told us, and somebody may have it by now. */
	if (event == DISK_NEW && entry && entry->state != DUE_PARKED)
		return;
	if (event == DISK_PARKED && entry && entry->state == DUE_TAKEN && entry->holder != holder)
		return;
	entry = due_add(table, item->id);
	entry->changed = disk_scan_number(disk);
	if (event == DISK_PARKED || event == DISK_MINE)
		due_park(table, entry);
	else if (event == DISK_ASIDE)
		due_put_aside(table, entry, item, holder, now_ms);
	else
		due_wait(table, entry, item->due_ms, event != DISK_NEW && item->tried, now_ms);
	if (event == DISK_MINE) {
		entry->state = DUE_TAKEN;
		entry->holder = holder;
	}
}

void disk_report(struct disk *disk, enum disk_event event, const struct due_item *items, size_t count)
{
	if (!disk->share)
		return;
	if (!disk->share->scanner) {
		disk_link_report(disk, event, items, count);
		return;
	}
	for (size_t i = 0; i < count; i++)
		apply(disk, HOLDER_SELF, event, &items[i]);
	disk_share_dispatch(disk);
}

void disk_share_missed(struct disk *disk)
{
	if (disk->share && disk->share->scanner)
		disk_scan_again(disk);
	else if (disk->share)
		disk_link_missed(disk);
}

void disk_share_want(struct disk *disk)
{
	struct due_item want = { 0 };
	size_t max;

	if (!disk->share || !disk_claim_waits(disk, &max))
		return;
	want.due_ms = (int64_t)max;
	if (disk->share->scanner)
		disk_share_dispatch(disk);
	else
		disk_link_report(disk, DISK_WANT, &want, 1);
}

void disk_recall(struct storage *storage, unsigned group)
{
	struct disk *disk = (struct disk *)storage;
	struct due_item item = { .group = (uint16_t)group };

	disk->recalls++;
	if (!disk->share)
		return;
	if (!disk->share->scanner) {
		disk_link_report(disk, DISK_RECALL, &item, 1);
		return;
	}
	due_recall(&disk->due, item.group, clock_wall_ms());
	disk_share_dispatch(disk);
}

static void release_holder(struct due_table *table, struct due_entry *entry, void *arg)
{
	const struct peer *peer = arg;

	if ((entry->state == DUE_TAKEN || entry->aside) && entry->holder == peer->holder)
		due_wait(table, entry, clock_wall_ms(), entry->tried, clock_wall_ms());
}

/* What it had is free again: its locks ended before its socket did, or will be found held. */
static void peer_lost(struct peer *peer)
{
	struct disk *disk = peer->disk;

	due_each(&disk->due, release_holder, peer);
	LIST_REMOVE(peer, next);
	disk->share->peer_count--;
	event_free(peer->readable);
	fd_close(&peer->fd);
	free(peer);
	disk_share_dispatch(disk);
}

static void on_peer(evutil_socket_t fd, short what, void *arg)
{
	struct peer *peer = arg;
	struct packet packet;
	int result;

	(void)what;
	while ((result = disk_packet_read(fd, &packet)) > 0) {
		if (packet.event == DISK_WANT) {
			peer->want = packet.count && packet.items[0].due_ms > 0 ? (size_t)packet.items[0].due_ms : 0;
			continue;
		}
		if (packet.event == DISK_MISSED) {
			disk_scan_again(peer->disk);
			continue;
		}
		if (packet.event == DISK_RECALL) {
			due_recall(&peer->disk->due, packet.items[0].group, clock_wall_ms());
			continue;
		}
		for (uint32_t i = 0; i < packet.count; i++)
			apply(peer->disk, peer->holder, (enum disk_event)packet.event, &packet.items[i]);
	}
	disk_share_dispatch(peer->disk);
	if (result < 0)
		peer_lost(peer);
}

static bool is_ours(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
		(peer.uid == geteuid() || peer.uid == 0);
}

static void on_connection(evutil_socket_t listen_fd, short what, void *arg)
{
	struct disk *disk = arg;
	struct disk_share *share = disk->share;
	struct peer *peer;
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)what;
	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
		event_del(share->acceptable);
		event_add(share->pause, &(struct timeval){ .tv_sec = ACCEPT_PAUSE_S });
	}
	if (fd < 0)
		return;
	if (share->peer_count >= PEERS_MAX || !is_ours(fd)) {
		fd_close(&fd);
		return;
	}
	peer = xcalloc(1, sizeof(*peer));
	peer->disk = disk;
	peer->fd = fd;
	if (++share->last_holder <= HOLDER_SELF)
		share->last_holder = HOLDER_SELF + 1;
	peer->holder = share->last_holder;
	peer->readable = event_new(disk->storage.context.base, fd, EV_READ | EV_PERSIST, on_peer, peer);
	if (!peer->readable || event_add(peer->readable, NULL) < 0)
		BUG("no event");
	LIST_INSERT_HEAD(&share->peers, peer, next);
	share->peer_count++;
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	struct disk *disk = arg;

	(void)fd;
	(void)what;
	if (disk->share->acceptable)
		event_add(disk->share->acceptable, NULL);
}

/* Bound beside its place and renamed into it: the socket of a dead scanner is replaced at once. */
static int listen_for_peers(struct disk *disk)
{
	struct disk_share *share = disk->share;
	char suffix[16], staged[300], name[300];
	struct sockaddr_un address;

	snprintf(suffix, sizeof(suffix), ".%d", (int)getpid());
	snprintf(name, sizeof(name), "due-%.250s", disk->storage.context.queue);
	snprintf(staged, sizeof(staged), "due-%.250s%s", disk->storage.context.queue, suffix);
	if (disk_socket_address(disk, suffix, &address) < 0)
		return -1;
	share->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlinkat(share->directory_fd, staged, 0);
	if (share->listen_fd < 0 || bind(share->listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
			listen(share->listen_fd, BACKLOG) < 0 ||
			renameat(share->directory_fd, staged, share->directory_fd, name) < 0) {
		fd_close(&share->listen_fd);
		return -1;
	}
	share->acceptable = event_new(disk->storage.context.base, share->listen_fd, EV_READ | EV_PERSIST,
		on_connection, disk);
	if (!share->acceptable || event_add(share->acceptable, NULL) < 0)
		BUG("no event");
	return 0;
}

static bool lock_scan(struct disk *disk)
{
	struct disk_share *share = disk->share;
	char name[300];
	int locked;

	if (share->directory_fd < 0)
		return true;
	snprintf(name, sizeof(name), "scan-%.250s", disk->storage.context.queue);
	if (share->lock_fd < 0)
		share->lock_fd = openat(share->directory_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	locked = share->lock_fd < 0 ? -1 : ofd_lock(share->lock_fd, 0, 1, true);
	if (locked < 0)
		disk_log_error(disk, "lock runtime_dir/scan-", disk->storage.context.queue, errno);
	/* Better twice than never: two scanners cost only attempts at locks. */
	return locked != 0;
}

bool disk_scanner_start(struct disk *disk)
{
	struct disk_share *share = disk->share;

	if (share->scanner)
		return true;
	if (!lock_scan(disk))
		return false;
	share->scanner = true;
	if (share->directory_fd >= 0 && listen_for_peers(disk) < 0)
		disk_log_error(disk, "listen at runtime_dir/due-", disk->storage.context.queue, errno);
	disk_scan_start(disk);
	disk_share_dispatch(disk);
	return true;
}

static size_t claimants(struct disk *disk)
{
	struct peer *peer;
	size_t max, count = disk_claim_waits(disk, &max);

	LIST_FOREACH(peer, &disk->share->peers, next)
		count += peer->want > 0;
	return count;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void put_back(struct disk *disk, const struct due_item *items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		apply(disk, HOLDER_SELF, DISK_DUE, &items[i]);
}

/* Everybody who waits gets an equal share of what is due. */
static void dispatch(evutil_socket_t fd, short what, void *arg)
{
	struct disk *disk = arg;
	struct due_item items[PACKET_ITEMS];
	int64_t now_ms = clock_wall_ms(), next_ms;
	size_t waiting = claimants(disk), ready = due_ready(&disk->due, now_ms), share, max, count;
	struct peer *peer, *following;

	(void)fd;
	(void)what;
	share = waiting ? (ready + waiting - 1) / waiting : 0;
	for (peer = LIST_FIRST(&disk->share->peers); peer; peer = following) {
		following = LIST_NEXT(peer, next);
		count = peer->want ? due_pop(&disk->due, now_ms, least(least(share, peer->want), PACKET_ITEMS),
			peer->holder, items) : 0;
		if (!count)
			continue;
		peer->want = 0;
		if (disk_packet_send(peer->fd, DISK_TAKE, items, count))
			continue;
		put_back(disk, items, count);
		peer_lost(peer);
	}
	if (disk_claim_waits(disk, &max)) {
		count = due_pop(&disk->due, now_ms, least(least(share, max), PACKET_ITEMS), HOLDER_SELF, items);
		if (count)
			disk_claim_ids(disk, items, count);
	}
	next_ms = due_next(&disk->due, now_ms);
	if (claimants(disk) && next_ms != INT64_MAX) {
		int64_t wait_ms = next_ms <= now_ms ? 0 : next_ms - now_ms < LOOK_MS ? next_ms - now_ms : LOOK_MS;
		struct timeval delay = { .tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000 };

		event_add(disk->share->dispatch, &delay);
	}
}

void disk_share_dispatch(struct disk *disk)
{
	if (disk->share && disk->share->scanner)
		event_active(disk->share->dispatch, EV_TIMEOUT, 0);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	disk_link_start(arg);
}

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	disk_link_flush(arg);
}

void disk_share_open(struct disk *disk)
{
	const char *directory = disk->storage.context.process->runtime_dir;
	struct disk_share *share = xcalloc(1, sizeof(*share));

	*share = (struct disk_share){ .directory_fd = -1, .lock_fd = -1, .listen_fd = -1, .fd = -1, .retry_ms = 10,
		.last_holder = HOLDER_SELF };
	LIST_INIT(&share->peers);
	disk->share = share;
	share->dispatch = event_new(disk->storage.context.base, -1, 0, dispatch, disk);
	share->retry = event_new(disk->storage.context.base, -1, 0, on_retry, disk);
	share->flush = event_new(disk->storage.context.base, -1, 0, on_flush, disk);
	share->pause = event_new(disk->storage.context.base, -1, 0, on_pause_over, disk);
	if (!share->pause || !share->dispatch || !share->retry || !share->flush)
		BUG("no event");
	if (directory && (disk->storage.context.role == STORAGE_FOR_OPERATOR || directory_make(directory, 0750) == 0))
		share->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (share->directory_fd < 0 && disk->storage.context.role != STORAGE_FOR_OPERATOR)
		log_warn("queue", "runtime_dir not usable, new messages wait for a scan",
			LOG_TEXT("queue", disk->storage.context.queue), LOG_TEXT("runtime_dir", directory),
			LOG_TEXT("error", strerror(errno)));
	if (disk->storage.context.role == STORAGE_FOR_WORKER)
		disk_link_start(disk);
}

static void end_scanner(struct disk *disk)
{
	struct disk_share *share = disk->share;
	struct peer *peer;

	share->scanner = false;
	disk_scan_stop(disk);
	event_del(share->dispatch);
	if (share->acceptable)
		event_free(share->acceptable);
	share->acceptable = NULL;
	fd_close(&share->listen_fd);
	fd_close(&share->lock_fd);	/* before the peers see our end, so that one of them gets it */
	while ((peer = LIST_FIRST(&share->peers))) {
		LIST_REMOVE(peer, next);
		event_free(peer->readable);
		fd_close(&peer->fd);
		free(peer);
	}
	share->peer_count = 0;
	due_release(&disk->due);
}

/* What we still hold is told to the next scanner, and what becomes of it. */
void disk_share_stop(struct disk *disk)
{
	struct due_item none = { 0 };

	if (!disk->share)
		return;
	if (!disk->share->scanner) {
		disk_link_report(disk, DISK_WANT, &none, 1);
		disk_link_flush(disk);
		return;
	}
	end_scanner(disk);
	disk_link_start(disk);
}

void disk_share_close(struct disk *disk)
{
	struct disk_share *share = disk->share;

	if (!share)
		return;
	if (share->scanner)
		end_scanner(disk);
	else
		disk_link_flush(disk);
	disk_link_close(disk);
	event_free(share->flush);
	event_free(share->pause);
	event_free(share->dispatch);
	event_free(share->retry);
	fd_close(&share->lock_fd);
	fd_close(&share->directory_fd);
	disk->share = NULL;
	free(share);
}
