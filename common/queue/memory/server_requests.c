/* server_requests.c - what may be asked of a memory queue by its socket
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/queue/memory/server.h"

#define SMALL_MAX 4194304	/* octets of requests that store no message: lists of ids */

static void answer(struct request *request)
{
	server_answer(request, NULL, NULL, NULL);
}

static void refuse(struct request *request, const char *text)
{
	reply_set(&request->why, 501, "5.5.4", "%s", text);
	answer(request);
}

/* NULL: it has none, and was answered. */
static const char *id_of(struct request *request)
{
	const char *id = wire_text(request->line, "id");

	if (id && id_is_valid(id))
		return id;
	refuse(request, "No such id can be");
	return NULL;
}

/* ---- write */

static void split_work(struct task *task)
{
	struct request *request = (struct request *)task;

	forms_split(&request->forms, &request->octets, &request->why);
}

static void write_done(struct task *task)
{
	struct request *request = (struct request *)task;
	struct store *store = request->server->store;

	store_unreserve(store, request->reserved);
	request->reserved = 0;
	if (reply_is_none(&request->why))
		store_publish(store, &request->forms, wire_number(request->line, "delay", 0), &request->why);
	answer(request);
}

static void run_write(struct request *request)
{
	request->task.work = split_work;
	request->task.done = write_done;
	tasks_run(request->server->tasks, &request->task);
}

/* ---- hand over */

/* The state stands before the message. */
static void hand_over_work(struct task *task)
{
	struct request *request = (struct request *)task;
	int64_t size = wire_number(request->line, "state_bytes", 0);

	if (size > 0 && (uint64_t)size <= request->octets.size) {
		request->state = json_loadb(request->octets.data, (size_t)size, 0, NULL);
		buffer_consume(&request->octets, (size_t)size);
	}
	if (forms_split(&request->forms, &request->octets, &request->why) == 0 && request->forms.count != 1)
		reply_set(&request->why, 501, "5.5.4", "One message is handed over at a time");
}

static void hand_over_done(struct task *task)
{
	struct request *request = (struct request *)task;
	struct store *store = request->server->store;
	struct peeked known;

	store_unreserve(store, request->reserved);
	request->reserved = 0;
	if (reply_is_none(&request->why) && wire_read_known(request->state, &known) < 0)
		reply_set(&request->why, 501, "5.5.4", "Its state cannot be read");
	if (reply_is_none(&request->why)) {
		store_take_over(store, request->forms.items[0], &known);
		wire_known_release(&known);
	}
	answer(request);
}

static void run_hand_over(struct request *request)
{
	request->task.work = hand_over_work;
	request->task.done = hand_over_done;
	tasks_run(request->server->tasks, &request->task);
}

static void run_take_over(struct request *request)
{
	struct server *server = request->server;
	bool before = server->serving.shown;

	if (serving_show(&server->serving) < 0) {
		reply_set(&request->why, 451, "4.3.0", "The socket cannot be renamed");
		log_error("queue", "could not begin to serve a memory queue", LOG_TEXT("queue", server->context->queue));
	} else if (!before) {
		log_info("queue", "took over a memory queue", LOG_TEXT("queue", server->context->queue));
	}
	answer(request);
}

/* ---- lists of ids, a line each */

/* The next; false at the end, and with `why` where it is none. */
static bool next_id(struct request *request, size_t *at, char id[ID_SIZE])
{
	const struct buffer *octets = &request->octets;

	if (*at == octets->size)
		return false;
	if (octets->size - *at >= ID_SIZE && octets->data[*at + ID_LENGTH] == '\n') {
		memcpy(id, octets->data + *at, ID_LENGTH);
		id[ID_LENGTH] = '\0';
		*at += ID_SIZE;
		if (id_is_valid(id))
			return true;
	}
	reply_set(&request->why, 501, "5.5.4", "No such id can be");
	return false;
}

static void run_discard(struct request *request)
{
	char id[ID_SIZE];

	for (size_t at = 0; next_id(request, &at, id);)
		if (store_discard(request->server->store, id, &request->why) < 0)
			break;
	answer(request);
}

/* Finished by who served before us, or on its way from there. */
static void run_known(struct request *request)
{
	char id[ID_SIZE];

	for (size_t at = 0; next_id(request, &at, id);)
		store_know(request->server->store, id);
	answer(request);
}

/* ---- one message */

static void run_mark(struct request *request)
{
	const char *id = id_of(request), *name;
	enum mark mark;

	if (!id)
		return;		/* it is gone */
	name = wire_text(request->line, "mark");
	if (!name || !mark_find(name, &mark)) {
		refuse(request, "There is no such mark");
		return;
	}
	store_mark(request->server->store, id, mark, wire_text(request->line, "reason"), &request->why);
	answer(request);
}

static void peek_work(struct task *task)
{
	struct request *request = (struct request *)task;

	store_look_phase(request->server->store, &request->seen, 1);
}

/* Without its content: the form's line and JSON alone, and how much there would be. */
static void peek_done(struct task *task)
{
	struct request *request = (struct request *)task;
	bool content = json_is_true(json_object_get(request->line, "content"));
	const struct store_look *seen = &request->seen;
	struct buffer octets = { 0 };
	json_t *members;

	wire_append(&octets, wire_known(&seen->known));
	members = json_pack("{s:I}", "state_bytes", (json_int_t)octets.size);
	if (!content)
		buffer_append(&octets, seen->form->data, seen->form->octets_at);
	server_answer(request, members, &octets, content ? seen->form : NULL);
}

static void run_peek(struct request *request)
{
	const char *id = id_of(request);

	if (!id)
		return;
	request->task.work = peek_work;
	request->task.done = peek_done;
	if (store_look(request->server->store, id, &request->seen, &request->why) == 0)
		tasks_run(request->server->tasks, &request->task);
	else
		answer(request);
}

/* ---- all of them */

static void on_listed(void *arg, const struct reply *why, const struct list_entry *entries, size_t count,
	const char *cursor)
{
	struct request *request = arg;
	struct buffer octets = { 0 };
	json_t *list = json_array();

	(void)why;
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, wire_entry(&entries[i]));
	wire_append(&octets, list);
	server_answer(request, json_pack("{s:s}", "cursor", cursor), &octets, NULL);
}

static void run_list(struct request *request)
{
	int64_t max = wire_number(request->line, "max", 0);

	if (wire_read_filter(json_object_get(request->line, "filter"), &request->filter) < 0) {
		refuse(request, "The filter is not understood");
		return;
	}
	store_list(request->server->store, &request->filter, wire_text(request->line, "cursor"), max > 0 ? (size_t)max : 0,
		on_listed, request);
}

static void run_info(struct request *request)
{
	struct queue_counts counts;

	store_info(request->server->store, &counts);
	server_answer(request, json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "fresh", (json_int_t)counts.fresh, "deferred",
		(json_int_t)counts.deferred, "leased", (json_int_t)counts.leased, "held", (json_int_t)counts.held,
		"octets", (json_int_t)counts.octets, "oldest_age", (json_int_t)counts.oldest_age_ms), NULL, NULL);
}

static void run_set(struct request *request)
{
	const char *key = wire_text(request->line, "key");

	store_set(request->server->store, key ? key : "", wire_text(request->line, "value"),
		wire_number(request->line, "expires_in", INT64_MAX), &request->why);
	answer(request);
}

static void on_settings(void *arg, const struct reply *why, const struct setting *settings, size_t count)
{
	struct buffer octets = { 0 };
	json_t *list = json_array();

	(void)why;
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, wire_setting(&settings[i]));
	wire_append(&octets, list);
	server_answer(arg, NULL, &octets, NULL);
}

static void run_settings(struct request *request)
{
	store_settings(request->server->store, on_settings, request);
}

/* ---- which there are */

enum octets { NONE, IDS, MESSAGES, ONE_MESSAGE };

#define MEMBERS_MAX 3

static const struct operation {
	const char *name;
	enum octets octets;
	void (*run)(struct request *);
	const char *members[MEMBERS_MAX];	/* beside op, number and bytes */
} operations[] = {
	{ "write", MESSAGES, run_write, { "delay" } },
	{ "discard", IDS, run_discard, { 0 } },
	{ "mark", NONE, run_mark, { "id", "mark", "reason" } },
	{ "peek", NONE, run_peek, { "id", "content" } },
	{ "list", NONE, run_list, { "cursor", "max", "filter" } },
	{ "info", NONE, run_info, { 0 } },
	{ "set", NONE, run_set, { "key", "value", "expires_in" } },
	{ "settings", NONE, run_settings, { 0 } },
	{ "known", IDS, run_known, { 0 } },
	{ "take over", NONE, run_take_over, { 0 } },
	{ "hand over", ONE_MESSAGE, run_hand_over, { "state_bytes" } },
};

static const struct operation *find_operation(const json_t *line)
{
	const char *name = wire_text(line, "op");

	for (size_t i = 0; name && i < ARRAY_SIZE(operations); i++)
		if (strcmp(operations[i].name, name) == 0)
			return &operations[i];
	return NULL;
}

static bool is_member(const struct operation *operation, const char *name)
{
	if (strcmp(name, "op") == 0 || strcmp(name, "number") == 0 || strcmp(name, "bytes") == 0)
		return true;
	for (size_t i = 0; i < MEMBERS_MAX && operation->members[i]; i++)
		if (strcmp(operation->members[i], name) == 0)
			return true;
	return false;
}

/* What is not known was meant to change the rest. */
static const char *unknown_member(const struct operation *operation, const json_t *line)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)line, name, value)
		if (!is_member(operation, name))
			return name;
	return NULL;
}

int server_admit(struct server *server, const json_t *line, uint64_t bytes, uint64_t *reserved, struct reply *why)
{
	const struct operation *operation = find_operation(line);
	const char *unknown;
	static const uint64_t most[] = { [NONE] = 0, [IDS] = SMALL_MAX, [MESSAGES] = UINT64_MAX,
		[ONE_MESSAGE] = SERVER_HAND_OVER_MAX };

	if (!operation) {
		reply_set(why, 502, "5.5.1", "There is no such operation");
	} else if ((unknown = unknown_member(operation, line))) {
		reply_set(why, 501, "5.5.4", "The member \"%s\" is not known", unknown);
	} else if (bytes > most[operation->octets]) {
		reply_set(why, 552, "5.3.4", "Too many octets");
	} else if (operation->octets != MESSAGES) {
		return 0;
	} else if (store_reserve(server->store, bytes, false, why) == 0) {
		*reserved = bytes;
		return 0;
	}
	return -1;
}

void server_run(struct request *request)
{
	find_operation(request->line)->run(request);
}
