package systemd

import (
	"bufio"
	"os"
	"slices"
	"strings"
	"testing"
)

const (
	daemon  = "basculed.service"
	guard   = "bascule-guard.service"
	witness = "basculed-witness.service"
	dropIn  = "pve-guests.service.d/bascule.conf"
)

// unit is a unit file: "Section.Key" → its values in order.
type unit map[string][]string

func parseUnit(t *testing.T, path string) unit {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	u, section := unit{}, ""
	for sc := bufio.NewScanner(f); sc.Scan(); {
		line := strings.TrimSpace(sc.Text())
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok {
				t.Fatalf("%s: no setting: %q", path, line)
			}
			key = section + "." + key
			u[key] = append(u[key], value)
		}
	}
	return u
}

// words are all words of a setting.
func (u unit) words(key string) []string { return strings.Fields(strings.Join(u[key], " ")) }

// What the rest of Bascule relies on, with the reason.
func TestPromises(t *testing.T) {
	for _, tt := range []struct{ unit, key, want, why string }{
		{daemon, "Service.Type", "notify", "systemctl start waits until the daemon runs"},
		{daemon, "Service.NotifyAccess", "main", "a fencing child must not speak for the daemon"},
		{daemon, "Service.WatchdogSec", "10", "a hung daemon is ended"},
		{daemon, "Service.Restart", "always", "a daemon that ended comes back"},
		{daemon, "Service.RestartPreventExitStatus", "78", "a wrong configuration is not tried again"},
		{daemon, "Service.RuntimeDirectoryPreserve", "yes", "the lease to re-adopt survives a restart"},
		{daemon, "Service.KillMode", "mixed", "fencing children end with the daemon"},
		{daemon, "Unit.StartLimitIntervalSec", "0", "systemd never gives up"},
		{guard, "Service.Restart", "always", "a guard that ended comes back"},
		{guard, "Service.RestartSec", "100ms", "an armed watchdog does not wait"},
		{guard, "Service.RestartPreventExitStatus", "78", "a wrong configuration is not tried again"},
		{guard, "Service.OOMScoreAdjust", "-1000", "never killed for memory"},
		{guard, "Service.CPUSchedulingPolicy", "rr", "acts in time on a busy node"},
		{guard, "Service.LimitMEMLOCK", "infinity", "locks its memory"},
		{guard, "Service.IOSchedulingClass", "realtime", "acts in time on a busy disk"},
		{guard, "Service.RuntimeDirectoryPreserve", "yes", "shared with the daemon"},
		{guard, "Unit.StartLimitIntervalSec", "0", "systemd never gives up"},
		{witness, "Service.Type", "notify", "as the daemon"},
		{witness, "Service.RestartPreventExitStatus", "78", "a wrong configuration is not tried again"},
		{witness, "Service.CapabilityBoundingSet", "", "a witness needs no privilege"},
		{witness, "Service.ProtectSystem", "strict", "a witness writes its data directory and its keys only"},
		{witness, "Service.ReadWritePaths", "/etc/bascule", "renewed certificates and rotated keys are put in place"},
		{dropIn, "Service.ExecStartPre", "/usr/sbin/basculed boot-check --config /etc/bascule/basculed.yaml", "no - in front: its failure keeps guests from starting"},
	} {
		got := parseUnit(t, tt.unit)[tt.key]
		if len(got) != 1 || got[0] != tt.want {
			t.Errorf("%s: %s = %q, want %q: %s", tt.unit, tt.key, got, tt.want, tt.why)
		}
	}
}

// The guard outlives the daemon: no unit takes another along.
func TestUnitsDoNotBindEachOther(t *testing.T) {
	for _, name := range []string{daemon, guard, witness} {
		u := parseUnit(t, name)
		for _, key := range []string{"Requires", "Requisite", "BindsTo", "PartOf", "PropagatesStopTo", "JoinsNamespaceOf", "Upholds"} {
			if got := u["Unit."+key]; len(got) > 0 {
				t.Errorf("%s: %s=%v: ordering and Wants= only", name, key, got)
			}
		}
	}
	if got := parseUnit(t, guard)["Unit.Conflicts"]; len(got) > 0 {
		t.Errorf("the guard conflicts with %v", got)
	}
	if !slices.Contains(parseUnit(t, daemon).words("Unit.Wants"), guard) {
		t.Error("the daemon does not want the guard")
	}
}

// The order of a start, which is that of a stop reversed: cluster, guard, daemon, guests.
func TestOrder(t *testing.T) {
	d, g := parseUnit(t, daemon), parseUnit(t, guard)
	for _, first := range []string{"network-online.target", "pve-cluster.service", "corosync.service", guard} {
		if !slices.Contains(d.words("Unit.After"), first) {
			t.Errorf("%s does not start after %s", daemon, first)
		}
	}
	if !slices.Contains(d.words("Unit.Before"), "pve-guests.service") || !slices.Contains(g.words("Unit.Before"), "pve-guests.service") {
		t.Error("daemon and guard must stop after Proxmox has stopped its guests")
	}
	for _, word := range append(g.words("Unit.After"), g.words("Unit.Wants")...) {
		if word != "local-fs.target" {
			t.Errorf("the guard waits for %s: it must come up without network, cluster and store", word)
		}
	}
}

// The guard unmounts on the host, so nothing may give it mounts of its own (systemd.exec(5): what implies a mount namespace).
func TestGuardSharesTheHostsMounts(t *testing.T) {
	u := parseUnit(t, guard)
	for _, key := range []string{
		"ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices", "PrivateMounts", "PrivateIPC", "ProtectKernelTunables", "ProtectKernelModules",
		"ProtectKernelLogs", "ProtectControlGroups", "ProtectProc", "ProcSubset", "ReadOnlyPaths", "ReadWritePaths", "InaccessiblePaths", "ExecPaths",
		"NoExecPaths", "TemporaryFileSystem", "BindPaths", "BindReadOnlyPaths", "RootDirectory", "RootImage", "MountFlags", "MountAPIVFS", "DynamicUser",
		"ProtectHostname", "ProtectClock", "LogNamespace",
	} {
		if got := u["Service."+key]; len(got) > 0 {
			t.Errorf("%s: %s=%v gives it mounts or devices of its own", guard, key, got)
		}
	}
}

// Every basculed reads the kernel's boot id, below /proc/sys.
func TestBootIDIsSeen(t *testing.T) {
	for _, name := range []string{daemon, guard, witness} {
		if got := parseUnit(t, name)["Service.ProcSubset"]; len(got) > 0 {
			t.Errorf("%s: ProcSubset=%v hides /proc/sys/kernel/random/boot_id", name, got)
		}
	}
}

// The daemon lives with /etc/pve coming and going, and gives real time to all of its threads.
func TestDaemonSandboxExceptions(t *testing.T) {
	for _, name := range []string{daemon, guard} {
		if got := parseUnit(t, name)["Service.CPUSchedulingResetOnFork"]; len(got) > 0 {
			t.Errorf("%s: CPUSchedulingResetOnFork=%v resets Go's threads", name, got)
		}
	}
	u := parseUnit(t, daemon)
	if got := u["Service.ProtectSystem"]; len(got) != 1 || got[0] != "yes" {
		t.Errorf("ProtectSystem=%v makes /etc/pve read-only or pins its mount", got)
	}
	for _, key := range []string{"ProtectProc", "ProcSubset", "ReadWritePaths", "ReadOnlyPaths"} {
		if got := u["Service."+key]; len(got) > 0 {
			t.Errorf("%s=%v hides guests' processes or pins the mount at /etc/pve", key, got)
		}
	}
}
