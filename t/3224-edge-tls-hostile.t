#!/usr/bin/python3
# 3224-edge-tls-hostile.t - sessions by chance are answered within TLS, in records of any size, as in clear
# SPDX-License-Identifier: MIT
# P16
import random
import re
import socket

from lib.certificates import Certificates
from lib.edge import secure, stored, with_tls
from lib.fixture import diag, is_, ok, run
from lib.hostile import Hostile

SEEDS = range(60)


def said(client):
    """All that comes up to the end, without what is of one message alone."""
    octets = client.read_until(b'never')
    return re.sub(rb'delivery; \w{26}', b'delivery; ID', octets)


def send(client, octets, cuts):
    """In pieces, each a record; then the end."""
    try:
        while octets:
            size = cuts.choice([1, 2, 5, 50, 500, 5000, 50000])
            client.send(octets[:size])
            octets = octets[size:]
        socket.socket.shutdown(client.sock, socket.SHUT_WR)
    except OSError:
        pass


def one(t, port, octets, cuts, context):
    with t.client(port) as client:
        if context:
            secure(client, context, starttls=False)
        client.expect(220)
        send(client, octets, cuts)
        return said(client)


def same(t):
    certificates = Certificates(t)
    context = certificates.client()
    text = with_tls(certificates, ', tls_immediately: yes, disable_extensions: [STARTTLS, REQUIRETLS], max_errors: 20, max_size: 20K')
    main = re.search(r'  main: .*\n', text)[0]
    clear = re.sub(r', tls: {.*?}, tls_immediately: yes', '', main).replace('main', 'clear').replace('smtp@', 'clear@')
    edge = t.edge(text.replace(main, main + clear))
    differing = 0
    for seed in SEEDS:
        octets = Hostile(seed).session()
        before = len(stored(t))
        in_clear = one(t, 'clear', octets, random.Random(seed), None)
        between = len(stored(t))
        in_tls = one(t, 'smtp', octets, random.Random(seed + 1), context)
        messages = [(m['sender'], m['recipients'], m['content']) for m in stored(t)[before:]]
        if in_clear != in_tls or messages[:between - before] != messages[between - before:]:
            differing += 1
            diag(f'seed {seed}: {in_clear!r}\nand {in_tls!r}\n{len(messages)} messages')
    is_(differing, 0, f'{len(SEEDS)} sessions are answered alike')
    ok(len(stored(t)) > 10, f'with {len(stored(t))} messages')
    ok(edge.running(), 'and the edge goes on')


run(same)
