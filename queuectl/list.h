/* list.h - a line, or a JSON object, a message
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_QUEUECTL_LIST_H
#define SLIMTA_QUEUECTL_LIST_H

#include "queuectl/walk.h"

/* The header, but where JSON is wanted; looks what is suspended. */
void print_list_header(struct operator *);
void print_list_entry(const struct operator *, const struct queue *, const struct list_entry *);

/* What the walk finds, by arguments->sort; its first `limit`, of which at most four times as many are in memory;
 * without one all, 40 octets a message. */
void list_sorted(struct operator *, const struct arguments *);

#endif
