#!/usr/bin/python3
# 5001-relay-pipe-options.t - each option of a pipe relay, set to something else than its default, does what it says
# SPDX-License-Identifier: MIT
# P11 S15
import grp
import os
import pwd

from lib.fixture import IS_ROOT, is_, like, ok, run, wait_for
from lib.relay import config, script, send

USER = 'nobody' if IS_ROOT else pwd.getpwuid(os.getuid()).pw_name
GROUP = grp.getgrgid(pwd.getpwnam(USER).pw_gid).gr_name
FIELDS = ['sender', 'recipient', 'message_id', 'client_ip', 'client_host', 'client_ehlo', 'client_protocol',
    'client_auth']


def args_cwd_env_user_group(t):
    t.folder('work')
    os.chmod(t.folder('out'), 0o777)
    show = script(t, 'show', 'cd -; exec >%s/out/all; for a in "$@"; do echo "<$a>"; done; pwd; echo "$COLOUR"; '
        'id -un; id -gn; umask' % t.dir)
    fields = ', '.join(f'"{{{name}}}"' for name in FIELDS)
    master = t.master(config(f'type: pipe, args: [{show}, {fields}, "{{{{x}}}}; $(id) {{sender}}", ""], '
        f'cwd: work, env: {{COLOUR: blue  green}}, user: {USER}, group: {GROUP}'))
    ident = send(t, '"r;id"@example.net')
    master.wait_log(rf' delivered id={ident} .*recipient=.*attempts=1 ')
    is_(t.read('out/all').decode().splitlines(), ['<s@example.org>', '<"r;id"@example.net>', f'<{ident}>',
        '<127.0.0.1>', '<>', '<client.example>', '<ESMTP>', '<>', '<{x}; $(id) s@example.org>', '<>', t.path('work'),
        'blue  green', USER, GROUP, '0077'], 'arguments, folder, environment, user and group')


def error_pattern(t):
    fail = script(t, 'fail', 'echo noise; echo "E: 5.7.1 Not wanted here" >&2; exit 65')
    master = t.master(config(f'type: pipe, args: [{fail}], error_pattern: "E: (.*)"', delay=300))
    ident = send(t, 'r@example.net')
    match = master.wait_log(rf' failed id={ident} .*reply="([^"]*)"')
    is_(match[1], '550 5.7.1 Not wanted here', 'the first group of the pattern is the text')


def timeout(t):
    slow = script(t, 'slow', 'trap "" TERM; sleep 60 & echo $! >child; wait; wait')
    master = t.master(config(f'type: pipe, args: [{slow}], timeout: 0.5', delay=300))
    ident = send(t, 'r@example.net')
    match = master.wait_log(rf' deferred id={ident} .*reply="([^"]*)"', timeout=15)
    is_(match[1], '450 4.4.2 Delivery timed out', 'a command that takes too long has to wait')
    child = int(t.read('child'))
    wait_for(lambda: not os.path.exists(f'/proc/{child}') or 'Z' in open(f'/proc/{child}/stat').read().split()[2],
        what='the end of the whole process group')
    ok(True, 'its process group was ended')


def concurrent_processes(t):
    wait = script(t, 'wait', 'touch run.$1; ls run.* | wc -l >>most; while [ ! -e go ]; do sleep 0.02; done; rm run.$1')
    master = t.master(config(f'type: pipe, args: [{wait}, "{{message_id}}"], concurrent_processes: 3'))
    idents = [send(t, 'r@example.net') for _ in range(5)]
    started = lambda: len([name for name in os.listdir(t.dir) if name.startswith('run.')])
    wait_for(lambda: started() == 3, what='three commands at once')
    t.write('go', '')
    for ident in idents:
        master.wait_log(rf' delivered id={ident} ')
    ok(max(int(line) for line in t.read('most').split()) <= 3, 'three at once, and no more')


def found_in_path(t):
    script(t, 'bin/deliver-it', 'echo "$HOME" >found')
    master = t.master(config('type: pipe, args: [deliver-it]'), env={'PATH': t.path('bin') + ':' + os.environ['PATH']})
    ident = send(t, 'r@example.net')
    match = master.wait_log(rf' delivered id={ident} .*host=(\S+)')
    is_(match[1], 'deliver-it', 'a name without a slash is searched for')
    like(t.read('found'), '^/', 'and HOME is that of its user')


run(args_cwd_env_user_group, error_pattern, timeout, concurrent_processes, found_in_path)
