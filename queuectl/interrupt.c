/* interrupt.c - an interruption while something is changed
 * SPDX-License-Identifier: MIT */
#include "queuectl/interrupt.h"

#include <signal.h>
#include <stdio.h>

#include "common/base/memory.h"

static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
static volatile sig_atomic_t came;

static void on_signal(int number)
{
	came = number;
}

void interrupt_defer(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART | (int)SA_RESETHAND }, before;

	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
}

bool interrupt_came(void)
{
	return came != 0;
}

void interrupt_obey(void)
{
	struct sigaction before;

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler == on_signal)
			signal(numbers[i], SIG_DFL);
	if (!came)
		return;
	fflush(stdout);
	raise(came);
}
