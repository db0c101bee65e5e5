#!/bin/sh
# SPDX-License-Identifier: MIT
# In a VM with kssl loaded, or as root where it is: all end-to-end tests, as TAP with marks between the programs.
cd "$(dirname "$0")/../.." || exit 1
# As udev has done where there is one.
modprobe -q aesni-intel
case $(uname -r) in
*debug*) E2E_BULK_MB=${E2E_BULK_MB:-1} E2E_STORM=${E2E_STORM:-20} E2E_IDLE=${E2E_IDLE:-100} ;;
*) E2E_BULK_MB=${E2E_BULK_MB:-3} E2E_STORM=${E2E_STORM:-50} E2E_IDLE=${E2E_IDLE:-200} ;;
esac
# The whole matrix takes an hour ("make interop"): here every 16th of its cells, and others of them on each kernel.
case $(uname -r) in
6.1.*debug*) INTEROP=${INTEROP:-1/24} ;;
6.1.*) INTEROP=${INTEROP:-0/16} ;;
6.12.*) INTEROP=${INTEROP:-7/24} ;;
*) INTEROP=${INTEROP:-13/24} ;;
esac
export E2E_BULK_MB E2E_STORM E2E_IDLE INTEROP
set --
# The engines and what they agree on need no kernel, see tests/check.  A Java machine takes minutes in an emulated one,
# and what it shows is about the peer, so one kernel does.
left_out='demo engines agree jsse'
case $(uname -r) in
6.1.*debug*) ;;
6.1.*) left_out='demo engines agree' TAP_BACKSTOP=${TAP_BACKSTOP:-1200} ;;
esac
export TAP_BACKSTOP=${TAP_BACKSTOP:-240}
for source in tests/e2e/*.c; do
	name=$(basename "$source" .c)
	case " $left_out " in *" $name "*) continue ;; esac
	[ -e "tests/e2e/$name.h" ] || set -- "$@" "build/tests/e2e/$name"
done
exec tests/vm/tap "$@"
