/* process.c - the `process` section, and the programs' common start
 * SPDX-License-Identifier: MIT */
#include "common/config/process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/config/names.h"
#include "common/config/values.h"

#define MAX_INSTANCES 1024

static const char *const level_names[] = { "error", "warn", "info", "debug", NULL };
static const char *const format_names[] = { "text", "json", NULL };
static const char *const dnssec_names[] = { "off", "permissive", "on", NULL };
static const char *const output_names[] = { "stderr", "syslog", "journald" };

static void check_output(const struct config_node *node, void *field, struct config_errors *errors)
{
	char **output = field;
	char *path;

	for (size_t i = 0; i < ARRAY_SIZE(output_names); i++) {
		if (strcmp(*output, output_names[i]) == 0)
			return;
	}
	if (!strpbrk(*output, "/$~.")) {
		option_expected(node, "stderr, syslog, journald or a path", errors);
		return;
	}
	path = option_expand_path(node, *output, errors);
	if (path) {
		free(*output);
		*output = path;
	}
}

static unsigned level_of(const char *name)
{
	unsigned level = 0;

	while (level_names[level] && strcmp(level_names[level], name) != 0)
		level++;
	return level;
}

static void check_levels(const struct config_node *node, void *field, struct config_errors *errors)
{
	const struct option_pairs *levels = field;

	for (size_t i = 0; i < levels->count; i++) {
		if (!level_names[level_of(levels->values[i])])
			option_expected(config_get(node, levels->keys[i]), "one of error, warn, info, debug", errors);
	}
}

static bool is_server(const char *text)
{
	const char *at = strchr(text, '@');
	char *address = xstrndup(text, at ? (size_t)(at - text) : strlen(text));
	unsigned char octets[sizeof(struct in6_addr)];
	uint64_t port = 53;
	bool good = inet_pton(AF_INET, address, octets) == 1 || inet_pton(AF_INET6, address, octets) == 1;

	if (at)
		good = good && parse_u64(at + 1, strlen(at + 1), 65535, &port) && port > 0;
	free(address);
	return good;
}

static void check_servers(const struct config_node *node, void *field, struct config_errors *errors)
{
	const struct strings *servers = field;

	for (size_t i = 0; i < servers->count; i++) {
		if (!is_server(servers->items[i]))
			option_expected(node->kind == CONFIG_LIST ? node->items[i] : node,
				"the address of a server, as 192.0.2.1 or 192.0.2.1@53", errors);
	}
}

static bool is_auto(const struct config_node *node)
{
	return node->kind == CONFIG_SCALAR && strcmp(node->text, "auto") == 0;
}

static void check_count(const struct config_node *node, struct config_errors *errors)
{
	struct config_errors unused = { 0 };
	unsigned count;

	if (!is_auto(node) && option_read_uint(node, 0, MAX_INSTANCES, &count, &unused) < 0)
		option_expected(node, "auto, or a number from 0 to 1024", errors);
	config_errors_release(&unused);
}

/* The names in a map of them are those of queues: a slip would be a queue without workers. */
static void check_queue_name(const struct config_node *node, struct config_errors *errors)
{
	struct config_node name = *node;

	name.kind = CONFIG_SCALAR;
	name.text = node->key;
	if (strcmp(node->key, "default") != 0)
		option_check_reference(&name, "queue", errors);
}

static void check_instances(const struct config_node *node, void *field, struct config_errors *errors)
{
	(void)field;
	if (node->kind != CONFIG_MAP) {
		check_count(node, errors);
		return;
	}
	if (strcmp(node->parent->key, "worker") != 0 && strcmp(node->parent->key, "slimta") != 0)
		option_expected(node, "auto, or a number from 0 to 1024", errors);
	for (size_t i = 0; i < node->count; i++) {
		check_queue_name(node->items[i], errors);
		check_count(node->items[i], errors);
	}
}

static const struct option logging_rows[] = {
	{ "level", CHOICE_FIELD(process_logging, level), "info", .choices = level_names,
		.text = "error, warn, info or debug: what is logged" },
	{ "format", CHOICE_FIELD(process_logging, format), "text", .choices = format_names,
		.text = "key=value text, or a JSON object a line" },
	{ "output", TEXT_FIELD(process_logging, output), "stderr", .check = check_output,
		.text = "stderr, syslog, journald or the path of a file" },
	{ "levels", PAIRS_FIELD(process_logging, levels), .check = check_levels,
		.text = "SUBSYSTEM: LEVEL, where it differs" },
	{ 0 }
};

static const struct option resolver_rows[] = {
	{ "servers", TEXTS_FIELD(process_resolver, servers), .check = check_servers,
		.text = "DNS servers that are asked, each IP or IP@PORT; else those of /etc/resolv.conf" },
	{ "dnssec", CHOICE_FIELD(process_resolver, dnssec), "off", .choices = dnssec_names,
		.text = "off, on, or permissive: check signatures, and take answers whose check fails" },
	{ "timeout", TIME_FIELD(process_resolver, timeout_ms), "10", 10, 3600000, "time that one look-up may take" },
	{ 0 }
};

const struct option process_rows[] = {
	{ "user", TEXT_FIELD(process_options, user),
		.text = "edges and workers drop to it; required when started as root" },
	{ "group", TEXT_FIELD(process_options, group), .text = "edges and workers drop to it; else the user's own" },
	{ "instances", NODE_FIELD(process_options, instances), "auto", .check = check_instances,
		.text = "processes: of the edge, or of the worker a queue ({QUEUE: N, default: auto}); auto: one a CPU" },
	{ "daemon", BOOL_FIELD(process_options, daemon), "false", .text = "detach from the terminal" },
	{ "pid_file", PATH_FIELD(process_options, pid_file), .text = "written when ready, removed at exit" },
	{ "stdout", PATH_FIELD(process_options, stdout_path), .text = "append standard output to this file" },
	{ "stderr", PATH_FIELD(process_options, stderr_path), .text = "append standard error to this file" },
	{ "hostname", TEXT_FIELD(process_options, hostname), .text = "what {hostname} stands for; else the system's" },
	{ "fqdn", TEXT_FIELD(process_options, fqdn), .text = "what {fqdn} stands for; else the system's" },
	{ "logging", SECTION_FIELD(process_options, logging), .rows = logging_rows, .text = "what is logged, where" },
	{ "runtime_dir", PATH_FIELD(process_options, runtime_dir),
		.text = "sockets and locks between the processes; else /run/slimta or $XDG_RUNTIME_DIR/slimta" },
	{ "resolver", SECTION_FIELD(process_options, resolver), .rows = resolver_rows, .text = "how names are looked up" },
	{ "drain_timeout", TIME_FIELD(process_options, drain_timeout_ms), "30", 0, 86400000,
		"what a stop gives to what is in flight" },
	{ "reload_timeout", TIME_FIELD(process_options, reload_timeout_ms), "600", 0, 86400000,
		"what a reload gives to what the earlier generation has in flight" },
	{ "spool_dir", PATH_FIELD(process_options, spool_dir),
		.text = "where larger messages go while they arrive; else where their queue says" },
	{ "spool_threshold", SIZE_FIELD(process_options, spool_threshold_bytes), "128K", 4096, 1 << 30,
		"messages beyond it are kept in a file while they arrive" },
	{ 0 }
};

/* --- process.PROGRAM over process.slimta --- */

/* A map with what `own` has, then what only `base` has; `logging` is laid over one deep. */
static struct config_node *lay_over(const struct config_node *own, const struct config_node *base)
{
	struct config_node *map = xcalloc(1, sizeof(*map));

	*map = *own;
	map->items = xcalloc(own->count + base->count + 1, sizeof(*map->items));
	map->count = 0;
	for (size_t i = 0; i < own->count; i++) {
		const struct config_node *below = config_get(base, own->items[i]->key);

		if (below && below->kind == CONFIG_MAP && own->items[i]->kind == CONFIG_MAP
				&& strcmp(own->items[i]->key, "logging") == 0)
			map->items[map->count++] = lay_over(own->items[i], below);
		else
			map->items[map->count++] = own->items[i];
	}
	for (size_t i = 0; i < base->count; i++) {
		if (!config_get(own, base->items[i]->key))
			map->items[map->count++] = base->items[i];
	}
	return map;
}

static void free_laid_over(struct config_node *map, const struct config_node *own)
{
	for (size_t i = 0; i < own->count; i++) {
		if (map->items[i] != own->items[i]) {
			free(map->items[i]->items);
			free(map->items[i]);
		}
	}
	free(map->items);
	free(map);
}

static bool is_map(const struct config_node *node)
{
	return node && node->kind == CONFIG_MAP;
}

int process_load(const struct config *config, const char *program, struct process_options *options,
	struct config_errors *errors)
{
	const struct option_set set = { process_rows, options };
	const struct config_node *own = config_section(config, "process", program);
	const struct config_node *base = config_section(config, "process", "slimta");
	struct config_node *both;
	int result;

	if (is_map(own) && is_map(base)) {
		both = lay_over(own, base);
		result = options_load("process", both, &set, 1, NULL, errors);
		free_laid_over(both, own);
	} else {
		result = options_load("process", is_map(base) ? base : own, &set, 1, NULL, errors);
	}
	names_complete(options);
	return result;
}

void process_release(struct process_options *options)
{
	options_release(process_rows, options);
}

/* --- what a program does with it --- */

int process_open_log(const char *program_name, const struct process_options *options)
{
	const struct option_pairs *levels = &options->logging.levels;
	struct log_subsystem_level *all = xcalloc(levels->count + 1, sizeof(*all));
	struct log_settings settings = {
		.level = (enum log_level)options->logging.level,
		.format = (enum log_format)options->logging.format,
		.output = options->logging.output, .levels = all, .level_count = levels->count,
	};
	int result;

	for (size_t i = 0; i < levels->count; i++) {
		all[i].subsystem = levels->keys[i];
		all[i].level = (enum log_level)level_of(levels->values[i]);
	}
	result = log_open(program_name, &settings);
	free(all);
	return result;
}

static int append_to(const char *path, int target)
{
	int fd, result;

	if (!path)
		return 0;
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
	if (fd < 0)
		return -1;
	result = dup2(fd, target) < 0 ? -1 : 0;
	fd_close(&fd);
	return result;
}

int process_redirect(const struct process_options *options)
{
	if (append_to(options->stdout_path, STDOUT_FILENO) < 0)
		return -1;
	return append_to(options->stderr_path, STDERR_FILENO);
}

static unsigned cpu_count(void)
{
	cpu_set_t cpus;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
		return (unsigned)CPU_COUNT(&cpus);
	return 1;
}

unsigned process_instances(const struct process_options *options, const char *queue)
{
	const struct config_node *node = options->instances;
	struct config_errors unused = { 0 };
	unsigned count;

	if (is_map(node)) {
		const struct config_node *member = queue ? config_get(node, queue) : NULL;

		node = member ? member : config_get(node, "default");
	}
	if (!node || is_auto(node) || option_read_uint(node, 0, MAX_INSTANCES, &count, &unused) < 0)
		count = cpu_count();
	config_errors_release(&unused);
	return count;
}
