#!/usr/bin/python3
# 8021-path-clients-mailers.t - mailers that a person or a script calls: what arrives, and what they tell when it is refused
# SPDX-License-Identifier: MIT
import glob

from lib.clients import HEADER, Edge, check, peer
from lib.fixture import like, ok, run


def curl(edge, sender, recipients, text):
    path = edge.write('curl.eml', (HEADER + text).replace('\n', '\r\n'))
    to = [word for recipient in recipients for word in ('--mail-rcpt', recipient)]
    return edge.run('curl', '-sS', f'smtp://127.0.0.1:{edge.port}', '--mail-from', sender, *to, '-T', path)


def swaks(edge, sender, recipients, text):
    path = edge.write('swaks.txt', HEADER + text)
    return edge.run('swaks', '--silent', '2', '--server', f'127.0.0.1:{edge.port}', '--helo', 'client.example', '--from',
        sender or '<>', '--to', ','.join(recipients), '--data', f'@{path}')


def msmtp(edge, sender, recipients, text):
    return edge.run('msmtp', '--host=127.0.0.1', f'--port={edge.port}', '-f', sender or '<>', '--', *recipients,
        stdin=HEADER + text)


def s_nail(edge, sender, recipients, text):
    return edge.run(peer('usr/bin/s-nail'), '-:/', '-Sv15-compat', f'-Smta=smtp://127.0.0.1:{edge.port}', '-Ssmtp-auth=none',
        '-Shostname=client.example', f'-Sfrom={sender}', '-Ssendwait', '-s', 'grüße', *recipients, stdin=text)


def mutt(edge, sender, recipients, text):
    settings = f'set smtp_url=smtp://127.0.0.1:{edge.port} ssl_force_tls=no ssl_starttls=no from={sender} use_from=yes copy=no'
    return edge.run(peer('usr/bin/mutt'), '-F', '/dev/null', '-n', '-e', settings, '-s', 'grüße', *recipients, stdin=text)


def git(edge, sender, recipients, text):
    path = edge.write('0001-awkward.patch', HEADER.replace('me@example.org', sender) + text)
    to = [f'--to={recipient}' for recipient in recipients]
    return edge.run('git', '-c', 'user.name=x', '-c', f'user.email={sender}', 'send-email', f'--from={sender}',
        '--smtp-server=127.0.0.1', f'--smtp-server-port={edge.port}', *to, '--suppress-cc=all', '--confirm=never', '--quiet',
        '--8bit-encoding=UTF-8', '--no-validate', path, PATH=f'/usr/bin:/bin:{peer("usr/lib/git-core")}')



def asks_for_tls(t):
    """As Mutt does unless told otherwise, offered or not."""
    edge = Edge(t)
    done = edge.run(peer('usr/bin/mutt'), '-F', '/dev/null', '-n', '-e', f'set smtp_url=smtp://127.0.0.1:{edge.port}', '-s', 'x',
        'a@example.net', stdin='x')
    like(done.stdout.decode(), '502 5.5.1 Command not implemented', 'mutt: its user reads what the edge said')
    like(edge.master.log, ' rejected .*command=STARTTLS .*reply="502 ', 'mutt: and the log what the edge does not have')
    ok(glob.glob(f'{edge.home}/mutt-*'), 'mutt: what it could not send stays in a folder of the test')


def mailers(t):
    edge = Edge(t)
    check(edge, curl, size='MAIL', told=lambda reply: reply[:3])
    check(edge, swaks, partial=True)
    check(edge, msmtp)
    check(edge, s_nail, null=False, encoded=True)
    check(edge, mutt, null=False, encoded=True)
    check(edge, git, null=False, encoded=True, told=lambda reply: reply[4:])
    edge.empty()


run(mailers, asks_for_tls)
