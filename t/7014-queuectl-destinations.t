#!/usr/bin/python3
# 7014-queuectl-destinations.t - among more domains than are counted at a time the one of most messages is found
# SPDX-License-Identifier: MIT
import json

from lib.fixture import is_, like, ok, run
from lib.queues import fill, quick_folder

CONFIG = '''@process@
  worker: {instances: 0}
queue: {q: {type: disk, envelope_dir: @place@/env, meta_dir: @place@/meta, allow_volatile: yes}}
'''
MANY = 9000     # half of them for domains of their own, of which 4,000 are counted at a time


def many(t):
    with quick_folder(t) as place:
        t.config(CONFIG.replace('@place@', place))
        fill(t, place, MANY, 0, 'domains')
        found = [json.loads(line) for line in t.queuectl('--json', 'status', '--top', '1000').splitlines()]
        found = [line for line in found if 'destination' in line]
        is_((found[0]['destination'], found[0]['messages'], found[0]['messages_least']), ('big.example', MANY // 2, MANY // 2),
            'the one of most messages, exactly')
        is_(len(found), 1000, 'and as many others as were wanted')
        ok(all(line['messages_least'] <= 1 <= line['messages'] <= 3 for line in found[1:]), 'of which little is known')
        like(t.queuectl('status', '--top', '2'), rf'(?m)^big\.example +{MANY // 2:,} +0 +\d+s\nd\d+\.example +~ +2 +0 +\S+$',
            'as is shown')


run(many)
