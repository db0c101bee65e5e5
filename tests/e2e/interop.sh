#!/bin/sh
# SPDX-License-Identifier: MIT
# interop.sh PREFIX NAME..: in a VM with kssl loaded, the matrix for the tests of those names: as it is, and then, with
# the OpenSSL below PREFIX and the module unlocked, what is weak.
cd "$(dirname "$0")/../.." || exit 1
prefix=$1
shift
modprobe -q aesni-intel
export TAP_BACKSTOP=7200
failed=0
build/tests/e2e/interop "$@" || failed=1
# Sockets go some time after both ends have closed.
for _ in $(seq 100); do
	rmmod kssl && break
	sleep 0.3
done
modprobe kssl legacy=1 && [ "$(cat /sys/module/kssl/parameters/legacy)" = Y ] || exit 1
export E2E_LEGACY=1 PATH="$prefix/bin:$PATH" LD_LIBRARY_PATH="$prefix/lib"
build/tests/e2e/interop "$@" && [ $failed = 0 ]
