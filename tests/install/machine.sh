# The machine: made by debootstrap, booted by systemd-nspawn in a network of its own, and ended again. Sourced by run.sh.
# shellcheck shell=bash disable=SC2154

boot_id_dropin=etc/systemd/system/basculed.service.d/boot-id.conf

make_root() {
	if [ -n "${INSTALL_TEST_ROOT:-}" ]; then
		cp -a "$INSTALL_TEST_ROOT" "$root"
	else
		debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,iproute2,procps bookworm "$root" >"$work/debootstrap.log" 2>&1 || {
			tail -20 "$work/debootstrap.log"
			return 1
		}
	fi
	install -m 0755 "$work/standin" "$root/usr/local/sbin/standin"
	install -m 0755 "$work/standin" "$root/usr/bin/kvm"
	install -m 0755 /dev/stdin "$root/usr/bin/pveversion" <<<$'#!/bin/sh\necho pve-manager/0 stand-in'
	local unit
	for unit in api mux; do
		cat >"$root/etc/systemd/system/standin-$unit.service" <<-UNIT
			[Service]
			ExecStart=/usr/local/sbin/standin $unit
			ExecStartPre=/usr/local/sbin/standin-ready
			[Install]
			WantedBy=multi-user.target
		UNIT
	done
	# pve-cluster mounts /etc/pve; what is in it outlives a boot, as a real one's does.
	install -m 0755 /dev/stdin "$root/usr/local/sbin/standin-ready" <<<$'#!/bin/sh\n[ -e /etc/pve/.members ] || /usr/local/sbin/standin prepare'
	cat >"$root/etc/systemd/system/pve-guests.service" <<-UNIT
		[Service]
		Type=oneshot
		RemainAfterExit=yes
		ExecStart=/bin/touch /run/pve-guests-started
	UNIT
	# systemd-nspawn lays a boot id of the machine's own over the kernel's. The daemon's sandbox would look beneath it, the guard's does not.
	cat >"$root/etc/systemd/system/standin-boot.service" <<-UNIT
		[Unit]
		Before=standin-api.service basculed.service bascule-guard.service
		[Service]
		Type=oneshot
		ExecStart=/bin/cp /proc/sys/kernel/random/boot_id /run/boot-id
	UNIT
	mkdir -p "$root/etc/systemd/system/basculed.service.d"
	printf '[Service]\nBindReadOnlyPaths=/run/boot-id:/proc/sys/kernel/random/boot_id\n' >"$root/$boot_id_dropin"
	mkdir -p "$root/etc/systemd/system/multi-user.target.wants" "$root/shared" "$root/etc/pve"
	ln -s ../standin-boot.service ../standin-api.service ../standin-mux.service "$root/etc/systemd/system/multi-user.target.wants/"
}

boot_machine() {
	ip netns add "$netns"
	ip -n "$netns" link set lo up
	ip -n "$netns" address add 10.77.0.1/32 dev lo
	ip -n "$netns" address add 10.77.0.2/32 dev lo
	power_on
}

# power_on boots the machine. systemd-nspawn ends when the machine reboots, too; its PID is in a file, because steps run in shells of their own.
power_on() {
	systemd-nspawn -q -D "$root" --register=no --keep-unit --network-namespace-path="/run/netns/$netns" --hostname=node1 \
		--capability=CAP_IPC_LOCK --bind="$shared:/shared" --console=pipe -b >"$work/console.log" 2>&1 </dev/null &
	echo $! >"$work/nspawn.pid"
	wait_for 60 "the machine is up" machine_is_up
	wait_for 20 "the stand-ins are up" in_node test -S /run/watchdog-mux.sock
}

nspawn() { cat "$work/nspawn.pid" 2>/dev/null; }
is_off() { ! kill -0 "$(nspawn)"; }

machine_is_up() { in_node systemctl is-active --quiet multi-user.target; }

# leader is the machine's first process.
leader() { pgrep -P "$(nspawn)" | head -1 || true; }

# in_node runs a command in the machine.
in_node() {
	local pid
	pid=$(leader)
	[ -n "$pid" ] || return 1
	nsenter -t "$pid" -m -u -i -n -p -r -w -- /usr/bin/env -i PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

# wait_for SECONDS WHAT COMMAND…
wait_for() {
	local end=$((SECONDS + $1)) what=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		if [ "$SECONDS" -ge "$end" ]; then
			echo "not in time: $what"
			return 1
		fi
		sleep 0.2
	done
}

# finish ends what this test started, and nothing else.
finish() {
	local status=$? pid
	if [ -e "$work/nspawn.pid" ]; then
		pid=$(leader)
		if [ -n "$pid" ]; then kill -KILL "$pid" 2>/dev/null || true; fi
		wait_for 20 "the machine is off" is_off || true
	fi
	ip netns delete "$netns" 2>/dev/null || true
	if [ -n "${INSTALL_TEST_KEEP:-}" ]; then
		echo "kept: $work"
	else
		rm -rf --one-file-system "$work"
	fi
	exit "$status"
}
