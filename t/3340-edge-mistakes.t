#!/usr/bin/python3
# 3340-edge-mistakes.t - what is wrong about certificates, passwords and listeners is said with its line before anybody connects
# SPDX-License-Identifier: MIT
# S12
import os
import re

from lib.certificates import Certificates
from lib.fixture import IS_ROOT, diag, is_, like, ok, run, unlike

ROOT = ['--allow-root'] if IS_ROOT else []
GOOD = 'certfile: @good@.crt, keyfile: @good@.key'
USERS = 'rules: {lookup_credentials: {type: config, map: {ann: {'
HASH = '$6$rounds=5000$abcdefgh$' + 'x' * 86
QUEUE = '''
queue:
  q: {type: disk, envelope_dir: @dir@/mail, meta_dir: @dir@/meta, allow_volatile: yes, relay: r, retry: {maximum: 3}}
relay:
  r: {type: blackhole}
process: {slimta: {runtime_dir: @dir@/runtime}}
'''
# An edge a line, its own keys; behind #! what has to be said of it: path below the edge, and words of the text, in order.
ERRORS = f'''
tls: {{}}                                                       #! tls certfile
tls: {{certfile: @good@.crt}}                                   #! tls.certfile private key of certfile in .*, or a keyfile beside it: there is no key in PEM
tls: {{certfile: @tls@/nosuch.pem, keyfile: @good@.key}}        #! tls.certfile cannot read .*nosuch.pem: No such file
tls: {{certfile: @good@.crt, keyfile: @tls@/nosuch.pem}}        #! tls.keyfile cannot read .*nosuch.pem: No such file
tls: {{certfile: @good@.crt, keyfile: @unreadable@}}            #! tls.keyfile cannot read .*: (Permission denied|Is a directory)
tls: {{certfile: @good@.key, keyfile: @good@.key}}              #! tls.certfile expected a certificate in PEM in .*: there is none
tls: {{certfile: @good@.crt, keyfile: @good@.crt}}              #! tls.keyfile private key of certfile in .*: there is no key in PEM
tls: {{certfile: @good@.crt, keyfile: @wrong@.key}}             #! tls.keyfile private key of certfile in .*: key values mismatch
tls: {{{GOOD}, certs: [{{certfile: @wrong@.crt, keyfile: @good@.key}}]}}   #! tls.certs[0].keyfile private key of certfile
tls: {{{GOOD}, cert_reqs: required, ca_certs: @tls@/nosuch.pem}} #! tls.ca_certs .*nosuch.pem: No such file
tls: {{{GOOD}, cert_reqs: required, ca_certs: @good@.key}}     #! tls.ca_certs expected certificates in PEM in .*: there is none
tls: {{{GOOD}, min_version: TLSv1.4}}                           #! tls.min_version expected one of
tls: {{{GOOD}, ciphers: NONSENSE}}                              #! tls.ciphers expected ciphers
tls_immediately: yes                                            #! tls_immediately tls
require_tls: yes                                                #! require_tls tls
auth_without_tls: yes, {USERS}pasword: x}}}}}}}}            #! rules.lookup_credentials.map.ann password
auth_without_tls: yes, {USERS}password: "{{MD4}}xyz"}}}}}}}}    #! rules.lookup_credentials.map.ann.password SCHEME
auth_without_tls: yes, {USERS}password: "$6$short"}}}}}}}}      #! rules.lookup_credentials.map.ann.password
auth_without_tls: yes, {USERS}password: "{{SSHA}}!"}}}}}}}}     #! rules.lookup_credentials.map.ann.password
rules: {{lookup_credentials: {{type: confg, map: {{}}}}}}         #! rules.lookup_credentials.type .*did you mean "config"
rules: {{lookup_credentials: {{type: config}}}}                 #! rules.lookup_credentials.map required
rules: {{lookup_credentials: {{type: config, map: {{ann: secret-word}}}}}} #! rules.lookup_credentials.map.ann expected a map of FIELD
auth_without_tls: yes, rules: {{lookup_credentials: {{type: config, map: !include @tls@/nosuch}}}} #! rules.lookup_credentials.map cannot include .*nosuch: No such file
rules: {{lookup_senders: {{type: config, map: [x]}}}}           #! rules.lookup_senders.map expected a map
rules: {{passlib_config: /etc/passlib.conf}}                    #! rules.passlib_config
rules: {{regex_senders: ["("]}}                                 #! rules.regex_senders[0] parenthesis
proxy_protocol: yes, proxy_from: [10.0.0.0/33]                  #! proxy_from[0] 10.0.0.0/33
trusted_clients: [10.0.0.0/8, localhost]                        #! trusted_clients[1] localhost
max_connections: -1                                             #! max_connections expected
authzid: none                                                   #! authzid expected one of same, any
'''
WARNINGS = f'''
tls: {{certfile: @expired@.crt, keyfile: @expired@.key}}        #! tls.certfile expired
tls: {{certfile: @good@.crt, keyfile: @open@}}                  #! tls.keyfile anybody
tls: {{{GOOD}, server_side: yes}}                               #! tls.server_side
tls: {{{GOOD}}}, {USERS}password: secret-word}}}}}}}}  #! rules.lookup_credentials.map.ann.password plain
{USERS}password: "{HASH}"}}}}}}}}     #! rules.lookup_credentials auth_without_tls
auth_without_tls: yes, rules: {{lookup_credentials: {{type: config, map: }}}}  #! rules.lookup_credentials nobody
proxy_from: [10.0.0.0/8]                                        #! proxy_from proxy_protocol
'''


def made(t, edges):
    """The configuration, and what has to be said of it as (line, path, words)."""
    lines, wanted = ['edge:'], []
    for number, line in enumerate(edges.strip().splitlines()):
        keys, mark = line.split('#!')
        path, _, words = mark.strip().partition(' ')
        lines.append(f'  e{number}: {{type: smtp, queue: q, listener: {{port: {2500 + number}}}, {keys.strip()}}}')
        wanted.append((len(lines), f'edge.e{number}.{path}', words))
    return '\n'.join(lines) + QUEUE, wanted


def check(t, text):
    done = t.run('slimta-master', '-c', t.config(text), '--check', *ROOT)
    said = [line.partition('slimta.conf:')[2] for line in (done.stdout + done.stderr).decode().splitlines()]
    return done.returncode, [line for line in said if 'run as root' not in line]


def files(t, text):
    """Certificates and keys in place of their names in the text; only who is meant to can read them."""
    certificates = Certificates(t, 'DNS:mail.example.org')
    for who in ('good', 'wrong', 'expired'):
        os.chmod(certificates.make(who)[1], 0o600)
        text = text.replace(f'@{who}@', certificates.path(who))
    unreadable = t.folder('unreadable') if IS_ROOT else t.write(f'unreadable-{len(text)}.key', '', 0)
    readable = t.write('open.key', t.read('tls/good.key'), 0o644)
    return text.replace('@unreadable@', unreadable).replace('@open@', readable).replace('@tls@', certificates.folder)


def mistakes(t):
    for edges, status, kind in ((ERRORS, 1, ''), (WARNINGS, 0, 'warning: ')):
        text, wanted = made(t, files(t, edges))
        code, said = check(t, text)
        is_(code, status, f'exit status {status}')
        for line, path, words in wanted:
            pattern = rf'{line}:\d+: {re.escape(path)}: {kind}.*{words}'
            found = [one for one in said if re.match(pattern, one)]
            if not ok(found, f'{path}: {words}'):
                diag('\n'.join(one for one in said if one.startswith(f'{line}:')) or 'nothing was said of that line')
        others = [one for one in said
            if not any(re.match(rf'{line}:\d+: {re.escape(path)}: {kind}', one) for line, path, _ in wanted)]
        is_(others, [], 'and nothing else')
        unlike('\n'.join(said), 'secret-word|BEGIN ', 'secrets are not repeated')


def same_port(t):
    text = 'edge:\n' + ''.join(f'  {name}: {{type: smtp, queue: q, listener: {{port: 2500}}}}\n' for name in 'ab') + QUEUE
    code, said = check(t, text)
    is_(code, 1, 'two edges on one port')
    like('\n'.join(said), r'^3:\d+: edge\.b: another listener has the address 127\.0\.0\.1:2500', 'the second is named')


run(mistakes, same_port)
