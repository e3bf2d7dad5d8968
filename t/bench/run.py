# run.py - make bench: python3 -m bench.run [--full] [--only CASE] [--rounds N], in t/
# SPDX-License-Identifier: MIT
import argparse
import contextlib
import ctypes
import json
import os
import signal
import sys
import time

from lib.fixture import PR_SET_CHILD_SUBREAPER, TOP

from . import place
from .cases import BACKLOG, Clock
from .figures import table
from .redis import OnRedis, OnRedisAlways
from .destinations_cases import DestinationCases
from .redis_cases import why_not
from .servers import PEERS, Slimta, raise_descriptors
from .tools import Tools

SECONDS, FULL_SECONDS = 540, 5400
OUT = f'{TOP}/build/bench.json'


MARKS, CPU_MARKS = {Slimta: 2.5, OnRedis: 3}, {Slimta: 1 / 3}


def quick(cases, arguments, redis):
    """The cases that have marks. Those on redis have five rounds where nothing else is said."""
    rounds, more = arguments.rounds or 3, arguments.rounds or 5
    ours = (Slimta, OnRedis) if redis else (Slimta,)
    yield 'accept', lambda: cases.accept(20, 1, 4, rounds, mark=1.5)
    yield 'through', lambda: cases.through(4096, 5000, more if redis else rounds, MARKS, CPU_MARKS, ours=ours)
    yield 'lone', lambda: cases.lone(50, rounds, mark=1)
    yield 'idle', lambda: cases.idle(1000, rounds, mark=8)
    yield 'tls', lambda: tls(cases, rounds)
    if redis:
        yield 'redis', lambda: cases.accept_redis(OnRedisAlways, 20, 4, more, mark=0.4, cpu_mark=0.15)
        yield 'workers', lambda: cases.workers((1, 2, 3, 4), mark=0.8)
    yield 'destinations', lambda: cases.destinations(more, late_mark=1.3, connections_mark=0.25, memory_mark=100)
    yield 'backlog', lambda: cases.backlog(arguments.backlog, mark=0.8)
    if redis:
        yield 'queued', lambda: cases.queued(1000, 2 * arguments.backlog, mark=4)


def tls(cases, rounds):
    cases.idle(1000, rounds, mark=24, tls=True)
    cases.handshakes(20, 3, rounds, mark=1.5)


def full(cases, arguments, redis):
    rounds, more = arguments.rounds or 3, arguments.rounds or 5
    ours = (Slimta, OnRedis, OnRedisAlways) if redis else (Slimta,)
    for sessions in (1, 20, 200):
        for per_connection in (1, 10):
            mark = 1.5 if (sessions, per_connection) == (20, 1) else None
            yield 'accept', lambda s=sessions, c=per_connection, m=mark: cases.accept(s, c, 4, rounds, mark=m)
    yield 'through', lambda: cases.through(4096, 10000, more if redis else rounds, MARKS, CPU_MARKS, ours=ours)
    yield 'through', lambda: cases.through(4096, 10000, rounds, sessions=200, ours=ours)
    yield 'through', lambda: cases.through(102400, 2000, rounds, ours=ours)
    yield 'lone', lambda: cases.lone(50, rounds, mark=1)
    yield 'idle', lambda: cases.idle(1000, rounds, mark=8)
    yield 'idle', lambda: cases.idle(5000, rounds, mark=8)
    yield 'tls', lambda: tls(cases, rounds)
    if redis:
        for sessions in (20, 200):
            for kind in (OnRedisAlways, OnRedis):
                mark = 0.4 if (kind, sessions) == (OnRedisAlways, 20) else None
                yield 'redis', lambda k=kind, s=sessions, m=mark: cases.accept_redis(k, s, 4, more, m,
                    cpu_mark=0.15 if s == 20 else None)
        yield 'workers', lambda: cases.workers((1, 2, 3, 4), more, mark=0.8)
    yield 'destinations', lambda: cases.destinations(more, late_mark=1.3, connections_mark=0.25, memory_mark=100,
        postfix=True)
    yield 'backlog', lambda: cases.backlog(arguments.backlog, mark=0.8, postfix=True)
    if redis:
        yield 'queued', lambda: cases.queued(1000, 2 * arguments.backlog, mark=4)


def measure(folder, why, arguments):
    say = lambda text: print(f'# {text}', file=sys.stderr, flush=True)
    clock = Clock(FULL_SECONDS if arguments.full else SECONDS)
    places = place.Places(folder, arguments.on_disk)
    cases = DestinationCases(places, Tools(Slimta.build, clock), clock, not why, say)
    no_redis = why_not()
    began = time.time()
    report = {'began': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(began)), 'machine': place.machine(folder),
        'load_average_before': os.getloadavg(), 'alone': why, 'no_redis': no_redis, 'places': places.what}
    report['tools_alone'] = cases.ceiling()
    seconds = report['seconds_by_case'] = {}
    for name, case in (full if arguments.full else quick)(cases, arguments, not no_redis):
        if arguments.only and name not in arguments.only:
            continue
        started = time.monotonic()
        case()
        seconds[name] = seconds.get(name, 0) + time.monotonic() - started
        say(f'{name}: {seconds[name]:.0f} s so far; {clock.left():.0f} s are left')
    report.update(load_average_after=os.getloadavg(), seconds=time.time() - began, rows=[row.json() for row in cases.rows],
        rounds=cases.records, troubles=cases.troubles, out_of_time=cases.out_of_time)
    return cases, report


def conclude(cases, report):
    """Prints the table and writes the file; gives the exit status."""
    machine, ceiling = report['machine'], report['tools_alone']
    before, after = report['load_average_before'][0], report['load_average_after'][0]
    print(table(cases.rows))
    print(f"\nThe tools alone: {ceiling['rate']:.0f} messages/s, {ceiling['latency_ms']['p99']:.1f} ms p99 "
        '(20 sessions, 1 a connection, 4 KB).')
    print(f"{machine['processors']} processors ({machine['model']}), Linux {machine['kernel']}; load "
        f"average {before:.2f} before, {after:.2f} after; {report['seconds']:.0f} s.")
    print(f"Queues stood on {report['places']}.")
    if before > 0.5:
        print('The machine was not idle, so the figures are only to see that all works: of a busy machine many processes get '
            'more than few.')
    if report['alone']:
        print(f"slimta alone, without the marks that compare: {report['alone']}.")
    if report['no_redis']:
        print(f"Nothing on redis: {report['no_redis']}.")
    for name in report['out_of_time']:
        print(f'Not measured, or not to its end, for want of time: {name}.')
    for trouble in report['troubles']:
        print(f'Trouble: {trouble}.')
    try:
        with open(OUT, 'w', encoding='utf-8') as out:
            json.dump(report, out, indent=1)
        print(f'All rounds: {os.path.relpath(OUT, TOP)}. What is alike and what is not: t/bench/README.')
    except OSError as error:
        print(f'The rounds could not be written: {error}')
    return 1 if report['troubles'] or report['out_of_time'] or any(row.verdict == 'missed' for row in cases.rows) else 0


def parse():
    parser = argparse.ArgumentParser(prog='bench', description='Measures slimta against Postfix; see t/bench/README.')
    parser.add_argument('--full', action='store_true', help='all cases, also those without a mark: about an hour')
    parser.add_argument('--rounds', type=int, help='of each case and server; default: 3, on redis 5')
    parser.add_argument('--only', action='append',
        choices=('accept', 'through', 'lone', 'idle', 'tls', 'redis', 'workers', 'destinations', 'backlog', 'queued'),
        help='this case; may be given several times')
    parser.add_argument('--backlog', type=int, default=BACKLOG,
        help='messages that are queued by that case; by the case queued twice as many')
    parser.add_argument('--on-disk', action='store_true', help='rounds in new folders, not on new file systems')
    return parser.parse_args()


def main():
    arguments = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = os.environ.get('BENCH_FOLDER')
    if folder:
        raise_descriptors()
        place.furnish(folder)
        return conclude(*measure(folder, None, arguments))
    why = place.why_alone(PEERS)
    with place.scratch() as folder:
        if not why and place.kind_of_file_system(folder) in place.IN_MEMORY:
            why = f'{folder} is in memory, where nothing is durable: set TMPDIR'
        if not why:
            return place.inside(folder, [sys.executable, '-m', 'bench.run', *sys.argv[1:]])
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
        raise_descriptors()
        return conclude(*measure(folder, why, arguments))


if __name__ == '__main__':
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
