#!/usr/bin/python3
# 3021-edge-disconnect.t - clients that disappear at each step: nothing stays of them, the edge goes on (lesson P19)
# SPDX-License-Identifier: MIT
import os
import socket
import struct

from lib.edge import config, stored
from lib.fixture import is_, ok, run, wait_for

LARGE = ('y' * 76 + '\r\n') * 500
STEPS = ('', 'EHLO c.example\r\n', 'MAIL FROM:<a@b.example>\r\n', 'RCPT TO:<c@d.example>\r\n', 'DATA\r\n', 'Subject: x\r\n\r\n',
    LARGE, '.\r\n')


def leave(client, how):
    """By FIN, by RST, or by FIN of our side first."""
    if how == 'reset':
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    elif how == 'half':
        client.sock.shutdown(socket.SHUT_WR)
    client.close()


def descriptors(pid):
    return len(os.listdir(f'/proc/{pid}/fd'))


def disconnects(t):
    t.folder('spool')
    edge = t.edge(config('', '    spool_dir: @dir@/spool\n    spool_threshold: 4K\n'))
    with t.client('smtp') as client:
        client.hello()
        client.mail('a@b.example', ['c@d.example'], 'Subject: first\r\n\r\n')
    edge.wait_log('disconnected')
    before, gone = descriptors(edge.pid), 1
    for how in ('close', 'reset', 'half'):
        for last in range(len(STEPS)):
            client = t.client('smtp')
            client.reply()
            for number, step in enumerate(STEPS[:last + 1]):
                client.send(step)
                # Of what is sent last no answer is waited for.
                if number < last and step and step.endswith('\r\n') and number < 5:
                    client.reply()
            leave(client, how)
            gone += 1
            wait_for(lambda wanted=gone: edge.log.count(' disconnected ') == wanted, 10, f'{how} after step {last}')
        ok(edge.running(), f'{how}: the edge lives')
    wait_for(lambda: descriptors(edge.pid) == before, 10, 'all descriptors to be closed')
    is_(os.listdir(t.path('spool')), [], 'no spool file is left')
    subjects = [message['content'][:14] for message in stored(t)]
    ok(subjects[0] == b'Subject: first' and len(subjects) <= 4, 'only what had its dot may be there')
    ok(all(message['content'].endswith(LARGE.encode()) for message in stored(t)[1:]), 'and that whole')
    with t.client('smtp') as client:
        client.hello()
        client.mail('a@b.example', ['c@d.example'], 'Subject: last\r\n\r\n')
    is_(edge.stop(), 0, 'the edge ends well')


run(disconnects)
