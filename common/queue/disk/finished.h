/* finished.h - ids of messages that were removed lately, known to all processes of this machine
 * SPDX-License-Identifier: MIT
 * A mapped file of fixed size in runtime_dir; where that is not to be had, memory of this process. Without locks:
 * a reader sees a whole entry or none. */
#ifndef SLIMTA_QUEUE_DISK_FINISHED_H
#define SLIMTA_QUEUE_DISK_FINISHED_H

#include <stdbool.h>
#include <stdint.h>

struct finished;

struct finished *finished_open(const char *path, bool make);	/* never NULL; `make`: the file, if it is not there */
void finished_close(struct finished *);
void finished_add(struct finished *, const char *id);		/* any thread */
bool finished_has(const struct finished *, const char *id);

#endif
