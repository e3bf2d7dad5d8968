/* log_output.h - where log lines go; for log.c alone
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_BASE_LOG_OUTPUT_H
#define SLIMTA_BASE_LOG_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

enum log_output_kind { LOG_OUTPUT_STDERR, LOG_OUTPUT_FILE, LOG_OUTPUT_SYSLOG, LOG_OUTPUT_JOURNALD };

struct log_output {
	enum log_output_kind kind;
	char *path;		/* of the file or of the daemon's socket; NULL for stderr */
	int fd;			/* -1: not open */
	bool is_socket;		/* a stream behind stderr, or a daemon's datagrams */
	bool may_block;		/* stderr that could not be opened anew: asked by poll() first */
	bool torn;		/* the last line went out in part */
};

/* Sockets of the two daemons; a test has its own. */
extern const char *log_syslog_path;
extern const char *log_journald_path;

/* `name` as log_settings.output. 0, or -1 with errno and nothing held. */
int log_output_open(struct log_output *, const char *name);
void log_output_close(struct log_output *);
/* All of it without blocking, or -1. */
int log_output_send(struct log_output *, const void *data, size_t size);

#endif
