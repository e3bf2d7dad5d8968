#!/usr/bin/python3
# 3200-edge-tls-processes.t - TLS over processes and generations: keys that root alone reads, sessions that go on, SIGHUP
# SPDX-License-Identifier: MIT
import os
import re
import shutil
import ssl

from lib.certificates import Certificates
from lib.edge import secure
from lib.fixture import IS_ROOT, Failure, is_, like, ok, run
from lib.master import CONFIG, sighup, with_keys

TRIES = 400
SERVED = r'slimta-edge\[(\d+)\].* encrypted session=\S+ client=\S+ version=\S+ cipher=\S+ resumed=(yes|no)$'


def prepare(t):
    """A master with two edges, its certificate in one.crt, whose key its own user alone may read, and a client's context."""
    certificates = Certificates(t)
    use(t, certificates, 'good')
    if IS_ROOT:
        t.folder('queue', 'nobody')
    config = with_keys('    user: nobody\n', CONFIG) if IS_ROOT else CONFIG
    config = config.replace('@dir@/env', '@dir@/queue/env').replace('@dir@/meta', '@dir@/queue/meta')
    config = config.replace('type: smtp,', 'type: smtp, tls: {certfile: @dir@/one.crt, keyfile: @dir@/one.key},')
    return certificates, t.master(config, allow_root=False)


def use(t, certificates, who):
    """Puts this certificate where the configuration has it."""
    for made, name in zip(certificates.make(who), ('one.crt', 'one.key')):
        shutil.copyfile(made, t.path(name))
    os.chmod(t.path('one.key'), 0o600)


def begin(t, context, session=None):
    """Like secure() of a new client, with a session that is to go on."""
    c = t.client('smtp')
    c.hello()
    c.cmd('STARTTLS', 220)
    c.sock = context.wrap_socket(c.sock, server_hostname='localhost', session=session)
    c.cmd('EHLO client.example', 250)
    return c


def went_on(t, master, context, session):
    """The pid of the edge that served, and whether the session went on, as both ends say."""
    since = len(master.log)
    with begin(t, context, session) as c:
        reused = c.sock.session_reused
        c.cmd('QUIT', 221)
    pid, resumed = master.wait_log(SERVED, since=since).groups()
    is_(resumed, 'yes' if reused else 'no', 'the log is right')
    return int(pid), reused


def goes_on_everywhere(t, master, context, session, what):
    edges, seen = set(master.children('slimta-edge')), set()
    is_(len(edges), 2, 'there are two')
    for _ in range(TRIES):
        pid, reused = went_on(t, master, context, session)
        if not reused:
            ok(False, f'{what}: {pid} does not know the session')
            return
        seen.add(pid)
        if seen >= edges:
            ok(True, what)
            return
    raise Failure(f'{TRIES} connections met {seen} of {edges}')


def renew(master):
    """Another generation, alone."""
    since = len(master.log)
    sighup(master)
    master.wait_log('generation ended', since=since)


def goes_on(t):
    certificates, master = prepare(t)
    for version in ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2:
        context = certificates.client(version)
        with begin(t, context) as c:
            session = c.sock.session
            ok(session.has_ticket, 'a ticket is given')
            goes_on_everywhere(t, master, context, session, f'{version.name}: a session goes on with each edge')
            renew(master)
            goes_on_everywhere(t, master, context, session, 'of the next generation, too')
    is_(master.stop(), 0, 'it ends well')


def renewed(t):
    certificates, master = prepare(t)
    context = certificates.client()
    busy = begin(t, context)
    session = busy.sock.session
    busy.cmd('MAIL FROM:<a@example.com>', 250)
    busy.cmd('RCPT TO:<b@example.com>', 250)
    certificates.make('second')
    use(t, certificates, 'second')
    with begin(t, context) as c:
        is_(c.sock.getpeercert()['subject'][0][0][1], 'good', 'a new certificate is not looked at')
    sighup(master)
    since = len(master.log)
    with begin(t, context, session) as c:
        is_(c.sock.getpeercert()['subject'][0][0][1], 'second', 'before SIGHUP; then new connections see it')
        ok(not c.sock.session_reused, 'and no session of the old one goes on')
    master.wait_log(SERVED, since=since)
    busy.cmd('DATA', 354)
    busy.send(b'Subject: x\r\n\r\nx\r\n.\r\n')
    busy.expect(250, '', 'a connection that was there lives on with the old one')
    busy.close()
    shutil.copyfile(certificates.path('good.key'), t.path('one.key'))
    sighup(master, r'reload refused error=".*tls\.keyfile: expected the private key of certfile in .*one\.key')
    os.unlink(t.path('one.key'))
    sighup(master, r'reload refused error=".*tls\.keyfile: cannot read .*one\.key: No such file')
    victim = master.children('slimta-edge')[0]
    os.kill(victim, 9)
    master.wait_log(rf'child_pid={victim} cause=')
    master.wait_log(r'child is ready child=edge', since=master.log.rindex(f'child_pid={victim} cause='))
    for _ in range(8):
        with begin(t, context) as c:
            is_(c.sock.getpeercert()['subject'][0][0][1], 'second', 'what starts later has no need of the files')
    ok('PRIVATE KEY' not in master.log, 'no key is in the log')
    is_(master.stop(), 0, 'it ends well')


def checked(t):
    certificates = Certificates(t)
    use(t, certificates, 'expired')
    conf = t.config(CONFIG.replace('type: smtp,', 'type: smtp, tls: {certfile: @dir@/one.crt, keyfile: @dir@/one.key},'))
    done = t.run('slimta-master', '-c', conf, '--check', '--allow-root')
    is_(done.returncode, 0, 'an expired certificate is no error')
    like(done.stderr.decode(), r'edge\.main\.tls\.certfile: warning: .*/one\.crt expired on \d+-\d+-\d+ [\d:]+ UTC', 'but warned of')
    use(t, certificates, 'good')
    is_(t.run('slimta-master', '-c', conf, '--check', '--allow-root').stderr.count(b'tls'), 0, 'a good one is not')
    os.chmod(t.path('one.key'), 0o644)
    like(t.run('slimta-edge', '-c', conf, '--check', '--allow-root').stderr.decode(),
        r'tls\.keyfile: warning: .*/one\.key has a private key, and anybody on this machine may read it', 'nor is its key, but it is open')


run(goes_on, renewed, checked)
