#!/usr/bin/python3
# 8012-path-power-cut-ext4.t - ext4 is shut down under mail without its journal, mounted again: nothing is lost (lesson S11)
# SPDX-License-Identifier: MIT
# What 8011 says of file systems, a real one is asked. LONG=1: 100 times. SEED repeats a run's choices.
import os
import re

from lib.fixture import is_, run
from lib.power_ext4 import SEED, Queue

CUTS = 100 if os.environ.get('LONG') else 4


def cuts(t):
    queue = Queue(t)
    print(f'# SEED={SEED}')
    try:
        for number in range(CUTS):
            worker = queue.cut(f'{number}')
            is_(re.findall(r'.* error .*', worker.log), [], 'without a complaint')
            is_(queue.lost(), [], f'all {len(queue.accepted)} that were answered 250 have arrived')
            is_(queue.changed(), [], 'with what was sent')
    finally:
        queue.close()


run(cuts, timeout=60 + 20 * CUTS)
