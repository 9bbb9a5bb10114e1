package ladder

import (
	"slices"
	"testing"
	"time"

	"bascule/ha"
)

const client = "10.0.0.2:0/77"

var (
	bmc   = Device{Name: "bmc", Kind: ha.PowerDevice}
	ceph  = Device{Name: "ceph-fence", Kind: ha.StorageDevice, Storages: []string{"rbd", "cephfs"}}
	reset = Device{Name: "robot", Kind: ha.ResetDevice}
	sbd   = Device{Name: "sbd", Kind: ha.PoisonDevice, MsgWait: 20 * time.Second}
)

// newPlan is an active walk over these levels: every device was looked at without doubt, the node is armed, published an address, and
// is silent: its lease is gone.
func newPlan(t *testing.T, levels ...[]Device) *bench {
	b := newBench(t, true)
	b.in.Plan.Levels = levels
	for _, l := range levels {
		for _, d := range l {
			c := ha.DeviceCheck{Device: d.Name, Incarnation: inc, ReadOn: true}
			if d.Kind == ha.PowerDevice {
				c.UUIDMatched = true
			} else {
				c.Kind = d.Kind
			}
			b.in.Facts.Checks = append(b.in.Facts.Checks, c)
		}
	}
	b.in.Facts.Clients = []string{client}
	b.in.Facts.Watches = []string{sbd.Name}
	b.in.Facts.Armed, b.in.Facts.LeaseGone, b.in.Facts.GoneSince = true, true, 1<<62 // so late that time proves nothing here
	return b
}

// yes is the answer to a command: accepted.
func (b *bench) yes(d Device) ha.DeviceReading {
	return ha.DeviceReading{Device: d.Name, Node: node, Incarnation: inc, Action: d.Kind.Action(), Asked: b.in.Now, Answered: b.in.Now, Power: ha.PowerUnknown}
}

// looks is a storage device's answer to a read: these storages are revoked, its others open.
func (b *bench) looks(d Device, revoked ...string) ha.DeviceReading {
	r := ha.DeviceReading{Device: d.Name, Node: node, Incarnation: inc, Action: ha.DeviceRead, Asked: b.in.Now, Answered: b.in.Now, Clients: b.in.Facts.Clients}
	for _, s := range d.Storages {
		a := ha.StorageReading{Storage: s, Access: ha.AccessOpen}
		if slices.Contains(revoked, s) {
			a.Access = ha.AccessRevoked
		}
		r.Storages = append(r.Storages, a)
	}
	return r
}

// pills is a poison device's answer to a read.
func (b *bench) pills(d Device, n, of int) ha.DeviceReading {
	return ha.DeviceReading{Device: d.Name, Node: node, Incarnation: inc, Action: ha.DeviceRead, Asked: b.in.Now, Answered: b.in.Now, Pills: n, Disks: of}
}

func (b *bench) broken(d Device, a ha.DeviceAction) ha.DeviceReading {
	return ha.DeviceReading{Device: d.Name, Node: node, Incarnation: inc, Action: a, Asked: b.in.Now, Answered: b.in.Now, Problem: d.Name + " does not answer"}
}

// newLeader is another leadership on another machine: it knows the record only, and its clock has nothing to do with the old one.
func (b *bench) newLeader(at ha.Instant) {
	b.in.Now, b.in.Deadline, b.in.Term, b.in.Memory = at, 0, b.in.Term+1, Memory{}
}

func (b *bench) kinds() []ha.ProofKind {
	var out []ha.ProofKind
	for _, p := range b.proof {
		out = append(out, p.Kind())
	}
	return out
}

// covers says whether the record's proofs free a guest with these storages.
func (b *bench) covers(storages ...string) bool {
	return slices.ContainsFunc(b.in.Record.Proofs, func(p ha.Proof) bool { return p.Covers(ha.Holder{Node: node, Incarnation: inc}, storages) })
}

// run is one case per clause of R3: the names are the clauses.
type clauses []struct {
	name string
	run  func(t *testing.T)
}

func (cs clauses) all(t *testing.T) {
	t.Helper()
	for _, c := range cs {
		t.Run(c.name, c.run)
	}
}
