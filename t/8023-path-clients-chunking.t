#!/usr/bin/python3
# 8023-path-clients-chunking.t - the clients that send by BDAT (RFC 3030): exim and Dovecot's submission; 8022 has esmtp
# SPDX-License-Identifier: MIT
import grp
import re
import smtplib
import socket
import subprocess

from lib.clients import BODY, HEADER, LARGE, ME, MOST, NOBODY, TOO_LARGE, Edge, arrived, current_user, peer
from lib.fixture import is_, like, run, unlike

EXIM = '''
exim_path = @exim@
exim_user = @user@
exim_group = @user@
trusted_users = @user@
never_users =
keep_environment = LD_LIBRARY_PATH : LD_PRELOAD : NSS_WRAPPER_PASSWD : NSS_WRAPPER_GROUP
primary_hostname = client.example
spool_directory = @home@/exim
log_file_path = @home@/exim.%s
log_selector = +smtp_confirmation
message_size_limit = 0
begin routers
all:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = edge
begin transports
edge:
  driver = smtp
  port = @port@
  allow_localhost
begin retry
* * F,1h,1h
'''


def fill(edge, text):
    user = current_user()
    values = {'exim': peer('usr/sbin/exim4'), 'user': user.pw_name, 'group': grp.getgrgid(user.pw_gid).gr_name, 'home': edge.home,
        'port': edge.port}
    return re.sub('@(.*?)@', lambda match: str(values[match[1]]), text)


def exim(edge, sender, recipients, text):
    user = current_user()
    passwd = edge.write('passwd', f'{user.pw_name}:x:{user.pw_uid}:{user.pw_gid}::/:/bin/sh\n'
        f'Debian-exim:x:{user.pw_uid}:{user.pw_gid}::/:/bin/sh\n')
    group = edge.write('group', f'Debian-exim:x:{user.pw_gid}:\n{user.pw_name}:x:{user.pw_gid}:\n')
    conf = edge.write('exim.conf', fill(edge, EXIM))
    return edge.run(peer('usr/sbin/exim4'), '-C', conf, '-odf', '-i', '-f', sender or '<>', *recipients, stdin=HEADER + text,
        LD_PRELOAD='libnss_wrapper.so', NSS_WRAPPER_PASSWD=passwd, NSS_WRAPPER_GROUP=group)


DOVECOT = """
base_dir = @home@
state_dir = @home@
log_path = @home@/dovecot.log
mail_location = maildir:@home@/maildir
protocols = submission
ssl = no
hostname = client.example
default_internal_user = @user@
default_internal_group = @group@
default_login_user = @user@
first_valid_uid = 0
submission_relay_host = 127.0.0.1
submission_relay_port = @port@
"""


def code_of(send, *message):
    try:
        send(*message)
    except smtplib.SMTPResponseException as refusal:
        return refusal.smtp_code
    return None


class Dovecot(smtplib.SMTP):
    """A session of Dovecot's submission, as it is behind its login; it passes on to the edge what it takes."""

    def __init__(self, edge):
        super().__init__(local_hostname='client.example')
        conf = edge.write('dovecot.conf', fill(edge, DOVECOT))
        self.sock, stdin = socket.socketpair()
        self.sock.settimeout(edge.t.timeout)
        with stdin:
            self.process = subprocess.Popen([peer('usr/bin/doveconf'), '-c', conf, '-m', 'submission', '-e',
                peer('usr/lib/dovecot/submission')], stdin=stdin, stdout=stdin, stderr=subprocess.DEVNULL, **edge.how(USER='me'))
        self.greeting = self.getreply()

    def quit(self):
        super().quit()
        self.process.wait(20)


def exim_sends(t):
    edge = Edge(t, 'debug')
    one, two, three, four, five, six = (f'exim{number}@example.net' for number in range(1, 7))
    many = [f'exim-{number}@example.net' for number in range(MOST + 1)]
    for sender, recipients, text in ((ME, [one, two], BODY), ('', [three], BODY), (ME, [four], LARGE),
            (ME, [five, NOBODY], BODY), (ME, many, BODY), (ME, [six], TOO_LARGE)):
        done = exim(edge, sender, recipients, text)
        is_(done.returncode, 0, f'exim is content: {done.stdout.decode()[-200:]}')
    for recipient in (one, two, three, five, *many[:MOST]):
        arrived(edge, 'exim', recipient)
    arrived(edge, 'exim', four, LARGE)
    log = t.read('client/exim.main').decode()
    for recipient in (one, three, four, five, many[0]):
        like(log, rf'=> {recipient} .* K C="250 2.6.0 Message accepted', f'exim: {recipient} by BDAT')
    like(log, rf'\*\* {NOBODY} .*: 501 5.1.3 Bad recipient address, expected a local part of', 'exim: who is refused, and why')
    like(log, rf'== {many[MOST]} .*: 452 4.5.3 Too many recipients', 'exim: who has to wait')
    like(log, rf'\*\* {six} .*: 552 5.3.4 Message size exceeds', 'exim: a message that is too large')
    is_(len(edge.delivered(ME, 2)), 2, 'exim: two bounces, by the edge')
    edge.empty()


def dovecot_sends(t):
    edge = Edge(t, 'debug')
    client = Dovecot(edge)
    is_(client.greeting[0], 235, 'dovecot: a session behind its login')

    def send(sender, recipients, text, *options):
        return client.sendmail(sender, recipients, (HEADER + text).encode(), options)

    is_(send(ME, ['dovecot1@example.net', 'dovecot2@example.net'], BODY, 'BODY=8BITMIME'), {}, 'dovecot takes a message')
    is_(send('', ['dovecot3@example.net'], LARGE), {}, 'dovecot takes a large one')
    refused = send(ME, ['dovecot4@example.net', NOBODY], BODY)
    like(str(refused), '^{.r*@example.net.: \\(501, .*5.1.3 .* expected a local part', 'dovecot passes on who is refused')
    for number, text in enumerate((BODY, BODY, LARGE, BODY), 1):
        arrived(edge, 'dovecot', f'dovecot{number}@example.net', text)
    is_(code_of(send, ME, ['dovecot5@example.net'], TOO_LARGE), 552, 'dovecot knows what is too large')
    client.quit()
    like(edge.master.log, r' command="BDAT \d+"$', 'dovecot: by BDAT, in chunks')
    unlike(edge.master.log, r' command=DATA', 'dovecot: and never by DATA')
    edge.empty()


run(exim_sends, dovecot_sends)
