# dovecot.py - Dovecot (t/.peers) with mailboxes of the test's own: LMTP, delivery agent, submission with AUTH
# SPDX-License-Identifier: MIT
#
# dovecot = Dovecot(t)                  # runs until the test ends; dovecot.stop(), dovecot.start()
# dovecot.lmtp_port, dovecot.lmtp_path  # LMTP on loopback and on a unix socket
# dovecot.lda                           # a program: dovecot-lda with what it needs here
# dovecot.mail('user1@example.net')     # the messages in that mailbox, as bytes
#
# Dovecot(t, relay_port=PORT) adds a submission server at dovecot.submission_port, which offers AUTH PLAIN, LOGIN and
# SCRAM-SHA-256 and passes mail on to PORT; users and their passwords are USERS. tls=(certfile, keyfile): with STARTTLS.
import glob
import grp
import os
import signal
import socket
import subprocess

from .clients import PEERS, current_user, peer
from .fixture import Failure, IS_ROOT, Process, wait_for

USERS = {'user1@example.net': 'one', 'user2@example.net': 'two', 'user3@example.net': 'drei tausend', 'full@example.net': 'full'}
QUOTAS = {'full@example.net': '1B'}
CONF = '''
base_dir = {dir}/run
state_dir = {dir}/run
instance_name = t
log_path = {dir}/log
import_environment = LD_LIBRARY_PATH
auth_verbose = yes
deliver_log_format = from=<%{{from_envelope}}> %$
protocols = {protocols}
listen = 127.0.0.1
hostname = store.example
postmaster_address = postmaster@example.net
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
default_vsz_limit = 0
first_valid_uid = 0
first_valid_gid = 0
mail_uid = {user}
mail_gid = {group}
mail_location = maildir:{dir}/mail/%u
mail_plugins = quota
disable_plaintext_auth = no
auth_mechanisms = plain login scram-sha-256
auth_cache_size = 0
{more}
plugin {{
  quota = count:User
  quota_vsizes = yes
}}
passdb {{
  driver = passwd-file
  args = {dir}/users
}}
userdb {{
  driver = passwd-file
  args = {dir}/users
  override_fields = home={dir}/mail/%u uid={user} gid={group}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
  unix_listener lmtp {{
    mode = 0666
  }}
}}
service auth {{
  user = {user}
  unix_listener auth-userdb {{
    mode = 0666
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
service anvil {{
  chroot =
}}
'''
SUBMISSION = '''
submission_relay_host = 127.0.0.1
submission_relay_port = {relay}
service submission-login {{
  chroot =
  inet_listener submission {{
    address = 127.0.0.1
    port = {port}
  }}
}}
'''


class DovecotProcess(Process):
    """proot, which hears no signal, and ends with the last of Dovecot's processes; their master ends the others."""

    def kill(self, number=signal.SIGKILL):
        self.popen.send_signal(signal.SIGCONT)
        for pid in self.children('dovecot' if number == signal.SIGTERM else None):
            os.kill(pid, number)
        if number == signal.SIGKILL:
            super().kill(number)


class Dovecot:
    def __init__(self, t, name='dovecot', *, relay_port=None, tls=None, start=True):
        self.t, self.name, self.dir = t, name, t.folder(name)
        self.lmtp_port = t.port(f'{name}-lmtp')
        self.lmtp_path = os.path.join(self.dir, 'run/lmtp')
        self.submission_port = t.port(f'{name}-submission') if relay_port else None
        self.conf = os.path.join(self.dir, 'dovecot.conf')
        self.process = None
        libraries = sorted({os.path.dirname(path) for path in glob.glob(f'{PEERS}/usr/lib/**/*.so*', recursive=True)})
        self.library_path = ':'.join(libraries)
        self._write(relay_port, tls)
        # It knows where it is installed, and proot shows it that place.
        self.inside = [peer('usr/bin/proot'), '-b', f'{peer("usr/lib/dovecot")}:/usr/lib/dovecot',
            '-b', f'{peer("usr/bin/doveconf")}:/usr/bin/doveconf']
        self.lda = t.write(f'{name}/lda', f'#!/bin/sh\necho $$ >>{self.dir}/pids\nexport LD_LIBRARY_PATH={self.library_path}\n'
            f'exec {" ".join(self.inside)} /usr/lib/dovecot/dovecot-lda -c {self.conf} "$@"\n', 0o755)
        t.write(f'{name}/pids', '', 0o666)
        self.errors = []
        t.servers.append(self)
        if start:
            self.start()

    def close(self):
        """Killed, proot leaves its loader and a folder behind."""
        for pid in self.t.read(f'{self.name}/pids').decode().split():
            self.t.run('rm', '-rf', *glob.glob(f'/tmp/proot*-{pid}-*'))

    def _write(self, relay_port, tls):
        user = current_user()
        more = 'ssl = no\n'
        if tls:
            more = f'ssl = yes\nssl_cert = <{tls[0]}\nssl_key = <{tls[1]}\n'
        if relay_port:
            more += SUBMISSION.format(relay=relay_port, port=self.submission_port)
        self.t.write(f'{self.name}/dovecot.conf', CONF.format(dir=self.dir, user=user.pw_name,
            group=grp.getgrgid(user.pw_gid).gr_name, lmtp=self.lmtp_port, more=more,
            protocols='lmtp submission' if relay_port else 'lmtp'))
        self.t.write(f'{self.name}/users', ''.join(f'{name}:{{PLAIN}}{password}::::::'
            + (f'userdb_quota_rule=*:storage={QUOTAS[name]}' if name in QUOTAS else '') + '\n'
            for name, password in USERS.items()))
        for folder in ('run', 'mail'):
            self.t.folder(f'{self.name}/{folder}')
        if IS_ROOT:
            for path in ('', '/run', '/mail', '/users', '/dovecot.conf'):
                os.chown(self.dir + path, user.pw_uid, user.pw_gid)

    def start(self):
        """Starts it, again with the same mailboxes and ports; waits until it takes mail."""
        user = {'user': current_user().pw_uid, 'group': current_user().pw_gid, 'extra_groups': []} if IS_ROOT else {}
        log_path = self.t.path(f'{self.name}.{len(self.t.processes)}.log')
        with open(log_path, 'ab') as log:
            popen = subprocess.Popen([*self.inside, peer('usr/sbin/dovecot'), '-F', '-c', self.conf], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, cwd=self.dir, env=dict(self.t.env, LD_LIBRARY_PATH=self.library_path),
                start_new_session=True, **user)
        with open(f'{self.dir}/pids', 'a', encoding='ascii') as pids:
            pids.write(f'{popen.pid}\n')
        self.process = DovecotProcess(self.name, popen, log_path)
        self.t.processes.append(self.process)
        wait_for(self._answers, 20, f'{self.name} to answer')
        return self

    def _answers(self):
        if not self.process.running():
            raise Failure(f'{self.name} ended: {self.process.log[-400:]} {self.log[-1000:]}')
        try:
            with socket.create_connection(('127.0.0.1', self.lmtp_port), self.t.timeout) as sock:
                return sock.recv(3) == b'220'
        except OSError:
            return False

    @property
    def log(self):
        path = os.path.join(self.dir, 'log')
        if not os.path.exists(path):
            return ''
        with open(path, encoding='utf-8', errors='replace') as log:
            return log.read()

    def mail(self, user):
        """What the mailbox of `user` holds, oldest first."""
        names = sorted(glob.glob(os.path.join(self.dir, 'mail', glob.escape(user), 'new', '*')))
        messages = []
        for name in names:
            with open(name, 'rb') as message:
                messages.append(message.read())
        return messages

    def wait_mail(self, user, count=1):
        """The mailbox of `user`, once it holds so many messages."""
        return wait_for(lambda: len(found := self.mail(user)) >= count and found, 20, f'{count} messages for {user}')

    def pause(self):
        """It takes connections and does nothing: its processes wait for proot at their next system call."""
        self.process.popen.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.popen.send_signal(signal.SIGCONT)

    def stop(self):
        self.process.kill(signal.SIGTERM)
        self.process.wait()
