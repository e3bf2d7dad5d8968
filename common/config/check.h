/* check.h - errors and option rows across processes: what --check and --list-options print
 * SPDX-License-Identifier: MIT
 * The master reads the file and asks `slimta-edge --check` and `slimta-worker --check` for the rows that only
 * they know, on the memfd of the generation as descriptor 3. */
#ifndef SLIMTA_CONFIG_CHECK_H
#define SLIMTA_CONFIG_CHECK_H

#include "common/config/tree.h"

struct buffer;

/* Errors as lines that config_errors_parse reads back, so that they can be sorted with the reader's own. */
void config_errors_format(const struct config_errors *, struct buffer *out);
int config_errors_parse(struct config_errors *, const char *text, size_t size);

/* Structure that every program needs: top-level keys, sections are maps with a known `type`, references
 * from edges to queues and from queues to relays (`did you mean`). */
int config_check_structure(const struct config *, struct config_errors *);

#endif
