#!/usr/bin/python3
# 4001-queue-disk-options.t - bounds and places of a disk queue: refused at MAIL, refused at start (P20)
# SPDX-License-Identifier: MIT
import os
import shutil
import tempfile

from lib.fixture import is_, like, ok, run, skip, wait_for

CONFIG = '''
@process@
  edge: {instances: 1}
  worker: {instances: 0}
edge:
  in: {type: smtp, queue: main, listener: {interface: 127.0.0.1, port: @port:smtp@}}
queue:
  main:
    type: disk
    envelope_dir: @dir@/messages
    meta_dir: @dir@/meta
    OPTIONS
'''
VOLATILE = 'allow_volatile: yes'    # where TMPDIR is in memory


def options(*lines):
    return CONFIG.replace('OPTIONS', '\n    '.join([VOLATILE, *lines]))


def bounds(t):
    edge = t.edge(options('max_messages: 2'))
    for _ in range(2):
        with t.client('smtp') as client:
            client.hello()
            client.mail('a@example.org', ['b@example.net'], 'Subject: x\r\n\r\n')
    with t.client('smtp') as client:
        client.hello()

        def refused():
            client.line('MAIL FROM:<a@example.org>')
            first = client.reply()
            client.line('RSET')
            client.reply()
            return first.code == 452 and first
        # How many there are is looked up in the background, while commands ask for it.
        like(wait_for(refused, 10, '452 at MAIL').text, r'^4\.3\.1 ', 'max_messages: refused at MAIL')
        client.cmd('NOOP', 250, '', 'the session lives')
    is_(edge.stop(), 0, 'the edge ends well')
    t.edge(options('min_free: 1000000G'))
    with t.client('smtp') as client:
        client.hello()
        client.cmd('MAIL FROM:<a@example.org>', 452, r'^4\.3\.1 ', 'min_free: refused at MAIL')


def places(t):
    edge = t.edge(options('tmp_dir: @dir@/arriving', 'allow_network: yes', 'scan_interval: 5'))
    ok(os.path.isdir(t.path('arriving')), 'tmp_dir is made')
    with t.client('smtp') as client:
        client.hello()
        client.mail('a@example.org', ['b@example.net'], 'Subject: x\r\n\r\n')
    is_(len([name for name in os.listdir(t.path('messages')) if name.endswith('.env')]), 1, 'a message is stored')
    is_(edge.stop(), 0, 'the edge ends well')


def volatile(t):
    """A queue in memory has to be asked for."""
    if not os.path.ismount('/dev/shm') or not os.access('/dev/shm', os.W_OK):
        skip('no file system in memory', 'a queue in memory')
        return
    folder = tempfile.mkdtemp(prefix='slimta-t-', dir='/dev/shm')
    try:
        text = options().replace('@dir@/messages', f'{folder}/messages').replace('@dir@/meta', f'{folder}/meta')
        done = t.run('slimta-edge', '-c', t.config(text.replace(VOLATILE, '')), '--allow-root')
        is_(done.returncode, 1, 'a queue in memory is refused')
        like(done.stderr, r'allow_volatile', 'and the key that allows it is named')
        for option in '--check', '--no-daemon':
            done = t.run('slimta-master', '-c', t.path('slimta.conf'), '--allow-root', option)
            is_(done.returncode, 1, f'{option}: the master refuses it before it starts anything')
            like(done.stderr, r'slimta\.conf:\d+:\d+: queue\.main\.envelope_dir: .* allow_volatile: true', 'at its place')
        edge = t.edge(text)
        is_(edge.stop(), 0, 'told to, it is taken')
        elsewhere = options('tmp_dir: ' + folder)
        done = t.run('slimta-edge', '-c', t.config(elsewhere), '--allow-root')
        if os.stat(folder).st_dev == os.stat(t.dir).st_dev:
            skip('TMPDIR is in memory too', 'tmp_dir elsewhere')
        else:
            is_(done.returncode, 1, 'a tmp_dir on another file system is refused')
            like(done.stderr, 'tmp_dir', 'and named')
            done = t.run('slimta-master', '-c', t.path('slimta.conf'), '--allow-root', '--check')
            is_(done.returncode, 1, '--check refuses it too')
            like(done.stderr, r'slimta\.conf:\d+:\d+: queue\.main\.tmp_dir: .* is not on the file system of envelope_dir', 'at its place')
    finally:
        shutil.rmtree(folder)


run(bounds, places, volatile)
