#!/usr/bin/python3
# 5042-worker-now-files.t - the files that say what workers hold: numbers, heirs, and what strangers leave there
# SPDX-License-Identifier: MIT
import glob
import os
import re

from lib.fixture import IS_ROOT, is_, like, ok, run, unlike, wait_for
from lib.relay import config, queued, script, send

WAIT = 'echo $1 >>started; while [ ! -e go ]; do sleep 0.02; done; cat >/dev/null'


def files(t):
    return sorted(os.path.basename(path) for path in glob.glob(t.path('runtime', '*.now')))


def three(t):
    master = t.master(config('type: blackhole').replace('worker: {instances: 1}', 'worker: {instances: 3}'))
    is_(files(t), ['q-0.now', 'q-1.now', 'q-2.now'], 'each of three workers has its own')
    for name in ('q-0.now', 'q-1.now', 'q-2.now'):
        is_(os.stat(t.path('runtime', name)).st_mode & 0o777, 0o600, 'nobody else reads it')
    before = master.children('slimta-worker')
    for pid in before:
        os.kill(pid, 9)
    wait_for(lambda: not set(master.children('slimta-worker')) & set(before) and
        len(re.findall('child is ready child=worker', master.log)) == 6, what='their successors')
    is_(files(t), ['q-0.now', 'q-1.now', 'q-2.now'], 'and their successors take the same numbers')
    unlike(master.log, 'dead worker held', 'as those had nothing')
    master.wait_log(rf' delivered id={send(t, "a@example.net")} ')
    is_(master.stop(), 0, 'at the end')
    is_(files(t), [], 'they are gone')


def at_once(t):
    """A dead worker's file, and several who come at once: one of them sees to it."""
    text = config(f'type: pipe, args: [{script(t, "wait", WAIT)}, "{{message_id}}"], concurrent_processes: 1')
    t.edge(text)
    first = t.worker(text, 'q')
    ident = send(t, 'r@example.net')
    wait_for(lambda: os.path.exists(t.path('started')) and t.read('started'), what='a command')
    first.kill()
    first.wait()
    more = ['--allow-root'] if IS_ROOT else []
    heirs = [t.start('slimta-worker', '-c', first.conf, '--queue', 'q', *more) for _ in range(4)]
    for heir in heirs:
        heir.wait_log(r'slimta-worker\S+ process: ready')
    log = ''.join(heir.log for heir in heirs)
    is_(len(re.findall(' in doubt id=', log)), 1, 'it is said once')
    is_(re.findall(r' gave a strike id=(\S+)', log), [ident], 'and struck once')
    is_(len(files(t)), 4, 'each has its own file')
    t.write('go', '')
    wait_for(lambda: not queued(t), what='an empty queue')


def strangers(t):
    """Whatever stands there keeps no worker from its work."""
    text = config('type: blackhole')
    t.edge(text)
    octets = os.urandom(4096)
    for name, data in (('q-0.now', octets), ('q-1.now', b''), ('q-2.now', b'\0' * 512), ('q-3.now', octets[:100]),
            ('other-0.now', octets), ('q-0-0.now', octets), ('q-.now', octets), ('q-99999999999.now', octets)):
        t.write(f'runtime/{name}', data, 0o666)
    os.mkdir(t.path('runtime', 'q-4.now'))
    os.mkfifo(t.path('runtime', 'q-5.now'), 0o666)
    os.symlink('/etc/passwd', t.path('runtime', 'q-6.now'))
    before = open('/etc/passwd', 'rb').read()
    worker = t.worker(text, 'q')
    worker.wait_log(rf' delivered id={send(t, "a@example.net")} ')
    is_(len(re.findall('could not tell what a dead worker held .*because="the file is damaged"', worker.log)), 2,
        'of what was damaged there is a line')
    is_(files(t), sorted(['q-0.now', 'other-0.now', 'q-0-0.now', 'q-.now', 'q-99999999999.now', 'q-4.now', 'q-5.now',
        'q-6.now']), 'damaged ones are away, what is not a file or of another queue stays')
    is_(open('/etc/passwd', 'rb').read(), before, 'no link was followed')
    like(t.queuectl('list'), '^ID ', 'and nobody who looks falls over it')
    is_(worker.stop(), 0, 'the worker ends')


def cut_short(t):
    """Somebody cuts the file of a worker that looks at others' only by reading."""
    text = config(f'type: pipe, args: [{script(t, "wait", WAIT)}, "{{message_id}}"], concurrent_processes: 1')
    t.edge(text)
    worker = t.worker(text, 'q')
    send(t, 'r@example.net')
    wait_for(lambda: os.path.exists(t.path('started')) and t.read('started'), what='a command')
    data = t.read('runtime/q-0.now')
    worker.kill()
    worker.wait()
    for size in (0, 10, 511, 512, 600, len(data) - 1):
        t.write('runtime/q-0.now', data[:size])
        again = t.worker(text, 'q')
        again.wait_log(r'slimta-worker\S+ process: ready')
        unlike(again.log, 'gave a strike|in doubt', f'of {size} octets nothing is believed')
        is_(files(t), ['q-0.now'], 'and its number is free')
        again.kill()
        again.wait()
        for name in files(t):
            os.remove(t.path('runtime', name))
    ok(len(queued(t)) == 1, 'the message is there')


run(three, at_once, strangers, cut_short)
