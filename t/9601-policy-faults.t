#!/usr/bin/python3
# 9601-policy-faults.t - S4: of the copies of a message all are stored, or none and the client hears of it
# SPDX-License-Identifier: MIT
import os
import re

from lib.edge import config
from lib.fixture import Failure, is_, ok, run, wait_for

TEXT = config(queue=', policies: [{type: recipient_split}]')
RECIPIENTS = ['a@x.example', 'b@x.example', 'c@y.example']
POINTS = [('disk.write', 'ENOSPC', 5), ('disk.write', 'EIO', 2), ('disk.fsync', 'EIO', 7), ('disk.rename', 'EIO', 6),
    ('disk.open', 'EMFILE', 8)]


def code_of(t):
    """Of one message for three."""
    with t.client('smtp', timeout=20) as client:
        client.hello()
        for line in ['MAIL FROM:<s@example.org>', *(f'RCPT TO:<{recipient}>' for recipient in RECIPIENTS), 'DATA']:
            client.line(line)
            reply = client.reply()
            if reply.code not in (250, 354):
                return reply.code
        client.send('Subject: x\r\n\r\n.\r\n')
        return client.reply().code


def left(t):
    return [name for name in os.listdir(t.path('mail')) if name.endswith(('.env', '.new', '.batch'))]


def delivered(t):
    """Of whom a worker that is well finds messages."""
    worker = t.worker(TEXT, 'q')
    wait_for(lambda: not left(t), what='an empty queue')
    worker.stop()
    return sorted(re.findall(r' delivered id=\S+ recipient=(\S+) ', worker.log))


def copies(t):
    refused = 0
    for point, error, visits in POINTS:
        for visit in range(1, visits + 1):
            fault = f'{point}:{visit}:{error}'
            try:
                edge = t.edge(TEXT, env={'SLIMTA_FAULT': fault})
            except Failure:             # it was hit while the queue was opened
                continue
            codes = [code_of(t), code_of(t)]
            edge.stop()
            refused += sum(code != 250 for code in codes)
            is_([code for code in codes if code not in (250, 451, 452)], [], f'{fault}: {codes}, none for good')
            is_(delivered(t), sorted(RECIPIENTS * codes.count(250)), 'all copies of what was accepted, and no other')
    ok(refused > 8, f'{refused} were refused')


run(copies, faults=True, timeout=200)
