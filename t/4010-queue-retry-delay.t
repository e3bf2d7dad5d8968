#!/usr/bin/python3
# 4010-queue-retry-delay.t - P5: a message waits as long as retry.delay says of the attempts made
# SPDX-License-Identifier: MIT
import re

from lib.fixture import is_, like, ok, run
from lib.relay import config, script, send


def waits(t):
    fails = script(t, 'fails', 'cat >/dev/null; exit 75')
    master = t.master(config(f'type: pipe, args: [{fails}]', delay='"0.05 * 2**x if x < 4 else 0.3"'))
    ident = send(t, 'r@example.net')
    for attempts, delay in enumerate([100, 200, 400, 300, 300], 1):
        master.wait_log(rf' deferred id={ident} .* attempts={attempts} .*delay_ms={delay}$')
    ok(True, 'after each attempt its own time, in the log')
    times = [int(minute) * 60 + float(second) for minute, second in
        re.findall(r':([0-9]{2}):([0-9.]+)Z \S+ \S+ worker: deferred', master.log)]
    gaps = [(after - before) % 3600 for before, after in zip(times, times[1:])]
    ok(all(gap >= delay for gap, delay in zip(gaps, [0.1, 0.2, 0.4, 0.3])), f'and it waited so long: {gaps}')


def is_checked(t):
    text = config('type: blackhole')
    for delay, said in (('60 * y', r'column 6 of the expression: unknown name y'),
            ('sqrt(99 - x)', r'column 1 of the expression, for x = 100: a value for which'),
            ('60 +', r'column 5 of the expression: expected a number')):
        path = t.config(text.replace('delay: 1', f'delay: {delay}'))
        checked = t.run('slimta-master', '-c', path, '--check', '--allow-root')
        is_(checked.returncode, 1, f'{delay} is refused')
        like(checked.stderr, rf'^[^:]*slimta.conf:\d+:\d+: queue\.q\.retry\.delay: {said}', 'at its place')


run(waits, is_checked)
