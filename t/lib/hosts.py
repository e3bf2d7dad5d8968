# hosts.py - hosts of a test's own: network namespaces with a cable each to one switch, which the test itself is at
# SPDX-License-Identifier: MIT
import ctypes
import os
import signal
import subprocess

from .fixture import IS_ROOT, Failure, Process, process_stat, wait_for
from .tap import skip_all

CLONE_NEWNET = 0x40000000
HERE = '10.77.0.1'


def ip(*args):
    done = subprocess.run(['ip', *args], capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        raise Failure(f'ip {" ".join(args)}: {done.stderr}')


def network():
    """From here on this process is in a network of its own, with a switch; once a test program. Skips where there can be none."""
    if not IS_ROOT:
        skip_all('not root')
    if ctypes.CDLL(None).unshare(CLONE_NEWNET):
        skip_all('no network namespaces here')
    try:
        ip('link', 'set', 'lo', 'up')
        ip('link', 'add', 'switch', 'type', 'bridge')
        ip('addr', 'add', f'{HERE}/24', 'dev', 'switch')
        ip('link', 'set', 'switch', 'up')
        ip('link', 'add', 'probe', 'type', 'veth', 'peer', 'name', 'probed')
        ip('link', 'del', 'probe')
    except (Failure, FileNotFoundError):
        skip_all('no network can be made here')


class Host:
    """`address` is where the others see it; `command`: words before a command that run it there; `name` is its name."""
    count = 1

    def __init__(self, t, name):
        Host.count += 1
        self.t, self.name, self.address, self.cable = t, name, f'10.77.0.{Host.count}', f'to{Host.count}'
        popen = subprocess.Popen(['unshare', '--net', '--uts', 'sh', '-c', f'hostname {name}; exec sleep infinity'],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        self.holder = Process(name, popen, os.devnull)
        t.processes.append(self.holder)
        wait_for(lambda: (process_stat(popen.pid) or ('', 0, ''))[2] == 'sleep', what=f'host {name}')
        self.command = ['nsenter', f'--net=/proc/{popen.pid}/ns/net', f'--uts=/proc/{popen.pid}/ns/uts']
        ip('link', 'add', self.cable, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', str(popen.pid))
        for args in f'addr add {self.address}/24 dev eth0', 'link set eth0 up', 'link set lo up':
            subprocess.run([*self.command, 'ip', *args.split()], check=True, timeout=20)
        ip('link', 'set', self.cable, 'master', 'switch', 'up')
        self.programs = []

    def start(self, name, *args, **how):
        """A program of ours, on this host; as t.start()."""
        process = self.t.start('/usr/bin/nsenter', *self.command[1:], self.t.program(name), *args, **how)
        process.name = name
        self.programs.append(process)
        return process

    def cut(self):
        """Its cable is out: nothing comes through, and nobody is told."""
        ip('link', 'set', self.cable, 'down')

    def heal(self):
        ip('link', 'set', self.cable, 'up')

    def kill(self):
        """All that runs on it is gone at once, and its last words are not heard."""
        self.cut()
        for process in self.programs:
            for pid in [process.pid, *process.children()]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            process.wait()
            self.t.processes.remove(process)
        self.programs = []
