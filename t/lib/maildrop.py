# maildrop.py - maildrop (t/.peers) with users and mailboxes of the test's own
# SPDX-License-Identifier: MIT
#
# maildrop = Maildrop(t)                # maildrop.path: a program, maildrop with what it needs here
# maildrop.filter                       # a filter file that delivers to maildrop.box; see FILTER for what it refuses
# maildrop.mail('user1@example.net')    # the messages that -d USER brought to USER's home, as bytes
import glob
import os

from .clients import PEERS, current_user, peer
from .fixture import IS_ROOT

USERS = ('user1@example.net', 'user2@example.net', 'full@example.net', '-V9@example.net')
FILTER = '''DEFAULT="{dir}/box"
logfile "{dir}/log"
log "from=<$FROM> arguments=<$1><$2>"
if (/^Subject: refuse/:h)
{{
 echo "5.7.1 Not wanted here"
 EXITCODE=77
 exit
}}
if (/^Subject: full/:h)
{{
 MAILDIRQUOTA="10S"
 to "{dir}/full/"
}}
if (/^Subject: nowhere/:h)
{{
 to "{dir}/absent/folder/"
}}
'''


class Maildrop:
    def __init__(self, t):
        self.dir = t.folder('maildrop', 'nobody')
        self.box = os.path.join(self.dir, 'box')
        user = current_user()
        self.filter = self._write(t, 'filter', FILTER.format(dir=self.dir), 0o600)
        self._maildir(t, 'full')
        for name in USERS:
            self._maildir(t, f'homes/{name}')
            quota = 'MAILDIRQUOTA="10S"\n' if name.startswith('full@') else ''
            self._write(t, f'homes/{name}/.mailfilter', f'{quota}to "{self.dir}/homes/{name}/"\n', 0o600)
        passwd = ''.join(f'{name}:x:{user.pw_uid}:{user.pw_gid}::{self.dir}/homes/{name}:/bin/sh\n' for name in USERS)
        self._write(t, 'passwd', f'{passwd}{user.pw_name}:x:{user.pw_uid}:{user.pw_gid}::{self.dir}:/bin/sh\n')
        self._write(t, 'group', f'group:x:{user.pw_gid}:\n')
        libraries = sorted({os.path.dirname(path) for path in glob.glob(f'{PEERS}/usr/lib/**/*.so*', recursive=True)})
        self.path = t.write('bin/maildrop', f'#!/bin/sh\nexport LD_LIBRARY_PATH={":".join(libraries)} '
            f'LD_PRELOAD=libnss_wrapper.so NSS_WRAPPER_PASSWD={self.dir}/passwd NSS_WRAPPER_GROUP={self.dir}/group\n'
            f'exec {peer("usr/bin/maildrop")} "$@"\n', 0o755)
        if IS_ROOT:
            for folder, _, files in os.walk(self.dir):
                for name in [folder, *(os.path.join(folder, name) for name in files)]:
                    os.chown(name, user.pw_uid, user.pw_gid)

    @staticmethod
    def _write(t, name, text, mode=None):
        return t.write(f'maildrop/{name}', text, mode)

    @staticmethod
    def _maildir(t, name):
        for folder in ('cur', 'new', 'tmp'):
            t.folder(f'maildrop/{name}/{folder}')

    def log(self):
        return self._read('log')

    def boxed(self):
        """What the filter delivered, with line ends of LF."""
        return self._read('box')

    def _read(self, name):
        path = os.path.join(self.dir, name)
        if not os.path.exists(path):
            return ''
        with open(path, encoding='utf-8') as text:
            return text.read()

    def mail(self, user):
        messages = []
        for name in glob.glob(os.path.join(self.dir, 'homes', glob.escape(user), 'new', '*')):
            with open(name, 'rb') as message:
                messages.append(message.read())
        return messages
