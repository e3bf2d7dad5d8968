/* restart.h - how long a child that died stays away
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_MASTER_RESTART_H
#define SLIMTA_MASTER_RESTART_H

#include <stdint.h>

#define RESTART_FIRST_MS 1000
#define RESTART_MOST_MS 60000
#define RESTART_GOOD_MS 60000	/* after so long its earlier deaths are forgotten */

struct restart {
	int64_t last_ms;	/* the delay given last; 0: none */
};

/* It died after `ran_ms`: the delay until the next start. */
int64_t restart_delay_ms(struct restart *, int64_t ran_ms);

#endif
