/* runtime.h - who children may be, and the directory where the processes meet
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_NET_RUNTIME_H
#define SLIMTA_NET_RUNTIME_H

#include "common/config/process.h"

/* The rules of `user` for process.PROGRAM: started as root it is required and may not be root, unless allowed
 * (a warning then); started as somebody else it is absent or that user. 0, or -1 with errors. */
int identity_check(const struct config *, const char *program, const struct identity *, bool allow_root,
	struct config_errors *);

/* Makes runtime_dir with mode 0750 and gives it to `owner`, also when it is there already. One that belongs to
 * somebody else and cannot be given is refused. 0, or -1 with an owned text in *why. */
int runtime_dir_make(const char *path, const struct identity *owner, char **why);

#endif
