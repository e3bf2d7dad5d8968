/* commits.h - answers to relays that ask whether they may take the step that cannot be taken back
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_T_COMMITS_H
#define SLIMTA_T_COMMITS_H

#include <event2/event.h>

#include "worker/relay.h"

/* How the question is answered whether a command may be started: 'g'o, 's'top, 'w'ait and then as the next letter says,
 * 'n'ever; the last one stays. */
static struct {
	const char *answers;
	unsigned asked;
	struct event_base *base;
	relay_resume_fn *resume;
	void *arg;
} commits = { .answers = "g" };

static enum relay_go next_answer(void)
{
	char answer = *commits.answers;

	if (commits.answers[1])
		commits.answers++;
	return answer == 'g' ? RELAY_GO : answer == 's' ? RELAY_STOP : RELAY_WAIT;
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	relay_resume_fn *resume = commits.resume;

	(void)fd;
	(void)what;
	(void)arg;
	/* It may have been taken back. */
	commits.resume = NULL;
	if (resume)
		resume(commits.arg, next_answer());
}

static enum relay_go on_commit(void *arg, relay_resume_fn *resume, void *resume_arg)
{
	bool never = *commits.answers == 'n';
	enum relay_go answer = resume ? next_answer() : RELAY_STOP;

	(void)arg;
	commits.asked++;
	commits.resume = resume;
	commits.arg = resume_arg;
	if (answer == RELAY_WAIT && !never)
		event_base_once(commits.base, -1, EV_TIMEOUT, on_resume, NULL, &(struct timeval){ 0, 1000 });
	return answer;
}

#endif
