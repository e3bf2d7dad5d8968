#!/usr/bin/python3
# 8032-path-redis-hosts.t - three hosts over one redis: one cut off, one gone, redis failed over; all mail is counted
# SPDX-License-Identifier: MIT
# Lesson P3. The hosts are network namespaces.
import collections
import random
import socket
import time

from lib.crash import Hop, Sender
from lib.fixture import IS_ROOT, SLOW, diag, is_, ok, run, wait_for
from lib.hosts import HERE, Host, network
from lib.operator import left_in_queues
from lib.peer import Client
from lib.redis import Redis, Sentinel
from lib.redis_path import LEASE, STEP

CONFIG = '''process:
  slimta:
    runtime_dir: @dir@/@host@
    drain_timeout: 5
  edge: {instances: 1}
  worker: {instances: 1}
edge: {in: {type: smtp, queue: q, listener: {path: @dir@/@host@.smtp}}}
queue:
  q: {type: redis, SECTION, socket_timeout: 2, lease: LEASE, relay: r, max_strikes: 0, retry: {delay: 0.5, maximum: 1000},
    policies: [{type: add_received_header}]}
relay:
  r: {type: static, host: HERE, port: PORT, STEP, concurrent_connections: 2}
'''


class Local(Sender):
    """A program on an edge's own host: what it is told does not depend on the network."""

    def _connect(self):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(90)
        sock.connect(self.port)
        self.client = Client(sock, 90)
        self._say(None, 220)
        self._say('EHLO client.example', 250)

    def accepted(self):
        return [message for message in self.messages if message.code == 250]


class Site:
    """Three hosts with an edge, a worker and a sender each, and the next hop, which is where the test is."""

    def __init__(self, t, section, hosts):
        self.t, self.hosts = t, hosts
        self.hop = Hop(t, random.Random(1), address=(HERE, 0))
        text = CONFIG.replace('LEASE', str(LEASE)).replace('STEP', STEP).replace('PORT', str(self.hop.port))
        self.text = text.replace('HERE', HERE).replace('SECTION', section)
        self.senders = []
        for host in hosts:
            self.start(host)
            self.senders.append(Local(t.path(f'{host.name}.smtp'), 'q', host.name, random.Random(host.name), 0.05 * SLOW))
        for sender in self.senders:
            sender.start()

    def start(self, host):
        conf = self.t.config(self.text.replace('@host@', host.name), f'{host.name}.conf')
        more = ['--allow-root'] if IS_ROOT else []
        host.start('slimta-master', '-c', conf, *more, notify=True)

    def wait_accepted(self, senders, count, timeout=60):
        """Until each of them was told 250 so often again."""
        before = [sender.answered for sender in senders]
        wait_for(lambda: all(sender.answered >= was + count for sender, was in zip(senders, before)), timeout,
            f'{count} more to be accepted')

    def count(self, doubles):
        """Ends it, and compares what was promised with what came."""
        for sender in self.senders:
            sender.stop()
        self.t.config(self.text.replace('@host@', 'nowhere'))
        wait_for(lambda: left_in_queues(self.t) == {'q': 0}, LEASE * 3, 'an empty queue')
        is_([host.programs[0].stop() for host in self.hosts], [0] * len(self.hosts), 'all end well')
        messages = {message.token: message for sender in self.senders for message in sender.messages}
        came = collections.Counter((take.token, take.recipient) for take in self.hop.takes)
        wanted = [(token, name) for token, message in messages.items() if message.code == 250 for name in message.recipients]
        lost = [pair for pair in wanted if pair not in came]
        falsely = [token for token, message in messages.items() if message.code >= 400 and any(token == one for one, _ in came)]
        doubled = [pair for pair, times in came.items() if times > 1]
        diag(f'{len(messages)} messages, {len(wanted)} copies promised, {sum(came.values())} came, doubled: {len(doubled)}')
        is_(lost, [], 'nothing that was accepted is lost')
        is_(falsely, [], 'nothing that was refused came')
        is_([take.recipient for take in self.hop.takes if not take.good], [], 'nothing is changed')
        ok(len(doubled) <= doubles, f'doubled: {doubled}')


def hosts(t):
    network()
    site = Site(t, Redis(t, aof='always', address=(at := Host(t, 'store')).address, prefix=at.command).keys(),
        [Host(t, name) for name in ('one', 'two', 'three')])
    one, two, three = site.hosts
    site.wait_accepted(site.senders, 20)
    two.cut()
    three.kill()
    since = time.monotonic()
    told = len(site.senders[1].accepted())
    site.wait_accepted(site.senders[:1], 20)
    ok(True, 'with one host cut off and one gone the third goes on')
    wait_for(lambda: any(message.code == 451 for message in site.senders[1].messages), 90, 'a refusal of the one cut off')
    # All that they had claimed comes when the leases have ended.
    held = [message for sender in site.senders[1:] for message in sender.accepted()]
    wait_for(lambda: {message.token for message in held} <= {take.token for take in site.hop.takes}, LEASE * 2,
        'what the two had in hand')
    took = time.monotonic() - since
    ok(took < LEASE * 5 / 4 + 10 * SLOW, f'within the lease: {took:.1f} s')
    is_(len(site.senders[1].accepted()), told, 'the edge that is cut off has promised nothing')
    two.heal()
    three.heal()
    site.start(three)
    site.wait_accepted(site.senders, 20, 90)
    ok(True, 'both come back')
    site.count(doubles=4)


def fail_over(t):
    """The master's host is cut off; its replica takes its place. A 250 was not said before the replica had the message."""
    stores = [Host(t, 'first'), Host(t, 'second')]
    site_hosts = [Host(t, name) for name in ('one', 'two', 'three')]
    master = Redis(t, 'first_redis', aof='always', address=stores[0].address, prefix=stores[0].command)
    replica = Redis(t, 'second_redis', aof='always', address=stores[1].address, prefix=stores[1].command, replica_of=master)
    replica.wait_linked()
    sentinels = [Sentinel(t, f'{host.name}_sentinel', master, address=host.address, prefix=host.command, down_ms=1000)
        for host in site_hosts]
    listed = ', '.join(f'"{sentinel.address}:{sentinel.port}"' for sentinel in sentinels)
    site = Site(t, f'sentinels: [{listed}], master_name: mymaster, wait_replicas: 1', site_hosts)
    site.wait_accepted(site.senders, 20)
    stores[0].cut()
    wait_for(lambda: sentinels[0].master()[0] == replica.address, 30, 'the fail-over')
    stores[0].heal()
    wait_for(lambda: Redis.client(replica)('ROLE')[0] == b'master', 30, 'the new master')
    site.wait_accepted(site.senders, 20, 90)
    ok(True, 'it goes on with the new master')
    site.count(doubles=20)


run(hosts, fail_over, timeout=300)
