/* scalar.h - what a plain scalar of YAML 1.1 stands for
 * SPDX-License-Identifier: MIT
 * The forms that PyYAML resolves: https://yaml.org/type/ with its narrowings (only spelled-out booleans,
 * exponents with a sign). */
#ifndef SLIMTA_CONFIG_SCALAR_H
#define SLIMTA_CONFIG_SCALAR_H

#include <stdbool.h>
#include <stdint.h>

enum scalar_type { SCALAR_TEXT, SCALAR_NULL, SCALAR_BOOL, SCALAR_INT, SCALAR_FLOAT };

enum scalar_type scalar_type(const char *text);

bool scalar_is_null(const char *text);			/* "" ~ null Null NULL */
bool scalar_bool(const char *text, bool *out);		/* yes no true false on off, also Yes and YES */
/* 10 1_000 0x1F 0660 0b11 1:30 (base 60), with a sign; false if no such form. ERANGE: errno is set to it and
 * `out` is the nearest that fits; else errno is 0. */
bool scalar_int(const char *text, int64_t *out);
/* 1.5 .5 1.0e+3 1:30.5 .inf .nan; false if no such form (integers are none). */
bool scalar_float(const char *text, double *out);

#endif
