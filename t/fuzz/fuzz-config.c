/* fuzz-config.c - any octets as slimta.conf: read, checked, passed on, read back
 * SPDX-License-Identifier: MIT */
#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/config/check.h"
#include "common/config/process.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct config *config)
{
	struct config_errors errors = { 0 };
	struct buffer shown = { 0 }, lines = { 0 };

	config_check_structure(config, &errors);
	process_check(config, true, &errors);
	config_errors_format(&errors, &lines);
	config_errors_print(&errors, &shown);
	config_errors_release(&errors);
	if (config_errors_parse(&errors, buffer_str(&lines), lines.size) < 0)
		BUG("errors do not come back from their lines");
	config_errors_release(&errors);
	buffer_release(&shown);
	buffer_release(&lines);
}

/* What comes back is what went, to the octet. */
static void pass_on(const struct config *config)
{
	struct config_errors errors = { 0 };
	struct buffer first = { 0 }, second = { 0 };
	struct config *copy;

	config_serialize(config, &first);
	copy = config_deserialize(first.data, first.size, &errors);
	if (!copy)
		BUG("a configuration does not come back");
	config_serialize(copy, &second);
	if (first.size != second.size || memcmp(first.data, second.data, first.size) != 0)
		BUG("a configuration comes back changed");
	config_free(copy);
	config_errors_release(&errors);
	buffer_release(&first);
	buffer_release(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_errors errors = { 0 };
	struct config *config = config_parse("/nonexistent/fuzz.conf", data, size, &errors);

	if (config) {
		check(config);
		pass_on(config);
		config_free(config);
	}
	config_free(config_deserialize(data, size, &errors));
	config_errors_release(&errors);
	return 0;
}
