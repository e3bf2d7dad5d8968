# redis_cases.py - what is measured of a queue on redis
# SPDX-License-Identifier: MIT
import shutil
import time

from .cases import Cases
from .redis import HashSets, OnRedis, OnRedisSplit, Redis, pss
from .tools import Trouble

CONNECTIONS = 5         # that each of the workers may have to the next hop
SINK_MS = 50            # that it takes for a message
SPLIT = 500             # recipients, of whom each has a message of his own in the queue
SETTLED_S = 5           # until a worker has claimed what it can


def why_not():
    """Why nothing of this can be measured here, or None."""
    missing = [name for name in ('redis-server', 'redis-benchmark') if not shutil.which(name)]
    return f"{' and '.join(missing)} not found: make deps" if missing else None


class RedisCases(Cases):

    # ---- accepting

    def accept_redis(self, kind, sessions, seconds, rounds=5, mark=None, cpu_mark=None):
        """Into redis and no further, beside redis-benchmark with as many clients and octets on a server like that."""
        octets = 0

        def one_round(which):
            nonlocal octets
            if which is HashSets:
                with self.places.fresh() as folder, Redis(f'{folder}/redis', self.clock, self.ports[2], kind.fsync) as redis:
                    return {'rate': HashSets.rate(redis, sessions, octets, 20000)}
            with self.server(kind, delivers=False, sessions=sessions) as server:
                edges, redis = server.cpu('slimta-edge'), server.storage_cpu()
                figures = self.tools.all_accepted(self.port, '-s', sessions, '-p', '-D', seconds, '-k', 200, timeout=60)
                accepted = figures['accepted']
                edges, redis = server.cpu('slimta-edge') - edges, server.storage_cpu() - redis
                octets = server.octets_a_message()
                if server.queued() != accepted:
                    raise Trouble(f'{accepted} accepted, but {server.queued()} queued')
            return {'rate': figures['rate'], 'p99': figures['latency_ms']['p99'], 'edges': edges * 1000 / accepted,
                'redis': redis * 1000 / accepted, 'octets': octets}
        case = f'accept{kind.where}, {sessions} sessions'
        results = self.pairs(case, one_round, rounds, [kind, HashSets])
        self.row(f'{case}; beside HSETs', 'messages/s', results, 'rate', mark, rounds=rounds)
        for key, unit, most in (('p99', 'p99 ms', None), ('edges', 'CPU s/1,000 of the edges', cpu_mark),
                ('redis', 'CPU s/1,000 of redis', None)):
            self.row(case, unit, results[:1], key, most, more_is_better=False, absolute=True, rounds=rounds)

    # ---- more workers

    def workers(self, counts, rounds=1, mark=None):
        """Workers of as many hosts empty one queue into a next hop that takes its time: they should have what their
        connections allow."""
        def of(count):
            def one_round(kind):
                messages, warm = 400 * count, 60 * count
                with self.server(kind, delivers=False) as server, \
                        self.tools.sink(self.sink_port, '-m', messages, '-k', warm, '-d', SINK_MS) as sink:
                    self.tools.all_accepted(self.port, '-s', 20, '-p', '-c', 10, '-m', messages)
                    with server.workers(count, CONNECTIONS):
                        figures = sink.figures(60)
                        server.wait_empty()
                allowed = count * CONNECTIONS * 1000 / SINK_MS
                return {'rate': figures['rate'], 'share': figures['rate'] / allowed, 'twice': figures['twice']}
            return one_round
        shares = []
        for count in counts:
            case = f"{count} worker{'s' if count > 1 else ''} on redis, next hop of {SINK_MS} ms"
            results = self.pairs(case, of(count), rounds, [OnRedis])
            self.row(case, 'messages/s', results, 'rate', rounds=rounds)
            shares += results[0]
        self.row(f'1 to {max(counts)} workers on redis', 'part of what connections allow', [shares], 'share', mark,
            absolute=True, rounds=rounds * len(counts))

    # ---- many queued

    def queued(self, few, many, mark=None):
        """Memory of a worker beside that of one with few messages queued, and what it takes to list a hundred."""
        def of(messages):
            def one_round(kind):
                with self.server(kind, delivers=False) as server, self.tools.sink(self.sink_port, '-d', 30000):
                    self.tools.all_accepted(self.port, '-s', 20, '-p', '-c', 100, '-m', messages // SPLIT, '-n', SPLIT,
                        '-z', 512, timeout=300)
                    if server.queued() != messages:
                        raise Trouble(f'{messages} accepted, but {server.queued()} queued')
                    with server.workers(1, 20) as pids:
                        time.sleep(SETTLED_S)
                        memory = pss(pids)
                    seconds, listed = server.queuectl('list', '--limit', '100')
                    if len(listed.splitlines()) != 101:
                        raise Trouble(f'queuectl listed {len(listed.splitlines()) - 1} of 100')
                    redis = pss([server.redis.process.pid])
                return {'memory': memory / 1024 / 1024, 'list': seconds * 1000, 'redis': redis / 1024 / 1024}
            return one_round
        few, many = max(few // SPLIT, 1) * SPLIT, max(many // SPLIT, 1) * SPLIT
        case = f'{many:,} queued on redis'
        small = self.pairs(f'{few:,} queued on redis', of(few), 1, [OnRedisSplit])[0]
        large = self.pairs(case, of(many), 1, [OnRedisSplit])[0]
        more = [{'more': after['memory'] - before['memory']} for before, after in zip(small, large)]
        self.row(f'{case}: PSS of a worker', 'MB', [large], 'memory', rounds=1)
        self.row(f'{case}: PSS beyond that with {few:,}', 'MB', [more], 'more', mark, more_is_better=False, absolute=True,
            rounds=1)
        self.row(f'{case}: queuectl list --limit 100', 'ms', [large], 'list', rounds=1)
