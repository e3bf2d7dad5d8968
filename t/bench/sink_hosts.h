/* sink_hosts.h - the addresses that sink listens on: next hops that are fast, slow to greet, or silent
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_BENCH_SINK_HOSTS_H
#define SLIMTA_BENCH_SINK_HOSTS_H

#include <stdbool.h>
#include <stdint.h>
#include <netinet/in.h>

enum host_kind { HOST_FAST, HOST_SLOW, HOST_SILENT, HOST_KINDS };

struct host {
	enum host_kind kind;
	int fd;
	uint64_t now;		/* connections */
};

/* How many of each kind; they follow each other from the first address on. */
extern uint64_t hosts_wanted[HOST_KINDS];
/* Of all hosts of a kind. */
extern struct host_figures {
	uint64_t connections, messages, most_to_a_host;
	int64_t last_us;	/* when the last message came, by clock_us() */
} host_figures[HOST_KINDS];

/* Listens on all of them; says where the first is. Of a silent one the backlog is full, so that it answers no SYN. Dies of
 * errors. What accepts has data.ptr of its events at the host. */
void hosts_open(struct sockaddr_in first, int poller);
void hosts_close(void);
bool hosts_have(const void *event_data);	/* whether it is a host */

void host_connected(struct host *);
void host_disconnected(struct host *);
void host_took(struct host *, int64_t now_us);

/* As members of an object: "fast": {...}, "slow": {...}, with a comma behind. */
void hosts_print(void);

#endif
