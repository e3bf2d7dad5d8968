#!/usr/bin/python3
# 5002-relay-pipe-outcomes.t - each recipient has an outcome of its own, and none is served twice
# SPDX-License-Identifier: MIT
# S2 S3
import os
import re

from lib.fixture import is_, like, ok, run, unlike, wait_for
from lib.relay import config, queued, script, send

DELIVER = '''cat >/dev/null; echo "$1" >>tried
case $1 in
later*) [ $(grep -c later tried) -ge 3 ] || { echo Not yet; exit 75; } ;;
never*) echo "5.1.1 Nobody of that name"; exit 67 ;;
killed*) [ $(grep -c killed tried) -ge 2 ] || kill -9 $$ ;;
esac'''


def outcomes(t):
    deliver = script(t, 'deliver', DELIVER)
    master = t.master(config(f'type: pipe, args: [{deliver}, "{{recipient}}"]'))
    ident = send(t, 'ok@a.example', 'later@b.example', 'killed@c.example')
    for recipient, attempts in (('ok@a.example', 1), ('killed@c.example', 2), ('later@b.example', 3)):
        master.wait_log(rf' delivered id={ident} recipient={recipient} .*attempts={attempts} ')
    is_(sorted(t.read('tried').decode().split()),
        ['killed@c.example'] * 2 + ['later@b.example'] * 3 + ['ok@a.example'], 'each was tried until it was served')
    like(master.log, rf' deferred id={ident} recipient=later@b.example relay=r .*reply="450 4.3.0 Not yet" '
        'attempts=1 .*delay_ms=1000', 'exit status 75 has to wait')
    like(master.log, rf' deferred id={ident} recipient=killed@c.example .*reply="450 4.3.0 Command was ended by signal 9"',
        'so does the end by a signal')
    is_(len(re.findall(rf' delivered id={ident} ', master.log)), 3, 'three lines for three recipients')
    is_(queued(t), [], 'then the message is gone')


def permanent(t):
    deliver = script(t, 'deliver', DELIVER)
    master = t.master(config(f'type: pipe, args: [{deliver}, "{{recipient}}"]', delay=1))
    ident = send(t, 'never@a.example', 'ok@b.example')
    master.wait_log(rf' failed id={ident} recipient=never@a.example .*reply="550 5.1.1 Nobody of that name" attempts=1')
    bounce = master.wait_log(rf' bounced id={ident} notification=(\S+) to=s@example.org ')[1]
    master.wait_log(rf' (?:failed|delivered|deferred) id={bounce} ')
    ok(ident not in queued(t), 'a permanent failure is told, then the message is gone')
    tried = t.read('tried').decode().split()
    is_((tried.count('ok@b.example'), tried.count('never@a.example')), (1, 1), 'and nobody is tried again')


def not_startable(t):
    master = t.master(config(f'type: pipe, args: [{t.path("absent")}]'))
    ident = send(t, 'r@a.example')
    master.wait_log(rf' deferred id={ident} .*reply="450 4.3.0 Command could not be started: No such file')
    script(t, 'absent', 'cat >saved')
    master.wait_log(rf' delivered id={ident} ')
    is_(t.read('saved'), b'Subject: x\r\n\r\nbody\r\n', 'it is delivered when the program is there')
    unlike(master.log, r'\berror\b', 'and nobody was called')


def option_by_a_peer(t):
    deliver = script(t, 'deliver', 'cat >/dev/null; echo "$@" >>tried')
    master = t.master(config(f'type: pipe, args: [{deliver}, "{{recipient}}"]', delay=300))
    ident = send(t, '-rf@a.example')
    master.wait_log(rf' failed id={ident} .*reply="554 5.3.0 Argument 1 of the command would begin with \\"-\\""')
    with t.client('smtp') as client:
        client.hello()
        client.mail('a@a.example', ['"$(touch x)"@b.example', '`touch${IFS}x`|x@b.example'], 'Subject: x\r\n\r\n')
    wait_for(lambda: len(re.findall(' delivered id=', master.log)) == 3, what='both deliveries, and that of a bounce')
    is_(sorted(t.read('tried').decode().splitlines()),
        ['"$(touch x)"@b.example', '`touch${IFS}x`|x@b.example', 's@example.org'], 'what a shell would run is a name')
    ok(not os.path.exists(t.path('x')), 'and nothing else')


run(outcomes, permanent, not_startable, option_by_a_peer)
