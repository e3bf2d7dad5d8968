#!/usr/bin/python3
# 7030-queuectl-redis.t - a redis queue of very many messages listed and steered from a host with neither edge nor worker
# SPDX-License-Identifier: MIT
# A million messages with LONG=1. In little memory, and never by KEYS, or by whatever else holds redis up.
import os
import re
import time

from lib.fixture import SLOW, diag, is_, like, ok, run, unlike, wait_for
from lib.operator import queuectl
from lib.queues import fill
from lib.redis import Redis
from lib.redis_path import config, host, mail

LONG = bool(os.environ.get('LONG'))
MANY = 1000000 if LONG else 10000 // SLOW
STEERED = 2000 if LONG else 1000
MOST = (24 if SLOW == 1 else 200) * 1024        # kilobytes, as ru_maxrss; a sanitizer keeps what was freed
NEVER = {'keys', 'smembers', 'sort', 'lrange', 'flushall', 'flushdb', 'debug'}
SLOWEST = 250000         # microseconds that redis may be held up by one command


def many(t):
    server = Redis(t, conf=f'slowlog-log-slower-than {SLOWEST * SLOW}')
    section = f'{server.keys()}, durability: unchecked'
    t.config(config(section, process=f'{host("elsewhere")}    logging: {{output: @dir@/slimta.log}}'))
    none = queuectl(t, 'list')[2]
    since = time.monotonic()
    fill(t, f'type: redis, {section}', MANY // 2, MANY - MANY // 2)
    diag(f'filled in {time.monotonic() - since:.1f} s, {server.info("memory")["used_memory_human"]} in redis')
    server('CONFIG', 'RESETSTAT')
    for count, args in (
            (101, ['list', '--limit', '100']), (MANY + 1, ['list']), (1, ['list', '--sender', 'nobody@*']),
            (MANY // 2 + 1, ['list', '--state', 'new']), (11, ['list', '--sort', 'due', '--limit', '10'])):
        lines, _, peak = queuectl(t, *args)
        is_(lines, count, 'all that match')
        ok(peak < none + MOST, f'in {peak - none} K more than for none')
    first = t.queuectl('list', '--limit', '1').splitlines()[1].split()[0]
    like(t.queuectl('show', first), rf'(?m)^{first}|{first}', 'one is shown')
    like(t.queuectl('show', '--message', first), 'one of many', 'with its octets')
    peak = queuectl(t, 'status')[2]
    ok(peak < none + MOST, f'status in {peak - none} K more')
    counted = re.search(r'(?m)^q +(\d+) +(\d+) +(\d+) +(\d+) ', t.read('out').decode())
    is_([int(number) for number in counted.groups()], [MANY // 2, MANY - MANY // 2, 0, 0], 'status counts all')
    limit = ['--limit', str(STEERED), '--yes']
    for said, args in (
            (f'held {STEERED:,} of {STEERED:,} messages', ['hold', '--recipient', 'one@*', *limit]),
            ('released 7 of 7 messages', ['release', '--state', 'held', '--limit', '7', '--yes']),
            (f'made due {STEERED:,} of {STEERED:,} messages', ['retry', '--state', 'deferred', *limit]),
            (f'removed {STEERED - 7:,} of {STEERED - 7:,} messages', ['remove', '--state', 'held', '--yes'])):
        _, last, peak = queuectl(t, *args)
        is_(last, said, said)
        ok(peak < none + MOST, f'in {peak - none} K more than for none')
    is_(queuectl(t, 'list')[0], MANY + 1 - (STEERED - 7), 'what is left')
    is_(sorted(NEVER & set(server.calls())), [], 'nothing that looks at all keys at once')
    slow = [(entry[2], entry[3][0], entry[3][1][:40]) for entry in server('SLOWLOG', 'GET', '100')]
    is_(slow, [], f'nothing that holds redis up for {SLOWEST * SLOW / 1000} ms')
    is_(os.path.exists(t.path('elsewhere')), False, 'and nothing of this host was used')


def elsewhere(t):
    """While an edge and workers run on other hosts, with what they hold and why."""
    server = Redis(t, aof='always')
    text = config(server.keys(), 'type: pipe, args: [/bin/sh, -c, "cat >/dev/null; case {recipient} in busy*) : >@dir@/begun; '
        'while [ -e @dir@/begun ]; do sleep 0.05; done;; esac; exit 75"]', retry='delay: 3600, maximum: 9')
    master = t.master(text)
    later, busy = mail(t, 'later@example.net'), mail(t, 'busy@example.net')
    master.wait_log(rf' deferred id={later} ')
    wait_for(lambda: os.path.exists(t.path('begun')), what='a delivery')
    t.config(config(server.keys(), process=host('elsewhere')))
    like(t.queuectl('list'), rf'(?m)^{later} deferred +1 [^\0]*^{busy} leased ', 'list: both, in the order of ids')
    like(t.queuectl('show', busy), r'(?m)^waits +it is being delivered just now by \S+/slimta-worker\[\d+\]', 'show: by whom')
    t.queuectl('hold', busy, code=4)
    t.queuectl('retry', later)
    like(t.queuectl('status'), r'(?m)^q +0 +\d +\d +0 ', 'status')
    master.wait_log(rf' deferred id={later} .* attempts=2 ')
    os.unlink(t.path('begun'))
    wait_for(lambda: re.search(rf'(?m)^{busy} held ', t.queuectl('list')), what='it to be held')
    is_(t.queuectl('remove', '--all', '--yes'), 'removed 2 of 2 messages\n', 'removed')
    is_(master.stop(), 0, 'it ends well')
    unlike(master.log, ' error ', 'without an error')


run(many, elsewhere, timeout=1200 if LONG else 240)
