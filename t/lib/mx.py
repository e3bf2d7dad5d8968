# mx.py - an mx relay with a name server and next hops of its own, which share a port on addresses of loopback
# SPDX-License-Identifier: MIT
#
# mx = Mx(t, {'one.example': 'IN MX 10 h2.example.'}, hops=(2, 3))      # h2.example is 127.0.0.2 ...
# mx.start()                                                            # ... and mx.hops[2] listens there
# ident = send(t, 'a@one.example'); mx.outcome(ident, 'a@one.example')
import re

from .next_hop import NextHop
from .nsd import Nsd
from .relay import config

EVENTS = 'delivered|deferred|failed'


class Mx:
    """`records`: lines of the zone `example`; `hops`: the last numbers of their addresses; `dns`: instead of a name server
    of our own, `zones`: further ones of it."""

    def __init__(self, t, records='', hops=(2, 3, 4), dns=None, zones=None, **how):
        self.t, self.port = t, t.port('hops')
        self.hops = {n: NextHop(t, address=(f'127.0.0.{n}', self.port)) for n in hops}
        hosts = ''.join(f'h{n} IN A 127.0.0.{n}\n' for n in range(2, 60))
        self.dns = dns or Nsd(t, {'example': hosts + records, **(zones or {})}, **how)
        self.master = None

    def start(self, relay='', timeout=3, retry='maximum: 1000', delay=300, **how):
        text = config(f'type: mx, port: {self.port}, ehlo_as: us.example{relay}', delay=delay, retry=retry, bounces=True, **how)
        self.master = self.t.master(text.replace('@process@\n',
            f'@process@    resolver: {{servers: ["{self.dns.address}"], timeout: {timeout}}}\n'))
        return self.master

    def outcome(self, ident, recipient, attempts=1):
        """(event, host, reply) of a recipient."""
        match = self.master.wait_log(rf' worker: ({EVENTS}) id={ident} recipient=<?"?{re.escape(recipient)}"?>? .*', 30)
        line = match[0]
        host = re.search(r' host="?([^ "]*)"?', line)
        reply = re.search(r' reply="((?:[^"\\]|\\.)*)"', line)
        return match[1], host[1] if host else '', reply[1] if reply else ''

    def taken(self):
        """How many messages each hop has."""
        return {n: len(hop.messages) for n, hop in self.hops.items()}
