#!/usr/bin/python3
# 0001-tree-layering.t - the top level is as designed, and folders include only what stands above them
# SPDX-License-Identifier: MIT
import os
import re
import subprocess
import sys

from lib.tap import diag, is_, ok, plan

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
os.chdir(TOP)
PROGRAMS = ['edge', 'worker', 'master', 'queuectl']
COMMON = ['base', 'config', 'message', 'net', 'smtp', 'lookup', 'policy', 'queue']
TOP_LEVEL = {'Makefile', 'configure.ac', 'README', 'LICENSE', 'common', 'conf', 'man', 't', '.ci',
    '.gitignore', '.clang-format', '.clang-tidy', *PROGRAMS}


def tracked():
    """What git knows; in an unpacked release, what is there."""
    listed = subprocess.run(['git', '-c', 'safe.directory=*', 'ls-files', '-co', '--exclude-standard'],
        capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return [name for name in listed.stdout.split('\n') if name and os.path.exists(name)]
    return [os.path.relpath(os.path.join(folder, name)) for folder, _, names in os.walk('.')
        for name in names if not os.path.relpath(folder).startswith('build')]


def may_include(name, included):
    """Whether the file may include "included" (a path from the top folder)."""
    if included == 'config.h':
        return True
    here, there = name.split('/'), included.split('/')
    if there[0] in PROGRAMS:
        return here[0] in (there[0], 't')
    if there[0] == 't':
        return here[0] == 't'
    if there[0] != 'common' or len(there) < 3 or there[1] not in COMMON:
        return False
    return here[0] != 'common' or COMMON.index(there[1]) <= COMMON.index(here[1])


files = tracked()
is_(sorted({name.split('/')[0] for name in files} - TOP_LEVEL), [], 'nothing else stands at the top level')
is_(sorted({name.split('/')[1] for name in files if name.startswith('common/')} - set(COMMON)), [],
    'common/ has the folders of the design')

sources = [name for name in files if re.search(r'^(common|edge|worker|master|queuectl|t)/.*\.[ch]$', name)]
ok(sources, 'there are sources')
wrong = []
for name in sources:
    with open(name, encoding='utf-8') as source:
        for number, line in enumerate(source, 1):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if match and not may_include(name, match[1]):
                wrong.append(f'{name}:{number}: includes {match[1]}')
            elif match and not (match[1] == 'config.h' or os.path.exists(match[1])):
                wrong.append(f'{name}:{number}: there is no {match[1]}')
if not ok(not wrong, 'every include stays within its layer'):
    diag('\n'.join(wrong))

is_([may_include(*pair) for pair in (('edge/a.c', 'worker/b.h'), ('common/base/a.c', 'common/net/b.h'),
    ('common/net/a.c', 'edge/b.h'), ('edge/a.c', 'b.h'), ('edge/a.c', 'common/b.h'),
    ('common/queue/disk/a.c', 'common/base/b.h'), ('worker/relay/a.c', 'worker/b.h'))],
    [False] * 5 + [True] * 2, 'the rule knows good from bad')
sys.exit(plan())
