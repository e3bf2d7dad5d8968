#!/usr/bin/python3
# 0002-tree-headers-compile-alone.t - each header includes what it needs
# SPDX-License-Identifier: MIT
import glob
import os
import re
import subprocess
import sys

from lib.tap import diag, is_, ok, plan

os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
env = {key: value for key, value in os.environ.items() if not key.startswith(('MAKE', 'MFLAGS'))}
done = subprocess.run(['make', '--no-print-directory', 'check-headers'], capture_output=True, text=True,
    env=env, timeout=300, check=False)
if not ok(done.returncode == 0, 'make check-headers'):
    diag(done.stdout + done.stderr)

unguarded = []
for name in glob.glob('common/**/*.h', recursive=True) + glob.glob('[ewmq]*/**/*.h', recursive=True):
    with open(name, encoding='utf-8') as header:
        text = header.read()
    guard = re.search(r'^#ifndef (\w+)\n#define \1$', text, re.M)
    if not guard or not text.endswith('\n#endif\n'):
        unguarded.append(name)
is_(sorted(unguarded), [], 'each header is guarded')
sys.exit(plan())
