#!/usr/bin/python3
# 4021-queue-retry-limits.t - maximum and maximum_age: after an attempt, and at pick-up (lessons P4, P5)
# SPDX-License-Identifier: MIT
import re
import time

from lib.fixture import IS_ROOT, is_, like, ok, run, unlike, wait_for
from lib.notified import config, send, told, wait_gone


def relay(t):
    script = t.write('deliver', f'#!/bin/sh\ncat >/dev/null\ncd {t.dir}\n'
        'case $1 in ok*) exit 0;; later*) echo x >>tried; echo "4.2.1 Not now (Too many retries)"; exit 1;; esac\n'
        'echo x >>tried; echo "Not now"; exit 1\n', 0o755)
    return f'type: pipe, args: [{script}, "{{recipient}}"]'


def tried(t):
    return len(t.read('tried').splitlines())


def maximum(t):
    master = t.master(config(relay(t), ', retry: {delay: 0.1, maximum: 2}'))
    ident = send(t, ['a@d.example', 'ok@d.example'])
    wait_gone(t, ident)
    is_(tried(t), 3, 'maximum 2: a first attempt and two more')
    one, = told(t, master, ident)
    is_(one.status[1]['Diagnostic-Code'], 'smtp; 450 4.0.0 Not now (Too many retries)', 'then its last reply, and why')
    is_((one.recipients, one.status[1]['Status']), (['a@d.example'], '4.0.0'), 'for whom it failed')
    like(master.log, rf' failed id={ident} recipient=a@d.example .*reply="450 4.0.0 Not now \(Too many retries\)" attempts=3 ',
        'in the log, with the attempts')
    ident = send(t, ['later@d.example'])
    wait_gone(t, ident)
    one, = told(t, master, ident)
    is_(one.octets.count(b'many'), one.octets.count(b'Too many\r\n') + one.octets.count(b'Too many retries'), 'said once')
    unlike(master.log, r'retries\) \(Too', 'also where the other side said it')


def not_given(t):
    master = t.master(config(relay(t)))
    like(master.log, r'warning: expected `maximum` under `retry`', 'a start warns')
    ident = send(t, ['a@d.example'])
    wait_gone(t, ident)
    is_(tried(t), 1, 'without retry it is never tried again')
    is_(len(told(t, master, ident)), 1, 'and its sender knows')


def maximum_age(t):
    master = t.master(config(relay(t), ', retry: {delay: 0.2, maximum_age: 0.7}'))
    ident = send(t, ['a@d.example'])
    wait_gone(t, ident)
    ok(tried(t) > 2, f'maximum_age alone: {tried(t)} attempts')
    match = re.search(rf' failed id={ident} .*age_ms=(\d+)', master.log)
    ok(int(match[1]) >= 700, f'until it was old enough: {match[1]} ms')
    one, = told(t, master, ident)
    is_(one.status[1]['Diagnostic-Code'], 'smtp; 450 4.0.0 Not now (Too many retries)', 'and the reply is its last')


def at_pick_up(t):
    """P4, P5: what changed while it waited counts before it is tried again."""
    text = config(relay(t), ', RETRY')
    master = t.master(text.replace('RETRY', 'retry: {delay: 1, maximum: 50}'))
    ident, other = send(t, ['a@d.example']), send(t, ['b@d.example'])
    for one in ident, other:
        master.wait_log(rf' deferred id={one} .*attempts=2 ')
    is_(master.stop(), 0, 'stopped after two attempts')
    before = tried(t)
    master = t.master(text.replace('RETRY', 'retry: {delay: 1, maximum: 1}'))
    for one in ident, other:
        wait_gone(t, one)
        like(master.log, rf' failed id={one} .*reply="450 4.0.0 Not now \(Too many retries\)" attempts=[2-9] ',
            'a maximum below the attempts made: failed with the last reply')
        is_([n.recipients for n in told(t, master, one)], [['a@d.example' if one == ident else 'b@d.example']], 'told')
    is_(tried(t), before, 'without another attempt')
    is_(master.stop(), 0, 'stopped')

    # Old before anybody tried it: nobody does.
    edge = t.edge(text.replace('RETRY', 'retry: {maximum: 50}'))
    ident = send(t, ['a@d.example'])
    is_(edge.stop(), 0, 'the edge alone')
    accepted = time.monotonic()
    wait_for(lambda: time.monotonic() - accepted > 0.3, what='some age')
    worker = t.worker(text.replace('RETRY', 'retry: {maximum: 50, maximum_age: 0.2}'), 'q')
    match = worker.wait_log(rf' failed id={ident} .*reply="([^"]*)" attempts=0 ')
    is_(match[1], '451 4.4.7 Delivery time expired', 'too old at its first pick-up')
    is_(tried(t), before, 'without an attempt')
    wait_gone(t, ident)
    is_(worker.stop(), 0, 'the worker ends well')


def raised(t):
    text = config(relay(t), ', retry: {delay: 0.3, maximum: MAXIMUM}')
    master = t.master(text.replace('MAXIMUM', '100'))
    ident = send(t, ['a@d.example'])
    master.wait_log(rf' deferred id={ident} .*attempts=2 ')
    is_(master.stop(), 0, 'stopped')
    so_far = tried(t)
    master = t.master(text.replace('MAXIMUM', str(so_far + 1)))
    wait_gone(t, ident)
    is_(tried(t), so_far + 2, f'attempts made before count: {so_far}, and two to come')
    is_(master.stop(), 0, 'stopped')


def check(t):
    text = config('type: blackhole', ', retry: {delay: 9 / (3 - x), maximum: MAXIMUM}')
    more = ['--allow-root'] if IS_ROOT else []
    for maximum_, code in ((2, 0), (3, 1)):
        done = t.run('slimta-master', '-c', t.config(text.replace('MAXIMUM', str(maximum_))), '--check', *more)
        is_(done.returncode, code, f'a delay without a value for x = 3, maximum {maximum_}')
    text = config('type: blackhole', ', max_strikes: 5').replace('bounce_queue: bounces', 'bounce_queue: bouncs')
    done = t.run('slimta-master', '-c', t.config(text), '--check', *more)
    like(done.stderr, r'queue\.q\.bounce_queue: no queue is named "bouncs" \(did you mean "bounces"\?\)', 'a slip of the pen')


run(maximum, not_given, maximum_age, at_pick_up, raised, check)
