# The steps of one node that is alone, in the order in which they build on each other. Sourced by run.sh; machine.sh says what on and wait_for do.
# shellcheck shell=bash disable=SC2154

node_steps() {
	step "install: units enabled, nothing runs without a configuration" install_unconfigured
	step "what is installed: man pages, completions, no conffile, /etc/bascule closed" look_at_files
	step "systemd-analyze verify and security, inside" analyze
	step "a boot check that fails closed keeps Proxmox from starting guests" boot_check_fails_closed
	step "configured and started: guard and daemon up, the guest protected, the watchdog armed" start_configured
	step "Proxmox's own unit starts, now that the guest is Bascule's" boot_check_passes
	step "a crash: the lease is taken up again, the guest runs on" crash
	step "the guard in charge says that it may not be stopped" guard_in_charge
	step "upgrade: new daemon, new guard in order, watchdog never lost, the guest runs on" upgrade
	step "a configuration that the new version refuses: said loudly, the old one runs on" refused_configuration
	step "mixed versions: the new hactl with the old daemon" mixed_hactl
	step "the configuration corrected: dpkg --configure finishes the upgrade" corrected
	step "a broken new program: said loudly, the old one runs on, the guest runs on" broken_program
	step "a good package after the broken one" after_broken
	step "a daemon that is well configured and does not come up: the guest runs on, unprotected" dying_daemon
	step "a good package after that one" after_dying
	step "mixed versions: a new daemon with the old guard, and status says so" mixed_guard
	step "the machine boots: the units come by themselves, the guest is started by the agent" reboot
	step "removal without quorum is refused, and everything is as it was" remove_refused
	step "removal: left in order, the guest runs on, onboot is back, nothing is fail-closed" remove
	step "installed again: protected again" reinstall
	step "purge: onboot is back, nothing of Bascule is left" purge
	step "a machine without Proxmox becomes a witness" witness
	step "upgrade while the store is away: not now, and it is said why; the old one runs on" store_away
}

# has reads to the end, so that whoever writes is not cut off.
has() { grep -e "$1" >/dev/null; }
in_node() { on alone "$@"; }
put() { in_node dpkg -i "$(package "$1")"; }
version_running() { in_node hactl version | has "^basculed v$1 on "; }
status() { in_node hactl status -o json | tr -d ' \n'; }
guard_version() { status | grep -o '"guard":{[^}]*}' | has "\"version\":\"v$1\""; }
onboot() { in_node grep -qx "onboot: $1" /etc/pve/nodes/node1/qemu-server/100.conf; }
pid_of() { in_node systemctl show --property=MainPID --value "$1"; }
active() { in_node systemctl is-active --quiet "$1"; }
mux() { in_node cat /var/log/watchdog-mux.log; }
armed() { status | grep -o '"guard":{[^}]*}' | has '"armed":true'; }
watchdog_never_lost() { if mux | has LOST; then mux; return 1; fi; }
protected() { status | has '"state":"started"' && onboot 0; }

# guest_unbroken: one process since its start, which was never held up for longer than a second.
guest_unbroken() {
	in_node test -d "/proc/$(in_node cat /run/qemu-server/100.pid)"
	in_node awk '
		NR > 1 && $1 != pid { print "another process in line " NR; bad = 1 }
		NR > 1 && $2 - at > 1000 { print "a gap of " $2 - at " ms in line " NR; bad = 1 }
		{ pid = $1; at = $2 }
		END { print NR " lines, one process: " pid; exit bad || NR < 2 }' /var/log/guest-100.log
	local now last
	now=$(date +%s%3N) last=$(in_node tail -1 /var/log/guest-100.log | cut -d' ' -f2)
	[ $((now - last)) -lt 1000 ]
}

install_unconfigured() {
	put 1.0.0
	in_node systemctl is-enabled basculed.service bascule-guard.service
	if in_node systemctl is-enabled basculed-witness.service; then return 1; fi
	if active basculed.service || active bascule-guard.service; then return 1; fi
	in_node systemctl start bascule-guard.service basculed.service # conditions are not met: no error, and nothing runs
	if active basculed.service || active bascule-guard.service; then return 1; fi
}

look_at_files() {
	[ "$(in_node stat -c %a /etc/bascule)" = 700 ]
	[ -z "$(in_node dpkg-query -W -f '${Conffiles}' bascule)" ]
	in_node test -s /usr/share/man/man1/hactl-status.1.gz
	in_node test -s /usr/share/man/man8/basculed-guard.8.gz
	in_node bash -n /usr/share/bash-completion/completions/hactl
	in_node test -s /usr/share/zsh/vendor-completions/_hactl
	in_node test -s /usr/share/fish/vendor_completions.d/hactl.fish
	in_node test -s /usr/share/doc/bascule/examples/basculed.sample.yaml
	in_node dpkg --verify bascule
}

analyze() {
	local unit
	for unit in basculed.service bascule-guard.service basculed-witness.service pve-guests.service; do
		in_node systemd-analyze verify --man=no "$unit"
	done
	in_node systemd-analyze security --no-pager --offline=true --threshold=35 basculed.service | tail -1
	in_node systemd-analyze security --no-pager --offline=true --threshold=55 bascule-guard.service | tail -1
	in_node systemd-analyze security --no-pager --offline=true --threshold=25 basculed-witness.service | tail -1
}

configure() {
	in_node cp -a /root/config/. /etc/bascule/
	in_node chmod 700 /etc/bascule
	in_node basculed check-config
}

boot_check_fails_closed() {
	in_node systemctl start pve-guests.service # without a configuration nothing is protected
	in_node systemctl stop pve-guests.service
	in_node rm /run/pve-guests-started
	configure
	onboot 1
	if in_node systemctl start pve-guests.service; then return 1; fi
	if in_node test -e /run/pve-guests-started; then return 1; fi
	in_node systemctl reset-failed pve-guests.service
}

start_configured() {
	in_node systemd-run --scope --quiet --slice=qemu.slice --unit=100 /usr/bin/kvm -id 100 </dev/null >/dev/null 2>&1 &
	in_node systemctl start bascule-guard.service basculed.service
	version_running 1.0.0
	wait_for 30 "the guest is protected" protected
	wait_for 20 "the watchdog is armed" armed
	in_node grep -q '"guest":100' /var/lib/bascule/onboot.json
	guest_unbroken
}

boot_check_passes() {
	in_node systemctl start pve-guests.service
	in_node test -e /run/pve-guests-started
}

lease() { in_node cat /run/bascule/lease.json; }

crash() {
	local before after
	before=$(lease)
	in_node systemctl kill --signal=KILL basculed.service
	wait_for 15 "it is back" version_running 1.0.0
	wait_for 15 "the guest is protected" protected
	after=$(lease)
	[ "$before" = "$after" ]
	watchdog_never_lost
	guest_unbroken
}

guard_in_charge() {
	in_node basculed stop-check
	if in_node basculed stop-check --guard; then return 1; fi
}

upgrade() {
	local daemon guard
	daemon=$(pid_of basculed.service) guard=$(pid_of bascule-guard.service)
	put 1.1.0
	version_running 1.1.0
	[ "$daemon" != "$(pid_of basculed.service)" ]
	[ "$guard" != "$(pid_of bascule-guard.service)" ]
	wait_for 30 "the guest is protected" protected
	wait_for 20 "the watchdog is armed" armed
	guard_version 1.1.0
	[ "$(mux | tail -2 | paste -sd,)" = "took leave,armed" ]
	watchdog_never_lost
	guest_unbroken
}

refused_configuration() {
	local daemon guard said
	daemon=$(pid_of basculed.service) guard=$(pid_of bascule-guard.service)
	in_node sh -c 'echo "no_such_setting: 1" >>/etc/bascule/basculed.yaml'
	if said=$(put 1.2.0 2>&1); then return 1; fi
	echo "$said"
	grep -q 'THE NEW VERSION IS NOT IN USE' <<<"$said"
	grep -q 'no_such_setting' <<<"$said"
	[ "$daemon" = "$(pid_of basculed.service)" ]
	[ "$guard" = "$(pid_of bascule-guard.service)" ]
	guest_unbroken
}

mixed_hactl() {
	in_node hactl version | has '^hactl    v1.2.0$'
	version_running 1.1.0
	protected
}

corrected() {
	in_node sed -i '/^no_such_setting/d' /etc/bascule/basculed.yaml
	in_node dpkg --configure bascule
	version_running 1.2.0
	wait_for 30 "the guest is protected" protected
	wait_for 20 "the watchdog is armed" armed
	watchdog_never_lost
	guest_unbroken
}

broken_program() {
	local daemon said
	daemon=$(pid_of basculed.service)
	if said=$(put 1.3.0 2>&1); then return 1; fi
	echo "$said"
	grep -q 'THE NEW VERSION IS NOT IN USE' <<<"$said"
	[ "$daemon" = "$(pid_of basculed.service)" ]
	version_running 1.2.0
	protected
	watchdog_never_lost
	guest_unbroken
}

after_broken() {
	in_node dpkg -i --force-downgrade "$(package 1.1.0)"
	version_running 1.1.0
	wait_for 30 "the guest is protected" protected
	guest_unbroken
}

# The checks before the restart pass; then the daemon dies at its start, again and again. The guard was disarmed in order: nothing is killed.
dying_daemon() {
	local said
	if said=$(put 1.4.0 2>&1); then return 1; fi
	echo "$said"
	grep -q 'THE NEW VERSION DOES NOT START' <<<"$said"
	sleep 15 # longer than any permit lasts, and than the guard would take to kill
	if in_node hactl version; then return 1; fi
	active bascule-guard.service
	watchdog_never_lost
	guest_unbroken
}

after_dying() {
	in_node dpkg -i --force-downgrade "$(package 1.1.0)"
	version_running 1.1.0
	wait_for 30 "the guest is protected" protected
	wait_for 20 "the watchdog is armed" armed
	guest_unbroken
}

# The daemon is stopped by hand, so the package leaves the guard alone.
mixed_guard() {
	in_node systemctl stop basculed.service
	put 1.2.0
	if active basculed.service; then return 1; fi
	in_node systemctl start basculed.service
	version_running 1.2.0
	wait_for 10 "the guard is asked" guard_version 1.1.0
	wait_for 30 "the guest is protected" protected
	wait_for 20 "the watchdog is armed" armed
	in_node hactl status | has 'still is version v1.1.0'
	watchdog_never_lost
	guest_unbroken
}

reboot() {
	in_node systemctl reboot || true
	wait_for 60 "it goes down" is_off alone
	rm "$work/alone/var/log/guest-100.log" # a new life of the guest's
	power_on alone
	wait_for 20 "the stand-ins are up" proxmox_is_up alone
	wait_for 60 "the guest runs" in_node test -s /var/log/guest-100.log
	wait_for 30 "the guest is protected" protected
	wait_for 20 "the watchdog is armed" armed
	wait_for 10 "the guard is asked" guard_version 1.2.0
	guest_unbroken
}

remove_refused() {
	local said
	in_node mount --bind -o ro /etc/pve /etc/pve
	in_node mount -o remount,ro,bind /etc/pve
	if said=$(in_node dpkg -r bascule 2>&1); then return 1; fi
	in_node umount /etc/pve
	echo "$said"
	grep -q 'NOT REMOVED' <<<"$said"
	grep -q 'VM 100 keeps' <<<"$said"
	wait_for 20 "the daemon runs" version_running 1.2.0
	wait_for 30 "the guest is protected" protected
	wait_for 20 "the watchdog is armed" armed
	in_node test -e /usr/lib/systemd/system/pve-guests.service.d/bascule.conf
	guest_unbroken
}

remove() {
	in_node dpkg -r bascule
	onboot 1
	if active basculed.service || active bascule-guard.service; then return 1; fi
	if in_node test -e /usr/lib/systemd/system/pve-guests.service.d/bascule.conf; then return 1; fi
	in_node systemctl restart pve-guests.service
	in_node test -e /etc/bascule/basculed.yaml # only a purge takes it
	[ "$(mux | tail -1)" = "took leave" ]
	watchdog_never_lost
	guest_unbroken
}

reinstall() {
	put 1.2.0
	in_node systemctl start bascule-guard.service basculed.service
	wait_for 30 "the guest is protected" protected
	guest_unbroken
}

purge() {
	in_node rm "/$boot_id_dropin"
	in_node systemctl daemon-reload
	in_node dpkg -P bascule
	onboot 1
	# /mnt is the shared storage: the directory .bascule, where every node's looks write, is the other nodes' too and stays.
	local left
	left=$(in_node find / \( -path /proc -o -path /mnt -o -path /sys -o -path /shared -o -path /root -o -path /var/log/journal \) -prune -o \( -name '*bascul*' -o -name '*hactl*' \) -print)
	echo "left: $left"
	[ -z "$left" ]
	if in_node ls /etc/systemd/system/multi-user.target.wants | has bascul; then return 1; fi
	in_node systemctl restart pve-guests.service
	watchdog_never_lost
	guest_unbroken
}

witness() {
	in_node rm /usr/bin/pveversion
	put 1.0.0
	in_node systemctl is-enabled basculed-witness.service
	if in_node systemctl is-enabled basculed.service; then return 1; fi
	in_node cp -a /root/config/. /etc/bascule/
	in_node cp /root/witness.yaml /etc/bascule/basculed.yaml
	in_node systemctl start basculed-witness.service
	version_running 1.0.0
}

store_away() {
	local daemon said
	daemon=$(pid_of basculed-witness.service)
	said=$(put 1.1.0 2>&1)
	echo "$said"
	grep -q 'stopping it now would be a risk: the store does not answer' <<<"$said"
	[ "$daemon" = "$(pid_of basculed-witness.service)" ]
	version_running 1.0.0
	in_node systemctl restart basculed-witness.service
	version_running 1.1.0
	in_node env BASCULE_REMOVE=force dpkg -P bascule
}
