/* smtp_edge.c - the smtp kind of edge: its options and connections
 * SPDX-License-Identifier: MIT */
#include "edge/smtp_edge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/log.h"
#include "common/base/memory.h"

#define SPOOL_DIR "/var/spool/slimta"

static const char *const newline_choices[] = { "reject", "normalize", NULL };
enum { NEWLINE_REJECT, NEWLINE_NORMALIZE };

static void check_extensions(const struct config_node *node, void *field,
	struct config_errors *errors)
{
	const struct strings *names = field;

	for (size_t i = 0; i < names->count; i++) {
		if (!extension_find(names->items[i]))
			config_error_at_value(errors, node,
				"\"%s\" is no extension that this slimta offers",
				names->items[i]);
	}
}

static const struct option rules_rows[] = {
	{ "banner", TEXT_FIELD(smtp_rules, banner), NULL, 0, 0,
		"text after 220; a template; \"HOSTNAME ESMTP slimta\" if absent" },
	RULES_ROWS(smtp_rules, who),
	{ "passlib_config", OPTION_IGNORED, .check = authentication_refuse_passlib },
	{ 0 }
};

static const struct option smtp_rows[] = {
	{ "max_size", SIZE_FIELD(smtp_edge, max_size_bytes), "10485760", 0, 0,
		"octets of a message, declared or real: 552 5.3.4 beyond; 0 = none" },
	{ "max_recipients", UINT_FIELD(smtp_edge, max_recipients), "1000", 1, 50000,
		"recipients of a transaction: 452 4.5.3 beyond" },
	{ "max_errors", UINT_FIELD(smtp_edge, max_errors), "10", 1, 100000,
		"bad commands of a connection, or such as bring no message: 421 4.7.0 beyond" },
	{ "max_hops", UINT_FIELD(smtp_edge, max_hops), "50", 1, 100000,
		"Received and Delivered-To fields: 554 5.4.6 beyond" },
	{ "command_timeout", TIME_FIELD(smtp_edge, command_timeout_ms), "300", 1000, 86400000,
		"time for a command to come: 421 4.4.2 beyond" },
	{ "data_timeout", TIME_FIELD(smtp_edge, data_timeout_ms), "300", 1000, 86400000,
		"silence within mail data, or less than 10 octets a second: 421 4.4.2 beyond" },
	{ "bare_newline", CHOICE_FIELD(smtp_edge, bare_newline), "reject", 0, 0,
		"bare CR or LF in a message: reject (550 5.5.2), or normalize to CR LF",
		.choices = newline_choices },
	{ "disable_extensions", TEXTS_FIELD(smtp_edge, disable_extensions), NULL, 0, 0,
		"EHLO keywords not to offer", .check = check_extensions },
	TLS_ROW(smtp_edge, tls.settings, tls_server_rows, "TLS is offered by STARTTLS, with this certificate"),
	{ "tls_immediately", BOOL_FIELD(smtp_edge, tls.immediately), "false", 0, 0,
		"TLS begins with the connection, as on port 465, and not by STARTTLS" },
	{ "require_tls", BOOL_FIELD(smtp_edge, tls.required), "false", 0, 0,
		"mail is taken within TLS alone: 530 5.7.0 in clear" },
	{ "rules", SECTION_FIELD(smtp_edge, rules), NULL, 0, 0, "what to accept",
		.rows = rules_rows },
	{ 0 }
};

static int load(struct edge *edge, const struct config_node *section,
	const struct process_options *process, struct config_errors *errors)
{
	struct smtp_edge *smtp = (struct smtp_edge *)edge;
	const struct config_node *rules = config_get(section, "rules");

	size_t before = errors->error_count;

	TAILQ_INIT(&smtp->connections);
	smtp_tls_check(&smtp->tls, &smtp->disable_extensions, section, errors);
	if (errors->error_count > before)
		return -1;
	if (authentication_load(edge, section, smtp->tls.settings.given, errors) < 0)
		return -1;
	edge->rules = rules_load(&smtp->rules.who, rules);
	if (!smtp->rules.banner) {
		smtp->banner = xasprintf("%s ESMTP slimta", edge->options.hostname);
		return 0;
	}
	smtp->banner = template_names(smtp->rules.banner, process, config_get(rules, "banner"),
		errors);
	return smtp->banner ? 0 : -1;
}

static void unload(struct edge *edge)
{
	struct smtp_edge *smtp = (struct smtp_edge *)edge;

	free(smtp->banner);
}

/* Else the first larger message would tell, hours later. What a queue wishes is its storage's to look after. */
static void check_spool_dir(const struct edge *edge, const char *dir)
{
	if (access(dir, W_OK | X_OK) < 0)
		log_error("edge", "spool_dir not usable, larger messages are deferred",
			LOG_TEXT("edge", edge->name), LOG_TEXT("dir", dir), LOG_TEXT("error", strerror(errno)));
}

static void open_edge(struct edge *edge)
{
	struct smtp_edge *smtp = (struct smtp_edge *)edge;
	struct child *child = edge->child;
	const char *dir = child->process.spool_dir, *wished = queue_spool_dir(edge->queue);
	unsigned extensions = EXTENSIONS_ALL;

	for (size_t i = 0; i < smtp->disable_extensions.count; i++)
		extensions &= ~extension_find(smtp->disable_extensions.items[i]);
	/* SMTPUTF8 may only be offered with it (RFC 6531 3.1). */
	if (!(extensions & EXTENSION_8BITMIME))
		extensions &= ~(unsigned)EXTENSION_SMTPUTF8;
	if (!smtp->tls.settings.given)
		extensions &= ~(unsigned)EXTENSION_STARTTLS;
	smtp_tls_open(&smtp->tls, &child->secrets.tickets, edge->name);
	if (!dir)
		dir = wished ? wished : SPOOL_DIR;
	if (dir != wished)
		check_spool_dir(edge, dir);
	rules_open(edge->rules, child->base);
	authentication_open(edge);
	smtp->auth = (struct session_auth){ .scram = authentication_allows_scram(edge),
		.without_tls = edge->authentication.without_tls };
	smtp->settings = (struct session_settings){
		.hostname = edge->options.hostname,
		.edge = smtp->edge.name,
		.banner = smtp->banner,
		.max_size_bytes = smtp->max_size_bytes,
		.max_recipients = smtp->max_recipients,
		.max_errors = smtp->max_errors,
		.max_hops = smtp->max_hops,
		.normalize_newlines = smtp->bare_newline == NEWLINE_NORMALIZE,
		.command_timeout_ms = smtp->command_timeout_ms,
		.data_timeout_ms = smtp->data_timeout_ms,
		.extensions = extensions,
		.tls_available = smtp->tls.context,
		.tls_immediately = smtp->tls.immediately,
		.require_tls = smtp->tls.required,
		.spool = { child->disk, dir,
			child->process.spool_threshold_bytes },
		.auth = edge->authentication.made ? &smtp->auth : NULL,
		.counters = child->counters,
	};
}

static void accepted(struct edge *edge, int fd, const struct peer *peer)
{
	smtp_connection_new((struct smtp_edge *)edge, fd, peer);
}

static void refuse(struct edge *edge, int fd, const char *why)
{
	char text[128];
	int size = snprintf(text, sizeof(text), "421 %s %s\r\n", why ? "4.7.0" : "4.3.2",
		why ? why : "Service not available");

	/* Who expects TLS could not read it. */
	if (((struct smtp_edge *)edge)->tls.immediately)
		return;
	/* A new connection has room for a line; if it has not, there is nobody to tell. */
	if (send(fd, text, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return;
	shutdown(fd, SHUT_WR);
}

static void drain(struct edge *edge, bool now)
{
	struct smtp_edge *smtp = (struct smtp_edge *)edge;
	struct smtp_connection *c = TAILQ_FIRST(&smtp->connections);

	/* Connections leave the list on a later turn of the loop only. */
	for (; c; c = smtp_connection_next(c))
		smtp_connection_drain(c, now);
}

static int64_t least(int64_t one_ms, int64_t other_ms)
{
	return one_ms < other_ms ? one_ms : other_ms;
}

/* Who waits when it is over keeps the short time until its next octet: else one could have the others' begin again and
 * again by coming and going. */
static void busy(struct edge *edge, bool on)
{
	struct smtp_edge *smtp = (struct smtp_edge *)edge;
	int64_t most_ms = on ? EDGE_BUSY_TIMEOUT_MS : INT64_MAX;
	struct smtp_connection *c = TAILQ_FIRST(&smtp->connections);

	smtp->settings.command_timeout_ms = least(smtp->command_timeout_ms, most_ms);
	smtp->settings.data_timeout_ms = least(smtp->data_timeout_ms, most_ms);
	for (; on && c; c = smtp_connection_next(c))
		smtp_connection_hurry(c);
}

static void close_edge(struct edge *edge)
{
	struct smtp_edge *smtp = (struct smtp_edge *)edge;

	while (!TAILQ_EMPTY(&smtp->connections))
		smtp_connection_free(TAILQ_FIRST(&smtp->connections));
	smtp_tls_close(&smtp->tls);
}

const struct edge_driver smtp_edge_driver = {
	.type = "smtp",
	.size = sizeof(struct smtp_edge),
	.options = smtp_rows,
	.load = load,
	.unload = unload,
	.open = open_edge,
	.accepted = accepted,
	.refuse = refuse,
	.drain = drain,
	.busy = busy,
	.close = close_edge,
};
