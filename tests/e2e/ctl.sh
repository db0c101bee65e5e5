#!/bin/bash
# SPDX-License-Identifier: MIT
# kssl-ctl in a VM: what it tells of sessions that kssl-perf makes, what it does to them, and whether probe names what is
# wrong with set-ups that are broken one way each.  Prints TAP.  The module is unloaded for some of these, and at last the
# kernel takes none any more, so the VM is of no use afterwards.
set -u
PATH=$PATH:/usr/sbin:/sbin
cd "$(dirname "$0")/../.." || exit 1

ctl=build/userspace/kssl-ctl
perf=build/userspace/kssl-perf
certs=build/certs
dir=$(mktemp -d)
chmod 755 "$dir"
# For each handshake of a probe, on the slowest machine.
patience='--timeout 200'
count=0
failures=0
server=
client=
daemon=
monitor=

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
	end_of "$monitor"
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
	until_so listens 5211
	$perf -c 127.0.0.1 --insecure --mode kssl --tls "$1" --record-limit 5000 --pad-to 64 -t 86400 >"$dir/client" 2>&1 &
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

# has_more THAN
has_more() {
	[ "$(field "$id" bytes)" -gt "$1" ]
}

grows() {
	until_so has_more "$(field "$id" bytes)"
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

# Events NAME of the client's connection, as the monitor has printed them so far.
events() {
	grep -F "\"id\":$id," "$dir/events" | grep -cF "\"event\":\"$1\""
}

stat_of() {
	$ctl stats --json | sed -n "s/^ *\"$1\": \([0-9]*\).*/\1/p"
}

# has_seen EVENT COUNT: more than COUNT
has_seen() {
	[ "$(events "$1")" -gt "$2" ]
}

rekey_is_seen() {
	$ctl rekey --timeout 60 "$id" || return 1
	sleep 1
	has_seen "$1" 0
}

# Nobody tells when a monitor has begun to listen, so it may miss the first events.
monitor_starts() {
	$ctl monitor --json --pid $client >"$dir/events" 2>&1 &
	monitor=$!
	until_so rekey_is_seen "$1"
}

# tells EVENT COUNTER COMMAND..: the command raises the counter of stats, and the monitor tells EVENT.
tells() {
	local event=$1 counter=$2 seen before after
	shift 2
	seen=$(events "$event")
	before=$(stat_of "$counter")
	"$@" || return 1
	after=$(stat_of "$counter")
	echo "$counter: $before, then $after; $event seen before: $seen"
	tail -n 5 "$dir/events"
	[ "$after" -gt "$before" ] && until_so has_seen "$event" "$seen"
}

only_of_client() {
	! grep -vF "\"pid\":$client," "$dir/events" && [ -s "$dir/events" ]
}

has_both_ends() {
	$ctl list
	[ "$($ctl list --pid $client | grep -c "kssl-perf($client)")" = 1 ] &&
		[ "$($ctl list --pid $server | grep -c "kssl-perf($server)")" = 1 ]
}

has_metric() {
	local sum
	sum=$($ctl stats --prometheus | awk -v name="kssl_$1_total" '$1 == name { print $2 }')
	echo "$sum"
	[ "$sum" -gt 0 ]
}

sees_nothing() {
	local list
	list=$(nobody $ctl list) && [ -z "$list" ]
}

is_gone() {
	gives 3 "" $ctl show "$1"
}

# sessions VERSION EVENT COUNTER LIMIT: what a rekey is in this version, where it is counted, and what its records hold
sessions() {
	begin "$1"
	check "$1: both ends are listed, with their processes" has_both_ends
	check "$1: version" gives 0 "\"version\": \"$1\"" $ctl show --json "$id"
	check "$1: suite by its name" gives 0 "\"suite\": \"TLS_" $ctl show --json "$id"
	check "$1: how long its records may be" gives 0 ", at most $4 bytes in each" $ctl show "$id"
	check "$1: what they are padded to" gives 0 "to multiples of 64 bytes" $ctl show "$id"
	check "$1: the same as JSON" gives 0 "\"pad_to\": 64" $ctl show --json "$id"
	check "$1: bytes grow" grows
	check "$1: the monitor tells of a rekey" monitor_starts "$2"
	check "$1: rekey" raises epoch $ctl rekey --timeout 60 "$id"
	check "$1: a rekey is told and counted as $2" tells "$2" "$3" $ctl rekey --timeout 60 "$id"
	check "$1: renegotiate" raises epoch $ctl renegotiate --timeout 60 "$id" resume
	check "$1: the sum of $3 is there for Prometheus" has_metric "$3"
	check "$1: the monitor tells of no other process" only_of_client
	check "$1: another user sees nothing" sees_nothing
	check "$1: another user cannot show it" gives 3 "no socket of yours" nobody $ctl show "$id"
	check "$1: another user cannot renegotiate it" gives 3 "no socket of yours" nobody $ctl renegotiate "$id"
	check "$1: another user cannot end it" gives 3 "no socket of yours" nobody $ctl close "$id"
	check "$1: another user cannot monitor it" gives 4 "CAP_NET_ADMIN" nobody $ctl monitor
	check "$1: it still lives" grows
	check "$1: its end is told and counted" tells failed failed $ctl close "$id"
	check "$1: it is gone" until_so is_gone "$id"
	check "$1: that it is closed is told" until_so has_seen closed 0
	check "$1: the application was told" until_so grep -q 'ended on request' "$dir/client"
	check "$1: the cause is kept" gives 0 "ended on request (ECANCELED)" $ctl list --failed
	end_of "$monitor"
	monitor=
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
	profile "stranger" { role = "client" trust = "$dir/old.crt" }
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

# broken HOW TEXT COMMAND..: probe, as COMMAND runs it, fails and says TEXT in the sentence of the check that failed.
broken() {
	check "broken: $1" names_it "${@:2}"
}

names_it() {
	local text=$1 status
	shift
	"$@" >"$dir/given" 2>&1
	status=$?
	cat "$dir/given"
	echo "status $status, wanted 1 and a failed check with: $text"
	[ $status = 1 ] && grep '^failed ' "$dir/given" | grep -qF -e "$text"
}

# A server for the client profile, by OpenSSL.
serve() {
	openssl s_server -accept 5212 -cert "$certs/rsa.crt" -key "$certs/rsa.key" -quiet "$@" \
		</dev/null >"$dir/s_server" 2>&1 &
	server=$!
	until_so listens 5212
}

# Something else than TLS answers.
serve_clear() {
	nc -l -p 5213 >/dev/null <<<"220 ready" &
	server=$!
	until_so listens 5213
}

listens() {
	ss -Hltn "sport = $1" | grep -q .
}

# in_netns COMMAND..: in the network namespace "other"
in_netns() {
	ip netns exec other "$@"
}

hung() {
	local status
	kill -STOP "$daemon"
	names_it "a helper listens but takes no connection" $ctl probe
	status=$?
	kill -CONT "$daemon"
	return $status
}

# The daemon ends with TEXT, and there is no helper then.
not_a_daemon() {
	build/userspace/kssld -c "$dir/conf" >"$dir/daemon" 2>&1
	cat "$dir/daemon"
	grep -qF -e "$1" "$dir/daemon" && names_it "no helper listens in this network namespace" $ctl probe
}

probes() {
	openssl req -newkey rsa:2048 -nodes -subj /CN=old -keyout "$dir/old.key" -out "$dir/old.csr" 2>/dev/null
	openssl x509 -req -in "$dir/old.csr" -signkey "$dir/old.key" -days -1 -out "$dir/old.crt" 2>/dev/null
	chmod 600 "$dir/old.key"

	broken "no daemon" "no helper listens in this network namespace: start the daemon" $ctl probe
	broken "the module is newer" "this program is older than the module: update it" build/tests/e2e/kssl-ctl-0 probe
	broken "the module is older" "the module is older than this program" build/tests/e2e/kssl-ctl-2 probe
	conf <<<'profile "web" { certificate = "'$certs/rsa.crt'" key = "/nonexistent/key" }'
	check "broken: a key that is not there, so the daemon ends" not_a_daemon "/nonexistent/key"
	conf <<<'profile "web" { certificate = "'$certs/rsa.crt'" key = "'$certs/ecdsa.key'" }'
	check "broken: the key of another certificate, so the daemon ends" \
		not_a_daemon "the key does not belong to the certificate"
	conf <<<'profile "web" { certificat = "'$certs/rsa.crt'" }'
	check "broken: a word that is not known, so the daemon ends" not_a_daemon "certificat"

	good_conf
	check "the daemon starts, and probe is content" daemon_starts
	check "probe is content in JSON" gives 0 '"works": true' $ctl probe --json
	check "a profile that works" gives 0 "profile 'web' shakes hands" $ctl probe $patience --profile web --name localhost
	check "a profile that works for another user" gives 0 "profile 'web' shakes hands" nobody $ctl probe $patience --profile web
	check "without permission probe says what is missing" gives 0 "no CAP_NET_ADMIN" nobody $ctl probe
	check "broken: it hangs" hung
	broken "no such profile" "the daemon has no profile 'none'" $ctl probe $patience --profile none
	check "and in JSON" gives 1 '"works": false' $ctl probe --json --profile none
	broken "the profile is not for this user" "profile 'root' is not for this user" nobody $ctl probe $patience --profile root
	broken "the profile is a client's" "profile 'out' does not do for this: the profile is for clients" \
		$ctl probe $patience --profile out
	broken "the certificate has expired" "the certificate of profile 'old' has expired" $ctl probe $patience --profile old
	broken "the certificate is for another name" "certificate of profile 'web' is not for the name other" \
		$ctl probe $patience --profile web --name other

	ip netns add other
	broken "the namespace has no loopback" "no TCP connection over loopback" in_netns $ctl probe
	ip -n other link set lo up
	broken "the daemon is in another network namespace" "no helper listens in this network namespace" in_netns $ctl probe
	ip netns del other

	serve
	check "a client profile that works" gives 0 "profile 'out' shakes hands" \
		$ctl probe $patience --profile out --connect 127.0.0.1:5212 --name localhost
	broken "the server's certificate is for another name" "certificate is not good: hostname mismatch" \
		$ctl probe $patience --profile out --connect 127.0.0.1:5212 --name other.example
	broken "the server's certificate is not of the profile's trust" "certificate is not good: unable to get local issuer" \
		$ctl probe $patience --profile stranger --connect 127.0.0.1:5212 --name localhost
	broken "the profile is a server's" "profile 'web' does not do for this: the profile is for servers" \
		$ctl probe $patience --profile web --connect 127.0.0.1:5212 --name localhost
	end
	serve -tls1_1 -cipher DEFAULT@SECLEVEL=0
	broken "the server knows only old TLS" "protocol version" \
		$ctl probe $patience --profile out --connect 127.0.0.1:5212 --name localhost
	end
	serve_clear
	broken "the server does not speak TLS" "does not seem to speak TLS" \
		$ctl probe $patience --profile out --connect 127.0.0.1:5213 --name localhost
	end
	broken "nobody listens there" "nobody listens at 127.0.0.1:5219" $ctl probe $patience --profile out --connect 127.0.0.1:5219
	daemon_ends
}

module_is_gone() {
	rmmod kssl
}

# The debug kernel has its ciphers built in, and no lockdown.
is_stock() {
	case $(uname -r) in *debug*) return 1 ;; esac
}

without_cipher() {
	local ccm
	ccm=$(find /lib/modules -name 'ccm.ko*')
	rmmod ccm
	mv "$ccm" "$dir/ccm"
	modprobe kssl
	broken "an algorithm cannot be loaded" "TLS_AES_128_CCM_SHA256 is missing" $ctl probe
	mv "$dir/ccm" "$ccm"
	rmmod kssl
}

# At last: nothing loads the module again but this.
without_module() {
	check "the module can be unloaded" until_so module_is_gone
	! is_stock || without_cipher
	modprobe kssl legacy=1
	check "the lock is open" gives 1 "the module was loaded with legacy=1" $ctl probe
	check "the module can be unloaded again" until_so module_is_gone
	modprobe kssl ktls=1
	check "kssl is in place of tls.ko" gives 1 "the module was loaded with ktls=1" $ctl probe
	check "the module can be unloaded once more" until_so module_is_gone
	mkdir -p /etc/modprobe.d
	echo 'blacklist kssl' >/etc/modprobe.d/kssl.conf
	broken "the module is not loaded" "the module kssl is installed but not loaded: modprobe kssl" $ctl probe
	rm /etc/modprobe.d/kssl.conf
	sed -i.all /kssl/d "/lib/modules/$(uname -r)/modules.dep"
	broken "the module is not installed" "not loaded, nor installed for kernel $(uname -r)" $ctl probe
	mv "/lib/modules/$(uname -r)/modules.dep.all" "/lib/modules/$(uname -r)/modules.dep"
	if is_stock; then
		mount -t securityfs securityfs /sys/kernel/security
		echo integrity >/sys/kernel/security/lockdown
		broken "the kernel takes signed modules only" "without a signature it knows" $ctl probe
	fi
	echo 1 >/proc/sys/kernel/modules_disabled
	broken "the kernel takes no modules" "takes no more modules" $ctl probe
}

sessions 1.2 handshake handshakes 5000
sessions 1.3 key-update key_updates 4999
probes
without_module
echo "1..$count"
exit $((failures > 0))
