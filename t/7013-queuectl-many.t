#!/usr/bin/python3
# 7013-queuectl-many.t - a queue of very many messages is listed, sorted, counted and steered in little memory
# SPDX-License-Identifier: MIT
# 100,000 messages with LONG=1. They lie in memory where that is possible, so that filling is quick.
import os

from lib.fixture import SLOW, diag, is_, ok, run
from lib.operator import queuectl
from lib.queues import fill, quick_folder

MANY = 100000 if os.environ.get('LONG') else 5000 // SLOW
MOST = (24 if SLOW == 1 else 200) * 1024     # kilobytes, as ru_maxrss; a sanitizer keeps what was freed
CONFIG = '''@process@    logging: {output: @dir@/slimta.log}
  worker: {instances: 0}
queue: {q: {type: disk, envelope_dir: @place@/env, meta_dir: @place@/meta, allow_volatile: yes}}
'''


def many(t):
    with quick_folder(t) as place:
        t.config(CONFIG.replace('@place@', place))
        for folder in ('env', 'meta'):
            os.mkdir(os.path.join(place, folder))
        none = queuectl(t, 'list')[2]
        fill(t, place, MANY // 2, MANY // 2)
        steer_many(t, none)
    with open(t.path('slimta.log'), encoding='utf-8') as log:
        is_(sum(' queuectl: held ' in line for line in log), MANY, 'a line of the log for each that was held')


def steer_many(t, none):
    for count, args in (
            (MANY + 1, ['list']), (1, ['list', '--sender', 'nobody@*']), (MANY // 2 + 1, ['list', '--state', 'new']),
            (MANY + 1, ['list', '--sort', '-age']), (11, ['list', '--sort', 'due', '--limit', '10'])):
        lines, _, peak = queuectl(t, *args)
        is_(lines, count, 'all that match')
        ok(peak < none + MOST, f'in {peak - none} K more than for none')
    for said, args in (
            (f'would hold {MANY:,} messages', ['hold', '--all', '--dry-run']), (f'held {MANY:,} of {MANY:,} messages', ['hold', '--all', '--yes']),
            ('released 7 of 7 messages', ['release', '--recipient', 'one@*', '--limit', '7', '--yes']),
            (f'removed {MANY - 7:,} of {MANY - 7:,} messages', ['remove', '--state', 'held', '--yes'])):
        _, last, peak = queuectl(t, *args)
        is_(last, said, said)
        ok(peak < none + MOST, f'in {peak - none} K more than for none')
    is_(queuectl(t, 'list')[0], 8, 'what is left')


run(many, timeout=900)
