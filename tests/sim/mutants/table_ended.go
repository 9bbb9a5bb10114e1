package main

import "bascule/tests/sim/mutants/probe"

// taken break what follows when storages were taken away, and who may live on after a proof (R3).
var taken = []Mutant{
	{Name: "never-looked-at-again", Rule: "R3", Breaks: "what was taken away is not looked at again",
		Edits: []Edit{{"ha/timing.go", "time.Duration { return 10 * time.Second }", "time.Duration { return 10000 * time.Second }"}},
		Probe: frozen("ceph"), Counts: []string{"R3"}},
	{Name: "revocation-on-trust", Rule: "R3", Breaks: "a new leader believes what the one before it read of storages",
		Edits: []Edit{{"ha/leader/storage.go", "if p.Complete() {\n\t\treturn true\n\t}\n\tmem :=", "if true {\n\t\treturn true\n\t}\n\tmem :="}},
		Probe: probe.Probe{Site: []string{"nodes=3", "watchdog=none", "devices=ceph", "storages=ceph", "sound"}, Script: []string{"20s freeze $a for 75s", "25s~27s power-off $b for 20s", "22s~23s cut storage $c * for 30s"}}, Counts: []string{"R1", "R3"}},
	{Name: "revoked-keeps-lease", Rule: "R3", Breaks: "a node whose storages were taken away keeps its lease",
		Edits: []Edit{{"ha/leader/storage.go", "\tc.Revoke = append(c.Revoke, lease.Lease)\n", "\t_ = c\n"}},
		Probe: probe.Probe{Site: []string{"watchdog=none", "devices=ceph", "storages=ceph", "sound"}, Script: []string{"20s cut cluster $a * for 8s", "40s fence $a"}}, Counts: []string{"R3"}},
	{Name: "early-end-without-ttl", Rule: "R3", Breaks: "W counts from the end of a lease that was ended early, as if the permit had ended then",
		Edits: []Edit{{"ha/ladder/proofs.go", "\t\twait += f.Timing.LeaseTTL\n", ""}},
		Probe: probe.Probe{Site: []string{"watchdog=hw", "devices=ceph", "storages=ceph", "sound"}, Script: []string{"30s fence $a", "30300ms~31s cut cluster $a * for 60s"}}, Counts: []string{"R3"}},
	{Name: "dead-boot-let-in", Rule: "R3", Breaks: "a boot of which power read off is let in again",
		Edits: []Edit{{"ha/leader/fence.go", "if p.Kind() != ha.SelfFenceElapsed {\n\t\t\t\treturn false\n", "if p.Kind() != ha.SelfFenceElapsed && p.Kind() != ha.PowerOffConfirmed {\n\t\t\t\treturn false\n"},
			{"ha/node/verify.go", "(unbroken || p.Kind() != ha.SelfFenceElapsed)", "unbroken"}},
		Probe: probe.Probe{Site: []string{"watchdog=none", "devices=bmc", "sound"}, Script: []string{"19s device-lies $bmc for 60s", "20s cut cluster $a * for 40s"}}, Counts: []string{"R3"}},
	{Name: "managed-not-frozen", Rule: "R7", Breaks: "the leader does not freeze what Proxmox's own HA manages",
		Edits: []Edit{{"ha/leader/guests.go", "case g.Refused != \"\" || r.managed(g.ID):", "case false:"}},
		Probe: probe.Probe{Site: []string{"sound"}, Script: []string{"15s managed $g for 100s"}}, Counts: []string{"R7"}},
}
