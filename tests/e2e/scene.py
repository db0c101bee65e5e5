# SPDX-License-Identifier: MIT
"""What tests of programs nobody here wrote have in common: processes, the wire, and TAP around it all."""
import contextlib
import glob
import hashlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading

PATIENCE = 240      # seconds; only a backstop
SIZE = 300000
SECRET = b"This octet string is secret. "
CTL = os.path.abspath("build/userspace/kssl-ctl")
CERTS = os.path.abspath("build/certs")
WORK = tempfile.mkdtemp(prefix="programs-")
BODY = SECRET * (SIZE // len(SECRET)) + os.urandom(1000)
# TLS 1.3 with a tag and padding (RFC 8446 5.2).
RECORD_MAX = 16384 + 256

processes = []
ports = iter(range(7001, 8000))


class Failed(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Failed(text)


# --- the wire

class Stream:
    """One direction of a connection."""

    def __init__(self, start):
        self.start = start
        self.segments = []
        self.cut = False        # a reset has ended it

    def join(self):
        data = bytearray()
        for at, part in sorted(((seq - self.start) & 0xffffffff, part) for seq, part in self.segments):
            check(at <= len(data), "the capture has a gap")
            data[at:at + len(part)] = part
        return bytes(data)


class Capture:
    """Both directions of every connection to or from a port, as a packet socket sees them on the loopback."""

    STOP = b"capture ends here"

    def __init__(self, port):
        self.port = port
        # Those of the same two ports one after another, for a client's port may serve again.
        self.streams = {}
        self.error = None
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        self.sock.setsockopt(socket.SOL_SOCKET, 33, 128 << 20)      # SO_RCVBUFFORCE
        self.sock.bind(("lo", 0))
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        try:
            while self.take_packet(*self.sock.recvfrom(1 << 17)):
                pass
        except Exception as e:
            self.error = e

    def take_packet(self, packet, where):
        if where[2] != socket.PACKET_OUTGOING:
            return True
        if where[1] == 0x0800:
            protocol, at = packet[9], (packet[0] & 15) * 4
            end = struct.unpack_from("!H", packet, 2)[0] or len(packet)
        elif where[1] == 0x86dd:
            protocol, at = packet[6], 40
            end = 40 + struct.unpack_from("!H", packet, 4)[0] if packet[4:6] != b"\0\0" else len(packet)
        else:
            return True
        if protocol == socket.IPPROTO_TCP:
            self.take(packet[at:end])
        return protocol != socket.IPPROTO_UDP or packet[at + 8:end] != self.STOP

    def take(self, segment):
        source, dest, seq = struct.unpack_from("!HHI", segment)
        if self.port not in (source, dest):
            return
        ours = self.streams.setdefault((source, dest), [])
        if segment[13] & 2:
            start = seq + 1 & 0xffffffff
            if not ours or ours[-1].start != start:
                ours.append(Stream(start))
        if segment[13] & 4:
            for way in (source, dest), (dest, source):
                for stream in self.streams.get(way, [])[-1:]:
                    stream.cut = True
        data = segment[(segment[12] >> 4) * 4:]
        if data:
            check(ours, "the capture has not seen how a connection began")
            ours[-1].segments.append((seq, data))

    def stop(self):
        """What went over the wire in each direction of each connection, and whether a reset has ended it."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(self.STOP, ("127.0.0.1", 9))
        self.thread.join()
        lost = struct.unpack("II", self.sock.getsockopt(263, 6, 8))[1]       # PACKET_STATISTICS
        self.sock.close()
        check(not self.error, f"the capture has failed: {self.error!r}")
        check(not lost, f"the capture lost {lost} packets")
        return [(stream.join(), stream.cut) for streams in self.streams.values() for stream in streams
                if stream.segments]


def records(stream, cut):
    """Types of the TLS records that a stream has, and nothing else; one that was @cut may end anywhere."""
    types, at = [], 0
    while at < len(stream):
        header = stream[at:at + 5]
        if cut and len(header) < 5:
            break
        check(len(header) == 5 and 20 <= header[0] <= 23 and header[1] == 3 and header[2] in (1, 3),
              f"on the wire is no TLS record but {header!r}")
        length = header[3] << 8 | header[4]
        check(length <= RECORD_MAX and (cut or at + 5 + length <= len(stream)), "on the wire is half a TLS record")
        types.append(header[0])
        at += 5 + length
    return types


def check_wire(streams, least):
    total = 0
    for stream, cut in streams:
        check(SECRET not in stream, "the secret is on the wire")
        types = records(stream, cut)
        check(types[0] == 22, "a stream does not begin with a handshake")
        total += len(stream)
    check(total >= least, f"only {total} octets on the wire")
    print(f"# {total} octets in {len(streams)} streams, all of them TLS records")


def check_no_data(streams):
    """Of application data nothing, in whatever form."""
    for stream, cut in streams:
        check(SECRET not in stream, "the secret is on the wire")
        check(b"GET " not in stream, "the request is on the wire")
        records(stream, cut)


# --- processes

def start(*argv, **more):
    log = open(f"{WORK}/log", "ab")
    p = subprocess.Popen(argv, stdin=more.pop("stdin", subprocess.DEVNULL), stdout=more.pop("stdout", log),
                         stderr=log, **more)
    processes.append(p)
    return p


def finish(*argv, status=0, **more):
    p = subprocess.run(argv, stdin=None if "input" in more else subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=PATIENCE, **more)
    with open(f"{WORK}/log", "ab") as log:
        log.write(p.stderr)
    check(p.returncode == status if status is not None else p.returncode,
          f"{argv[0]}: exit status {p.returncode}: {p.stderr.decode(errors='replace')[-400:]}")
    return p


def listens(port):
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in open(path).readlines()[1:]:
            words = line.split()
            if words[3] == "0A" and int(words[1].rsplit(":", 1)[1], 16) == port:
                return True
    return False


def wait_for(condition, what):
    for _ in range(PATIENCE * 5):
        if condition():
            return
        threading.Event().wait(0.2)
    raise Failed(f"{what} did not come about")


def wait_listener(port, process):
    wait_for(lambda: listens(port) or process.poll() is not None, "a listener")
    check(process.poll() is None, f"{process.args[0]} has ended")


def server(port, *argv, **more):
    p = start(*argv, **more)
    wait_listener(port, p)
    return p


def stop_all():
    for p in processes:
        if p.poll() is None:
            p.terminate()
    for p in processes:
        try:
            p.wait(20)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
    processes.clear()


def nginx(port, tls, *before, cert="rsa", more=""):
    conf = f"{WORK}/nginx-{port}.conf"
    listen = f"{port} ssl" if tls else port
    with open(conf, "w") as f:
        f.write(f"""daemon off; master_process on; worker_processes 1; user root; pid {WORK}/nginx-{port}.pid;
error_log {WORK}/nginx.log; events {{ worker_connections 64; }}
http {{ access_log off; sendfile on; client_body_temp_path {WORK}/t; proxy_temp_path {WORK}/t;
fastcgi_temp_path {WORK}/t; uwsgi_temp_path {WORK}/t; scgi_temp_path {WORK}/t;
server {{ listen {listen}; root {WORK}/www;
{f"ssl_certificate {WORK}/{cert}.crt; ssl_certificate_key {WORK}/{cert}.key;" if tls else ""} {more} }} }}
""")
    return server(port, *before, "nginx", "-c", conf, "-p", WORK, "-e", f"{WORK}/nginx.log")


def same(data):
    check(hashlib.sha256(data).digest() == hashlib.sha256(BODY).digest(),
          f"{len(data)} octets have another digest than the {len(BODY)} that were sent")


# --- around tests


def prepare():
    os.makedirs(f"{WORK}/www")
    os.chmod(WORK, 0o755)
    with open(f"{WORK}/www/body", "wb") as f:
        f.write(BODY)
    for path in glob.glob(f"{CERTS}/rsa.*"):
        shutil.copy(path, WORK)
    finish("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9",
           "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", f"{WORK}/stranger.key",
           "-out", f"{WORK}/stranger.crt")


def print_logs():
    for name in ("log", "kssld.log", "nginx.log"):
        if os.path.exists(f"{WORK}/{name}"):
            for line in open(f"{WORK}/{name}", errors="replace").readlines()[-40:]:
                print(f"# {name}: {line.rstrip()}")


def run_test(number, name, test):
    open(f"{WORK}/log", "w").close()
    try:
        result = test(next(ports))
        if result:
            capture, least = result
            stop_all()
            check_wire(capture.stop(), least)
        print(f"ok {number} - {name}")
        good = True
    except (Failed, subprocess.TimeoutExpired, OSError, ValueError) as e:
        print(f"# {type(e).__name__}: {e}")
        print_logs()
        print(f"not ok {number} - {name}")
        good = False
    stop_all()
    sys.stdout.flush()
    return good


def run_tests(tests, around=contextlib.nullcontext):
    """Those that the arguments name, as TAP, within @around(); does not return."""
    wanted = {name: test for name, test in tests.items()
              if len(sys.argv) < 2 or any(part in name for part in sys.argv[1:])}
    # A capture that was left by a test that failed must not keep us.
    signal.alarm(len(wanted) * 2 * PATIENCE)
    prepare()
    with around():
        good = all([run_test(i + 1, name, test) for i, (name, test) in enumerate(wanted.items())])
    print(f"1..{len(wanted)}")
    shutil.rmtree(WORK)
    sys.stdout.flush()
    os._exit(not good)
