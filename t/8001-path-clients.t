#!/usr/bin/python3
# 8001-path-clients.t - the libraries that programs send with: each message arrives once and octet for octet (S16)
# SPDX-License-Identifier: MIT
import smtplib

from lib.clients import BODY, HEADER, ME, Edge, check, text_of
from lib.fixture import is_, like, ok, run, unlike

# Nothing in here may be touched: odd spacing and folding, 8-bit text, dots, long lines, no final newline.
ODD = b'Subject:no space\r\nTo:  two spaces <a@example.net>\r\nX-Folded: one\r\n\ttwo\r\n   three \r\nto:again\r\n'
BODIES = {
    'plain': b'hello\r\n',
    'dots': b'.\r\n..\r\n.a\r\n...\r\n',
    'empty': b'',
    'blank': b'\r\n\r\n\r\n',
    'eight': 'grüße \N{SNOWMAN}\r\n'.encode() + bytes(range(128, 256)) + b'\r\n',
    'long': b'x' * 900 + b'\r\n',
    'large': b'0123456789abcdef' * 60 + b'\r\n',
}
BODIES['large'] *= 1200        # 1.1 MB: beyond spool_threshold

AIOSMTPLIB = '''
import asyncio, sys, aiosmtplib
port, sender, *recipients = sys.argv[1:]
async def main():
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=int(port)) as client:
        print(await client.sendmail(sender, recipients, sys.stdin.buffer.read().replace(b"\\n", b"\\r\\n")))
try:
    asyncio.run(main())
except aiosmtplib.SMTPException as error:
    sys.exit(str(error))
'''
NET_SMTP = '''
my ($port, $sender, @recipients) = @ARGV;
my $smtp = Net::SMTP->new("127.0.0.1", Port => $port, Hello => "client.example") or die;
$smtp->mail($sender, Bits => 8) && $smtp->recipient(@recipients) && $smtp->data && $smtp->datasend(join "", <STDIN>)
    && $smtp->dataend or die $smtp->code . " " . $smtp->message;
$smtp->quit;
'''
NODEMAILER = '''
const [port, from, ...to] = process.argv.slice(1)
const transport = require("nodemailer").createTransport({host: "127.0.0.1", port, name: "client.example"})
transport.sendMail({envelope: {from, to}, raw: require("fs").readFileSync(0)}).then(
    done => console.log(done.response, ...(done.rejectedErrors || []).map(error => error.message)),
    error => { console.log(error.message); process.exit(1) })
'''
# A shop's newsletter: ten messages over at most two connections, four a connection, each with an attachment.
POOL = '''
const transport = require("nodemailer").createTransport(
    {host: "127.0.0.1", port: process.argv[1], name: "client.example", pool: true, maxConnections: 2, maxMessages: 4})
Promise.all([...Array(10).keys()].map(number => transport.sendMail({
    from: "J\u00fcrgen <j\u00fcrgen@example.org>", to: `Mar\u00eda <mar\u00eda${number}@example.net>`, subject: "gr\u00fc\u00dfe",
    text: ".\\n..\\ngr\u00fc\u00dfe\\n.",
    attachments: [{filename: "\u2603.bin", content: Buffer.alloc(100000, 46)}]}))).then(
    all => { console.log(JSON.stringify(all.map(one => one.response))); transport.close() },
    error => { console.log(error.message); process.exit(1) })
'''


def aiosmtplib(edge, sender, recipients, text):
    return edge.run('/usr/bin/python3', '-c', AIOSMTPLIB, str(edge.port), sender, *recipients, stdin=HEADER + text)


def net_smtp(edge, sender, recipients, text):
    return edge.run('perl', '-MNet::SMTP', '-e', NET_SMTP, str(edge.port), sender, *recipients, stdin=HEADER + text)


def nodemailer(edge, sender, recipients, text):
    return edge.run('node', '-e', NODEMAILER, str(edge.port), sender, *recipients, stdin=HEADER + text)


def python_smtplib(t):
    edge = Edge(t, recipients=1000)
    with smtplib.SMTP('127.0.0.1', edge.port, timeout=20) as client:
        for name, body in BODIES.items():
            recipient = f'{name}@example.net'
            client.sendmail('me@example.org', [recipient], ODD + b'\r\n' + body, mail_options=['BODY=8BITMIME'])
            is_(edge.delivered(recipient), [ODD + b'\r\n' + body], f'{name}: octet for octet')
        everybody = [f'r{number}@example.net' for number in range(20)]
        client.sendmail('', everybody, ODD + b'\r\n')
        is_({message for name in everybody for message in edge.delivered(name)}, {ODD + b'\r\n'},
            'twenty recipients and a null sender')
        client.sendmail('jürgen@example.org', ['maría@example.net'], ODD + b'\r\n', ['SMTPUTF8', 'BODY=8BITMIME'])
        is_(edge.delivered('maría@example.net'), [ODD + b'\r\n'], 'an address in UTF-8')
    edge.empty()


def others(t):
    edge = Edge(t)
    check(edge, aiosmtplib, partial=True, size='MAIL', told=lambda reply: f"{reply[:3]}, '?{reply[4:]}")
    check(edge, net_smtp)
    check(edge, nodemailer, partial=True)
    edge.empty()


def pool(t):
    edge = Edge(t)
    done = edge.run('node', '-e', POOL, str(edge.port))
    like(done.stdout.decode(), r'^\["250 2\.6\.0 Message accepted', 'nodemailer: all were taken')
    for number in range(10):
        messages = edge.delivered(f'maría{number}@example.net')
        is_([text_of(message) for message in messages], ['.\n..\ngrüße\n.'], f'nodemailer: message {number} once')
    ok(edge.master.log.count(' connected ') in (3, 4), 'nodemailer: over few connections, as its pool was told')
    unlike(edge.master.log, ' rejected ', 'nodemailer: nothing was refused')
    edge.empty()


run(python_smtplib, others, pool)
