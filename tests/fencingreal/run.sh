#!/usr/bin/env bash
# Runs every fencing method against counterparts that nobody here wrote: ipmi_sim, ClusterLabs' agents and sbd, Ceph, tgt, a watchdog
# in a host whose reset is real. Installs what is missing (as root on Debian). The tests start their own processes on loopback and end them.
# Last line: RESULT real=… passed=… skipped=…; the exit status is 1 if one failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

packages=(openipmi ipmitool fence-agents sbd ceph-mon ceph-osd ceph-common tgt libiscsi-bin sg3-utils)
missing=()
for p in "${packages[@]}"; do
	dpkg -s "$p" >/dev/null 2>&1 || missing+=("$p")
done
if [ "${#missing[@]}" -gt 0 ]; then
	if [ "$(id -u)" -ne 0 ]; then
		echo "fencing-real: missing Debian packages: ${missing[*]}; as root: apt-get install ${missing[*]}" >&2
		exit 1
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
go test -count=1 -p 1 -timeout 20m -tags fencingreal -v -run '^TestReal' ./fencing/... ./tests/lab/watchdogreal >"$log" 2>&1 || status=1
grep -E '^(--- (FAIL|SKIP)|    .*(_test\.go:[0-9]+:)|FAIL|panic:)' "$log" || true
grep -E '^--- PASS' "$log" || true
passed=$(grep -c '^--- PASS' "$log" || true)
skipped=$(grep -c '^--- SKIP' "$log" || true)
failed=$(grep -c '^--- FAIL' "$log" || true)
echo "RESULT real=$((passed + skipped + failed)) passed=$passed skipped=$skipped"
exit $status
