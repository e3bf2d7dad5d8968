#!/usr/bin/python3
# 6003-policy-substitution.t - patterns and replacements of forward do what Python's re.subn does
# SPDX-License-Identifier: MIT
import json
import os
import random
import re
import signal
import subprocess
import sys
import warnings

from lib.fixture import BUILD, diag, is_, ok, plan

SUBSTITUTE = os.path.join(BUILD, 't/lib/substitute')
# What operators write, and what is easily done wrong.
KNOWN = [('@example\\.com$', '@example.net', 'a@example.com'), ('^(.+)@(.+)$', r'\2+\1@hub.example', 'a@b'),
    ('(?P<user>[^+@]+)(\\+[^@]*)?@', r'\g<user>@', 'me+tag@x.example'), ('x*', '-', 'abxd'), ('', '-', 'abc'),
    ('b|', '[\\g<0>]', 'abba'), ('(a)|b', r'<\1>', 'ab'), ('.', r'\\', 'a'), ('a', r'\n\t\x41', 'a'), ('a', r'\.', 'a'),
    ('a', r'\@\-\ ', 'a'), ('a', r'\0', 'a'), ('a', r'\012\101', 'a'), ('a', r'\400', 'a'), ('a', r'\377', 'a'),
    ('(a)', r'\1', 'a'), ('(a)', r'\10', 'a'), ('(a)', r'\18', 'a'), ('(a)', r'\g<1>0', 'a'), ('(a)', r'\100', 'a'),
    ('(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)', r'\11\10', 'abcdefghijk'), ('a', r'\g<0>\g<00>', 'a'), ('a', r'\g<1>', 'a'),
    ('a', r'\g<>', 'a'), ('a', r'\g<x>', 'a'), ('a', r'\g', 'a'), ('a', r'\g<0', 'a'), ('a', '\\', 'a'), ('a', r'\q', 'a'),
    ('a', r'\a\b\f\n\r\t\v\\', 'a'), ('a{,2}', '-', 'aaaa{,2}'), ('a{,}', '-', 'aab'), ('[{,2}]', '-', 'a{,2}'),
    ('\\{,2}', '-', '{,2}'), ('(', 'x', 'a'), ('[', 'x', 'a'), ('a**', 'x', 'a'), ('é', 'e', 'né@é'), ('\\w+', 'w', 'é_1-'),
    ('(?i)EXAMPLE', 'x', 'a@Example'), ('(?<=@)a', 'b', 'a@a'), ('(?=a)', '-', 'aab'), ('\\b', '|', 'a b'), ('$', '!', 'a'),
    ('^', '!', 'ab'), ('(a)?b', r'[\1]', 'bab'), ('(?P<n>a)(?P=n)', r'\g<n>', 'aaa'), ('a(?!b)', '', 'abaca'), ('a|b|', 'é', 'x'),
    ('[^]a]', '.', ']ab'), ('[]a]', '.', ']ab'), ('\\Z', '.', 'ab'), ('(?s:.)', '.', 'ab'), ('a+?', '-', 'aaa'), ('\u00fc', 'ü', 'ü')]
# Python 3.11 has faults of its own, endless loops among them, where what is empty or was repeated is repeated.
ATOMS = ['a', 'b', '@', r'\.', '.', r'\w', r'\W', '[ab]', '[^a]', '(a)', '(b|c)', '(?:ab|a)', '(?P<n>@)', 'é', r'\d', '[a-c.]']
EMPTY = ['', r'\b', '^', '$', '(?=b)', '(?!a)', '(?<=a)', '(b|)']
REPEATS = ['', '', '', '', '*', '+', '?', '*?', '+?', '??', '{2}', '{,2}', '{1,}']
PIECES = ['x', '', r'\1', r'\2', r'\g<1>', r'\g<n>', r'\g<0>', r'\\', r'\n', r'\.', r'\01', r'\101', 'é', r'\z', '&', '$1', r'\3']


def ours(cases):
    done = subprocess.run([SUBSTITUTE], input=''.join(json.dumps(case) + '\n' for case in cases), capture_output=True,
        text=True, timeout=120, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    is_(len(answers), len(cases), 'an answer to each')
    return answers


def python(pattern, replacement, text):
    """[COUNT, RESULT], or the error."""
    try:
        result, count = re.compile(pattern).subn(replacement, text)
        return [count, result if count else text]
    except (re.error, IndexError) as error:
        return str(error)


def same(case, mine, theirs):
    if isinstance(theirs, list) and isinstance(mine, list):
        return mine == theirs
    # A replacement is read when it is known, not when it is used, so it is wrong even where nothing matches.
    return isinstance(mine, str) and (isinstance(theirs, str) or isinstance(python('', case[1], ''), str)
        or isinstance(python(f'(?:{case[0]})|', case[1], ''), str))


def compare(what, cases):
    wrong, found, refused = [], 0, 0
    for case, mine in zip(cases, ours(cases)):
        theirs = python(*case)
        found += isinstance(mine, list) and mine[0] > 0
        refused += isinstance(mine, str)
        if not same(case, mine, theirs):
            wrong.append(f'{case}: ours {mine}, Python {theirs}')
    if not ok(not wrong, f'{what}: {len(cases)} tried, {found} matched, {refused} refused'):
        diag('\n'.join(wrong[:10]))


def make(rand):
    pattern = ''.join(rand.choice(EMPTY) if rand.random() < 0.3 else rand.choice(ATOMS) + rand.choice(REPEATS)
        for _ in range(rand.randint(1, 4)))
    replacement = ''.join(rand.choice(PIECES) for _ in range(rand.randint(0, 3)))
    text = ''.join(rand.choice('aab@.1éb') for _ in range(rand.randint(0, 8)))
    return pattern, replacement, text


warnings.simplefilter('ignore')
seed = int(os.environ.get('SEED') or random.randrange(1 << 32))
diag(f'SEED={seed}')
signal.alarm(200)
compare('the known', KNOWN)
generator = random.Random(seed)
compare('random ones', [case for case in (make(generator) for _ in range(20000)) if not isinstance(
    python(case[0], '', ''), str)])
sys.exit(plan())
