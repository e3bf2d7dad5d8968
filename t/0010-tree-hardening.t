#!/usr/bin/python3
# 0010-tree-hardening.t - functions without a bound do not compile, and programs are linked hardened
# SPDX-License-Identifier: MIT
import glob
import os
import re
import subprocess

from lib.fixture import BUILD, TOP, is_, like, ok, run

CALLS = ['strcpy(a, b)', 'strcat(a, b)', 'strncpy(a, b, 2)', 'strncat(a, b, 2)', 'sprintf(a, "%s", b)',
    'vsprintf(a, b, list)', 'strtok(a, b)', 'gets(a)']


def banned(t):
    for call in ['snprintf(a, 2, "%s", b)', *CALLS]:
        code = "void f(char *a, const char *b, va_list list);\nvoid f(char *a, const char *b, va_list list)\n" \
            f"{{ (void)b; (void)list; {call}; }}\n"
        done = subprocess.run(['gcc', '-D_GNU_SOURCE', '-O2', '-D_FORTIFY_SOURCE=2', '-include', 'common/base/banned.h',
            '-fsyntax-only', '-x', 'c', '-'], input='#include <stdarg.h>\n' + code, capture_output=True,
            text=True, cwd=TOP, env=t.env, timeout=60, check=False)
        if call in CALLS:
            like(done.stderr, 'poisoned', f'{call} is an error')
        else:
            is_((done.returncode, done.stderr), (0, ''), f'{call} is none')


def linked(t):
    programs = sorted(glob.glob(f'{BUILD}/slimta-*'))
    is_([os.path.basename(name) for name in programs],
        ['slimta-edge', 'slimta-master', 'slimta-queuectl', 'slimta-worker'], 'the programs are there')
    for program in programs:
        shown = subprocess.run(['readelf', '-W', '-h', '-l', '-d', '--dyn-syms', program], capture_output=True,
            text=True, timeout=60, check=False).stdout
        name = os.path.basename(program)
        like(shown, r'Type: +DYN', f'{name}: position independent')
        like(shown, 'GNU_RELRO', f'{name}: relocations become read-only')
        like(shown, r'FLAGS.* NOW|BIND_NOW', f'{name}: bound at start')
        like(shown, r'GNU_STACK.* RW ', f'{name}: no executable stack')
        like(shown, '__stack_chk_fail', f'{name}: stack protector')
        ok('sanitize' in BUILD or re.search(r'__\w+_chk@', shown), f'{name}: fortified')


run(banned, linked)
