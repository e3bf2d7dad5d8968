/* id.h - message and session ids: 48 bits of milliseconds, then 80 random bits, as 26 letters and digits
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_BASE_ID_H
#define SLIMTA_BASE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ID_LENGTH 26
#define ID_SIZE (ID_LENGTH + 1)

/* Writes a new id and its NUL. Ids sort by time as text; [0-9a-z] only, so they are safe as file name,
 * redis key and object name. */
void id_new(char id[ID_SIZE]);
bool id_is_valid(const char *text);		/* exactly 26 characters of the alphabet */
int64_t id_wall_ms(const char *id);		/* when it was made; -1 if not valid */

/* Writes the id of what follows from message `original_id` (which is valid) and from `what`: the
 * same for the same, and for no other (79 bits of SHA-256 over both). It has the original's time,
 * so it sorts beside it, and id_new never gives it. */
void id_derive(const char *original_id, const void *what, size_t size, char id[ID_SIZE]);
bool id_is_derived(const char *id);		/* by id_derive; false for what is no id */

#endif
