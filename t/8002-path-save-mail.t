#!/usr/bin/python3
# 8002-path-save-mail.t - conf/save-mail.sh: a file whole or not at all, wherever the recipient points (P11)
# SPDX-License-Identifier: MIT
import os
import subprocess

from lib.fixture import TOP, is_, like, ok, run

MAIL = b'Subject: x\r\n\r\n\0.\r\nno newline at the end'


def save(t, *args, data=MAIL, **how):
    done = subprocess.run([f'{TOP}/conf/save-mail.sh', *args], input=data, capture_output=True,
        env=t.env, cwd=t.dir, timeout=20, check=False, **how)
    return done.returncode, done.stdout.decode()


def files(folder):
    return sorted(os.path.relpath(os.path.join(at, name), folder) for at, _, names in os.walk(folder)
        for name in names)


def saves(t):
    folder = t.path('mail')
    is_(save(t, folder, 'a@example.net', 'id1'), (0, ''), 'a message is taken')
    is_(t.read('mail/a@example.net/id1.eml'), MAIL, 'octet for octet')
    is_(save(t, folder, 'a@example.net', 'id1', data=b'again')[0], 0, 'the same id again')
    is_(files(folder), ['a@example.net/id1.eml'], 'replaces it, and nothing else is there')


def hostile(t):
    folder = t.folder('inner/mail')
    for recipient in ('', '.', '..', '../x', '.hidden', 'a/../../b', '/etc/passwd', 'a\nb', 'a\x7fb', 'a' * 256):
        status, text = save(t, folder, recipient, 'id1')
        is_(status, 67, f'{recipient[:20]!r} is refused')
        like(text, r'^5\.1\.3 ', 'for good')
    is_(files(t.path('inner')), [], 'and nothing was written')
    for recipient in ('-rf', '--help', '$(touch x)', '`id`', 'a b;c', "'", '*', '\\', 'ü@x'):
        is_(save(t, folder, recipient, 'id1')[0], 0, f'{recipient!r} is a name like any other')
        ok(os.path.exists(os.path.join(folder, recipient, 'id1.eml')), 'its folder has the message')
    is_(len(files(t.path('inner'))), 9, 'and nothing else was written')


def trouble(t):
    like(str(save(t, t.path('mail'), 'a', '../id')), r"^\(75, '4\.3\.0 ", 'an odd id has to wait')
    t.write('file', '')
    is_(save(t, t.path('file'), 'a', 'id1')[0], 75, 'a folder that cannot be made has to wait')
    is_(save(t, t.path('mail'))[0], 64, 'wrong usage')
    full = save(t, t.path('mail'), 'b', 'id1', data=b'x' * 100000,
        preexec_fn=lambda: __import__('resource').setrlimit(__import__('resource').RLIMIT_FSIZE, (5000, 5000)))
    is_(full[0], 75, 'a message that cannot be written whole has to wait')
    is_(files(t.path('mail')), [], 'and leaves nothing')


run(saves, hostile, trouble)
