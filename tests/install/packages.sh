# The packages that the test installs. Sourced by run.sh.
# shellcheck shell=bash disable=SC2154

arch=$(dpkg --print-architecture)

# build_packages makes three versions of the same sources, and two that are broken: a program that does nothing, and one that passes every
# check and dies as a daemon.
build_packages() {
	local v
	CGO_ENABLED=0 go build -trimpath -o "$work/standin" ./tests/install/standin
	for v in 1.0.0 1.1.0 1.2.0; do
		make -s deb ARCHES="$arch" VERSION="v$v" DIST="$shared" DEBBUILD="$work/build" >/dev/null
	done
	broken_package 1.3.0 <<<$'#!/bin/sh\necho "this program is broken" >&2\nexit 127'
	broken_package 1.4.0 <<<$'#!/bin/sh\ncase $1 in --config) exit 1 ;; *) exec /usr/sbin/basculed.whole "$@" ;; esac'
}

package() { echo "/shared/bascule_$1_$arch.deb"; }

# broken_package VERSION: the daemon's program is what comes on standard input.
broken_package() {
	local dir=$work/broken-$1
	dpkg-deb -R "$shared/bascule_1.2.0_$arch.deb" "$dir"
	mv "$dir/usr/sbin/basculed" "$dir/usr/sbin/basculed.whole"
	install -m 0755 /dev/stdin "$dir/usr/sbin/basculed"
	sed -i "s/^Version: .*/Version: $1/" "$dir/DEBIAN/control"
	rm -f "$dir/DEBIAN/md5sums"
	dpkg-deb --root-owner-group -Zgzip -z1 -b "$dir" "$shared/bascule_$1_$arch.deb" >/dev/null
}
