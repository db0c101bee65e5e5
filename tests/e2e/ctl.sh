#!/bin/bash
# SPDX-License-Identifier: MIT
# kssl-ctl in a VM: what it tells of sessions that kssl-perf makes, what it does to them, and whether probe names what is
# wrong with ten set-ups.  Prints TAP.  The module is unloaded for some, so nothing else may use it.
set -u
PATH=$PATH:/usr/sbin:/sbin
cd "$(dirname "$0")/../.." || exit 1

ctl=build/userspace/kssl-ctl
perf=build/userspace/kssl-perf
certs=build/certs
dir=$(mktemp -d)
chmod 755 "$dir"
count=0
failures=0
server=
client=
daemon=

# Waits until COMMAND.. succeeds, for a minute and a half.
until_so() {
	local tries
	for ((tries = 0; tries < 300; tries++)); do
		! "$@" >/dev/null 2>&1 || return 0
		sleep 0.3
	done
	return 1
}

end_of() {
	[ -z "$1" ] || { kill "$1"; wait "$1"; } 2>/dev/null
}

finish() {
	end_of "$client"
	end_of "$server"
	end_of "$daemon"
	rm -rf "$dir"
}
trap finish EXIT

# check NAME COMMAND..: one test; what the command printed goes with a failure.
check() {
	local name=$1
	shift
	count=$((count + 1))
	if "$@" >"$dir/out" 2>&1; then
		echo "ok $count - $name"
	else
		failures=$((failures + 1))
		sed 's/^/# /' "$dir/out" | head -n 40
		echo "not ok $count - $name"
	fi
}

nobody() {
	setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}

# gives STATUS TEXT COMMAND..: the command ends with STATUS and what it prints has TEXT.
gives() {
	local want=$1 text=$2 status
	shift 2
	"$@" >"$dir/given" 2>&1
	status=$?
	cat "$dir/given"
	echo "status $status, wanted $want and: $text"
	[ $status = "$want" ] && grep -qF -e "$text" "$dir/given"
}

field() {
	$ctl show --json "$1" | sed -n "s/^ *\"$2\": \"\?\([^\",]*\).*/\1/p" | head -n 1
}

# --- sessions

# begin VERSION
begin() {
	$perf -s >"$dir/server" 2>&1 &
	server=$!
	until_so grep -q . <(ss -ltn 'sport = :5211' | grep 5211)
	$perf -c 127.0.0.1 --insecure --mode kssl --tls "$1" -t 600 >"$dir/client" 2>&1 &
	client=$!
	until_so is_moving
	id=$($ctl list --pid $client | awk 'NR == 2 { print $1 }')
}

is_moving() {
	$ctl list --pid $client | awk 'NR == 2 && $NF == "attended" && $10 > 0 { ok = 1 } END { exit !ok }'
}

end() {
	end_of "$client"
	end_of "$server"
	client=
	server=
}

grows() {
	local before after
	before=$(field "$id" bytes)
	sleep 1
	after=$(field "$id" bytes)
	echo "$before, then $after"
	[ "$after" -gt "$before" ]
}

# raises FIELD COMMAND..
raises() {
	local name=$1 before after
	shift
	before=$(field "$id" "$name")
	"$@" || return 1
	after=$(field "$id" "$name")
	echo "$name: $before, then $after"
	[ "$after" -gt "$before" ]
}

has_both_ends() {
	$ctl list
	[ "$($ctl list --pid $client | grep -c "kssl-perf($client)")" = 1 ] &&
		[ "$($ctl list --pid $server | grep -c "kssl-perf($server)")" = 1 ]
}

sees_nothing() {
	[ -z "$(nobody $ctl list)" ]
}

is_gone() {
	! $ctl show "$1"
}

sessions() {
	begin "$1"
	check "$1: both ends are listed, with their processes" has_both_ends
	check "$1: version" gives 0 "\"version\": \"$1\"" $ctl show --json "$id"
	check "$1: suite by its name" gives 0 "\"suite\": \"TLS_" $ctl show --json "$id"
	check "$1: bytes grow" grows
	check "$1: rekey" raises epoch $ctl rekey --timeout 60 "$id"
	check "$1: renegotiate" raises epoch $ctl renegotiate --timeout 60 "$id" resume
	check "$1: another user sees nothing" sees_nothing
	check "$1: another user cannot show it" gives 3 "no socket of yours" nobody $ctl show "$id"
	check "$1: another user cannot renegotiate it" gives 3 "no socket of yours" nobody $ctl renegotiate "$id"
	check "$1: another user cannot end it" gives 3 "no socket of yours" nobody $ctl close "$id"
	check "$1: it still lives" grows
	check "$1: close" $ctl close "$id"
	check "$1: it is gone" until_so is_gone "$id"
	check "$1: the application was told" until_so grep -q 'ended on request' "$dir/client"
	check "$1: the cause is kept" gives 0 "ended on request (ECANCELED)" $ctl list --failed
	end
}

# --- probe

conf() {
	cat >"$dir/conf"
}

good_conf() {
	conf <<-END
	profile "web" { certificate = "$certs/rsa.crt" key = "$certs/rsa.key" allow = { "everybody" } }
	profile "root" { certificate = "$certs/rsa.crt" key = "$certs/rsa.key" allow = { "user:0" } }
	profile "old" { certificate = "$dir/old.crt" key = "$dir/old.key" allow = { "everybody" } }
	profile "out" { role = "client" trust = "$certs/ca.crt" }
	END
}

daemon_starts() {
	build/userspace/kssld -c "$dir/conf" >"$dir/daemon" 2>&1 &
	daemon=$!
	until_so $ctl probe --timeout 30 || { cat "$dir/daemon"; return 1; }
}

daemon_ends() {
	end_of "$daemon"
	daemon=
}

wrong() {
	local text=$1
	shift
	gives 1 "$text" "$@"
}

# A server for the client profile, by OpenSSL.
serve() {
	openssl s_server -accept 5212 -cert "$certs/rsa.crt" -key "$certs/rsa.key" -quiet </dev/null >"$dir/s_server" 2>&1 &
	server=$!
	until_so grep -q . <(ss -ltn 'sport = :5212' | grep 5212)
}

probes() {
	openssl req -newkey rsa:2048 -nodes -subj /CN=old -keyout "$dir/old.key" -out "$dir/old.csr" 2>/dev/null
	openssl x509 -req -in "$dir/old.csr" -signkey "$dir/old.key" -days -1 -out "$dir/old.crt" 2>/dev/null
	chmod 600 "$dir/old.key"
	good_conf
	check "broken: no daemon" wrong "no helper listens" $ctl probe
	check "broken: the module is newer" wrong "this program is older than the module: update it" \
		build/tests/e2e/kssl-ctl-0 probe
	check "broken: the module is older" wrong "the module is older than this program" build/tests/e2e/kssl-ctl-2 probe
	check "the daemon starts, and probe is content" daemon_starts
	check "a profile that works" gives 0 "profile 'web' shakes hands" $ctl probe --profile web --name localhost
	check "broken: no such profile" wrong "has no profile 'none'" $ctl probe --profile none
	check "broken: the profile is not for this user" wrong "profile 'root' is not for this user" \
		nobody $ctl probe --profile root
	check "broken: the certificate has expired" wrong "has expired" $ctl probe --profile old
	check "broken: the certificate is for another name" wrong "is not for the name other" \
		$ctl probe --profile web --name other
	serve
	check "a client profile that works" gives 0 "profile 'out' shakes hands" \
		$ctl probe --profile out --connect 127.0.0.1:5212 --name localhost
	check "broken: the server's certificate is for another name" wrong "mismatch" \
		$ctl probe --profile out --connect 127.0.0.1:5212 --name other.example
	end
	check "broken: nobody listens there" wrong "nobody listens at" $ctl probe --profile out --connect 127.0.0.1:5219
	check "broken: no permission to watch" gives 4 "CAP_NET_ADMIN" nobody $ctl monitor
	check "without permission probe says what is missing" gives 0 "no CAP_NET_ADMIN" nobody $ctl probe
	daemon_ends
	echo 'profile "web" { certificate = "'$certs/rsa.crt'" key = "/nonexistent/key" }' | conf
	check "broken: the key cannot be read" wrong "/nonexistent/key" build/userspace/kssld --check -c "$dir/conf"
}

module_is_gone() {
	rmmod kssl
}

# The last: nothing loads the module again but this.
without_module() {
	check "the module can be unloaded" until_so module_is_gone
	rmmod ccm
	ccm=$(find /lib/modules -name 'ccm.ko*')
	mv "$ccm" "$dir/ccm"
	check "broken: the module is not loaded" wrong "the module kssl is " $ctl probe
	modprobe kssl
	check "broken: an algorithm cannot be loaded" wrong "TLS_AES_128_CCM_SHA256 is missing" $ctl probe
	mv "$dir/ccm" "$ccm"
}

sessions 1.2
sessions 1.3
probes
without_module
echo "1..$count"
exit $((failures > 0))
