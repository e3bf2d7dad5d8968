#!/usr/bin/python3
# 5011-relay-dovecot.t - Dovecot's own delivery agent: what it says of each recipient is what becomes of the message
# SPDX-License-Identifier: MIT
# S2 S3
import os
import re

from lib.dovecot import Dovecot
from lib.fixture import IS_ROOT, SLOW, is_, run, wait_for
from lib.relay import config, queued, send

MISSING = 'missing@example.net'


def start(t, more='extra_args: [-e]', delay=1, sender_queue=True):
    dovecot = Dovecot(t)
    user = ', user: nobody' if IS_ROOT else ''
    return dovecot, t.master(config(f'type: dovecot, path: {dovecot.lda}, {more}{user}', delay=delay, bounces=sender_queue))


def outcomes(t):
    dovecot, master = start(t, delay=300)
    ident = send(t, 'user1@example.net', 'full@example.net', MISSING, 'user2@example.net')
    for user in ('user1', 'user2'):
        master.wait_log(rf' delivered id={ident} recipient={user}@example.net .*attempts=1 ', 30)
    master.wait_log(rf' failed id={ident} recipient=full@example.net .*'
        r'reply="550 5.7.0 Quota exceeded \(mailbox for user is full\)" attempts=1', 30)
    master.wait_log(rf' failed id={ident} recipient={MISSING} .*reply="550 5.1.1 Delivery failed \(exit status 67\)" attempts=1', 30)
    master.wait_log(rf' bounced id={ident} .*to=s@example.org ')
    wait_for(lambda: not queued(t), what='the message to be gone')
    for user in ('user1', 'user2'):
        messages = dovecot.mail(f'{user}@example.net')
        is_(len(messages), 1, f'{user} has it once')
        is_(messages[0], b'Subject: x\n\nbody\n', 'as it was sent')
    is_(dovecot.mail('full@example.net'), [], 'who is over quota has nothing')


def addresses(t):
    dovecot, master = start(t)
    senders = ['', '-d@example.org', '"-f x"@example.org', '"a \\"b\\" $(id)"@example.org']
    with t.client('smtp') as client:
        client.hello()
        for sender in senders:
            client.mail(sender, ['user1@example.net'], 'Subject: x\r\n\r\nbody\r\n')
        reply = client.mail('s@example.org', ['-d@example.net', '"-e user1"@example.net', '"../user2"@example.net'], 'Subject: x\r\n\r\n')
    # It logs behind the delivery, by another process.
    saved = lambda: re.findall(r' from=<(.*)> saved mail', dovecot.log)
    wait_for(lambda: len(saved()) >= len(senders), 30, 'Dovecot to log them')
    is_(sorted(saved()), sorted(senders), 'each sender is the sender, the null one too')
    is_(len(dovecot.mail('user1@example.net')), len(senders), 'and each message is there')
    ident = re.search(r'\b[0-9a-z]{26}\b', reply.text)[0]
    wait_for(lambda: len(re.findall(rf' failed id={ident} .*reply="550 5.1.1 ', master.log)) == 3, 30, 'three outcomes')
    is_(sorted(os.listdir(os.path.join(dovecot.dir, 'mail'))), ['user1@example.net'], 'and no recipient becomes another')


def away_and_back(t):
    dovecot, master = start(t)
    dovecot.stop()
    ident = send(t, 'user1@example.net')
    master.wait_log(rf' deferred id={ident} .*reply="450 4.3.0 ', 30)
    dovecot.start()
    master.wait_log(rf' delivered id={ident} ', 30)
    is_(len(dovecot.wait_mail('user1@example.net')), 1, 'it has to wait until Dovecot is back, and is there once')


def hanging(t):
    dovecot, master = start(t, f'timeout: {8 * SLOW}')
    master.wait_log(rf' delivered id={send(t, "user1@example.net")} ', 30)
    dovecot.pause()
    ident = send(t, 'user1@example.net')
    master.wait_log(rf' deferred id={ident} .*reply="450 4.4.2 Delivery timed out" attempts=1', 60)
    dovecot.resume()
    master.wait_log(rf' delivered id={ident} ', 60)
    is_(len(dovecot.mail('user1@example.net')), 2, 'while it does not answer a message waits, and is there once')


run(outcomes, addresses, away_and_back, hanging)
