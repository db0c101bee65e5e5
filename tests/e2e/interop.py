#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Makes the table of tests/interop.md of the lines "cell" and "suites" that tests/e2e/interop.c prints.

interop.py KERNEL "STACK=VERSION;.." LOG..
"""
import collections
import sys

COLUMNS = ("handshake", "data", "keys", "certificate", "resumption")
NAMES = {"0x0304": "TLS 1.3", "0x0303": "1.2", "0x0302": "1.1", "0x0301": "1.0", "0x0300": "SSL 3.0"}
# Why a cell is empty, by stack and part of the suite's name.
WHY = (
    ("GnuTLS", "ARIA", "none there"),
    ("NSS", "ARIA", "none there"),
    ("NSS", "CCM", "none there"),
    ("NSS", "CAMELLIA", "none there"),
    ("JSSE", "ARIA", "none there"),
    ("JSSE", "CCM", "none there"),
    ("JSSE", "CAMELLIA", "none there"),
    ("NSS", "EtM", "none there"),
    ("JSSE", "EtM", "none there"),
    ("OpenSSL 3.5", "RC4", "not built in"),
    ("OpenSSL 3.5", "DES-CBC3", "not built in"),
)
# Those that are built without SSL 3.0.
NO_SSL3 = ("OpenSSL 3.5", "GnuTLS")


def has(stack, version):
    return version != "0x0300" or stack not in NO_SSL3


def read(paths):
    parts, due, cells = {}, collections.Counter(), {}
    for path in paths:
        for line in open(path, encoding="utf-8", errors="replace"):
            words = line.strip().removeprefix("# ").split("|")
            if words[0] == "suites" and len(words) == 6:
                parts[tuple(words[1:5])] = int(words[5])
            elif words[0] == "cell" and len(words) == 7:
                cells[tuple(words[1:6])] = words[6].split() == list(COLUMNS)
    for part, count in parts.items():
        due[part[:3]] += count
    return due, cells


def why(stack, name):
    for of, part, text in WHY:
        if of == stack and part in name:
            return text
    return "**red**"


def main():
    kernel, versions = sys.argv[1], dict(word.split("=") for word in sys.argv[2].split(";"))
    due, cells = read(sys.argv[3:])
    if not cells:
        sys.exit("nothing ran")
    good = collections.Counter(cell[:3] for cell, held in cells.items() if held)
    stacks = list(versions)
    red = sum(abs(due[row] - good[row]) for row in due)
    red += sum(1 for s in stacks for r in ("client", "server") for v in NAMES if has(s, v) and not due[s, r, v])
    print("# Interoperability\n")
    print(f"Made by `make interop` on Debian's kernel {kernel}; not to be edited.  Each cell is a suite, in a version, in a")
    print("role of ours, with a stack that does not know of kssl; in each, all of this held:\n")
    print("- a handshake in which the client had to show a certificate,")
    print("- data both ways, compared by digests (selfserv of NSS takes a request and sends a file),")
    print("- new keys begun by us, by a renegotiation or, in TLS 1.3, a KeyUpdate each way, and data under them,")
    print("- a second connection that resumed a session, and data over it (strsclnt of NSS makes a request, and does not tell")
    print("  what it got).\n")
    print(f"**{sum(good.values())} cells, {red} red**\n")
    print("## How many suites\n")
    print("| stack | we are | " + " | ".join(NAMES.values()) + " |")
    print("|---|---|" + "---|" * len(NAMES))
    for stack in stacks:
        for role in ("client", "server"):
            row = []
            for version in NAMES:
                held, want = good[stack, role, version], due[stack, role, version]
                if not has(stack, version):
                    row.append("not built in")
                else:
                    row.append(str(held) if held == want and want else f"**{held} of {want or '?'}**")
            print(f"| {stack} ({versions[stack]}) | {role} | " + " | ".join(row) + " |")
    print("\n## Which\n")
    print("In which versions of TLS each suite held; with a role in words where it was but one.\n")
    print("| suite | " + " | ".join(stacks) + " |")
    print("|---|" + "---|" * len(stacks))
    suites = sorted({(cell[3], cell[4]) for cell in cells}, key=lambda s: (s[1] != "", s))
    for name, order in suites:
        row = []
        for stack in stacks:
            held = []
            for version in NAMES:
                roles = [r for r in ("client", "server") if cells.get((stack, r, version, name, order))]
                if roles:
                    held.append(NAMES[version].removeprefix("TLS ") + (f" ({roles[0]})" if len(roles) == 1 else ""))
            row.append(", ".join(held) or why(stack, f"{name} {order}"))
        print(f"| {name}{f', {order}' if order else ''} | " + " | ".join(row) + " |")
    print("\nSSL 3.0, Triple DES and RC4 are with the OpenSSL of `make legacy-openssl` at our end, and for OpenSSL at both,")
    print("and with the module unlocked.  NSS as server: its database holds one certificate for a name,")
    print("and that is RSA's, so no ECDSA there.")
    return red != 0


sys.exit(main())
