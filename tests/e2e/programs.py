#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""In a VM with kssl loaded: programs nobody here wrote, which know only sockets, get TLS by kssl-run and kssld.

What they carry is compared with what was sent, and every octet on the wire has to belong to a TLS record.  As TAP;
arguments are parts of the names of the tests to run.
"""
import contextlib
import json
import os
import socket
import subprocess
import threading

from scene import (BODY, CERTS, CTL, PATIENCE, WORK, Capture, check, check_no_data, finish, nginx, ports, run_tests,
                   same, server, start, stop_all, wait_for)

RUN = os.path.abspath("build/userspace/kssl-run")


def serving(port, *options):
    return RUN, "--verbose", "--listen", str(port), "--profile", "web", *options, "--"


def connecting(port, *options, host="localhost"):
    return RUN, "--verbose", "--connect", f"{host}:{port}", "--profile", "test", *options, "--"


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
    said = finish(*connecting(port), "iperf3", "-c", "localhost", "-p", str(port), "-n", str(size), "-l", "16K",
                  "-w", "32K", "-J", *options).stdout
    result = json.loads(said)["end"]
    sent, received = result["sum_sent"]["bytes"], result["sum_received"]["bytes"]
    # It ends a test by a word on the other connection and does not read what is still on its way, as much as the
    # buffers of both sockets hold: 64 KiB each with -w 32K.  More than four times that is missing for another reason.
    check(sent >= size and sent - size // 4 <= received <= sent, f"iperf3 says {sent} sent, {received} received")
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
    # Tickets that come when socat has shut its socket down in both directions would have TCP drop what is on its way.
    with open(f"{WORK}/got", "wb") as got:
        p = server(port, "openssl", "s_server", "-quiet", "-accept", str(port), "-naccept", "1", "-num_tickets",
                   "0", "-cert", f"{CERTS}/ecdsa.crt", "-key", f"{CERTS}/ecdsa.key", stdout=got, stdin=subprocess.PIPE)
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


@contextlib.contextmanager
def kssld():
    """Serves within; its log goes to a file of its own."""
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
    yield
    p.terminate()
    p.wait(PATIENCE)


run_tests(TESTS, kssld)
