/* interrupt.h - an interruption (SIGINT, SIGTERM, SIGHUP) while something is changed
 * SPDX-License-Identifier: MIT
 * What was begun is finished first, so that whatever was changed stands in the log. */
#ifndef SLIMTA_QUEUECTL_INTERRUPT_H
#define SLIMTA_QUEUECTL_INTERRUPT_H

#include <stdbool.h>

/* From now on one is only noted; a second one ends the process at once. What is ignored stays so. */
void interrupt_defer(void);
bool interrupt_came(void);
/* Ends the process by the one that came; else as before. What stands in stdout's buffer is written first. */
void interrupt_obey(void);

#endif
