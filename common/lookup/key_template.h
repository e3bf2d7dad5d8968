/* key_template.h - keys made of an address: "{address}", "mail:{domain}:{localpart}"
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_LOOKUP_KEY_TEMPLATE_H
#define SLIMTA_LOOKUP_KEY_TEMPLATE_H

#include "common/lookup/lookup.h"

/* For the `check` of an OPTION_TEXTS row: an error at each that names an unknown field or none, or has a single brace. */
void key_template_check(const struct config_node *, void *field, struct config_errors *);

/* The key of a template that was checked, in `out`, emptied before. Where `folded` is not NULL, it gets a letter for each
 * octet of the key: 'd' where it is part of a domain, else '-'. False: the template has a field that the words have
 * not. */
bool key_template_fill(const char *template, const struct lookup_words *, struct buffer *out, struct buffer *folded);
/* Whether {authzid} is in it. */
bool key_template_wants_authzid(const char *template);
/* Whether there is anything of the address in it. */
bool key_template_wants_address(const char *template);

#endif
