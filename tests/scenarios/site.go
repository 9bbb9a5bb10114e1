package scenarios

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"bascule/ha"
	"bascule/ha/ladder"
	"bascule/tests/sim"
)

// site collects a site block over the defaults: three nodes with a BMC and a hardware watchdog, normal timing, node1 leads at
// the beginning and the voter of node3 leads the store, guests 101 to 106, two per node, on shared storage.
type site struct {
	nodes     int
	witness   bool
	profile   string
	leader    string                   // who leads at the beginning; "": whoever wins
	raft      string                   // whose voter leads the store at the beginning; "": whichever wins
	timing    map[string]time.Duration // waits by their name in the records
	hostWords []hostWord
	storages  []sim.StorageSpec
	defaults  int // guests that every site has, spread over its nodes; -1: two per node
	guests    []guestLine
	noBMC     bool
	devices   []sim.DeviceSpec
	levels    map[string][][]string
	after     []afterWord
	spec      sim.Spec
	wrong     error // what the product would refuse at its start
}

// hostWord is a setting of one node or of all.
type hostWord struct {
	line int
	node string // "all"
	set  func(*sim.HostSpec)
}

// afterWord says what becomes of a node's machine, or of all, after the proof.
type afterWord struct {
	node  string // "all"
	after ladder.After
}

type guestLine struct {
	line  int
	words []string
}

func newSite() *site {
	return &site{nodes: 3, defaults: -1, profile: "normal", leader: "node1", raft: "node3", timing: map[string]time.Duration{}, levels: map[string][][]string{},
		spec: sim.Spec{Seed: 1, Token: 3 * time.Second, MaxRestart: 1, MaxRelocate: 2, ParallelStarts: 3, ParallelMoves: 2, Plans: map[ha.NodeName]ladder.Plan{}, MaxConcurrent: 4, MinHealthy: 51}}
}

// siteWords are the words of a site block, each with what it takes.
var siteWords = map[string]string{
	"nodes": "N", "witness": "(node N+1)", "profile": "fast|normal|patient", "timing": "NAME DURATION", "seed": "N", "token": "DURATION",
	"watchdog": "NODE|all hw|mux|softdog|none", "memory": "NODE|all GIGABYTES", "boot-time": "NODE|all DURATION", "drift": "NODE|all PPM",
	"storage": "NAME shared|local [revocable] [on NODE,NODE]", "isolation": "keep", "guests": "N|none", "guest": "ID on NODE [OPTIONS]", "bmc": "none",
	"device": "NAME power|outlet|storage|poison|reset for NODE [STORAGE ...]", "levels": "NODE: DEVICE [DEVICE] / DEVICE / manual",
	"leader": "NODE|any", "raft": "NODE|any", "restarts": "N", "relocations": "N", "parallel-starts": "N", "parallel-moves": "N", "old-version": "NODE", "qdevice": "NODE|none",
	"storage-looks": "(daemons look at the storages themselves)", "lost-storage": "stay", "max-concurrent": "N", "min-healthy": "PERCENT", "priority-delay": "DURATION", "after": "NODE|all on|stay-off",
}

// line takes one line of the block.
func (t *site) line(n int, f []string) error {
	takes, ok := siteWords[f[0]]
	if !ok {
		return fmt.Errorf("unknown word %q in the site block; it knows: %s", f[0], strings.Join(slices.Sorted(maps.Keys(siteWords)), " "))
	}
	var err error
	switch f[0] {
	case "witness":
		t.witness = true
	case "storage-looks":
		t.spec.Looks = true
	case "guest":
		t.guests = append(t.guests, guestLine{n, f[1:]})
	case "device":
		err = t.device(f[1:])
	case "levels":
		err = t.level(f[1:])
	case "storage":
		err = t.storage(f[1:])
	default:
		err = t.setting(n, f)
	}
	if err != nil {
		return fmt.Errorf("%s takes: %s: %w", f[0], takes, err)
	}
	return nil
}

// setting is a word with one or two arguments.
func (t *site) setting(n int, f []string) error {
	want := 2
	switch f[0] {
	case "timing", "watchdog", "memory", "boot-time", "drift", "after":
		want = 3
	}
	if len(f) != want {
		return fmt.Errorf("%d words follow, not %d", want-1, len(f)-1)
	}
	last := f[len(f)-1]
	num, numErr := strconv.Atoi(last)
	dur, durErr := time.ParseDuration(last)
	s := &t.spec
	switch f[0] {
	case "nodes":
		t.nodes = num
		if num < 1 || num > 32 {
			return fmt.Errorf("from 1 to 32 nodes")
		}
	case "profile":
		t.profile = last
	case "timing":
		t.timing[f[1]] = dur
	case "seed":
		s.Seed = uint64(num)
	case "token":
		s.Token = dur
	case "watchdog":
		return t.watchdog(n, f[1], last)
	case "memory":
		t.hostWord(n, f[1], func(h *sim.HostSpec) { h.Memory = int64(num) << 30 })
	case "boot-time":
		t.hostWord(n, f[1], func(h *sim.HostSpec) { h.BootTime = dur })
	case "drift":
		t.hostWord(n, f[1], func(h *sim.HostSpec) { h.PPM = int64(num) })
	case "guests":
		t.defaults = num
		if last != "none" && (numErr != nil || num < 1 || num > maxGuests) {
			return fmt.Errorf("from 1 to %d guests, or none", maxGuests)
		}
		return nil
	case "bmc":
		if last != "none" {
			return fmt.Errorf("%q", last)
		}
		t.noBMC = true
	case "isolation":
		if last != "keep" {
			return fmt.Errorf("%q", last)
		}
		s.Keep = true
	case "lost-storage":
		if last != "stay" {
			return fmt.Errorf("%q", last)
		}
		s.Stay = true
	case "restarts":
		s.MaxRestart = num
	case "relocations":
		s.MaxRelocate = num
	case "parallel-starts":
		s.ParallelStarts = num
	case "parallel-moves":
		s.ParallelMoves = num
	case "max-concurrent":
		s.MaxConcurrent = num
	case "min-healthy":
		s.MinHealthy = num
	case "priority-delay":
		s.PriorityDelay = dur
	case "after":
		if last != string(ladder.SwitchOn) && last != string(ladder.StayOff) {
			return fmt.Errorf("%q", last)
		}
		t.after = append(t.after, afterWord{f[1], ladder.After(last)})
	case "old-version":
		s.Old = append(s.Old, last)
	case "qdevice":
		s.QDevice = last
	case "leader":
		t.leader = last
	case "raft":
		t.raft = last
	}
	switch f[0] {
	case "timing", "token", "boot-time", "priority-delay":
		return durErr
	case "nodes", "seed", "memory", "drift", "restarts", "relocations", "parallel-starts", "parallel-moves", "max-concurrent", "min-healthy":
		return numErr
	}
	return nil
}

func (t *site) hostWord(n int, node string, set func(*sim.HostSpec)) {
	t.hostWords = append(t.hostWords, hostWord{n, node, set})
}

func (t *site) watchdog(n int, node, kind string) error {
	if !slices.Contains([]string{"hw", "mux", "softdog", "none"}, kind) {
		return fmt.Errorf("%q", kind)
	}
	if kind == "none" {
		kind = ""
	}
	t.hostWord(n, node, func(h *sim.HostSpec) { h.Watchdog = kind })
	return nil
}

func (t *site) storage(f []string) error {
	if len(f) < 2 || f[1] != "shared" && f[1] != "local" {
		return fmt.Errorf("%q", strings.Join(f, " "))
	}
	d := sim.StorageSpec{Name: f[0], Shared: f[1] == "shared"}
	for i := 2; i < len(f); i++ {
		switch {
		case f[i] == "revocable":
			d.Revocable = true
		case f[i] == "on" && i+1 < len(f):
			i++
			d.Nodes = strings.Split(f[i], ",")
		default:
			return fmt.Errorf("%q", f[i])
		}
	}
	t.storages = append(t.storages, d)
	return nil
}

// override puts waits of the site over the profile's, by their names in the records; what breaks an inequality is refused as the
// product refuses it.
func (t *site) override(base ha.Timing) (ha.Timing, error) {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(ha.Encode(base), &fields); err != nil {
		return base, err
	}
	for _, name := range slices.Sorted(maps.Keys(t.timing)) {
		if _, ok := fields[name]; !ok {
			return base, fmt.Errorf("timing %s: there is no such wait; there are: %s", name, strings.Join(slices.Sorted(maps.Keys(fields)), " "))
		}
		fields[name] = ha.Encode(t.timing[name])
	}
	var out ha.Timing
	if err := json.Unmarshal(ha.Encode(fields), &out); err != nil {
		return base, err
	}
	t.wrong = out.Check()
	return out, nil
}
