/* redis_checks.c - what a server said of itself, and what that means for a queue
 * SPDX-License-Identifier: MIT */
#include "common/queue/redis/redis_checks.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

#define BULK_MAX (512ULL << 20)
#define QUERY_MAX (1024ULL << 20)
#define OLDEST_MAJOR 5

void redis_found_reset(struct redis_found *found)
{
	free(found->policy);
	free(found->appendfsync);
	reply_release(&found->refused);
	*found = (struct redis_found){ .aof = -1, .bulk_max = BULK_MAX, .query_max = QUERY_MAX };
}

/* ---- answers */

static char *text_of(const struct redisReply *reply)
{
	return reply->type == REDIS_REPLY_STRING ? xstrndup(reply->str, (size_t)reply->len) : NULL;
}

static void take_version(struct redis_found *found, const char *text)
{
	uint64_t major;

	if (text && parse_u64(text, strcspn(text, "."), 1000000, &major))
		found->major = (unsigned)major;
}

/* Names and values by turns. */
void redis_found_hello(struct redis_found *found, const struct redisReply *reply)
{
	for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements; i += 2) {
		const struct redisReply *name = redis_item(reply, i), *value = redis_item(reply, i + 1);

		if (value->type != REDIS_REPLY_STRING)
			continue;
		if (redis_text_is(name, "version"))
			take_version(found, value->str);
		else if (redis_text_is(name, "mode"))
			found->cluster = found->cluster || redis_text_is(value, "cluster");
		else if (redis_text_is(name, "role"))
			found->replica = found->replica || redis_text_is(value, "replica");
	}
}

/* The value of a line "NAME:VALUE" with CR LF; owned, NULL: there is none. */
static char *info_value(const char *info, const char *name)
{
	char *start = xasprintf("\n%s:", name);
	const char *at = strstr(info, start);
	char *value = at ? xstrndup(at + strlen(start), strcspn(at + strlen(start), "\r\n")) : NULL;

	free(start);
	return value;
}

static bool info_is(const char *info, const char *name, const char *expected)
{
	char *value = info_value(info, name);
	bool is = value && strcmp(value, expected) == 0;

	free(value);
	return is;
}

void redis_found_info(struct redis_found *found, const struct redisReply *reply)
{
	char *version, *aof;

	if (reply->type != REDIS_REPLY_STRING)
		return;
	version = info_value(reply->str, "redis_version");
	aof = info_value(reply->str, "aof_enabled");
	take_version(found, version);
	if (aof)
		found->aof = strcmp(aof, "1") == 0;
	free(found->policy);
	found->policy = info_value(reply->str, "maxmemory_policy");
	found->loading = info_is(reply->str, "loading", "1");
	found->replica = found->replica || info_is(reply->str, "role", "slave");
	found->cluster = found->cluster || info_is(reply->str, "cluster_enabled", "1");
	free(version);
	free(aof);
}

void redis_found_appendfsync(struct redis_found *found, const struct redisReply *reply)
{
	free(found->appendfsync);
	found->appendfsync = text_of(redis_item(reply, 1));
}

static void take_limit(uint64_t *limit, const struct redisReply *reply)
{
	int64_t octets = redis_number(redis_item(reply, 1), 0);

	if (octets > 0)
		*limit = (uint64_t)octets;
}

void redis_found_bulk(struct redis_found *found, const struct redisReply *reply)
{
	take_limit(&found->bulk_max, reply);
	/* What a string may have, whatever may be sent. */
	if (found->bulk_max > BULK_MAX)
		found->bulk_max = BULK_MAX;
}

void redis_found_query(struct redis_found *found, const struct redisReply *reply)
{
	take_limit(&found->query_max, reply);
}

void redis_found_count(struct redis_found *found, const struct redisReply *reply)
{
	if (reply->type == REDIS_REPLY_ERROR)
		redis_error_reply(reply, &found->refused);
	else
		found->messages = (uint64_t)redis_number(reply, 0);
}

/* ---- what it means */

static bool has_tag(const char *prefix)
{
	const char *open = strchr(prefix, '{');

	return open && open[1] != '}' && strchr(open + 1, '}');
}

void redis_found_judge(const struct redis_found *found, const struct redis_queue *queue, struct reply *why)
{
	if (found->major && found->major < OLDEST_MAJOR)
		reply_set(why, 554, "5.3.0", "redis is of version %u; expected %u or later", found->major, OLDEST_MAJOR);
	else if (found->cluster && !has_tag(queue->prefix))
		reply_set(why, 554, "5.3.0", "prefix %s: a redis cluster wants a {tag} in it, so that all keys are in one slot",
			queue->prefix);
	else if (found->policy && strcmp(found->policy, "noeviction") != 0)
		reply_set(why, 554, "5.3.0", "maxmemory-policy of redis is %s, which loses messages; set it to noeviction",
			found->policy);
	else if (found->loading)
		reply_set(why, 451, "4.3.0", "redis is reading its data from disk");
	else if (found->replica)
		reply_set(why, 451, "4.3.0", "redis is a replica, which takes no writes");
	else if (!reply_is_none(&found->refused))
		reply_copy(why, &found->refused);
}

static void add(struct buffer *out, const char *text)
{
	buffer_append_str(out, out->size ? "; " : "");
	buffer_append_str(out, text);
}

void redis_found_warnings(const struct redis_found *found, struct buffer *out)
{
	const char *sync = found->appendfsync ? found->appendfsync : "";

	if (found->aof == 0)
		add(out, "appendonly is no: what came since its last snapshot is lost when redis ends, all of it where it makes "
			"none (set appendonly yes and appendfsync always)");
	else if (strcmp(sync, "everysec") == 0)
		add(out, "appendfsync is everysec: what came in the last two seconds is lost when its host dies "
			"(set appendfsync always)");
	else if (strcmp(sync, "no") == 0)
		add(out, "appendfsync is no: what its host had not written is lost when that dies (set appendfsync always)");
	if (found->aof < 0)
		add(out, "INFO is denied, so that appendonly (expected yes) and maxmemory-policy (expected noeviction) could not "
			"be looked at");
	if (!found->appendfsync && found->aof != 0)
		add(out, "CONFIG is denied, so that appendfsync (expected always) could not be looked at");
}
