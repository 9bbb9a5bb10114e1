# The steps of the site of two nodes and a witness, in the order in which they build on each other. Sourced by run.sh; site.sh has the machines.
# shellcheck shell=bash disable=SC2154

site_steps() {
	step "site: two nodes with corosync, a third machine with ssh and nothing else" site_up
	step "site: without a third vote hactl init refuses and writes nothing" init_refuses
	step "site: hactl init says how ssh to the witness is given" init_without_ssh
	step "site: hactl init says that the witness lacks the package; node1 is set up meanwhile" init_without_package
	step "site: hactl init installs the package there, the witness votes; Proxmox calls it by its address" init_without_host_key
	step "site: the doctor is red without corosync's third vote" doctor_is_red
	step "site: hactl init says that the witness lacks corosync-qnetd" init_without_qnetd
	step "site: pvecm is killed twice in the middle, hactl init goes on" init_goes_on
	step "site: hactl join on the second node: three voters, three votes of corosync" join_second
	step "site: the witness runs under its sandbox, healthy, the doctor has nothing red about votes" third_vote_is_there
	step "site: init and join once more do nothing" again_nothing
	step "site: the witness loses its power: it is said, the guest and every permit stay; it returns" witness_dies
	step "site: a node loses its power: the QDevice keeps /etc/pve, confirm-off, the guest runs on the other" node_dies
	step "site: upgrades, one after the other: node1, node2, witness" site_upgrade
	step "site: another witness in the place of the first" witness_replaced
	step "site: without a witness stop-check says what to do, and an upgrade waits" two_voters
	step "site: a node with a guest is not taken out" reset_refused
	step "site: hactl reset on node2, then on node1, the last" reset_nodes
	step "site: hactl reset on the witness" reset_witness
	step "site: purged: nothing is left that was not there before" nothing_left
}

site_up() {
	boot_site
	local name
	for name in node1 node2 "$witness" "$other"; do tree_of "$name" >"$work/$name.before"; done
	on "$witness" dpkg -P corosync-qnetd # it will be missed
	on node1 corosync-quorumtool -s || true
}

init_refuses() {
	both site_install
	find "$work/pve" | sort >"$work/pve.before"
	refused 'two nodes without a third vote cannot recover by themselves' on node1 hactl init --yes
	find "$work/pve" | sort | cmp - "$work/pve.before"
	if on node1 test -e /etc/bascule/basculed.yaml; then return 1; fi
}
site_install() { site_put "$1" 1.0.0; }

init_without_ssh() {
	refused "ssh-copy-id root@$witness" init "$witness"
	find "$work/pve" | sort | cmp - "$work/pve.before"
	trust "$witness"
}

init_without_package() {
	refused 'apt install' init "$witness"
	wait_for 20 "node1 is online" online_alone
}
online_alone() { site_status node1 | has '"state":"online"'; }

init_without_host_key() {
	refused "ssh root@$site_net.3 once" init "$witness" --witness-package "$(package 1.0.0)"
	on "$witness" systemctl is-active basculed-witness.service
	voters node1 | has '"node":"witness1"'
	known_as "$site_net.3" "$work/$witness" | on node1 tee -a /root/.ssh/known_hosts
}

doctor_is_red() {
	local said
	if said=$(on node1 hactl doctor --no-fencing 2>&1); then return 1; fi
	echo "$said"
	grep -q 'corosync-vote-missing' <<<"$said"
}

init_without_qnetd() {
	refused 'apt install corosync-qnetd' init "$witness"
	on "$witness" dpkg -i "$(on "$witness" sh -c 'ls /root/corosync-qnetd_*.deb')"
}

init_goes_on() {
	local at
	for at in certificates configured; do
		echo $at | on node1 tee /run/standin/pvecm-dies
		refused "killed at: $at" init "$witness"
	done
	on node1 rm /run/standin/pvecm-dies
	init "$witness"
	on node1 test ! -e /etc/pve/priv/lock/bascule-setup
}

join_second() {
	on node2 hactl join --yes --trust-softdog
	wait_for 30 "three voters answer" all_voters 3
	wait_for 30 "the guest is protected" site_protected
	both device_votes
}
site_protected() { site_status node1 | has '"vmid":100.*"state":"started"' && grep -qx 'onboot: 0' "$work"/pve/nodes/*/qemu-server/100.conf; }
doctor_misses_device() { wait_for 60 "the doctor on $1 misses the QDevice's vote" doctor_says "$1" 'CRITICAL +corosync-device-silent'; }
doctor_has_device() { wait_for 30 "the doctor on $1 has the QDevice's vote" doctor_says "$1" 'OK +corosync-device-silent'; }
doctor_says() { { on "$1" hactl doctor --no-fencing --severity ok "$1" || true; } | grep -E "^$2" >/dev/null; } # through the daemon, in its sandbox
device_votes() { wait_for 30 "corosync on $1 has the QDevice's vote" device_votes_on "$1"; }
device_votes_on() { on "$1" corosync-quorumtool -s | grep -A10 '^Membership' | grep -E '^ +0 +1 +Qdevice' >/dev/null && on "$1" corosync-quorumtool -s | has 'Total votes: *3'; }

third_vote_is_there() {
	wait_for 60 "the site is healthy" healthy node1
	on "$witness" systemctl show -p ActiveState,ProtectSystem,NoNewPrivileges,CapabilityBoundingSet,PrivateDevices basculed-witness.service | tee "$work/sandbox"
	grep -qx ActiveState=active "$work/sandbox"
	grep -qx ProtectSystem=strict "$work/sandbox"
	grep -qx CapabilityBoundingSet= "$work/sandbox"
	on node1 hactl status
	on "$witness" hactl status
	local status=0
	on node1 hactl doctor --no-fencing --severity ok >"$work/doctor" || status=$?
	cat "$work/doctor"
	[ "$status" -lt 2 ] # nothing critical
	if grep -E '^(WARNING|CRITICAL) +(corosync|proxmox|store)' "$work/doctor"; then return 1; fi
}

again_nothing() {
	local said
	tree_of "$witness" >"$work/again.before"
	said=$(init "$witness")
	echo "$said"
	if grep -q '^done' <<<"$said"; then return 1; fi
	said=$(on node2 hactl join --yes --trust-softdog)
	echo "$said"
	if grep -q '^done' <<<"$said"; then return 1; fi
	tree_of "$witness" | diff "$work/again.before" - | grep '^[<>].*/etc/' && return 1
	wait_for 30 "the site is healthy" healthy node1
}

guest_of() { on "$1" tail -1 /var/log/guest-100.log; }

# unmoved NODE PID: the guest runs there, one process without a gap.
unmoved() {
	on "$1" awk -v want="$2" '
		$1 != want { next }
		at && $2 - at > 1000 { print "a gap of " $2 - at " ms"; bad = 1 }
		{ at = $2 }
		END { exit bad || !at }' /var/log/guest-100.log
	[ "$(guest_of "$1" | cut -d' ' -f1)" = "$2" ]
	[ $(($(date +%s%3N) - $(guest_of "$1" | cut -d' ' -f2))) -lt 1500 ]
}
events_of() { on node1 hactl events -n 200 -o json; }

witness_dies() {
	local pid before
	wait_for 30 "the guest runs" on node1 test -s /var/log/guest-100.log
	pid=$(guest_of node1 | cut -d' ' -f1)
	before=$(both lease_of)
	cut_power "$witness"
	wait_for 60 "it is said" witness_is_missed
	on node1 hactl status || true
	sleep 10 # longer than a permit lasts
	unmoved node1 "$pid"
	[ "$before" = "$(both lease_of)" ]
	both permit_valid
	both sees_both
	both doctor_misses_device
	power_on "$witness"
	wait_for 60 "the site is healthy" healthy node1
	wait_for 60 "the QDevice votes again" device_votes_on node1
	both doctor_has_device
	unmoved node1 "$pid"
	[ "$before" = "$(both lease_of)" ]
}
witness_is_missed() { site_text node1 | tr -s ' \n' ' ' | has "QDevice runs there"; }
lease_of() { on "$1" grep -o '"lease[^,]*' /run/bascule/lease.json; }
permit_valid() { site_status "$1" | has '"permit":{"valid":true'; }

node_dies() {
	cut_power node1
	wait_for 60 "node2 keeps corosync's quorum" quorate_alone
	wait_for 60 "node1 waits for its proof" node1_is_fenced
	on node2 hactl confirm-off node1 --yes
	wait_for 60 "the guest runs on node2" on node2 test -s /var/log/guest-100.log
	[ -e "$work/pve/nodes/node2/qemu-server/100.conf" ]
	on node2 hactl status || true
	power_on node1
	wait_for 90 "the site is healthy" healthy node2
	wait_for 30 "both nodes are in corosync" sees_both node1
	unmoved node2 "$(guest_of node2 | cut -d' ' -f1)"
}
quorate_alone() { on node2 grep -q '"quorate":1.*"node1":{"id":1,"online":0' /etc/pve/.members; }
node1_is_fenced() { site_status node2 | has '"name":"node1","state":"fencing"'; }

site_upgrade() {
	local name pid
	pid=$(guest_of node2 | cut -d' ' -f1)
	for name in node1 node2 "$witness"; do
		wait_for 60 "the site is healthy, as $name sees it" healthy "$name"
		wait_for 30 "$name may be stopped" on "$name" basculed stop-check
		site_put "$name" 1.1.0 2>&1 | tee "$work/upgrade"
		grep -q 'runs in the new version' "$work/upgrade"
		on "$name" hactl version | has '^basculed v1.1.0 on '
	done
	wait_for 60 "the site is healthy" healthy node1
	unmoved node2 "$pid"
}

# witness_replaced: the new one first, so that at no time a voter less is one too many.
witness_replaced() {
	local pid
	pid=$(guest_of node2 | cut -d' ' -f1)
	trust "$other"
	known_as "$site_net.4" "$work/$other" | on node1 tee -a /root/.ssh/known_hosts
	init "$other" --witness-package "$(package 1.1.0)"
	on node2 hactl join --update --yes
	wait_for 30 "four voters answer" all_voters 4
	on node1 pvecm qdevice remove
	init "$other"
	both device_votes
	grep -q "host: $site_net.4" "$work/pve/corosync.conf"
	wait_for 60 "the site is healthy" healthy node1
	# The old one leaves in order, and its site forgets it.
	refused "hactl reset on it" on node1 hactl remove "$witness" --yes
	on "$witness" hactl reset --yes
	wait_for 30 "it is silent" on node1 hactl remove "$witness" --yes
	on node2 hactl join --update --yes
	if grep "$witness" "$work/pve/bascule/basculed.yaml" "$work"/node*/etc/bascule/basculed.yaml; then return 1; fi
	wait_for 60 "the site is healthy" healthy node1
	wait_for 30 "three voters answer" all_voters 3
	unmoved node2 "$pid"
}

# two_voters: the witness is gone for good.
two_voters() {
	local daemon
	cut_power "$other"
	wait_for 30 "it is silent" on node1 hactl remove "$other" --yes
	on node2 hactl join --update --yes
	wait_for 30 "two voters" all_voters 2
	refused 'hactl init --witness' on node1 basculed stop-check
	daemon=$(on node2 systemctl show --property=MainPID --value basculed.service)
	site_put node2 1.2.0 2>&1 | tee "$work/upgrade"
	grep -q 'the old basculed runs on' "$work/upgrade"
	[ "$daemon" = "$(on node2 systemctl show --property=MainPID --value basculed.service)" ]
	# As it says: a third vote again, then the upgrade.
	power_on "$other"
	init "$other"
	on node2 hactl join --update --yes
	wait_for 30 "three voters answer" all_voters 3
	wait_for 60 "the site is healthy" healthy node1
	wait_for 30 "node2 may be stopped" on node2 basculed stop-check
	on node2 systemctl restart basculed.service
	on node2 hactl version | has '^basculed v1.2.0 on '
	wait_for 60 "the site is healthy" healthy node1
}
all_voters() { site_text node1 | has "all $1 voters answer"; }

reset_refused() {
	refused 'hactl drain node2 --wait first' on node2 hactl reset --yes
	on node2 systemctl is-active basculed.service
	on node2 test -e /etc/bascule/basculed.yaml
}

reset_nodes() {
	sed -i 's/^tags: ha$/tags: none/' "$work/pve/nodes/node2/qemu-server/100.conf"
	wait_for 30 "the guest is not protected any more" unprotected
	on node2 hactl reset --yes
	on node1 hactl status || true
	if site_status node1 | has '"name":"node2"'; then on node1 hactl join --update --yes; fi
	on node1 hactl reset --yes
	on node1 pvecm qdevice remove
}
unprotected() { grep -qx 'onboot: 1' "$work/pve/nodes/node2/qemu-server/100.conf"; }

reset_witness() {
	refused 'add --force' on "$other" hactl reset --yes
	on "$other" hactl reset --yes --force
	on "$other" hactl reset --yes # nothing is left to do
	if on "$other" ls -d /etc/bascule /etc/pve; then return 1; fi
}

# may_differ are files that are not Bascule's: logs, dpkg's and systemd's own records, keys that ssh was
# given, what the stand-ins keep, corosync's configuration with its next version, and its certificates on the witness, which pvecm leaves there.
may_differ='^[<>] (/var/log|/var/lib/dpkg|/var/cache|/var/lib/systemd|/var/tmp|/root/\.ssh|/etc/corosync|/var/lib/corosync|.*/standin)'

# nothing_left compares every file of the four machines, and of the tree that the nodes share, with what was there before the package came.
nothing_left() {
	local name
	for name in node1 node2 "$witness" "$other"; do
		on "$name" dpkg -P bascule
		tree_of "$name" >"$work/$name.after"
		diff "$work/$name.before" "$work/$name.after" | grep '^[<>]' | grep -Ev "$may_differ" | sed "s/^/$name: /" >>"$work/left" || true
	done
	find "$work/pve" | sort | diff "$work/pve.before" - | grep '^[<>]' | grep -Ev "$may_differ|^> $work/pve/nodes/node2/qemu-server/100.conf|^< $work/pve/nodes/node1/qemu-server/100.conf" >>"$work/left" || true
	find "$work/storage" # its .bascule is every node's
	cat "$work/left"
	[ ! -s "$work/left" ]
	if grep -i bascule "$work/pve/priv/standin.json"; then return 1; fi # users, roles, tokens, firewall
}
