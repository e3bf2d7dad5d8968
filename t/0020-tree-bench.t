#!/usr/bin/python3
# 0020-tree-bench.t - the tools of make bench count right, against each other and against an edge
# SPDX-License-Identifier: MIT
#
# Nothing here says how fast anything is.
import glob
import json
import shutil
import subprocess

from bench.cases import Clock
from bench.figures import Row, quartiles, table, verdict
from bench.redis import HashSets, Redis
from lib.certificates import Certificates
from lib.edge import config, with_tls
from lib.fixture import SLOW, is_, like, ok, run, skip

COUNTS = ('accepted', 'deferred', 'failed', 'lost')


class Sink:
    def __init__(self, t, *options):
        self.process = subprocess.Popen([t.program('t/bench/sink'), *options, '127.0.0.1:0'], stdout=subprocess.PIPE, env=t.env)
        self.address = self.line()['listening']

    def line(self):
        return json.loads(self.process.stdout.readline())

    def end(self):
        """What it counted."""
        self.process.terminate()
        figures = self.line()
        is_(self.process.wait(20), 0, 'the sink ends well')
        self.process.stdout.close()
        return figures


def load(t, address, *options, stdin=b''):
    done = t.run(t.program('t/bench/load'), *map(str, options), address, timeout=60, stdin=stdin)
    is_((done.returncode, done.stderr), (0, b''), f"load {' '.join(map(str, options))}")
    return json.loads(done.stdout.splitlines()[-1])


def counts(figures):
    return tuple(figures[name] for name in COUNTS)


def one_against_the_other(t):
    sink = Sink(t, '-m', '1000', '-k', '100')
    figures = load(t, sink.address, '-s', 20, '-m', 500, '-k', 100)
    is_((counts(figures), figures['connections']), ((500, 0, 0, 0), 500), 'a message a connection, a command at a time')
    is_((figures['loop'], figures['latency_ms']['count']), ('closed', 400), 'the first do not count')
    ok(figures['latency_ms']['p50'] <= figures['latency_ms']['p99'] <= figures['latency_ms']['max'], 'percentiles are in order')
    figures = load(t, sink.address, '-s', 5, '-m', 500, '-c', 10, '-n', 3, '-z', 20000, '-p', '-i', 500, '-b', 100)
    is_(counts(figures), (500, 0, 0, 0), 'several, larger ones, to several recipients, pipelined')
    ok(50 <= figures['connections'] < 60, f"ten a connection ({figures['connections']})")
    is_(len(figures['blocks_s']), 5, 'and how long each hundred took')
    seen = sink.line()
    is_((seen['messages'], seen['twice'], seen['unmarked']), (1000, 0, 0), 'the sink says when it has all')
    is_((seen['octets'], seen['delay_ms']['count']), (500 * 4096 + 500 * 20000, 900), 'to the octet')
    load(t, sink.address, '-m', 7, '-z', 1)
    seen = sink.end()
    is_((seen['messages'], seen['twice']), (1000, 7), 'and knows those that it had')


def refusals(t):
    for options, wanted, what in (
            (['-r', 'RCPT:450:10'], (90, 10, 0, 0), 'every tenth recipient'),
            (['-r', 'MAIL:550'], (0, 0, 100, 0), 'all senders'),
            (['-r', 'DATA:554:4'], (75, 0, 25, 0), 'every fourth message before it is sent'),
            (['-r', 'end:452:2'], (50, 50, 0, 0), 'every second one after that'),
            (['-r', 'connect:421:5', '-r', 'end:550:80'], (79, 20, 1, 0), 'every fifth connection, and one message')):
        for how in ([], ['-p']):
            sink = Sink(t, *options)
            is_(counts(load(t, sink.address, '-m', 100, *how)), wanted, f'refused: {what}')
            is_(sink.end()['messages'], wanted[0], 'the sink counts what it took')


def timetables(t):
    sink = Sink(t, '-d', '30')
    figures = load(t, sink.address, '-s', 4, '-m', 20)
    ok(figures['latency_ms']['min'] >= 30, 'the sink can be slow')
    # One session cannot keep that pace: what waits for its turn is late by that.
    figures = load(t, sink.address, '-s', 1, '-r', 100, '-m', 20, '-i', 20)
    is_((figures['loop'], counts(figures)), ('open', (20, 0, 0, 0)), 'a timetable')
    ok(figures['latency_ms']['max'] >= 20 * 30 - 190, f"latency counts from it ({figures['latency_ms']['max']})")
    is_(load(t, sink.address, '-H', '-s', 150), {'held': 150}, 'sessions are held')
    is_(load(t, sink.address, '-s', 50, '-m', 100, '-c', 0, '-p', '-i', 40)['connections'], 50, 'and kept')
    is_(sink.end()['messages'], 140, 'nothing is lost')
    is_(counts(load(t, sink.address, '-m', 3)), (0, 0, 0, 3), 'when it is gone, all is')


def an_edge(t):
    edge = t.edge(config().replace('level: debug', 'level: info'))
    address = f"127.0.0.1:{t.port('smtp')}"
    figures = load(t, address, '-s', 20, '-D', 1, '-c', 10, '-p', '-T', 30 * SLOW)
    ok(figures['accepted'] > 0, 'an edge accepts')
    is_(counts(figures)[1:], (0, 0, 0), 'and refuses and loses nothing')
    stored = [name for name in glob.glob(t.path('**', '*.env'), recursive=True) if '/.' not in name]
    is_(len(stored), figures['accepted'], 'what was accepted is in the queue')
    ok(edge.running(), 'the edge goes on')


def handshakes(t):
    edge = t.edge(with_tls(Certificates(t)))
    address = f"127.0.0.1:{t.port('smtp')}"
    figures = load(t, address, '-S', '-e', '-s', 5, '-m', 50, '-k', 10)
    is_((counts(figures), figures['connections']), ((50, 0, 0, 0), 50), 'connections with STARTTLS and no message')
    is_(edge.log.count(' resumed=no'), 50, 'each had a handshake of its own')
    is_(counts(load(t, address, '-S', '-s', 3, '-m', 20, '-c', 5, '-z', 100000)), (20, 0, 0, 0), 'and messages within TLS')
    is_(load(t, address, '-S', '-H', '-s', 20), {'held': 20}, 'sessions are held in it')
    is_(counts(load(t, address, '-e', '-m', 10)), (10, 0, 0, 0), 'and in clear')
    edge.stop()
    is_(counts(load(t, address, '-S', '-e', '-m', 3)), (0, 0, 0, 3), 'when it is gone, all is lost')


def hash_sets(t):
    """What accepting into redis is compared with."""
    if not shutil.which('redis-benchmark'):
        skip('redis-benchmark is not here', 'it sets hashes')
        return
    with Redis(t.path('redis'), Clock(60), t.port('redis'), 'always') as redis:
        ok(HashSets.rate(redis, 20, 5000, 1000) > 0, 'redis-benchmark sets hashes')
        is_(redis.number('DBSIZE'), 1000, 'each another one')
        key = redis.texts('RANDOMKEY')[0]
        is_(len(key) + len('octets') + redis.number(f'HSTRLEN {key} octets'), 5000, 'of that many octets')


def figures(_):
    is_(quartiles([1, 2, 3]), (1.5, 2, 2.5), 'quartiles')
    is_([verdict(values, 2, True) for values in ([2, 3, 3], [1, 1, 4], [1, 1, 1.5])], ['met', 'unclear', 'missed'], 'more is better')
    is_([verdict(values, 2, False) for values in ([2, 2, 1], [1, 2, 4], [3, 2.5, 9])], ['met', 'unclear', 'missed'], 'less is')
    row = Row('case', 'unit', [30, 20, 40], [10, 10, 10], 2.5)
    is_((row.ratios, row.verdict), ([3, 2, 4], 'met'), 'each round counts beside its neighbour')
    is_(Row('case', 'unit', [1, 2, 3], [], 2.5).verdict, '', 'alone there is no verdict')
    is_(Row('case', 'unit', [30], [10], 2.5, whole=False).verdict, 'unclear', 'nor where rounds are missing')
    like(table([row]), r'^case, unit  30.0 \(25.0-35.0\)  10.0 \(10.0-10.0\)  3.00x \(2.50-3.50\)  >= 2.5x  met$', 'a table')


run(one_against_the_other, refusals, timetables, an_edge, handshakes, hash_sets, figures)
