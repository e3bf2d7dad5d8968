/* content.h - the octets of a message: in memory while small, in a spool file beyond a threshold
 * SPDX-License-Identifier: MIT
 * Header fields that policies add stand in buffers of their own, so a spooled body is never rewritten: the
 * octets are `prepended`, the header of the original, `appended`, then the rest of the original. */
#ifndef SLIMTA_MESSAGE_CONTENT_H
#define SLIMTA_MESSAGE_CONTENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buffer.h"

struct content {
	struct buffer prepended;	/* whole fields with CR LF, before everything */
	struct buffer appended;		/* whole fields, behind the last field of the original's header */
	struct buffer memory;		/* the first octets of the original (at least its header, as far as it
					 * is not larger than CONTENT_HEADER_MAX) */
	int fd;				/* the octets behind `memory`, from `fd_offset`; -1: all in memory */
	uint64_t fd_offset;
	uint64_t fd_size;
	size_t header_size;		/* of the original: fields with their CR LF, without the empty line */
	bool needs_separator;		/* the original is a body alone: an empty line goes behind added fields */
};

#define CONTENT_HEADER_MAX 262144	/* a larger header ends, for our edits, here at a line's end */

void content_init(struct content *);
void content_release(struct content *);	/* closes fd; the file itself was unlinked by its maker */
uint64_t content_size(const struct content *);

/* Finds header_size: call when the octets are complete. The header ends before the first line that is neither
 * a field nor the continuation of one, empty or not; where that is the first line, all is body. */
void content_finish(struct content *);

/* The pieces in order, at most 5, each either memory or a range of a descriptor. */
struct content_piece {
	const void *data;		/* NULL: from fd */
	int fd;
	uint64_t offset;
	uint64_t size;
};
#define CONTENT_PIECES 5
unsigned content_pieces(const struct content *, struct content_piece pieces[CONTENT_PIECES]);

/* Reads `size` octets from `offset` of the whole, fewer at its end alone; blocking (a spool file is local).
 * Octets read, or -1 with errno (EIO: the file is shorter than it was). */
long content_read(const struct content *, uint64_t offset, void *out, size_t size);
/* An independent copy; the descriptor is opened anew. `to` is overwritten. 0, or -1 with errno. */
int content_copy(struct content *to, const struct content *from);
/* An open of its own, for reading, of the file behind `fd`, by /proc/self/fd. -1 with errno. */
int fd_open_again(int fd);

#endif
