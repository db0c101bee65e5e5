#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""In a VM, with kssl loaded anew with ktls=1: programs nobody here wrote, which use kTLS, run on kssl unchanged.

What they carry is compared with what was sent, every octet on the wire has to belong to a TLS record, and kssl's own
counters have to tell of all of it.  As TAP; arguments are parts of the names of the tests to run.
"""
import contextlib
import functools
import hashlib
import json
import os
import subprocess

from scene import (BODY, CERTS, CTL, PATIENCE, WORK, Capture, check, finish, nginx, run_tests, same, server, start,
                   wait_for)

OPENSSL35 = "build/peers/openssl35/openssl"
# What a program has that says nothing of kTLS on its command line: the library's configuration file (config(5)).
CONF = f"{WORK}/ktls.cnf"
ENV = {**os.environ, "OPENSSL_CONF": CONF}


def counters():
    lines = finish(CTL, "stats").stdout.decode().splitlines()
    return {words[0]: int(words[1]) for words in map(str.split, lines) if len(words) > 1 and words[1].isdigit()}


@contextlib.contextmanager
def kernel_does(connections, sent, received):
    """Within, so many connections come and go, and so many bytes at least go through kssl."""
    before = counters()
    yield

    def moved(name):
        return counters()[name] - before[name]
    wait_for(lambda: moved("attached") >= connections and moved("closed_tx_bytes") >= sent and
             moved("closed_rx_bytes") >= received,
             f"{connections} connections, {sent} bytes sent and {received} received in the kernel")
    print(f"# the kernel: {moved('attached')} connections, {moved('closed_tx_bytes')} bytes sent, "
          f"{moved('closed_rx_bytes')} received")


def option(version):
    return {"1.2": "-tls1_2", "1.3": "-tls1_3"}[version]


def s_server(port, version, *options, program="openssl", **more):
    return server(port, program, "s_server", "-accept", str(port), "-cert", f"{CERTS}/rsa.crt", "-key",
                  f"{CERTS}/rsa.key", option(version), *options, env=ENV, **more)


def s_client(port, version, *options, program="openssl"):
    return (program, "s_client", "-quiet", "-connect", f"localhost:{port}", "-CAfile", f"{CERTS}/ca.crt",
            "-verify_return_error", option(version), *options)


def received_30(version, size):
    """OpenSSL 3.0 gives the kernel no key for receiving in TLS 1.3."""
    return 0 if version == "1.3" else size


def nginx_sendfile(version, port):
    with kernel_does(1, len(BODY), 0):
        p = nginx(port, True, more=f"ssl_protocols TLSv{version}; ssl_conf_command Options KTLS;")
        capture = Capture(port)
        same(finish("curl", "-sS", "--cacert", f"{CERTS}/ca.crt", f"https://localhost:{port}/body").stdout)
    p.terminate()
    return capture, len(BODY)


def openssl_sendfile(version, port):
    """s_server -sendfile sends nothing but by SSL_sendfile(), which fails without kTLS."""
    with kernel_does(1, len(BODY), 0):
        s_server(port, version, "-WWW", "-http_server_binmode", "-sendfile", cwd=f"{WORK}/www")
        capture = Capture(port)
        answer = finish("curl", "-sS", "--http0.9", "--cacert", f"{CERTS}/ca.crt", f"https://localhost:{port}/body")
        same(answer.stdout)
    return capture, len(BODY)


def both_ends(version, port, program="openssl"):
    with kernel_does(2, len(BODY), received_30(version, len(BODY)) if program == "openssl" else len(BODY)):
        with open(f"{WORK}/got", "wb") as got:
            # s_client does not wait for tickets when it closes, and TCP would drop what is on its way.
            p = s_server(port, version, "-quiet", "-naccept", "1", "-num_tickets", "0", program=program, stdout=got,
                         stdin=subprocess.PIPE)
            capture = Capture(port)
            finish(*s_client(port, version, "-no_ign_eof", program=program), input=BODY, env=ENV)
            p.wait(PATIENCE)
        same(open(f"{WORK}/got", "rb").read())
    return capture, len(BODY)


def s_time(version, port):
    # On a busy machine there may be time for one connection only.
    with kernel_does(2, len(BODY), received_30(version, len(BODY))):
        s_server(port, version, "-HTTP", "-http_server_binmode", cwd=f"{WORK}/www")
        capture = Capture(port)
        said = finish("openssl", "s_time", "-connect", f"localhost:{port}", "-www", "/page", "-new", "-time", "3",
                      option(version), "-CAfile", f"{CERTS}/ca.crt", env=ENV).stdout.decode()
        print("# " + said.strip().replace("\n", "\n# "))
    return capture, len(BODY)


def epochs():
    """How many keys each direction of each connection has had, as (sending, receiving)."""
    found = json.loads(finish(CTL, "list", "--json").stdout)["connections"]
    return [(c["tx"]["epoch"], c["rx"]["epoch"]) for c in found]


def key_update(command, after, port):
    """Data, a KeyUpdate that s_client is told to send, and data under the new keys."""
    # No line of it is a command of s_client's.
    text = "\n".join(hashlib.sha256(bytes(i)).hexdigest() for i in range(1000)).lower().encode() + b"\n"
    with kernel_does(2, 2 * len(text), 2 * len(text)), open(f"{WORK}/got", "wb") as got:
        p = s_server(port, "1.3", "-quiet", "-naccept", "1", program=OPENSSL35, stdout=got, stdin=subprocess.PIPE)
        capture = Capture(port)
        client = start(*s_client(port, "1.3", program=OPENSSL35), "-no_ign_eof", stdin=subprocess.PIPE, env=ENV)

        def say(words, arrived, speaker=client):
            speaker.stdin.write(words)
            speaker.stdin.flush()
            wait_for(arrived, f"what {words[:3]} leads to")
        say(text, lambda: os.path.getsize(got.name) == len(text))
        check(epochs() == [(1, 1)] * 2, f"there were other keys before: {epochs()}")
        say(command, lambda: (2, 1) in epochs() and (1, 2) in epochs())
        # What it was asked for it sends before data of its own.
        say(b"0\n", lambda: sorted(epochs()) == sorted(after), p)
        say(text, lambda: os.path.getsize(got.name) == 2 * len(text))
        client.stdin.close()
        client.wait(PATIENCE)
        p.wait(PATIENCE)
    check(open(got.name, "rb").read() == 2 * text, "what arrived is not what was sent")
    return capture, 2 * len(text)


TESTS = {}
for version in "1.2", "1.3":
    TESTS |= {f"{name} [TLS {version}]": functools.partial(test, version) for name, test in {
        "nginx with sendfile serves curl": nginx_sendfile,
        "openssl s_server with SSL_sendfile serves curl": openssl_sendfile,
        "openssl s_client sends to s_server": both_ends,
        "openssl s_time": s_time,
        "OpenSSL 3.5's s_client sends to its s_server": functools.partial(both_ends, program=OPENSSL35),
    }.items()}
TESTS |= {
    "OpenSSL 3.5 sends a KeyUpdate": functools.partial(key_update, b"k\n", [(2, 1), (1, 2)]),
    "OpenSSL 3.5 sends a KeyUpdate and asks for one": functools.partial(key_update, b"K\n", [(2, 2), (2, 2)]),
}


def reload(*parameters):
    # Sockets go some time after both ends have closed.
    wait_for(lambda: subprocess.run(["rmmod", "kssl"]).returncode == 0, "the module can be unloaded")
    finish("modprobe", "kssl", *parameters)


@contextlib.contextmanager
def front():
    """Within, kssl is in place of tls.ko."""
    with open(CONF, "w") as f:
        f.write("openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = tls\n[tls]\nOptions = KTLS\n")
    with open(f"{WORK}/www/page", "wb") as f:
        f.write(f"HTTP/1.0 200 ok\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY)
    reload("ktls=1")
    yield
    reload()


run_tests(TESTS, front)
