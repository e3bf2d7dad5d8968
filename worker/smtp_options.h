/* smtp_options.h - the keys that relays share which speak SMTP or LMTP: mx, static, lmtp
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_WORKER_SMTP_OPTIONS_H
#define SLIMTA_WORKER_SMTP_OPTIONS_H

#include "common/net/hosts.h"
#include "common/net/tls.h"
#include "worker/relay.h"

#define SMTP_CONNECTIONS_MAX 1000

struct smtp_credentials {
	bool given;
	char *username, *password;	/* UTF-8, not empty */
};

struct smtp_options {
	int64_t connect_timeout_ms, command_timeout_ms, data_timeout_ms, idle_timeout_ms;
	unsigned concurrent_connections;
	char *ehlo_as;			/* a template; once checked, the name */
	bool ipv4_only;
	struct strings source_address;	/* literals, at most one of each family */
	struct tls_settings tls;
	bool require_tls, tls_immediately;	/* not without `tls` */
	struct smtp_credentials credentials;	/* of a driver that has no rows for them: not given */
	bool auth_without_tls;
	bool lmtp;			/* the driver's to set: it speaks LMTP (RFC 2033) */
};

extern const struct option smtp_credentials_rows[];
void smtp_credentials_given(const struct config_node *, void *field, struct config_errors *);

/* The rows that all of them have; `m` is the struct smtp_options in struct `s` of the driver. */
#define SMTP_RELAY_ROWS(s, m) \
	{ "connect_timeout", TIME_FIELD(s, m.connect_timeout_ms), "30", 10, 86400000, \
		"time for a connection to one address to be made" }, \
	{ "command_timeout", TIME_FIELD(s, m.command_timeout_ms), "30", 10, 86400000, \
		"time of silence after a command, and before the greeting" }, \
	{ "data_timeout", TIME_FIELD(s, m.data_timeout_ms), "60", 10, 86400000, \
		"time of silence while the message is sent, and until its end is answered" }, \
	{ "idle_timeout", TIME_FIELD(s, m.idle_timeout_ms), "10", 0, 86400000, \
		"time that a connection is kept for the next message" }, \
	{ "concurrent_connections", UINT_FIELD(s, m.concurrent_connections), "5", 1, SMTP_CONNECTIONS_MAX, \
		"connections to one host at once, over all workers of this machine" }, \
	{ "ehlo_as", TEXT_FIELD(s, m.ehlo_as), "{fqdn}", 0, 0, "template: what EHLO says" }, \
	{ "ipv4_only", BOOL_FIELD(s, m.ipv4_only), "false", 0, 0, "whether addresses of IPv6 are left out" }, \
	{ "source_address", TEXTS_FIELD(s, m.source_address), NULL, 0, 0, \
		"our address on connections: one, or one of IPv4 and one of IPv6" }, \
	TLS_ROW(s, m.tls, tls_relay_rows, "TLS to the hosts: where they offer it, unless more is asked for"), \
	{ "require_tls", BOOL_FIELD(s, m.require_tls), "false", 0, 0, "whether nothing is sent without TLS" }, \
	{ "tls_immediately", BOOL_FIELD(s, m.tls_immediately), "false", 0, 0, \
		"whether TLS begins with the connection, without STARTTLS" }

/* Those of one host that may want to know who we are. */
#define SMTP_CREDENTIALS_ROWS(s, m) \
	{ "credentials", OPTION_SECTION, OPTION_FIELD(s, m.credentials, struct smtp_credentials), NULL, 0, 0, \
		"who we are, for AUTH", .rows = smtp_credentials_rows, .check = smtp_credentials_given }, \
	{ "auth_without_tls", BOOL_FIELD(s, m.auth_without_tls), "false", 0, 0, \
		"whether credentials may be sent without TLS" }

/* For a driver's check(), after the rows, which may have failed: rules over several keys, `ehlo_as` made a name, and
 * relay->step_ms and answer_ms. */
void smtp_options_check(struct smtp_options *, struct relay *, const struct config_node *section,
	const struct relay_setting *, struct config_errors *);

/* The address that connections to one of `family` come from; false: whichever the system takes. */
bool smtp_options_source(const struct smtp_options *, int family, struct host_address *);

#endif
