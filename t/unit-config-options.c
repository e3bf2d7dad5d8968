/* unit-config-options.c - rows fill structs: types, units, ranges, defaults, suggestions
 * SPDX-License-Identifier: MIT */
#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/config/options.h"
#include "common/config/scalar.h"
#include "t/lib/tap.h"

struct inner {
	unsigned port;
	char *path;
};
struct outer {
	bool flag;
	unsigned count, choice;
	uint64_t size_bytes;
	int64_t time_ms;
	char *text, *path, *queue;
	struct strings texts;
	struct inner inner;
	struct option_list list;
	struct option_pairs pairs;
	const struct config_node *node;
};

static const char *const choices[] = { "red", "green", NULL };
static void check_even(const struct config_node *node, void *field, struct config_errors *errors)
{
	if (*(unsigned *)field % 2)
		config_error_at_value(errors, node, "expected an even number");
}
static const struct option inner_rows[] = {
	{ "port", UINT_FIELD(inner, port), "25", 1, 65535, "a port" },
	{ "path", PATH_FIELD(inner, path), .text = "a path" },
	{ 0 }
};
static const struct option outer_rows[] = {
	{ "flag", BOOL_FIELD(outer, flag), "true", .text = "a flag" },
	{ "count", UINT_FIELD(outer, count), "10", 2, 50, "a count", .check = check_even, .any_of_zero = true },
	{ "choice", CHOICE_FIELD(outer, choice), "green", .choices = choices, .text = "a colour" },
	{ "size", SIZE_FIELD(outer, size_bytes), "128K", .text = "a size" },
	{ "time", TIME_FIELD(outer, time_ms), "30", 1000, 86400000, "a time" },
	{ "text", TEXT_FIELD(outer, text), "hello", .text = "words" },
	{ "path", PATH_FIELD(outer, path), .alias = "file", .text = "a file" },
	{ "queue", QUEUE_FIELD(outer, queue), .required = true, .text = "a queue" },
	{ "texts", TEXTS_FIELD(outer, texts), "one", .text = "some words" },
	{ "inner", SECTION_FIELD(outer, inner), .rows = inner_rows, .text = "within" },
	{ "list", SECTIONS_FIELD(outer, list), .rows = inner_rows, .item_size = sizeof(struct inner), .text = "many" },
	{ "pairs", PAIRS_FIELD(outer, pairs), .text = "names" },
	{ "node", NODE_FIELD(outer, node), .text = "anything" },
	{ 0 }
};

static struct config_errors errors;
static struct buffer shown;
static struct config *config;
static struct outer outer;

/* Loads edge.e of a file with the queue "out". */
static int load(const char *body)
{
	static const char *const ignore[] = { "type", NULL };
	struct option_set set = { outer_rows, &outer };
	char *text = xasprintf("queue: {out: {type: disk}}\nedge:\n  e:\n    type: smtp\n    queue: out\n%s", body);
	int result;

	options_release(outer_rows, &outer);
	memset(&outer, 0xa5, sizeof(outer));
	config_free(config);
	config_errors_release(&errors);
	config = config_parse("/dir/x.conf", text, strlen(text), &errors);
	result = options_load("edge.smtp", config_section(config, "edge", "e"), &set, 1, ignore, &errors);
	free(text);
	buffer_reset(&shown);
	config_errors_print(&errors, &shown);
	return result;
}

static void test_defaults(void)
{
	is_int(load(""), 0, "all defaults");
	ok(outer.flag && outer.count == 10 && outer.choice == 1, "bool, uint, choice");
	ok(outer.size_bytes == 131072 && outer.time_ms == 30000, "size and time");
	is_str(outer.text, "hello", "text");
	ok(!outer.path && !outer.node && !outer.list.count && !outer.pairs.count, "none where there is none");
	ok(outer.texts.count == 1 && outer.inner.port == 25, "a list of one, and what is within a section");
	is_str(outer.queue, "out", "a reference");
}

static void test_values(void)
{
	static const struct { const char *text, *path; } paths[] = {
		{ "x", "/dir/x" }, { "../x", "/x" }, { ".././../x/../y", "/x/../y" }, { "././x/", "/dir/x/" },
		{ "/../x", "/../x" }, { ".x/..y", "/dir/.x/..y" }, { ".", "/dir/." }, { "./../", "/" },
	};
	char *body;

	is_int(load("    flag: off\n    count: 0x10\n    choice: red\n    size: 5M\n    time: 1.5\n    text: 12\n"
		"    file: ./sub/../x\n    texts: [a, 'b']\n    inner: {port: 26, path: ./y}\n"
		"    list: [{port: 1}, {port: 2, path: /z}]\n    pairs: {k: v, l: 1}\n    node: [1]\n"), 0, "all given");
	is_str(buffer_str(&shown), "", "without an error");
	ok(!outer.flag && outer.count == 16 && outer.choice == 0, "bool, hexadecimal, choice");
	ok(outer.size_bytes == 5 << 20 && outer.time_ms == 1500, "units");
	is_str(outer.text, "12", "a number is text where text is wanted");
	is_str(outer.path, "/dir/sub/../x", "the alias of a key, a path relative to the file");
	is_str(outer.inner.path, "/dir/y", "also within a section");
	ok(outer.texts.count == 2 && outer.inner.port == 26 && outer.list.count == 2, "lists and sections");
	is_int(((struct inner *)outer.list.items)[1].port, 2, "sections in a list");
	is_int(((struct inner *)outer.list.items)[0].port, 1, "each with its own");
	ok(outer.pairs.count == 2 && !strcmp(outer.pairs.values[1], "1"), "pairs");
	ok(outer.node && outer.node->kind == CONFIG_LIST, "a node");
	is_int(load("    list: {port: 3}\n    count: 0\n"), 0, "a map is a list of one; 0 below the least is none");
	ok(outer.list.count == 1 && outer.count == 0, "and so they are read");
	setenv("SLIMTA_T", "var", 1);
	setenv("HOME", "/home/t", 1);
	load("    path: ~/$SLIMTA_T/${SLIMTA_T}x$\n");
	is_str(outer.path, "/home/t/var/varx$", "~ and variables in paths");
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		body = xasprintf("    path: %s\n", paths[i].text);
		load(body);
		is_str(outer.path, paths[i].path, paths[i].text);
		free(body);
	}
}

static void test_times(void)
{
	static const struct { const char *text; int64_t ms; } times[] = {
		{ "30", 30000 }, { "1.5", 1500 }, { "10s", 10000 }, { "5m", 300000 }, { "2h", 7200000 },
		{ "1d", 86400000 }, { "0.5h", 1800000 }, { "1:30", 90000 }, { "'30'", 30000 },
	};
	char *body;

	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		body = xasprintf("    time: %s\n", times[i].text);
		load(body);
		is_int(outer.time_ms, times[i].ms, times[i].text);
		free(body);
	}
}

static void test_wrong(void)
{
	static const struct { const char *body, *error; } wrong[] = {
		{ "flag: maybe", "x.conf:6:11: edge.e.flag: expected yes or no, not \"maybe\"" },
		{ "flag: 'yes'", "edge.e.flag: expected yes or no, without quotes, not \"yes\"" },
		{ "count: 51", "edge.e.count: expected 0 (none) or a number from 2 to 50, not \"51\"" },
		{ "count: 5", "edge.e.count: expected an even number" },
		{ "count: -2", "not \"-2\"" }, { "count: 1.5", "not \"1.5\"" }, { "count: 08", "not \"08\"" },
		{ "count: 99999999999999999999", "not \"99999999999999999999\"" },
		{ "count: [1]", "expected 0 (none) or a number from 2 to 50, not a list" },
		{ "count:", "not nothing" },
		{ "choice: gren", "expected one of red, green, not \"gren\" (did you mean \"green\"?)" },
		{ "size: 5X", "edge.e.size: expected a size such as 10K, 5M or 1G, not \"5X\"" },
		{ "size: 99999999999T", "not \"99999999999T\"" }, { "size: -1", "not \"-1\"" }, { "size: K", "not \"K\"" },
		{ "time: 0", "expected a time such as 30, 10s, 5m, 2h or 1d, from 1s to 1d, not \"0\"" },
		{ "time: 2d", "not \"2d\"" }, { "time: .nan", "not \".nan\"" }, { "time: .inf", "not \".inf\"" },
		{ "time: 9e+30", "not \"9e+30\"" }, { "time: s", "not \"s\"" }, { "time: 1ms", "not \"1ms\"" },
		{ "text: {}", "edge.e.text: expected text, not a map" },
		{ "path: $SLIMTA_UNSET/x", "the environment variable SLIMTA_UNSET is not set" },
		{ "path: ''", "expected a path, not \"\"" },
		{ "path: a\n    file: b", "x.conf:7:5: edge.e.file: given together with path; it is another name for it" },
		{ "texts: {}", "expected a list, not a map" }, { "texts: [[]]", "edge.e.texts[0]: expected text, not a list" },
		{ "inner: 5", "edge.e.inner: expected a map, not \"5\"" },
		{ "inner: {prot: 5}", "x.conf:6:13: edge.e.inner.prot: unknown key (did you mean \"port\"?)" },
		{ "list: [{port: 0}, 7]", "edge.e.list[0].port: expected a number from 1 to 65535, not \"0\"" },
		{ "list: [{}, 7]", "edge.e.list[1]: expected a map, not \"7\"" },
		{ "pairs: {a: []}", "edge.e.pairs.a: expected text, not a list" },
		{ "cuont: 5", "x.conf:6:5: edge.e.cuont: unknown key (did you mean \"count\"?)" },
		{ "zzzzzz: 5", "edge.e.zzzzzz: unknown key\n" },
		{ "factory: x", "edge.e.factory: not built into this slimta yet" },
		{ "factroy: x", "unknown key (did you mean \"factory\"?)" },
	};
	char *body;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		body = xasprintf("    %s\n", wrong[i].body);
		is_int(load(body), -1, "a wrong value");
		if (!ok(strstr(buffer_str(&shown), wrong[i].error) != NULL, "says so"))
			diag("got %s", buffer_str(&shown));
		free(body);
	}
	load("    a: *none\n");
	is_int(errors.count, 1, "what was wrong before is not said again");
	load("    count: 1\n    flag: x\n    zzzzzzz: 1\n");
	is_int(errors.count, 3, "all errors in one go");
}

static void test_references(void)
{
	static const char text[] = "queue: {inbound: {}}\nedge: {e: {queue: inbuond}, f: {}, g: {queue: [x]}}\n";
	struct option_set set = { outer_rows, &outer };
	struct config *other;

	load("");
	config_errors_release(&errors);
	other = config_parse("x", text, strlen(text), &errors);
	for (size_t i = 0; i < 3; i++) {
		options_release(outer_rows, &outer);
		options_load("edge.smtp", config_get(config_root(other), "edge")->items[i], &set, 1, NULL, &errors);
	}
	buffer_reset(&shown);
	config_errors_print(&errors, &shown);
	is_str(buffer_str(&shown),
		"x:2:12: edge.e.queue: no queue is named \"inbuond\" (did you mean \"inbound\"?)\n"
		"x:2:29: edge.f.queue: required, but not given: expected the name of a queue\n"
		"x:2:47: edge.g.queue: expected the name of a queue, not a list\n", "references, in file order");
	config_free(other);
}

static void test_list(void)
{
	struct buffer out = { 0 };

	options_list("edge.smtp", outer_rows, &out);
	ok(strstr(buffer_str(&out), "edge.smtp\tchoice\tred|green\tgreen\ta colour\n") != NULL, "a row is a line");
	ok(strstr(buffer_str(&out), "edge.smtp\tinner.port\tnumber\t25\ta port\n") != NULL, "those within have both names");
	ok(strstr(buffer_str(&out), "edge.smtp\tqueue\tqueue\t(required)\ta queue\n") != NULL, "required");
	buffer_release(&out);
}

static void test_scalars(void)
{
	static const struct { const char *text; enum scalar_type type; } all[] = {
		{ "", SCALAR_NULL }, { "~", SCALAR_NULL }, { "yes", SCALAR_BOOL }, { "y", SCALAR_TEXT }, { "oN", SCALAR_TEXT },
		{ "0", SCALAR_INT }, { "007", SCALAR_INT }, { "08", SCALAR_TEXT }, { "+1_0", SCALAR_INT },
		{ "0b102", SCALAR_TEXT }, { "1:59", SCALAR_INT }, { "1:60", SCALAR_TEXT }, { "1:2:3.5", SCALAR_FLOAT },
		{ "1.", SCALAR_FLOAT }, { ".5", SCALAR_FLOAT }, { "-.5", SCALAR_TEXT }, { "1e5", SCALAR_TEXT },
		{ "1.0e5", SCALAR_TEXT }, { "1.0e+5", SCALAR_FLOAT }, { "-.INF", SCALAR_FLOAT }, { ".", SCALAR_TEXT },
	};
	int64_t number;
	double real;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		is_int(scalar_type(all[i].text), all[i].type, all[i].text);
	ok(scalar_int("-0x_1f", &number) && number == -31, "hexadecimal with a sign");
	ok(scalar_int("190:20:30", &number) && number == 685230, "base 60");
	ok(scalar_float("1:30.5", &real) && real == 90.5, "base 60 with a fraction");
}

int main(void)
{
	test_defaults();
	test_values();
	test_times();
	test_wrong();
	test_references();
	test_list();
	test_scalars();
	options_release(outer_rows, &outer);
	config_free(config);
	config_errors_release(&errors);
	buffer_release(&shown);
	return done_testing();
}
