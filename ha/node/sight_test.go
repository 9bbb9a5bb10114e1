package node

import (
	"slices"
	"testing"
	"time"

	"bascule/ha"
)

// TestSightStates: what a row of looks makes of a storage.
func TestSightStates(t *testing.T) {
	good, fails := ha.StorageLook{}, ha.StorageLook{Problem: "input/output error"}
	hangs := ha.StorageLook{Hung: true, Problem: "no answer for 5s"}
	none := ha.StorageLook{Skipped: true, Problem: "nothing to read"}
	for _, c := range []struct {
		name  string
		looks []ha.StorageLook
		want  ha.StorageState
		since int // which look began the state, from 0
	}{
		{"one good look", []ha.StorageLook{good}, ha.StorageGood, 0},
		{"good stays good since the first", []ha.StorageLook{good, good, good}, ha.StorageGood, 0},
		{"a hiccup", []ha.StorageLook{good, fails}, ha.StorageDoubtful, 1},
		{"a hiccup is over", []ha.StorageLook{good, fails, good}, ha.StorageGood, 2},
		{"hiccups that are not in a row", []ha.StorageLook{fails, good, fails, good, hangs}, ha.StorageDoubtful, 4},
		{"two in a row", []ha.StorageLook{good, fails, fails}, ha.StorageBad, 2},
		{"it goes on", []ha.StorageLook{good, fails, fails, fails, fails}, ha.StorageBad, 2},
		{"from the beginning", []ha.StorageLook{fails, fails}, ha.StorageBad, 1},
		{"two that hang", []ha.StorageLook{good, hangs, hangs}, ha.StorageHung, 2},
		{"one hangs, then errors", []ha.StorageLook{good, hangs, fails}, ha.StorageBad, 2},
		{"errors, then it hangs", []ha.StorageLook{fails, fails, hangs}, ha.StorageHung, 2},
		{"it comes back at once", []ha.StorageLook{hangs, hangs, hangs, good}, ha.StorageGood, 3},
		{"nobody can look", []ha.StorageLook{none}, "", 0},
		{"nobody can look any more", []ha.StorageLook{fails, fails, none}, "", 2},
		{"fails do not add up over that", []ha.StorageLook{fails, none, fails}, ha.StorageDoubtful, 2},
	} {
		var s Sight
		at := func(i int) time.Time { return time.Date(2026, 5, 1, 12, 0, i, 0, time.UTC) }
		for i, l := range c.looks {
			s = s.After(l, at(i))
		}
		if s.State != c.want || !s.Since.Equal(at(c.since)) {
			t.Errorf("%s: %q since %v, want %q since %v", c.name, s.State, s.Since, c.want, at(c.since))
		}
		if lost := c.want == ha.StorageBad || c.want == ha.StorageHung; s.State.Lost() != lost {
			t.Errorf("%s: lost %v", c.name, s.State.Lost())
		}
		if (s.Problem == "") != (s.State == ha.StorageGood) {
			t.Errorf("%s: %q with the problem %q", c.name, s.State, s.Problem)
		}
	}
}

// TestSightSlow: three slow looks in a row are told; a slow one that fails is none, and one that is quick ends it.
func TestSightSlow(t *testing.T) {
	slow, quick := ha.StorageLook{Took: slowLook, Notes: []string{"x"}}, ha.StorageLook{Took: slowLook - 1, Notes: []string{"x"}}
	fails := ha.StorageLook{Problem: "input/output error", Took: slowLook}
	for _, c := range []struct {
		looks []ha.StorageLook
		told  bool
	}{
		{[]ha.StorageLook{slow, slow}, false},
		{[]ha.StorageLook{slow, slow, slow}, true},
		{[]ha.StorageLook{slow, slow, slow, slow}, true},
		{[]ha.StorageLook{slow, slow, quick, slow, slow}, false},
		{[]ha.StorageLook{slow, slow, fails, slow}, false},
		{[]ha.StorageLook{slow, slow, slow, fails}, false},
		{[]ha.StorageLook{slow, slow, slow, quick}, false},
	} {
		var s Sight
		for _, l := range c.looks {
			s = s.After(l, time.Time{})
		}
		last := c.looks[len(c.looks)-1]
		if told := slices.Contains(s.Notes, slowNote); told != c.told || len(last.Notes) > 0 && s.Notes[0] != "x" || len(last.Notes) > 1 {
			t.Errorf("%d looks: notes %q, told %v, want %v", len(c.looks), s.Notes, told, c.told)
		}
		if last.Problem == "" && s.State != ha.StorageGood {
			t.Errorf("slow is %q", s.State)
		}
	}
}

// TestSightPause: a storage in doubt is looked at again soon.
func TestSightPause(t *testing.T) {
	tm, _ := ha.Profile("normal")
	good := Sight{}.After(ha.StorageLook{}, time.Time{})
	doubt := good.After(ha.StorageLook{Problem: "x"}, time.Time{})
	if a, b := good.Next(1000, tm), doubt.Next(1000, tm); a != ha.Instant(1000).Add(tm.StorageEvery()) || b != ha.Instant(1000).Add(tm.StorageAgain()) {
		t.Errorf("next looks at %v and %v", a, b)
	}
}

// TestReportedStorages: Proxmox's word and ours stand side by side; what nobody looked at is as Proxmox has it, and the inventory is not changed.
func TestReportedStorages(t *testing.T) {
	inv := ha.Inventory{Storages: []ha.StorageReport{{Name: "local", Active: true}, {Name: "nfs", Shared: true, Active: true}}}
	paths := &ha.PathCount{Up: 1, All: 2}
	sights := map[string]Sight{"nfs": {State: ha.StorageBad, Since: time.Unix(1700000000, 0), Problem: "stale file handle", Paths: paths}, "gone": {State: ha.StorageGood}}
	r := Config{Self: "n1"}.Report(Circumstances{Inventory: inv, Sights: sights})
	if len(r.Storages) != 2 || r.Storages[0].State != "" || r.Storages[1].State != ha.StorageBad || !r.Storages[1].Active ||
		r.Storages[1].Problem != "stale file handle" || r.Storages[1].Paths != paths || r.Storages[1].Since.IsZero() {
		t.Errorf("reported: %+v", r.Storages)
	}
	if inv.Storages[1].State != "" {
		t.Error("the inventory was changed")
	}
}
