/* tls_settings.h - `tls` settings from YAML, for tests
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_T_TLS_SETTINGS_H
#define SLIMTA_T_TLS_SETTINGS_H

#include "common/base/buffer.h"
#include "common/config/content.h"
#include "common/config/node.h"
#include "common/net/tls.h"

struct tls_fixture {
	struct tls_settings tls;
	const struct option *rows;
	struct config *config;
	struct config_errors errors;
};

/* Takes the configuration, in which `edge.main.tls` is what is to be read. */
__attribute__((unused)) static void tls_fixture_use(struct tls_fixture *fixture, struct config *config,
	const struct option *rows)
{
	const struct option row[] = { TLS_ROW(tls_fixture, tls, rows, "TLS"), { 0 } };

	*fixture = (struct tls_fixture){ .rows = rows, .config = config };
	options_load("edge.smtp", config_section(config, "edge", "main"), &(struct option_set){ row, fixture }, 1, NULL,
		&fixture->errors);
}

/* `yaml` is the value of `tls`, with @ for the folder; the files in it are read with it if `contents`. */
__attribute__((unused)) static void tls_fixture_load(struct tls_fixture *fixture, const char *folder,
	const struct option *rows, const char *yaml, bool contents)
{
	struct config_errors errors = { 0 };
	struct buffer text = { 0 };
	struct config *config;

	for (buffer_append_str(&text, "edge: {main: {tls: "); *yaml; yaml++) {
		if (*yaml == '@')
			buffer_append_str(&text, folder);
		else
			buffer_append_char(&text, *yaml);
	}
	buffer_append_str(&text, "}}");
	config = config_parse("test.conf", text.data, text.size, &errors);
	if (contents)
		config_read_contents(config, &errors);
	tls_fixture_use(fixture, config, rows);
	for (size_t i = 0; i < errors.count; i++)
		config_errors_append(&fixture->errors, &errors.items[i]);
	config_errors_release(&errors);
	buffer_release(&text);
}

__attribute__((unused)) static const struct config_node *tls_fixture_map(const struct tls_fixture *fixture)
{
	return config_get(config_section(fixture->config, "edge", "main"), "tls");
}

__attribute__((unused)) static void tls_fixture_release(struct tls_fixture *fixture)
{
	options_release(fixture->rows, &fixture->tls);
	config_errors_release(&fixture->errors);
	config_free(fixture->config);
}

#endif
