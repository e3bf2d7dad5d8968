#!/usr/bin/python3
# 5010-relay-lda-options.t - maildrop and dovecot: each option does what it says, whoever the mail is from and for
# SPDX-License-Identifier: MIT
# S2 S3 P11
import grp
import os
import pwd
import re

from lib.fixture import IS_ROOT, is_, like, ok, run, wait_for
from lib.relay import config, queued, script, send

USER = 'nobody' if IS_ROOT else pwd.getpwuid(os.getuid()).pw_name
GROUP = grp.getgrgid(pwd.getpwnam(USER).pw_gid).gr_name
SHOW = 'cat >/dev/null; {{ printf "<%s>" "$@"; echo; }} >{out}/args.$$; id -un >{out}/user; id -gn >{out}/group'


def program(t, name):
    """A stand-in that records how it was called."""
    os.chmod(t.folder('out'), 0o777)
    return script(t, name, SHOW.format(out=t.path('out')))


def called(t):
    """Each run has a file of its own: several may be under way."""
    return sorted(t.read(f'out/{name}').decode().rstrip('\n') for name in os.listdir(t.path('out')) if name.startswith('args.'))


def wait_delivered(master, ident, *recipients):
    for recipient in recipients:
        master.wait_log(rf' delivered id={ident} recipient={re.escape(recipient)} .*attempts=1 ')


def maildrop(t):
    program(t, 'bin/maildrop')
    master = t.master(config(f'type: maildrop, extra_args: ["--from={{sender}}", "two words", /the/filter], user: {USER}, '
        f'group: {GROUP}'), env={'PATH': t.path('bin') + ':' + os.environ['PATH']})
    ident = send(t, 'a@example.net', 'b@example.net', 'c@example.net')
    wait_delivered(master, ident, 'a@example.net', 'b@example.net', 'c@example.net')
    is_(called(t), ['<-f><s@example.org><--from=s@example.org><two words></the/filter>'], 'three recipients, one run')
    is_([t.read(f'out/{what}').decode().strip() for what in ('user', 'group')], [USER, GROUP], 'as the user and group')
    like(master.log, rf' delivered id={ident} .*host=maildrop ', 'searched for in PATH')
    is_(queued(t), [], 'then the message is gone')


def one_run_each(t):
    path = program(t, 'md')
    master = t.master(config(f'type: maildrop, path: {path}, per_recipient: yes, extra_args: [-A, X-Here]'))
    wait_delivered(master, send(t, 'a@example.net', '-Vb@example.net'), 'a@example.net', '-Vb@example.net')
    is_(called(t), ['<-f><s@example.org><-d><-Vb@example.net><-A><X-Here>', '<-f><s@example.org><-d><a@example.net><-A><X-Here>'],
        'one run for each, who is named by -d and never an option')


def told_in_arguments(t):
    path = program(t, 'md')
    master = t.master(config(f'type: maildrop, path: {path}, per_recipient: yes, extra_args: [filter, "{{recipient}}"]', delay=300,
        bounces=True))
    ident = send(t, 'a@example.net', '-Vb@example.net')
    wait_delivered(master, ident, 'a@example.net')
    is_(called(t), ['<-f><s@example.org><filter><a@example.net>'], 'the arguments name the recipient, so -d does not')
    master.wait_log(rf' failed id={ident} recipient=-Vb@example.net .*reply="554 5.3.0 Argument 4 of the command would begin with')


def dovecot(t):
    path = program(t, 'lda')
    master = t.master(config(f'type: dovecot, path: {path}, extra_args: [-e, -m, "{{client_auth}}INBOX"], timeout: 20'))
    hostile = ['-d@example.net', '"a b"@example.net', '"\'$(id)`id`;|"@example.net', '"-f x"@example.net', '{sender}@example.net']
    with t.client('smtp') as client:
        client.hello()
        reply = client.mail('-exec@example.org', hostile, 'Subject: x\r\n\r\nbody\r\n')
        client.mail('', ['r@example.net'], 'Subject: x\r\n\r\nbody\r\n')
    ident = re.search(r'\b[0-9a-z]{26}\b', reply.text)[0]
    wait_for(lambda: len(re.findall(rf' delivered id={ident} ', master.log)) == len(hostile), what='all five deliveries')
    master.wait_log(r' delivered id=\S+ recipient=r@example.net ')
    is_(called(t), sorted([f'<-f><-exec@example.org><-d><{recipient}><-e><-m><INBOX>' for recipient in hostile]
        + ['<-f><><-d><r@example.net><-e><-m><INBOX>']), 'each address is one argument, and the null sender too')


def refused_configurations(t):
    for relay, error in (
            ('type: maildrop, extra_args: ["{recipient}"]', 'recipient} is known only where the command runs once for each'),
            ('type: maildrop, extra_args: -d x', 'expected a list, [ARGUMENT...]'),
            ('type: dovecot, extra_args: ["{sendr}"]', 'there is no field {sendr}'),
            ('type: dovecot, path: ""', 'expected the name of a program'),
            ('type: dovecot, path: "{sender}"', 'expected the name of a program, without fields'),
            ('type: dovecot, args: [x]', 'args')):
        checked = t.run('slimta-master', '-c', t.config(config(relay)), '--check', *(['--allow-root'] if IS_ROOT else []))
        ok(checked.returncode != 0, f'{relay} is refused')
        like(checked.stderr.decode(), re.escape(error), 'and it says why')


run(maildrop, one_run_each, told_in_arguments, dovecot, refused_configurations)
