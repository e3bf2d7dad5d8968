#!/usr/bin/python3
# 4060-queue-suspended.t - suspended destinations: workers on all hosts leave them alone, and let them go within seconds
# SPDX-License-Identifier: MIT
import os
import re
import signal
import subprocess
import time

from lib.fixture import SLOW, diag, is_, like, ok, run, wait_for
from lib.mail import send
from lib.operator import left_in_queues

CONFIG = '''@process@
  edge: {instances: 1}
  worker: {instances: 2}
edge: {main: {type: smtp, queue: q, listener: {port: @port:smtp@}}}
queue:
  q: {type: disk, relay: hole, envelope_dir: @dir@/env, meta_dir: @dir@/meta, allow_volatile: yes,
    retry: {delay: 3600, maximum: 9}}
relay: {hole: {type: blackhole}}
'''
SENDER, OCTETS = 's@example.org', b'Subject: x\r\n\r\nx\r\n'
HOLD = 'example.net'


def log(t):
    return ''.join(process.log for process in t.processes)


def delivered(t):
    """(id, recipient) of each delivery."""
    return re.findall(r' delivered id=(\S+) recipient=(\S+) ', log(t))


def mail(t, *recipients):
    return send(t, 'smtp', (SENDER, list(recipients), OCTETS))[0]


def passes(t, what):
    """A message to somebody else goes by: what came before it was looked at, or is behind it."""
    ident = mail(t, 'other@example.com')
    wait_for(lambda: (ident, 'other@example.com') in delivered(t), what=what)


def suspend(t, *args):
    """And waits until what the manual promises: from then on all workers know."""
    t.queuectl('suspend', *args)
    time.sleep(2.1)


def stay(t, idents):
    passes(t, 'other mail to be delivered meanwhile')
    is_([pair for pair in delivered(t) if pair[0] in idents], [], 'suspended: nothing is delivered')


def wait_all(t, wanted):
    since = time.monotonic()
    wait_for(lambda: set(wanted) <= set(delivered(t)), 20, 'all to be delivered')
    took = time.monotonic() - since
    ok(took < 15 * SLOW, f'within seconds, not half an hour: {took:.1f}')
    is_([pair for pair in wanted if delivered(t).count(pair) != 1], [], 'each once')


def flows(t):
    t.master(CONFIG)
    passes(t, 'mail to flow')
    suspend(t, HOLD, '--for', '1h', '--reason', 'they asked')
    idents = [mail(t, f'r{n}@{HOLD}') for n in range(20)]
    both = mail(t, f'a@{HOLD}', 'b@example.com', f'c@{HOLD.upper()}')
    wait_for(lambda: (both, 'b@example.com') in delivered(t), what='who is not suspended')
    stay(t, idents)
    is_([to for ident, to in delivered(t) if ident == both], ['b@example.com'], 'the others of that message wait')
    show = t.queuectl('show', idents[0])
    like(show, rf'(?m)^waits +destination {HOLD} is suspended by \S+ since \S+Z for another (1h|59m\S*): they asked$', 'says show')
    like(show, r'(?m)^attempts +0', 'without an attempt')
    like(t.queuectl('show', both), rf'(?m)^waits +destination {HOLD} is suspended', 'of the other too')
    like(t.queuectl('status'), rf'(?m)^{HOLD} +q +\S+Z +(1h|59m\S*) +\S+ +they asked$', 'and status')
    t.queuectl('resume', HOLD)
    waited = [(both, f'a@{HOLD}'), (both, f'c@{HOLD.upper()}')]
    wait_all(t, [(ident, f'r{n}@{HOLD}') for n, ident in enumerate(idents)] + waited)
    lines = [line for line in log(t).splitlines() if 'suspended' in line and 'worker' in line]
    is_(len(lines) <= 4, True, f'no worker said more than its begin and its end ({len(lines)})')
    like('\n'.join(lines), rf'destination suspended domain={HOLD} queue=q by=\S+ since=\S+ reason="they asked" for_ms=\d+',
        'with all that is known')
    wait_for(lambda: left_in_queues(t) == {'q': 0}, what='an empty queue')


def expires(t):
    t.master(CONFIG)
    until = time.time() + 6
    suspend(t, '.example.net', '--for', '6')
    ident = mail(t, 'r@sub.example.net')
    wait_for(lambda: (ident, 'r@sub.example.net') in delivered(t), 15, 'the end of the suspension')
    took = time.time() - until
    ok(-0.5 < took < 10 * SLOW, f'it ends by itself, {took:.1f} s late')


def killed(t):
    master = t.master(CONFIG)
    suspend(t, HOLD)
    idents = [mail(t, f'r@{HOLD}') for _ in range(10)]
    stay(t, idents)
    for pid in master.children('slimta-worker'):
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda pid=pid: pid not in master.children(), what='its end')
        stay(t, idents)
    wait_for(lambda: len(master.children('slimta-worker')) == 2, 10, 'two workers')
    t.queuectl('resume', HOLD)
    wait_all(t, [(ident, f'r@{HOLD}') for ident in idents])


def hosts(t):
    alone = CONFIG.replace('@process@', 'process:\n  slimta:\n    runtime_dir: @dir@/@host@\n')
    t.edge(alone.replace('@host@', 'one'))
    workers = [t.worker(alone.replace('@host@', host), 'q') for host in ('one', 'two')]
    suspend(t, HOLD)
    idents = [mail(t, f'r@{HOLD}') for _ in range(10)]
    stay(t, idents)
    t.queuectl('resume', HOLD)
    wait_all(t, [(ident, f'r@{HOLD}') for ident in idents])
    is_([worker.stop() for worker in workers], [0, 0], 'both end well')


def many(t):
    t.config(CONFIG)
    filled = subprocess.run([t.program('t/lib/fill'), t.dir, '2000', '0'], check=False)
    is_(filled.returncode, 0, '2,000 messages')
    t.queuectl('suspend', 'example.com')
    since = time.monotonic()
    master = t.master(CONFIG)
    ident = mail(t, 'r@example.net')
    wait_for(lambda: (ident, 'r@example.net') in delivered(t), 30, 'other mail')
    diag(f'other mail after {time.monotonic() - since:.2f} s')
    is_(len(delivered(t)), 1, 'and no other')
    is_(os.listdir(t.path('meta', '.free')) + [name for name in os.listdir(t.path('meta')) if name.endswith('.meta')], [],
        'nothing is written for those that wait')
    t.queuectl('resume', 'example.com')
    wait_for(lambda: len(delivered(t)) == 4001, 60, 'all')
    is_(master.stop(), 0, 'it ends well')


run(flows, expires, killed, hosts, many, timeout=240)
