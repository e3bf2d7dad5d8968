# hostile.py - sessions by chance: every verb, parameters good and bad, mail data, junk, cut anywhere
# SPDX-License-Identifier: MIT
import random

NASTY = [b'%s%n%s%n%d', b'\0\0\0', b'\xff\xfe\xfd', b'\x1b[2J\x1b]0;x\x07', b'"\\"\\\\', b'id=forged status=sent',
    b'{"level":"error"}', b'a\rb', b'a\nb', '\N{RIGHT-TO-LEFT OVERRIDE}\N{SNOWMAN}\u2028\x85'.encode(), b'x' * 5000, b'', b'..',
    b'../../etc/passwd', b'$(id)`id`', b'<script>', b'\t', b'-f', b'=?utf-8?q?=0a?=', b'a@b@c', b'xn--', b'[127.0.0.1]',
    b'\xed\xa0\x80', b'\xc0\xaf', b'+00+0A', b'4294967296', b'18446744073709551616', b'-1', b'0x10']
ADDRESSES = [b'a@b.example', b'', b'"a b"@b.example', b'a@[192.0.2.1]', b'a@[IPv6:2001:db8::1]', b'"%b"@b.example', b'%b@b.example',
    b'a@%b', b'@x.example,@y.example:a@b.example', b'\xc3\xa4@\xc3\xb6.example', b'postmaster', b'%b', b'l' * 64 + b'@b.example']
PARAMETERS = [b'SIZE=10', b'SIZE=%b', b'BODY=8BITMIME', b'BODY=7BIT', b'BODY=%b', b'SMTPUTF8', b'SMTPUTF8=%b', b'RET=FULL', b'RET=HDRS',
    b'RET=%b', b'ENVID=a+2Bb', b'ENVID=%b', b'NOTIFY=NEVER', b'NOTIFY=SUCCESS,FAILURE,DELAY', b'NOTIFY=%b',
    b'ORCPT=rfc822;a+40b.example', b'ORCPT=utf-8;\xc3\xa4\\x{e4}@b', b'ORCPT=%b', b'AUTH=<>', b'%b=%b', b'%b', b'MT-PRIORITY=3',
    b'REQUIRETLS', b'RRVS=%b', b'BY=9;R']
COMMANDS = [b'HELO %b', b'EHLO %b', b'LHLO %b', b'RSET', b'RSET %b', b'NOOP %b', b'VRFY %b', b'EXPN %b', b'HELP', b'HELP %b', b'QUIT %b',
    b'AUTH PLAIN %b', b'STARTTLS', b'BDAT', b'BDAT %b', b'BDAT %b LAST', b'BDAT 5 %b', b'DATA %b', b'MAIL', b'MAIL FROM %b', b'RCPT TO',
    b'ETRN %b', b'TURN', b'SEND FROM:<a@b>', b'XCLIENT ADDR=%b', b'%b', b'']
CONTENT = [b'Subject: x\r\n', b'Subject: =?utf-8?b?%b?=\r\n', b'Received: %b\r\n', b'\r\n', b'.\r\n', b'..\r\n', b'\n.\n', b'\r.\r', b'\n.\r\n', b'%b\r\n',
    b' folded %b\r\n', b'From %b\r\n', b'\r\n\r\n', b'x' * 998 + b'\r\n', b'y' * 3000, b'To: <%b>\r\n']


class Hostile:
    """What one client says, from a seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def fill(self, text):
        while b'%b' in text:
            text = text.replace(b'%b', self.random.choice(NASTY).replace(b'%b', b''), 1)
        return text

    def parameters(self):
        """Of MAIL or RCPT, whichever they belong to."""
        count = self.random.choice((0, 0, 0, 0, 0, 1, 1, 2, 5))
        return b''.join(b' ' + self.fill(self.random.choice(PARAMETERS)) for _ in range(count))

    def address(self):
        return self.fill(self.random.choice(ADDRESSES if self.random.random() < 0.3 else ADDRESSES[:1]))

    def content(self, clean):
        """Of a message; `clean` has CR LF alone as its line ends, and no NUL."""
        text = b''.join(self.fill(self.random.choice(CONTENT)) for _ in range(self.random.randrange(12)))
        if not clean:
            return text
        text = text.replace(b'\0', b'?').replace(b'\r', b'').replace(b'\n', b'\r\n')
        return text.replace(b'\r\n.', b'\r\n..')

    def data(self):
        text = self.content(self.random.random() < 0.8)
        return b'DATA\r\n' + text + self.random.choice((b'\r\n.\r\n', b'\r\n.\r\n', b'.\r\n', b'\n.\n', b''))

    def chunks(self):
        text = self.content(self.random.random() < 0.8)
        out = b''
        while text and self.random.random() < 0.6:
            size = self.random.randrange(len(text) + 1)
            out += b'BDAT %d\r\n' % size + text[:size]
            text = text[size:]
        wrong = self.random.choice((0, 0, 0, 0, 1, -1, 100))
        return out + b'BDAT %d LAST\r\n' % max(len(text) + wrong, 0) + text

    def transaction(self):
        """In order, mostly good."""
        out = b'MAIL FROM:<' + self.address() + b'>' + self.parameters() + b'\r\n'
        for _ in range(self.random.choice((1, 1, 2, 5))):
            out += b'RCPT TO:<' + self.address() + b'>' + self.parameters() + b'\r\n'
        return out + (self.data() if self.random.random() < 0.5 else self.chunks())

    def command(self):
        return self.fill(self.random.choice(COMMANDS)) + self.random.choice((b'\r\n', b'\r\n', b'\r\n', b'\n', b'\r'))

    def session(self):
        """Octets of a whole session."""
        out = b'EHLO client.example\r\n' if self.random.random() < 0.9 else b''
        for _ in range(self.random.randrange(1, 8)):
            kind = self.random.random()
            out += self.transaction() if kind < 0.6 else self.command() if kind < 0.95 else self.random.randbytes(300)
        return out + self.random.choice((b'', b'QUIT\r\n'))

    def pieces(self, data):
        """The same octets, cut by chance: mostly few cuts, at times at every octet of a part."""
        while data:
            size = self.random.choice((1, 2, 10, 100, 1000, len(data)))
            yield data[:size]
            data = data[size:]
