# operator.py - what slimta-queuectl says of a test's queues
# SPDX-License-Identifier: MIT
import json
import os
import subprocess
import time

from .tap import diag, is_


def counts(t):
    """The lines of `status` about queues, by name."""
    result = t.run('slimta-queuectl', '--json', '-c', t.path('slimta.conf'), 'status')
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    return {line['queue']: line for line in lines if 'octets' in line}


def left_in_queues(t):
    """How many messages each queue holds."""
    return {name: sum(line[state] for state in ('new', 'deferred', 'leased', 'held')) for name, line in counts(t).items()}


def queuectl(t, *args):
    """How many lines it prints, the last one, and its peak of memory (which is not below that of this process)."""
    since = time.monotonic()
    with open(t.path('out'), 'wb') as out:
        process = subprocess.Popen([t.program('slimta-queuectl'), '-c', t.path('slimta.conf'), *args], stdout=out, env=t.env)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    is_(process.returncode, 0, f'{" ".join(args)} does it')
    count, last = 0, ''
    with open(t.path('out'), encoding='utf-8') as out:
        for last in out:
            count += 1
    diag(f'{" ".join(args)}: {count} lines, {usage.ru_maxrss} K, {time.monotonic() - since:.1f} s')
    return count, last.rstrip('\n'), usage.ru_maxrss
