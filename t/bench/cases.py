# cases.py - what is measured, and how one round of it goes
# SPDX-License-Identifier: MIT
import contextlib
import os
import time

from .figures import Row
from .servers import PORT, SINK_PORT, Postfix, Slimta
from .tools import Trouble

K = 1024
WARM = 200          # messages before those that count: processes are started, files made
BACKLOG = 100000
BLOCK = 1000


class OutOfTime(Exception):
    """The bench has used what it may."""


class Clock:
    def __init__(self, seconds):
        self.deadline = time.monotonic() + seconds

    def left(self):
        return self.deadline - time.monotonic()

    def limit(self, timeout):
        """`timeout`, or less where less is left."""
        if self.left() <= 0:
            raise OutOfTime
        return min(timeout, self.left())


class Cases:
    """Runs rounds; `rows` has what came of each case, `records` every round."""

    def __init__(self, places, tools, clock, peer, say):
        self.places, self.tools, self.clock, self.say = places, tools, clock, say
        self.servers = [Slimta, Postfix] if peer else [Slimta]
        self.rows, self.records, self.troubles = [], [], []
        self.empty_cost = {}

    @contextlib.contextmanager
    def server(self, kind, **how):
        """A server on a place that no other round had."""
        with self.places.fresh() as folder, kind(f'{folder}/{kind.name}', self.clock, **how) as server:
            yield server

    def pairs(self, case, one_round, rounds=3):
        """Our rounds and Postfix's, neighbours in time: A B B A A B. Gives two lists of results."""
        results = {kind: [] for kind in self.servers}
        try:
            for number in range(rounds):
                for kind in self.servers if number % 2 == 0 else reversed(self.servers):
                    load = os.getloadavg()[0]
                    result = one_round(kind)
                    results[kind].append(result)
                    self.records.append({'case': case, 'server': kind.name, 'load_average': load, 'result': result})
                    self.say(f'{case}: {kind.name}, load average {load:.2f}: '
                        + ', '.join(f'{name} {value:.4g}' for name, value in result.items() if not isinstance(value, list)))
        except Trouble as trouble:
            self.troubles.append(f'{case}, {kind.name}: {trouble}')
            self.say(f'{case}: {kind.name}: TROUBLE: {trouble}')
        return results[Slimta], results.get(Postfix, [])

    def row(self, case, unit, results, key, mark=None, more_is_better=True, **how):
        ours, theirs = ([result[key] for result in side] for side in results)
        self.rows.append(Row(case, unit, ours, theirs, mark, more_is_better, **how))

    # ---- the tools alone

    def ceiling(self):
        """What load and sink do with nobody between them."""
        with self.tools.sink(SINK_PORT, '-m', 10000, '-k', WARM) as sink:
            figures = self.tools.all_accepted(SINK_PORT, '-s', 20, '-p', '-m', 10000, '-k', WARM)
            sink.figures()
        self.say(f"tools alone: {figures['rate']:.0f} messages a second")
        return figures

    # ---- accepting

    def accept(self, sessions, per_connection, seconds, rounds=3, mark=None):
        """Into the queue, and no further."""
        def one_round(kind):
            with self.server(kind, delivers=False, sessions=sessions) as server:
                figures = self.tools.all_accepted(PORT, '-s', sessions, '-c', per_connection, '-p', '-D', seconds, '-k', WARM,
                    '-z', 4 * K, timeout=60)
                if server.queued() != figures['accepted']:
                    raise Trouble(f"{figures['accepted']} accepted, but {server.queued()} queued")
            return {'rate': figures['rate'], 'p50': figures['latency_ms']['p50'], 'p99': figures['latency_ms']['p99']}
        case = f'accept, {sessions} sessions, {per_connection} a connection'
        results = self.pairs(case, one_round, rounds)
        self.row(case, 'messages/s', results, 'rate', mark)
        self.row(case, 'p99 ms', results, 'p99', more_is_better=False)

    # ---- end to end

    def cost_of_nothing(self):
        """Processor time of starting and stopping, which is no message's."""
        for kind in self.servers:
            with self.server(kind) as server:
                self.empty_cost[kind] = server.stop()

    def through(self, size, messages, rounds=3, mark=None, cpu_mark=None):
        """From load by the queue to the sink; and what it cost."""
        def one_round(kind):
            with self.tools.sink(SINK_PORT, '-m', messages, '-k', WARM) as sink, self.server(kind) as server:
                self.tools.all_accepted(PORT, '-s', 20, '-p', '-m', messages, '-z', size, timeout=150)
                figures = sink.figures(150)
                server.wait_empty()
                cpu = server.stop() - self.empty_cost[kind]
            return {'rate': figures['rate'], 'cpu': cpu * 1000 / messages, 'twice': figures['twice']}
        if not self.empty_cost:
            self.cost_of_nothing()
        case = f'end to end, 20 sessions, {size // K} KB'
        results = self.pairs(case, one_round, rounds)
        self.row(case, 'messages/s', results, 'rate', mark)
        self.row(case, 'CPU s/1,000', results, 'cpu', cpu_mark, more_is_better=False)

    # ---- one message at a time

    def lone(self, rate=50, rounds=3, mark=None):
        """A message on its own, by a timetable: from connecting until the sink has it."""
        def one_round(kind):
            with self.tools.sink(SINK_PORT, '-m', 200 + rate, '-k', rate) as sink, self.server(kind):
                load = self.tools.all_accepted(PORT, '-s', 10, '-p', '-m', 200 + rate, '-r', rate, '-k', rate)
                figures = sink.figures(30)
            return {'p50': figures['delay_ms']['p50'], 'p99': figures['delay_ms']['p99'], 'accepted': load['latency_ms']['p50']}
        results = self.pairs('a lone message', one_round, rounds)
        self.row('a lone message until the next hop has it', 'p50 ms', results, 'p50', mark, more_is_better=False)
        self.row('a lone message until its 250', 'p50 ms', results, 'accepted', more_is_better=False)

    # ---- idle sessions

    def idle(self, sessions, rounds=3, mark=None):
        """Memory of a session that said EHLO and waits."""
        def one_round(kind):
            with self.server(kind, delivers=False, sessions=sessions) as server:
                self.tools.all_accepted(PORT, '-s', 10, '-p', '-m', WARM)
                before = server.memory()
                with self.tools.idle(PORT, sessions) as idle:
                    after = server.memory()
                    if idle.release() != sessions:
                        raise Trouble('sessions were ended')
            return {'memory': (after - before) / sessions / K}
        case = f'an idle session of {sessions:,}'
        self.row(case, 'KB', self.pairs(case, one_round, rounds), 'memory', mark, more_is_better=False, absolute=True)

    # ---- the next hop is down

    def backlog(self, messages=BACKLOG, mark=None, postfix=False):
        """Accepting while nothing can be delivered, then the way out. One round each."""
        def one_round(kind):
            with self.server(kind, retry=60) as server:
                figures = self.tools.all_accepted(PORT, '-s', 20, '-p', '-c', 10, '-m', messages + BLOCK, '-b', BLOCK, timeout=300)
                blocks = figures['blocks_s'][1:]
                drained = self.drain(server, messages + BLOCK)
            return {'ratios': [first / last for first, last in zip(blocks[:10], blocks[-10:])],
                'first': 10 * BLOCK / sum(blocks[:10]), 'last': 10 * BLOCK / sum(blocks[-10:]), **drained}
        servers, self.servers = self.servers, self.servers if postfix else [Slimta]
        case = f'{messages:,} queued, next hop down'
        results = self.pairs(case, one_round, 1)
        self.servers = servers
        for key, what in (('first', 'first 10,000'), ('last', 'last 10,000')):
            self.row(f'{case}: {what} accepted', 'messages/s', results, key)
        ratios = [ratio for result in results[0] for ratio in result['ratios']]
        self.rows.append(Row(f'{case}: last to first', 'by 1,000s', ratios, [], mark, absolute=True))
        self.row(f'{case}: drain', 'messages/s', results, 'drain')

    def drain(self, server, messages):
        with self.tools.sink(SINK_PORT, '-m', messages, '-k', WARM) as sink:
            server.flush()
            figures = sink.figures(300)
            server.wait_empty(30)
        return {'drain': figures['rate'], 'twice': figures['twice']}
