#!/usr/bin/python3
# 4070-queue-redis-leases.t - workers of several hosts over one redis: one that is killed, stuck or gone loses nothing
# SPDX-License-Identifier: MIT
# Lessons S10, P2, P3, P4.
import collections
import os
import re
import signal
import time

from lib.fixture import IS_ROOT, SLOW, diag, is_, like, ok, run, unlike, wait_for
from lib.mail import send
from lib.next_hop import NextHop
from lib.operator import left_in_queues
from lib.queues import fill
from lib.redis import Redis
from lib.redis_path import LEASE, SENDER, config, host, static


class Patient(NextHop):
    """One whose peers may stop for a while."""

    def _serve(self, peer):
        peer.sock.settimeout(300)
        super()._serve(peer)


class Case:
    """An edge, worker `first` alone on its host with a next hop of its own, and other workers, each on another one."""

    def __init__(self, t, server, name, at, others=1, more=''):
        self.t, self.name, self.more = t, name, more
        self.section = f'{server.keys()}, prefix: "{name}:"'
        self.begun = []
        self.hop, self.odd = NextHop(t), Patient(t, {step: self._at(what) for step, what in at.items()})
        self.edge = t.edge(self._text('edge', self.hop.port))
        self.first = t.worker(self._text('first', self.odd.port), 'q')
        self.others = [t.worker(self._text(f'other{n}', self.hop.port), 'q') for n in range(others)]

    def _text(self, place, port):
        text = config(self.section + self.more, static(port, ', concurrent_connections: 1'), process=host(f'{self.name}-{place}'))
        return text.replace('smtp@', f'{self.name}@')

    def _at(self, number):
        """The worker is sent a signal in the midst of its first delivery."""
        def happens(*_):
            if not self.begun:
                self.begun.append(time.monotonic())
                os.kill(self.first.pid, number)
        return happens

    def send(self, count):
        return send(self.t, self.name, *[(SENDER, ['r@example.net'], b'Subject: x\r\n\r\nx\r\n')] * count)

    def log(self):
        return ''.join(worker.log for worker in self.others)

    def wait_delivered(self, idents, timeout):
        def found():
            return re.findall(r' delivered id=(\S+)', self.log())
        wait_for(lambda: set(idents) <= set(found()), timeout, f'{self.name}: all to be delivered')
        is_(sorted(found()), sorted(idents), f'{self.name}: each once')
        return time.monotonic() - self.begun[0]


def stop_others(case, number):
    """So that the first one gets what comes next."""
    for worker in case.others:
        worker.kill(number)


def deaths(t):
    """Three at the same time, as each has to wait for the end of a lease."""
    server, lease = Redis(t, aof='always'), f', lease: {LEASE}'
    killed = Case(t, server, 'killed', {'RCPT': signal.SIGKILL}, 5, lease)
    stuck = Case(t, server, 'stuck', {'RCPT': signal.SIGSTOP}, 1, lease)
    token = Case(t, server, 'token', {}, 1, lease)
    for case in killed, stuck:
        stop_others(case, signal.SIGSTOP)
        case.idents = case.send(6)
        wait_for(lambda case=case: case.begun, what='a delivery')
        stop_others(case, signal.SIGCONT)
    token.first.kill(signal.SIGSTOP)
    token.begun.append(time.monotonic())
    token.idents = token.send(1)
    token.first.kill()
    for case, least, most in ((token, 0, LEASE / 4 + 5 * SLOW), (killed, LEASE / 2, LEASE * 5 / 4 + 5 * SLOW),
            (stuck, LEASE / 2, LEASE * 5 / 4 + 5 * SLOW)):
        took = case.wait_delivered(case.idents, LEASE * 2)
        ok(least <= took < most, f'{case.name}: within the lease, not before its end: {took:.1f} s')
    stuck.first.kill(signal.SIGCONT)
    stuck.first.wait_log(r'lost its lease|left to another worker|could not record .*No such message', 20)
    is_(len(stuck.odd.messages), 0, 'who comes too late does not deliver')
    is_(stuck.first.stop(), 0, 'and ends well')
    for case in killed, stuck:
        like(case.log(), rf' in doubt id=\S+ queue=q owner=\S+/slimta-worker\[{case.first.pid}\]', f'{case.name}: it is named')
    for case in killed, stuck, token:
        t.config(case._text('edge', 1))
        is_(left_in_queues(t), {'q': 0}, f'{case.name}: nothing is left')


def graceful(t):
    """What a worker gives back at its end the others have at once, though leases are long."""
    server, go = Redis(t, aof='always'), []
    case = Case(t, server, 'graceful', {}, 1)
    case.odd.at['RCPT'] = lambda *_: wait_for(lambda: go, 60, 'to go on') and None
    stop_others(case, signal.SIGSTOP)
    idents = case.send(8)
    wait_for(lambda: any('RCPT' in line for line in case.odd.said), what='a delivery')
    stop_others(case, signal.SIGCONT)
    case.begun.append(time.monotonic())
    case.first.kill(signal.SIGTERM)
    wait_for(lambda: len(re.findall(' delivered id=', case.log())) == 7, 15, 'the others')
    ok(time.monotonic() - case.begun[0] < 5 * SLOW, 'go to another worker')
    go.append(True)
    case.first.wait_log(' (delivered|deferred) id=')
    is_(case.first.wait(), 0, 'and it ends well')
    is_(sorted(re.findall(r' delivered id=(\S+)', case.log() + case.first.log)), sorted(idents), 'each message once')
    unlike(case.log() + case.first.log, r' attempts=[2-9]', 'and at its first attempt')


def ten(t):
    """Ten workers begin at the same moment."""
    server, count = Redis(t, aof='always'), 2000
    fill(t, f'type: redis, {server.keys()}', count)
    confs = [t.config(config(server.keys(), process=host(f'w{n}')), f'w{n}.conf') for n in range(10)]
    since = time.monotonic()
    workers = [t.start('slimta-worker', '-c', conf, '--queue', 'q', *(['--allow-root'] if IS_ROOT else [])) for conf in confs]
    wait_for(lambda: sum(worker.log.count(' delivered id=') for worker in workers) >= 2 * count, 60, 'all to be delivered')
    t.config(config(server.keys()))
    wait_for(lambda: left_in_queues(t) == {'q': 0}, what='an empty queue')
    took = time.monotonic() - since
    counted = collections.Counter(match for worker in workers for match in re.findall(r' delivered id=(\S+ \S+)', worker.log))
    is_((len(counted), set(counted.values())), (2 * count, {1}), f'{count} messages: each recipient once ({took:.1f} s)')
    shares = [worker.log.count(' delivered id=') // 2 for worker in workers]
    diag(f'messages of each worker: {shares}')
    ok(sum(share > 0 for share in shares) > 1, 'by several workers')
    is_([worker.stop() for worker in workers], [0] * 10, 'all end well')


run(deaths, graceful, ten, timeout=240)
