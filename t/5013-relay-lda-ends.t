#!/usr/bin/python3
# 5013-relay-lda-ends.t - maildrop and dovecot: however a delivery agent ends, the message waits or fails, and never vanishes
# SPDX-License-Identifier: MIT
# S2 S3
import os
import re

from lib.fixture import SLOW, is_, ok, run, wait_for
from lib.relay import config, queued, script, send

THREE = ('a@example.net', 'b@example.net', 'c@example.net')
# What it does stands in the subject; it reads all of the message.
AGENT = r"""set -- $(sed -n 's/^Subject: \([a-z]*\) *\([0-9]*\).*/\1 \2/p'); echo "$1" >>runs
case $1 in
exit) echo "maildrop: no $2" >&2; exit $2 ;;
silent) exit $2 ;;
killed) kill -$2 $$; sleep 60 ;;
hangs) sleep 600 & wait ;;
endless) yes ;;
chatty) yes "0123456789 " | head -c 3000000; exit $2 ;;
waits) while [ ! -e go ]; do sleep 0.02; done ;;
esac"""
ENDS = (
    ('exit 75', 'deferred', '450 4.3.0 no 75'), ('exit 71', 'deferred', '450 4.3.0 no 71'), ('exit 78', 'deferred', '450 4.3.0 no 78'),
    ('exit 126', 'deferred', '450 4.3.0 no 126'), ('silent 127', 'deferred', r'450 4.3.0 Delivery failed \(exit status 127\)'),
    ('exit 65', 'failed', '550 5.6.0 no 65'), ('exit 67', 'failed', '550 5.1.1 no 67'), ('exit 1', 'failed', '550 5.3.0 no 1'),
    ('silent 77', 'failed', r'550 5.7.0 Delivery failed \(exit status 77\)'),
    ('killed 9', 'deferred', '450 4.3.0 Command was ended by signal 9'),
    ('killed 15', 'deferred', '450 4.3.0 Command was ended by signal 15'),
    ('hangs', 'deferred', '450 4.4.2 Delivery timed out'), ('endless', 'deferred', '450 4.4.2 Delivery timed out'),
    ('chatty 70', 'failed', '550 5.3.0 0123456789 '))


def start(t, relay, agent=AGENT, delay=300):
    agent = script(t, 'agent', agent)
    return t.master(config(f'{relay}, path: {agent}', delay=delay, bounces=True))


def check_ends(t, relay, prefix):
    master = start(t, f'{relay}, timeout: {6 * SLOW}')
    sent = [(send(t, *THREE, data=f'Subject: {what}\r\n\r\nbody\r\n'), *rest) for what, *rest in ENDS]
    for ident, outcome, reply in sent:
        reply = reply.replace(' no ', f' {prefix}no ')
        for recipient in THREE:
            master.wait_log(rf' {outcome} id={ident} recipient={recipient} .*reply="{reply}(" attempts=1|.*$)', 60)
    wait_for(lambda: queued(t) == sorted(ident for ident, outcome, _ in sent if outcome == 'deferred'), 20, 'failures to be gone')
    ok(True, 'what waits is still there, what failed is not')
    is_(set(re.findall(' bounced id=([0-9a-z]+) .* to=s@example.org ', master.log)),
        {ident for ident, outcome, _ in sent if outcome == 'failed'}, 'whose sender was told')
    return t.read('runs').decode().split()


def maildrop(t):
    runs = check_ends(t, 'type: maildrop', '')
    is_(len(runs), len(ENDS), 'one run for three recipients')


def dovecot(t):
    runs = check_ends(t, 'type: dovecot', 'maildrop: ')
    is_(len(runs), 3 * len(ENDS), 'three runs for three recipients')


def not_startable(t):
    master = start(t, 'type: maildrop', delay=1)
    os.chmod(t.path('agent'), 0o644)
    ident = send(t, *THREE)
    for recipient in THREE:
        master.wait_log(rf' deferred id={ident} recipient={recipient} .*reply="450 4.3.0 Command could not be started: Permission denied"')
    os.unlink(t.path('agent'))
    for recipient in THREE:
        master.wait_log(rf' deferred id={ident} recipient={recipient} .*reply="450 4.3.0 Command could not be started: No such file')
    script(t, 'agent', AGENT)
    for recipient in THREE:
        master.wait_log(rf' delivered id={ident} recipient={recipient} ', 20)
    is_(len(t.read('runs').split()), 1, 'one run, when there was a program')


def lost(t):
    """The spawner dies while the command runs, then the worker."""
    master = start(t, 'type: maildrop', delay=1)
    ident = send(t, *THREE, data='Subject: waits\r\n\r\n')
    wait_for(lambda: os.path.exists(t.path('runs')), what='the command to run')
    os.kill(master.children('slimta-spawner')[0], 9)
    for recipient in THREE:
        master.wait_log(rf' in doubt id={ident} recipient={recipient} relay=r reason="the spawner ended"', 20)
        master.wait_log(rf' deferred id={ident} recipient={recipient} .*reply="450 4.3.0 Spawner ended while the command ran"', 20)
    wait_for(lambda: len(t.read('runs').split()) == 2, 30, 'the second run')
    worker = re.search(rf'slimta-worker\[(\d+)\] \w+: deferred id={ident}', master.log)[1]
    os.kill(int(worker), 9)
    t.write('go', '')
    for recipient in THREE:
        master.wait_log(rf' delivered id={ident} recipient={recipient} ', 60)
    is_(queued(t), [], 'delivered in the end, for each of them')


run(maildrop, dovecot, not_startable, lost)
