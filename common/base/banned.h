/* banned.h - functions that write without a bound are errors
 * SPDX-License-Identifier: MIT
 * The Makefile includes this before every source file. */
#ifndef SLIMTA_BASE_BANNED_H
#define SLIMTA_BASE_BANNED_H

/* Their declarations come first: a poisoned name may not even be declared. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* glibc makes these macros for compilers without __va_arg_pack. */
#undef sprintf
#undef vsprintf

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets strtok

#endif
