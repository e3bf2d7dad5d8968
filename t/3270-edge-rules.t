#!/usr/bin/python3
# 3270-edge-rules.t - who may send and to whom, as a client meets it: codes, texts, and what goes on after them
# SPDX-License-Identifier: MIT
# S14
import base64
import socket
import struct

from lib.edge import config, stored
from lib.fixture import is_, like, ok, run, unlike, wait_for
from lib.proxied import connect, v1

CREDENTIALS = 'lookup_credentials: {type: config, map: {ann: {password: "{PLAIN}secret"}}}'
NO_SENDER = '5.7.1 Sender <%s> Not allowed'
NO_RECIPIENT = '5.7.1 Recipient <%s> Not allowed'


def lists(t):
    """Lists of both kinds: what is refused leaves the transaction as it was."""
    edge = t.edge(config(", rules: {only_senders: [a@b.example], only_recipients: [c@d.example, 'jürgen@münchen.example']}"))
    with t.client('smtp') as client:
        client.hello()
        client.cmd('MAIL FROM:<x@b.example>', 550, NO_SENDER % 'x@b.example')
        client.cmd('MAIL FROM:<A@b.example>', 550, NO_SENDER % 'A@b.example')
        client.cmd('RCPT TO:<c@d.example>', 503)
        client.cmd('MAIL FROM:<a@B.EXAMPLE> SMTPUTF8', 250, '2.1.0 Sender <a@B.EXAMPLE> Ok')
        client.cmd('RCPT TO:<x@d.example>', 550, NO_RECIPIENT % 'x@d.example')
        client.cmd('RCPT TO:<c@D.example>', 250, '2.1.5 Recipient <c@D.example> Ok')
        client.cmd('RCPT TO:<jürgen@MÜNCHEN.example>', 250)
        client.cmd('RCPT TO:<POSTMASTER>', 250, '2.1.5 Recipient <POSTMASTER> Ok')
        client.cmd('RCPT TO:<postmaster@d.example>', 550)
        client.cmd('DATA', 354)
        client.send(b'Subject: x\r\n\r\n.\r\n')
        client.expect(250)
        client.cmd('MAIL FROM:<>', 250, '2.1.0 Sender <> Ok')
        client.cmd('RCPT TO:<c@d.example>', 250)
    is_([r['address'] for m in stored(t) for r in m['recipients']], ['c@D.example', 'jürgen@MÜNCHEN.example', 'POSTMASTER'],
        'only those that were accepted get it')
    like(edge.log, r'rejected .*client=127\.0\.0\.1 .*recipient=x@d\.example rule=only_recipients reason="not in the list" '
        r'reply="550 5\.7\.1 Recipient <x@d\.example> Not allowed"', 'a refusal is in the log, and its rule')


def looked_up(t):
    """Look-ups win over the rest, one after the other in a pipeline; who goes while one is under way is forgotten."""
    edge = t.edge(config(', rules: {only_senders: [o@b.example], regex_recipients: [".*@r.example$"], '
        'lookup_senders: {type: config, map: {a@b.example: {}}}, '
        'lookup_recipients: {type: config, key_template: ["{address}", "{domain}"], map: {c@d.example: {}, e.example: {}}}}'))
    with t.client('smtp') as client:
        client.hello()
        client.send(b'MAIL FROM:<o@b.example>\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nRCPT TO:<x@d.example>\r\n'
            b'RCPT TO:<x@E.example>\r\nRCPT TO:<x@r.example>\r\nRCPT TO:<postmaster>\r\nNOOP\r\n')
        for code in (550, 250, 250, 550, 250, 550, 250, 250):
            client.expect(code)
    for _ in range(20):
        client = t.client('smtp')
        client.expect(220)
        client.send(b'EHLO a\r\n' + b'MAIL FROM:<a@b.example>\r\nRSET\r\n' * 20)
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        client.close()
    wait_for(lambda: edge.log.count('disconnected') == 21, what='the end of all sessions')
    with t.client('smtp') as client:
        client.hello()
        client.cmd('MAIL FROM:<a@b.example>', 250)
    unlike(edge.log, r'Z (error|warn) ', 'and nothing went wrong')


def endless(t):
    """A pattern that explodes on a hostile address costs that client a 451, and others nothing."""
    edge = t.edge(config(", rules: {regex_senders: ['(?:x+x+)+y', '[ab]@'], regex_recipients: ['[^@]+@d\\.example$']}"))
    long = 'x' * 60 + '@b.example'
    with t.client('smtp') as client, t.client('smtp') as other:
        client.hello()
        other.hello()
        client.send(f'MAIL FROM:<{long}>\r\n'.encode() * 5)
        other.cmd('MAIL FROM:<b@b.example>', 250)
        for _ in range(5):
            client.expect(451, f'4.3.0 Sender <{long}> could not be checked, try again later')
        client.cmd('MAIL FROM:<xxxy@b.example>', 250)
        client.cmd('RCPT TO:<c@d.example.org>', 550)
        client.cmd('RCPT TO:<c@D.example>', 250)
    is_(edge.log.count('gave up a pattern'), 1, 'the log tells of it once in a while')
    like(edge.log, r'error .*gave up a pattern .*pattern="?\(\?:x\+x\+\)\+y', 'the log says which pattern it was')


def trusted(t):
    """With lookup_credentials and no sender rule a client has to authenticate, unless it is trusted."""
    t.edge(config(f', proxy_protocol: yes, trusted_clients: [192.0.2.0/24, "2001:db8::/32"], '
        f'rules: {{{CREDENTIALS}}}'))
    for ip, code in (('192.0.2.255', 250), ('::ffff:192.0.2.1', 250), ('2001:db8::9', 250), ('192.0.3.1', 550),
            ('2001:db9::1', 550), ('127.0.0.1', 550)):
        with connect(t, 'smtp', v1(ip)) as client:
            client.hello()
            client.cmd('MAIL FROM:<>', code)
            client.cmd('RSET', 250)
            client.cmd('MAIL FROM:<a@b.example>', code,
                NO_SENDER % 'a@b.example' if code == 550 else '2.1.0 Sender <a@b.example> Ok')
    with connect(t, 'smtp', b'PROXY UNKNOWN\r\n') as client:
        client.hello()
        client.cmd('MAIL FROM:<a@b.example>', 550)
    ok(True, 'an unknown client is in no network')


def authenticated(t):
    """AUTH, and what is asked for besides: nothing where there is no other rule, the sender's rule where there is one."""
    by_user = 'lookup_senders: {type: config, key_template: "{authzid} {address}", map: {ann a@b.example: {}}}'
    edges = {'both': f'{CREDENTIALS}, {by_user}', 'either': f'{CREDENTIALS}, only_senders: [a@b.example]',
        'ours': f'{CREDENTIALS}, only_recipients: [c@d.example]'}
    more = ''.join(f'  {name}: {{type: smtp, queue: q, listener: {{port: @port:{name}@}}, auth_without_tls: yes, '
        f'rules: {{{rules}}}}}\n' for name, rules in edges.items())
    edge = t.edge(config(f', auth_without_tls: yes, rules: {{{CREDENTIALS}}}').replace('\nqueue:\n', f'\n{more}queue:\n'))
    # Codes for the null sender, one of ann's and one of another; before AUTH, and after.
    for port, before, after in (('smtp', (550, 550, 550), (250, 250, 250)), ('both', (550, 550, 550), (550, 250, 550)),
            ('either', (550, 250, 550), (550, 250, 550)), ('ours', (250, 550, 550), (250, 250, 250))):
        with t.client(port) as client:
            client.hello()
            for moment, codes in enumerate((before, after)):
                for sender, code in zip(('', 'a@b.example', 'x@b.example'), codes):
                    client.cmd(f'MAIL FROM:<{sender}>', code, NO_SENDER % sender if code == 550 else '')
                    client.cmd('RSET', 250)
                if moment == 0:
                    client.cmd('AUTH PLAIN ' + base64.b64encode(b'\0ann\0secret').decode(), 235)
    for cause in 'lookup_credentials reason="not authenticated"', 'lookup_senders reason="not known"':
        like(edge.log, f'rejected .*command=MAIL .*rule={cause}', f'the log says {cause}')


run(lists, looked_up, endless, trusted, authenticated)
