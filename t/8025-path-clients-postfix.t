#!/usr/bin/python3
# 8025-path-clients-postfix.t - a whole Postfix whose relayhost is the edge: octets, deferrals, bounces, DSN
# SPDX-License-Identifier: MIT
import smtplib

from lib.clients import BODY, HEADER, LARGE, ME, MOST, NOBODY, TOO_LARGE, Edge, arrived
from lib.fixture import is_, like, ok, run, wait_for
from lib.postfix import Postfix


class Client(Postfix):
    def send(self, sender, recipients, text, rcpt_options=(), mail_options=('BODY=8BITMIME',)):
        with smtplib.SMTP('127.0.0.1', self.port, timeout=30) as client:
            client.sendmail(sender, recipients, (HEADER + text).replace('\n', '\r\n').encode(), mail_options, rcpt_options)


def relays(t):
    edge = Edge(t, 'debug')
    postfix = Client(edge, edge.port)
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
