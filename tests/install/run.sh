#!/usr/bin/env bash
# Installs, upgrades, breaks, removes and purges the package in a Debian 12 that is made and booted for it (debootstrap, systemd-nspawn), with
# a stand-in for what of Proxmox VE the daemon speaks to (standin/) and a guest that must live through all of it. Needs root; installs
# debootstrap and systemd-container where they are missing; everything else lies in one temporary directory.
#
# steps.sh has the steps in their order, machine.sh the machine. Last line: RESULT steps=… failed=…; the exit status is 1 if one failed.
# INSTALL_TEST_ROOT=DIR  take this Debian (a copy of it) instead of making one; INSTALL_TEST_KEEP=1  leave the temporary directory.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."

if [ "$(id -u)" -ne 0 ]; then
	echo "install-test: SKIPPED: it boots a machine, which takes root: sudo make install-test"
	exit 0
fi

packages=(debootstrap systemd-container dbus)
missing=()
for p in "${packages[@]}"; do
	dpkg -s "$p" >/dev/null 2>&1 || missing+=("$p")
done
if [ "${#missing[@]}" -gt 0 ]; then
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null
fi

work=$(mktemp -d -t bascule-install.XXXXXX)
root=$work/root shared=$work/shared netns=bascule-install-$$
mkdir "$shared"
# shellcheck source=tests/install/machine.sh
. "$here/machine.sh"
# shellcheck source=tests/install/packages.sh
. "$here/packages.sh"
# shellcheck source=tests/install/steps.sh
. "$here/steps.sh"
trap finish EXIT

steps=0 failed=0
# step NAME FUNCTION: runs it in a shell that stops at the first command that fails; what it printed is shown if it did.
step() {
	local began=$SECONDS
	steps=$((steps + 1))
	set +e # within an "if" the shell would not stop at a failing command
	(set -euo pipefail; "$2") >"$work/step.log" 2>&1
	local status=$?
	set -e
	if [ "$status" -eq 0 ]; then
		printf 'ok    %-74s %3d s\n' "$1" $((SECONDS - began))
	else
		failed=$((failed + 1))
		printf 'FAIL  %s\n' "$1"
		sed 's/^/      /' "$work/step.log"
		in_node journalctl --no-pager -n 15 -u 'bascule*' 2>/dev/null | sed 's/^/      journal: /' || true
	fi
	if [ -n "${INSTALL_TEST_VERBOSE:-}" ]; then sed 's/^/      /' "$work/step.log"; fi
}

began=$SECONDS
build_packages
make_root
boot_machine
printf 'built, made and booted: %d s\n' $((SECONDS - began))
all_steps
echo "RESULT steps=$steps failed=$failed"
[ "$failed" -eq 0 ]
