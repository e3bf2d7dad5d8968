# operator.py - what slimta-queuectl says of a test's queues
# SPDX-License-Identifier: MIT
import json


def counts(t):
    """The lines of `status` about queues, by name."""
    result = t.run('slimta-queuectl', '--json', '-c', t.path('slimta.conf'), 'status')
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    return {line['queue']: line for line in lines if 'octets' in line}


def left_in_queues(t):
    """How many messages each queue holds."""
    return {name: sum(line[state] for state in ('new', 'deferred', 'leased', 'held')) for name, line in counts(t).items()}
