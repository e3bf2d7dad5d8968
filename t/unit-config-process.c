/* unit-config-process.c - the process section, structure, secrets, errors and trees on their way to children
 * SPDX-License-Identifier: MIT */
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/config/check.h"
#include "common/config/node.h"
#include "common/config/process.h"
#include "t/lib/tap.h"

#define HEAD "queue: {out: {type: disk, relay: pipe}}\nrelay: {pipe: {type: pipe}}\n"

static struct config_errors errors;
static struct buffer shown;

static const char *errors_shown(void)
{
	buffer_reset(&shown);
	config_errors_print(&errors, &shown);
	return buffer_str(&shown);
}

static struct config *parse(const char *text)
{
	config_errors_release(&errors);
	return config_parse("/dir/x.conf", text, strlen(text), &errors);
}

static void test_process(void)
{
	struct config *config = parse(HEAD "process:\n  slimta: {user: nobody, drain_timeout: 5m, hostname: h,\n"
		"    logging: {level: warn, levels: {edge: debug}}}\n"
		"  edge: {drain_timeout: 7, logging: {output: log/edge.log}, instances: 3}\n"
		"  worker: {instances: {out: 4, default: 2}}\n");
	struct process_options edge, worker, master;

	is_int(process_load(config, "edge", &edge, &errors), 0, "an edge's options");
	process_load(config, "worker", &worker, &errors);
	process_load(config, "master", &master, &errors);
	is_str(errors_shown(), "", "without errors");
	is_str(edge.user, "nobody", "from the section for all");
	ok(edge.drain_timeout_ms == 7000 && worker.drain_timeout_ms == 300000, "its own comes first");
	ok(edge.logging.level == LOG_LEVEL_WARN && edge.logging.levels.count == 1, "logging is laid over the defaults");
	is_str(edge.logging.output, "/dir/log/edge.log", "a log file beside the configuration");
	is_str(worker.logging.output, "stderr", "the default");
	is_int(process_instances(&edge, NULL), 3, "edges");
	is_int(process_instances(&worker, "out"), 4, "workers of a queue");
	is_int(process_instances(&worker, "other"), 2, "workers of any other");
	ok(process_instances(&master, NULL) >= 1, "auto is at least one");
	is_str(edge.hostname, "h", "hostname");
	ok(edge.fqdn && *edge.fqdn && edge.runtime_dir && *edge.runtime_dir == '/', "what is not given is found out");
	process_release(&edge);
	process_release(&worker);
	process_release(&master);
	config_free(config);
}

/* Every key, set to something else than its default. */
static void test_every_key(void)
{
	struct config *config = parse(HEAD "process:\n  master:\n    user: mail\n    group: daemon\n    instances: 2\n"
		"    daemon: yes\n    pid_file: p\n    stdout: o\n    stderr: e\n    hostname: h\n    fqdn: h.example\n"
		"    logging: {level: debug, format: json, output: syslog, levels: {a: error, b: info}}\n"
		"    runtime_dir: r\n    drain_timeout: 2m\n    spool_dir: s\n    spool_threshold: 1M\n");
	struct process_options master;

	is_int(process_load(config, "master", &master, &errors), 0, "every key is known");
	ok(!strcmp(master.user, "mail") && !strcmp(master.group, "daemon"), "user and group");
	is_int(process_instances(&master, NULL), 2, "instances");
	ok(master.daemon, "daemon");
	is_str(master.pid_file, "/dir/p", "pid_file");
	is_str(master.stdout_path, "/dir/o", "stdout");
	is_str(master.stderr_path, "/dir/e", "stderr");
	ok(!strcmp(master.hostname, "h") && !strcmp(master.fqdn, "h.example"), "hostname and fqdn");
	ok(master.logging.level == LOG_LEVEL_DEBUG && master.logging.format == LOG_FORMAT_JSON, "level and format");
	is_str(master.logging.output, "syslog", "output");
	ok(master.logging.levels.count == 2 && !strcmp(master.logging.levels.keys[0], "a"), "levels");
	is_str(master.runtime_dir, "/dir/r", "runtime_dir");
	is_int(master.drain_timeout_ms, 120000, "drain_timeout");
	is_str(master.spool_dir, "/dir/s", "spool_dir");
	is_int(master.spool_threshold_bytes, 1 << 20, "spool_threshold");
	process_release(&master);
	config_free(config);
}

static void redirect(const char *folder)
{
	char *text = xasprintf(HEAD "process: {edge: {stdout: %s/out, stderr: %s/err}}\n", folder, folder);
	struct config *config = parse(text);
	struct process_options edge;

	process_load(config, "edge", &edge, &errors);
	if (process_redirect(&edge) < 0 || write(1, "one", 3) != 3 || write(2, "two", 3) != 3)
		_exit(1);
	process_redirect(&edge);
	if (write(1, "more", 4) != 4)
		_exit(1);
	process_release(&edge);
	config_free(config);
	free(text);
	_exit(0);
}

static void test_redirect(void)
{
	char folder[] = "/tmp/slimta-unit-config-XXXXXX", *path;
	struct buffer text = { 0 };
	int status = 0;
	pid_t child;

	if (!mkdtemp(folder))
		BUG("no scratch folder");
	child = fork();
	if (child == 0)
		redirect(folder);
	ok(waitpid(child, &status, 0) == child && status == 0, "stdout and stderr go into files");
	path = xasprintf("%s/out", folder);
	file_read(path, &text, 100);
	is_str(buffer_str(&text), "onemore", "what was there stays");
	unlink(path);
	free(path);
	path = xasprintf("%s/err", folder);
	buffer_reset(&text);
	file_read(path, &text, 100);
	is_str(buffer_str(&text), "two", "each into its own");
	unlink(path);
	free(path);
	rmdir(folder);
	buffer_release(&text);
}

static void test_process_errors(void)
{
	struct config *config = parse(HEAD "process:\n  edge: {instances: {x: 1}, logging: {level: inof, output: stdrr,\n"
		"    levels: {a: b}}, confine: no, user: no-such-user-here}\n  worker: {instances: {uot: 1, out: x}}\n");

	process_check(config, true, &errors);
	is_str(errors_shown(),
		"/dir/x.conf:4:21: process.edge.instances: expected auto, or a number from 0 to 1024, not a map\n"
		"/dir/x.conf:4:22: process.edge.instances.x: no queue is named \"x\"\n"
		"/dir/x.conf:4:46: process.edge.logging.level: expected one of error, warn, info, debug, not \"inof\""
		" (did you mean \"info\"?)\n"
		"/dir/x.conf:4:60: process.edge.logging.output: expected stderr, syslog, journald or a path, not \"stdrr\"\n"
		"/dir/x.conf:5:17: process.edge.logging.levels.a: expected one of error, warn, info, debug, not \"b\"\n"
		"/dir/x.conf:5:22: process.edge.confine: not built into this slimta yet\n"
		"/dir/x.conf:6:24: process.worker.instances.uot: no queue is named \"uot\" (did you mean \"out\"?)\n"
		"/dir/x.conf:6:37: process.worker.instances.out: expected auto, or a number from 0 to 1024, not \"x\"\n",
		"all of them at once");
	config_free(config);
}

static void test_identity(void)
{
	struct config *config = parse(HEAD "edge: {e: {type: smtp, queue: out}}\nprocess: {edge: {user: no-such-user}}\n");
	struct identity identity;
	char *why;

	process_check(config, true, &errors);
	ok(strstr(errors_shown(), "x.conf:4:24: process.edge.user: no user is named \"no-such-user\" on this system"),
		"a user that is not there");
	config_free(config);
	is_int(identity_find("root", NULL, &identity, &why), 0, "root is known");
	ok(identity.uid == 0 && identity.gid == 0 && !strcmp(identity.name, "root"), "with its group");
	identity_release(&identity);
	is_int(identity_find("root", "no-such-group", &identity, &why), -1, "a group that is not there");
	is_str(why, "no group is named \"no-such-group\" on this system", "is named");
	free(why);
	config = parse(HEAD "edge: {e: {type: smtp, queue: out}}\nprocess: {slimta: {user: root}}\n");
	process_check(config, false, &errors);
	if (geteuid() == 0)
		ok(strstr(errors_shown(), "process.slimta.user: must not be root, unless --allow-root"), "root is refused");
	else
		ok(strstr(errors_shown(), "process.slimta.user: started as another user"), "others cannot change");
	config_free(config);
	config = parse(HEAD "edge: {e: {type: smtp, queue: out}}\n");
	process_check(config, false, &errors);
	is_int(strstr(errors_shown(), "process.edge.user: required when started as root") != NULL, geteuid() == 0,
		"root needs a user to drop to");
	if (geteuid() == 0) {
		config_free(config);
		config = parse(HEAD "edge: {e: {type: smtp, queue: out}}\n"
			"process: {edge: {user: nobody}, worker: {user: daemon}}\n");
		process_check(config, false, &errors);
		ok(strstr(errors_shown(), "share the queue \"out\""), "who share files are one user");
	}
	config_free(config);
}

static void test_template(void)
{
	struct config *config = parse("a: x\n");
	struct process_options options = { .hostname = (char *)"h", .fqdn = (char *)"h.example" };
	const struct config_node *node = config_get(config_root(config), "a");
	char *text = template_names("{hostname}: {{{fqdn}}}", &options, node, &errors);

	is_str(text, "h: {h.example}", "fields and braces");
	free(text);
	ok(!template_names("{name}", &options, node, &errors), "an unknown field");
	ok(!template_names("a}b", &options, node, &errors) && !template_names("{fqdn", &options, node, &errors),
		"a single brace");
	is_int(errors.error_count, 3, "each is an error");
	config_free(config);
}

static void test_structure(void)
{
	static const struct { const char *text, *error; } all[] = {
		{ "", "x.conf:1:1: queue: required, but not given: expected at least one queue\n" },
		{ "[]", "x.conf:1:1: expected a map with process, edge, queue and relay, not a list\n" },
		{ HEAD "edges: {}\n", "x.conf:3:1: edges: warning: ignored; did you mean \"edge\"?\n" },
		{ HEAD "tls: {main: &main {x: [1]}}\n", "" },
		{ HEAD "edge: {e: {type: smpt, queue: out}}\n",
			"x.conf:3:18: edge.e.type: expected one of smtp, http, custom, not \"smpt\" (did you mean \"smtp\"?)\n" },
		{ HEAD "edge: {e: {queue: out}}\n",
			"x.conf:3:8: edge.e.type: required, but not given: expected one of smtp, http, custom\n" },
		{ HEAD "edge: {e: {type: http, queue: out}}\n",
			"x.conf:3:12: edge.e.type: not built into this slimta yet\n" },
		{ HEAD "edge: {e: {type: smtp}}\n",
			"x.conf:3:8: edge.e.queue: required, but not given: expected the name of a queue\n" },
		{ HEAD "edge: {a/b: {type: smtp, queue: out}}\n", "x.conf:3:8: edge.a/b: expected a name of 1 to 64 letters, "
			"digits and _ . -, not beginning with a dot\n" },
		{ HEAD "edge: {e: 5}\n", "x.conf:3:11: edge.e: expected a map, not \"5\"\n" },
		{ HEAD "process: {edg: {}}\n", "x.conf:3:11: process.edg: unknown program: expected master, edge, worker or "
			"slimta (did you mean \"edge\"?)\n" },
		{ "relay: {smart_host: {type: pipe}}\nqueue: {outbound: {type: disk, relay: smarthost}}\n",
			"x.conf:2:32: queue.outbound.relay: no relay is named \"smarthost\" (did you mean \"smart_host\"?)\n" },
		{ "queue: {q: {type: disk}}\n", "x.conf:1:9: queue.q.relay: required, but not given: expected the name of a "
			"relay (only where process.worker.instances is 0 there may be none)\n" },
		{ "queue: {q: {type: disk}}\nprocess: {worker: {instances: 0}}\n", "" },
		{ "queue: {q: {type: disk}}\nprocess: {slimta: {instances: {q: 0}}}\n", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct config *config = parse(all[i].text);
		char *wanted = xasprintf("%s%s", *all[i].error ? "/dir/" : "", all[i].error);

		config_check_structure(config, &errors);
		is_str(errors_shown(), wanted, "what the structure lacks");
		free(wanted);
		config_free(config);
	}
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	if (!file || fputs(text, file) < 0 || fclose(file) != 0)
		BUG("cannot write %s", path);
}

/* Files that include each other, and secrets, in a scratch folder. */
static void test_files(void)
{
	char folder[] = "/tmp/slimta-unit-config-XXXXXX";
	struct config *config;
	struct buffer path = { 0 };

	if (!mkdtemp(folder) || chdir(folder) < 0 || mkdir("sub", 0700) < 0)
		BUG("no scratch folder");
	write_file("main.conf", "queue: !include sub/queue.conf\nrelay: {r: {type: pipe, password_file: sub/secret}}\n"
		"edge: {e: {password_file: sub/none, api_key: x, api_key_file: sub/secret}, f: {env: {password_file: x}}}\n");
	write_file("sub/queue.conf", "q:\n  deep: !include deeper.conf\n  cycle: !include queue.conf\n");
	write_file("sub/deeper.conf", "&x [1, *x1]\n");
	write_file("sub/secret", "geheim\n\n");
	config_errors_release(&errors);
	config = config_read("main.conf", &errors);
	is_int(errors.error_count, 4, "what is wrong in any file");
	ok(strstr(errors_shown(), "main.conf:3:27: edge.e.password_file: cannot read "), "a secret that is not there");
	ok(strstr(errors_shown(), "main.conf:3:49: edge.e.api_key_file: given together with api_key"), "both twins");
	ok(strstr(errors_shown(), "/sub/queue.conf:3:10: queue.q.cycle: "), "a cycle, where it is closed");
	ok(strstr(errors_shown(), "/sub/deeper.conf:1:8: queue.q.deep[1]: there is no anchor &x1 in this file"),
		"an error in an included file has its path");
	is_str(config_get(config_section(config, "relay", "r"), "password")->text, "geheim\n",
		"a secret without its last newline");
	ok(config_get(config_section(config, "relay", "r"), "password")->quoted, "is text");
	ok(config_get(config_get(config_section(config, "edge", "f"), "env"), "password_file") != NULL,
		"names of the environment are none of them");
	config_path(config_get(config_section(config, "queue", "q"), "deep")->items[0], &path);
	is_str(buffer_str(&path), "queue.q.deep[0]", "the path of an included value");
	config_free(config);
	config_errors_release(&errors);
	ok(!config_read("none.conf", &errors), "a file that is not there");
	is_str(errors_shown(), "none.conf: cannot be read: No such file or directory\n", "is said without a line");
	unlink("main.conf"), unlink("sub/queue.conf"), unlink("sub/deeper.conf"), unlink("sub/secret");
	rmdir("sub");
	if (chdir("/") == 0)
		rmdir(folder);
	buffer_release(&path);
}

static void test_included_values(void)
{
	char folder[] = "/tmp/slimta-unit-config-XXXXXX";
	struct config *config;
	const struct config_node *map;
	char *text;

	if (!mkdtemp(folder) || chdir(folder) < 0)
		BUG("no scratch folder");
	write_file("part.conf", "x: 1\ny: &y {z: rel}\nw: *y\n");
	setenv("SLIMTA_T", "on", 1);
	setenv("HOME", folder, 1);
	text = xasprintf("a: {<<: !include part.conf, x: 2}\nb: &b !include ~/part.conf\nc: *b\nd: !env SLIMTA_T\n");
	write_file("main.conf", text);
	config_errors_release(&errors);
	config = config_read("./main.conf", &errors);
	is_str(errors_shown(), "", "an included map can be merged, and be an anchor's");
	map = config_get(config_root(config), "a");
	ok(map->count == 3 && !strcmp(config_get(map, "x")->text, "2"), "own keys win");
	is_str(config_get(config_get(map, "w"), "z")->text, "rel", "anchors of the included file were its own");
	is_int(config_get(config_root(config), "c")->count, 3, "an alias of what was included");
	ok(config_get(config_root(config), "d")->quoted, "the environment gives text");
	is_str(config_get(config_root(config), "d")->text, "on", "as it is");
	config_free(config);
	config_errors_release(&errors);
	config = config_read(NULL, &errors);
	ok(config || text_has_prefix(errors_shown(), "/etc/slimta/slimta.conf: cannot be read: "),
		"without a path the system's is read");
	config_free(config);
	config_errors_release(&errors);
	if (mkdir(".slimta", 0700) < 0)
		BUG("no folder");
	write_file(".slimta/slimta.conf", "a: 1\n");
	config = config_read(NULL, &errors);
	ok(config != NULL, "or, where there is one, one's own");
	config_free(config);
	unlink("main.conf"), unlink("part.conf"), unlink(".slimta/slimta.conf"), rmdir(".slimta");
	if (chdir("/") == 0)
		rmdir(folder);
	free(text);
}

static void test_secrets_alone(void)
{
	char *text = xasprintf("relay: {r: {password_file: /proc/self/exe}, s: {password_file: /dev/null}}\n");
	struct config *config = parse(text);

	ok(strstr(errors_shown(), "relay.r.password_file: cannot read /proc/self/exe: File too large"), "too large");
	ok(strstr(errors_shown(), "relay.s.password_file: cannot read /dev/null: Invalid argument"), "no regular file");
	config_free(config);
	free(text);
}

static bool same_tree(const struct config_node *a, const struct config_node *b)
{
	if (a->kind != b->kind || a->quoted != b->quoted || a->line != b->line || a->column != b->column
			|| a->key_line != b->key_line || a->key_column != b->key_column || a->count != b->count
			|| strcmp(a->file, b->file) != 0 || !a->key != !b->key || (a->key && strcmp(a->key, b->key) != 0)
			|| !a->text != !b->text || (a->text && strcmp(a->text, b->text) != 0)
			|| strcmp(a->source->directory, b->source->directory) != 0)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (!same_tree(a->items[i], b->items[i]) || b->items[i]->parent != b)
			return false;
	}
	return true;
}

static void test_serialization(void)
{
	struct config *config = parse(HEAD "a: [1, 'two', \"\\u00fc\\e\\t\\\"\\\\\", ~, {}, [], |\n"
		"  x\n]\nb: &b {c: d}\ne: *b\n");
	struct buffer data = { 0 };
	struct config *copy;
	int fd;

	config_free(config);
	config = parse(HEAD "a: [1, 'two', \"\\u00fc\\e\\t\\\"\\\\\", ~, {}, []]\nb: &b {c: d}\ne: *b\nf: |\n  x\n");
	config_serialize(config, &data);
	copy = config_deserialize(data.data, data.size, &errors);
	ok(copy && same_tree(config_root(config), config_root(copy)), "a tree comes back as it was");
	config_free(copy);
	fd = memfd_sealed("test", data.data, data.size);
	copy = config_from_fd(fd, &errors);
	ok(copy && same_tree(config_root(config), config_root(copy)), "also through a memfd");
	config_free(copy);
	copy = config_from_fd(fd, &errors);
	ok(copy != NULL, "that can be read twice");
	config_free(copy);
	fd_close(&fd);
	for (size_t size = 0; size < data.size - 1; size++) {
		copy = config_deserialize(data.data, size, &errors);
		if (copy)
			ok(false, "cut after %zu octets it is taken", size);
		config_free(copy);
	}
	is_int(errors.count, data.size - 1 < 1000 ? data.size - 1 : 1000, "cut anywhere it is refused");
	config_free(config);
	buffer_release(&data);
}

/* All processes of a generation call themselves the same. */
static void test_inherited_names(void)
{
	static const char text[] = "{\"version\":1,\"names\":[\"h1\",\"h1.example.net\"],\"files\":[[\"f\",\"/\"]],"
		"\"root\":[3,0,0,1,1,1,1,null,[]]}";
	struct config *config = config_deserialize(text, strlen(text), &errors);
	struct process_options edge;

	process_load(config, "edge", &edge, &errors);
	is_str(edge.hostname, "h1", "the hostname is inherited");
	is_str(edge.fqdn, "h1.example.net", "so is the full name");
	process_release(&edge);
	config_free(config);
}

static void test_error_lines(void)
{
	struct config *config = parse("a: {b: c}\n");
	struct config_errors back = { 0 };
	struct buffer lines = { 0 };
	static const char *const wrong[] = { "x", "x\n", "error\t1\t2\n", "error\t1\t2\tx\tf\tp\tt\n",
		"error\t1\t2\t3\tf\tp\tt\\x\n",
		"error\t1\t2\t3\tf\tp\tt\tu\n", "error\t1\t2\t3\tf\tp\tt" };

	config_error_at(&errors, config_get(config_root(config), "a"), "tab\there, line\nthere, \\ too");
	config_warning_at(&errors, config_get(config_get(config_root(config), "a"), "b"), "careful");
	config_error_at(&errors, config_get(config_root(config), "a"), "tab\there, line\nthere, \\ too");
	config_errors_format(&errors, &lines);
	is_int(config_errors_parse(&back, lines.data, lines.size), 0, "errors come back from their lines");
	ok(back.count == 3 && back.error_count == 2 && !strcmp(back.items[0].text, errors.items[0].text), "as they were");
	buffer_reset(&lines);
	config_errors_print(&back, &lines);
	is_str(buffer_str(&lines), "/dir/x.conf:1:1: a: tab\there, line\nthere, \\ too\n"
		"/dir/x.conf:1:5: a.b: warning: careful\n", "what is said twice is printed once");
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		is_int(config_errors_parse(&back, wrong[i], strlen(wrong[i])), -1, "no line of ours");
	config_errors_release(&back);
	buffer_release(&lines);
	config_free(config);
}

int main(void)
{
	test_process();
	test_every_key();
	test_redirect();
	test_process_errors();
	test_identity();
	test_template();
	test_structure();
	test_files();
	test_secrets_alone();
	test_included_values();
	test_serialization();
	test_inherited_names();
	test_error_lines();
	config_errors_release(&errors);
	buffer_release(&shown);
	return done_testing();
}
