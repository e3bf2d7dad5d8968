/* output.h - how values are written for people and programs
 * SPDX-License-Identifier: MIT
 * Whatever came from the network passes here: no control character reaches a terminal. */
#ifndef SLIMTA_QUEUECTL_OUTPUT_H
#define SLIMTA_QUEUECTL_OUTPUT_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "common/queue/storage.h"

/* "<user@example.com>" in printable characters, appended; text that is the rest of a line, likewise. */
void put_address(struct buffer *, const char *address);
void put_text(struct buffer *, const char *text);
void put_reply(struct buffer *, const struct reply *);
/* Likewise, and spaces up to `width` characters. */
void put_column(struct buffer *, const char *text, size_t width);

/* Who has a message, for how long and how far: " by host/slimta-worker[812] for 14s, in delivery for 12s"; nothing of
 * what is not known. */
void put_owner(struct buffer *, const char *owner, enum lease_phase, int64_t leased_for_ms, int64_t in_phase_ms);
void add_phase(json_t *object, enum lease_phase, int64_t leased_for_ms, int64_t in_phase_ms);	/* null: not known */

#define SHORT_SIZE 32
/* Two units at most: "12s", "5m", "2h30m", "3d4h"; 0 and less "now". Returns `out`. */
const char *short_duration(char out[SHORT_SIZE], int64_t ms);
/* "512", "1.5K", "12M". Returns `out`. */
const char *short_octets(char out[SHORT_SIZE], uint64_t octets);

/* "1,234". Returns `out`. */
const char *grouped_number(char out[SHORT_SIZE], uint64_t number);

/* A JSON string whatever `text` holds; null for NULL. */
json_t *json_text(const char *text);
/* One object, one line, in ASCII. Takes the object. */
void print_json(json_t *object);

#endif
