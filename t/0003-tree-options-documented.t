#!/usr/bin/python3
# 0003-tree-options-documented.t - each option row is in the manual, in a sample, and set by some test
# SPDX-License-Identifier: MIT
#
# A test sets a key where it has `KEY: VALUE` in a configuration with a value that is not the default.
import glob
import os
import re

from lib.fixture import TOP, diag, is_, ok, run

os.chdir(TOP)
WITHOUT_FILE = {'certfile', 'keyfile', 'certs'}
CHECKED_ELSEWHERE = {'conf/slimta-submission.conf'}        # with the files that README makes for it: 8050


def read(*patterns):
    text = ''
    for name in sorted(name for pattern in patterns for name in glob.glob(pattern)):
        with open(name, encoding='utf-8') as data:
            text += data.read() + '\n'
    return text


def manual():
    """Section -> its keys."""
    found, current = {}, []
    for line in read('man/slimta.conf.5').split('\n'):
        match = re.match(r'\.\\" section: (.*)', line)
        if match:
            current = match[1].split()
        elif line.startswith('.Sh '):
            current = []
        for section in current:
            found.setdefault(section, set()).update(re.findall(r'^\.It Cm ([\w.]+)', line))
    return found


def values_of(text, key):
    """What `key` is set to in YAML, block or flow, also within string literals of tests."""
    name = re.escape(key.split('.')[-1])
    found = re.findall(rf'(?<![\w.]){name}["\']?:[ \t]*(?:![a-z]+ )?([^\n,}}]*(?:\n +- )?)', text)
    return [value.strip().strip('"\'').removesuffix('\\n').strip() for value in found]


def options(t):
    listed = t.run('slimta-master', '--list-options')
    if not is_(listed.returncode, 0, '--list-options'):
        diag(listed.stderr.decode())
    rows = [line.split('\t') for line in listed.stdout.decode().splitlines()]
    is_([row for row in rows if len(row) != 5], [], 'each row is section, key, type, default, text')
    rows = [row for row in rows if len(row) == 5]
    ok(len(rows) > 40, f'there are {len(rows)} rows')
    is_([row[1] for row in rows if not row[4].strip()], [], 'each row says what it is')
    is_(sorted({(row[0], row[1]) for row in rows if rows.count(row) > 1}), [], 'no row stands twice')

    documented = manual()
    names = {(section, key) for section, key, *_ in rows}
    is_(sorted(f'{section} {key}' for section, key in names if key not in documented.get(section, ())), [],
        'slimta.conf(5) has each key')
    extra = {(section, key) for section, keys in documented.items() for key in keys} - names
    # `type` is read before the rows of a type are known.
    is_(sorted(f'{section} {key}' for section, key in extra if key != 'type'), [], 'and no other')

    # Samples are configurations that pass --check: a key in use. In a comment are only those of files that a sample cannot
    # have, such as private keys.
    commented = read('conf/*.conf')
    samples = re.sub(r'(?m)(^|\s)#.*$', '', commented)
    is_(sorted(f'{section} {key}' for section, key in names
        if not values_of(commented if key.split('.')[-1] in WITHOUT_FILE else samples, key)), [],
        'a sample in conf/ has each key')
    for name in sorted({*glob.glob('conf/*.conf')} - CHECKED_ELSEWHERE):
        checked = t.run('slimta-master', '-c', os.path.join(TOP, name), '--check', '--allow-root')
        if not is_(checked.returncode, 0, f'{name} passes --check'):
            diag(checked.stderr.decode())

    # unit-config.c and the like feed rows of their own to the parser; only t/*.t speak of ours.
    tests = re.sub(r'(?m)^# .*$', '', read('t/*.t'))
    unset = []
    for section, key, _, default, _ in rows:
        if not any(value not in ('', default) for value in values_of(tests, key)):
            unset.append(f'{section} {key}')
    is_(sorted(unset), [], 'a test sets each key to something else than its default')


run(options)
