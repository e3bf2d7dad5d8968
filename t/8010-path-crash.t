#!/usr/bin/python3
# 8010-path-crash.t - mail under kill -9 of anybody at any moment: none is lost, none doubled without a reason (lesson S8)
# SPDX-License-Identifier: MIT
# KILLS says how often, SEED repeats a run's choices. LONG=1: 1,000 times.
import os
import random

from lib.crash import Hop, Killer, Sender, config, report, takes_of_commands
from lib.fixture import SLOW, Failure, diag, is_, ok, run, wait_for
from lib.operator import left_in_queues

KILLS = int(os.environ.get('KILLS') or (1000 if os.environ.get('LONG') else 30))
SEED = int(os.environ.get('SEED') or random.SystemRandom().randrange(1 << 32))


def crash(t):
    diag(f'SEED={SEED} KILLS={KILLS}')
    dice = random.Random(SEED)
    hop = Hop(t, random.Random(dice.random()))
    killer = Killer(t, config(t, hop), dice)
    killer.start(notify=True)
    senders = [Sender(t.port(name), name, n, random.Random(dice.random()), 0.03 * SLOW)
        for name in ('hop', 'run') for n in range(3)]
    for sender in senders:
        sender.start()
    for _ in range(KILLS):
        killer.watch((0.1 + 0.8 * dice.random()) * SLOW ** 0.5)
        for sender in senders:
            sender.hold(len(os.listdir(t.path(sender.queue))) > 200)
        killer.kill()
    killer.kill('all')      # so that nobody waits for his next start
    for sender in senders:
        sender.stop()
    killer.start(notify=True)
    try:
        ok(wait_for(lambda: left_in_queues(t) == {'hop': 0, 'run': 0}, 60, 'empty queues'), 'both queues are empty')
    except Failure:
        diag(f'{t.queuectl("status")}\n{t.queuectl("list")[:3000]}')
        raise
    is_(killer.master.stop(), 0, 'all end well')
    check(t, killer, [message for sender in senders for message in sender.messages], hop)


def check(t, killer, messages, hop):
    verdict = report(t, messages, hop.takes + takes_of_commands(t.path('saved')), killer.kills)
    diag(verdict.summary)
    ok(sum(message.code == 250 for message in messages) > KILLS, f'{KILLS} kills, and mail between them')
    is_(len(verdict.lost), 0, 'nothing is lost')
    is_(len(verdict.wrong), 0, 'nothing is doubled without a reason, changed, or taken against our word')


run(crash, timeout=60 + KILLS * 2)
