/* walk.h - the messages that an operator means, queue by queue, a batch at a time
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_QUEUECTL_WALK_H
#define SLIMTA_QUEUECTL_WALK_H

#include "queuectl/operator.h"

#define WALK_BATCH 500

struct walk {
	struct operator *operator;
	const struct arguments *arguments;	/* ids and filter; no ids: all that match */
	size_t limit;				/* 0: none */
	bool (*ends)(const struct walk *);	/* optional: asked before each batch, true: it was the last one */
	/* One of them, borrowed; nothing may be asked of a queue just then. */
	void (*each)(struct walk *, struct queue *, const struct list_entry *);
	void (*flush)(struct walk *);		/* optional: behind each batch, when a queue may be asked */
	/* Optional: nothing was found under that id, as was said. `failed`: a queue could not be asked. */
	void (*absent)(struct walk *, const char *id, bool failed);
	size_t count;				/* of messages so far */

	/* walk's own */
	struct queue *queue;
	bool done, failed;
	char cursor[LIST_CURSOR_SIZE];
};

/* Says what goes wrong and sets the exit code; goes on with the next queue. */
void walk_messages(struct walk *);
/* The one of that id, whatever the filter; false: the queue could not be asked, as was said. */
bool walk_one(struct walk *, struct queue *, const char *id);

#endif
