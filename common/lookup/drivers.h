/* drivers.h - the types of look-ups
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_LOOKUP_DRIVERS_H
#define SLIMTA_LOOKUP_DRIVERS_H

#include "common/lookup/lookup.h"

extern const struct lookup_driver lookup_config;

#endif
