#!/usr/bin/python3
# 9412-queue-redis-cuts.t - connections to redis that end amidst a script or its answer: nothing lost, or promised falsely
# SPDX-License-Identifier: MIT
import re

from lib.fixture import diag, is_, ok, run, wait_for
from lib.next_hop import NextHop
from lib.operator import left_in_queues
from lib.redis import Redis
from lib.redis_watch import Monitor, ScriptProxy
from lib.redis_path import LEASE, attempt, config, host, log, static

# How much of the request, or of the answer, gets through.
PARTS = ({'request': 0}, {'request': 0.5}, {'request': 1}, {'reply': 0}, {'reply': 0.5})


class Path:
    """An edge and a worker, each with a proxy of its own before the same redis."""

    def __init__(self, t):
        self.t, self.later = t, set()
        self.server = Redis(t, aof='always')
        self.monitor = Monitor(self.server)
        self.hop = NextHop(t, {'RCPT': self._recipient})
        self.proxies = {name: ScriptProxy(t, self.server) for name in ('edge', 'worker')}
        for name, start in (('edge', t.edge), ('worker', lambda text: t.worker(text, 'q'))):
            start(config(f'{self.proxies[name].keys()}, lease: {LEASE}', static(self.hop.port), process=host(name)))
        self.accepted, self.refused = [], []

    def _recipient(self, _, line):
        """The first attempt of `later...` fails."""
        name = re.search('<(.*)>', line)[1]
        if name.startswith('later') and name not in self.later:
            self.later.add(name)
            return '450 4.2.0 later'
        return None

    def send(self, name):
        """One message; whatever is said of it is kept."""
        _, reply = attempt(self.t, name)
        (self.accepted if reply.code == 250 else self.refused).append(name)
        return reply.code


def scripts(t, path):
    """What an edge and a worker ask in the life of a message, and of one that is deferred."""
    with path.monitor as monitor:
        path.send('first@example.net')
        path.send('later-first@example.net')
        wait_for(lambda: sum(len(one['recipients']) for one in path.hop.messages) == 2, what='two deliveries')
        wait_for(lambda: left_in_queues(t) == {'q': 0}, what='an empty queue')
        asked = monitor.count()
    diag(f'asked: {dict(asked)}')
    is_({'write', 'claim', 'settle', 'remove'} - set(asked), set(), 'a message is written, claimed, deferred, removed by scripts')
    return [name for name in asked if name in ('claim', 'get', 'renew', 'settle', 'remove', 'record', 'blpop')]


def cut(t):
    path = Path(t)
    after = scripts(t, path)
    for part in PARTS:
        name = f'write-{len(path.accepted)}@example.net'
        path.proxies['edge'].cut('write', **part)
        code = path.send(name)
        is_(path.proxies['edge'].cuts.pop(), 'write', f'cut amidst a write: {part}')
        ok(code in (250, 451), f'{code}')
    # Where an answer to a claim is lost, its messages may come at the end of the lease; so all are waited for at once.
    for verb in after:
        for part in PARTS:
            path.proxies['worker'].cut(verb, **part)
            for n in range(20):
                path.send(f'later-{verb}-{n}-{len(path.accepted)}@example.net')
                if path.proxies['worker'].cuts:
                    break
            wait_for(lambda: path.proxies['worker'].cuts, LEASE * 2, f'a {verb} that is cut')
            is_(path.proxies['worker'].cuts.pop(), verb, f'cut amidst {verb}: {part}')
    check(t, path)


def check(t, path):
    wait_for(lambda: left_in_queues(t) == {'q': 0}, LEASE * 3, 'an empty queue')
    came = [name for mail in path.hop.messages for name in mail['recipients']]
    is_(sorted(set(path.accepted) - set(came)), [], f'all {len(path.accepted)} that were accepted came')
    is_(sorted(set(path.refused) & set(came)), [], f'none of {len(path.refused)} that were refused did')
    doubled = sorted({name for name in came if came.count(name) > 1})
    is_(doubled, [], 'each once')
    counted = re.findall(r' delivered id=(\S+)', log(t))
    is_(len(counted), len(set(counted)), 'and each is logged as delivered once')


run(cut, timeout=240)
