/* fake_settings.h - the settings of the queue of fake_queue.h, which includes it and has the loop
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_T_FAKE_SETTINGS_H
#define SLIMTA_T_FAKE_SETTINGS_H

#include "common/queue/queue.h"

static struct {
	const struct setting *settings;
	size_t count;
	const char *fail_with;		/* NULL: they are told */
	unsigned looks;			/* how often they were asked for */
} fake_settings;

struct settings_answer {
	struct event *event;
	storage_settings_fn *done;
	void *arg;
};

MAYBE void on_settings_answer(evutil_socket_t fd, short what, void *arg)
{
	struct settings_answer *answer = arg;
	const char *with = fake_settings.fail_with;
	struct reply why = { 0 };

	(void)fd;
	(void)what;
	if (with)
		reply_set(&why, (unsigned)atoi(with), with + 4, "as the test wants");
	answer->done(answer->arg, with ? &why : NULL, fake_settings.settings, with ? 0 : fake_settings.count);
	event_free(answer->event);
	free(answer);
	reply_release(&why);
}

void queue_settings(struct queue *queue, storage_settings_fn *done, void *arg)
{
	struct settings_answer *answer = xcalloc(1, sizeof(*answer));

	(void)queue;
	fake_settings.looks++;
	*answer = (struct settings_answer){ event_new(base, -1, 0, on_settings_answer, answer), done, arg };
	event_active(answer->event, EV_TIMEOUT, 0);
}

#endif
