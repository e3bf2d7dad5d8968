#!/usr/bin/python3
# 3011-edge-backlog.t - listener.backlog bounds the connections that wait to be accepted
# SPDX-License-Identifier: MIT
import os
import signal
import socket

from lib.fixture import is_, ok, run

CONFIG = '''
@process@
  edge: {instances: 1}
  worker: {instances: 0}
edge:
  in: {type: smtp, queue: main, listener: {interface: 127.0.0.1, port: @port:smtp@BACKLOG}}
queue:
  main: {type: disk, envelope_dir: @dir@/messages, meta_dir: @dir@/meta, allow_volatile: yes, relay: none}
relay:
  none: {type: blackhole}
'''


def waiting(t, backlog):
    """How many of 8 connections the kernel takes for an edge that accepts none."""
    edge = t.edge(CONFIG.replace('BACKLOG', backlog))
    os.kill(edge.pid, signal.SIGSTOP)
    sockets = [socket.socket() for _ in range(8)]
    try:
        for sock in sockets:
            sock.setblocking(False)
            sock.connect_ex(('127.0.0.1', t.port('smtp')))
        # On loopback a handshake is over when connect returns, or it is not done at all.
        return sum(1 for sock in sockets if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
            and established(sock))
    finally:
        for sock in sockets:
            sock.close()
        os.kill(edge.pid, signal.SIGCONT)
        is_(edge.stop(), 0, 'the edge ends well')


def established(sock):
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


def bounded(t):
    # The kernel takes one more than it is told.
    ok(waiting(t, ', backlog: 2') <= 3, 'two may wait')
    is_(waiting(t, ''), 8, 'without it many may')


run(bounded)
