#!/usr/bin/python3
# 7006-queuectl-faults.t - storage, log and master that fail are said, by exit status 1, and nothing is half done
# SPDX-License-Identifier: MIT
import os
import re
import subprocess

from lib.fixture import is_, like, ok, run, unlike
from lib.mail import send

CONFIG = '''@process@  worker: {instances: 0}
edge: {main: {type: smtp, queue: q, listener: {port: @port:smtp@}}}
queue: {q: {type: disk, envelope_dir: @dir@/env, meta_dir: @dir@/meta, allow_volatile: yes}}
'''
LOGGED = CONFIG.replace('@process@', '@process@    logging: {output: @dir@/slimta.log}\n')
MESSAGE = ('a@example.net', ['x@example.org'], b'Subject: x\r\n\r\nx\r\n')


def queuectl(t, fault, *args):
    done = t.run('slimta-queuectl', '-c', t.path('slimta.conf'), *args, env={'SLIMTA_FAULT': fault})
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def storage(t):
    edge = t.edge(CONFIG)
    message, *more = send(t, 'smtp', *[MESSAGE] * 5)
    is_(edge.stop(), 0, 'the edge ends')
    t.config(LOGGED)
    for fault, command in (('disk.open:1:EACCES', ['list']), ('disk.open:1:EIO', ['status']), ('disk.statfs:1:EIO', ['list']),
            ('disk.open:*:EMFILE', ['show', message]), ('disk.open:1:EIO', ['remove', message])):
        code, out, err = queuectl(t, fault, *command)
        is_(code, 1, f'{fault}: {command[0]} exits 1')
        like(err, r'^slimta-queuectl: q: [45]\d\d [45]\.\d\.\d [^\n]+\n$', 'with the reply of the storage, once')
        unlike(out, message, 'and shows nothing')
    for fault, one in zip(('disk.rename:*:EIO,disk.unlink:*:EIO', 'disk.dirsync:*:EIO', 'disk.lock:*:EIO',
            'disk.rename:*:EROFS,disk.unlink:*:EROFS'), more):
        code, out, err = queuectl(t, fault, 'remove', one)
        is_((code, out), (1, 'removed 0 of 1 message, 1 failed\n'), f'{fault}: remove exits 1')
        like(err, rf'(?m)^slimta-queuectl: {one}: .*4\d\d ', 'with the reply')
    log = t.read('slimta.log').decode() if os.path.exists(t.path('slimta.log')) else ''
    unlike(log, 'queuectl: removed', 'nothing is logged as removed')
    is_(queuectl(t, '', 'remove', message, more[0], more[3])[:2], (0, 'removed 3 of 3 messages\n'), 'then they are removed')


def vanished(t):
    """Messages that are gone between being counted and being changed: all are accounted for, in one line."""
    edge = t.edge(CONFIG)
    send(t, 'smtp', *[MESSAGE] * 3)
    is_(edge.stop(), 0, 'the edge ends')
    t.config(LOGGED)
    gone = 0
    for visit in range(11, 22):
        code, out, err = queuectl(t, f'disk.open:{visit}:ENOENT', 'retry', '--all', '--yes')
        is_((code, err), (0, ''), f'file {visit} is gone: nothing failed')
        done = re.fullmatch(r'made due (\d) of (\d) messages(?:, (\d) gone or changed meanwhile)?\n', out)
        is_(done and int(done[1]) + int(done[3] or 0), done and int(done[2]), 'each is in the counts')
        gone += bool(done and done[3])
    ok(gone, f'{gone} times one was not there')


def unread(t):
    """Nobody reads what is printed, which is more than is kept back: all is done as it was asked for."""
    domains = [f'{number}.example' for number in range(300)]
    t.config(LOGGED)
    for folder in ('env', 'meta'):
        t.folder(folder)
    for command, left in (('suspend', 300), ('resume', 0)):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run([t.program('slimta-queuectl'), '-c', t.path('slimta.conf'), command, *domains],
            stdout=writer, stderr=subprocess.PIPE, check=False)
        os.close(writer)
        is_((done.returncode, done.stderr), (1, b'slimta-queuectl: cannot write: Broken pipe\n'), f'{command} says that')
        is_(len(t.queuectl('--json', 'suspend').splitlines()), left, 'for every domain')


def content(t):
    edge = t.edge(CONFIG)
    message, = send(t, 'smtp', MESSAGE)
    is_(edge.stop(), 0, 'the edge ends')
    code, out, err = queuectl(t, 'stored.read:*:EIO', 'show', '--message', message)
    is_((code, out), (1, ''), 'content that cannot be read')
    like(err, message, 'is said')


def master(t):
    t.config(CONFIG)
    os.makedirs(t.path('runtime'), mode=0o750)
    t.folder('env')
    t.folder('meta')
    for number, (answer, said) in enumerate(((b'nonsense\n', 'cannot be understood'), (b'{"a":1}', 'cannot be understood'),
            (b'', 'closed without an answer'), (b'{"error":"no\\u001b[2J"}\n', r'no\\x1B\[2J'), (b'[]\n', 'cannot be understood'))):
        if os.path.exists(t.path('runtime/master')):
            os.unlink(t.path('runtime/master'))

        def script(peer, text=answer):
            peer.read_until(b'\n')
            peer.send(text)
            peer.close()
        t.server(script, path=t.path('runtime/master'))
        text = t.queuectl('status')
        like(text, rf'(?m)^no processes are known: .*/runtime/master: .*{said}', f'answer {number}: {answer[:10]!r}')


run(storage, vanished, unread, content, master, faults=True)
