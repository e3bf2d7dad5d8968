#!/usr/bin/python3
# 0005-tree-file-head.t - each file says what it is, and stays short
# SPDX-License-Identifier: MIT
import glob
import os
import re
import sys

from lib.tap import is_, ok, plan

os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MOST_LINES, MOST_FUNCTION_LINES, MOST_TEST_LINES, WIDTH = 600, 80, 150, 130


def c_files():
    for folder in ('common', 'edge', 'worker', 'master', 'queuectl', 't'):
        yield from sorted(glob.glob(f'{folder}/**/*.[ch]', recursive=True))


def long_functions(lines):
    """(first line, length) of functions that are too long: style puts their braces in column 1."""
    start = None
    for number, line in enumerate(lines, 1):
        if line.startswith('{'):
            start = number
        elif line.startswith('}') and start:
            if number - start - 1 > MOST_FUNCTION_LINES:
                yield start, number - start - 1
            start = None


heads, long_files, functions, wide = [], [], [], []
for name in c_files():
    with open(name, encoding='utf-8') as source:
        lines = source.read().split('\n')
    if not (lines[0].startswith(f'/* {os.path.basename(name)} - ')
            and re.match(r' \* SPDX-License-Identifier: MIT( \*/)?$', lines[1])):
        heads.append(name)
    if len(lines) > MOST_LINES:
        long_files.append(f'{name}: {len(lines)}')
    functions += [f'{name}:{start}: {length} lines' for start, length in long_functions(lines)]
    wide += [f'{name}:{number}' for number, line in enumerate(lines, 1) if len(line.expandtabs(8)) > WIDTH]

scripts = glob.glob('t/*.t') + glob.glob('t/lib/*.py') + glob.glob('t/bench/*.py') + glob.glob('conf/*.sh') + glob.glob('.ci/[a-z]*')
for name in sorted(name for name in scripts if os.path.isfile(name)):
    with open(name, encoding='utf-8') as script:
        lines = script.read().split('\n')
    if lines[0].startswith('#!'):
        lines = lines[1:]
    if not (lines[0].startswith(f'# {os.path.basename(name)} - ') and lines[1] == '# SPDX-License-Identifier: MIT'):
        heads.append(name)
    if len(lines) > (MOST_TEST_LINES if name.endswith('.t') else MOST_LINES):
        long_files.append(f'{name}: {len(lines)}')
    if name.endswith('.t') and not os.access(name, os.X_OK):
        heads.append(f'{name} (not executable)')

is_(heads, [], 'line 1 is name and purpose, line 2 the licence')
is_(long_files, [], f'no file is longer than {MOST_LINES} lines, no test than {MOST_TEST_LINES}')
is_(functions, [], f'no function is longer than {MOST_FUNCTION_LINES} lines')
is_(wide, [], f'no line is wider than {WIDTH} columns')
ok(list(long_functions(['{'] + [''] * 81 + ['}'])), 'a long function is found')
is_(list(long_functions(['{'] + [''] * 80 + ['}'])), [], 'one at the limit is not')
sys.exit(plan())
