# clients.py - Debian's SMTP clients, installed or unpacked under t/.peers, against an edge of a test
# SPDX-License-Identifier: MIT
import atexit
import email
import email.policy
import glob
import os
import pwd
import shutil
import subprocess
import tempfile

from .fixture import Failure, IS_ROOT, SLOW, TOP, wait_for
from .tap import is_, like, ok, unlike


def may_be_reached(path):
    """By anybody: whether all folders above let everybody pass, as /root does not."""
    while path != '/':
        if not os.stat(path).st_mode & 0o001:
            return False
        path = os.path.dirname(path)
    return True


def reachable_peers():
    """Where clients find t/.peers: there, or in a copy for as long as this program runs."""
    peers = os.path.join(TOP, 't/.peers')
    if not IS_ROOT or not os.path.exists(peers) or may_be_reached(peers):
        return peers
    folder = tempfile.mkdtemp(prefix='slimta-t-')
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.chmod(folder, 0o755)
    subprocess.run(['cp', '-a', f'{peers}/.', folder], check=True)
    return folder


PEERS = reachable_peers()
MAX_SIZE = 2 << 20
MOST = 4            # recipients of a message
CONFIG = f'''
@process@
    logging: {{level: @level@}}
  edge: {{instances: 2}}
  worker: {{instances: 2}}
edge:
  in: {{type: smtp, queue: main, max_size: {MAX_SIZE}, max_recipients: @recipients@,
    listener: {{interface: 127.0.0.1, port: @port:smtp@}}}}
queue:
  main: {{type: disk, envelope_dir: @dir@/messages, meta_dir: @dir@/meta, allow_volatile: yes, relay: save}}
relay:
  save: {{type: pipe, args: [{TOP}/conf/save-mail.sh, @dir@/mail, "{{recipient}}", "{{message_id}}"]}}
'''
ME = 'me@example.org'
HEADER = 'From: me@example.org\nTo: somebody@example.net\nSubject: awkward\n\n'
# Dots at line starts, 8-bit text, a long line, no final newline.
BODY = '.\n..\n.a\n...\ngrüße \N{SNOWMAN}\n' + 'x' * 900 + '\n\n.\nlast'
NOBODY = 'r' * 65 + '@example.net'      # a local part longer than RFC 5321 4.5.3.1.1 lets it be
LARGE = ('.' * 70 + '\n' + '0123456789' * 7 + '\n') * 9000      # 1.3 MB, half of it dots
TOO_LARGE = LARGE * 2


class Home:
    """A folder in which programs of t/.peers run."""

    def __init__(self, t):
        self.t = t
        self.home = t.folder('client')
        os.chmod(self.home, 0o1777)

    def write(self, name, text):
        return self.t.write(f'client/{name}', text, 0o644)

    def how(self, **env):
        """How a program is started: with what it needs of t/.peers, and as nobody where the test runs as root."""
        libraries = sorted({os.path.dirname(path) for path in glob.glob(f'{PEERS}/usr/lib/**/*.so*', recursive=True)})
        perl = [f'{PEERS}/usr/share/perl5', *glob.glob(f'{PEERS}/usr/lib/*-linux-gnu/perl5/*')]
        env = dict(self.t.env, HOME=self.home, TMPDIR=self.home, LD_LIBRARY_PATH=':'.join(libraries), PERL5LIB=':'.join(perl),
            PYTHONPATH=f'{PEERS}/usr/lib/python3/dist-packages', NODE_PATH=f'{PEERS}/usr/share/nodejs', **env)
        user = {'user': 'nobody', 'group': 'nogroup', 'extra_groups': []} if IS_ROOT else {}
        return {'env': env, 'cwd': self.home, **user}

    def run(self, *command, stdin='', timeout=60, **env):
        """Runs a program to its end; gives its status, and what it said as stdout."""
        return subprocess.run(command, input=stdin.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=timeout * SLOW, check=False, **self.how(**env))


class Edge(Home):
    """A whole slimta whose relay saves what arrives, and a folder in which clients run."""

    def __init__(self, t, level='info', recipients=MOST):
        super().__init__(t)
        self.master = t.master(CONFIG.replace('@level@', level).replace('@recipients@', str(recipients)))
        self.port = t.port('smtp')

    def delivered(self, recipient, count=1):
        """The messages that arrived for a recipient, once there are `count`."""
        pattern = os.path.join(self.t.path('mail'), recipient, '*.eml')
        names = wait_for(lambda: len(found := glob.glob(pattern)) >= count and found, 20, f'mail for {recipient}')
        found = []
        for name in names:
            with open(name, 'rb') as message:
                found.append(message.read())
        return found

    def empty(self):
        wait_for(lambda: not glob.glob(self.t.path('messages', '*.env')), 10, 'the queue to be empty')
        ok(True, 'the queue is empty again')


def peer(path):
    found = os.path.join(PEERS, path)
    if not os.path.lexists(found):
        raise Failure(f't/.peers/{path} is not there: .ci/deps peers brings it')
    return found


def current_user():
    return pwd.getpwnam('nobody') if IS_ROOT else pwd.getpwuid(os.geteuid())


def text_of(message):
    """What the reader of a message sees of its first text, with line ends of LF."""
    parsed = email.message_from_bytes(message, policy=email.policy.SMTP)
    return parsed.get_body().get_payload(decode=True).decode(errors='replace').replace('\r\n', '\n')


def arrived(edge, name, recipient, body=BODY, encoded=False):
    """Checks that one message arrived with this body. A client may end its last line; with `encoded` it made another
    content-transfer-encoding of it."""
    messages = edge.delivered(recipient)
    is_(len(messages), 1, f'{name}: once for {recipient}')
    if encoded:
        text = text_of(messages[0])
    else:
        text = messages[0].split(b'\r\n\r\n', 1)[1].decode(errors='replace').replace('\r\n', '\n')
    if not ok(text in (body, body + '\n', body + '\n\n'), f'{name}: {"as it reads" if encoded else "octet for octet"}'):
        is_(text[-300:], body[-300:], 'its end')


def refusal(edge, name, done, reply, command, since, partial=False, told=None):
    """Checks that a client's user was told the edge's reply to a command, and so was the edge's operator."""
    like(edge.master.log[since:], rf' rejected .*command="?{command}"? .*reply="{reply}',
        f'{name}: {reply} to {command}, says the log')
    if not partial:
        ok(done.returncode != 0, f'{name}: it fails, status {done.returncode}')
        unlike(edge.master.log[since:], ' accepted ', f'{name}: nobody gets the message')
    like(done.stdout.decode(errors='replace'), told or reply, f'{name}: its user reads it')


def check(edge, client, null=True, encoded=False, partial=False, size='end of data', told=None):
    """What every client is put through. `client` is client(edge, sender, recipients, text) and gives how it ended. `null`:
    it can send from the null sender; `encoded`: it may choose another content-transfer-encoding; `partial`: it goes on
    without the recipients that are refused; `size` is the command at which it hears that a message is too large; `told`
    what its user reads of a refusal, where that is not all of it."""
    name = client.__name__
    one, two, three, four, five, six = (f'{name}{number}@example.net' for number in range(1, 7))
    done = client(edge, ME, [one, two], BODY)
    is_(done.returncode, 0, f'{name} is content: {done.stdout.decode()[-200:]}')
    for recipient in (one, two):
        arrived(edge, name, recipient, encoded=encoded)
    if null:
        is_(client(edge, '', [three], BODY).returncode, 0, f'{name} sends from the null sender')
        arrived(edge, name, three, encoded=encoded)
        like(edge.master.log, rf' accepted .* sender="" recipients={three} ', f'{name}: and it was one')
    client(edge, ME, [four], LARGE)
    arrived(edge, name, four, LARGE, encoded)
    for recipients, text, reply, command, goes_on in (
            ([five, NOBODY], BODY, '501 5.1.3 Bad recipient address', 'RCPT', partial),
            ([six, *(f'{name}-{number}@example.net' for number in range(MOST))], BODY, '452 4.5.3 Too many', 'RCPT', partial),
            ([one], TOO_LARGE, '552 5.3.4 Message', size, False)):
        since = len(edge.master.log)
        refusal(edge, name, client(edge, ME, recipients, text), reply, command, since, goes_on, told and told(reply))
        if goes_on:
            arrived(edge, name, recipients[0], encoded=encoded)
