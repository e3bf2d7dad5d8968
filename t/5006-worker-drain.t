#!/usr/bin/python3
# 5006-worker-drain.t - blackhole; a worker that drains ends what it began and gives back what it did not
# SPDX-License-Identifier: MIT
import os
import re
import signal

from lib.fixture import is_, like, ok, run, unlike, wait_for
from lib.relay import config, queued, script, send

WAIT = 'echo $1 >>started; while [ ! -e go ]; do sleep 0.02; done; cat >/dev/null'


def blackhole(t):
    master = t.master(config('type: blackhole'))
    idents = [send(t, 'a@example.net', 'b@example.net') for _ in range(5)]
    for ident in idents:
        for recipient in 'ab':
            master.wait_log(rf' delivered id={ident} recipient={recipient}@example.net relay=r host=blackhole '
                rf'reply="250 2.0.0 Message delivered; {ident}" attempts=1 ')
    wait_for(lambda: not queued(t), what='an empty queue')
    is_(len(re.findall(' delivered ', master.log)), 10, 'each recipient once')


def begin(t, count, more=''):
    wait = script(t, 'wait', WAIT)
    text = config(f'type: pipe, args: [{wait}, "{{message_id}}"], concurrent_processes: 1', worker=more)
    t.edge(text)
    worker = t.worker(text, 'q')
    idents = [send(t, 'r@example.net') for _ in range(count)]
    wait_for(lambda: os.path.exists(t.path('started')) and t.read('started'), what='a command')
    return text, worker, idents


def in_hand(t):
    text, worker, idents = begin(t, 3)
    worker.kill(signal.SIGTERM)
    worker.wait_log('began to drain')
    started = t.read('started').decode().split()
    is_(len(started), 1, 'one of three had begun')
    t.write('go', '')
    is_(worker.wait(), 0, 'it ends when that is done')
    like(worker.log, rf' delivered id={started[0]} ', 'which was delivered')
    is_(queued(t), sorted(set(idents) - set(started)), 'the others are in the queue')
    unlike(worker.log, ' deferred ', 'and not deferred')
    again = t.worker(text, 'q')
    for ident in set(idents) - set(started):
        again.wait_log(rf' delivered id={ident} .*attempts=1 ')
    ok(True, 'no attempt was counted')


def bound(t):
    _, worker, idents = begin(t, 1, ', drain_timeout: 0.2')
    worker.kill(signal.SIGTERM)
    is_(worker.wait(), 1, 'at the bound it ends all the same')
    like(worker.log, rf' in doubt id={idents[0]} recipient=r@example.net ', 'with a word on what had begun')
    is_(queued(t), idents, 'and the message stays')
    wait_for(lambda: 'ended the command of a worker that is gone' in worker.log, what='the end of the command')


def second_signal(t):
    _, worker, idents = begin(t, 1)
    worker.kill(signal.SIGTERM)
    worker.wait_log('began to drain')
    worker.kill(signal.SIGTERM)
    is_(worker.wait(5), 1, 'a second signal ends at once')
    is_(queued(t), idents, 'and the message stays')


run(blackhole, in_hand, bound, second_signal)
