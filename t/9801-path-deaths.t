#!/usr/bin/python3
# 9801-path-deaths.t - edge, worker and spawner die at each named fault point; nothing is lost, nothing doubled (lesson S8)
# SPDX-License-Identifier: MIT
# A round has an edge and a worker for each queue. Each of them is to die at several points, once at each; its successor
# starts at once. Fewer visits and points without LONG=1. POINT=disk.fsync: that one alone.
import os
import random
import re
import signal
import time
import zlib

from lib.crash import Hop, Sender, config, report, takes_of_commands
from lib.fixture import IS_ROOT, TOP, Failure, diag, ok, run, wait_for
from lib.judge import Kill

LONG = os.environ.get('LONG')
VISITS = (1, 2, 3, 5, 8, 13) if LONG else (1, 3)
AT_ONCE = 12            # points of a process in one round
ROUNDS = 1000 if LONG else 8
PROGRAMS = {'edge': ('slimta-edge',), 'hop': ('slimta-worker', '--queue', 'hop'), 'run': ('slimta-worker', '--queue', 'run')}


def points():
    """All that the sources name."""
    found = set()
    for folder in ('common', 'edge', 'worker'):
        for path, _, names in os.walk(os.path.join(TOP, folder)):
            for name in names:
                if name.endswith('.c'):
                    with open(os.path.join(path, name), encoding='utf-8') as source:
                        found.update(re.findall(r'FAULT\(\s*"([a-z0-9_.]+)"', source.read()))
    return sorted(found & {os.environ['POINT']} if 'POINT' in os.environ else found)


class Victim:
    """A program that is started again whenever it has died."""

    def __init__(self, t, name, cases):
        self.t, self.name, self.process, self.since = t, name, None, time.time()
        self.once = t.folder(f'died-{name}')
        self.seen = len(os.listdir(self.once))
        self.env = {'SLIMTA_FAULT': ','.join(f'{point}:{visit}:die' for point, visit in cases),
            'SLIMTA_FAULT_ONCE': self.once}
        self._start()

    def _start(self):
        program, *args = PROGRAMS[self.name]
        more = ['--allow-root'] if IS_ROOT else []
        self.process = self.t.start(program, '-c', self.t.path('slimta.conf'), *more, *args, env=self.env)

    def tend(self, kills):
        died = len(os.listdir(self.once))
        if died == self.seen:
            if not self.process.running():
                raise Failure(f'{self.name} ended by itself: {self.process.popen.returncode}')
            return
        self.seen = died
        # A worker that lives has lost its spawner, for whose next start it would have to wait.
        self.process.kill()
        self.process.wait()
        self.t.processes.remove(self.process)
        kills.append(Kill('edge' if self.name == 'edge' else 'worker', self.since, time.time()))
        self._start()

    def stop(self):
        """A successor may be too young to know what to do at SIGTERM; a point may lie in how it ends."""
        status = self.process.stop()
        self.t.processes.remove(self.process)
        return status in (0, -signal.SIGTERM) or (status == -signal.SIGKILL and len(os.listdir(self.once)) > self.seen)


def left(t):
    """What is visible in both queues; what was staged by the dead stays, and is swept in time."""
    return [name for folder in ('hop', 'run') for name in os.listdir(t.folder(folder))
        if re.fullmatch(r'[0-9a-z]{26}\.env|\..*\.batch', name)]


def mail(t, dice, victims, number, kills):
    """A round's mail; gives the messages when all have left the queues."""
    senders = [Sender(t.port(name), name, number, dice, 0.02, 4) for name in ('hop', 'run')]
    for sender in senders:
        sender.start()

    def gone():
        for victim in victims:
            victim.tend(kills)
        return not any(sender.is_alive() for sender in senders) and not left(t)
    wait_for(gone, 60, f'the mail of round {number} to leave')
    return [message for sender in senders for message in sender.messages]


def one_round(t, hop, dice, number, cases):
    kills, before = [], len(hop.takes)
    for name in ('log', 'saved'):
        if os.path.exists(t.path(name)):
            os.rename(t.path(name), t.path(f'{name}.{number}'))
    t.config(config(t, hop))
    victims = [Victim(t, f'{name}', cases[name]) for name in PROGRAMS]
    messages = mail(t, dice, victims, number, kills)
    ended = [victim.stop() for victim in victims]
    verdict = report(t, messages, hop.takes[before:] + takes_of_commands(t.path('saved')), kills)
    if not ok(all(ended) and not verdict.lost + verdict.wrong, f'round {number}: {verdict.summary}'):
        diag(f'ended well: {ended}; {cases}')
    return len(kills)


def deaths(t):
    dice = random.Random(1)
    hop = Hop(t, dice)
    every = sorted(((point, visit) for point in points() for visit in VISITS), key=lambda case: zlib.crc32(repr(case).encode()))
    rounds = min(ROUNDS, (len(every) + AT_ONCE - 1) // AT_ONCE)
    kills = 0
    for number in range(rounds):
        kills += one_round(t, hop, dice, number, {name: every[number * AT_ONCE:][:AT_ONCE] for name in PROGRAMS})
    died = {(name, case.split(':')[0]) for name in PROGRAMS for case in os.listdir(t.path(f'died-{name}'))}
    tried = {point for point, _ in every[:rounds * AT_ONCE]}
    ok(kills > rounds, f'{kills} deaths at {len({point for _, point in died})} of {len(tried)} points')
    diag('never reached: ' + ' '.join(sorted(tried - {point for _, point in died})))


run(deaths, faults=True, timeout=100 + 20 * ROUNDS)
