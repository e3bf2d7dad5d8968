#!/usr/bin/python3
# 5074-relay-tls-memory.t - a thousand connections by TLS leave a worker as large as it was
# SPDX-License-Identifier: MIT
# P12
import re

from lib.certificates import Certificates
from lib.fixture import SLOW, diag, ok, run, wait_for
from lib.next_hop import CLOSE, NextHop
from lib.process import memory_kb
from lib.relay import config

PARTS = (250 // SLOW, 500 // SLOW, 250 // SLOW)
MOST_KB = 1024          # of a struct that is lost with each connection there would be a multiple


def fill(t, count):
    with t.client('smtp') as client:
        client.hello()
        for _ in range(count):
            client.mail('', ['a@example.net'], 'Subject: x\r\n\r\nx\r\n')


def worker_of(master):
    return int(re.search(r'slimta-worker\[(\d+)\] process: ready queue=q\b', master.log)[1])


def grows_not(t):
    """Each message has a connection of its own."""
    certificates = Certificates(t)
    hop = NextHop(t, {'.': lambda peer, line: ('250 2.6.0 taken', CLOSE)}, tls=certificates.server())
    master = t.master(config(f'type: static, host: localhost, port: {hop.port}, tls: {{cert_reqs: required, ca_certs: {certificates.ca}}}'
        ', concurrent_connections: 2', delay=300))
    worker = worker_of(master)
    sizes = []
    for part in PARTS:
        before = len(hop.messages)
        fill(t, part)
        wait_for(lambda before=before, part=part: len(hop.messages) >= before + part, 120 * SLOW, 'the messages to arrive')
        sizes.append(memory_kb(worker))
    diag(f'{hop.connections} connections, {hop.resumed} resumed, {sizes} KB')
    ok(hop.connections >= sum(PARTS), 'each message had a connection of its own')
    ok(all(mail['tls'] for mail in hop.messages), 'by TLS')
    ok(SLOW > 1 or sizes[-1] - sizes[0] < MOST_KB, 'the worker has not grown')
    ok(master.running(), 'it goes on')
    master.stop()


run(grows_not)
