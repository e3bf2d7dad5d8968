/* unit-config-tree.c - slimta.conf as a tree: scalars, anchors, merge keys, positions, bounds
 * SPDX-License-Identifier: MIT */
#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/config/node.h"
#include "common/config/tree.h"
#include "t/lib/tap.h"

static struct config_errors errors;
static struct buffer shown;

static struct config *parse(const char *text)
{
	config_errors_release(&errors);
	return config_parse("/dir/x.conf", text, strlen(text), &errors);
}

static const char *errors_shown(void)
{
	buffer_reset(&shown);
	config_errors_print(&errors, &shown);
	return buffer_str(&shown);
}

/* The node at a path of keys with dots between; [N] is written as a number. */
static const struct config_node *at(const struct config *config, const char *path)
{
	const struct config_node *node = config_root(config);
	char *copy = xstrdup(path), *rest = NULL;

	for (char *key = strtok_r(copy, ".", &rest); key && node; key = strtok_r(NULL, ".", &rest)) {
		if (node->kind == CONFIG_LIST)
			node = (size_t)atoi(key) < node->count ? node->items[atoi(key)] : NULL;
		else
			node = config_get(node, key);
	}
	free(copy);
	return node;
}

static const char *text_at(const struct config *config, const char *path)
{
	const struct config_node *node = at(config, path);

	return node && node->kind == CONFIG_SCALAR ? node->text : NULL;
}

static void test_scalars(void)
{
	struct config *config = parse("a: plain text\nb: 'it''s'\nc: \"x\\ty\"\nd: |\n  one\n  two\ne: >\n  one\n  two\n"
		"f: ~\ng:\nh: 'null'\ni: !!str 12\nj: !!int \"7\"\nk: ! 'yes'\nl: two\n  lines\nm: []\nn: {}\n");

	ok(config && !errors.count, "a map of scalars is read");
	is_str(text_at(config, "a"), "plain text", "plain");
	is_str(text_at(config, "b"), "it's", "single quotes");
	is_str(text_at(config, "c"), "x\ty", "double quotes");
	is_str(text_at(config, "d"), "one\ntwo\n", "literal block");
	is_str(text_at(config, "e"), "one two\n", "folded block");
	is_int(at(config, "f")->kind, CONFIG_NULL, "~ is null");
	is_int(at(config, "g")->kind, CONFIG_NULL, "nothing is null");
	is_str(text_at(config, "h"), "null", "quoted null is text");
	is_str(text_at(config, "l"), "two lines", "plain over two lines");
	ok(!at(config, "a")->quoted && at(config, "b")->quoted && at(config, "d")->quoted, "quotes are known");
	ok(at(config, "i")->quoted && !at(config, "j")->quoted && !at(config, "k")->quoted, "standard tags decide");
	ok(at(config, "m")->kind == CONFIG_LIST && at(config, "n")->kind == CONFIG_MAP, "empty list and map");
	config_free(config);
}

static void test_positions(void)
{
	struct config *config = parse("queue:\n  out:\n    type: disk\nedge: {m: {listeners: [{port: 25}, {port: 26}]}}\n");
	const struct config_node *node = at(config, "queue.out.type");
	struct buffer path = { 0 };

	is_int(node->key_line, 3, "line of a key");
	is_int(node->key_column, 5, "column of a key");
	is_int(node->column, 11, "column of a value");
	config_path(at(config, "edge.m.listeners.1.port"), &path);
	is_str(buffer_str(&path), "edge.m.listeners[1].port", "path through lists and maps");
	ok(config_section(config, "queue", "out") == node->parent, "a section by name");
	ok(!config_section(config, "queue", "in") && !config_section(config, "relay", "in"), "none of that name");
	is_str(node->file, "/dir/x.conf", "the file");
	buffer_release(&path);
	config_free(config);
}

static void test_anchors(void)
{
	struct config *config = parse("base: &b {x: 1, y: 2}\nother: &o {y: 3, z: 4}\n"
		"one: {<<: *b, x: 9}\ntwo: {y: 8, <<: [*o, *b]}\nthree:\n  <<: {w: 5}\nname: &n text\n*n : value\n"
		"nest: &d {<<: *b, v: 7}\ndeep: {<<: *d, v: 6}\nlist: [*b, *n]\n");
	const struct config_node *two = at(config, "two");
	struct buffer path = { 0 };

	is_str(errors_shown(), "", "anchors, aliases and merge keys are no errors");
	is_str(text_at(config, "one.x"), "9", "own keys win");
	is_str(text_at(config, "one.y"), "2", "merged keys are there");
	is_str(text_at(config, "two.y"), "8", "own keys win over lists");
	ok(two->count == 3 && !strcmp(two->items[0]->key, "y") && !strcmp(two->items[1]->key, "z")
		&& !strcmp(two->items[2]->key, "x"), "own keys first, then merged ones in their order");
	is_str(text_at(config, "three.w"), "5", "a map in place is merged");
	is_str(text_at(config, "text"), "value", "an alias as a key");
	is_str(text_at(config, "deep.x"), "1", "merged through two maps");
	is_str(text_at(config, "deep.v"), "6", "and overridden");
	config_path(at(config, "one.y"), &path);
	is_str(buffer_str(&path), "one.y", "a merged node has the path of its use");
	buffer_reset(&path);
	config_path(at(config, "list.0.y"), &path);
	is_str(buffer_str(&path), "list[0].y", "so has an aliased one");
	is_int(at(config, "list.0.y")->line, 1, "but stands where it was written");
	buffer_release(&path);
	config_free(config);
}

struct wrong {
	const char *text;
	const char *error;	/* without the file name */
};

static void test_errors(void)
{
	static const struct wrong all[] = {
		{ "a: 1\nb: 2\na: 3\n", ":3:1: a: given twice, first in line 1" },
		{ "a: *x\n", ":1:4: a: there is no anchor &x in this file" },
		{ "a: &x [*x]\n", ":1:8: a[0]: *x is used within itself" },
		{ "a: &x 1\nb: &x 2\n", ":2:4: b: the anchor &x is set twice, first in line 1" },
		{ "a: !!python/name:sys.stdout\n", ":1:4: a: !!python/name:sys.stdout: tags of Python mean nothing here" },
		{ "a: !frob x\n", ":1:4: a: !frob is no tag known here; there are !include and !env" },
		{ "a: !!binary x\n", ":1:4: a: !!binary does not fit a scalar, or is not known" },
		{ "a: !!set {x}\n", ":1:4: a: tag:yaml.org,2002:set is no tag for a map here" },
		{ "a: !env SLIMTA_NOT_SET\n", ":1:4: a: the environment variable SLIMTA_NOT_SET is not set" },
		{ "a: {<<: 5}\n", ":1:5: a.<<: expected a map to merge, or a list of maps" },
		{ "a: {<<: {}, <<: {}}\n", ":1:13: a.<<: given twice: merge several maps as a list, <<: [*one, *two]" },
		{ "? [a]\n: b\n", ":1:3: ?: a key must be text" },
		{ "? ~\n: b\n", ":1:3: ?: a key must be text, this one is empty" },
		{ "a: \"x\\0y\"\n", ":1:4: a: text with a NUL in it" },
		{ "a: 1\n---\nb: 2\n", ":3:1: a second document (---) in one file" },
		{ "a: [1\nb: 2\n", ":2:2: not valid YAML: did not find expected ',' or ']', while parsing a flow sequence" },
		{ "a: !include /nonexistent/x\n",
			":1:4: a: cannot include /nonexistent/x: No such file or directory" },
		{ "a: \xff\n", ":1:4: not valid YAML: invalid leading UTF-8 octet" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct config *config = parse(all[i].text);
		char *wanted = xasprintf("/dir/x.conf%s\n", all[i].error);

		is_str(errors_shown(), wanted, "an error with its place");
		free(wanted);
		config_free(config);
	}
}

static void test_bounds(void)
{
	struct buffer text = { 0 };
	struct config *config;

	for (int i = 0; i < 100; i++)
		buffer_append_char(&text, '[');
	config = parse(buffer_str(&text));
	ok(!config && strstr(errors_shown(), "nested too deeply"), "deep nesting is refused");
	buffer_reset(&text);
	buffer_append_str(&text, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
	for (int i = 1; i < 9; i++) {
		buffer_appendf(&text, "a%d: &a%d [", i, i);
		for (int j = 0; j < 10; j++)
			buffer_appendf(&text, "%s*a%d", j ? "," : "", i - 1);
		buffer_append_str(&text, "]\n");
	}
	config = parse(buffer_str(&text));
	ok(!config && strstr(errors_shown(), "too many values, or too deep, behind this alias"),
		"an alias bomb is refused");
	buffer_reset(&text);
	buffer_append_str(&text, "a: &a ");
	for (int i = 0; i < 1 << 20; i++)
		buffer_append_char(&text, 'x');
	buffer_append_str(&text, "\nb: [");
	for (int i = 0; i < 40; i++)
		buffer_append_str(&text, "*a, ");
	buffer_append_str(&text, "*a]\n");
	config = parse(buffer_str(&text));
	ok(!config && errors.error_count, "so is one of long text");
	for (char *value = strstr(text.data, "xxx"); *value == 'x'; value++)
		*value = 'k';
	buffer_insert(&text, 6, "{? ", 3);
	buffer_insert(&text, (size_t)(strchr(text.data, '\n') - text.data), " : v}", 5);
	config = parse(buffer_str(&text));
	ok(!config && strstr(errors_shown(), "behind this alias"), "and one of long keys");
	buffer_release(&text);
}

int main(void)
{
	test_scalars();
	test_positions();
	test_anchors();
	test_errors();
	test_bounds();
	config_errors_release(&errors);
	buffer_release(&shown);
	return done_testing();
}
