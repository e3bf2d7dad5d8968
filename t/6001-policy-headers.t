#!/usr/bin/python3
# 6001-policy-headers.t - S16: fields are added, and what came is stored octet for octet
# SPDX-License-Identifier: MIT
import glob
import re

from lib.fixture import is_, like, ok, run

CONF = '''
@process@
  worker: {instances: 0}
edge:
  in: {type: smtp, listener: {port: @port:smtp@}, queue: q, hostname: in.example.net}
queue:
  q:
    type: disk
    envelope_dir: @dir@/messages
    meta_dir: @dir@/meta
    allow_volatile: yes
    policies: [POLICIES]
'''
ALL = '{type: add_date_header}, {type: add_messageid_header, hostname: "ids.{hostname}"}, {type: add_received_header}'
DATE = rb'(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} [A-Z][a-z]{2} 20[0-9]{2} [0-9:]{8} \+0000'
ODD = (b'to:bob\r\nSubject:  two  spaces \r\n\t folded\r\nX-Long: ' + b'0123456789' * 30 + b'\r\n'
    b'DKIM-Signature: v=1; c=simple/simple;\r\n\tb=\r\nX-8bit: \xff\xfe\r\nTO:again\r\n')
BODY = b'\r\nbody  \r\n\r\nDate: in the body\r\n\r\n'


def start(t, policies):
    t.edge(CONF.replace('POLICIES', policies))
    return t.client('smtp')


def stored(t, reply):
    """The octets of the message that this 250 names."""
    name = re.search(r'[0-9a-v]{26}', repr(reply)).group(0)
    with open(glob.glob(t.path('messages', f'{name}.env'))[0], 'rb') as file:
        line, _, rest = file.read().partition(b'\n')
    head, size = (int(number) for number in line.split()[2:4])
    is_(len(rest), head + 1 + size, 'the lengths are those of the first line')
    return rest[head + 1:]


def adds(t):
    client = start(t, ALL)
    client.hello('client.example')
    octets = stored(t, client.mail('a@example.org', ['b@example.net'], ODD + BODY))
    received, found, rest = octets.partition(ODD)
    ok(found, 'the header that came is there, octet for octet')
    like(received.decode(), r'\AReceived: from client\.example \(\S+ \[127\.0\.0\.1\]\)\r\n'
        r'\tby in\.example\.net \(slimta [0-9.]+\) with ESMTP id [0-9a-v]{26}\r\n'
        rf'\tfor <b@example\.net>; {DATE.decode()}\r\n\Z', 'behind a trace field that names one recipient')
    ok(re.match(rb'Date: ' + DATE + rb'\r\nMessage-Id: <[0-9a-v]{26}\.[0-9]{10}@ids\.[^>\s]+>\r\n\r\n', rest),
        'before a date and an id')
    ok(rest.endswith(BODY), 'and the body that came')


def names_nobody(t):
    client = start(t, '{type: add_received_header}')
    client.hello('client.example')
    octets = stored(t, client.mail('a@example.org', ['b@example.net', 'hidden@example.net'], ODD + BODY))
    ok(octets.endswith(ODD + BODY) and octets.startswith(b'Received: '), 'a trace field and what came')
    ok(b'example.net>' not in octets, 'names nobody where there are two')


def leaves_alone(t):
    client = start(t, '{type: add_date_header}, {type: add_message_id_header}')
    client.hello('client.example')
    message = b'MESSAGE-ID:<x@y>\r\ndate : long ago\r\n' + ODD + BODY
    is_(stored(t, client.mail('a@example.org', ['b@example.net'], message)), message, 'nothing is added twice')
    big = message + b'0123456789abcdef' * 20000 + b'\r\n'
    is_(stored(t, client.mail('a@example.org', ['b@example.net'], big)), big, 'nor to a message that was spooled')


def without(t):
    client = start(t, '')
    client.hello('client.example')
    is_(stored(t, client.mail('a@example.org', ['b@example.net'], ODD + BODY)), ODD + BODY, 'no policy, no change')


run(adds, names_nobody, leaves_alone, without)
