# place.py - where the bench runs: namespaces, users, scratch folder, a file system of its own
# SPDX-License-Identifier: MIT
#
# As root all runs in mount, process and network namespaces of its own: users that only Postfix needs exist there alone,
# no port is anybody else's, and whatever is started or mounted ends with them.
import contextlib
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

from .tools import Trouble

UNSHARE = ['unshare', '--mount', '--pid', '--net', '--fork', '--kill-child', '--mount-proc']
SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40
IN_MEMORY = {'tmpfs', 'ramfs', 'overlay'}
USERS = ('slimta-bench', 'postfix-bench')
GROUP = 'postdrop-bench'
IMAGE_SIZE = 2 << 30


def why_alone(peers):
    """Why Postfix cannot be measured here, or None."""
    if not os.path.exists(f'{peers}/usr/lib/postfix/sbin/master'):
        return 'Postfix is not under t/.peers: make peers'
    if os.geteuid() != 0:
        return 'Postfix has to be started as root'
    if subprocess.run([*UNSHARE, 'true'], capture_output=True, check=False).returncode != 0:
        return 'no namespaces can be made here'
    return None


@contextlib.contextmanager
def scratch():
    """A folder on a disk, and nothing of it left afterwards. TMPDIR says where; /tmp is memory on many systems."""
    path = tempfile.mkdtemp(prefix='slimta-bench-', dir=os.environ.get('TMPDIR') or '/var/tmp')
    os.chmod(path, 0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def kind_of_file_system(path):
    """Its type, by the longest mount point above it."""
    path, best = os.path.realpath(path), ('', 'unknown')
    with open('/proc/mounts', encoding='utf-8') as mounts:
        for line in mounts:
            place, kind = line.split()[1:3]
            if (path + '/').startswith(place.rstrip('/') + '/') and len(place) >= len(best[0]):
                best = place, kind
    return best[1]


def inside(folder, command):
    """Runs `command` in the namespaces; gives its exit status."""
    with subprocess.Popen([*UNSHARE, *command], env=dict(os.environ, BENCH_FOLDER=folder)) as process:
        try:
            return process.wait()
        except BaseException:
            process.kill()      # and with it all that runs in there
            raise


def furnish(folder):
    """In new namespaces: the loopback interface works, and the users exist."""
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack('16sh14x', b'lo', IFF_UP | IFF_RUNNING))
    for name, first in (('passwd', 2), ('group', 2)):
        with open(f'/etc/{name}', encoding='utf-8') as given:
            text = given.read()
        taken = {line.split(':')[first] for line in text.splitlines() if line.count(':') > first}
        numbers = [str(number) for number in range(64000, 65000) if str(number) not in taken]
        if not text.endswith('\n'):
            text += '\n'
        for user in USERS:
            number = numbers.pop(0)
            text += f'{user}:x:{number}:{number}::/nonexistent:/usr/sbin/nologin\n' if name == 'passwd' else \
                f'{user}:x:{number}:\n'
        if name == 'group':
            text += f'{GROUP}:x:{numbers.pop(0)}:\n'
        copy = os.path.join(folder, name)
        with open(copy, 'w', encoding='utf-8') as out:
            out.write(text)
        subprocess.run(['mount', '--bind', copy, f'/etc/{name}'], check=True)
    names = os.path.join(folder, 'resolv.conf')
    with open(names, 'w', encoding='ascii') as out:
        out.write('nameserver 127.0.0.1\n')
    quiet('mount', '--bind', names, '/etc/resolv.conf', check=False)


class Places:
    """Where rounds put their queues: a file system made anew for each, so that none has to do with files that another
    made or removed; where that cannot be, or `on_disk`, a new folder of the scratch folder's own."""

    def __init__(self, folder, on_disk=False):
        self.folder, self.count = folder, 0
        self.image, self.volume = os.path.join(folder, 'volume.img'), os.path.join(folder, 'volume')
        self.what = f'new folders on {kind_of_file_system(folder)}'
        if not on_disk and os.environ.get('BENCH_FOLDER') and self._make_image() and self._mount():
            self._unmount()
            self.what = f'a new ext4 for each round, on a loop device on {kind_of_file_system(folder)}'
        else:
            self.image = None

    def _make_image(self):
        """Every block is written once: an image with holes would be slower, and slower in the beginning."""
        room = os.statvfs(self.folder)
        if room.f_bavail * room.f_frsize < 2 * IMAGE_SIZE:
            return False
        os.mkdir(self.volume)
        with open(self.image, 'wb', buffering=0) as out:
            for _ in range(IMAGE_SIZE >> 22):
                out.write(bytes(1 << 22))
            os.fsync(out.fileno())
        return True

    def _mount(self):
        try:
            quiet('mkfs.ext4', '-q', '-F', '-i', '4096', '-J', 'size=128', '-E',
                'nodiscard,lazy_itable_init=1,lazy_journal_init=1', self.image)
            device = quiet('losetup', '--direct-io=on', '--find', '--show', self.image)
            mounted = quiet('mount', '-o', 'noinit_itable', device, self.volume, check=False)
            quiet('losetup', '-d', device)      # when it is unmounted, if it is mounted
            os.chmod(self.volume, 0o711)
            return mounted is not None
        except (OSError, subprocess.CalledProcessError):
            return False

    def _unmount(self):
        for _ in range(100):
            if quiet('umount', self.volume, check=False) is not None:
                return
            time.sleep(0.1)
        raise Trouble('the file system of a round stays in use')

    @staticmethod
    def ports():
        """Three that are free: for the server, the next hop, and what keeps the queue."""
        with contextlib.ExitStack() as stack:
            return [stack.enter_context(socket.create_server(('127.0.0.1', 0))).getsockname()[1] for _ in range(3)]

    @contextlib.contextmanager
    def fresh(self):
        """The path of a folder for one round."""
        self.count += 1
        if not self.image:
            path = os.path.join(self.folder, f'{self.count:03}')
            os.mkdir(path, 0o711)
            yield path
            return
        if not self._mount():
            raise Trouble('no file system could be made')
        try:
            yield self.volume
        finally:
            self._unmount()


def quiet(*command, check=True):
    """What it prints, or None where it fails and `check` does not matter."""
    done = subprocess.run(command, capture_output=True, text=True, check=check)
    return done.stdout.strip() if done.returncode == 0 else None


def machine(folder):
    """What figures depend on, besides the software."""
    with open('/proc/cpuinfo', encoding='utf-8') as info:
        models = [line.split(':', 1)[1].strip() for line in info if line.startswith('model name')]
    return {'processors': os.cpu_count(), 'model': models[0] if models else '', 'kernel': os.uname().release,
        'file_system': kind_of_file_system(folder), 'python': sys.version.split()[0]}
