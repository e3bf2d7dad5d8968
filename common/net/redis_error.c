/* redis_error.c - what an error of redis means for who asked
 * SPDX-License-Identifier: MIT */
#include <hiredis/hiredis.h>

#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/net/redis.h"

/* Only words that its own do not have; the rest stands for itself. */
static const struct {
	const char *prefix, *text;
	bool full;
} meanings[] = {
	{ "OOM ", "redis is out of memory", true },
	{ "LOADING ", "redis is reading its data from disk" },
	{ "READONLY ", "redis is a replica, which takes no writes" },
	{ "MISCONF ", "redis cannot write to its disk" },
	{ "MASTERDOWN ", "redis is a replica whose master is away" },
	{ "BUSY ", "redis is busy with a script" },
	{ "CLUSTERDOWN ", "the redis cluster is down" },
	{ "NOREPLICAS ", "redis has too few replicas" },
	{ "WRONGTYPE ", "a key of the queue holds something else" },
	{ "NOPERM ", "the user of redis may not do this" },
	{ "NOAUTH ", "redis wants a password" },
	{ "WRONGPASS ", "wrong username or password" },
	{ "ERR invalid password", "wrong password" },
	{ "NOSCRIPT ", "redis has forgotten a script" },
	{ "CROSSSLOT ", "a redis cluster wants all keys in one slot" },
	{ "MOVED ", "this node of the redis cluster does not have the key" },
	{ "ASK ", "this node of the redis cluster does not have the key" },
};

void redis_error_reply(const struct redisReply *error, struct reply *why)
{
	for (size_t i = 0; i < ARRAY_SIZE(meanings); i++) {
		if (text_has_prefix(error->str, meanings[i].prefix)) {
			reply_set(why, meanings[i].full ? 452 : 451, meanings[i].full ? "4.3.1" : "4.3.0", "%s (%s)",
				meanings[i].text, error->str);
			return;
		}
	}
	reply_set(why, 451, "4.3.0", "redis: %s", error->str);
}
