#!/usr/bin/python3
# 5030-relay-static-data.t - large messages in bounded memory, long lines, files cut short under a worker (lesson P19)
# SPDX-License-Identifier: MIT
import os

from lib.fixture import SLOW, is_, like, ok, run, unlike, wait_for
from lib.next_hop import NextHop
from lib.process import memory_kb
from lib.relay import config, queued, send

MEGABYTE = 1 << 20


def start(t, hop, delay=300):
    text = config(f'type: static, host: 127.0.0.1, port: {hop.port}', delay=delay)
    return t.master(text.replace('queue: q, listener', 'queue: q, max_size: 100M, listener'))


def large(t):
    hop = NextHop(t, extensions=('PIPELINING', 'SIZE 100000000'))
    master = start(t, hop)
    master.wait_log(rf' delivered id={send(t, "a@example.net")} ')
    worker, = master.children('slimta-worker')
    before = memory_kb(worker)
    line = b'.' + b'x' * 70 + b'\r\n'
    data = b'Subject: x\r\n\r\n' + line * (50 * MEGABYTE // len(line)) + b'.\r\n\r\n.'
    ident = send(t, 'a@example.net', 'b@example.net', data=data)
    master.wait_log(rf' delivered id={ident} recipient=b@example.net ', timeout=60)
    ok(hop.messages[-1]['data'] == data + b'\r\n', '50 MB arrive as they were sent')
    is_(hop.messages[-1]['parameters'], [f'SIZE={len(data) + 2}'], 'with their size')
    grown = memory_kb(worker) - before
    ok(SLOW > 1 or grown < 6 * 1024, f'in little memory ({grown} KB more)')
    master.stop()


def long_lines(t):
    hop = NextHop(t)
    master = start(t, hop)
    for size in (998, 999, 1000, 5000, 65536, 200000):
        data = b'Subject: x\r\n\r\n' + b'.' * size + b'\r\n' + b'y' * size + b'\r\nend\r\n'
        ident = send(t, 'a@example.net', data=data)
        master.wait_log(rf' delivered id={ident} ')
        ok(hop.messages[-1]['data'] == data, f'lines of {size} octets are passed on whole')


def cut_short(t):
    """The file ends in the midst of the data: no dot may follow."""
    go = []
    hop = NextHop(t, {'data': [lambda peer, line: wait_for(lambda: go, 30, 'go') and b'']})
    hop.extensions = ('PIPELINING', 'SIZE 100000000')
    master = start(t, hop)
    ident = send(t, 'a@example.net', data=b'Subject: x\r\n\r\n' + (b'x' * 70 + b'\r\n') * 200000)
    wait_for(lambda: 'DATA' in hop.said, what='DATA')
    os.truncate(t.path('env', f'{ident}.env'), 9000000)
    go.append(True)
    match = master.wait_log(rf' deferred id={ident} .*reply="([^"]*)" attempts=1 ', timeout=20)
    is_(match[1], '451 4.3.0 Message could not be read', 'it has to wait')
    like(master.log, rf'error .* could not read a message id={ident} error="Input/output error"', 'which is an error')
    master.wait_log(rf' delivered id={send(t, "a@example.net")} ')
    is_(hop.data_ended, 1, 'one final dot was sent: of the next message')
    unlike(master.log, ' in doubt ', 'nothing is in doubt')
    is_(queued(t), [ident], 'it stays in the queue')


def gone(t):
    """The file is removed while it is sent: what is open is sent to its end."""
    go = []
    hop = NextHop(t, {'data': [lambda peer, line: wait_for(lambda: go, 30, 'go') and b'']})
    hop.extensions = ('PIPELINING', 'SIZE 100000000')
    master = start(t, hop)
    data = b'Subject: x\r\n\r\n' + (b'x' * 70 + b'\r\n') * 200000
    ident = send(t, 'a@example.net', data=data)
    wait_for(lambda: 'DATA' in hop.said, what='DATA')
    os.unlink(t.path('env', f'{ident}.env'))
    go.append(True)
    wait_for(lambda: hop.data_ended or ' could not ' in master.log, 20, 'an end')
    ok(all(message['data'] == data for message in hop.messages), 'whole, or not at all')
    master.wait_log(f' delivered id={send(t, "a@example.net")} ')
    ok(True, 'and the worker goes on')


run(large, long_lines, cut_short, gone)
