#!/usr/bin/python3
# 9802-path-storage-errors.t - storage calls of an edge that fail: 45x, nothing left over, and it goes on (lessons P6 P7 S4)
# SPDX-License-Identifier: MIT
import os
import re

from lib.edge import config, stored
from lib.fixture import dot_stuffed, is_, ok, run, wait_for

POINTS = ('disk.open', 'disk.write', 'disk.ftruncate', 'disk.fsync', 'disk.rename', 'disk.dirsync', 'spool.open', 'spool.write')
VISITS = ('1', '2', '3', '6', '*')
SMALL = 'Subject: small\r\n\r\nbody\r\n'
LARGE = 'Subject: large\r\n\r\n' + ('y' * 76 + '\r\n') * 500
MAILS = ((1, SMALL), (3, SMALL), (1, LARGE), (2, LARGE))


def published(t):
    """Ids that are in the queue: by a file of their own, or named by a batch, which the next worker completes."""
    idents = set()
    for name in os.listdir(t.path('mail')):
        if re.fullmatch(r'[0-9a-z]{26}\.env', name):
            idents.add(name[:26])
        elif name.endswith('.batch'):
            idents.update(re.findall(r'[0-9a-z]{26}', t.read(f'mail/{name}').decode()))
    return idents


def left_over(t, idents):
    """Files with the id of a message that nobody was promised. Used ones wait under other names to be used again."""
    found = [name for _, _, names in os.walk(t.path('mail')) for name in names]
    found = [name for name in found if not set(re.findall(r'[0-9a-z]{26}', name)) <= idents]
    return found + [name for name in os.listdir(t.path('meta')) if name != '.free'] + os.listdir(t.path('spool'))


def send(t, recipients, data):
    """The reply that ends the transaction: a refusal, or that to the dot,which has `at_dot`."""
    with t.client('smtp') as client:
        client.reply()
        for line in ('EHLO c.example', 'MAIL FROM:<a@b.example>', *[f'RCPT TO:<r{n}@d.example>' for n in range(recipients)],
                'DATA'):
            client.line(line)
            reply = client.reply()
            if reply.code >= 400:
                return reply
        client.send(dot_stuffed(data))
        reply = client.reply()
        reply.at_dot = True
        return reply


def strange(replies, wanted, visit):
    found = [reply for reply in replies if reply.code not in (250, *wanted)]
    # While a storage cannot be opened MAIL is refused; a single error behind that is of one message.
    if visit != '*' and sum(reply.code != 250 and hasattr(reply, 'at_dot') for reply in replies) > 1:
        found.append('one error, and more than one message was refused')
    return found


def one(t, text, fault, wanted, promised):
    """One edge with a fault; gives how many copies are promised then, and the codes of its replies."""
    visit = fault.split(':')[1]
    edge = t.edge(text, env={'SLIMTA_FAULT': fault})
    replies = [send(t, *mail) for mail in MAILS]
    promised += sum(recipients for (recipients, _), reply in zip(MAILS, replies) if reply.code == 250)
    if visit != '*':
        wait_for(lambda: send(t, 1, SMALL).code == 250, 15, f'{fault}: it goes on')
        promised += 1
    wrong = strange(replies, wanted, visit)
    if not edge.running() or edge.stop() != 0:
        wrong.append('the edge did not end well')
    there = published(t)
    if len(there) != promised:
        wrong.append(f'{promised} copies were promised, {len(there)} are there')
    if left_over(t, there):
        wrong.append(f'left over: {left_over(t, there)}')
    if wrong:
        is_(wrong, [], fault)
    return len(there), {reply.code for reply in replies}


def storage_errors(t):
    for name in ('spool', 'mail', 'meta'):
        t.folder(name)
    text = config('', '    spool_dir: @dir@/spool\n    spool_threshold: 4K\n', ', policies: [{type: recipient_split}]')
    promised = 0
    for point in POINTS:
        codes = {}
        for error, wanted in (('EIO', (451,)), ('ENOSPC', (451, 452))):
            for visit in VISITS:
                # The first few open the queue itself, which is tried again after 5 s: once is enough.
                if point == 'disk.open' and visit in '123' and (visit, error) != ('1', 'EIO'):
                    continue
                promised, found = one(t, text, f'{point}:{visit}:{error}', wanted, promised)
                codes.setdefault(error, set()).update(found)
        ok(True, f'{point}: {codes}')
    ok(all(envelope['content'] in (SMALL.encode(), LARGE.encode()) for envelope in stored(t)), 'all are whole')
    worker = t.worker(text, 'q')
    wait_for(lambda: not os.listdir(t.path('mail')) or not left_over(t, set()), 30, 'an empty queue')
    worker.stop()
    pairs = re.findall(r' delivered id=(\w+) recipient=(\S+)', worker.log)
    is_((len(pairs), len(set(pairs))), (promised, promised), 'and a worker gets all of them, once')


run(storage_errors, faults=True)
