package scsipr

import (
	"testing"

	"bascule/fencing/fencingtest"
	"bascule/fencing/scsipr/scsitest"
)

// array2 is a target with two LUNs of one storage, on which node1 is registered and every client is a nexus of its own.
type array2 struct {
	t      *testing.T
	target *scsitest.Target
	self   *node
	down   bool
}

func newArray2(t *testing.T) *array2 {
	m := &array2{t: t, target: &scsitest.Target{Disks: []*scsitest.Disk{array("x"), array("y")}}}
	m.target.Serve(t)
	m.self = newNode(t, "node1", m.target.URL(0)+", "+m.target.URL(1))
	m.self.settings["storages"] = "san1, san2"
	m.self.mustRegister()
	for _, c := range append(suiteClients, suiteOther) {
		m.SetWrites(c, true)
	}
	return m
}

var (
	suiteClients = []string{KeyOf("node2", boot1).Client(), KeyOf("node2-second", boot1).Client()}
	suiteOther   = KeyOf("node3", boot1).Client()
)

func (m *array2) Writes(client string) bool {
	for _, d := range m.target.Disks {
		d.Break(scsitest.Healthy)
		if write(d, client) == scsitest.Good {
			return true
		}
	}
	return false
}

func (m *array2) SetWrites(client string, can bool) {
	keys, err := victims([]string{client})
	if err != nil {
		m.t.Fatal(err)
	}
	if !can {
		keys[0] = 0
	}
	for _, d := range m.target.Disks {
		d.Put(client, uint64(keys[0]))
	}
}

func (m *array2) Break(f fencingtest.Fault) {
	if m.down {
		m.target.Start(m.t)
		m.down = false
	}
	m.target.Deny = 0
	m.own(uint64(m.self.key()))
	for _, d := range m.target.Disks {
		d.OnReply = nil
		d.Break(scsitest.Healthy)
		switch f {
		case fencingtest.Hangs:
			d.Break(scsitest.Hangs)
		case fencingtest.Rubbish:
			d.Break(scsitest.Rubbish)
		case fencingtest.Lies:
			d.Break(scsitest.Lies)
		case fencingtest.HalfDone:
			d.OnReply = after(outPreemptAbort, func() { d.Break(scsitest.Lies) })
		case fencingtest.BreaksOff:
			d.OnReply = after(outPreemptAbort, m.target.Drop)
		}
	}
	switch f {
	case fencingtest.Unreachable:
		m.target.Stop()
		m.down = true
	case fencingtest.WrongPassword:
		m.target.Deny = 0x0202
	case fencingtest.Refuses: // the one refusal that can be foreseen: this node was fenced itself
		m.own(0)
	}
}

// own sets node1's registrations.
func (m *array2) own(key uint64) {
	for _, d := range m.target.Disks {
		for _, r := range d.Keys() {
			if key == 0 && r.Key == uint64(m.self.key()) {
				d.Put(r.Nexus, 0)
			}
		}
		if typ, holder := d.Reservation(); key != 0 && holder == 0 && typ != 0 {
			d.Put("iqn.2026-01.internal.bascule:node1,80b5ca5c0001", key)
		}
	}
}

// after calls f once an order of this kind was carried out.
func after(action byte, f func()) func(cdb []byte) {
	return func(cdb []byte) {
		if cdb[0] == opReserveOut && cdb[1] == action {
			f()
		}
	}
}

func TestConforms(t *testing.T) {
	fencingtest.RunStorage(t, fencingtest.Harness[fencingtest.StorageMachine]{
		Method: Method,
		New: func(t *testing.T) (fencingtest.StorageMachine, map[string]string) {
			m := newArray2(t)
			return m, m.self.settings
		},
		Switch: fencingtest.Child().Switch,
	}, fencingtest.Storages{
		Names:   []string{"san1", "san2"},
		Clients: suiteClients,
		Other:   suiteOther,
		// A target enforces its list of registrations; there is no copy of it that could lag behind.
		Without: []fencingtest.Fault{fencingtest.Behind},
	})
}
