#!/usr/bin/python3
# 8031-path-redis-crash.t - a queue on redis under kill -9 of anybody, redis too: none lost or doubled without a reason (S8)
# SPDX-License-Identifier: MIT
# KILLS says how often, SEED repeats a run's choices. LONG=1: 1,000 times.
import os
import random
import re

from lib.crash import COMMAND, CONFIG, WEIGHTS, Hop, Killer, check_all, under_fire
from lib.fixture import diag, is_, ok, run
from lib.redis import Redis
from lib.resp import RespError

KILLS = int(os.environ.get('KILLS') or (1000 if os.environ.get('LONG') else 30))
SEED = int(os.environ.get('SEED') or random.SystemRandom().randrange(1 << 32))
WAITING = 2000      # messages, beyond which the senders wait
LEASE = 40
WEIGHTS['redis'] = 15


class RedisKiller(Killer):
    """Who has redis-server among its victims; that begins anew at once."""

    def __init__(self, t, text, dice, server):
        super().__init__(t, text, dice)
        self.server = server

    def _named(self):
        return {**super()._named(), 'redis': [self.server.process.pid]}

    def kill(self, kind=None):
        super().kill(kind)
        if self.kills[-1].kind in ('redis', 'all'):
            self.server.process.wait()
            self.server.start()


def config(t, hop, server):
    """That of the queues on disk, on redis."""
    t.write('command', COMMAND, 0o755)
    t.folder('saved')
    text, count = re.subn(r'(\w+): \{type: disk,(.*?), envelope_dir.*?scan_interval: 5,',
        rf'\1: {{type: redis, {server.keys()}, prefix: "\1:", socket_timeout: 5, lease: {LEASE},\2,', CONFIG)
    assert count == 2
    text = text.replace('edge: {instances: 2}', 'edge: {instances: 2, spool_dir: @dir@}')
    text = text.replace('idle_timeout: 2', 'idle_timeout: 2, connect_timeout: 5, command_timeout: 5, data_timeout: 5')
    return text.replace('concurrent_processes', 'timeout: 5, concurrent_processes').replace('@hop@', str(hop.port))


def waiting(server, queue):
    """How many messages there are; many while redis reads its files."""
    try:
        return server('ZCARD', f'{queue}:index')
    except RespError:
        return WAITING + 1


def crash(t):
    diag(f'SEED={SEED} KILLS={KILLS}')
    dice = random.Random(SEED)
    server = Redis(t, aof='always')
    hop = Hop(t, random.Random(dice.random()))
    killer = RedisKiller(t, config(t, hop, server), dice, server)
    # What the dead had claimed comes when their leases have ended.
    messages = under_fire(t, killer, dice, KILLS, lambda queue: waiting(server, queue) > WAITING, LEASE * 3)
    check_all(t, killer, messages, hop, KILLS)
    ok(any(kill.kind == 'redis' for kill in killer.kills) or KILLS < 30, 'redis was among the victims')
    is_([key for key in server('KEYS', '*') if re.fullmatch(rb'\w+:[0-9a-z]{26}', key)], [], 'no message is left')


run(crash, timeout=180 + KILLS * 2)
