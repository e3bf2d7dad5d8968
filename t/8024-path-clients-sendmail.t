#!/usr/bin/python3
# 8024-path-clients-sendmail.t - sendmail as the relay of a machine: queue, DSN (RFC 3461), bounces
# SPDX-License-Identifier: MIT
import os
import re
import socket

from lib.clients import BODY, HEADER, LARGE, ME, MOST, NOBODY, TOO_LARGE, Edge, arrived, current_user, peer
from lib.fixture import is_, like, run, wait_for

# The least that relays all, whatever the load: what m4 makes of Debian's macros is twenty times as long.
CF = r'''
V10/Berkeley
Djclient.example
O QueueDirectory=@home@/queue
O DeliveryMode=i
O QueueLA=1000000
O RefuseLA=1000000
O EightBitMode=pass8
O HeloName=client.example
O RunAsUser=@user@
O DefaultUser=@user@
O TrustedUser=@user@
O DontBlameSendmail=Safe
Troot
T@name@
H?D?Date: $a
H?M?Message-Id: <$t.$i@$j>
S3
R$* < $* > $*	$: $2
R$*	$@ $1
S4
R$* < $* > $*	$1 $2 $3
S0
R$*	$#relay $@ [127.0.0.1] $: $1
Mrelay,	P=[IPC], F=mDFMuXa8k, E=\r\n, L=2040, T=DNS/RFC822/SMTP, A=TCP [127.0.0.1] @port@
Mlocal,	P=/bin/false, F=lsDFMAw5:/|@qPn9, T=DNS/RFC822/X-Unix, A=false
Mprog,	P=/bin/false, F=lsDFMoqeu9, T=X-Unix/X-Unix/X-Unix, A=false
'''


def sendmail(edge, *arguments, text=''):
    """It looks its machine's name up in /etc/hosts, and waits a minute for one that has a dot: proot shows it another."""
    user = current_user()
    edge.write('etc/passwd', f'{user.pw_name}:x:{user.pw_uid}:{user.pw_gid}::/:/bin/sh\n')
    edge.write('etc/hosts', f'127.0.0.1 client.example {socket.gethostname()} localhost\n')
    edge.write('etc/nsswitch.conf', 'hosts: files\n')
    values = {'home': edge.home, 'port': edge.port, 'user': f'{user.pw_uid}:{user.pw_gid}', 'name': user.pw_name}
    conf = edge.write('sendmail.cf', re.sub('@(home|port|user|name)@', lambda match: str(values[match[1]]), CF))
    if not os.path.isdir(f'{edge.home}/queue'):
        edge.run('mkdir', '-m', '700', f'{edge.home}/queue')
    return edge.run(peer('usr/bin/proot'), '-b', f'{edge.home}/etc:/etc', peer('usr/libexec/sendmail/sendmail'), '-C', conf,
        '-Am', *arguments, stdin=text)


def relays(t):
    edge = Edge(t, 'debug')
    one, two, three, four, five, six, seven = (f'sendmail{number}@example.net' for number in range(1, 8))
    many = [f'sendmail-{number}@example.net' for number in range(MOST + 1)]
    for sender, recipients, text, status in ((ME, [one, two], BODY, 0), ('<>', [three], BODY, 0), (ME, [four], LARGE, 0),
            (ME, [five, NOBODY], BODY, 69), (ME, many, BODY, 0), (ME, [six], TOO_LARGE, 69)):
        done = sendmail(edge, '-i', '-f', sender, *recipients, text=HEADER + text)
        is_(done.returncode, status, f'sendmail for {recipients[-1]}: {status}; {done.stdout.decode()[-200:]}')
    like(sendmail(edge, '-bp').stdout.decode(), r'\(Deferred: 452 4\.5\.3 Too many recipients\)\n.*sendmail-\d@',
        'sendmail: its queue says who has to wait, and why')
    is_(sendmail(edge, '-q').returncode, 0, 'sendmail: its queue is run')
    for recipient in (one, two, three, five, *many):
        arrived(edge, 'sendmail', recipient)
    arrived(edge, 'sendmail', four, LARGE)
    bounced = b''.join(edge.delivered(ME, 2)).decode()
    for reply in ('SMTP; 501 5.1.3 Bad recipient address, expected a local part of', 'SMTP; 552 5.3.4 Message size exceeds'):
        like(bounced, f'^Diagnostic-Code: {reply}', f'sendmail: its bounce has {reply}')
    sendmail(edge, '-i', '-f', ME, '-N', 'success,failure', '-R', 'hdrs', '-V', 'envelope', seven, text=HEADER + BODY)
    for command in (rf'MAIL From:<{ME}> SIZE=\d+ ENVID=envelope RET=HDRS', rf'RCPT To:<{seven}> NOTIFY=SUCCESS,FAILURE'):
        like(edge.master.log, f'command="{command}"', 'sendmail: asks for notifications where DSN is offered')
    notice = wait_for(lambda: [mail for mail in edge.delivered(ME, 3) if b'\r\nAction: delivered\r\n' in mail],
        20, 'the notification')
    like(notice[0], '^Original-Envelope-Id: envelope\r$', 'sendmail: and gets one')
    edge.empty()


run(relays)
