#!/usr/bin/python3
# 8014-path-siblings.t - ten workers on one queue: each message once; what one died with is a sibling's at once (lesson S10)
# SPDX-License-Identifier: MIT
# 10,000 messages with LONG=1.
import os
import signal
import subprocess
import time

from lib.fixture import SLOW, diag, is_, like, ok, run, wait_for
from lib.mail import send
from lib.next_hop import SILENCE, NextHop

MANY = 10000 if os.environ.get('LONG') else 1000 // SLOW
WORKERS = 10
CONFIG = '''@process@    logging: {output: @dir@/log}
  edge: {instances: 1}
  worker: {instances: @workers@}
edge: {main: {type: smtp, queue: q, listener: {port: @port:smtp@}}}
queue:
  q: {type: disk, relay: @relay@, envelope_dir: @dir@/env, meta_dir: @dir@/meta, allow_volatile: yes,
    retry: {delay: 600, maximum: 9}}
relay:
  hop: {type: static, host: 127.0.0.1, port: @hop@}
  hole: {type: blackhole}
'''


def config(workers, relay, hop=1):
    return CONFIG.replace('@workers@', str(workers)).replace('@relay@', relay).replace('@hop@', str(hop))


def lines(t, event):
    return [line for line in t.read('log').decode().splitlines() if f' {event} ' in line]


def many(t):
    filled = subprocess.run([t.program('t/lib/fill'), t.dir, str(MANY), '0'], check=False)
    is_(filled.returncode, 0, f'{MANY} messages are due')
    since = time.monotonic()
    t.master(config(WORKERS, 'hole'))
    wait_for(lambda: len(lines(t, 'delivered')) >= 2 * MANY, 60, 'all to be delivered')
    diag(f'{MANY} delivered in {time.monotonic() - since:.1f} s')
    wait_for(lambda: not [name for name in os.listdir(t.path('env')) if name.endswith('.env')], 10, 'an empty queue')
    pairs = [line.split(' id=')[1].split(' relay=')[0] for line in lines(t, 'delivered')]
    is_((len(pairs), len(set(pairs))), (2 * MANY, 2 * MANY), f'{WORKERS} workers delivered each to each recipient once')
    pids = {line.split('slimta-worker[')[1].split(']')[0] for line in lines(t, 'delivered')}
    ok(len(pids) > (1 if SLOW == 1 else 0), f'{len(pids)} of them had a part in it')


def killed(t):
    hop = NextHop(t, at={'MAIL': [SILENCE]})
    master = t.master(config(2, 'hop', hop.port))
    workers = wait_for(lambda: len(master.children('slimta-worker')) == 2 and master.children('slimta-worker'), 10, 'two workers')
    ident = send(t, 'smtp', ('s@example.org', ['r@example.net'], b'x\r\n'))[0]
    wait_for(lambda: any(line.startswith('MAIL') for line in hop.said), 10, 'the attempt')
    holder = next(pid for pid in workers if any(os.readlink(f'/proc/{pid}/fd/{fd}').endswith(f'/{ident}.env')
        for fd in os.listdir(f'/proc/{pid}/fd')))
    sibling, = set(workers) - {holder}
    since = time.monotonic()
    os.kill(holder, signal.SIGKILL)
    wait_for(lambda: hop.messages, 10, 'the message')
    diag(f'{time.monotonic() - since:.2f} s after its worker was killed')
    delivered = wait_for(lambda: lines(t, 'delivered'), 10, 'the record')
    like(delivered[0], rf' slimta-worker\[{sibling}\] ', 'a sibling delivered it, none that was started then')
    is_(len(hop.messages), 1, 'once')


run(many, killed, timeout=200)
