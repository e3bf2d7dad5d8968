/* relay_static.c - gives all messages to one next hop by SMTP
 * SPDX-License-Identifier: MIT */
#include "worker/one_host.h"

static const struct option rows[] = {
	{ "host", TEXT_FIELD(one_host, host), NULL, 0, 0, "name or address of the next hop", .required = true },
	{ "port", UINT_FIELD(one_host, port), "25", 1, 65535, "its port" },
	SMTP_RELAY_ROWS(one_host, smtp),
	SMTP_CREDENTIALS_ROWS(one_host, smtp),
	{ 0 },
};

const struct relay_driver relay_static = {
	.type = "static",
	.size = sizeof(struct one_host),
	.options = rows,
	.check = one_host_check,
	.open = one_host_open,
	.deliver = one_host_deliver,
	.drain = one_host_drain,
	.close = one_host_close,
};
