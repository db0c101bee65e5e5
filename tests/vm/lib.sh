# SPDX-License-Identifier: MIT
# Sourced by the scripts beside it: the cache, and how something gets into it once and whole.

PATH=$PATH:/usr/sbin:/sbin
VM=$(cd "$(dirname "$0")" && pwd)
CACHE=${KSSL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kssl}
mkdir -p "$CACHE"

say() {
	echo "${0##*/}: $*" >&2
}

die() {
	say "$@"
	exit 1
}

# hash: the short key of what is on standard input.
hash() {
	sha256sum | cut -c1-12
}

# lock NAME: one process at a time from here until it ends; those that wait find the work done.
lock() {
	exec 9>"$CACHE/lock-$1"
	flock 9
}

# begin NAME KEY: sets $dir, the final place, and returns 1 if it is there already; else sets $tmp to build in.
# Nothing incomplete is ever seen under the final name, and the same path is good for ever.
begin() {
	dir=$CACHE/$1-$2
	[ -d "$dir" ] && return 1
	tmp=$CACHE/tmp-$1
	rm -rf "$tmp"
	mkdir -p "$tmp"
}

# finish NAME: moves the result into place and drops what older keys left.
finish() {
	mv "$tmp" "$dir"
	for old in "$CACHE/$1"-????????????; do
		[ "$old" = "$dir" ] || rm -rf "$old"
	done
}

# apt FILE.. as the machine's own sources have it, but no sandbox user: it cannot write to a private cache.
apt_get() {
	apt-get -q -o APT::Sandbox::User=root "$@"
}

# packages NAME..: one line "file checksum" for each, which names exactly what would be downloaded.
packages() {
	apt_get -qq --print-uris download "$@" | awk '{ print $2, $4 }'
}

# closure NAME..: "name=version" of each, and of each package it depends on, on a machine where nothing is installed.
closure() {
	apt_get -s -o Dir::State::status=/dev/null --no-install-recommends install "$@" |
		awk '/^Inst / { print $2 "=" substr($3, 2) }'
}

# suites DIR SUITE..: from here on apt knows these suites of Debian and no others, from the mirror the machine uses, and
# keeps its lists in DIR; the machine's own configuration stays as it is.  With what=deb-src it knows their sources.
suites() {
	apt=$1
	shift
	mirror=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' |
		awk '$1 ~ /^[a-z]+$/ { print $2; exit }')
	[ -n "$mirror" ] || return 1
	mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
	for suite; do
		echo "${what:-deb} [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
	done >"$apt/sources.list"
	cat >"$apt/apt.conf" <<END
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "$apt/lists";
Dir::Cache "$apt/cache";
END
	export APT_CONFIG="$apt/apt.conf"
	apt_get -qq update >&2
}

# unpack ROOT NAME..: downloads Debian packages and unpacks them there; installs nothing.
unpack() {
	root=$1
	shift
	mkdir -p "$root/.deb"
	(cd "$root/.deb" && apt_get download "$@") >&2
	for deb in "$root"/.deb/*.deb; do
		dpkg-deb -x "$deb" "$root"
	done
	rm -rf "$root/.deb"
}

# known NAME FILE..: asking apt takes seconds, so its answer holds as long as its package lists and these files stay:
# prints the directory that "remember" was called with, and ends the script.
known() {
	known=$CACHE/$1.known
	shift
	state=$( (stat -c %Y /var/lib/apt/lists 2>/dev/null; cat "$VM/lib.sh" "$@") | hash)
	if [ -f "$known" ] && read -r key dir <"$known" && [ "$key" = "$state" ] && [ -d "$dir" ]; then
		echo "$dir"
		exit
	fi
}

# remember: what "known" will know, $dir; prints it.
remember() {
	echo "$state $dir" >"$known"
	echo "$dir"
}
