# destinations.py - servers that relay by MX to hundreds of next hops, and the DNS server that names these
# SPDX-License-Identifier: MIT
import contextlib
import glob
import ipaddress
import os
import threading

from lib.dns import A, MX, NXDOMAIN, Answer, DnsServer
from lib.fixture import descendants, process_stat

from .servers import PEERS, Postfix, Slimta, process_pss

DOMAIN = 'bench.example'        # destination N is dN of that; its only host, mx.dN, has address FIRST + N
FIRST = ipaddress.ip_address('127.1.0.1')
CONNECTIONS = 5                 # to one of them
TTL = 3600


def answer(name, kind):
    labels = name.removesuffix(f'.{DOMAIN}').split('.')
    number = labels[-1].removeprefix('d')
    if not name.endswith(f'.{DOMAIN}') or not number.isdigit() or labels[:-1] not in ([], ['mx']):
        return Answer(rcode=NXDOMAIN)
    if kind == MX and len(labels) == 1:
        return Answer((MX, (10, f'mx.{name}')), ttl=TTL)
    if kind == A and len(labels) == 2:
        return Answer((A, str(FIRST + int(number))), ttl=TTL)
    return Answer(ttl=TTL)


@contextlib.contextmanager
def names(port):
    """Serves them."""
    server = DnsServer(answer, port)
    try:
        yield server
    finally:
        server.close()


class ByMx:
    """Its queue is filled while it delivers nothing; then it is started again, to deliver."""

    dns_port = 0        # set for the case

    def __init__(self, folder, clock, ports, **how):
        super().__init__(folder, clock, ports, delivers=False, **how)

    def release(self):
        """It is stopped; when it is started, it delivers."""
        self.stop()
        self.delivers = True
        self.reconfigure()

    def most_memory(self, of):
        """Watches what processes called `of` have; calling what it gives ends that and gives the most in octets."""
        most, over = [0], threading.Event()

        def watch():
            while not over.wait(0.2):
                total = 0
                for pid in descendants(self.process.pid):
                    with contextlib.suppress(OSError, StopIteration):
                        if (process_stat(pid) or ('', 0, ''))[2] == of:
                            total += process_pss(pid)
                most[0] = max(most[0], total)
        thread = threading.Thread(target=watch, daemon=True)
        thread.start()

        def end():
            over.set()
            thread.join()
            return most[0]
        return end


class SlimtaByMx(ByMx, Slimta):
    worker = 'slimta-worker'
    CONFIG = Slimta.CONFIG[:Slimta.CONFIG.index('relay:\n')].replace('    runtime_dir:',
        '    resolver: {{servers: [127.0.0.1@{dns_port}]}}\n    runtime_dir:') \
        + 'relay:\n  sink: {{type: mx, port: {sink_port}, concurrent_connections: {deliveries}}}\n'

    def config(self, deliveries=CONNECTIONS):
        whole, type(self).CONFIG = self.CONFIG, self.CONFIG.replace('{dns_port}', str(self.dns_port))
        try:
            return super().config(deliveries)
        finally:
            type(self).CONFIG = whole

    def reconfigure(self):
        self.write('slimta.conf', self.config())


class FastAlone(SlimtaByMx):
    name = 'slimta-fast-alone'


class PostfixByMx(ByMx, Postfix):
    """What it accepts is deferred until it is to deliver."""
    worker = 'smtp'
    HOLD = '''defer_transports = smtp
in_flow_delay = 0
'''
    MAIN = '\n'.join(line for line in Postfix.MAIN.splitlines()
        if not line.startswith(('relayhost', 'smtp_connection_cache'))) + '\nsmtp_tcp_port = {sink_port}\n'

    def reconfigure(self):
        path = f'{self.folder}/etc/main.cf'
        with open(path, encoding='utf-8') as given:
            text = given.read()
        self.write('etc/main.cf', text.replace(self.HOLD, ''))


def postfix_can():
    """Whether Postfix asks our server: for it /etc/resolv.conf is ours, in namespaces alone."""
    with open('/etc/resolv.conf', encoding='utf-8', errors='replace') as text:
        return 'nameserver 127.0.0.1\n' in text.read() and bool(glob.glob(f'{PEERS}/usr/lib/postfix/sbin/smtp')) \
            and bool(os.environ.get('BENCH_FOLDER'))
