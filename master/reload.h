/* reload.h - SIGHUP: the configuration is read again, and a new generation takes over
 * SPDX-License-Identifier: MIT
 * One at a time: check, start the new generation, let the old one drain. What is asked for meanwhile is done once, after
 * that. Whatever goes wrong before all of the new ones are ready, the old generation stays. */
#ifndef SLIMTA_MASTER_RELOAD_H
#define SLIMTA_MASTER_RELOAD_H

#include "master/master.h"

void reload_open(struct master *);
void reload_close(struct master *);

/* Another one is wanted: at once, or after what is under way. False: the master stops. */
bool reload_ask(struct master *);
/* The number that status_reloaded() is told of the next one that begins. */
unsigned reload_next(const struct master *);
/* Called by supervise(): lets the new generation take over when it is ready, gives up one that does not become so. */
void reload_go_on(struct master *);
/* Called by supervise() at its end: begins what was asked for and may begin. */
void reload_begin(struct master *);
/* The master stops: nothing is reloaded any more. */
void reload_stop(struct master *);
void reload_reaped(struct master *, pid_t);
/* Why the last one was refused; NULL: it was not. */
const char *reload_failure(const struct master *);

/* ---- reload_check.c */
struct check;
/* `good`: `next` has its configuration, sealed too. `said`: errors, or warnings, a line each. */
typedef void check_done_fn(struct generation *next, bool good, const char *said);
/* In a process of its own; `next` has its programs, and stays until `done` ran, from the loop, or check_cancel. NULL with
 * an owned text in *why. The check is gone when `done` was called. */
struct check *check_start(struct generation *next, check_done_fn *done, char **why);
void check_reaped(struct check *, pid_t);
void check_cancel(struct check *);

#endif
