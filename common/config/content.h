/* content.h - files that a configuration names and whose content goes with it
 * SPDX-License-Identifier: MIT
 * What a generation needs is read once, by who may read it: certificates and their private keys. */
#ifndef SLIMTA_CONFIG_CONTENT_H
#define SLIMTA_CONFIG_CONTENT_H

#include <stdbool.h>

#include "common/config/tree.h"

/* Appends what a regular file holds, at most 1 MiB; `for_all`, if not NULL, learns whether anybody on
 * this machine may read it. -1 with errno. */
int config_read_content(const char *path, struct buffer *out, bool *for_all);

/* Puts the blocks of PEM that stand in certfile, keyfile and ca_certs of each `tls` below edge, queue and relay into the
 * nodes, as `content`; one that cannot be read, and a long list of authorities, is left to who needs it. Warns of private
 * keys that anybody may read. */
void config_read_contents(struct config *, struct config_errors *);

#endif
