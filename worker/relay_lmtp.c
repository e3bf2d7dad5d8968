/* relay_lmtp.c - gives all messages to one store of mail by LMTP (RFC 2033)
 * SPDX-License-Identifier: MIT */
#include "worker/one_host.h"

static const struct option rows[] = {
	{ "host", TEXT_FIELD(one_host, host), "localhost", 0, 0, "name or address of the next hop" },
	{ "port", UINT_FIELD(one_host, port), "24", 1, 65535, "its port" },
	{ "path", PATH_FIELD(one_host, path), NULL, 0, 0, "its Unix socket, in place of host and port" },
	SMTP_RELAY_ROWS(one_host, smtp),
	SMTP_CREDENTIALS_ROWS(one_host, smtp),
	{ 0 },
};

static void lmtp_check(struct relay *relay, const struct config_node *section, const struct relay_setting *setting,
	struct config_errors *errors)
{
	((struct one_host *)relay)->smtp.lmtp = true;
	one_host_check(relay, section, setting, errors);
}

const struct relay_driver relay_lmtp = {
	.type = "lmtp",
	.size = sizeof(struct one_host),
	.options = rows,
	.is_final = true,
	.check = lmtp_check,
	.open = one_host_open,
	.deliver = one_host_deliver,
	.drain = one_host_drain,
	.close = one_host_close,
};
