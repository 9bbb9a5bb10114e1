# Machines: each is a Debian of its own, booted by systemd-nspawn in a network namespace of its own, and ended again. Sourced by run.sh.
#
# Of the machine NAME: $work/NAME is its root, an overlay of the one Debian that is made; $work/NAME.options is what systemd-nspawn is told, a
# line each; $work/NAME.pid has the PID of its systemd-nspawn, in a file, because steps run in shells of their own.
# shellcheck shell=bash disable=SC2154

debian_packages=systemd,systemd-sysv,dbus,iproute2,procps,openssh-server,corosync,corosync-qdevice,corosync-qnetd
not_everywhere="ssh corosync corosync-qdevice corosync-qnetd"

make_debian() {
	if [ -n "${INSTALL_TEST_ROOT:-}" ]; then
		base=$INSTALL_TEST_ROOT
		return
	fi
	base=$work/base
	mkdir "$work/debs"
	debootstrap --variant=minbase --cache-dir="$work/debs" --include="$debian_packages" bookworm "$base" >"$work/debootstrap.log" 2>&1 || {
		tail -20 "$work/debootstrap.log"
		return 1
	}
	cp "$work"/debs/corosync-qnetd_*.deb "$base/root/" # to be installed later where it is missed
}

# make_machine NAME HOSTNAME [OPTION…]: a machine that was never booted, with a network that reaches nobody. Of the programs that not every machine
# has, none runs in it.
make_machine() {
	local name=$1 host=$2 root=$work/$1 unit
	shift 2
	mkdir "$root" "$work/$name.changes" "$work/$name.overlay"
	mount -t overlay overlay -o "lowerdir=$base,upperdir=$work/$name.changes,workdir=$work/$name.overlay" "$root"
	printf '%s\n' "--hostname=$host" --bind="$shared:/shared" "$@" >"$work/$name.options"
	echo "$host" >"$root/etc/hostname"
	od -An -tx1 -N16 /dev/urandom | tr -d ' ' >"$root/etc/machine-id"
	rm -f "$root"/etc/ssh/ssh_host_*
	ssh-keygen -A -f "$root" >/dev/null
	for unit in $not_everywhere; do systemctl --root="$root" disable "$unit.service" 2>/dev/null; done
	ip netns add "$prefix-$name"
	ip -n "$prefix-$name" link set lo up
}

# power_on NAME boots a machine. systemd-nspawn ends when the machine reboots, too.
power_on() {
	local name=$1 options
	mapfile -t options <"$work/$name.options"
	(
		own_cgroup "$name"
		exec systemd-nspawn -q -D "$work/$name" --register=no --keep-unit --network-namespace-path="/run/netns/$prefix-$name" \
			--capability=CAP_IPC_LOCK --resolv-conf=off --timezone=off --console=pipe "${options[@]}" -b
	) >"$work/$name.console" 2>&1 </dev/null &
	echo $! >"$work/$name.pid"
	wait_for 60 "$name is up" is_up "$name"
}

# own_cgroup NAME: a machine is kept in the cgroup that it is started in, and takes it for its own alone.
own_cgroup() {
	local dir
	for dir in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
		[ -e "$dir/cgroup.procs" ] || continue
		mkdir -p "$dir/$prefix/$1"
		echo "$BASHPID" >"$dir/$prefix/$1/cgroup.procs"
	done
}

nspawn() { cat "$work/$1.pid" 2>/dev/null; }
is_off() { ! kill -0 "$(nspawn "$1")"; }
is_up() { on "$1" systemctl is-active --quiet multi-user.target; }

# leader NAME is the machine's first process.
leader() { pgrep -P "$(nspawn "$1")" | head -1 || true; }

# on NAME COMMAND… runs a command in the machine.
on() {
	local pid
	pid=$(leader "$1")
	[ -n "$pid" ] || return 1
	shift
	nsenter -t "$pid" -m -u -i -n -p -r -w -- /usr/bin/env -i PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

# cut_power NAME ends all of a machine at once.
cut_power() {
	local pid
	pid=$(leader "$1")
	if [ -n "$pid" ]; then kill -KILL "$pid" 2>/dev/null || true; fi
	wait_for 30 "$1 is off" is_off "$1"
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

# end_machines ends what was booted and takes away what was made for it: mounts, namespaces (their interfaces go with them), cgroups.
end_machines() {
	local file name dir
	for file in "$work"/*.pid; do
		[ -e "$file" ] || continue
		name=$(basename "$file" .pid)
		cut_power "$name" || true
		rm -f "$file"
	done
	for file in "$work"/*.options; do
		[ -e "$file" ] || continue
		name=$(basename "$file" .options)
		umount "$work/$name" || umount -l "$work/$name" || true
		ip netns delete "$prefix-$name" || true
		rm -f "$file"
	done
	ip netns delete "$prefix-switch" 2>/dev/null || true
	if mountpoint -q "$work/storage"; then umount "$work/storage"; fi
	for dir in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
		if [ -d "$dir/$prefix" ]; then find "$dir/$prefix" -depth -type d -exec rmdir {} + || true; fi
	done
}

finish() {
	local status=$?
	end_machines
	if [ -n "${INSTALL_TEST_KEEP:-}" ]; then
		echo "kept: $work"
	else
		rm -rf --one-file-system "$work"
	fi
	exit "$status"
}
