/* sasl_server_private.h - what the files of the server's mechanisms share; nobody else includes it
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_SMTP_SASL_SERVER_PRIVATE_H
#define SLIMTA_SMTP_SASL_SERVER_PRIVATE_H

#include "common/smtp/sasl_server.h"

struct sasl_mechanism {
	const char *name;
	enum sasl_result (*input)(struct sasl_server *, const char *octets, size_t size, struct buffer *challenge);
	enum sasl_result (*answer)(struct sasl_server *, const struct sasl_answer *, struct buffer *challenge);
};

struct sasl_server {
	const struct sasl_mechanism *mechanism;
	struct sasl_question question;
	bool asks, over;
	char *authcid, *authzid;	/* NULL: not said yet */
	char *password;
	struct sasl_server_scram {
		char *nonce;			/* our part; NULL: to be made */
		struct buffer message;		/* AuthMessage as far as it is known */
		char *header;			/* gs2-header, what the client began with */
		char *whole_nonce;
		unsigned char proof[SCRAM_KEY_SIZE];
		enum { SCRAM_FIRST, SCRAM_FINAL, SCRAM_LAST } step;
	} scram;
};

/* Sets a name, if it is one: UTF-8, bounded, without control characters; "" is one. */
bool sasl_server_set_name(char **name, const char *text, size_t size);
enum sasl_result sasl_server_ask(struct sasl_server *, enum sasl_question_kind);	/* SASL_ASKS */

/* sasl_server_scram.c */
enum sasl_result sasl_server_scram_input(struct sasl_server *, const char *octets, size_t size, struct buffer *challenge);
enum sasl_result sasl_server_scram_answer(struct sasl_server *, const struct sasl_answer *, struct buffer *challenge);

#endif
