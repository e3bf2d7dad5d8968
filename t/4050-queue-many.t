#!/usr/bin/python3
# 4050-queue-many.t - a disk queue of very many messages: what a worker and a listing need for it, how soon it goes on
# SPDX-License-Identifier: MIT
# 100,000 messages with LONG=1. They lie in memory where that is possible, so that filling is quick.
import os
import subprocess
import time

from lib.fixture import SLOW, diag, is_, ok, run, wait_for
from lib.operator import counts
from lib.process import memory_kb
from lib.queues import fill, quick_folder

MANY = 100000 if os.environ.get('LONG') else 20000 // SLOW
DRAINED = 5000 if os.environ.get('LONG') else 1000
MEGABYTE = 1024         # of the kilobytes in /proc
LISTING = (32 if SLOW == 1 else 320) * MEGABYTE     # a sanitizer keeps what was freed, up to 256 MB
CONFIG = '''@process@
  worker: {instances: 1}
queue:
  q: {type: disk, relay: @relay@, envelope_dir: @place@/env, meta_dir: @place@/meta, allow_volatile: yes,
    retry: {delay: 3600, maximum: 9}}
relay:
  dead: {type: static, host: 127.0.0.1, port: @port:nobody@}
  hole: {type: blackhole}
'''


def listed(t):
    """How many messages `list` tells, its peak of memory, and the seconds it took."""
    since, lines, most = time.monotonic(), 0, 0
    with subprocess.Popen([t.program('slimta-queuectl'), '--json', '-c', t.path('slimta.conf'), 'list'],
            stdout=subprocess.PIPE, env=t.env) as process:
        for _ in process.stdout:
            lines += 1
            if lines % 1000 == 1:
                most = max(most, memory_kb(process.pid))
    return lines, most, time.monotonic() - since


def worker(t, place, relay):
    return t.worker(CONFIG.replace('@place@', place).replace('@relay@', relay), 'q')


def worker_on(t, place, relay, event, number):
    """Starts a worker, and ends it after so many events; gives its peak of memory, the seconds to the first and to the last."""
    since = time.monotonic()
    process = worker(t, place, relay)
    process.wait_log(f' {event} ', timeout=60)
    first = time.monotonic() - since
    wait_for(lambda: process.log.count(f' {event} ') >= number, 120, f'lines that it {event}')
    last, most = time.monotonic() - since, memory_kb(process.pid)
    is_(process.stop(timeout=30), 0, f'a worker that {event} {number} ends well')
    return most, first, last


def many(t):
    with quick_folder(t) as place:
        empty = worker(t, place, 'hole')
        before = memory_kb(empty.pid)
        empty.stop()
        least = listed(t)[1]
        since = time.monotonic()
        fill(t, place, MANY // 2, MANY // 2)
        diag(f'filled in {time.monotonic() - since:.1f} s')
        lines, most, took = listed(t)
        is_(lines, MANY, f'list tells all of them (in {took:.1f} s)')
        ok(most < least + LISTING, f'in {most - least} K more than for none')
        check_workers(t, place, before)


def check_workers(t, place, before):
    most, first, last = worker_on(t, place, 'dead', 'deferred', 200)
    ok(most < before + 64 * MEGABYTE * SLOW, f'a worker whose next hop is away needs {most - before} K more than with none')
    ok(first < 30 * SLOW, f'the first is tried after {first:.1f} s, 200 after {last:.1f} s')
    most, first, last = worker_on(t, place, 'hole', 'delivered', DRAINED)
    ok(most < before + 64 * MEGABYTE * SLOW, f'one that delivers needs {most - before} K more')
    ok(first < 30 * SLOW, f'the first is there after {first:.1f} s, {DRAINED // 2} after {last:.1f} s')
    now = counts(t)['q']
    left = now['new'] + now['deferred'] + now['leased']
    ok(left <= MANY - DRAINED // 2 and now['deferred'] >= MANY // 2, f'and the rest waits: {now}')


run(many, timeout=400)
