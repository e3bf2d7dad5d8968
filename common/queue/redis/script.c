/* script.c - the scripts that change a redis queue, run in the server
 * SPDX-License-Identifier: MIT */
#include "common/queue/redis/script.h"

#include <hiredis/hiredis.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/queue/redis/redis_queue.h"

/* The files as they are; the Makefile knows that they are part of this one. */
#define TEXT(name) \
	__asm__(".pushsection .rodata\n" \
		"redis_lua_" #name ":\n" \
		".incbin \"common/queue/redis/" #name ".lua\"\n" \
		".byte 0\n" \
		".popsection\n"); \
	__attribute__((visibility("hidden"))) extern const char redis_lua_##name[]
TEXT(prelude);
TEXT(write);
TEXT(discard);
TEXT(mark);
TEXT(peek);
TEXT(list);
TEXT(info);
TEXT(set);
TEXT(settings);
TEXT(claim);
TEXT(claim_id);
TEXT(settle);
TEXT(renew);
TEXT(record);
TEXT(remove);
TEXT(recall);
TEXT(sweep);
TEXT(release);

/* READS: also where redis is full, or only a replica. FREES: also where it is full, as it makes room, or moves what is there. */
enum kind { MAKES, FREES, READS };
static const struct {
	const char *name, *body;
	enum kind kind;
} rows[SCRIPT_COUNT] = {
	[SCRIPT_WRITE] = { "write", redis_lua_write, MAKES },
	[SCRIPT_DISCARD] = { "discard", redis_lua_discard, FREES },
	[SCRIPT_MARK] = { "mark", redis_lua_mark, FREES },
	[SCRIPT_PEEK] = { "peek", redis_lua_peek, READS },
	[SCRIPT_LIST] = { "list", redis_lua_list, READS },
	[SCRIPT_INFO] = { "info", redis_lua_info, READS },
	[SCRIPT_SET] = { "set", redis_lua_set, MAKES },
	[SCRIPT_SETTINGS] = { "settings", redis_lua_settings, READS },
	[SCRIPT_CLAIM] = { "claim", redis_lua_claim, FREES },
	[SCRIPT_CLAIM_ID] = { "claim_id", redis_lua_claim_id, FREES },
	[SCRIPT_SETTLE] = { "settle", redis_lua_settle, FREES },
	[SCRIPT_RENEW] = { "renew", redis_lua_renew, FREES },
	[SCRIPT_RECORD] = { "record", redis_lua_record, FREES },
	[SCRIPT_REMOVE] = { "remove", redis_lua_remove, FREES },
	[SCRIPT_RECALL] = { "recall", redis_lua_recall, FREES },
	[SCRIPT_SWEEP] = { "sweep", redis_lua_sweep, FREES },
	[SCRIPT_RELEASE] = { "release", redis_lua_release, FREES },
};
static const char *const flag_lines[] = {
	[MAKES] = "#!lua\n", [FREES] = "#!lua flags=allow-oom\n", [READS] = "#!lua flags=no-writes\n",
};

/* In the order in which prelude.lua takes them. */
#define REDIS_KEYS 11
#define NUMBER_TEXT(number) TEXT_OF(number)
#define TEXT_OF(number) #number
static const char *const key_names[REDIS_KEYS] = {
	"queue", "deferred", "leased", "held", "index", "octets", "wake", "alarm", "sweeper", "owners", "settings",
};

#define SHA_SIZE (2 * SHA_DIGEST_LENGTH + 1)
struct redis_scripts {
	struct script {
		char *text;
		char sha[SHA_SIZE];
		char said[32];		/* the error of the server that was logged, until it goes well again */
	} scripts[SCRIPT_COUNT];
	char *keys[REDIS_KEYS];
	struct redis_part parts[REDIS_KEYS];
	bool named, flags;		/* flags: in the texts that were made */
};

static void name_script(struct script *script)
{
	unsigned char digest[SHA_DIGEST_LENGTH];

	SHA1((const unsigned char *)script->text, strlen(script->text), digest);
	for (unsigned i = 0; i < sizeof(digest); i++)
		snprintf(script->sha + 2 * i, 3, "%02x", digest[i]);
}

void redis_scripts_flags(struct redis_queue *queue, bool flags)
{
	struct redis_scripts *scripts = queue->scripts;

	if (scripts->named && scripts->flags == flags)
		return;
	scripts->named = true;
	scripts->flags = flags;
	for (unsigned i = 0; i < SCRIPT_COUNT; i++) {
		struct script *script = &scripts->scripts[i];

		free(script->text);
		script->text = xasprintf("%s%s\n%s", flags ? flag_lines[rows[i].kind] : "", redis_lua_prelude, rows[i].body);
		name_script(script);
	}
}

void redis_scripts_open(struct redis_queue *queue)
{
	struct redis_scripts *scripts = queue->scripts = xcalloc(1, sizeof(*scripts));

	for (unsigned i = 0; i < REDIS_KEYS; i++) {
		scripts->keys[i] = xasprintf("%s%s", queue->prefix, key_names[i]);
		scripts->parts[i] = redis_text_part(scripts->keys[i]);
	}
	redis_scripts_flags(queue, true);
}

void redis_scripts_close(struct redis_queue *queue)
{
	for (unsigned i = 0; i < SCRIPT_COUNT; i++)
		free(queue->scripts->scripts[i].text);
	for (unsigned i = 0; i < REDIS_KEYS; i++)
		free(queue->scripts->keys[i]);
	free(queue->scripts);
	queue->scripts = NULL;
}

#define BEFORE_ARGS (3 + REDIS_KEYS)

struct redis_part *redis_script_command(const struct redis_queue *queue, enum redis_script script,
	const struct redis_part *args, size_t count, size_t *parts_count)
{
	struct redis_part *parts = xcalloc(BEFORE_ARGS + count, sizeof(*parts));

	parts[0] = (struct redis_part)REDIS_PART("EVAL");
	parts[1] = redis_text_part(queue->scripts->scripts[script].text);
	parts[2] = (struct redis_part)REDIS_PART(NUMBER_TEXT(REDIS_KEYS));
	memcpy(parts + 3, queue->scripts->parts, sizeof(queue->scripts->parts));
	if (count)
		memcpy(parts + BEFORE_ARGS, args, count * sizeof(*args));
	*parts_count = BEFORE_ARGS + count;
	return parts;
}

/* ---- a call */

struct script_call {
	struct task task;		/* where it is answered without having been sent */
	struct redis_queue *queue;
	enum redis_script script;
	bool by_text;
	struct redis_part *parts;	/* the whole command */
	size_t count;
	char *copied;			/* NULL: the arguments are the caller's */
	redis_done_fn *done;
	void *arg;
};

static void finish(struct script_call *call, const struct redisReply *reply, const struct reply *why)
{
	call->done(call->arg, reply, why);
	free(call->parts);
	free(call->copied);
	free(call);
}

static bool error_is(const struct redisReply *reply, const char *kind)
{
	return strncmp(reply->str, kind, strlen(kind)) == 0 && strchr(" \r\n", reply->str[strlen(kind)]);
}

/* The first of its kind, not one for each message. */
static void say_once(const struct script_call *call, const struct redisReply *error)
{
	char *said = call->queue->scripts->scripts[call->script].said;
	size_t size = strcspn(error->str, " ");

	if (size >= sizeof(call->queue->scripts->scripts[0].said))
		size = sizeof(call->queue->scripts->scripts[0].said) - 1;
	if (strncmp(said, error->str, size) == 0 && !said[size])
		return;
	memcpy(said, error->str, size);
	said[size] = '\0';
	log_error("queue", "redis refused", LOG_TEXT("queue", call->queue->storage.context.queue),
		LOG_TEXT("script", rows[call->script].name), LOG_TEXT("error", error->str));
}

static void send_call(struct script_call *call);

static void on_error(struct script_call *call, const struct redisReply *error)
{
	struct reply why = { 0 };

	if (error_is(error, "NOSCRIPT") && !call->by_text) {
		call->by_text = true;
		send_call(call);
		return;
	}
	say_once(call, error);
	redis_follow(call->queue->redis, error);
	redis_error_reply(error, &why);
	if (call->script == SCRIPT_WRITE)
		redis_room_seen(call->queue, &why);
	finish(call, NULL, &why);
	reply_release(&why);
}

static void on_reply(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct script_call *call = arg;

	if (reply && reply->type == REDIS_REPLY_ERROR) {
		on_error(call, reply);
		return;
	}
	if (reply) {
		call->queue->scripts->scripts[call->script].said[0] = '\0';
		if (call->script == SCRIPT_WRITE)
			redis_room_seen(call->queue, NULL);
	}
	finish(call, reply, why);
}

static void send_call(struct script_call *call)
{
	const struct script *script = &call->queue->scripts->scripts[call->script];

	if (call->by_text) {
		call->parts[0] = (struct redis_part)REDIS_PART("EVAL");
		call->parts[1] = redis_text_part(script->text);
	} else {
		call->parts[0] = (struct redis_part)REDIS_PART("EVALSHA");
		call->parts[1] = (struct redis_part){ script->sha, SHA_SIZE - 1 };
	}
	redis_send(call->queue->redis, call->parts, call->count, 0, on_reply, call);
}

static void on_unusable(struct task *task)
{
	struct script_call *call = CONTAINER_OF(task, struct script_call, task);
	struct reply why = { 0 };

	reply_set(&why, 451, "4.3.0", "The storage of the queue is away");
	finish(call, NULL, &why);
	reply_release(&why);
}

static void run(struct redis_queue *queue, enum redis_script script, const struct redis_part *args, size_t count,
	char *copied, redis_done_fn *done, void *arg)
{
	struct script_call *call = xcalloc(1, sizeof(*call));

	*call = (struct script_call){ .task.done = on_unusable, .queue = queue, .script = script, .copied = copied,
		.done = done, .arg = arg };
	call->parts = redis_script_command(queue, script, args, count, &call->count);
	for (size_t i = 0; copied && i < count; i++) {
		call->parts[BEFORE_ARGS + i].data = copied;
		copied += args[i].size;
	}
	if (queue->usable)
		send_call(call);
	else
		tasks_soon(&queue->tasks, &call->task);
}

void redis_script_large(struct redis_queue *queue, enum redis_script script, const struct redis_part *args, size_t count,
	redis_done_fn *done, void *arg)
{
	run(queue, script, args, count, NULL, done, arg);
}

void redis_script(struct redis_queue *queue, enum redis_script script, const struct redis_part *args, size_t count,
	redis_done_fn *done, void *arg)
{
	struct buffer copied = { 0 };

	for (size_t i = 0; i < count; i++)
		buffer_append(&copied, args[i].data, args[i].size);
	buffer_append_char(&copied, '\0');
	run(queue, script, args, count, buffer_detach(&copied), done, arg);
}
