/* runtime.h - the directory where the processes meet
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_NET_RUNTIME_H
#define SLIMTA_NET_RUNTIME_H

#include "common/config/process.h"

/* Makes runtime_dir with mode 0750 and gives it to `owner`, also when it is there already. One that belongs to
 * somebody else and cannot be given is refused. 0, or -1 with an owned text in *why. */
int runtime_dir_make(const char *path, const struct identity *owner, char **why);

#endif
