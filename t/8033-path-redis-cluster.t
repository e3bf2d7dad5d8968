#!/usr/bin/python3
# 8033-path-redis-cluster.t - a queue in a redis cluster of three nodes: all keys in one slot by the {tag} of its prefix
# SPDX-License-Identifier: MIT
# More mail with LONG=1.
import os

from lib.fixture import is_, like, run, wait_for
from lib.mail import send
from lib.next_hop import NextHop
from lib.operator import left_in_queues
from lib.redis import cluster
from lib.redis_path import SENDER, attempt, config, delivered, mail, static, wait_delivered

MANY = 2000 if os.environ.get('LONG') else 40


def owner(nodes, key):
    """The node that has the slot of a key."""
    slot = nodes[0]('CLUSTER', 'KEYSLOT', key)
    for first, last, where, *_ in nodes[0]('CLUSTER', 'SLOTS'):
        if first <= slot <= last:
            return next(node for node in nodes if node.port == where[1])
    return None


def one_slot(t):
    nodes = cluster(t, aof='always')
    for prefix in ('{one}:', '{two}:', 'mail{three}'):
        node = owner(nodes, prefix)
        hop = NextHop(t, {'RCPT': lambda peer, line, seen=set(): None if line in seen or '<later' not in line
            else (seen.add(line) or '450 4.2.0 later')})
        master = t.master(config(f'{node.keys()}, prefix: "{prefix}"', static(hop.port), workers=2))
        idents = send(t, 'smtp', *[(SENDER, [f'{"later" if n % 5 == 0 else "r"}{n}@example.net'], b'x\r\n') for n in range(MANY)])
        wait_delivered(t, idents, 60)
        is_(sum(len(one['recipients']) for one in hop.messages), MANY, f'{prefix}: all {MANY} are delivered, each once')
        wait_for(lambda: left_in_queues(t) == {'q': 0}, what='an empty queue')
        held = mail(t, 'later-held@example.net')
        master.wait_log(rf' deferred id={held} ')
        t.queuectl('hold', held)
        like(t.queuectl('list'), rf'(?m)^{held} held ', 'it is listed and steered')
        t.queuectl('suspend', 'example.net')
        is_(master.stop(), 0, 'it ends well')
        found = {one.port: [key for key in one('KEYS', '*') if key.startswith(prefix.encode())] for one in nodes}
        is_([port for port, there in found.items() if there], [node.port], f'{len(found[node.port])} keys at one node')
        is_({node('CLUSTER', 'KEYSLOT', key) for key in found[node.port]}, {node('CLUSTER', 'KEYSLOT', prefix + 'queue')},
            'all in the same slot')
    is_(len({ident for ident, _ in delivered(t)}), 3 * MANY, 'no queue saw the mail of another')
    return nodes


def other_node(t):
    """One that does not have the slot says who has it. A prefix without a tag is no good at any."""
    nodes = cluster(t, aof='always')
    node = owner(nodes, '{one}:queue')
    other = next(one for one in nodes if one is not node)
    text = config(f'{other.keys()}, prefix: "{{one}}:"')
    edge, worker = t.edge(text), t.worker(text, 'q')
    wait_for(lambda: attempt(t)[1].code == 250, 15, 'mail to be accepted')
    wait_delivered(t, [mail(t) for _ in range(5)])
    is_([worker.stop(), edge.stop()], [0, 0], 'they end well')
    done = t.run('slimta-edge', '-c', t.config(config(node.keys())), '--allow-root')
    is_(done.returncode, 1, 'a prefix without a tag')
    like(done.stderr, r'error .*prefix slimta:: a redis cluster wants a \{tag\} in it', 'is an error at the start')


run(one_slot, other_node, timeout=240)
