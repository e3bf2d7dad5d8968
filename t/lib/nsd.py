# nsd.py - a real name server on loopback, with the zones that a test gives it
# SPDX-License-Identifier: MIT
#
# nsd = Nsd(t, {'zone.example': 'www IN A 192.0.2.1', 'lost.example': None}, signed=['zone.example'])
# nsd.address                           # for process.resolver.servers
import os
import subprocess

from .fixture import TOP, Failure, Process, wait_for
from .redis import die_with_the_test

PEERS = os.path.join(TOP, 't/.peers')
HEAD = '''$ORIGIN {name}.
$TTL {ttl}
@ IN SOA ns.{name}. hostmaster.{name}. {serial} 3600 900 86400 {ttl}
@ IN NS ns.{name}.
ns IN A 127.0.0.1
'''


class Nsd:
    """`zones`: name to records, behind SOA and NS; None: a zone whose file is missing, which is SERVFAIL. Of those `signed`
    the key is in the file anchor(NAME); `tampered` are signed, and then OLD becomes NEW in them."""

    def __init__(self, t, zones, signed=(), tampered=None, ttl=60):
        self.t, self.ttl, self.serial = t, ttl, 1
        self.dir = t.folder('nsd')
        self.port = t.port('nsd')
        self.address = f'127.0.0.1@{self.port}'
        folders = sorted({folder for folder, _, names in os.walk(os.path.join(PEERS, 'usr/lib')) if any('.so' in n for n in names)})
        self.env = dict(t.env, LD_LIBRARY_PATH=':'.join(folders))
        for name, records in zones.items():
            if records is not None:
                self.write(name, records)
        for name in (*signed, *(tampered or {})):
            self.sign(name)
        for name, (old, new) in (tampered or {}).items():
            text = t.read(f'nsd/{name}').decode()
            if old not in text:
                raise Failure(f'nothing to tamper with in {name}')
            self.t.write(f'nsd/{name}', text.replace(old, new))
        self.configure(zones)
        self.process = self.start()

    def path(self, name):
        return os.path.join(self.dir, name)

    def anchor(self, name):
        return self.path(f'{name}.key')

    def write(self, name, records):
        self.t.write(f'nsd/{name}', HEAD.format(name=name, ttl=self.ttl, serial=self.serial) + records + '\n')

    def tool(self, *command):
        path = os.path.join(PEERS, 'usr/bin', command[0])
        if not os.path.exists(path):
            raise Failure(f'{path} is not there: .ci/deps peers brings it')
        done = subprocess.run([path, *command[1:]], cwd=self.dir, env=self.env, capture_output=True, text=True, timeout=60,
            stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            raise Failure(f'{command}: {done.stderr}')
        return done.stdout.strip()

    def sign(self, name):
        key = self.tool('ldns-keygen', '-a', 'ECDSAP256SHA256', '-k', name)
        self.tool('ldns-signzone', '-f', f'{name}.signed', name, key)
        os.rename(self.path(f'{name}.signed'), self.path(name))
        os.rename(self.path(f'{key}.key'), self.anchor(name))

    def configure(self, zones):
        quoted = {name: f'"{self.path(name)}"' for name in ('pid', 'xfrd', 'log', 'list')}
        lines = ['server:', f'  ip-address: {self.address}', '  username: ""', '  chroot: ""', f'  zonesdir: "{self.dir}"',
            '  database: ""', f'  pidfile: {quoted["pid"]}', f'  zonelistfile: {quoted["list"]}', f'  xfrdfile: {quoted["xfrd"]}',
            f'  xfrdir: "{self.dir}"', f'  logfile: {quoted["log"]}', '  server-count: 1', '  rrl-ratelimit: 0',
            'remote-control:', '  control-enable: no']
        for name in zones:
            lines += ['zone:', f'  name: "{name}"', f'  zonefile: "{self.path(name)}"']
        self.t.write('nsd/nsd.conf', '\n'.join(lines) + '\n')

    def start(self):
        program = os.path.join(PEERS, 'usr/sbin/nsd')
        if not os.path.exists(program):
            raise Failure(f'{program} is not there: .ci/deps peers brings it')
        with open(self.path('output'), 'ab') as output:
            popen = subprocess.Popen([program, '-d', '-c', self.path('nsd.conf')], stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, cwd=self.dir, env=self.env, start_new_session=True, preexec_fn=die_with_the_test)
        process = Process('nsd', popen, self.path('log'))
        self.t.processes.append(process)
        wait_for(lambda: os.path.exists(self.path('log')), 15, 'nsd to log')
        process.wait_log('nsd started', 30)
        return process

    def replace(self, name, records):
        """Other records, from now on; what has been asked before stays in caches for the time of its TTL."""
        self.serial += 1
        since = len(self.process.log)
        self.write(name, records)
        self.process.kill(1)
        self.process.wait_log(rf'zone {name} .*serial {self.serial}|{name} read with success', 15, since)
