#!/usr/bin/python3
# 7015-queuectl-deaths.t - what an operator asks holds while workers run, are killed and start again
# SPDX-License-Identifier: MIT
import os
import re
import signal

from lib.fixture import is_, like, ok, run, wait_for
from lib.mail import send
from lib.queues import listed

CONFIG = '''@process@
  worker: {instances: INSTANCES}
edge: {in: {type: smtp, queue: q, listener: {port: @port:smtp@}}}
queue:
  q: {SECTION, relay: r, max_strikes: 0, retry: {delay: 0.2, maximum: 9999}}
relay:
  r: {type: pipe, concurrent_processes: 4, args: [/bin/sh, -c, 'cat >/dev/null; sleep 0.02; exit 75']}
'''
MESSAGES = 24
ROUNDS = 6


def steer(t, *args):
    """Asks; whatever it says of messages that are being delivered, no message may be in a state unknown to it."""
    done = t.run('slimta-queuectl', '-c', t.path('slimta.conf'), *args)
    return done.returncode, done.stdout.decode().splitlines(), done.stderr.decode()


def on_disk(t):
    """All are tried again and again, by workers that are killed meanwhile; what is held stays so, what is removed is gone."""
    master = t.master(CONFIG.replace('SECTION', 'type: disk, envelope_dir: @dir@/env, meta_dir: @dir@/meta, allow_volatile: yes')
        .replace('INSTANCES', '2'))
    ids = []
    for _ in range(MESSAGES // 4):
        ids += send(t, 'smtp', *[('a@example.org', [f'x@d{len(ids) % 4}.example'], b'x\r\n')] * 4)
    hold, gone = set(ids[::3]), set(ids[1::3])
    for number in range(ROUNDS):
        for pid in master.children('slimta-worker')[1:]:        # the first is the spawner
            if number % 2:
                kill(pid)
        code, out, err = steer(t, 'hold', *ids[::3])
        ok(code in (0, 4), f'hold: {out[-1] if out else err}')
        code, out, err = steer(t, 'remove', *ids[1::3])
        ok(code in (0, 3, 4), f'remove: {out[-1] if out else err}')
        code, out, err = steer(t, 'retry', '--all', '--yes')
        ok(code in (0, 3, 4), f'retry: {out[-1] if out else err}')
    wait_for(lambda: {line['id'] for line in listed(t, '--state', 'held')} == hold, 30, 'all that were asked to be held')
    wait_for(lambda: not gone & {line['id'] for line in listed(t)}, 30, 'all that were asked to go')
    is_({line['id'] for line in listed(t)}, set(ids) - gone, 'no other one is gone')
    attempts = {line['id']: line['attempts'] for line in listed(t, '--state', 'held')}
    others = set(ids) - hold - gone
    before = {line['id']: line['attempts'] for line in listed(t)}
    wait_for(lambda: all(line['attempts'] > before[line['id']] for line in listed(t) if line['id'] in others), 30,
        'the others to be tried again')
    is_({line['id']: line['attempts'] for line in listed(t, '--state', 'held')}, attempts, 'and those that are held were not')
    code, out, _ = steer(t, 'release', '--all', '--yes')
    is_((code, out), (0, [f'released {len(hold)} of {len(hold)} messages']), 'released')
    wait_for(lambda: all(line['attempts'] > attempts.get(line['id'], 0) for line in listed(t) if line['id'] in hold), 30,
        'them to be tried')
    is_(master.stop(), 0, 'the master ends')


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def in_memory(t):
    """With its worker a queue in memory is gone: that is said, and nothing waits for ever."""
    master = t.master(CONFIG.replace('SECTION', 'type: memory').replace('INSTANCES', '1').replace('0.2', '3600'))
    ids = send(t, 'smtp', *[('a@example.org', ['x@example.com'], b'x\r\n')] * 4)
    wait_for(lambda: len(listed(t, '--state', 'deferred')) == 4, what='attempts')
    is_(steer(t, 'hold', '--all', '--yes')[0], 0, 'held')
    worker = int(re.search(r'child is ready child=worker queue=q instance=0 child_pid=(\d+)', master.log)[1])
    os.kill(worker, signal.SIGSTOP)
    os.kill(worker, signal.SIGKILL)
    code, _, err = steer(t, 'release', *ids)
    ok(code in (1, 3), 'its worker was killed')
    like(err, '(?m)^slimta-queuectl: (q: 4|[0-9a-z]{26}: not in the queue)', 'is said')
    wait_for(lambda: steer(t, 'list')[0] == 0, 20, 'the next worker')
    is_(steer(t, 'release', '--all', '--yes')[:2], (0, ['released 0 of 0 messages']), 'has none of them')


run(on_disk, in_memory, timeout=240)
