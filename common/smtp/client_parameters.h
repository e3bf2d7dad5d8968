/* client_parameters.h - MAIL and RCPT with the parameters that a server takes
 * SPDX-License-Identifier: MIT
 * RFC 1870, 3461, 6152, 6531, 6533, 8689. The commands have no line end. */
#ifndef SLIMTA_SMTP_CLIENT_PARAMETERS_H
#define SLIMTA_SMTP_CLIENT_PARAMETERS_H

#include "common/smtp/client.h"
#include "common/smtp/client_offer.h"

/* Whether characters beyond ASCII may stand in the commands of this transaction. */
bool client_needs_utf8(const struct client_offer *, const struct smtp_transaction *);
void client_append_mail(const struct client_offer *, const struct smtp_transaction *, bool utf8, struct buffer *out);
void client_append_recipient(const struct client_offer *, const struct recipient *, bool utf8, struct buffer *out);

#endif
