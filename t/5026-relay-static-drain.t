#!/usr/bin/python3
# 5026-relay-static-drain.t - a worker that drains: what is not begun goes back, what is begun ends, and has its bound
# SPDX-License-Identifier: MIT
import signal
import time

from lib.fixture import is_, like, ok, run, unlike, wait_for
from lib.next_hop import SILENCE, NextHop
from lib.relay import config, queued, send


def setting(hop, drain_timeout, more=''):
    return config(f'type: static, host: 127.0.0.1, port: {hop.port}, concurrent_connections: 1{more}', delay=300).replace(
        '@process@', f'@process@    drain_timeout: {drain_timeout}')


def begin(t, hop, count, drain_timeout=30, more=''):
    text = setting(hop, drain_timeout, more)
    t.edge(text)
    worker = t.worker(text, 'q')
    return text, worker, [send(t, 'r@example.net') for _ in range(count)]


def in_hand(t):
    go = []
    hop = NextHop(t, {'RCPT': lambda peer, line: wait_for(lambda: go, timeout=30, what='go') and None})
    text, worker, idents = begin(t, hop, 3)
    wait_for(lambda: any(line.startswith('RCPT') for line in hop.said), what='RCPT')
    worker.kill(signal.SIGTERM)
    worker.wait_log('began to drain')
    go.append(True)
    is_(worker.wait(), 0, 'it ends when the message in hand is done')
    is_(len(hop.messages), 1, 'one was delivered')
    is_(len(queued(t)), 2, 'two are in the queue')
    unlike(worker.log, ' deferred | in doubt ', 'which cost them nothing')
    wait_for(lambda: hop.said[-1] == 'QUIT', what='the next hop to be told')
    hop.at = {}
    again = t.worker(text, 'q')
    for ident in queued(t):
        again.wait_log(rf' delivered id={ident} .*attempts=1 ')


def before_the_dot(t):
    hop = NextHop(t, {'RCPT': SILENCE}, extensions=())
    _, worker, idents = begin(t, hop, 1, drain_timeout=1)
    wait_for(lambda: any(line.startswith('RCPT') for line in hop.said), what='RCPT')
    start = time.monotonic()
    worker.kill(signal.SIGTERM)
    is_(worker.wait(), 0, 'at the bound it is broken off')
    ok(0.9 < time.monotonic() - start < 10 * t.timeout / 10, 'not sooner')
    is_((hop.messages, queued(t)), ([], idents), 'the message is in the queue')
    unlike(worker.log, ' deferred | in doubt ', 'without an attempt, and without doubt')


def behind_the_dot(t):
    hop = NextHop(t, {'.': SILENCE})
    _, worker, idents = begin(t, hop, 1, 0.2, ', data_timeout: 5')
    wait_for(lambda: hop.data_ended, what='the dot')
    start = time.monotonic()
    worker.kill(signal.SIGTERM)
    is_(worker.wait(30), 0, 'behind the dot the bound does not count')
    ok(4 < time.monotonic() - start, 'but data_timeout')
    like(worker.log, rf' in doubt id={idents[0]} recipient=r@example.net relay=r host=.* reason=', 'then it is in doubt')
    like(worker.log, ' asked for more time ms=5000', 'for which it had time')
    is_(queued(t), idents, 'and in the queue')


def late_answer(t):
    """Under a master, which would end what is not done 5 s after the bound."""
    go = []
    hop = NextHop(t, {'.': lambda peer, line: wait_for(lambda: go, timeout=30, what='go') and None})
    master = t.master(setting(hop, 0.2, ', data_timeout: 20'))
    ident = send(t, 'r@example.net')
    wait_for(lambda: hop.data_ended, what='the dot')
    master.kill(signal.SIGTERM)
    master.wait_log(r'child has more time child=worker queue=q instance=0 child_pid=\d+ ms=20000')
    master.wait_log('child ended child=edge')
    master.wait_log('master: waits for answers ms=')
    unlike(master.log, 'killed child', 'nobody is killed')
    go.append(True)
    is_(master.wait(), 0, 'the answer is waited for')
    like(master.log, rf' delivered id={ident} ', 'and recorded')
    is_(queued(t), [], 'so that it is delivered once')


def hurried(t):
    """A stop in the middle of a reload: the worker of before has less time than it was told."""
    hop = NextHop(t, {'RCPT': [SILENCE]}, extensions=())
    master = t.master(setting(hop, 1))
    ident = send(t, 'r@example.net')
    wait_for(lambda: any(line.startswith('RCPT') for line in hop.said), what='RCPT')
    master.kill(signal.SIGHUP)
    master.wait_log(r'slimta-worker.* began to drain .*timeout_ms=\d{6}')
    master.kill(signal.SIGTERM)
    is_(master.wait(), 0, 'at the bound of the stop it is broken off')
    like(master.log, 'slimta-worker.* drains sooner timeout_ms=', 'as the worker was told')
    is_(queued(t), [ident], 'the message is in the queue')
    unlike(master.log, ' deferred | in doubt |killed child', 'without an attempt, and nobody was killed')


run(in_hand, before_the_dot, behind_the_dot, late_answer, hurried)
