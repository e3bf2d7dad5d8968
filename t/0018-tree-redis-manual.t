#!/usr/bin/python3
# 0018-tree-redis-manual.t - slimta-queue(5) has the keys, fields and commands that a queue on redis uses, and no other
# SPDX-License-Identifier: MIT
import glob
import re

from lib.fixture import TOP, is_, ok, run
from lib.redis_manual import MANUAL, user


def scripts():
    text = ''
    for name in sorted(glob.glob(f'{TOP}/common/queue/redis/*.lua')):
        with open(name, encoding='utf-8') as script:
            text += script.read()
    return text


def commands(_):
    """What scripts call is in that line, also what no test here makes them call."""
    called = set(re.findall(r"redis\.p?call\('(\w+)'", scripts()))
    ok(len(called) > 20, f'scripts call {len(called)} commands')
    allowed = set(re.findall(r'\+(\S+)', user()))
    is_(sorted(name for name in called if name.lower() not in allowed), [], 'the user of the manual may call them')
    at_hand = called | {'PING', 'SELECT', 'HELLO', 'ROLE', 'INFO', 'CONFIG|GET', 'WAIT', 'BLPOP', 'EVAL', 'EVALSHA'}
    is_(sorted(name for name in allowed if name.upper() not in at_hand), [], 'and no other')


def names(_):
    """The manual has each key and each field that scripts use."""
    text = scripts()
    fields = set(re.findall(r"'([a-z]+)'", re.search(r'(?s)FIELDS = {(.*?)}', text)[1]))
    for call in re.findall(r"'H(?:SET|DEL|M?GET|INCRBY|STRLEN)', (?:key|P [.][.] [^,)]+), ([^\n]*)", text):
        fields |= set(re.findall(r"(?:^|, )'([a-z]+)'", call))
    keys = set(re.findall(r"P [.][.] '([a-z]+):", text))
    with open(f'{TOP}/common/queue/redis/script.c', encoding='utf-8') as code:
        keys |= set(re.findall(r'"(\w+)"', re.search(r'(?s)key_names\[.*?{(.*?)}', code.read())[1]))
    page = MANUAL[MANUAL.index('.Ss Keys'):MANUAL.index('.Ss Looking')]
    told = {word for line in re.findall(r'(?m)^[.]It Li (.*)$', page) for word in re.findall('[a-z]+', line)}
    is_(sorted(fields - told - {'new', 'deferred', 'leased', 'held'}), [], f'{len(fields)} fields')
    is_(sorted(keys ^ set(re.findall(r'(?m)^[.]It Ar P Ns Li ([a-z]+)', page))), [], f'{len(keys)} keys')


run(commands, names)
