#!/usr/bin/python3
# 8025-path-clients-postfix.t - a whole Postfix whose relayhost is the edge: octets, deferrals, bounces, DSN
# SPDX-License-Identifier: MIT
import os
import re
import signal
import smtplib
import socket
import subprocess

from lib.clients import BODY, HEADER, LARGE, ME, MOST, NOBODY, TOO_LARGE, Edge, arrived, peer
from lib.fixture import is_, like, ok, run, wait_for

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
'''
SERVICES = {'anvil': 'anvil', 'bounce': 'bounce', 'defer': 'bounce', 'trace': 'bounce', 'smtp': 'smtp', 'error': 'error',
    'retry': 'error'}


class Postfix:
    """It reads nothing but /etc, of which proot shows it another, where it also is root."""

    def __init__(self, t, edge):
        self.t, self.port = t, t.port('postfix')
        values = {'home': edge.home, 'usr': peer('usr'), 'port': edge.port, 'smtpd': self.port}
        master = MASTER + 'postlog unix-dgram n - n - 1 postlogd\n' + ''.join(f'{name} unix - - n - 0 {program}\n'
            for name, program in SERVICES.items())
        for name, text in (('main.cf', MAIN), ('master.cf', master)):
            edge.write(f'etc/postfix/{name}', re.sub('@(.*?)@', lambda match: str(values[match[1]]), text))
        edge.write('etc/passwd', 'root:x:0:0::/:/bin/sh\npostfix:x:65533:65533::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n')
        edge.write('etc/group', 'root:x:0:\npostdrop:x:65532:\npostfix:x:65533:\nnogroup:x:65534:\n')
        edge.write('etc/hosts', f'127.0.0.1 localhost {socket.gethostname()}\n')
        edge.write('etc/nsswitch.conf', 'hosts: files\n')
        folders = 'active bounce corrupt defer deferred flush hold incoming maildrop pid private public saved trace'
        edge.run('mkdir', '-p', 'data', *(f'spool/{name}' for name in folders.split()))
        self.process = subprocess.Popen([peer('usr/bin/proot'), '-0', '-b', f'{edge.home}/etc:/etc',
            peer('usr/lib/postfix/sbin/master'), '-d'], stdin=subprocess.DEVNULL, start_new_session=True, **edge.how())
        wait_for(lambda: 'daemon started' in self.log, 20, 'Postfix to start')

    @property
    def log(self):
        path = self.t.path('client/postfix.log')
        return self.t.read('client/postfix.log').decode() if os.path.exists(path) else ''

    def wait_log(self, pattern):
        return wait_for(lambda: re.search(pattern, self.log), 30, f'Postfix to log {pattern}')

    def send(self, sender, recipients, text, rcpt_options=(), mail_options=('BODY=8BITMIME',)):
        with smtplib.SMTP('127.0.0.1', self.port, timeout=30) as client:
            client.sendmail(sender, recipients, (HEADER + text).replace('\n', '\r\n').encode(), mail_options, rcpt_options)

    def stop(self):
        """master ends its group; proot ends with the last of them."""
        os.kill(int(self.t.read('client/spool/pid/master.pid')), signal.SIGTERM)
        try:
            self.process.wait(self.t.timeout)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise


def relays(t):
    edge = Edge(t, 'debug')
    postfix = Postfix(t, edge)
    try:
        sends(edge, postfix)
    finally:
        postfix.stop()
    edge.empty()


def sends(edge, postfix):
    one, two, three, four, five, six, seven = (f'postfix{number}@example.net' for number in range(1, 8))
    many = [f'postfix-{number}@example.net' for number in range(MOST + 1)]
    for sender, recipients, text in ((ME, [one, two], BODY), ('', [three], BODY), (ME, [four], LARGE), (ME, [five, NOBODY], BODY),
            (ME, [six], TOO_LARGE), (ME, many, BODY)):
        postfix.send(sender, recipients, text)
    postfix.send(ME, [seven], BODY, ['NOTIFY=SUCCESS'], ['ENVID=envelope', 'RET=HDRS'])
    for recipient in (one, two, three, five, seven, *many[:MOST]):
        arrived(edge, 'postfix', recipient)
    arrived(edge, 'postfix', four, LARGE)
    for recipient, outcome in ((NOBODY, r'dsn=5\.1\.3, status=bounced .* said: 501 5\.1\.3 Bad recipient address, expected a'),
            # In a session that it has kept it does not look what the edge offered.
            (six, r'dsn=5\.3\.4, status=bounced \((message size \d+ exceeds|.* said: 552 5\.3\.4 Message size exceeds)'),
            (many[MOST], r'dsn=4\.5\.3, status=deferred .* said: 452 4\.5\.3 Too many recipients')):
        ok(postfix.wait_log(rf'to=<{recipient}>, .*{outcome}'), f'postfix says what became of {recipient}')
    notices = wait_for(lambda: len(found := edge.delivered(ME, 3)) == 3 and found, 20, 'two bounces and a notification')
    told = b''.join(notices).decode()
    like(told, r'^Diagnostic-Code: smtp; 501 5\.1\.3 Bad recipient address, expected a', 'postfix: its bounce has the reply')
    like(told, '^Original-Envelope-Id: envelope\r$', 'postfix: asks for a notification where DSN is offered, and gets it')
    like(edge.master.log, rf'command="RCPT TO:<{seven}> ORCPT=rfc822;{seven} NOTIFY=SUCCESS"', 'postfix: with ORCPT and NOTIFY')


run(relays)
