/* authenticator.h - what the files of the edge's authentication share; nobody else includes it
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_EDGE_AUTHENTICATOR_H
#define SLIMTA_EDGE_AUTHENTICATOR_H

#include "common/lookup/lookup.h"
#include "common/lookup/password.h"
#include "edge/authentication.h"
#include "edge/turns.h"

#define AUTHENTICATOR_SECRET 32

struct authenticator {
	struct lookup *lookup;
	const char **forms;		/* what is stored of each user who is listed; the configuration's */
	size_t form_count;
	bool scram, any_authzid;
	struct turns *turns;		/* the server's; NULL: they could not be started, and all AUTH is 454 */
	unsigned char secret[AUTHENTICATOR_SECRET];
};

/* What stands for the stored form of a user whom nobody knows: that of another one, always the same for a name (that of
 * lookup_name, so that names which would be one user are). So there are among unknown users as many of each form, of each
 * cost, as among known ones. */
const char *authenticator_dummy(const struct authenticator *, const char *name);

/* The salt of SCRAM for a user; one of an unknown user, or for a form that has none, is made of the name. */
void authenticator_salt(const struct authenticator *, const char *stored, bool known, const char *name,
	struct password_salt *);

#endif
