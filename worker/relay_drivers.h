/* relay_drivers.h - the kinds of relay, and what their drivers share
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_WORKER_RELAY_DRIVERS_H
#define SLIMTA_WORKER_RELAY_DRIVERS_H

#include "worker/relay.h"

extern const struct relay_driver relay_blackhole;
extern const struct relay_driver relay_dovecot;
extern const struct relay_driver relay_lmtp;
extern const struct relay_driver relay_maildrop;
extern const struct relay_driver relay_mx;
extern const struct relay_driver relay_pipe;
extern const struct relay_driver relay_static;

/* Whether recipient `index` has to be delivered to. */
bool relay_is_open(const struct relay_delivery *, size_t index);
void relay_say_in_line(const struct relay_delivery *, bool waits);

#endif
