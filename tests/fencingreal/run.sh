#!/usr/bin/env bash
# Usage: run.sh [fencing|storage]
# fencing (the default) runs every fencing method against counterparts that nobody here wrote: ipmi_sim, ClusterLabs' agents and sbd, Ceph, tgt, a
# watchdog in a host whose reset is real. storage runs what is said and done about storages against real ones: Ceph, LVM on iSCSI by tgt
# through multipath, file systems on loop devices. Installs what is missing (as root on Debian). The tests start their own processes on
# loopback and end them. Last line: RESULT real=… passed=… skipped=…; the exit status is 1 if one failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

what=${1:-fencing}
packages=(ceph-mon ceph-osd ceph-common tgt qemu-system-x86 busybox-static open-iscsi multipath-tools)
case "$what" in
fencing) packages+=(openipmi ipmitool fence-agents sbd libiscsi-bin sg3-utils) ;;
storage) packages+=(lvm2 dmsetup e2fsprogs) ;;
*)
	echo "usage: run.sh [fencing|storage]" >&2
	exit 64
	;;
esac
missing=()
for p in "${packages[@]}"; do
	dpkg -s "$p" >/dev/null 2>&1 || missing+=("$p")
done
if [ "${#missing[@]}" -gt 0 ]; then
	if [ "$(id -u)" -ne 0 ]; then
		echo "$what-real: missing Debian packages: ${missing[*]}; as root: apt-get install ${missing[*]}" >&2
		exit 1
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null
fi

log=$(mktemp)
unpacked=$(mktemp -d)
trap 'rm -rf "$log" "$unpacked"' EXIT

# Reservations by the kernel's own SCSI layer need a kernel of their own, in a virtual machine: Debian's, unpacked, not installed.
kernel() {
	local name
	name=$(apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -1)
	[ -n "$name" ] && (cd "$unpacked" && apt-get download -qq "$name") && dpkg -x "$unpacked"/*.deb "$unpacked/root"
}
if [ -z "${BASCULE_TEST_KERNEL:-}" ] && ! compgen -G "/lib/modules/*/kernel" >/dev/null; then
	if kernel >/dev/null 2>&1; then
		export BASCULE_TEST_KERNEL="$unpacked/root"
	else
		echo "$what-real: Debian's kernel cannot be had: the tests in a virtual machine will be skipped" >&2
	fi
fi
status=0
real() { go test -count=1 -p 1 -timeout 20m -tags fencingreal -v "$@" >>"$log" 2>&1 || status=1; }
if [ "$what" = fencing ]; then
	real -run '^TestReal' ./fencing/... ./tests/lab/watchdogreal
else
	real -run '^TestReal' ./tests/lab/storagereal
	real -run '^TestReal(Ceph|Leftovers)' ./fencing/cephblocklist
fi
grep -E '^(--- (FAIL|SKIP)|    .*(_test\.go:[0-9]+:)|FAIL|panic:)' "$log" || true
grep -E '^--- PASS' "$log" || true
passed=$(grep -c '^--- PASS' "$log" || true)
skipped=$(grep -c '^--- SKIP' "$log" || true)
failed=$(grep -c '^--- FAIL' "$log" || true)
echo "RESULT real=$((passed + skipped + failed)) passed=$passed skipped=$skipped"
exit $status
