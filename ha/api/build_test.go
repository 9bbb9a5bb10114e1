package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bascule/ha"
	"bascule/ha/api"
	"bascule/ha/api/apitest"
)

// TestProblems: each case changes one thing in a healthy cluster and names the one problem that has to come of it.
func TestProblems(t *testing.T) {
	editNode := func(f func(*ha.NodeRecord)) func(*api.View) {
		return func(v *api.View) { apitest.Edit(v.Snapshot.Nodes, "node2", f) }
	}
	editReport := func(f func(*ha.NodeReport)) func(*api.View) {
		return func(v *api.View) { apitest.Edit(v.Snapshot.Reports, "node2", f) }
	}
	editGuest := func(f func(*ha.GuestRecord)) func(*api.View) {
		return func(v *api.View) { apitest.Edit(v.Snapshot.Guests, 102, f) }
	}
	for _, c := range []struct {
		name     string
		edit     func(*api.View)
		severity api.Severity
		subject  string
		what     string // parts that the texts must hold
		why      string
		do       string
	}{
		{"a voter missing", func(v *api.View) { v.Store.Answering = []string{"node1", "node3"} },
			api.Warning, "store", "2 of 3 voters: node2 is not", "it can lose 0 more; gossip still hears node2", "bring node2 back (power, network, systemctl status basculed); there is no spare that could vote instead"},
		{"a voter missing, and a spare", func(v *api.View) {
			v.Store.Voters, v.Store.Answering, v.Store.Spares = []string{"node1", "node3", "witness1"}, []string{"node1", "node3"}, []ha.NodeName{"node2"}
		}, api.Warning, "store", "2 of 3 voters: witness1 is not", "it can lose 0 more", "one that stays away loses its vote to a spare"},
		{"a voter lost for good", func(v *api.View) {
			v.Store.Answering = []string{"node1", "node3"}
			v.Snapshot.VoterChange = ha.Versioned[ha.VoterChange]{Rev: 7, Rec: ha.VoterChange{Old: "node2", Reason: "there is no spare that could vote in its place"}}
		}, api.Warning, "store", "2 of 3 voters: node2 is not", "node2 has been gone for long: there is no spare", "or add a machine to members that can vote"},
		{"a voter being replaced", func(v *api.View) {
			v.Store.Answering = []string{"node1", "node3"}
			v.Snapshot.VoterChange = ha.Versioned[ha.VoterChange]{Rev: 7, Rec: ha.VoterChange{Old: "node2", By: "node4", Reason: "node4 votes in its place from now on"}}
		}, api.Warning, "store", "2 of 3 voters: node2 is not", "node2 loses its vote: node4 votes in its place from now on", "nothing, if that ends in some minutes"},
		{"store away with its majority", func(v *api.View) { v.Store.Available, v.Store.Reason = false, "certificate expired" },
			api.Critical, "store", "nothing is started, moved or fenced meanwhile", "certificate expired", "journalctl -u basculed"},
		{"store away on a witness", func(v *api.View) {
			v.Role, v.Store.Available, v.Store.Answering, v.Permit = api.RoleWitness, false, []string{"node1"}, api.PermitHealth{}
		}, api.Critical, "store", "away", "1 of 3 voters answer, 2 are needed (node2 and node3 are not answering)", "bring node2 or node3 back"},
		{"stale snapshot", func(v *api.View) { v.SnapshotAge = time.Minute }, api.Warning, "store", "last read the store 60 s ago", "watch", "another node"},
		{"no leader", func(v *api.View) { v.Snapshot.Leader, v.Snapshot.Term = nil, 0 }, api.Critical, "cluster", "no node leads", "election", "wait 30 s"},
		{"permit lost", func(v *api.View) { v.Permit = api.PermitHealth{Reason: "the lease ran out 2 s ago"} },
			api.Critical, "node node1", "no permit", "ran out", "Do not start them by hand"},
		{"guard gone", func(v *api.View) { v.Guard = api.GuardHealth{Detail: "connection refused"} },
			api.Critical, "node node1", "does not reach its guard", "refused", "systemctl start bascule-guard"},
		{"guard of the version before", func(v *api.View) { v.Version, v.Guard.Version = "1.1", "1.0" },
			api.Info, "node node1", "the guard on node1 still is version 1.0; basculed is 1.1", "an upgrade does not end a guard", "nothing"},
		{"no Proxmox quorum here", func(v *api.View) { v.Corosync.Quorate, v.Corosync.Online = false, []ha.NodeName{"node1"} },
			api.Critical, "node node1", "Proxmox has no quorum", "corosync sees only node1", "pvecm status"},
		{"a witness that never came", func(v *api.View) { v.Members = append(v.Members, ha.Member{Name: "witness", Witness: true}) },
			api.Warning, "node witness", "never registered", "", "start basculed-witness there"},
		{"two votes", func(v *api.View) { votes(v, &ha.CorosyncVotes{}) },
			api.Critical, "cluster", "if node1 or node2 died now, Proxmox would have no quorum", "2 votes, none of them of a QDevice", "pvecm qdevice setup"},
		{"two votes, asked on the witness", func(v *api.View) {
			votes(v, &ha.CorosyncVotes{})
			v.Self, v.Role, v.Corosync = "witness", api.RoleWitness, ha.CorosyncView{}
		}, api.Critical, "cluster", "if node1 or node2 died now", "2 votes", "pvecm qdevice setup"},
		{"the QDevice is gone", func(v *api.View) {
			votes(v, &ha.CorosyncVotes{QDevice: 1, QDeviceHost: "192.0.2.9"})
			v.Gossip["witness"] = ha.GossipView{Known: true}
		}, api.Warning, "node witness", "witness is silent, and corosync's QDevice runs there: if node1 or node2 died", "no quorum on the survivors", "bring witness back"},
		{"no Proxmox quorum there", editReport(func(r *ha.NodeReport) { r.Quorate, r.CorosyncOnline = false, nil }),
			api.Warning, "node node2", "node2 reports that Proxmox has no quorum", "only no node", "QDevice"},
		{"never registered", func(v *api.View) { v.Members = append(v.Members, ha.Member{Name: "node4"}) },
			api.Warning, "node node4", "never registered", "", "start basculed"},
		{"suspect", editNode(func(n *ha.NodeRecord) {
			n.State, n.Since, n.Reason = ha.NodeSuspect, apitest.Now.Add(-3*time.Second), "gossip lost it"
		}),
			api.Warning, "node node2", "may be dead (for 3 s)", "gossip lost it; one sign alone fences nothing", "wait"},
		{"fencing under way", editNode(func(n *ha.NodeRecord) { n.State, n.Reason = ha.NodeFencing, "lease expired" }),
			api.Critical, "node node2", "3 guests down until it is proven off", "lease expired", "wait"},
		{"fencing waits", func(v *api.View) {
			editNode(func(n *ha.NodeRecord) {
				n.State, n.Reason = ha.NodeFencing, "lease expired: no proof yet: fencing of node2 waits: 1 of 3 voters healthy, 2 needed"
			})(v)
			apitest.Edit(v.Snapshot.Fences, "node2", func(f *ha.FenceRecord) {
				f.Incarnation = apitest.Inc(2)
				f.Held = "fencing of node2 waits: 1 of 3 voters healthy, 2 needed"
				f.Problem = f.Held
			})
		}, api.Critical, "node node2", "3 guests down until it is proven off", "1 of 3 voters healthy", "must be switched off all the same: hactl fence node2"},
		{"fenced", func(v *api.View) {
			delete(v.Snapshot.Leases, "node2")
			v.Gossip["node2"] = ha.GossipView{Known: true}
			v.Corosync.Online = []ha.NodeName{"node1", "node3"}
			apitest.Edit(v.Snapshot.Nodes, "node2", func(n *ha.NodeRecord) {
				n.State, n.Since = ha.NodeFenced, apitest.Now.Add(-10*time.Minute)
				n.Proofs = []ha.Proof{apitest.Proof(ha.PowerOffConfirmed, 2, "bmc-node2 read off twice", apitest.Now)}
			})
		}, api.Warning, "node node2", "was fenced 10 min ago", "PowerOffConfirmed: bmc-node2 read off twice", "switch node2 on"},
		{"fenced and switched on again", func(v *api.View) {
			delete(v.Snapshot.Leases, "node2")
			v.Gossip["node2"] = ha.GossipView{Known: true}
			v.Corosync.Online = []ha.NodeName{"node1", "node3"}
			apitest.Edit(v.Snapshot.Nodes, "node2", func(n *ha.NodeRecord) {
				n.State, n.Since = ha.NodeFenced, apitest.Now.Add(-time.Minute)
				n.Proofs = []ha.Proof{apitest.Proof(ha.PowerOffConfirmed, 2, "bmc-node2 switched off and read back off", apitest.Now)}
			})
			apitest.Edit(v.Snapshot.Fences, "node2", func(f *ha.FenceRecord) { f.Incarnation, f.SwitchedOn = apitest.Inc(2), []string{"bmc-node2"} })
		}, api.Warning, "node node2", "was fenced 60 s ago", "PowerOffConfirmed", "has been switched on again and joins by itself"},
		{"fenced and back in gossip", func(v *api.View) {
			delete(v.Snapshot.Leases, "node2")
			apitest.Edit(v.Snapshot.Nodes, "node2", func(n *ha.NodeRecord) { n.State, n.Since = ha.NodeFenced, apitest.Now.Add(-10*time.Minute) })
		}, api.Warning, "node node2", "heard again and has not registered", "gossip: alive", "systemctl status basculed"},
		{"fenced and ALIVE", editNode(func(n *ha.NodeRecord) {
			n.State, n.Lease = ha.NodeFenced, n.Lease+1 // the proven one ended; it holds another
			n.Proofs = []ha.Proof{apitest.Proof(ha.OperatorConfirmed, 2, "bob on node1", apitest.Now)}
		}), api.Critical, "node node2", "IS FENCED AND REPORTS ITSELF ALIVE", "OperatorConfirmed: bob on node1; its guests may be running twice", "pull the cord"},
		{"quarantined", editNode(func(n *ha.NodeRecord) { n.State, n.Reason = ha.NodeQuarantined, "5 returns in an hour" }),
			api.Warning, "node node2", "comes and goes", "5 returns", "journalctl"},
		{"draining", editNode(func(n *ha.NodeRecord) { n.State, n.Drain = ha.NodeDraining, true }), api.Info, "node node2", "3 guests still there", "", "hactl undrain node2"},
		{"a drain that cannot end", func(v *api.View) {
			editNode(func(n *ha.NodeRecord) { n.State, n.Drain = ha.NodeDraining, true })(v)
			editGuest(func(g *ha.GuestRecord) { g.Reason = "cannot be moved: node1 has too little memory" })(v)
		}, api.Warning, "node node2", "is being drained", "VM 102 (web2) cannot be moved: node1 has too little memory", "stop them"},
		{"maintenance by drain", editNode(func(n *ha.NodeRecord) { n.State, n.Drain = ha.NodeMaintenance, true }), api.Info, "node node2", "takes no guests", "", "hactl undrain node2"},
		{"maintenance by stop", editNode(func(n *ha.NodeRecord) { n.State = ha.NodeMaintenance }), api.Info, "node node2", "takes no guests", "", "systemctl start basculed"},
		{"offline", editNode(func(n *ha.NodeRecord) { n.State = ha.NodeOffline }), api.Info, "node node2", "left in order", "", "switch it on"},
		{"neither device nor watchdog", func(v *api.View) {
			editNode(func(n *ha.NodeRecord) { n.Devices = nil })(v)
			editReport(func(r *ha.NodeReport) { r.Armed = false })(v)
		}, api.Critical, "node node2", "nothing could prove it off", "no fencing device", "basculed.yaml"},
		{"not armed", editReport(func(r *ha.NodeReport) { r.Armed = false }), api.Warning, "node node2", "not armed", "watchdog", "bascule-guard"},
		{"no device", editNode(func(n *ha.NodeRecord) { n.Devices = nil }), api.Info, "node node2", "no fencing device", "watchdog: device", "BMC"},
		{"device broken", editNode(func(n *ha.NodeRecord) { n.Devices[0].Problem = "no answer in 3s" }), api.Critical, "node node2", "bmc-node2 of node2 would not work", "no answer in 3s", "repair it now"},
		{"device of an earlier boot", editNode(func(n *ha.NodeRecord) { n.Devices[0].Incarnation = "old" }), api.Warning, "node node2", `has not read "on"`, "another machine", "check"},
		{"device not identified", editNode(func(n *ha.NodeRecord) { n.Devices[0].UUIDMatched = false }), api.Warning, "node node2", "not known to be node2's", "UUID", "confirm"},
		{"guest given up", editGuest(func(g *ha.GuestRecord) { g.State, g.Reason = ha.GuestError, "start failed: no such volume" }),
			api.Critical, "VM 102 (web2)", "given up", "no such volume", "qm start 102"},
		{"just in recovery", editGuest(func(g *ha.GuestRecord) { g.State, g.Since = ha.GuestRecovery, apitest.Now.Add(-time.Second) }),
			api.Warning, "VM 102 (web2)", "is being recovered", "", "wait"},
		{"no place", editGuest(func(g *ha.GuestRecord) {
			g.State, g.Since, g.Reason = ha.GuestRecovery, apitest.Now.Add(-time.Minute), "2 GiB needed, 1 GiB free at most"
		}), api.Critical, "VM 102 (web2)", "no place for it (for 60 s)", "2 GiB needed", "make room"},
		{"no place for a pinned one", editGuest(func(g *ha.GuestRecord) { g.State, g.Pinned = ha.GuestRecovery, "local disk" }),
			api.Critical, "VM 102 (web2)", "no place", "pinned: local disk", "restore the guest from its backup"},
		{"frozen", editGuest(func(g *ha.GuestRecord) {
			g.State, g.Reason = ha.GuestFrozen, "in /etc/pve/ha/resources.cfg since today"
		}),
			api.Warning, "VM 102 (web2)", "1 guest frozen", "VM 102 (web2)", "ha-manager remove"},
		{"refused", editReport(func(r *ha.NodeReport) { r.Guests = []ha.GuestSeen{{ID: 300, Kind: ha.LXC, Refused: "in Proxmox's HA"}} }),
			api.Warning, "guests", "1 guest selected but not protected", "CT 300: in Proxmox's HA", "ha-manager remove"},
		{"pinned", editGuest(func(g *ha.GuestRecord) { g.Pinned = "local disk" }), api.Info, "guests", "could not be recovered", "VM 102 (web2) on node2: local disk", "pvesr"},
		{"version mix", editReport(func(r *ha.NodeReport) { r.Version = "0.2.0" }), api.Info, "cluster", "different versions", "0.1.0 on node1 and node3; 0.2.0 on node2", "finish"},
		{"an unreadable node record", func(v *api.View) { v.Snapshot.Unreadable = []string{"fence/node2"} }, api.Critical, "node node2",
			"the record fence/node2 in the store cannot be read", "a newer basculed than 0.1.0 wrote it; nothing is decided about node2 meanwhile, not even when it dies",
			"each guest of node2 runs in one place only, then etcdctl del /bascule/v1/lan/fence/node2"},
		{"the record of a node itself", func(v *api.View) {
			v.Snapshot.Unreadable = []string{"node/node2"}
			delete(v.Snapshot.Nodes, "node2")
		}, api.Critical, "node node2", "the record node/node2", "not even when it dies", "etcdctl del /bascule/v1/lan/node/node2"},
		{"an unreadable guest record", func(v *api.View) { v.Snapshot.Unreadable = []string{"guest/102"} }, api.Critical, "guest 102",
			"the record guest/102", "nothing is decided about guest 102", "guest 102 runs in one place only, then etcdctl del /bascule/v1/lan/guest/102"},
		{"an unreadable report about a guest", func(v *api.View) { v.Snapshot.Unreadable = []string{"guestreport/node3/102"} }, api.Critical, "guest 102",
			"guestreport/node3/102", "nothing is decided about guest 102", "etcdctl del /bascule/v1/lan/guestreport/node3/102"},
		{"an unreadable cluster record", func(v *api.View) { v.Snapshot.Unreadable = []string{"cluster"} }, api.Critical, "cluster",
			"the record cluster", "nothing at all is decided", "restore the store from a backup"},
		{"an unreadable request", func(v *api.View) { v.Snapshot.Unreadable = []string{"request/1"} }, api.Warning, "store",
			"the record request/1", "waits for ever", "etcdctl del /bascule/v1/lan/request/1"},
		{"an unreadable onboot note", func(v *api.View) { v.Snapshot.Unreadable = []string{"onboot/102"} }, api.Warning, "guest 102",
			"the record onboot/102", "started at boot", "etcdctl del /bascule/v1/lan/onboot/102"},
		{"another unreadable key", func(v *api.View) { v.Snapshot.Unreadable = []string{"leader"} }, api.Warning, "store",
			"the record leader", "nothing else is touched", "etcdctl del /bascule/v1/lan/leader"},
		{"newer records", func(v *api.View) { v.Snapshot.NewerSchema = "guest/101" }, api.Warning, "node node1", "does not lead", "guest/101", "upgrade"},
		{"weak token", func(v *api.View) { v.Problems = []string{"the API token lacks privileges"} }, api.Warning, "node node1", "lacks privileges", "", "VM.Audit"},
		{"another node's own complaint", editReport(func(r *ha.NodeReport) { r.Problems = []string{"disk full"} }), api.Warning, "node node2", "disk full", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := apitest.Well()
			c.edit(&v)
			s := api.BuildStatus(v)
			if len(s.Problems) != 1 {
				t.Fatalf("want one problem, got %d:\n%s", len(s.Problems), show(s.Problems))
			}
			p := s.Problems[0]
			if p.Severity != c.severity || p.Subject != c.subject || !strings.Contains(p.What, c.what) || !strings.Contains(p.Why, c.why) || !strings.Contains(p.Do, c.do) {
				t.Errorf("want %s %s: %q why %q do %q, got\n%s", c.severity, c.subject, c.what, c.why, c.do, show(s.Problems))
			}
			wantHealth := api.HealthDegraded
			if c.severity == api.Info {
				wantHealth = api.HealthOK
			}
			if s.Health != wantHealth {
				t.Errorf("health %s, want %s", s.Health, wantHealth)
			}
		})
	}
}

// votes makes node1 and node2 a corosync cluster of their own, with a witness beside them.
func votes(v *api.View, votes *ha.CorosyncVotes) {
	v.Members = append(v.Members, ha.Member{Name: "witness", Address: "192.0.2.9", Witness: true})
	v.Gossip["witness"] = ha.GossipView{Known: true, Alive: true}
	v.Snapshot.Leases["witness"] = ha.Versioned[ha.LeaseRecord]{Rec: ha.LeaseRecord{Node: "witness"}, Rev: 1}
	v.Snapshot.Reports["witness"] = ha.Versioned[ha.NodeReport]{Rec: ha.NodeReport{Node: "witness", Witness: true}, Rev: 1}
	votes.Nodes = []ha.CorosyncVote{{Node: "node1", Votes: 1}, {Node: "node2", Votes: 1}}
	for _, n := range []ha.NodeName{"node1", "node2"} {
		apitest.Edit(v.Snapshot.Reports, n, func(r *ha.NodeReport) { r.CorosyncVotes = votes })
	}
}

func show(ps []api.Problem) string {
	out := ""
	for _, p := range ps {
		out += fmt.Sprintf("%s %s: %s\n  why %s\n  do  %s\n", p.Severity, p.Subject, p.What, p.Why, p.Do)
	}
	return out
}

// The leader keeps no record of a witness: that is no problem of it.
func TestAWitnessIsNoProblem(t *testing.T) {
	v := apitest.Well()
	votes(&v, &ha.CorosyncVotes{QDevice: 1, QDeviceHost: "192.0.2.9"})
	if s := api.BuildStatus(v); s.Health != api.HealthOK || len(s.Problems) != 0 {
		t.Errorf("%s\n%s", s.Health, show(s.Problems))
	}
}

func TestWellHasNoProblems(t *testing.T) {
	s := api.BuildStatus(apitest.Well())
	if s.Health != api.HealthOK || len(s.Problems) != 0 {
		t.Errorf("health %s:\n%s", s.Health, show(s.Problems))
	}
}

func TestUnknownBeforeTheStoreWasRead(t *testing.T) {
	s := api.BuildStatus(apitest.Starting())
	if s.Health != api.HealthUnknown || len(s.Problems) == 0 {
		t.Errorf("health %s, %d problems", s.Health, len(s.Problems))
	}
}

// TestLie: a success is called a lie only when the device goes on reading "on" for longer than a machine takes.
func TestLie(t *testing.T) {
	at := func(s int) time.Time { return apitest.Now.Add(time.Duration(s-60) * time.Second) }
	step := func(dev, action, result string, s int) ha.FenceStep {
		return ha.FenceStep{Device: dev, Action: action, Result: result, At: at(s)}
	}
	for _, c := range []struct {
		name  string
		steps []ha.FenceStep
		want  string
	}{
		{"lied", []ha.FenceStep{step("a", "off", "success", 0), step("a", "read", "on", 8)}, "DEVICE a: it said"},
		{"equal readings noted once", []ha.FenceStep{step("liar", "read", "on", 0), step("liar", "off", "accepted", 20)}, "40 s later"},
		{"noted once, switching off", []ha.FenceStep{step("liar", "read", "on", 0), step("liar", "off", "accepted", 58)}, ""},
		{"noted once, then silent", []ha.FenceStep{step("liar", "read", "on", 0), step("liar", "off", "accepted", 20), step("liar", "read", "timeout", 30)}, ""},
		{"noted once, and the complaint is of another", []ha.FenceStep{step("lia", "read", "on", 0), step("lia", "off", "accepted", 20)}, ""},
		{"asked again", []ha.FenceStep{step("a", "off", "ok", 0), step("a", "read", "on", 3), step("a", "off", "ok", 4), step("a", "read", "on", 7)}, "7 s later"},
		{"still switching off", []ha.FenceStep{step("a", "off", "success", 0), step("a", "read", "on", 3)}, ""},
		{"went off", []ha.FenceStep{step("a", "off", "success", 0), step("a", "read", "on", 6), step("a", "read", "off", 7)}, ""},
		{"refused, so no lie", []ha.FenceStep{step("a", "off", "401 unauthorized", 0), step("a", "read", "on", 8)}, ""},
		{"another device's reading", []ha.FenceStep{step("a", "off", "success", 0), step("b", "read", "on", 8)}, ""},
		{"read before the off", []ha.FenceStep{step("a", "read", "on", 0), step("a", "off", "success", 8)}, ""},
		{"powering off is not on", []ha.FenceStep{step("a", "off", "success", 0), step("a", "read", "powering-off", 20)}, ""},
	} {
		v := apitest.LyingBMC()
		apitest.Edit(v.Snapshot.Fences, "node2", func(f *ha.FenceRecord) { f.Steps, f.Problem = c.steps, "liar reads on" })
		i := slices.IndexFunc(api.BuildStatus(v).Problems, func(p api.Problem) bool { return strings.Contains(p.What, "DO NOT TRUST") })
		switch {
		case (i >= 0) != (c.want != ""):
			t.Errorf("%s: lie told: %v", c.name, i >= 0)
		case i >= 0 && !strings.Contains(api.BuildStatus(v).Problems[i].What, c.want):
			t.Errorf("%s: %s", c.name, api.BuildStatus(v).Problems[i].What)
		}
	}
}

// TestFenceRecordOfAnEarlierLife must not speak about this one.
func TestFenceRecordOfAnEarlierLife(t *testing.T) {
	v := apitest.LyingBMC()
	apitest.Edit(v.Snapshot.Fences, "node2", func(f *ha.FenceRecord) { f.Incarnation = "earlier" })
	if text := show(api.BuildStatus(v).Problems); strings.Contains(text, "DO NOT TRUST") || strings.Contains(text, "confirm-off") {
		t.Error(text)
	}
}

func TestProblemsAreSortedAndListsBounded(t *testing.T) {
	v := apitest.Troubles()
	for id := ha.VMID(500); id < 520; id++ {
		v.Snapshot.Guests[id] = ha.Versioned[ha.GuestRecord]{Rec: ha.GuestRecord{ID: id, Kind: ha.LXC, State: ha.GuestFrozen, Reason: "why", Node: "node1"}}
	}
	s := api.BuildStatus(v)
	rank := map[api.Severity]int{api.Critical: 0, api.Warning: 1, api.Info: 2}
	if !slices.IsSortedFunc(s.Problems, func(a, b api.Problem) int { return rank[a.Severity] - rank[b.Severity] }) {
		t.Error("not the gravest first")
	}
	if text := show(s.Problems); !strings.Contains(text, "20 guests frozen") || !strings.Contains(text, "CT 507; and 12 more") {
		t.Error(text)
	}
}

func TestBuildStatusIsPure(t *testing.T) {
	for name, scene := range apitest.Scenes {
		first := api.BuildStatus(scene())
		for range 20 {
			if d := cmp.Diff(first, api.BuildStatus(scene())); d != "" {
				t.Fatalf("%s: same view, other status:\n%s", name, d)
			}
		}
	}
}

func TestNaturalOrder(t *testing.T) {
	v := apitest.Well()
	v.Members = append(v.Members, ha.Member{Name: "node10"}, ha.Member{Name: "camille"})
	var names []string
	for _, n := range api.BuildStatus(v).Nodes {
		names = append(names, string(n.Name))
	}
	if got := strings.Join(names, " "); got != "camille node1 node2 node3 node10" {
		t.Error(got)
	}
}

func TestAgo(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 41 * time.Second: "41 s", 119 * time.Second: "119 s", 5 * time.Minute: "5 min", 3 * time.Hour: "3 h", 50 * time.Hour: "2 d",
	} {
		if got := api.Ago(d); got != want {
			t.Errorf("Ago(%v) = %q, want %q", d, got, want)
		}
	}
}

// TestGuardsProblemsHaveTheirOwnIDs: a guard that is older than its basculed is none that does not answer.
func TestGuardsProblemsHaveTheirOwnIDs(t *testing.T) {
	for id, guard := range map[string]api.GuardHealth{"guard-version": {Connected: true, Version: "1.0"}, "guard-away": {Detail: "connection refused"}} {
		v := apitest.Well()
		v.Version, v.Guard = "1.1", guard
		if !slices.ContainsFunc(api.BuildStatus(v).Problems, func(p api.Problem) bool { return p.ID == id && p.Subject == "node node1" }) {
			t.Errorf("no %s: %+v", id, api.BuildStatus(v).Problems)
		}
	}
}
