/* stored.h - the stored form of a message, the same in every storage
 * SPDX-License-Identifier: MIT
 *     slimta 1 HEADERBYTES BODYBYTES CRC32C LF JSON LF octets
 * HEADERBYTES counts the JSON without its newline, BODYBYTES the octets; CRC32C (8 hex digits) is over JSON,
 * newline and octets. Lengths and sum decide, never the end of the file. */
#ifndef SLIMTA_MESSAGE_STORED_H
#define SLIMTA_MESSAGE_STORED_H

#include "common/message/envelope.h"

#define STORED_LINE_SIZE 64		/* the first line is padded with nothing: it is shorter than this */
#define STORED_JSON_MAX 67108864	/* a larger JSON is damage */

enum stored_result {
	STORED_OK,
	STORED_DAMAGED,		/* set aside: held, reason `damaged`, never bounced */
	STORED_FOREIGN,		/* needs a feature, or a version, this slimta lacks: give it back untouched */
	STORED_FAILED,		/* the system failed us: errno */
};

/* Line, JSON and LF to `head`; the octets follow as content_pieces() gives them. Reads the content once for
 * the sum (blocking: call on the disk pool). 0, or -1 with errno. */
int stored_encode(const struct envelope *, struct buffer *head);

/* Reads and checks the whole file at fd (blocking). On STORED_OK *envelope has its content as memory, if it is
 * not larger than `memory_max`, else as a range of an open of its own of the same file (the caller's fd is not
 * kept). `check_sum` false: lengths only. *why names what is wrong, a constant text. */
enum stored_result stored_read(int fd, size_t memory_max, bool check_sum, struct envelope **envelope, const char **why);
/* The same from memory (a storage that is no file system); the content is copied. */
enum stored_result stored_decode(const void *data, size_t size, struct envelope **envelope, const char **why);

/* Where in a run of memory a message stands: its octets from `octets_at`; what is behind `size` is another's. */
struct stored_extent {
	size_t octets_at, size;
};
/* Of the first message in memory: the envelope with no content, and its extent. `check_sum`: over its octets too, else
 * they need not be there. */
enum stored_result stored_decode_head(const void *data, size_t size, bool check_sum, struct envelope **envelope,
	struct stored_extent *, const char **why);

#endif
