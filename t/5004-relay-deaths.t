#!/usr/bin/python3
# 5004-relay-deaths.t - worker, spawner or its guard killed while a command runs: the next ones deliver
# SPDX-License-Identifier: MIT
import os
import re
import signal

from lib.fixture import is_, like, ok, run, wait_for
from lib.relay import config, queued, script, send

# Hangs the first time; `cat` would take an early end of its stdin for the whole message.
HANG = '''echo $$ >>started
if [ $(wc -l <started) = 1 ]; then cat >/dev/null; exec sleep 60; else cat >tmp; mv tmp saved; fi'''
DATA = 'Subject: x\r\n\r\n' + ('y' * 76 + '\r\n') * 20000


def begin(t):
    """A message whose command hangs; gives the master, the id and the command's pid."""
    hang = script(t, 'hang', HANG)
    master = t.master(config(f'type: pipe, args: [{hang}], timeout: 100'))
    ident = send(t, 'r@example.net', data=DATA)
    wait_for(lambda: os.path.exists(t.path('started')) and t.read('started'), what='the command')
    return master, ident, int(t.read('started'))


def gone(pid):
    return not os.path.exists(f'/proc/{pid}') or open(f'/proc/{pid}/stat').read().split()[2] == 'Z'


def worker(t):
    master, ident, command = begin(t)
    os.kill(master.children('slimta-worker')[0], signal.SIGKILL)
    master.wait_log(rf' ended the command of a worker that is gone id={ident} ')
    wait_for(lambda: gone(command), what='the end of its command')
    master.wait_log(rf' delivered id={ident} .*attempts=1 ')
    is_(t.read('saved').decode(), DATA, 'the next worker delivered all of it')
    is_(queued(t), [], 'and it is gone from the queue')


def worker_while_feeding(t):
    """What the command has not read yet may be another message's soon: it gets no time to end."""
    deaf = script(t, 'deaf', """trap '' TERM; echo $$ >>started
if [ $(wc -l <started) = 1 ]; then head -c 100 >/dev/null; sleep 60; else cat >saved; fi""")
    master = t.master(config(f'type: pipe, args: [{deaf}], timeout: 100'))
    ident = send(t, 'r@example.net', data=DATA)
    wait_for(lambda: os.path.exists(t.path('started')) and t.read('started'), what='the command')
    first = int(t.read('started').split()[0])
    os.kill(master.children('slimta-worker')[0], signal.SIGKILL)
    wait_for(lambda: gone(first), timeout=3, what='the end of a command that does not hear SIGTERM')
    master.wait_log(rf' delivered id={ident} ')
    is_(t.read('saved').decode(), DATA, 'the next worker delivered all of it')


def spawner(t):
    master, ident, command = begin(t)
    os.kill(master.children('slimta-spawner')[0], signal.SIGKILL)
    wait_for(lambda: gone(command), what='the end of its command')
    master.wait_log(rf' in doubt id={ident} recipient=r@example.net ')
    master.wait_log(rf' deferred id={ident} .*reply="450 4.3.0 Spawner ended while the command ran"')
    master.wait_log(rf' delivered id={ident} .*attempts=2 ')
    is_(t.read('saved').decode(), DATA, 'the next spawner delivered all of it')
    ok(master.running(), 'the master went on')


def spawner_while_feeding(t):
    """A command that waits for more does not take what it has for the whole message."""
    slow = script(t, 'slow', 'echo $$ >>started; head -c 100 >/dev/null; sleep 0.3; cat >tmp; mv tmp "saved.$$"')
    master = t.master(config(f'type: pipe, args: [{slow}]'))
    ident = send(t, 'r@example.net', data=DATA)
    wait_for(lambda: os.path.exists(t.path('started')) and t.read('started'), what='the command')
    first = int(t.read('started').split()[0])
    os.kill(master.children('slimta-spawner')[0], signal.SIGKILL)
    master.wait_log(rf' delivered id={ident} ')
    ok(not os.path.exists(t.path(f'saved.{first}')), 'the command of a dead spawner saved nothing')


def guard(t):
    """Killed alone it is followed by another, which does as well for what is under way."""
    slow = script(t, 'slow', """echo $$ >>started
if [ $(wc -l <started) = 1 ]; then head -c 100 >/dev/null; while [ ! -e go ]; do sleep 0.05; done; cat >part; mv part short
else cat >tmp; mv tmp saved; fi""")
    master = t.master(config(f'type: pipe, args: [{slow}], timeout: 100'))
    first = wait_for(lambda: master.children('spawner-guard'), what='a guard')
    ident = send(t, 'r@example.net', data=DATA)
    wait_for(lambda: os.path.exists(t.path('started')) and t.read('started'), what='the command')
    os.kill(first[0], signal.SIGKILL)
    master.wait_log(rf'slimta-spawner.* lost its guard guard={first[0]}$')
    second = wait_for(lambda: [pid for pid in master.children('spawner-guard') if pid not in first], what='another guard')
    is_(len(second), 1, 'a guard that was killed is followed by another')
    os.kill(master.children('slimta-spawner')[0], signal.SIGKILL)
    t.write('go', '')
    master.wait_log(rf'slimta-spawner\[{second[0]}\] .*ended the commands of a spawner that is gone count=1$')
    master.wait_log(rf' in doubt id={ident} recipient=r@example.net ')
    master.wait_log(rf' delivered id={ident} .*attempts=2 ')
    is_(t.read('saved').decode(), DATA, 'the next spawner delivered all of it')
    ok(not os.path.exists(t.path('short')), 'nobody took a part for it')
    wait_for(lambda: gone(second[0]), what='the end of the second guard')
    is_(len(master.children('spawner-guard')), 1, 'the next spawner has one of its own')


def alone(t):
    hang = script(t, 'hang', HANG)
    text = config(f'type: pipe, args: [{hang}], timeout: 100')
    t.edge(text)
    first = t.worker(text, 'q')
    ident = send(t, 'r@example.net', data=DATA)
    wait_for(lambda: os.path.exists(t.path('started')) and t.read('started'), what='the command')
    os.kill(first.children('slimta-spawner')[0], signal.SIGKILL)
    first.wait_log(rf' in doubt id={ident} ')
    first.wait_log(rf' delivered id={ident} .*attempts=2 ')
    ok(True, 'a worker alone has its spawner started again')
    keeper = first.children('slimta-keeper')
    is_(len(keeper), 1, 'by its keeper')
    is_(first.stop(), 0, 'it drains')
    wait_for(lambda: gone(keeper[0]), what='the end of the keeper')
    is_([name for name in os.listdir(t.path('runtime')) if name.startswith('spawner')], [], 'no socket stays')
    like(first.log, r'spawner: ended cause="killed by signal 9"', 'the death was logged')
    is_(len(re.findall(' delivered ', first.log)), 1, 'one delivery')


run(worker, worker_while_feeding, spawner, spawner_while_feeding, guard, alone)
