# submission.py - programs that submit mail, each by TLS and AUTH as a test wants it: two TLS libraries, and all mechanisms
# SPDX-License-Identifier: MIT
#
# way = Way(port, ca=certificates.ca, user='ann', password='secret')
# done = curl(home, way, 'me@example.org', ['you@example.net'], MESSAGE)      # home: lib.clients.Home
# for done in together([(curl, way, recipients), (msmtp, way, recipients)], home): ...
import dataclasses
import grp
import json
import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Optional

from .clients import ME, current_user, peer

MESSAGE = 'From: me@example.org\r\nTo: you@example.net\r\nSubject: a test\r\n\r\n.\r\n..two\r\nlast\r\n'


@dataclasses.dataclass
class Way:
    """How a client connects: always to 127.0.0.1, and `name` is the one that the certificate has to have. `tls` is starttls,
    immediately or none; without `ca` nothing is verified. `certificate`: the client's own and its key. `mechanism` is what
    it insists on. `source`: the address that it comes from."""
    port: int
    tls: str = 'starttls'
    ca: Optional[str] = None
    name: str = 'localhost'
    user: Optional[str] = None
    password: str = ''
    mechanism: str = 'PLAIN'
    certificate: Optional[tuple] = None
    source: Optional[str] = None

    def but(self, **other):
        return dataclasses.replace(self, **other)


def words(*parts):
    """A command line; what is None or False is left out, lists are taken apart."""
    line = []
    for part in parts:
        line += part if isinstance(part, (list, tuple)) else [part] if part else []
    return [str(word) for word in line]


def swaks(home, way, sender, recipients, message):
    tls = {'starttls': '--tls', 'immediately': '--tls-on-connect', 'none': None}[way.tls]
    pair = way.certificate and ['--tls-cert', way.certificate[0], '--tls-key', way.certificate[1]]
    auth = way.user and ['--auth', way.mechanism, '--auth-user', way.user, '--auth-password', way.password]
    return home.run(*words('swaks', '--server', '127.0.0.1', '--port', way.port, '--from', sender, '--to', ','.join(recipients),
        tls, way.ca and ['--tls-verify', '--tls-ca-path', way.ca], way.name and tls and ['--tls-sni', way.name], pair, auth,
        way.source and ['--local-interface', way.source], '--ehlo', 'client.example', '--data', '-'),
        stdin=message.replace('\r', '').removesuffix('\n'))


def curl(home, way, sender, recipients, message):
    """Sends while it uploads: by --crlf it would end lines itself."""
    scheme = 'smtps' if way.tls == 'immediately' else 'smtp'
    return home.run(*words('curl', '-sSv', f'{scheme}://{way.name}:{way.port}/client.example', '--resolve',
        f'{way.name}:{way.port}:127.0.0.1', way.tls == 'starttls' and '--ssl-reqd', ['--cacert', way.ca] if way.ca else '-k',
        way.certificate and ['--cert', way.certificate[0], '--key', way.certificate[1]],
        way.user and ['-u', f'{way.user}:{way.password}', '--login-options', f'AUTH={way.mechanism}'],
        way.source and ['--interface', way.source], '--mail-from', sender,
        [word for recipient in recipients for word in ('--mail-rcpt', recipient)], '-T', '-'), stdin=message)


def msmtp(home, way, sender, recipients, message):
    """GnuTLS, and libgsasl for SCRAM."""
    tls = ['--tls=off'] if way.tls == 'none' else ['--tls=on', f"--tls-starttls={'on' if way.tls == 'starttls' else 'off'}",
        f'--tls-trust-file={way.ca or ""}', f'--tls-host-override={way.name}', None if way.ca else '--tls-certcheck=off']
    pair = way.certificate and [f'--tls-cert-file={way.certificate[0]}', f'--tls-key-file={way.certificate[1]}']
    auth = [f'--auth={way.mechanism.lower()}', f'--user={way.user}', f'--passwordeval=echo {way.password}'] \
        if way.user else ['--auth=off']
    return home.run(*words('msmtp', '--host=127.0.0.1', f'--port={way.port}', f'--from={sender}', '--domain=client.example',
        [word for word in tls if word], pair, auth, way.source and f'--source-ip={way.source}', '--', recipients),
        stdin=message.replace('\r', ''))


SMTPLIB = '''
import json, smtplib, ssl, sys
way, sender, recipients = json.loads(sys.argv[1])
context = ssl.create_default_context(cafile=way["ca"])
if not way["ca"]:
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
if way["certificate"]:
    context.load_cert_chain(*way["certificate"])
source = (way["source"], 0) if way["source"] else None
client = (smtplib.SMTP_SSL("127.0.0.1", way["port"], "client.example", timeout=60, context=context, source_address=source)
    if way["tls"] == "immediately" else smtplib.SMTP("127.0.0.1", way["port"], "client.example", 60, source))
with client:
    client.set_debuglevel(1)
    if way["tls"] == "starttls":
        client.starttls(context=context)
    if way["user"]:
        client.ehlo()
        client.user, client.password = way["user"], way["password"]
        name = way["mechanism"]
        client.auth(name, getattr(client, "auth_" + name.lower().replace("-", "_")))
    utf8 = [] if all(address.isascii() for address in [sender, *recipients]) else ["SMTPUTF8", "BODY=8BITMIME"]
    print(client.sendmail(sender, recipients, sys.stdin.buffer.read(), utf8))
'''


def smtplib(home, way, sender, recipients, message):
    """It verifies that the certificate is for 127.0.0.1."""
    return home.run('/usr/bin/python3', '-c', SMTPLIB, json.dumps([dataclasses.asdict(way), sender, recipients]), stdin=message)


NODEMAILER = '''
const [way, from, to] = JSON.parse(process.argv[1]), fs = require("fs")
const tls = {servername: way.name, ca: way.ca && fs.readFileSync(way.ca), rejectUnauthorized: !!way.ca}
if (way.certificate)
    Object.assign(tls, {cert: fs.readFileSync(way.certificate[0]), key: fs.readFileSync(way.certificate[1])})
const transport = require("nodemailer").createTransport({host: "127.0.0.1", port: way.port, name: "client.example",
    secure: way.tls == "immediately", requireTLS: way.tls == "starttls", ignoreTLS: way.tls == "none", tls,
    authMethod: way.mechanism, auth: way.user ? {user: way.user, pass: way.password} : undefined, localAddress: way.source || undefined})
transport.sendMail({envelope: {from, to}, raw: fs.readFileSync(0)}).then(
    done => console.log(done.response), error => { console.log(error.message); process.exit(1) })
'''


def nodemailer(home, way, sender, recipients, message):
    return home.run('node', '-e', NODEMAILER, json.dumps([dataclasses.asdict(way), sender, recipients]), stdin=message)


def session_of(way, sender, recipients, message):
    """All commands of a session in one piece (RFC 2920)."""
    lines = [f'MAIL FROM:<{sender}>', *(f'RCPT TO:<{recipient}>' for recipient in recipients), 'DATA']
    stuffed = re.sub(r'(?m)^\.', '..', message)
    return '\r\n'.join(['EHLO client.example', *lines]) + f'\r\n{stuffed}.\r\nQUIT\r\n'


def s_client(home, way, sender, recipients, message):
    """All that it has to say in the first octets after the handshake; it cannot authenticate. It fails after all of that
    where the server does not end TLS in the proper way."""
    return home.run(*words('openssl', 's_client', '-quiet', '-connect', f'127.0.0.1:{way.port}',
        way.name and ['-servername', way.name], way.tls == 'starttls' and ['-starttls', 'smtp', '-name', 'client.example'],
        way.ca and ['-CAfile', way.ca, '-verify_return_error', '-verify_hostname', way.name],
        way.certificate and ['-cert', way.certificate[0], '-key', way.certificate[1]]),
        stdin=session_of(way, sender, recipients, message))


def gsasl(home, way, *_):
    """GnuTLS and libgsasl. It authenticates, and ends; nothing is sent. --no-cb: else it wants channel bindings."""
    tls = ['--no-starttls'] if way.tls == 'none' else ['--starttls', f'--x509-ca-file={way.ca or ""}']
    return home.run(*words('gsasl', '--smtp', f'--connect=127.0.0.1:{way.port}', tls, '--no-cb', f'--mechanism={way.mechanism}',
        f'--authentication-id={way.user}', way.mechanism == 'PLAIN' and '--authorization-id=', f'--password={way.password}'))


EXIM = '''
exim_path = @exim@
exim_user = @user@
exim_group = @user@
trusted_users = @user@
never_users =
keep_environment = LD_LIBRARY_PATH : LD_PRELOAD : NSS_WRAPPER_PASSWD : NSS_WRAPPER_GROUP
primary_hostname = client.example
spool_directory = @home@/@folder@
log_file_path = @home@/@folder@.%s
log_selector = +smtp_confirmation +tls_cipher +tls_certificate_verified
message_size_limit = 0
begin routers
all:
  driver = manualroute
  route_list = * localhost byname
  self = send
  transport = edge
begin transports
edge:
  driver = smtp
  protocol = @protocol@
  port = @port@
  allow_localhost
  hosts_require_tls = @tls_hosts@
  hosts_require_auth = @auth_hosts@
  @verify@
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  client_send = ^@login@^@password@
begin retry
'''


def exim(home, way, sender, recipients, message):
    """GnuTLS; the message goes by BDAT. What it answers is its log."""
    user, folder = current_user(), f'exim-{uuid.uuid4().hex[:8]}'
    passwd = home.write(f'{folder}.passwd', f'{user.pw_name}:x:{user.pw_uid}:{user.pw_gid}::/:/bin/sh\n'
        f'Debian-exim:x:{user.pw_uid}:{user.pw_gid}::/:/bin/sh\n')
    group = home.write(f'{folder}.group', f'Debian-exim:x:{user.pw_gid}:\n{user.pw_name}:x:{user.pw_gid}:\n')
    verify = f'tls_verify_certificates = {way.ca}\n  tls_verify_hosts = *\n  tls_verify_cert_hostnames = *' if way.ca else ''
    if way.certificate:
        verify += '\n  tls_certificate = {}\n  tls_privatekey = {}'.format(*way.certificate)
    values = {'exim': peer('usr/sbin/exim4'), 'user': user.pw_name, 'group': grp.getgrgid(user.pw_gid).gr_name, 'home': home.home,
        'folder': folder, 'port': way.port, 'protocol': 'smtps' if way.tls == 'immediately' else 'smtp', 'verify': verify,
        'tls_hosts': '' if way.tls == 'none' else '*', 'auth_hosts': '*' if way.user else '', 'login': way.user or '',
        'password': way.password}
    conf = home.write(f'{folder}.conf', re.sub('@(.*?)@', lambda match: str(values[match[1]]), EXIM))
    done = home.run(peer('usr/sbin/exim4'), '-C', conf, '-odf', '-i', '-f', sender or '<>', *recipients,
        stdin=message.replace('\r', ''), LD_PRELOAD='libnss_wrapper.so', NSS_WRAPPER_PASSWD=passwd, NSS_WRAPPER_GROUP=group)
    with open(f'{home.home}/{folder}.main', encoding='utf-8', errors='replace') as log:
        done.stdout += log.read().encode()
    done.returncode = done.returncode or b' => ' not in done.stdout
    return done


def together(home, jobs, sender=ME, message=MESSAGE):
    """Runs each (client, way, recipients) at the same time as all others; gives how they ended, in order."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda job: job[0](home, job[1], sender, job[2], message), jobs))
