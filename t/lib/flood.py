# flood.py - many clients of one edge, side by side, that send much and read little
# SPDX-License-Identifier: MIT
import select
import socket

from .peer import Client


def connect(t):
    """A client whose receive buffer is small, so that replies stay with the edge if it reads none."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(('127.0.0.1', t.port('smtp')))
    t.sockets.append(sock)
    client = Client(sock, t.timeout)
    client.reply()
    client.line('EHLO client.example')
    client.reply()
    return client


def begin(client, count=3):
    for line in ('MAIL FROM:<a@b.example>', 'RCPT TO:<c@d.example>', 'DATA')[:count]:
        client.line(line)
        client.reply()


def spread(clients, piece, size):
    """`size` octets to each, piece by piece, side by side; gives their number. Who closes gets no more."""
    left = dict.fromkeys(clients, size)
    sent = 0
    while left:
        for c in list(left):
            try:
                c.send(piece)
            except OSError:
                del left[c]
                continue
            sent += len(piece)
            left[c] -= len(piece)
            if left[c] <= 0:
                del left[c]
    return sent


def finish(clients, end):
    """Sends that, and waits for a reply of each: all before it was taken."""
    for c in clients:
        c.send(end)
    for c in clients:
        c.reply()


def deaf(clients, piece, size):
    """As `spread`, but as long as anything is taken at all, and nothing is read."""
    left = {c.sock: [size, piece] for c in clients}
    sent = 0
    for sock in left:
        sock.setblocking(False)
    while left:
        ready = select.select([], list(left), [], 0.5)[1]
        for sock in ready:
            try:
                now = sock.send(left[sock][1])
            except OSError:
                left[sock][0] = now = 0
            sent += now
            left[sock] = [left[sock][0] - now, piece if now == len(left[sock][1]) else left[sock][1][now:]]
        left = {sock: rest for sock, rest in left.items() if rest[0] > 0 and ready}
    return sent
