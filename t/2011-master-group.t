#!/usr/bin/python3
# 2011-master-group.t - process.group is the group of edges and workers, whatever the user's own is (S15)
# SPDX-License-Identifier: MIT
import grp
import pwd

from lib.fixture import IS_ROOT, is_, run, skip_all
from lib.master import CONFIG, with_keys
from lib.process import proc_status

SETTINGS = with_keys('    user: nobody\n    group: mail\n', CONFIG).replace('@dir@/env', '@dir@/queue/env').replace(
    '@dir@/meta', '@dir@/queue/meta')


def group(t):
    if not IS_ROOT:
        skip_all('only root can become somebody else')
    t.folder('queue', 'nobody')
    master = t.master(SETTINGS, allow_root=False)
    wanted = [str(grp.getgrnam('mail').gr_gid)] * 4
    for name in ('slimta-worker', 'slimta-edge'):
        status = proc_status(master.children(name)[0])
        is_(status['Uid'].split(), [str(pwd.getpwnam('nobody').pw_uid)] * 4, f'{name} is the user')
        is_(status['Gid'].split(), wanted, 'and in the group')
    is_(master.stop(), 0, 'it ends well')


run(group)
