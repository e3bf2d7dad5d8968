/* hash.h - uthash with our answer to memory being gone
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_BASE_HASH_H
#define SLIMTA_BASE_HASH_H

#include "common/base/memory.h"

#define HASH_NONFATAL_OOM 0
#define uthash_fatal(message) BUG("uthash: %s", message)
#define uthash_malloc(size) xmalloc(size)

#include <uthash.h>

#endif
