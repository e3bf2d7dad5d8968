/* mail_source.h - the octets of a message, a piece at a time, without ever waiting for a disk
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_MESSAGE_MAIL_SOURCE_H
#define SLIMTA_MESSAGE_MAIL_SOURCE_H

#include "common/base/pool.h"
#include "common/message/content.h"

struct mail_source;

enum mail_source_result {
	MAIL_SOURCE_DATA,	/* lent until the next call */
	MAIL_SOURCE_LATER,	/* being read: `arrived` will be called, then ask again */
	MAIL_SOURCE_END,
	MAIL_SOURCE_FAILED,	/* errno */
};

/* The content is borrowed. `arrived` comes from the loop. */
struct mail_source *mail_source_new(struct pool *disk, const struct content *, void (*arrived)(void *arg), void *arg);
void mail_source_free(struct mail_source *);	/* calls nothing; NULL is fine */
enum mail_source_result mail_source_next(struct mail_source *, const char **data, size_t *size);
void mail_source_rewind(struct mail_source *);	/* to the start */
/* Whom to call from now on. */
void mail_source_notify(struct mail_source *, void (*arrived)(void *arg), void *arg);

#endif
