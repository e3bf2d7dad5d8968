/* drivers.h - the policies there are; for policy.c and its test
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_POLICY_DRIVERS_H
#define SLIMTA_POLICY_DRIVERS_H

#include "common/policy/policy.h"

extern const struct policy_driver policy_date;
extern const struct policy_driver policy_message_id;
extern const struct policy_driver policy_forward;
extern const struct policy_driver policy_received;
extern const struct policy_driver policy_recipient_domain_split;
extern const struct policy_driver policy_recipient_split;

struct policy_chain;
void policy_chain_add(struct policy_chain *, struct policy **taken);

#endif
