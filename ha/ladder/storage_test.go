package ladder

import (
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha"
)

// takenAway is a walk in which the storages of ceph were taken away and read back; the machine itself is not proven off.
func takenAway(t *testing.T, levels ...[]Device) *bench {
	t.Helper()
	if levels == nil {
		levels = [][]Device{{ceph, bmc}}
	}
	b := newPlan(t, levels...)
	b.step(0)
	b.step(100*time.Millisecond, b.yes(ceph))
	b.step(100*time.Millisecond, b.looks(ceph, "rbd", "cephfs"))
	if !b.covers("rbd", "cephfs") {
		t.Fatalf("not proven: %+v", b.in.Record)
	}
	return b
}

func TestStorageRevoked(t *testing.T) {
	clauses{
		{"the intent is committed before it is sent, with the published addresses", func(t *testing.T) {
			b := newPlan(t, []Device{ceph})
			b.step(0)
			if len(b.offs) != 1 || b.offs[0].Action != ha.DeviceRevoke || b.offs[0].Deadline != b.in.Deadline || !slices.Equal(b.offs[0].Clients, []string{client}) ||
				b.offs[0].Incarnation != inc || !slices.Contains(b.in.Record.Commanded, ceph.Name) {
				t.Fatalf("sent %+v, record %+v", b.offs, b.in.Record)
			}
		}},
		{"a success without the read-back is nothing", func(t *testing.T) {
			b := newPlan(t, []Device{ceph})
			b.step(0)
			b.step(time.Second, b.yes(ceph))
			if len(b.proof) != 0 || len(b.reads) != 1 || !slices.Equal(b.reads[0].Clients, []string{client}) {
				t.Fatalf("proofs %v, reads %+v", b.kinds(), b.reads)
			}
		}},
		{"what reads open proves nothing and is said", func(t *testing.T) {
			b := newPlan(t, []Device{ceph})
			b.step(0)
			b.step(time.Second, b.yes(ceph))
			b.step(time.Second, b.looks(ceph))
			if len(b.proof) != 0 || !strings.Contains(b.in.Record.Problem, "reads it open") {
				t.Fatalf("proofs %v, problem %q", b.kinds(), b.in.Record.Problem)
			}
		}},
		{"only storages that were read back are proven", func(t *testing.T) {
			b := newPlan(t, []Device{ceph})
			b.step(0)
			b.step(time.Second, b.yes(ceph))
			b.step(time.Second, b.looks(ceph, "rbd"))
			if !b.covers("rbd") || b.covers("cephfs") || b.covers("rbd", "cephfs") || b.covers() || b.covers("local") {
				t.Fatalf("proofs %+v", b.in.Record.Proofs)
			}
		}},
		{"a storage that is not the device's is not believed", func(t *testing.T) {
			b := newPlan(t, []Device{ceph})
			b.step(0)
			b.step(time.Second, b.yes(ceph))
			r := b.looks(ceph, "rbd")
			r.Storages = append(r.Storages, ha.StorageReading{Storage: "nfs", Access: ha.AccessRevoked})
			b.step(time.Second, r)
			if b.covers("nfs") {
				t.Fatal("believed")
			}
		}},
		{"two different answers about one storage are none", func(t *testing.T) {
			b := newPlan(t, []Device{ceph})
			b.step(0)
			b.step(time.Second, b.yes(ceph))
			r := b.looks(ceph, "rbd", "cephfs")
			r.Storages = append(r.Storages, ha.StorageReading{Storage: "rbd", Access: ha.AccessOpen})
			b.step(time.Second, r)
			if b.covers("rbd") || !b.covers("cephfs") {
				t.Fatalf("proofs %+v", b.in.Record.Proofs)
			}
		}},
		{"an answer about other addresses is not believed", func(t *testing.T) {
			b := newPlan(t, []Device{ceph})
			b.in.Facts.Clients = []string{client, "10.9.0.2:0/78"}
			b.step(0)
			b.step(time.Second, b.yes(ceph))
			r := b.looks(ceph, "rbd", "cephfs")
			r.Clients = []string{client}
			b.step(time.Second, r)
			if len(b.proof) != 0 || !strings.Contains(b.in.Record.Problem, "10.9.0.2") {
				t.Fatalf("proofs %v, problem %q", b.kinds(), b.in.Record.Problem)
			}
		}},
		{"an incarnation that published no address is not touched, and that is said", func(t *testing.T) {
			b := newPlan(t, []Device{ceph})
			b.in.Facts.Clients = nil
			b.step(0)
			b.step(time.Second, b.looks(ceph, "rbd", "cephfs"))
			if len(b.offs) != 0 || len(b.proof) != 0 || !strings.Contains(b.in.Record.Problem, "published no client address") {
				t.Fatalf("sent %v, proofs %v, problem %q", b.offs, b.kinds(), b.in.Record.Problem)
			}
		}},
		{"an address published later is not covered by what was proven before", func(t *testing.T) {
			b := takenAway(t)
			b.in.Facts.Clients = []string{client, "10.9.0.2:0/78"}
			b.step(time.Second)
			if b.covers("rbd") || len(b.offs) != 1 || !slices.Contains(b.offs[0].Clients, "10.9.0.2:0/78") {
				t.Fatalf("proofs %+v, sent %+v", b.in.Record.Proofs, b.offs)
			}
		}},
		{"what was published outlives a report that another machine overwrites", func(t *testing.T) {
			b := takenAway(t)
			b.in.Facts.Clients = nil
			b.step(10 * time.Second)
			if !b.covers("rbd") || !slices.ContainsFunc(b.reads, func(c ha.DeviceCommand) bool { return slices.Equal(c.Clients, []string{client}) }) {
				t.Fatalf("reads %+v", b.reads)
			}
		}},
		{"a device that was not looked at during the live lease is not used", func(t *testing.T) {
			for why, change := range map[string]func(*ha.DeviceCheck){
				"another boot": func(c *ha.DeviceCheck) { c.Incarnation = "boot-1" },
				"a problem":    func(c *ha.DeviceCheck) { c.Problem = "monitor unreachable" },
				"never":        func(c *ha.DeviceCheck) { c.ReadOn = false },
				"a switch":     func(c *ha.DeviceCheck) { c.Kind, c.UUIDMatched = "", true },
			} {
				b := newPlan(t, []Device{ceph})
				change(&b.in.Facts.Checks[0])
				b.step(0)
				b.step(time.Second, b.looks(ceph, "rbd", "cephfs"))
				if len(b.offs) != 0 || len(b.proof) != 0 {
					t.Errorf("%s: sent %v, proofs %v", why, b.offs, b.kinds())
				}
			}
		}},
		{"what somebody else took away proves nothing", func(t *testing.T) {
			b := newPlan(t, []Device{ceph})
			b.in.Deadline = b.in.Now.Add(time.Second) // too little to send anything
			b.in.Readings = []ha.DeviceReading{b.looks(ceph, "rbd", "cephfs")}
			if out := Step(b.in); len(out.Proofs) != 0 || len(out.Commands) != 0 {
				t.Fatalf("proofs %v, sent %v", out.Proofs, out.Commands)
			}
		}},
		{"a passive walk neither asks nor believes", func(t *testing.T) {
			b := newPlan(t, []Device{ceph})
			b.in.Record = nil
			b.step(0)
			b.step(time.Second, b.looks(ceph, "rbd", "cephfs"))
			if len(b.proof)+len(b.reads)+len(b.offs) != 0 {
				t.Fatalf("proofs %v, reads %v, sent %v", b.kinds(), b.reads, b.offs)
			}
		}},
		{"it is never sent with too little leadership ahead", func(t *testing.T) {
			b := newPlan(t, []Device{ceph})
			b.in.Deadline = b.in.Now.Add(b.in.Timing.DeviceTimeout)
			if out := Step(b.in); len(out.Commands) != 0 || len(out.Record.Commanded) != 0 {
				t.Fatal("sent")
			}
		}},
		{"it frees nobody with disks elsewhere, and the walk goes on for a complete proof", func(t *testing.T) {
			b := takenAway(t)
			if b.covers("rbd", "local") || !strings.Contains(b.in.Record.Problem, "the others wait") {
				t.Fatalf("problem %q", b.in.Record.Problem)
			}
			b.step(100*time.Millisecond, b.yes(bmc))
			b.step(100*time.Millisecond, b.read("bmc", ha.PowerOff))
			if !slices.Equal(b.kinds(), []ha.ProofKind{ha.StorageRevoked, ha.PowerOffConfirmed}) || !b.covers("local") {
				t.Fatalf("proofs %v", b.kinds())
			}
		}},
		{"power does not wait for storage", func(t *testing.T) {
			b := newPlan(t, []Device{ceph, bmc})
			b.step(0)
			if len(b.offs) != 2 {
				t.Fatalf("sent %+v", b.offs)
			}
			b.step(100*time.Millisecond, b.yes(bmc))
			b.step(100*time.Millisecond, b.read("bmc", ha.PowerOff))
			if !slices.Equal(b.kinds(), []ha.ProofKind{ha.PowerOffConfirmed}) {
				t.Fatalf("proofs %v", b.kinds())
			}
		}},
		{"a level of storage alone yields to power as soon as it has proven", func(t *testing.T) {
			b := takenAway(t, []Device{ceph}, []Device{bmc})
			if b.step(100 * time.Millisecond); b.in.Record.Level != 1 {
				t.Fatalf("level %d", b.in.Record.Level)
			}
		}},
		{"it is looked at again every 10 s", func(t *testing.T) {
			b := takenAway(t, []Device{ceph})
			for range 5 {
				if b.step(b.in.Timing.RevokeRecheck() - time.Millisecond); len(b.reads) != 0 {
					t.Fatal("too early")
				}
				if b.step(time.Millisecond); len(b.reads) != 1 {
					t.Fatalf("no look after %v", b.in.Timing.RevokeRecheck())
				}
				b.step(0, b.looks(ceph, "rbd", "cephfs"))
			}
			if len(b.proof) != 1 {
				t.Fatalf("proofs %v", b.kinds())
			}
		}},
		{"it never expires, not even while nobody can look", func(t *testing.T) {
			b := takenAway(t, []Device{ceph})
			for range 100 {
				b.step(10 * time.Second)
				var answers []ha.DeviceReading
				for _, c := range append(b.reads, b.offs...) {
					answers = append(answers, b.broken(ceph, c.Action))
				}
				b.step(0, answers...)
			}
			if !b.covers("rbd", "cephfs") || len(b.in.Record.Restored) != 0 || !strings.Contains(b.in.Record.Problem, "does not answer") {
				t.Fatalf("record %+v", b.in.Record)
			}
		}},
		{"access that is open again takes the proof back, is said, and is taken away again", func(t *testing.T) {
			b := takenAway(t, []Device{ceph})
			b.step(10 * time.Second)
			b.step(0, b.looks(ceph, "cephfs"))
			if b.covers("rbd") || !b.covers("cephfs") || !slices.Equal(b.in.Record.Restored, []string{"rbd"}) || !strings.Contains(b.in.Record.Problem, "open again") {
				t.Fatalf("record %+v", b.in.Record)
			}
			if len(b.offs) != 1 || b.offs[0].Action != ha.DeviceRevoke {
				t.Fatalf("sent %v", b.offs)
			}
			b.step(time.Second, b.yes(ceph))
			b.step(time.Second, b.looks(ceph, "rbd", "cephfs"))
			if !b.covers("rbd", "cephfs") || len(b.in.Record.Restored) != 0 {
				t.Fatalf("record %+v", b.in.Record)
			}
		}},
		{"a new leader looks first and goes on from the record", func(t *testing.T) {
			b := takenAway(t, []Device{ceph})
			b.newLeader(5e9)
			b.step(0)
			if len(b.offs) != 0 || len(b.reads) != 1 || !b.covers("rbd") {
				t.Fatalf("sent %v, reads %v", b.offs, b.reads)
			}
			b.step(time.Second, b.looks(ceph))
			if b.covers("rbd") || len(b.offs) != 1 || !slices.Equal(b.in.Record.Restored, []string{"cephfs", "rbd"}) {
				t.Fatalf("sent %v, record %+v", b.offs, b.in.Record)
			}
		}},
		{"a fenced node's storages are looked at again and taken away again", func(t *testing.T) {
			b := takenAway(t, []Device{ceph})
			b.in.Now = b.in.Now.Add(10 * time.Second)
			b.in.Deadline = b.in.Now.Add(4 * time.Second)
			b.in.Readings = nil
			out := Recheck(b.in)
			if len(out.Reads) != 1 {
				t.Fatalf("reads %v", out.Reads)
			}
			b.in.Memory, b.in.Record, b.in.Readings = out.Memory, out.Record, []ha.DeviceReading{b.looks(ceph)}
			if out = Recheck(b.in); len(out.Commands) != 1 || len(out.Record.Proofs) != 0 || len(out.Record.Restored) != 2 {
				t.Fatalf("sent %v, record %+v", out.Commands, out.Record)
			}
		}},
		{"one guest may need the storages of two devices", func(t *testing.T) {
			nfs := Device{Name: "nfs-fence", Kind: ha.StorageDevice, Storages: []string{"nfs"}}
			b := takenAway(t, []Device{ceph, nfs})
			b.step(time.Second, b.yes(nfs))
			b.step(time.Second, b.looks(nfs, "nfs"))
			if !b.covers("rbd", "nfs") || len(b.in.Record.Proofs) != 1 {
				t.Fatalf("proofs %+v", b.in.Record.Proofs)
			}
		}},
		{"nothing is sent to a node that is back in order", func(t *testing.T) {
			b := newPlan(t, []Device{ceph, bmc, sbd})
			b.in.Facts.Back = true
			if b.step(0); len(b.offs) != 0 {
				t.Fatalf("sent %v", b.offs)
			}
		}},
	}.all(t)
}
