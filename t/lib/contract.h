/* contract.h - the storages that the tests of the contract walk, and openings of them
 * SPDX-License-Identifier: MIT
 * Those tests know a storage by common/queue/storage.h alone. A driver is a row here. */
#ifndef SLIMTA_T_CONTRACT_H
#define SLIMTA_T_CONTRACT_H

#include "t/lib/storage.h"

static const struct contract_driver {
	const char *section;
	bool lasts;		/* what is in it is there when it is opened again */
} contract_drivers[] = {
	{ "type: disk, envelope_dir: @/env, meta_dir: @/meta, scan_interval: 3600, allow_volatile: true", .lasts = true },
	{ "type: memory" },
};
static const struct contract_driver *driver;	/* the one that is walked now */

/* `beside` NULL, or an opening of the same storage in this process whose loop is shared. */
MAYBE void contract_open(struct place *place, const struct place *beside, enum storage_role role)
{
	if (place_open_beside(place, beside, role, driver->section))
		return;
	printf("Bail out! cannot open: %s\n", place->opened.text ? place->opened.text : "?");
	exit(1);
}

/* Walks every driver, each in a scratch folder of its own. */
MAYBE void contract_walk(void (*walk)(void))
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(contract_drivers); i++) {
		driver = &contract_drivers[i];
		diag("%s", driver->section);
		scratch_make();
		walk();
		scratch_remove();
	}
}

#endif
