/* authentication.c - the users of an edge, and their passwords as they are stored
 * SPDX-License-Identifier: MIT */
#include "edge/authentication.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/config/scalar.h"
#include "common/lookup/password.h"
#include "edge/authenticator.h"
#include "edge/edge.h"
#include "edge/server.h"

#define MACHINE_ID "/etc/machine-id"
#define SALT_SIZE 16		/* where no form says another */
/* What an unknown user costs where the look-up names none that could be taken for it. */
#define DEFAULT_DUMMY "$pbkdf2-sha256$29000$c2FsdHNhbHRzYWx0c2FsdA$j5qMr2M/YUVlVuz6or2EZzk3.0setQ3.7ZiYknWLnww"

static const char *const authzid_choices[] = { "same", "any", NULL };

const struct option authentication_rows[] = {
	{ "auth_without_tls", BOOL_FIELD(authentication, without_tls), "false", 0, 0,
		"AUTH is offered and taken in clear, too" },
	{ "authzid", CHOICE_FIELD(authentication, authzid), "same", 0, 0,
		"another identity to act for: same refuses it, any takes it", .choices = authzid_choices },
	{ "max_auth_failures", UINT_FIELD(authentication, max_failures), "5", 0, 1000,
		"failures of a client to authenticate: 421 4.7.0, then 454 4.7.0 for ten minutes; 0 = none" },
	{ 0 }
};

void authentication_refuse_passlib(const struct config_node *node, void *field, struct config_errors *errors)
{
	(void)field;
	config_error_at(errors, node, "passlib is a library of Python, which this slimta has not; forms of passwords are known "
		"by themselves, and listed in slimta.conf(5)");
}

/* ---- loading */

#define TEXT_SAFER "a hash is safer, or {PLAIN} before it if it is meant"

struct listing {
	struct authenticator *made;
	struct config_errors *errors;
	const struct config_node *bare;		/* the first in plain text */
	size_t bare_count;
	bool all_scram;
};

static const char *problem_of(const struct config_node *value)
{
	if (value->kind != CONFIG_SCALAR)
		return "expected text";
	if (!value->quoted && scalar_type(value->text) != SCALAR_TEXT)
		return "expected text; what may be read as a number or the like has to be in quotes";
	return NULL;
}

static void check_entry(void *arg, const struct config_node *entry, const struct config_node *value)
{
	struct listing *listing = arg;
	const char *problem = value ? problem_of(value) : NULL;

	if (!value)
		config_error_at(listing->errors, entry, "has no password");
	if (!value || value->broken)
		return;
	if (!problem && (problem = password_problem(value->text))) {
		config_error_at_value(listing->errors, value, "no password can be: %s", problem);
		return;
	}
	if (problem) {
		config_error_at_value(listing->errors, value, "%s", problem);
		return;
	}
	if (password_is_bare(value->text)) {
		listing->bare = listing->bare ? listing->bare : value;
		listing->bare_count++;
	}
	listing->made->forms = xgrow(listing->made->forms, listing->made->form_count, sizeof(*listing->made->forms));
	listing->made->forms[listing->made->form_count++] = value->text;
	listing->all_scram = listing->all_scram && password_allows_scram(value->text);
}

static void check_entries(struct authenticator *made, const struct config_node *node, struct config_errors *errors)
{
	struct listing listing = { .made = made, .errors = errors, .all_scram = true };

	lookup_each(made->lookup, "password", check_entry, &listing);
	if (listing.bare_count == 1)
		config_warning_at(errors, listing.bare, "in plain text; " TEXT_SAFER);
	else if (listing.bare_count)
		config_warning_at(errors, listing.bare, "in plain text, as are %zu more; " TEXT_SAFER, listing.bare_count - 1);
	/* Of what could not be read nobody knows whom it has. */
	if (!made->form_count && lookup_is_listed(made->lookup) && !errors->error_count)
		config_warning_at(errors, node, "has no users, so nobody can authenticate");
	made->scram = made->form_count && listing.all_scram && lookup_is_listed(made->lookup);
}

int authentication_load(struct edge *edge, const struct config_node *section, bool has_tls, struct config_errors *errors)
{
	const struct config_node *rules = config_get(section, "rules");
	const struct config_node *node = rules ? config_get(rules, "lookup_credentials") : NULL;
	size_t before = errors->error_count;
	struct config_errors ignored = { 0 };
	struct authenticator *made;

	if (!node)
		return 0;
	made = xcalloc(1, sizeof(*made));
	edge->authentication.made = made;
	/* Its errors were told where the row was read. */
	made->lookup = lookup_load(node, &ignored);
	config_errors_release(&ignored);
	if (!made->lookup)
		return -1;
	made->any_authzid = edge->authentication.authzid == 1;
	check_entries(made, node, errors);
	if (made->any_authzid && lookup_ignores_address(made->lookup))
		config_error_at(errors, node, "with `authzid: any` a key_template that has {authzid} alone takes who knows one "
			"user's password for whomever he says he is: add {address}");
	if (!has_tls && !edge->authentication.without_tls)
		config_warning_at(errors, node, "AUTH is never offered, as there is neither tls nor auth_without_tls");
	return errors->error_count == before ? 0 : -1;
}

void authentication_free(struct edge *edge)
{
	struct authenticator *made = edge->authentication.made;

	if (!made)
		return;
	lookup_free(made->lookup);
	free(made->forms);
	OPENSSL_cleanse(made, sizeof(*made));
	free(made);
	edge->authentication.made = NULL;
}

bool authentication_allows_scram(const struct edge *edge)
{
	return edge->authentication.made && edge->authentication.made->scram;
}

/* ---- opening */

/* Nobody outside knows it, all processes of the machine do, and it stays, beyond a start of the master, too: so the salts of
 * users that do not exist are always the same, as are those of users that do. */
static void make_secret(const struct child *child, unsigned char secret[AUTHENTICATOR_SECRET])
{
	static const char label[] = "slimta: salts of SCRAM";
	char id[64];
	int fd = open(MACHINE_ID, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : read(fd, id, sizeof(id));

	if (fd >= 0)
		close(fd);
	if (size >= 32)
		HMAC(EVP_sha256(), id, 32, (const unsigned char *)label, sizeof(label), secret, NULL);
	else
		memcpy(secret, child->secrets.lasting, AUTHENTICATOR_SECRET);
}

void authentication_open(struct edge *edge)
{
	struct authenticator *made = edge->authentication.made;

	if (!made)
		return;
	make_secret(edge->child, made->secret);
	lookup_open(made->lookup, edge->child->base);
	made->turns = server_hash_turns(edge->server);
}

/* ---- what inquiries ask */

/* No name has a control character, so that no name stands for another one with `what` before it. */
static void octets_of_name(const struct authenticator *made, const char *what, const char *name,
	unsigned char octets[EVP_MAX_MD_SIZE])
{
	char *text = xasprintf("%s%s", what, name);

	HMAC(EVP_sha256(), made->secret, sizeof(made->secret), (const unsigned char *)text, strlen(text), octets, NULL);
	free(text);
}

const char *authenticator_dummy(const struct authenticator *made, const char *name)
{
	unsigned char octets[EVP_MAX_MD_SIZE];
	uint64_t number;

	if (!made->form_count)
		return DEFAULT_DUMMY;
	octets_of_name(made, "\003", name, octets);
	memcpy(&number, octets, sizeof(number));
	return made->forms[number % made->form_count];
}

/* As long as that of another one may be. */
static void fill_salt(const struct authenticator *made, const char *name, struct password_salt *salt)
{
	static const char *const parts[] = { "", "\001", "\002" };
	unsigned char octets[EVP_MAX_MD_SIZE];

	_Static_assert(ARRAY_SIZE(parts) * AUTHENTICATOR_SECRET >= PASSWORD_SALT_MAX, "a salt is filled");
	for (size_t i = 0; i < ARRAY_SIZE(parts) && i * AUTHENTICATOR_SECRET < salt->size; i++) {
		size_t at = i * AUTHENTICATOR_SECRET, left = salt->size - at;

		octets_of_name(made, parts[i], name, octets);
		memcpy(salt->octets + at, octets, left < AUTHENTICATOR_SECRET ? left : AUTHENTICATOR_SECRET);
	}
}

void authenticator_salt(const struct authenticator *made, const char *stored, bool known, const char *name,
	struct password_salt *salt)
{
	bool has_own = password_scram_salt(stored, salt);
	struct password_salt own;

	if (!has_own)
		*salt = (struct password_salt){ .size = SALT_SIZE, .iterations = PASSWORD_ITERATIONS };
	own = *salt;
	fill_salt(made, name, salt);
	if (has_own && known)
		*salt = own;
}
