# aiosmtpd_server.py - aiosmtpd that tells on stdout what it takes, as a line of JSON each, until its stdin ends
# SPDX-License-Identifier: MIT
# Options: --lmtp, --7bit (8BITMIME is not offered), --utf8 (SMTPUTF8 is), --auth (who does not say AUTH is refused),
# --tls CERTIFICATE KEY (STARTTLS, required). Recipients called `no` and `later` are refused,
# by LMTP `full` when the data is there.
import asyncio
import json
import ssl
import sys

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, AuthResult

SEVEN_BIT, UTF8, LMTP_WANTED, AUTH = (name in sys.argv for name in ('--7bit', '--utf8', '--lmtp', '--auth'))


class Handler:
    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        return [line for line in responses if not (SEVEN_BIT and '8BITMIME' in line)]

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith('no@'):
            return '550 5.1.1 no such user'
        if address.startswith('later@'):
            return '451 4.3.0 later'
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return '250 2.1.5 ok'

    async def handle_DATA(self, server, session, envelope):
        say({'sender': envelope.mail_from, 'recipients': envelope.rcpt_tos, 'options': envelope.mail_options,
            'content': envelope.original_content.hex(), 'utf8': envelope.smtp_utf8, 'lmtp': LMTP_WANTED,
            'tls': session.ssl is not None, 'auth': bool(session.authenticated)})
        # Of LMTP the handler writes all replies itself.
        return '\r\n'.join(data_reply(recipient) for recipient in envelope.rcpt_tos) if LMTP_WANTED else '250 2.0.0 taken'


def data_reply(recipient):
    return '552 5.2.2 full' if recipient.startswith('full@') else '250 2.1.5 taken'


def say(what):
    print(json.dumps(what), flush=True)


def authenticate(server, session, envelope, mechanism, data):
    good = (data.login, data.password) == (b'us', b'secret')
    return AuthResult(success=good)


async def main():
    how = {'enable_SMTPUTF8': UTF8, 'data_size_limit': 50000000, 'auth_required': AUTH}
    if '--tls' in sys.argv:
        at = sys.argv.index('--tls')
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*sys.argv[at + 1:at + 3])
        how.update(tls_context=context, require_starttls=True)
    if AUTH:
        how.update(authenticator=authenticate)
    kind = LMTP if LMTP_WANTED else SMTP
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: kind(Handler(), loop=loop, **how), '127.0.0.1', 0)
    say({'port': server.sockets[0].getsockname()[1]})
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


asyncio.run(main())
