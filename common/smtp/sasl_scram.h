/* sasl_scram.h - the messages of SCRAM-SHA-256, at the client (RFC 5802 sections 5 and 7, RFC 7677)
 * SPDX-License-Identifier: MIT
 * For sasl_client.c alone, which turns them into base64. */
#ifndef SLIMTA_SMTP_SASL_SCRAM_H
#define SLIMTA_SMTP_SASL_SCRAM_H

#include "common/smtp/sasl_client.h"

struct sasl_scram;
struct sasl_scram *sasl_scram_new(const struct sasl_credentials *);
void sasl_scram_free(struct sasl_scram *);	/* NULL is fine */
void sasl_scram_set_nonce(struct sasl_scram *, const char *nonce);

void sasl_scram_first(struct sasl_scram *, struct buffer *out);
/* server-first-message: NULL, or what is wrong with it, borrowed. */
const char *sasl_scram_challenged(struct sasl_scram *, const char *text, size_t size);
bool sasl_scram_work(struct sasl_scram *, struct buffer *out);	/* true: client-final-message was appended */
/* server-final-message: NULL, or what is wrong. */
const char *sasl_scram_finished(struct sasl_scram *, const char *text, size_t size);

#endif
