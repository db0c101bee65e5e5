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
rmmod kssl && modprobe kssl legacy=1 || exit 1
export E2E_LEGACY=1 PATH="$prefix/bin:$PATH" LD_LIBRARY_PATH="$prefix/lib"
build/tests/e2e/interop "$@" && [ $failed = 0 ]
