#!/usr/bin/env bash
# Installs, upgrades, breaks, removes and purges the package in a Debian 12 that is made and booted for it (debootstrap, systemd-nspawn), with
# a stand-in for what of Proxmox VE the daemon speaks to (standin/) and a guest that must live through all of it; then sets a site of two nodes and
# a witness up in three such machines with hactl init, join and real ssh and corosync, and takes it down again. Needs root; installs
# debootstrap, systemd-container and openssh-client where they are missing; everything else lies in one temporary directory.
#
# steps.sh and site_steps.sh have the steps in their order, machine.sh the machines, site.sh their site. Last line: RESULT steps=… failed=…; the
# exit status is 1 if one failed.
# INSTALL_TEST_ROOT=DIR       take this Debian (it is not changed) instead of making one; a kept run leaves its own in base
# INSTALL_TEST_KEEP=1         leave the temporary directory
# INSTALL_TEST_PARTS="site"   take only this part ("node site" are all)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."

if [ "$(id -u)" -ne 0 ]; then
	echo "install-test: SKIPPED: it boots a machine, which takes root: sudo make install-test"
	exit 0
fi

packages=(debootstrap systemd-container dbus openssh-client)
missing=()
for p in "${packages[@]}"; do
	dpkg -s "$p" >/dev/null 2>&1 || missing+=("$p")
done
if [ "${#missing[@]}" -gt 0 ]; then
	export DEBIAN_FRONTEND=noninteractive
	if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } </dev/null >/dev/null; then
		echo "install-test: SKIPPED: it needs ${missing[*]} (Debian's packages), which cannot be installed here"
		exit 0
	fi
fi

work=$(mktemp -d -t bascule-install.XXXXXX)
shared=$work/shared prefix=bascule-install-$$
mkdir "$shared"
# shellcheck source=tests/install/machine.sh
. "$here/machine.sh"
# shellcheck source=tests/install/proxmox.sh
. "$here/proxmox.sh"
# shellcheck source=tests/install/packages.sh
. "$here/packages.sh"
# shellcheck source=tests/install/steps.sh
. "$here/steps.sh"
# shellcheck source=tests/install/site.sh
. "$here/site.sh"
# shellcheck source=tests/install/site_steps.sh
. "$here/site_steps.sh"
trap finish EXIT

steps=0 failed=0 machines=
# step NAME FUNCTION: runs it in a shell that stops at the first command that fails; what it printed is shown if it did.
step() {
	local began=$SECONDS name
	steps=$((steps + 1))
	set +e # within an "if" the shell would not stop at a failing command
	(set -euo pipefail; "$2") >"$work/step.log" 2>&1
	local status=$?
	set -e
	if [ "$status" -eq 0 ]; then
		printf 'ok    %-94s %3d s\n' "$1" $((SECONDS - began))
		if [ -n "${INSTALL_TEST_VERBOSE:-}" ]; then sed 's/^/      /' "$work/step.log"; fi
	else
		failed=$((failed + 1))
		printf 'FAIL  %s\n' "$1"
		sed 's/^/      /' "$work/step.log"
		for name in $machines; do
			on "$name" journalctl --no-pager -n 15 -u 'bascule*' 2>/dev/null | sed "s/^/      $name: /" || true
		done
	fi
}

# part NAME MAKE STEPS MACHINE…: machines are made, their steps are taken, and they are ended. INSTALL_TEST_PARTS names the parts to take.
part() {
	local began=$SECONDS what=$1 make=$2 take=$3
	shift 3
	case " ${INSTALL_TEST_PARTS:-node site} " in *" $what "*) ;; *) return 0 ;; esac
	machines=$*
	"$make"
	printf '%s: made: %d s\n' "$what" $((SECONDS - began))
	"$take"
	end_machines
}

began=$SECONDS
build_packages
make_debian
printf 'packages and Debian made: %d s\n' $((SECONDS - began))
part node make_alone node_steps alone
part site make_site site_steps node1 node2 "$witness" "$other"
printf 'all: %d s\n' $((SECONDS - began))
echo "RESULT steps=$steps failed=$failed"
[ "$failed" -eq 0 ]
