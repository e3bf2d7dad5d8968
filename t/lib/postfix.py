# postfix.py - a whole Postfix that relays what it gets to a port
# SPDX-License-Identifier: MIT
import os
import re
import signal
import socket
import subprocess

from .clients import peer
from .fixture import wait_for

MAIN = '''
compatibility_level = 3.6
queue_directory = @home@/spool
data_directory = @home@/data
command_directory = @usr@/sbin
daemon_directory = @usr@/lib/postfix/sbin
shlib_directory = @usr@/lib/postfix
maillog_file = @home@/postfix.log
maillog_file_prefixes = @home@
import_environment = LD_LIBRARY_PATH
export_environment = LD_LIBRARY_PATH
myhostname = client.example
mydestination =
alias_maps =
local_recipient_maps =
relayhost = [127.0.0.1]:@port@
inet_protocols = ipv4
smtpd_relay_restrictions = permit_mynetworks, reject
message_size_limit = 0
mailbox_size_limit = 0
'''
MASTER = '''
127.0.0.1:@smtpd@ inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
proxymap unix - - n - - proxymap
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
'''
SERVICES = {'anvil': 'anvil', 'bounce': 'bounce', 'defer': 'bounce', 'trace': 'bounce', 'smtp': 'smtp', 'error': 'error',
    'retry': 'error'}
FOLDERS = 'active bounce corrupt defer deferred flush hold incoming maildrop pid private public saved trace'


class Postfix:
    """In the folder of `home`, a clients.Home. It reads nothing but /etc, of which proot shows it another, where it also is
    root. `main` has more lines for main.cf; `port` is where it listens."""

    def __init__(self, home, relay_port, main=''):
        t = self.t = home.t
        self.port = t.port('postfix')
        values = {'home': home.home, 'usr': peer('usr'), 'port': relay_port, 'smtpd': self.port}
        master = MASTER + ''.join(f'{name} unix - - n - 0 {program}\n' for name, program in SERVICES.items())
        for name, text in (('main.cf', MAIN + main), ('master.cf', master)):
            home.write(f'etc/postfix/{name}', re.sub('@(.*?)@', lambda match: str(values[match[1]]), text))
        home.write('etc/passwd', 'root:x:0:0::/:/bin/sh\npostfix:x:65533:65533::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n')
        home.write('etc/group', 'root:x:0:\npostdrop:x:65532:\npostfix:x:65533:\nnogroup:x:65534:\n')
        home.write('etc/hosts', f'127.0.0.1 localhost {socket.gethostname()}\n')
        home.write('etc/nsswitch.conf', 'hosts: files\n')
        home.run('mkdir', '-p', 'data', *(f'spool/{name}' for name in FOLDERS.split()))
        self.process = subprocess.Popen([peer('usr/bin/proot'), '-0', '-b', f'{home.home}/etc:/etc',
            peer('usr/lib/postfix/sbin/master'), '-d'], stdin=subprocess.DEVNULL, start_new_session=True, **home.how())
        wait_for(lambda: 'daemon started' in self.log, 20, 'Postfix to start')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def log(self):
        path = self.t.path('client/postfix.log')
        return self.t.read('client/postfix.log').decode(errors='replace') if os.path.exists(path) else ''

    def wait_log(self, pattern):
        return wait_for(lambda: re.search(pattern, self.log), 30, f'Postfix to log {pattern}')

    def stop(self):
        """master ends its group; proot ends with the last of them."""
        os.kill(int(self.t.read('client/spool/pid/master.pid')), signal.SIGTERM)
        try:
            self.process.wait(self.t.timeout)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise
