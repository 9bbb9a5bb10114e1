package ha

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestProofCovers(t *testing.T) {
	at := time.Unix(0, 0)
	power := NewProof(PowerOffConfirmed, "n2", "b", nil, "", at)
	ceph := NewProof(StorageRevoked, "n2", "b", []string{"ceph"}, "", at)
	for _, c := range []struct {
		name     string
		p        Proof
		h        Holder
		storages []string
		want     bool
	}{
		{"power", power, Holder{Node: "n2", Incarnation: "b"}, []string{"local"}, true},
		{"another boot", power, Holder{Node: "n2", Incarnation: "c"}, nil, false},
		{"another node", power, Holder{Node: "n3", Incarnation: "b"}, nil, false},
		{"zero proof", Proof{}, Holder{}, nil, false},
		{"storage", ceph, Holder{Node: "n2", Incarnation: "b"}, []string{"ceph"}, true},
		{"one disk elsewhere", ceph, Holder{Node: "n2", Incarnation: "b"}, []string{"ceph", "nfs"}, false},
		{"no disks known", ceph, Holder{Node: "n2", Incarnation: "b"}, nil, false},
	} {
		if got := c.p.Covers(c.h, c.storages); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	b, err := json.Marshal(ceph)
	if err != nil {
		t.Fatal(err)
	}
	var back Proof
	if err := json.Unmarshal(b, &back); err != nil || back.Kind() != StorageRevoked || !back.Covers(Holder{Node: "n2", Incarnation: "b"}, []string{"ceph"}) {
		t.Fatalf("%v %+v", err, back)
	}
	if err := json.Unmarshal([]byte(`{"kind":"NewBoot","node":"n2"}`), &back); !errors.Is(err, ErrBadProof) {
		t.Fatalf("a proof about no incarnation was read: %v", err)
	}
}

func TestMayReassignNeedsEveryHolder(t *testing.T) {
	g := &GuestRecord{Holders: []Holder{{Node: "n2", Incarnation: "b", Generation: 4}, {Node: "n3", Incarnation: "c", Generation: 5}}}
	proofs := []Proof{NewProof(NewBoot, "n2", "b", nil, "", time.Time{})}
	if h, ok := MayReassign(g, proofs, func(Holder) bool { return false }); ok || h.Node != "n3" {
		t.Fatalf("%v %v", h, ok)
	}
	if _, ok := MayReassign(g, proofs, func(h Holder) bool { return h.Node == "n3" }); !ok {
		t.Fatal("all holders are covered")
	}
}

func TestProfilesAreSoundAndBrokenOnesAreNamed(t *testing.T) {
	for _, name := range []string{"", "fast", "normal", "patient"} {
		p, err := Profile(name)
		if err != nil || p.Check() != nil {
			t.Fatalf("%s: %v %v", name, err, p.Check())
		}
		if p.PermitDeadline(0) >= Instant(p.LeaseTTL) || p.QuietTime(0) <= p.LeaseTTL || p.SelfFence() <= p.WatchdogTimeout {
			t.Fatalf("%s: derived waits are too short", name)
		}
	}
	if _, err := Profile("eager"); !errors.Is(err, ErrTiming) {
		t.Fatal(err)
	}
	for field, change := range map[string]func(*Timing){
		"lease_ttl":        func(t *Timing) { t.LeaseTTL = 1500 * time.Millisecond },
		"device_timeout":   func(t *Timing) { t.DeviceTimeout = t.LeaseTTL },
		"etcd_election":    func(t *Timing) { t.EtcdElection = t.LeaseTTL },
		"watchdog_feed":    func(t *Timing) { t.WatchdogFeed = t.WatchdogTimeout },
		"off_read_gap":     func(t *Timing) { t.OffReadGap = time.Millisecond },
		"gossip_timeout":   func(t *Timing) { t.GossipTimeout = t.GossipProbe },
		"etcd_heartbeat":   func(t *Timing) { t.EtcdHeartbeat = t.EtcdElection },
		"must be positive": func(t *Timing) { t.RenewEvery = 0 },
	} {
		p, _ := Profile("normal")
		change(&p)
		if err := p.Check(); !errors.Is(err, ErrTiming) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestDecodeSnapshot(t *testing.T) {
	kv := func(k string, v any, create, mod int64) KV {
		return KV{Key: k, Value: Encode(v), CreateRev: create, ModRev: mod}
	}
	s, errs := DecodeSnapshot(50, []KV{
		kv(KeyLeader, LeaderRecord{Node: "n1"}, 40, 40), kv(KeyLease("n1"), LeaseRecord{Node: "n1"}, 1, 2), kv(KeyNode("n1"), NodeRecord{Schema: 1}, 1, 3),
		kv(KeyGuest(101), GuestRecord{Schema: 1, ID: 101}, 1, 4), kv(KeyGuestReport("n1", 101), GuestReport{Guest: 101}, 1, 5),
		kv(KeyFence("n2"), FenceRecord{Schema: Schema + 1}, 1, 6), kv(KeyRequest("r"), Request{ID: "r"}, 1, 7), kv(KeyOnboot(101), OnbootRecord{Old: true}, 1, 8),
		{Key: "event/1"}, {Key: "future/thing"}, {Key: "guest/abc", Value: []byte("{}")}, {Key: "report/n3", Value: []byte("{")},
	})
	if s.Term != 40 || s.Leader.Node != "n1" || s.Guests[101].Rev != 4 || s.GuestReports["n1"][101].Rev != 5 || !s.Onboot[101].Rec.Old ||
		s.NewerSchema != "fence/n2" || len(s.Events) != 1 || s.Requests["r"].Rev != 7 {
		t.Fatalf("%+v", s)
	}
	if len(errs) != 2 || !strings.Contains(errs[0].Error(), "guest/abc") || !strings.Contains(errs[1].Error(), "report/n3") {
		t.Fatalf("%v", errs)
	}
}
