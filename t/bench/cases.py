# cases.py - what is measured, and how one round of it goes
# SPDX-License-Identifier: MIT
import contextlib
import os
import time

from .figures import Row
from .servers import Postfix, Slimta
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
        self.ports = places.ports()
        self.port, self.sink_port = self.ports[:2]
        self.places, self.tools, self.clock, self.say = places, tools, clock, say
        self.servers = [Slimta, Postfix] if peer else [Slimta]
        self.rows, self.records, self.troubles, self.out_of_time = [], [], [], []
        self.empty_cost = {}

    @contextlib.contextmanager
    def server(self, kind, **how):
        """A server on a place that no other round had."""
        with self.places.fresh() as folder:
            with kind(f"{folder}/{kind.name.replace(', ', '-').replace(' ', '-')}", self.clock, self.ports, **how) as server:
                yield server

    def pairs(self, case, one_round, rounds=3, kinds=None, once=()):
        """Our rounds and Postfix's (or of other `kinds`), neighbours in time: A B B A A B. Gives two lists of results.
        Those of `once` have the first round alone."""
        kinds = kinds or self.servers
        results = {kind: [] for kind in kinds}
        try:
            for number in range(rounds):
                for kind in kinds if number % 2 == 0 else reversed(kinds):
                    if number and kind in once:
                        continue
                    load = os.getloadavg()[0]
                    result = one_round(kind)
                    results[kind].append(result)
                    self.records.append({'case': case, 'server': kind.name, 'load_average': load, 'result': result})
                    self.say(f'{case}: {kind.name}, load average {load:.2f}: '
                        + ', '.join(f'{name} {value:.4g}' for name, value in result.items() if not isinstance(value, list)))
        except (Trouble, OutOfTime) as trouble:
            if self.is_late(trouble):
                self.out_of_time.append(case)
            else:
                self.troubles.append(f'{case}, {kind.name}: {trouble}')
            self.say(f'{case}: {kind.name}: given up: {trouble or "out of time"}')
        return [results[kind] for kind in kinds]

    def is_late(self, trouble):
        """Whether it is only that there was no more time."""
        return isinstance(trouble, OutOfTime) or self.clock.left() <= 0

    def row(self, case, unit, results, key, mark=None, more_is_better=True, rounds=3, once=False, **how):
        """`rounds`: so many there should be, or the mark stays unclear; `once`: the other has one alone."""
        sides = [[result[key] for result in side if key in result] for side in results]
        whole = [len(side) for side in sides] == [rounds, 1 if once else rounds][:len(sides)]
        theirs = sides[1] if len(sides) > 1 else []
        self.rows.append(Row(case, unit, sides[0], theirs, mark, more_is_better, whole=whole, **how))

    # ---- the tools alone

    def ceiling(self):
        """What load and sink do with nobody between them."""
        with self.tools.sink(self.sink_port, '-m', 10000, '-k', WARM) as sink:
            figures = self.tools.all_accepted(self.sink_port, '-s', 20, '-p', '-m', 10000, '-k', WARM)
            sink.figures()
        self.say(f"tools alone: {figures['rate']:.0f} messages a second")
        return figures

    # ---- accepting

    def accept(self, sessions, per_connection, seconds, rounds=3, mark=None):
        """Into the queue, and no further."""
        def one_round(kind):
            with self.server(kind, delivers=False, sessions=sessions) as server:
                figures = self.tools.all_accepted(self.port, '-s', sessions, '-c', per_connection, '-p', '-D', seconds,
                    '-k', WARM, timeout=60)
                if server.queued() != figures['accepted']:
                    raise Trouble(f"{figures['accepted']} accepted, but {server.queued()} queued")
            return {'rate': figures['rate'], 'p50': figures['latency_ms']['p50'], 'p99': figures['latency_ms']['p99']}
        case = f"accept, {sessions} session{'s' if sessions > 1 else ''}, {per_connection} a connection"
        results = self.pairs(case, one_round, rounds)
        self.row(case, 'messages/s', results, 'rate', mark, rounds=rounds)
        self.row(case, 'p99 ms', results, 'p99', more_is_better=False, rounds=rounds)

    # ---- end to end

    def cost_of_nothing(self, kind):
        """Processor time of starting and stopping, which is no message's."""
        if kind not in self.empty_cost:
            with self.server(kind) as server:
                self.empty_cost[kind] = server.stop() + server.storage_cpu()
        return self.empty_cost[kind]

    def through(self, size, messages, rounds=3, marks=None, cpu_marks=None, sessions=20, ours=(Slimta,)):
        """From load by the queue to the sink; and what it cost. `ours`: where the queue is, all beside the same Postfix."""
        def one_round(kind):
            nothing = self.cost_of_nothing(kind)
            with self.tools.sink(self.sink_port, '-m', messages, '-k', WARM) as sink, self.server(kind) as server:
                self.tools.all_accepted(self.port, '-s', sessions, '-p', '-m', messages, '-z', size, timeout=150)
                figures = sink.figures(150)
                server.wait_empty()
                cpu = server.stop() + server.storage_cpu() - nothing
            return {'rate': figures['rate'], 'cpu': cpu * 1000 / messages, 'twice': figures['twice']}
        case = f'end to end, {sessions} sessions, {size // K} KB'
        results = self.pairs(case, one_round, rounds, [*ours, *self.servers[1:]])
        for kind, side in zip(ours, results):
            pair = [side, *results[len(ours):]]
            self.row(case + kind.where, 'messages/s', pair, 'rate', (marks or {}).get(kind), rounds=rounds)
            self.row(case + kind.where, 'CPU s/1,000', pair, 'cpu', (cpu_marks or {}).get(kind), more_is_better=False,
                rounds=rounds)

    # ---- one message at a time

    def lone(self, rate=50, rounds=3, mark=None):
        """A message on its own, by a timetable: from connecting until the sink has it."""
        def one_round(kind):
            with self.tools.sink(self.sink_port, '-m', 200 + rate, '-k', rate) as sink, self.server(kind):
                load = self.tools.all_accepted(self.port, '-s', 10, '-p', '-m', 200 + rate, '-r', rate, '-k', rate)
                delay = sink.figures(30)['delay_ms']
            return {'p50': delay['p50'], 'p99': delay['p99'], 'accepted': load['latency_ms']['p50']}
        results = self.pairs('a lone message', one_round, rounds)
        self.row('a lone message until the next hop has it', 'p50 ms', results, 'p50', mark, more_is_better=False,
            rounds=rounds)
        self.row('a lone message until its 250', 'p50 ms', results, 'accepted', more_is_better=False, rounds=rounds)

    # ---- idle sessions

    def idle(self, sessions, rounds=3, mark=None, tls=False):
        """Memory of a session that said EHLO and waits; with `tls` STARTTLS, and EHLO again. The mark is for ours;
        Postfix's rounds, a process a session, are slow and agree to a part in 500, so it has one."""
        how = ['-S'] if tls else []
        def one_round(kind):
            with self.server(kind, delivers=False, sessions=sessions, tls=tls) as server:
                self.tools.all_accepted(self.port, '-s', 10, '-p', '-m', WARM, *how)
                before = server.memory()
                with self.tools.idle(self.port, sessions, *how) as idle:
                    after = server.memory()
                    if idle.release() != sessions:
                        raise Trouble('sessions were ended')
            return {'memory': (after - before) / sessions / K}
        case = f"an idle {'TLS ' if tls else ''}session of {sessions:,}"
        results = self.pairs(case, one_round, rounds, once=[Postfix])
        self.row(case, 'KB', results, 'memory', mark, more_is_better=False, absolute=True, rounds=rounds, once=True)

    # ---- TLS

    def handshakes(self, sessions, seconds, rounds=3, mark=None):
        """Connections that say EHLO, STARTTLS, EHLO and QUIT, none of which resumes another."""
        def one_round(kind):
            with self.server(kind, delivers=False, sessions=sessions, tls=True) as server:
                self.tools.all_accepted(self.port, '-s', sessions, '-S', '-e', '-m', WARM)
                figures = self.tools.all_accepted(self.port, '-s', sessions, '-S', '-e', '-D', seconds, '-k', WARM, timeout=60)
                cpu = server.stop()
            return {'rate': figures['rate'], 'p99': figures['latency_ms']['p99'],
                'cpu': cpu * 1000 / (figures['accepted'] + WARM)}
        case = f'TLS handshakes, {sessions} clients'
        results = self.pairs(case, one_round, rounds)
        self.row(case, 'a second', results, 'rate', mark, rounds=rounds)
        self.row(case, 'p99 ms', results, 'p99', more_is_better=False, rounds=rounds)
        self.row(case, 'CPU s/1,000', results, 'cpu', more_is_better=False, rounds=rounds)

    # ---- the next hop is down

    def backlog(self, messages=BACKLOG, mark=None, postfix=False):
        """Accepting while nothing can be delivered, then the way out. One round each."""
        def one_round(kind):
            with self.server(kind, retry=60) as server:
                figures = self.tools.all_accepted(self.port, '-s', 20, '-p', '-c', 10, '-m', messages + BLOCK,
                    '-b', BLOCK, timeout=900)
                blocks = figures['blocks_s'][1:]
                result = {'ratios': [first / last for first, last in zip(blocks[:10], blocks[-10:])],
                    'first': 10 * BLOCK / sum(blocks[:10]), 'last': 10 * BLOCK / sum(blocks[-10:])}
                try:
                    result.update(self.drain(server, messages + BLOCK))
                except (OutOfTime, Trouble) as trouble:
                    if not self.is_late(trouble):
                        raise
                    self.out_of_time.append(f'{case}: drain')
            return result
        case = f'{messages:,} queued, next hop down'
        servers = self.servers
        if not postfix:
            self.servers = [Slimta]
        results = self.pairs(case, one_round, 1)
        self.servers = servers
        self.row(f'{case}: first 10,000 accepted', 'messages/s', results, 'first', rounds=1)
        self.row(f'{case}: last 10,000 accepted', 'messages/s', results, 'last', rounds=1)
        ratios = [[ratio for result in side for ratio in result['ratios']] for side in results]
        theirs = ratios[1] if len(ratios) > 1 else []
        self.rows.append(Row(f'{case}: last to first', 'by 1,000s', ratios[0], theirs, mark, absolute=True))
        self.row(f'{case}: drain', 'messages/s', results, 'drain', rounds=1)

    def drain(self, server, messages):
        """Stopped for as long as a message waits between two attempts, so that all are due when it is started again."""
        server.stop()
        if self.clock.left() <= server.retry:
            raise OutOfTime
        time.sleep(server.retry)
        with self.tools.sink(self.sink_port, '-m', messages, '-k', WARM) as sink:
            server.start()
            server.flush()
            figures = sink.figures(900)
            server.wait_empty(30)
        return {'drain': figures['rate'], 'twice': figures['twice']}
