"""An Ethernet switch whose ports are TAP devices in network namespaces: every frame reaches its port `delay` seconds after it was sent, in order, as
over a long cable. For kernels without netem (CI's among them). Needs root and a kernel with TAP devices."""
import collections
import ctypes
import fcntl
import os
import select
import stat
import struct
import tempfile
import threading
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA  # linux/if_tun.h
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
LARGEST_FRAME = 65536


def open_tun():
    """/dev/net/tun, also where a container's /dev lacks it."""
    try:
        return os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    except FileNotFoundError:
        with tempfile.TemporaryDirectory() as folder:
            os.mknod(f"{folder}/tun", stat.S_IFCHR | 0o600, os.makedev(10, 200))  # Linux's devices.txt
            return os.open(f"{folder}/tun", os.O_RDWR | os.O_NONBLOCK)


def open_tap(namespace, device):
    """A TAP device of that name in a namespace of `ip netns`, as a file of frames."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(file):
        if libc.setns(file, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {namespace}")

    own, there = os.open("/proc/thread-self/ns/net", os.O_RDONLY), os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        enter(there)
        try:  # A TAP device belongs to the namespace in which the file was opened.
            tap = open_tun()
            fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TAP | IFF_NO_PI))
        finally:
            enter(own)
    finally:
        os.close(own), os.close(there)
    return tap


class DelayedSwitch:
    def __init__(self, delay):
        self.delay, self.ports, self.cut, self.frames = delay, [], set(), 0
        self.learnt = {}  # Port of each MAC address.
        self.under_way = collections.deque()  # (when due, port, frame): one delay for all, so the oldest is the first.

    def add_port(self, namespace, device):
        self.ports.append(open_tap(namespace, device))

    def start(self):
        threading.Thread(target=self.run, daemon=True).start()

    def drop_link(self, port):
        """From now on nothing passes there, in either direction; neither end is told."""
        self.cut.add(port)

    def run(self):
        while True:
            due = self.under_way[0][0] - time.monotonic() if self.under_way else None
            readable = select.select(self.ports, [], [], due if due is None else max(due, 0))[0]
            for tap in readable:
                self.receive(self.ports.index(tap))
            while self.under_way and self.under_way[0][0] <= time.monotonic():
                _, port, frame = self.under_way.popleft()
                self.send(port, frame)

    def receive(self, port):
        try:
            frame = os.read(self.ports[port], LARGEST_FRAME)
        except OSError:  # The device is down.
            return
        if port in self.cut:
            return
        to, source = frame[:6], frame[6:12]
        self.learnt[source] = port
        others = [self.learnt[to]] if to in self.learnt else [each for each in range(len(self.ports)) if each != port]
        self.under_way.extend((time.monotonic() + self.delay, each, frame) for each in others)

    def send(self, port, frame):
        if port in self.cut:
            return
        try:
            os.write(self.ports[port], frame)
            self.frames += 1
        except OSError:  # Full or down: a frame is lost, as on a wire; TCP sends it again.
            pass
