#!/usr/bin/python3
# 7008-queuectl-away.t - what cannot be asked, or read, is said once a command, and nothing is claimed of it
# SPDX-License-Identifier: MIT
import os

from lib.fixture import is_, like, run, unlike
from lib.mail import send

CONFIG = '''@process@  worker: {instances: 0}
edge: {main: {type: smtp, queue: q, listener: {port: @port:smtp@}}}
queue: {q: {type: disk, envelope_dir: @dir@/env, meta_dir: @dir@/meta, allow_volatile: yes}}
'''
LOGGED = CONFIG.replace('@process@', '@process@    logging: {output: @dir@/slimta.log}\n')
MESSAGE = ('a@example.net', ['x@example.org'], b'Subject: x\r\n\r\nx\r\n')


def queuectl(t, *args):
    done = t.run('slimta-queuectl', '-c', t.path('slimta.conf'), *args)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def once(t):
    """What goes wrong with a queue is said once by a command, however often it comes upon it."""
    edge = t.edge(CONFIG)
    send(t, 'smtp', *[MESSAGE] * 3)
    is_(edge.stop(), 0, 'the edge ends')
    t.config(LOGGED)
    with open(t.path('meta/.settings'), 'w', encoding='utf-8') as settings:
        settings.write('{')
    for args, lines in ((('resume', 'a.example', 'b.example'), 0), (('list',), 4), (('suspend',), 0), (('hold', '--all', '--dry-run'), 5)):
        code, out, err = queuectl(t, *args)
        is_((code, len(out.splitlines())), (1, lines), f'{args[0]}: settings that cannot be read are an error, the rest is done')
        like(err, r'^slimta-queuectl: q: 4\d\d [^\n]*settings[^\n]*\n$', 'said once')
    os.unlink(t.path('meta/.settings'))
    os.symlink('/nonexistent', t.path('env', '0' * 26 + '.env'))
    for args in (('hold', '--all', '--yes'), ('status',), ('list', '--sort', 'age'), ('retry', '--all', '--dry-run'), ('remove', '--all', '--yes')):
        code, out, err = queuectl(t, *args)
        like(err, r'^slimta-queuectl: q: 451 [^\n]*1 message cannot be read, first 0{26}: [^\n]+\n$', f'{args[0]}: one that cannot be read, once')
        is_(code, 1, 'is an error')
    is_(out, 'removed 3 of 3 messages\n', 'and the others go on')


def partly(t):
    """Of two queues one is away: what is not in the other one may be there."""
    t.config(CONFIG.replace('queue: {q', 'queue: {away: {type: disk, envelope_dir: @dir@/nosuch, meta_dir: @dir@/nosuch}, q'))
    for folder in ('env', 'meta'):
        t.folder(folder)
    for command in ('show', 'hold', 'list', 'remove'):
        code, out, err = queuectl(t, command, '0' * 26)
        is_(code, 1, f'{command} ID exits 1')
        like(err, rf'^slimta-queuectl: away: 451 [^\n]+\nslimta-queuectl: 0{{26}}: not in any queue that could be opened\n$', 'and says so')
        unlike(out, 'not there', 'it is not said to be gone')
    code, out, err = queuectl(t, 'resume', 'a.example')
    like(err, r'(?m)^slimta-queuectl: a\.example: not suspended in any queue that could be opened$', 'resume')
    is_((code, out), (1, ''), 'too')


def silent(t):
    """The worker of a queue in memory that takes requests and answers none: it is asked once a command."""
    t.config(LOGGED.replace('type: disk, envelope_dir: @dir@/env, meta_dir: @dir@/meta, allow_volatile: yes', 'type: memory'))
    os.makedirs(t.path('runtime'), mode=0o750)
    asked = []

    def script(peer):
        asked.append(peer.read_until(b'\n'))
        peer.close()
    t.server(script, path=t.path('runtime/queue-q'))
    for args in (('list',), ('status',), ('hold', '--all', '--yes'), ('suspend', 'a.example'), ('resume', 'a.example'), ('show', '0' * 26)):
        code, out, err = queuectl(t, *args)
        is_((code, len(asked)), (1, 1), f'{args[0]} fails: {asked}')
        asked.clear()
        like(err, r"^slimta-queuectl: (0{26}: queue )?q: 451 4\.[^\n]* The queue's worker [^\n]*\n$", 'which is said once')
        unlike(out, 'suspended|resumed', 'nothing is claimed to be done')


run(once, partly, silent)
