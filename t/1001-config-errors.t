#!/usr/bin/python3
# 1001-config-errors.t - S12: whatever is wrong is said with file, line and column, and what was expected
# SPDX-License-Identifier: MIT
import os
import re

from lib.fixture import IS_ROOT, diag, is_, like, ok, run

ROOT = ['--allow-root'] if IS_ROOT else []
# "#!" begins what has to be said of the line it stands in: column, path, text. Other lines are fine.
WRONG = '''\
relays: {}
free: {space: [&shared {max_errors: x}], tls: {main: 5}}
process:
  slimta: {logging: {levels: {edge: loud}}, runtime_dir: @dir@/runtime} #! 37 process.slimta.logging.levels.edge: expected one of error, warn, info, debug, not "loud"
  worker:
    drain_timeout: -5                   #! 20 process.worker.drain_timeout: expected a time such as 30, 10s, 5m, 2h or 1d, from 0 to 1d, not "-5"
    instances: {outbuond: 2}            #! 17 process.worker.instances.outbuond: no queue is named "outbuond" (did you mean "outbound"?)
    confine: no                         #! 5 process.worker.confine: not built into this slimta yet
  supervisor: {}                        #! 3 process.supervisor: unknown program: expected master, edge, worker or slimta
edge:
  main:
    type: smtp
    queue: [outbound]                   #! 12 edge.main.queue: expected the name of a queue, not a list
    max_size: 10X                       #! 15 edge.main.max_size: expected .*a size such as 10K, 5M or 1G.*, not "10X"
    max_recipients: many                #! 21 edge.main.max_recipients: expected .*a number.*, not "many"
    max_hosp: 5                         #! 5 edge.main.max_hosp: unknown key (did you mean "max_hops"?)
    max_hops: 1
    max_hops: 2                         #! 5 edge.main.max_hops: given twice, first in line 17
    bare_newline: rejct                 #! 19 edge.main.bare_newline: expected one of reject, normalize, not "rejct" (did you mean "reject"?)
    hostname: "{fdqn}"                  #! 15 edge.main.hostname: .*{fqdn}
    listeners: [{port: 70000}]          #! 24 edge.main.listeners[0].port: expected .*65535, not "70000"
    uri: x                              #! 5 edge.main.uri: not built into this slimta yet
    rules: {banner: hi, dnsbl: x}       #! 25 edge.main.rules.dnsbl: not built into this slimta yet
  web: {type: http, queue: outbound}    #! 9 edge.web.type: not built into this slimta yet
  odd: {type: smpt, queue: outbound}    #! 15 edge.odd.type: expected one of smtp, http, custom, not "smpt" (did you mean "smtp"?)
queue:
  outbound: {type: disk, relay: smarthost, envelope_dir: env, meta_dir: meta, double_bounce: x@} #! 26 queue.outbound.relay: no relay is named "smarthost" (did you mean "smart_host"?) #! 94 queue.outbound.double_bounce: expected an address such as postmaster@example.org
  second: {type: aws, relay: smart_host}   #! 12 queue.second.type: not built into this slimta yet
  third:                                #! 3 queue.third.meta_dir: required, but not given: expected a path
    type: disk
    relay: smart_host
    envelope_dir: $NOT_SET/env          #! 19 queue.third.envelope_dir: the environment variable NOT_SET is not set
    policies:
      - {type: split_recipient_domain}  #! .* queue.third.policies[0].type: .*(did you mean "recipient_domain_split"?)
      - {type: add_date_header, x: 1}   #! 33 queue.third.policies[1].x: unknown key
      - {type: lookup}                  #! .* queue.third.policies[2].type: not built into this slimta yet
relay:
  smart_host: {type: pipe, args: [cat], error_pattern: "(", password_file: nosuch} #! 56 relay.smart_host.error_pattern: #! 76 relay.smart_host.password_file: cannot read .*/nosuch: No such file or directory
  mx: {type: http, timeout: !env NOT_SET} #! 8 relay.mx.type: not built into this slimta yet #! 29 relay.mx.timeout: the environment variable NOT_SET is not set
'''
SYNTAX = (('queue: [1\n', r':2:1: not valid YAML: '), ('a: "x\n', r':2:1: not valid YAML: '),
    ('a: 1\n\tb: 2\n', r':2:1: not valid YAML: '), ('a: \xff\n', r':1:4: not valid YAML: '),
    ('a: 1\n---\nb: 1\n', ':3:1: a second document'), ('[' * 99, ':1:65: nested too deeply'), ('', ':1:1: queue: required'),
    ('- 1\n', ':1:1: expected a map with process, edge, queue and relay, not a list'),
    ('a: &a [x,x,x,x,x,x,x,x,x,x]\n' + ''.join(f'{chr(98 + n)}: &{chr(98 + n)} [' + f'*{chr(97 + n)},' * 10 + ']\n'
        for n in range(8)), r':5:\d+: too many values, or too deep, behind this alias'))


def check(t, text):
    path = t.write('slimta.conf', text.encode('latin-1').replace(b'@dir@', t.dir.encode()))
    done = t.run('slimta-master', '-c', path, '--check', *ROOT)
    return done.returncode, (done.stdout + done.stderr).decode()


def wanted_of(number, mark):
    column, rest = mark.strip().partition(' ')[::2]
    rest = re.escape(rest.strip()).replace(r'\.\*', '.*')
    return f'{number}:{column}: {rest}'


def all_kinds(t):
    code, text = check(t, WRONG)
    is_(code, 1, 'a wrong file is exit status 1')
    said = [line.partition('slimta.conf:')[2] for line in text.splitlines()]
    wanted = [wanted_of(number, mark) for number, line in enumerate(WRONG.splitlines(), 1)
        for mark in line.split('#!')[1:]]
    for pattern in wanted:
        found = [line for line in said if re.match(pattern, line)]
        if not ok(found, pattern.replace('\\', '')):
            diag('\n'.join(line for line in said if line.startswith(pattern.split(':')[0] + ':')))
        said = [line for line in said if line not in found]
    is_([line for line in said if 'warning: ' not in line], [], 'and nothing else')


def no_yaml(t):
    for text, wanted in SYNTAX:
        code, said = check(t, text)
        is_(code, 1, f'{text[:12]!r} is exit status 1')
        like(said, '^' + re.escape(t.path('slimta.conf')) + wanted, 'and says where')


def each_program(t):
    conf = t.write('wrong.conf', WRONG.replace('@dir@', t.dir))
    for name in ('slimta-master', 'slimta-edge', 'slimta-worker', 'slimta-queuectl'):
        args = {'slimta-worker': ['--queue', 'third'], 'slimta-queuectl': ['list']}.get(name, [])
        done = t.run(name, '-c', conf, *args, *(ROOT if 'queuectl' not in name else []))
        is_(done.returncode, 1, f'{name} does not start on it')
        like(done.stderr.decode(), r'^\S+wrong\.conf:27:26: queue\.outbound\.relay: no relay is named "smarthost"',
            'and says why')
    ok(not os.path.exists(t.path('runtime')), 'nothing was made')


run(all_kinds, no_yaml, each_program)
