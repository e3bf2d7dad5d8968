/* contract.h - the storages that the tests of the contract walk, and openings of them
 * SPDX-License-Identifier: MIT
 * Those tests know a storage by common/queue/storage.h alone. A driver is a row here. */
#ifndef SLIMTA_T_CONTRACT_H
#define SLIMTA_T_CONTRACT_H

#include "t/lib/redis_server.h"
#include "t/lib/storage.h"

static const struct contract_driver {
	const char *section;
	bool lasts;		/* what is in it is there when it is opened again */
	bool redis;		/* with a server of its own, for each walk */
} contract_drivers[] = {
	{ "type: disk, envelope_dir: @/env, meta_dir: @/meta, scan_interval: 3600, allow_volatile: true", .lasts = true },
	{ "type: memory" },
	{ "type: redis, socket: @/redis, durability: unchecked", .lasts = true, .redis = true },
};
static const struct contract_driver *driver;	/* the one that is walked now */
MAYBE struct redis_server contract_redis;

/* `beside` NULL, or an opening of the same storage in this process whose loop is shared. */
MAYBE void contract_open(struct place *place, const struct place *beside, enum storage_role role)
{
	if (place_open_beside(place, beside, role, driver->section))
		return;
	printf("Bail out! cannot open: %s\n", place->opened.text ? place->opened.text : "?");
	exit(1);
}

MAYBE void contract_serve(void)
{
	char path[96];

	redis_server_start(&contract_redis, NULL);
	snprintf(path, sizeof(path), "%s/redis", scratch);
	if (symlink(contract_redis.socket, path) < 0)
		abort();
}

/* Walks every driver, each in a scratch folder of its own. */
MAYBE void contract_walk(void (*walk)(void))
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(contract_drivers); i++) {
		driver = &contract_drivers[i];
		diag("%s", driver->section);
		scratch_make();
		if (driver->redis)
			contract_serve();
		walk();
		if (driver->redis)
			redis_server_stop(&contract_redis);
		scratch_remove();
	}
}

#endif
