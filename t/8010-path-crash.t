#!/usr/bin/python3
# 8010-path-crash.t - mail under kill -9 of anybody at any moment: none is lost, none doubled without a reason (lesson S8)
# SPDX-License-Identifier: MIT
# KILLS says how often, SEED repeats a run's choices. LONG=1: 1,000 times.
import os
import random

from lib.crash import Hop, Killer, check_all, config, under_fire
from lib.fixture import diag, run

KILLS = int(os.environ.get('KILLS') or (1000 if os.environ.get('LONG') else 30))
SEED = int(os.environ.get('SEED') or random.SystemRandom().randrange(1 << 32))


def crash(t):
    diag(f'SEED={SEED} KILLS={KILLS}')
    dice = random.Random(SEED)
    hop = Hop(t, random.Random(dice.random()))
    killer = Killer(t, config(t, hop), dice)
    messages = under_fire(t, killer, dice, KILLS, lambda queue: len(os.listdir(t.path(queue))) > 200, 60)
    check_all(t, killer, messages, hop, KILLS)


run(crash, timeout=60 + KILLS * 2)
