# The stand-in for Proxmox VE in a machine. Sourced by run.sh; standin/ says what it plays.
# shellcheck shell=bash disable=SC2154

boot_id_dropin=etc/systemd/system/basculed.service.d/boot-id.conf

# standin_unit ROOT NAME [LINE…]: a unit, enabled.
standin_unit() {
	local unit=$1/etc/systemd/system/$2.service wants=$1/etc/systemd/system/multi-user.target.wants name=$2
	shift 2
	mkdir -p "$wants"
	printf '%s\n' "$@" >"$unit"
	ln -sf "../$name.service" "$wants/"
}

# put_proxmox ROOT: the programs and units of a node that the daemon meets. ready says, as a shell command, when /etc/pve is there.
put_proxmox() {
	local root=$1 ready=$2 unit
	install -m 0755 "$work/standin" "$root/usr/local/sbin/standin"
	install -m 0755 "$work/standin" "$root/usr/bin/kvm"
	install -m 0755 /dev/stdin "$root/usr/bin/pveversion" <<<$'#!/bin/sh\necho pve-manager/0 stand-in'
	# pve-cluster mounts /etc/pve; what is in it outlives a boot, as a real one's does.
	install -m 0755 /dev/stdin "$root/usr/local/sbin/standin-ready" <<<$'#!/bin/sh\n'"$ready"
	for unit in api mux; do
		standin_unit "$root" "standin-$unit" '[Service]' "ExecStart=/usr/local/sbin/standin $unit" ExecStartPre=/usr/local/sbin/standin-ready
	done
	printf '%s\n' '[Service]' Type=oneshot RemainAfterExit=yes 'ExecStart=/bin/touch /run/pve-guests-started' >"$root/etc/systemd/system/pve-guests.service"
	# systemd-nspawn lays a boot id of the machine's own over the kernel's. The daemon's sandbox would look beneath it, the guard's does not.
	standin_unit "$root" standin-boot '[Unit]' 'Before=standin-api.service basculed.service bascule-guard.service' \
		'[Service]' Type=oneshot 'ExecStart=/bin/cp /proc/sys/kernel/random/boot_id /run/boot-id'
	mkdir -p "$root/etc/systemd/system/basculed.service.d" "$root/shared" "$root/etc/pve"
	printf '[Service]\nBindReadOnlyPaths=/run/boot-id:/proc/sys/kernel/random/boot_id\n' >"$root/$boot_id_dropin"
}

# proxmox_is_up NAME: the stand-ins of a node answer.
proxmox_is_up() { on "$1" test -S /run/watchdog-mux.sock; }

# make_alone makes and boots the machine of steps.sh: a node without a cluster, with two addresses that only it has.
make_alone() {
	make_machine alone node1
	put_proxmox "$work/alone" '[ -e /etc/pve/.members ] || /usr/local/sbin/standin prepare'
	ip -n "$prefix-alone" address add 10.77.0.1/32 dev lo
	ip -n "$prefix-alone" address add 10.77.0.2/32 dev lo
	power_on alone
	wait_for 20 "the stand-ins are up" proxmox_is_up alone
}
