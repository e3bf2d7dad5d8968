#!/usr/bin/python3
# 7017-queuectl-recorded.t - what is changed stands in the log, however slow, full or quiet that is; else no more is changed
# SPDX-License-Identifier: MIT
import os
import signal
import subprocess

from lib.fixture import is_, like, ok, run, wait_for
from lib.queues import fill, quick_folder

CONFIG = '''@process@    logging: {output: OUTPUT, level: LEVEL}
  worker: {instances: 0}
queue: {q: {type: disk, envelope_dir: @place@/env, meta_dir: @place@/meta, allow_volatile: yes}}
'''


def configured(t, place, output, level='info'):
    t.config(CONFIG.replace('@place@', place).replace('OUTPUT', output).replace('LEVEL', level))


def held(t):
    return len(t.queuectl('--json', 'list', '--state', 'held').splitlines())


def command(t, *args):
    return [t.program('slimta-queuectl'), '-c', t.path('slimta.conf'), *args]


def full(t):
    with quick_folder(t) as place:
        configured(t, place, '/dev/full')
        fill(t, place, 1200)
        done = t.run('slimta-queuectl', '-c', t.path('slimta.conf'), 'hold', '--all', '--yes')
        is_(done.returncode, 1, 'a log that is full is an error')
        is_(done.stderr.decode(), 'slimta-queuectl: the log /dev/full cannot be written: no more is changed\n', 'said once')
        like(done.stdout.decode(), rf'^held {held(t):,} of 1,200 messages\n$', 'and how many were changed')
        ok(held(t) < 1200, 'which is a part')
        done = t.run('slimta-queuectl', '-c', t.path('slimta.conf'), 'suspend', 'a.example', 'b.example')
        is_((done.returncode, done.stdout), (1, b'suspended a.example in queue q\n'), 'no second domain is suspended')


def slow(t):
    """On stderr, as logs are by default, read only when no more goes into it."""
    with quick_folder(t) as place:
        configured(t, place, 'stderr')
        fill(t, place, 3000)
        reader, writer = os.pipe()
        process = subprocess.Popen(command(t, 'hold', '--all', '--yes'), stdout=subprocess.PIPE, stderr=writer, env=t.env)
        os.close(writer)
        wait_for(lambda: held(t), what='it to begin')
        with open(reader, encoding='utf-8') as log:
            lines = log.read().splitlines()
        is_((process.wait(), process.stdout.read()), (0, b'held 3,000 of 3,000 messages\n'), 'who reads slowly is waited for')
        process.stdout.close()
        is_(sum(' queuectl: held ' in line for line in lines), 3000, 'and reads of all that was done')
        is_([line for line in lines if 'lost' in line], [], 'no line is lost')


def quiet(t):
    with quick_folder(t) as place:
        configured(t, place, t.path('slimta.log'), 'error')
        fill(t, place, 1)
        t.queuectl('hold', '--all', '--yes')
        t.queuectl('suspend', 'a.example')
        is_([line.split(' ', 4)[4].split(' id=')[0].split(' domain=')[0] for line in t.read('slimta.log').decode().splitlines()],
            ['held', 'suspended a destination'], 'a log of errors alone has a line for each all the same')


def interrupted(t):
    """Domains are suspended one by one; an interruption lets the one that was begun be logged."""
    with quick_folder(t) as place:
        configured(t, place, t.path('slimta.log'))
        fill(t, place, 1)
        process = t.start('slimta-queuectl', '-c', t.path('slimta.conf'), 'suspend', *[f'{number}.example' for number in range(900)])
        wait_for(lambda: not process.running() or (os.path.exists(t.path('slimta.log')) and t.read('slimta.log')), what='the first')
        process.kill(signal.SIGINT)
        ok(process.wait() in (-signal.SIGINT, 0), 'interrupted')
        count = len(t.queuectl('--json', 'suspend').splitlines())
        is_(t.read('slimta.log').decode().count('suspended a destination'), count, f'{count} are suspended, and logged')
        if count < 900:
            like(process.log, 'interrupted: all further domains are as they were', 'which is said')


run(full, slow, quiet, interrupted)
