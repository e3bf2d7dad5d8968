#!/usr/bin/python3
# 3005-edge-drain.t - a draining edge ends idle sessions at once, others at the end of their transaction
# SPDX-License-Identifier: MIT
import signal

from lib.edge import config, stored
from lib.fixture import is_, like, ok, process_stat, run, wait_for


def begin(c):
    c.hello()
    c.cmd('MAIL FROM:<a@b.example>', 250)
    c.cmd('RCPT TO:<c@d.example>', 250)


def gently(t):
    edge = t.edge(config())
    with t.client('smtp') as idle, t.client('smtp') as busy, t.client('smtp') as reset:
        idle.hello()
        begin(busy)
        busy.cmd('DATA', 354)
        begin(reset)
        edge.kill(signal.SIGTERM)
        idle.expect(421, r'^4\.3\.2', 'an idle session is told')
        ok(idle.at_end(), 'and closed')
        reset.cmd('RSET', 250)
        reset.expect(421, r'^4\.3\.2', 'one that gives up its transaction is told then')
        busy.send('x\r\n.\r\n')
        busy.expect(250, r'^2\.6\.0', 'one in its transaction ends it')
        busy.expect(421, r'^4\.3\.2', 'and is told then')
        ok(busy.at_end(), 'and closed')
        is_(edge.wait(), 0, 'the program ends')
    is_(len(stored(t)), 1, 'the message is stored')


def bounded(t):
    edge = t.edge(config(process='    drain_timeout: 1\n'))
    with t.client('smtp') as c, t.client('smtp') as d:
        begin(c)
        begin(d)
        d.cmd('DATA', 354)
        d.send('half a mess')
        edge.kill(signal.SIGTERM)
        c.expect(421, r'^4\.3\.2', 'when the time is over a transaction is ended')
        d.expect(421, r'^4\.3\.2', 'and one in its data too')
        is_(edge.wait(), 0, 'the program ends')
    is_(stored(t), [], 'half a message is none')
    like(edge.log, 'smtp: abandoned id=.*reason="Service shutting down"', 'and it is logged')


def closed(t):
    edge = t.edge(config())
    with t.client('smtp') as busy:
        begin(busy)
        edge.kill(signal.SIGTERM)
        edge.wait_log('began to drain')

        def refused():
            try:
                t.client('smtp').close()
            except ConnectionRefusedError:
                return True
            return False
        wait_for(refused, 10, 'new connections to be refused')
        ok(True, 'new connections are refused')
        busy.cmd('NOOP', 250)


def waiting(t):
    """Connections that nobody accepted yet are told, not reset."""
    edge = t.edge(config())
    edge.kill(signal.SIGSTOP)
    wait_for(lambda: process_stat(edge.pid)[0] == 'T', 10, 'the program to stand still')
    clients = [t.client('smtp') for _ in range(40)]
    edge.kill(signal.SIGTERM)
    edge.kill(signal.SIGCONT)
    replies = []
    for c in clients:
        reply = c.reply()
        if reply.code == 220:
            reply = c.reply()
        replies.append(reply.code)
    is_(replies, [421] * 40, 'each gets its 421')
    for c in clients:
        c.close()
    is_(edge.wait(), 0, 'the program ends')


def again(t):
    edge = t.edge(config())
    with t.client('smtp') as busy:
        begin(busy)
        edge.kill(signal.SIGTERM)
        edge.wait_log('began to drain')
        edge.kill(signal.SIGTERM)
        is_(edge.wait(), 1, 'a second signal ends it at once')


run(gently, bounded, closed, waiting, again)
