# A site of two nodes and a witness, and another witness for its place: four machines on one switch, the nodes with corosync, the witnesses with
# corosync-qnetd and nothing of Proxmox's. Sourced by run.sh; site_steps.sh says what happens to it.
# shellcheck shell=bash disable=SC2154

site_net=10.77.1
witness=witness1 other=witness2

make_site() {
	local node
	ip netns add "$prefix-switch"
	ip -n "$prefix-switch" link add br0 type bridge
	ip -n "$prefix-switch" link set br0 up
	mkdir "$work/pve" "$work/storage"
	mount -t tmpfs -o size=16m nas:/vm "$work/storage" # by this name the nodes see that it is one and the same
	"$work/standin" site "$work/pve"
	for node in node1 node2; do
		make_machine "$node" "$node" --bind="$work/pve:/etc/pve" --bind="$work/storage:/mnt"
		put_node "$node"
	done
	for node in "$witness" "$other"; do
		make_machine "$node" "$node"
		without_corosync "$work/$node"
		systemctl --root="$work/$node" enable ssh.service corosync-qnetd.service 2>/dev/null
	done
	plug node1 1
	plug node2 2
	plug "$witness" 3
	plug "$other" 4
	for node in node1 node2 "$witness" "$other"; do
		printf '127.0.0.1 localhost\n%s.1 node1\n%s.2 node2\n%s.3 witness1\n%s.4 witness2\n' $site_net $site_net $site_net $site_net >"$work/$node/etc/hosts"
	done
	trust_nodes
}

# without_corosync ROOT purges it from a machine that does not run; the packages' scripts may stop nothing.
without_corosync() {
	printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
	chmod +x "$1/usr/sbin/policy-rc.d"
	chroot "$1" dpkg -P corosync-qdevice corosync >"$work/step.log" 2>&1 || {
		cat "$work/step.log"
		return 1
	}
	rm "$1/usr/sbin/policy-rc.d"
}

# put_node NAME: what Proxmox VE would have installed.
put_node() {
	local root=$work/$1
	put_proxmox "$root" 'until [ -e /etc/pve/.members ]; do sleep 0.1; done'
	install -m 0755 "$work/standin" "$root/usr/bin/pvesh"
	install -m 0755 "$here/standin/pvecm" "$root/usr/bin/pvecm"
	standin_unit "$root" standin-pmxcfs '[Service]' 'ExecStart=/usr/local/sbin/standin pmxcfs' Restart=always
	mkdir -p "$root/etc/corosync"
	cp "$work/pve/corosync.conf" "$root/etc/corosync/corosync.conf"
	systemctl --root="$root" enable corosync.service ssh.service 2>/dev/null
	ssh-keygen -q -t rsa -b 2048 -N '' -C "root@$1" -f "$work/$1.key"
	install -D -m 0600 "$work/$1.key" "$root/root/.ssh/id_rsa"
	install -m 0644 "$work/$1.key.pub" "$root/root/.ssh/id_rsa.pub"
}

# trust_nodes: root of each node reaches the other by ssh, as in every Proxmox cluster. Nobody reaches a witness yet.
trust_nodes() {
	local node n
	for node in node1 node2; do
		for n in 1 2; do
			cat "$work/node$n.key.pub" >>"$work/$node/root/.ssh/authorized_keys"
			known_as "node$n,$site_net.$n" "$work/node$n" >>"$work/$node/root/.ssh/known_hosts"
		done
	done
}

# trust NAME does what ssh-copy-id would do from node1, with a password that the machine has not.
trust() {
	on "$1" install -d -m 0700 /root/.ssh
	on "$1" tee /root/.ssh/authorized_keys <"$work/node1.key.pub"
	known_as "$1" "$work/$1" | on node1 tee -a /root/.ssh/known_hosts
}

# known_as NAMES ROOT: the line of known_hosts for a machine.
known_as() { echo "$1 $(cut -d' ' -f1,2 "$2/etc/ssh/ssh_host_ed25519_key.pub")"; }

# plug NAME N puts a machine on the switch, as .N.
plug() {
	ip link add eth0 netns "$prefix-$1" type veth peer name "$1" netns "$prefix-switch"
	ip -n "$prefix-switch" link set "$1" master br0 up
	ip -n "$prefix-$1" address add "$site_net.$2/24" dev eth0
	ip -n "$prefix-$1" link set eth0 up
}

boot_site() {
	local name
	for name in node1 node2 "$witness" "$other"; do power_on "$name"; done
	for name in node1 node2; do
		wait_for 60 "$name: corosync has both nodes" sees_both "$name"
		wait_for 30 "$name: the stand-ins are up" proxmox_is_up "$name"
	done
	wait_for 30 "the witness takes ssh" on "$witness" systemctl is-active ssh.service
}

# sees_both NAME: as corosync on that node has it.
sees_both() { on "$1" grep -q '"quorate":1.*"node1":{"id":1,"online":1.*"node2":{"id":2,"online":1' /etc/pve/.members; }

# tree_of NAME: every file of a machine with type, mode, owner, and size or target, a line each, and what is in each file below /etc.
tree_of() {
	on "$1" find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /shared \) -prune -o \
		-type f -printf '%p f %m %u:%g %s\n' -o -printf '%p %y %m %u:%g %l\n' | sort
	on "$1" find /etc -xdev -type f -exec sha256sum {} + | awk '{ print $2 " holds " $1 }' | sort
}

# What the steps say and ask.
both() { for n in node1 node2; do "$@" "$n"; done; }
site_put() { on "$1" dpkg -i "$(package "$2")"; }
site_status() { { on "$1" hactl status -o json || true; } | tr -d ' \n'; } # its exit status tells of problems
site_text() { on "$1" hactl status 2>&1 || true; }
init() { on node1 hactl init --yes --trust-softdog --witness "$@" 2>&1; }
healthy() { on "$1" hactl status; }
voters() { on "$1" hactl etcd members -o json | tr -d ' \n'; }

# refused TEXT COMMAND…: it fails, says this, and what it said stays in $said.
refused() {
	local text=$1
	shift
	if said=$("$@" 2>&1); then
		echo "$said"
		return 1
	fi
	echo "$said"
	tr -s ' \n' ' ' <<<"$said" | grep -qF -- "$text" # it is wrapped
}
