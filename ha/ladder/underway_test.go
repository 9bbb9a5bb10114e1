package ladder

import (
	"testing"
	"time"

	"bascule/ha"
)

func TestUnderWay(t *testing.T) {
	power := Device{Name: "d", Kind: ha.PowerDevice}
	storage := Device{Name: "d", Kind: ha.StorageDevice, Storages: []string{"ceph", "iscsi"}}
	poison := Device{Name: "d", Kind: ha.PoisonDevice, MsgWait: 20 * time.Second}
	for name, tt := range map[string]struct {
		d    Device
		m    DeviceMemory
		want bool
	}{
		"told by an earlier leader, not looked at":   {power, DeviceMemory{}, true},
		"told by an earlier leader, does not answer": {power, DeviceMemory{LastAnswer: 5}, false},
		"on its way":                          {power, DeviceMemory{Sent: 5, InFlight: ha.DeviceOff}, true},
		"refused, backing off":                {power, DeviceMemory{Sent: 5, LastAnswer: 6, Failures: 1, NextCommand: 9}, false},
		"refused, being read":                 {power, DeviceMemory{Sent: 5, LastAnswer: 6, Failures: 1, InFlight: ha.DeviceRead}, false},
		"accepted, still on":                  {power, DeviceMemory{Sent: 5, Accepted: 5, LastPower: ha.PowerOn}, true},
		"accepted, off":                       {power, DeviceMemory{Sent: 5, Accepted: 5, FirstOff: 7}, false},
		"one of two storages":                 {storage, DeviceMemory{Sent: 5, Accepted: 5, Revoked: []string{"ceph"}}, true},
		"both storages":                       {storage, DeviceMemory{Sent: 5, Accepted: 5, Revoked: []string{"iscsi", "ceph"}}, false},
		"message accepted":                    {poison, DeviceMemory{Sent: 5, Accepted: 5}, true},
		"message read back: a matter of time": {poison, DeviceMemory{Sent: 5, Accepted: 5, PillSince: 6}, false},
		"what it was told before has failed, told once more": {power, DeviceMemory{Sent: 9, Failures: 2, InFlight: ha.DeviceOff}, true},
	} {
		t.Run(name, func(t *testing.T) {
			plan := Plan{Levels: [][]Device{{tt.d}, {{Name: "manual"}}}}
			r := &ha.FenceRecord{Node: node, Incarnation: inc, Commanded: []string{"d"}}
			m := Memory{Incarnation: inc, Devices: map[string]DeviceMemory{"d": tt.m}}
			if got := UnderWay(plan, r, m); got != tt.want {
				t.Errorf("got %v", got)
			}
			r.Commanded = nil
			if UnderWay(plan, r, m) {
				t.Error("under way although nothing was asked for")
			}
		})
	}
}

// While something holds a walk, it looks and proves and tells no device anything; its levels keep their time.
func TestHeldWalk(t *testing.T) {
	b := newBench(t, true, "bmc")
	b.in.Facts.Held = "it waits"
	for range 80 {
		b.step(time.Second, b.read("bmc", ha.PowerOn))
		if len(b.offs) != 0 || b.in.Record.Level != 0 || Begun(b.in.Record) {
			t.Fatalf("commands %v, record %+v", b.offs, b.in.Record)
		}
	}
	if b.in.Record.Held != "it waits" || b.in.Record.Problem == "" {
		t.Fatalf("record %+v", b.in.Record)
	}
	b.in.Facts.Held = ""
	b.step(0)
	if len(b.offs) != 1 || !Begun(b.in.Record) || b.in.Record.Held != "" || b.in.Record.Level != 0 {
		t.Fatalf("commands %v, record %+v", b.offs, b.in.Record)
	}
	held := newBench(t, true, "bmc")
	held.in.Facts.Held = "it waits"
	held.step(time.Second, held.read("bmc", ha.PowerOff))
	held.step(time.Second, held.read("bmc", ha.PowerOff))
	if len(held.proof) != 1 || held.in.Record.Held != "" {
		t.Fatalf("proofs %v, record %+v", held.proof, held.in.Record)
	}
}
