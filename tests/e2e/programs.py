#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""In a VM with kssl loaded: programs nobody here wrote, which know only sockets, get TLS by kssl-run and kssld.

What they carry is compared with what was sent, and every octet on the wire has to belong to a TLS record.  As TAP;
arguments are parts of the names of the tests to run.
"""
import glob
import hashlib
import json
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
RUN = os.path.abspath("build/userspace/kssl-run")
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

class Capture:
    """Both directions of every connection to or from a port, as a packet socket sees them on the loopback."""

    STOP = b"capture ends here"

    def __init__(self, port):
        self.port = port
        self.segments = {}
        self.starts = {}
        self.reset = set()
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        self.sock.setsockopt(socket.SOL_SOCKET, 33, 128 << 20)      # SO_RCVBUFFORCE
        self.sock.bind(("lo", 0))
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        while True:
            packet, where = self.sock.recvfrom(1 << 17)
            if where[2] != socket.PACKET_OUTGOING:
                continue
            if where[1] == 0x0800:
                protocol, at = packet[9], (packet[0] & 15) * 4
                end = struct.unpack_from("!H", packet, 2)[0] or len(packet)
            elif where[1] == 0x86dd:
                protocol, at = packet[6], 40
                end = 40 + struct.unpack_from("!H", packet, 4)[0] if packet[4:6] != b"\0\0" else len(packet)
            else:
                continue
            if protocol == socket.IPPROTO_UDP and packet[at + 8:end] == self.STOP:
                return
            if protocol == socket.IPPROTO_TCP:
                self.take(packet[at:end])

    def take(self, segment):
        source, dest, seq = struct.unpack_from("!HHI", segment)
        if self.port not in (source, dest):
            return
        if segment[13] & 2:
            self.starts[source, dest] = seq + 1 & 0xffffffff
        if segment[13] & 4:
            self.reset |= {(source, dest), (dest, source)}
        data = segment[(segment[12] >> 4) * 4:]
        if data:
            self.segments.setdefault((source, dest), []).append((seq, data))

    def stop(self):
        """Streams by (source, destination), and whether a reset has ended them."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(self.STOP, ("127.0.0.1", 9))
        self.thread.join()
        lost = struct.unpack("II", self.sock.getsockopt(263, 6, 8))[1]       # PACKET_STATISTICS
        self.sock.close()
        check(not lost, f"the capture lost {lost} packets")
        return {key: (self.join(key, parts), key in self.reset) for key, parts in self.segments.items()}

    def join(self, key, parts):
        stream = bytearray()
        check(key in self.starts, "the capture has not seen how a connection began")
        for at, data in sorted(((seq - self.starts[key]) & 0xffffffff, data) for seq, data in parts):
            check(at <= len(stream), "the capture has a gap")
            stream[at:at + len(data)] = data
        return bytes(stream)


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
    for stream, cut in streams.values():
        check(SECRET not in stream, "the secret is on the wire")
        types = records(stream, cut)
        check(types[0] == 22, "a stream does not begin with a handshake")
        total += len(stream)
    check(total >= least, f"only {total} octets on the wire")
    print(f"# {total} octets in {len(streams)} streams, all of them TLS records")


def check_no_data(streams):
    """Of application data nothing, in whatever form."""
    for stream, cut in streams.values():
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


def serving(port, *options):
    return RUN, "--verbose", "--listen", str(port), "--profile", "web", *options, "--"


def connecting(port, *options, host="localhost"):
    return RUN, "--verbose", "--connect", f"{host}:{port}", "--profile", "test", *options, "--"


def nginx(port, tls, *before, cert="rsa"):
    conf = f"{WORK}/nginx-{port}.conf"
    listen = f"{port} ssl" if tls else port
    with open(conf, "w") as f:
        f.write(f"""daemon off; master_process on; worker_processes 1; user root; pid {WORK}/nginx-{port}.pid;
error_log {WORK}/nginx.log; events {{ worker_connections 64; }}
http {{ access_log off; sendfile on; client_body_temp_path {WORK}/t; proxy_temp_path {WORK}/t;
fastcgi_temp_path {WORK}/t; uwsgi_temp_path {WORK}/t; scgi_temp_path {WORK}/t;
server {{ listen {listen}; root {WORK}/www;
{f"ssl_certificate {WORK}/{cert}.crt; ssl_certificate_key {WORK}/{cert}.key;" if tls else ""} }} }}
""")
    return server(port, *before, "nginx", "-c", conf, "-p", WORK, "-e", f"{WORK}/nginx.log")


def same(data):
    check(hashlib.sha256(data).digest() == hashlib.sha256(BODY).digest(),
          f"{len(data)} octets have another digest than the {len(BODY)} that were sent")


# --- tests

def curl_client(port):
    nginx(port, True)
    capture = Capture(port)
    same(finish(*connecting(port), "curl", "-sS", f"http://localhost:{port}/body").stdout)
    return capture, len(BODY)


def https(port):
    capture = Capture(port)
    same(finish("curl", "-sS", "--cacert", f"{CERTS}/ca.crt", f"https://localhost:{port}/body").stdout)
    return capture, len(BODY)


def nginx_server(port):
    nginx(port, False, *serving(port))
    return https(port)


def python_server(port):
    server(port, *serving(port), "/usr/bin/python3", "-m", "http.server", str(port), "--directory", f"{WORK}/www")
    return https(port)


def iperf3(port, *options):
    size = 2 << 20
    server(port, *serving(port), "iperf3", "-s", "-p", str(port), "-1")
    capture = Capture(port)
    said = finish(*connecting(port), "iperf3", "-c", "localhost", "-p", str(port), "-n", str(size), "-l", "16K", "-J",
                  *options).stdout
    result = json.loads(said)["end"]
    sent, received = result["sum_sent"]["bytes"], result["sum_received"]["bytes"]
    # It ends a test by a word on the other connection, and does not wait for what is on its way.
    check(sent >= size and size / 4 < received <= sent, f"iperf3 says {sent} sent, {received} received")
    print(f"# {result['sum_received']['bits_per_second'] / 1e6:.1f} Mbit/s")
    return capture, received


def iperf3_reverse(port):
    return iperf3(port, "-R")


def redis(port):
    server(port, *serving(port), "redis-server", "--port", str(port), "--save", "", "--dir", WORK)
    capture = Capture(port)
    cli = "redis-cli", "--tls", "--cacert", f"{CERTS}/ca.crt", "-h", "localhost", "-p", str(port)
    said = finish(*cli, "-x", "set", "body", input=BODY).stdout
    check(said == b"OK\n", f"redis says {said!r}")
    same(finish(*cli, "--raw", "get", "body").stdout[:-1])
    return capture, 2 * len(BODY)


def socat_client(port):
    with open(f"{WORK}/got", "wb") as got:
        p = server(port, "openssl", "s_server", "-quiet", "-accept", str(port), "-naccept", "1", "-cert",
                   f"{CERTS}/ecdsa.crt", "-key", f"{CERTS}/ecdsa.key", stdout=got, stdin=subprocess.PIPE)
        capture = Capture(port)
        finish(*connecting(port), "socat", "-u", f"OPEN:{WORK}/www/body", f"TCP:localhost:{port}")
        p.wait(PATIENCE)
    same(open(f"{WORK}/got", "rb").read())
    return capture, len(BODY)


def socat_server(port):
    with open(f"{WORK}/got", "wb") as got:
        p = server(port, *serving(port), "socat", "-u", f"TCP-LISTEN:{port}", "-", stdout=got)
        capture = Capture(port)
        finish("socat", "-u", f"OPEN:{WORK}/www/body", f"OPENSSL:localhost:{port},cafile={CERTS}/ca.crt")
        p.wait(PATIENCE)
    same(open(f"{WORK}/got", "rb").read())
    return capture, len(BODY)


def example(port, program, *ca):
    """The server of userspace/example, as it was (server) or as it is ported to libkssl (server-kssl)."""
    return server(port, f"build/userspace/example/{program}", str(port), f"{WORK}/www", f"{CERTS}/rsa.crt",
                  f"{CERTS}/rsa.key", *ca)


def example_callbacks(port):
    """Both answer alike: certificate, ALPN, server name and client certificate are their SSL_CTX's."""
    client = "--cert", f"{CERTS}/client.crt", "--key", f"{CERTS}/client.key"
    for program in ("server", "server-kssl"):
        example(port, program, f"{CERTS}/ca.crt")
        curl = "curl", "-sS", "-v", "--cacert", f"{CERTS}/ca.crt"
        p = finish(*curl, *client, f"https://localhost:{port}/body")
        same(p.stdout)
        check(b"server accepted http/1.1" in p.stderr, f"{program}: no ALPN")
        p = finish(*curl, f"https://localhost:{port}/body", status=None)
        check(not p.stdout, f"{program}: a client without certificate has a body")
        p = finish(*curl, *client, "--resolve", f"other:{port}:127.0.0.1", f"https://other:{port}/body", status=None)
        check(b"unrecognized name" in p.stderr, f"{program}: {p.stderr.decode(errors='replace')}")
        log = open(f"{WORK}/log", errors="replace").read()
        check("client /CN=kssl client: ok" in log, f"{program}: its verify callback was not called")
        stop_all()
        open(f"{WORK}/log", "w").close()
        port = next(ports)


def request_body(client):
    """One more request on the connection of openssl s_client."""
    timer = threading.Timer(PATIENCE, client.kill)
    timer.start()
    client.stdin.write(b"GET /body HTTP/1.1\r\nHost: localhost\r\n\r\n")
    client.stdin.flush()
    while client.stdout.readline() not in (b"\r\n", b""):
        pass
    same(client.stdout.read(len(BODY)))
    timer.cancel()


def example_renegotiates(port):
    p = example(port, "server-kssl")
    capture = Capture(port)
    client = start("openssl", "s_client", "-brief", "-tls1_2", "-connect", f"localhost:{port}", "-servername",
                   "localhost", stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def connection():
        found = json.loads(finish(CTL, "list", "--json", "--pid", str(p.pid)).stdout)["connections"]
        check(len(found) == 1, f"the kernel has {len(found)} connections of the server")
        return found[0]

    request_body(client)
    check(connection()["handshakes"] == 1, "there was a renegotiation already")
    client.stdin.write(b"R\n")
    client.stdin.flush()
    wait_for(lambda: connection()["handshakes"] == 2, "a renegotiation by the client")
    request_body(client)
    finish(CTL, "renegotiate", "--timeout", str(PATIENCE), str(connection()["id"]))
    request_body(client)
    now = connection()
    check(now["handshakes"] == 3 and now["tx"]["epoch"] == now["rx"]["epoch"] == 3,
          f"{now['handshakes']} handshakes, epochs {now['tx']['epoch']} and {now['rx']['epoch']}")
    check(now["tx"]["bytes"] >= 3 * len(BODY), f"the kernel has protected only {now['tx']['bytes']} bytes")
    client.stdin.close()
    client.wait(PATIENCE)
    return capture, 3 * len(BODY)


def refused(port, sentence, *options, cert="rsa", host="localhost", url="localhost"):
    nginx(port, True, cert=cert)
    capture = Capture(port)
    p = finish(*connecting(port, *options, host=host), "curl", "-sS", "-4", f"http://{url}:{port}/body", status=None)
    check(not p.stdout, "there is a body")
    check(sentence in p.stderr.decode(), f"nobody says '{sentence}': {p.stderr.decode()}")
    streams = capture.stop()
    check_no_data(streams)
    return streams


def wrong_name(port):
    streams = refused(port, "kssl-run: curl: ", "--name", "wrong.test")
    check(streams, "nothing was on the wire at all")


def untrusted(port):
    streams = refused(port, "kssl-run: curl: ", cert="stranger")
    check(streams, "nothing was on the wire at all")


def unknown_name(port):
    streams = refused(port, "is not known", host="*", url="127.0.0.1")
    check(not streams, "something was on the wire")


def no_such_profile(port):
    streams = refused(port, "kssl-run: curl: ", "--profile", "nobodys")
    check(not streams, "something was on the wire")


TESTS = {
    "curl http: against an HTTPS nginx": curl_client,
    "nginx in clear text serves curl https:": nginx_server,
    "python3 -m http.server serves curl https:": python_server,
    "iperf3, client and server": iperf3,
    "iperf3 the other way": iperf3_reverse,
    "redis-server in clear text serves redis-cli --tls": redis,
    "socat in clear text sends to openssl s_server": socat_client,
    "socat in clear text receives from socat OPENSSL:": socat_server,
    "the example answers the same when it is ported to libkssl": example_callbacks,
    "the example ported to libkssl renegotiates, asked by either side": example_renegotiates,
    "another name than the certificate's": wrong_name,
    "a certificate of strangers": untrusted,
    "a name that is not known": unknown_name,
    "a profile that does not exist": no_such_profile,
}


# --- around them

def start_kssld():
    """Returns when it serves; its log goes to a file of its own."""
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(f"{WORK}/notify")
    told.settimeout(PATIENCE)
    with open(f"{WORK}/kssld.conf", "w") as f:
        f.write(f"""profile "test" {{
	role = "client"
	trust = "{CERTS}/ca.crt"
}}
profile "web" {{
	certificate = "{CERTS}/ecdsa.crt"
	key = "{CERTS}/ecdsa.key"
}}
""")
    with open(f"{WORK}/kssld.log", "wb") as log:
        p = subprocess.Popen(["build/userspace/kssld", "-c", f"{WORK}/kssld.conf"], stdin=subprocess.DEVNULL,
                             stdout=log, stderr=log, env={**os.environ, "NOTIFY_SOCKET": f"{WORK}/notify"})
    while b"READY=1" not in told.recv(200):
        pass
    return p


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
        print(f"not ok {number} - {name}")
        print(f"# {e}")
        print_logs()
        good = False
    stop_all()
    sys.stdout.flush()
    return good


def main():
    wanted = {name: test for name, test in TESTS.items()
              if len(sys.argv) < 2 or any(part in name for part in sys.argv[1:])}
    # A capture that was left by a test that failed must not keep us.
    signal.alarm(len(wanted) * 2 * PATIENCE)
    prepare()
    kssld = start_kssld()
    good = all([run_test(i + 1, name, test) for i, (name, test) in enumerate(wanted.items())])
    kssld.terminate()
    kssld.wait(PATIENCE)
    print(f"1..{len(wanted)}")
    shutil.rmtree(WORK)
    sys.stdout.flush()
    os._exit(not good)


main()
