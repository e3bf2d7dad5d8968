/* wire.h - between the worker of a memory queue and those that reach it by its socket
 * SPDX-License-Identifier: MIT
 * A request and an answer are a line of JSON and as many octets as its `bytes` says (none: 0):
 *     {"number": 7, "op": "write", "delay": 0, "bytes": 512}	behind it messages in their stored form
 *     {"number": 7, "free": 67000000, "messages": 12}		the answer, in any order; `reply` is a failure
 *     {"moved": true}						what has no answer yet was not, and will not be, done
 * common/queue/README has the operations. */
#ifndef SLIMTA_QUEUE_MEMORY_WIRE_H
#define SLIMTA_QUEUE_MEMORY_WIRE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/message/reply.h"
#include "common/queue/storage.h"

#define WIRE_LINE_MAX 32768

/* What is being read. All-zero is valid: a line comes next. */
struct wire {
	json_t *line;			/* NULL: a line comes next */
	uint64_t bytes, left;		/* that follow it */
	bool skip;			/* the octets are not kept */
	struct buffer octets;
};

enum wire_result {
	WIRE_MORE,			/* all that could be was taken */
	WIRE_LINE,			/* wire->line and wire->bytes: reserve room, or set `skip` */
	WIRE_WHOLE,			/* its octets are there too: take what is needed, then wire_next */
	WIRE_BROKEN,			/* no such line can be */
};
/* Reads on; *taken of the octets are done with. Memory grows as octets come, never by what was said. */
enum wire_result wire_take(struct wire *, const char *data, size_t size, size_t *taken);
void wire_next(struct wire *);		/* frees what was not taken */
bool wire_is_between(const struct wire *);

/* Members of a line: the fallback where one is missing or not what it should be. Beyond +-WIRE_NUMBER_MAX it is that. */
#define WIRE_NUMBER_MAX (1LL << 53)
int64_t wire_number(const json_t *line, const char *key, int64_t fallback);
const char *wire_text(const json_t *line, const char *key);		/* NULL */
/* `line` as text and LF; takes the reference. */
void wire_append(struct buffer *out, json_t *line);

/* Text as JSON; what is no UTF-8 is escaped. */
json_t *wire_string(const char *text);

/* A filter of list() as an object; texts that are none as null. What it says, borrowed: 0, or -1: it has members that are
 * not known, or not what they should be. NULL is a filter too. */
json_t *wire_filter(const struct list_filter *);
int wire_read_filter(const json_t *, struct list_filter *);
/* Entries of list(), settings, and what is known of a message beside its envelope; new references. */
json_t *wire_entry(const struct list_entry *);
json_t *wire_setting(const struct setting *);
json_t *wire_known(const struct peeked *);
/* What these say, borrowed from the JSON but for `recipients` and `last`, which wire_entry_release frees. 0 or -1. */
int wire_read_entry(const json_t *, struct list_entry *);
void wire_entry_release(struct list_entry *);
int wire_read_setting(const json_t *, struct setting *);
/* All of it owned: see wire_known_release. 0, or -1 and all-zero. */
int wire_read_known(const json_t *, struct peeked *);
void wire_known_release(struct peeked *);	/* the envelope too */

#endif
