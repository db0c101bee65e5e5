#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""table.py PACKAGE KERNEL..: makes tests/ktls.md of what tests/ktls/run said on each, see tests/ktls/table."""
import collections
import re
import sys

package, *kernels = sys.argv[1:]
LINE = re.compile(r"(?:not )?ok \d+ - (\S+\.\S+?)(?:, tls\.ko: (.*)| \((.*); tls\.ko: (.*)\)| # SKIP (.*))$")


def read(kernel):
    """By test, how often it passed: on kssl, on tls.ko; where neither can, why."""
    tests, cannot = collections.defaultdict(lambda: [0, 0, 0]), collections.Counter()
    with open(f"build/ktls/{kernel}.log", encoding="utf-8", errors="replace") as log:
        lines = log.read().splitlines()
    for line in lines:
        found = LINE.match(line)
        if not found:
            failures.extend([f"{kernel}: {line}"] if line.startswith("not ok") else [])
            continue
        name, passed, ours, theirs, skipped = found.groups()
        if skipped:
            cannot[skipped] += 1
            continue
        test = tests[name.rsplit(".", 1)[1] if name.startswith("tls.") else name]
        test[0] += 1
        test[1] += passed is not None
        test[2] += (passed or theirs) == "ok"
    left_out = any("are left out" in line for line in lines)
    if not tests or not any(re.match(r"1\.\.\d+", line) for line in lines):
        sys.exit(f"ktls: the log of {kernel} is not whole")
    with open(f"build/ktls/{kernel}.release", encoding="utf-8") as release:
        return release.read().strip(), tests, cannot, left_out


failures = []
results = [read(kernel) for kernel in kernels]
failed = sum(all_ - ours for _, tests, _, _ in results for all_, ours, _ in tests.values())
print(f"""# The kernel's own test of kTLS

Made by `make ktls`; not to be edited.  What runs is tools/testing/selftests/net/tls.c of
{package}, unmodified, first on the kernel's `tls.ko` and then on kssl with `ktls=1` in its place.
Nothing passes for want of TLS: kssl's own counters have to tell of each connection.

**{failed} cases fail on kssl**{"".join(f"{chr(10)}{chr(10)}{line}" for line in failures)}

| kernel | cases | pass on kssl | pass on tls.ko | neither can | of many processes |
|---|---|---|---|---|---|""")
for release, tests, cannot, left_out in results:
    total, ours, theirs = (sum(column) for column in zip(*tests.values()))
    why = "; ".join(f"{n}: {text}" for text, n in sorted(cannot.items())) or "-"
    print(f"| {release} | {total} | {ours} | {theirs} | {why} | {'too slow here' if left_out else 'in'} |")
print("""
Each case is one test with one cipher and version.  "Many processes" are the cases mutliproc_*, which have to end within
30 seconds, so an emulated machine may be too slow; they run with AES-GCM only.

## What passes on kssl and not on tls.ko

How many cases of each test pass on kssl, and how many of those on tls.ko, where it is not the same.

| test | """ + " | ".join(release for release, *_ in results) + """ |
|---|""" + "---|" * len(results))
names = sorted({name for _, tests, _, _ in results for name, (_, ours, theirs) in tests.items() if ours != theirs})
for name in names:
    cells = []
    for _, tests, _, _ in results:
        _, ours, theirs = tests.get(name, (0, 0, 0))
        cells.append(f"{ours}, {theirs}" if ours != theirs else "the same")
    print(f"| {name} | " + " | ".join(cells) + " |")
sys.exit(failed != 0 or bool(failures))
