#!/usr/bin/python3
# 9501-relay-faults.t - system calls of worker and spawner that fail: the message waits, and is delivered whole
# SPDX-License-Identifier: MIT
# P6 S8
import glob
import os
import re

from lib.fixture import is_, like, ok, run, wait_for
from lib.relay import config, queued, script, send

DATA = 'Subject: x\r\n\r\n' + ('y' * 76 + '\r\n') * 3000


def deliver(t, fault, attempts):
    """One message through a worker with a fault point; gives the worker and the message's id."""
    save = script(t, 'save', 'echo >>runs; cat >tmp.$$ && mv tmp.$$ saved.$$')
    text = config(f'type: pipe, args: [{save}]')
    t.edge(text)
    worker = t.worker(text, 'q', env={'SLIMTA_FAULT': fault})
    ident = send(t, 'r@example.net', data=DATA)
    worker.wait_log(rf' delivered id={ident} .*attempts={attempts} ', timeout=20)
    wait_for(lambda: not queued(t), what='an empty queue')
    return worker, ident


def check_saved(t, fault):
    runs = len(t.read('runs'))
    is_(runs, 1, f'{fault}: one command ran to its end')
    saved = glob.glob(t.path('saved.*'))
    is_([t.read(path).decode() == DATA for path in saved], [True], 'and saved all of the message')


def deferred(t, fault, reply):
    worker, ident = deliver(t, fault, 2)
    like(worker.log, rf' deferred id={ident} .*reply="450 4\.3\.0 {reply}"', f'{fault}: the message has to wait')


def starting(t):
    deferred(t, 'spawner.fork:1:EAGAIN', 'Command could not be started: Resource temporarily unavailable')
    check_saved(t, 'fork')


def pipes(t):
    deferred(t, 'spawner.pipe:3:EMFILE', 'Command could not be started: Too many open files')
    check_saved(t, 'pipe')


def guard(t):
    """Without a guard no command gets what does not fit into its pipe; the next try to start one is a second later."""
    worker, _ = deliver(t, 'spawner.guard:1:EAGAIN', 2)
    like(worker.log, 'could not start its guard error="Resource temporarily unavailable"', 'said once')
    like(worker.log, ' deferred .*could not be started: Resource temporarily unavailable"', 'the message has to wait')
    check_saved(t, 'guard')


def guard_small(t):
    save = script(t, 'save', 'cat >saved')
    text = config(f'type: pipe, args: [{save}]')
    t.edge(text)
    worker = t.worker(text, 'q', env={'SLIMTA_FAULT': 'spawner.guard:*:EAGAIN'})
    ident = send(t, 'r@example.net')
    worker.wait_log(rf' delivered id={ident} .*attempts=1 ')
    like(worker.log, 'could not start its guard', 'what fits needs no guard')


def pidfd(t):
    deferred(t, 'spawner.pidfd:1:EMFILE', 'Command could not be started: Too many open files')


def reading(t):
    deferred(t, 'spawner.read:2:EIO', 'Message could not be read: Input/output error')
    is_(len([name for name in os.listdir(t.dir) if name.startswith('saved')]), 1,
        'the command that got a part of it saved nothing')


def feeding(t):
    deferred(t, 'spawner.feed:2:EIO', 'Message could not be read: Input/output error')


def message(t):
    deferred(t, 'pipe.memfd:1:EMFILE', 'Message could not be passed on: Too many open files')
    check_saved(t, 'memfd')


def message_memory(t):
    deferred(t, 'pipe.memfd_write:1:ENOSPC', 'Message could not be passed on: No space left on device')
    check_saved(t, 'memfd_write')


def spawner_dies(t):
    worker, _ = deliver(t, 'spawner.pidfd:2:die', 1)
    ident = send(t, 'r@example.net', data=DATA)
    worker.wait_log(rf' delivered id={ident} .*attempts=2 ')
    like(worker.log, rf' in doubt id={ident} ', 'a spawner that dies behind a start leaves it in doubt')
    like(worker.log, 'spawner: ended cause="killed by signal 9"', 'and is started again')


def whole_or_nothing(t):
    """The spawner dies as soon as there is a process: what outlives it has the whole of a message that fits into a pipe."""
    save = script(t, 'save', 'exec 3<&0; { cat <&3 >tmp.$$ && mv tmp.$$ saved.$$; } & wait')
    text = config(f'type: pipe, args: [{save}]')
    t.edge(text)
    worker = t.worker(text, 'q', env={'SLIMTA_FAULT': 'spawner.pidfd:1:die', 'SLIMTA_FAULT_ONCE': t.path('')})
    data = 'Subject: x\r\n\r\n' + ('y' * 76 + '\r\n') * 500
    ident = send(t, 'r@example.net', data=data)
    worker.wait_log(rf' delivered id={ident} ', timeout=30)
    wait_for(lambda: not glob.glob(t.path('tmp.*')), what='an end of what is saved')
    saved = [t.read(path).decode() for path in glob.glob(t.path('saved.*'))]
    ok(saved and set(saved) == {data}, f'saved whole, {len(saved)} times')


def connections(t):
    for fault in ('spawn.connect:1:ECONNREFUSED', 'spawn.send:1:EPIPE', 'spawn.receive:1:EIO',
            'spawner.accept:1:EMFILE', 'spawner.output:1:EIO'):
        worker, _ = deliver(t, fault, 1)
        ok(' deferred ' not in worker.log, f'{fault}: nothing was attempted, or it was of no matter')
        worker.stop()
        t.processes[-2].stop()


def recording(t):
    """What was delivered and could not be recorded is recorded later, and not delivered again."""
    worker, ident = deliver(t, 'disk.rename:1:EIO,disk.unlink:1:EIO', 1)
    like(worker.log, rf' could not record id={ident} queue=q reply="451 ', 'a removal that fails is logged')
    is_(len(re.findall(' could not record ', worker.log)), 1, 'once')
    check_saved(t, 'remove')


run(starting, pipes, guard, guard_small, pidfd, reading, feeding, message, message_memory, spawner_dies, whole_or_nothing, connections,
    recording, faults=True)
