/* spawning.h - relays whose commands end in every way a command can
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_T_SPAWNING_H
#define SLIMTA_T_SPAWNING_H

#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"

static char *spawning_shell(const char *dir, const char *name, const char *script, const char *more)
{
	return xasprintf("  %s: {type: pipe, args: [/bin/sh, -c, '%s', sh, '{recipient}', "
			 "'{sender}'], cwd: %s%s}\n",
		name, script, dir, more);
}

/* The relay section, owned. */
static char *spawning_relays(const char *dir)
{
	struct buffer text = { 0 };
	char *lines[] = {
		spawning_shell(dir, "ok", "cat >/dev/null", ""),
		spawning_shell(dir, "exit75", "echo try later; exit 75", ""),
		spawning_shell(dir, "exit65", "echo 5.1.1 nobody >&2; echo here >&2; exit 65", ""),
		spawning_shell(dir, "exit1", "exit 1", ""),
		spawning_shell(dir, "exit127", "exit 127", ""),
		spawning_shell(dir, "signal", "kill -9 $$", ""),
		spawning_shell(dir, "never_reads", "exec sleep 0", ""),
		spawning_shell(dir, "slow",
			"(trap \"\" TERM; echo $(exec sh -c \"echo \\$PPID\") >grandchild; sleep "
			"60; "
			"touch survived) & wait",
			", timeout: 1"),
		spawning_shell(
			dir, "chatty", "head -c 3000000 /dev/zero | tr \"\\\\0\" x; exit 1", ""),
		spawning_shell(dir, "by_recipient",
			"cat >\"got-$1\"; case $1 in later*) echo try again; exit 75;; "
			"never*) echo 5.1.1 unknown; exit 65;; esac",
			", concurrent_processes: 2"),
		spawning_shell(dir, "save", "cat >saved", ""),
		spawning_shell(dir, "save_at_end", "cat >tmp && mv tmp saved_at_end", ""),
		spawning_shell(dir, "surroundings",
			"exec >surroundings; echo umask $(umask); echo pwd $(pwd); echo variable "
			"$VARIABLE; "
			"set -- $(cut -d\" \" -f1,5,6 /proc/$$/stat) $1; "
			"test $1 = $2 && test $2 = $3 && echo leader; echo catches $(grep SigIgn "
			"/proc/$$/status | cut -f2); "
			"echo recipient $4",
			", env: {VARIABLE: set here}"),
		spawning_shell(dir, "descriptors", "exec ls /proc/self/fd >descriptors", ""),
		spawning_shell(dir, "waits", "touch waiting; until [ -e go ]; do sleep 0.05; done",
			", concurrent_processes: 4"),
		spawning_shell(dir, "lingers", "touch lingering; sleep 30; touch lingered", ""),
		spawning_shell(dir, "lingers2", "touch lingering2; sleep 30", ""),
		spawning_shell(dir, "forbidden", "touch forbidden", ""),
		geteuid() ? xstrdup("")
			  : spawning_shell(dir, "as_nobody",
				    "echo $(id -u) $(id -g) $(id -G) >as_nobody", ", user: nobody"),
		xasprintf("  missing: {type: pipe, args: [/no/such/program]}\n"),
		xasprintf("  missing_cwd: {type: pipe, args: [cat], cwd: /no/such/folder}\n"),
		xasprintf("  no_shebang: {type: pipe, args: [%s/no_shebang]}\n", dir),
		xasprintf("  plain: {type: pipe, args: [cat, '{recipient}']}\n"),
		xasprintf("  unused: {type: blackhole}\n"),
	};

	buffer_append_str(&text, "relay:\n");
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		buffer_append_str(&text, lines[i]);
		free(lines[i]);
	}
	return buffer_detach(&text);
}

#endif
