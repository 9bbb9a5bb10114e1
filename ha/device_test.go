package ha

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestDeviceKinds(t *testing.T) {
	for k, want := range map[DeviceKind]struct {
		action DeviceAction
		acts   bool
	}{
		PowerDevice:   {DeviceOff, true},
		StorageDevice: {DeviceRevoke, true},
		PoisonDevice:  {DevicePoison, true},
		ResetDevice:   {DeviceReset, true},
		ManualDevice:  {"", false},
		"":            {"", false},
		"power ":      {"", false},
	} {
		if k.Action() != want.action || k.Acts() != want.acts {
			t.Errorf("%q: %q %v", k, k.Action(), k.Acts())
		}
	}
}

func TestIdentified(t *testing.T) {
	for name, c := range map[string]struct {
		check DeviceCheck
		want  bool
	}{
		"power that matched, failing now":   {DeviceCheck{Incarnation: "b", ReadOn: true, UUIDMatched: true, Problem: "timed out"}, true},
		"power without UUID":                {DeviceCheck{Incarnation: "b", ReadOn: true}, false},
		"power that an operator tested":     {DeviceCheck{Incarnation: "b", ReadOn: true, Confirmed: "ada"}, true},
		"storage looked at without problem": {DeviceCheck{Kind: StorageDevice, Incarnation: "b", ReadOn: true}, true},
		"storage with a problem since":      {DeviceCheck{Kind: StorageDevice, Incarnation: "b", ReadOn: true, Problem: "timed out"}, false},
		"poison never looked at":            {DeviceCheck{Kind: PoisonDevice, Incarnation: "b"}, false},
		"reset service that answered":       {DeviceCheck{Kind: ResetDevice, Incarnation: "b", ReadOn: true}, true},
		"reset service that fails since":    {DeviceCheck{Kind: ResetDevice, Incarnation: "b", ReadOn: true, Problem: "unauthorized"}, false},
		"another boot":                      {DeviceCheck{Kind: PoisonDevice, Incarnation: "a", ReadOn: true}, false},
	} {
		if got := c.check.Identified("b"); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestProofsThatSayTheSame(t *testing.T) {
	a := NewProof(StorageRevoked, "n2", "b", []string{"ceph"}, "by one", time.Unix(1, 0))
	if !a.Same(NewProof(StorageRevoked, "n2", "b", []string{"ceph"}, "by another", time.Unix(2, 0))) {
		t.Error("what people were told matters")
	}
	for _, o := range []Proof{NewProof(PowerOffConfirmed, "n2", "b", []string{"ceph"}, "", time.Time{}), NewProof(StorageRevoked, "n3", "b", []string{"ceph"}, "", time.Time{}),
		NewProof(StorageRevoked, "n2", "c", []string{"ceph"}, "", time.Time{}), NewProof(StorageRevoked, "n2", "b", []string{"ceph", "nfs"}, "", time.Time{}), {}} {
		if a.Same(o) {
			t.Errorf("%+v", o)
		}
	}
	if a.Complete() || (Proof{}).Complete() || !NewProof(PoisonPill, "n2", "b", nil, "", time.Time{}).Complete() {
		t.Error("what covers everything")
	}
	if s := a.Storages(); len(s) != 1 || s[0] != "ceph" {
		t.Errorf("storages %v", s)
	}
}

func TestARecheckMustFitBetweenTwo(t *testing.T) {
	p, _ := Profile("patient")
	p.LeaseTTL, p.DeviceTimeout = 60*time.Second, p.RevokeRecheck()+time.Millisecond
	if err := p.Check(); !errors.Is(err, ErrTiming) || !strings.Contains(err.Error(), "revoked storage") {
		t.Fatal(err)
	}
	if p.MinMsgWait() != 2*p.WatchdogTimeout {
		t.Fatal(p.MinMsgWait())
	}
}
