package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Options says what lab to build. The zero value of each field has a default.
type Options struct {
	Dir         string        `json:"dir"`         // default .halab
	Nodes       int           `json:"nodes"`       // 1 to MaxNodes; default 3
	Guests      int           `json:"guests"`      // protected guests, spread over the nodes; default 6, -1 for none
	Pile        int           `json:"pile"`        // protected guests more, all of them on the last node
	GuestTick   time.Duration `json:"guest_tick"`  // how often a guest writes its line; default 200 ms
	Unprotected bool          `json:"unprotected"` // one guest more, without the tag
	Witness     bool          `json:"witness"`     // one machine more, which only votes for the store: no Proxmox VE, no guests, no fencing
	QDevice     bool          `json:"qdevice"`     // the witness also gives corosync one vote, as a QDevice
	Storages    bool          `json:"storages"`    // a second shared storage, with half of the guests on it
	Corosync    string        `json:"corosync"`    // default or tuned: how long /etc/pve blocks when a node dies
	Timing      string        `json:"timing"`      // Bascule's profile: fast, normal, patient; default normal
	Fencing     string        `json:"fencing"`     // how nodes are fenced: redfish, ipmi, sbd, watchdog; default redfish
	Watchdog    string        `json:"watchdog"`    // the guards' driver: lab (the simulated device) or none; default lab
	Bin         string        `json:"bin"`         // directory of basculed and hactl; default bin
	BootTime    time.Duration `json:"boot_time"`   // from power-on to the first process; default 3 s
	Stagger     time.Duration `json:"stagger"`     // how long after each other the nodes are switched on at first; default 0
	OffTime     time.Duration `json:"off_time"`    // a BMC's own time for ForceOff; default 800 ms
	Octet       int           `json:"octet"`       // N in 127.N.x.y; default: a free one

	// Executable is the program that becomes the world, and the simulated PVE's workers and guests; it must
	// understand `world --dir DIR`. Default: this program.
	Executable string `json:"executable"`
	// Daemon is the node's software, in the order of its start; default guard and basculed from Bin.
	Daemon []Program `json:"daemon,omitempty"`
	// StartTimeout bounds Up; default 60 s.
	StartTimeout time.Duration `json:"start_timeout"`
	// Progress hears what Up is doing, one line at a time.
	Progress func(line string) `json:"-"`
}

// Program is one process of a node, restarted when it ends, as systemd would.
type Program struct {
	Role string   `json:"role"` // guard or basculed: names its log
	Argv []string `json:"argv"` // {config} is replaced by the path of the node's basculed.yaml
}

func (o Options) withDefaults() (Options, error) {
	o.setDefaults()
	if err := o.check(); err != nil {
		return o, err
	}
	var err error
	if o.Executable == "" {
		if o.Executable, err = os.Executable(); err != nil {
			return o, fmt.Errorf("this program's own file is not known: %w", err)
		}
	}
	for _, path := range []*string{&o.Dir, &o.Bin, &o.Executable} { // whoever starts it may be in another directory
		if *path, err = filepath.Abs(*path); err != nil {
			return o, fmt.Errorf("the path %s cannot be made absolute: %w", *path, err)
		}
	}
	if o.Daemon == nil {
		basculed := filepath.Join(o.Bin, "basculed")
		if _, err := os.Stat(basculed); err != nil {
			return o, fmt.Errorf("there is no basculed to run: %w; build it with `go build -tags lab -o %s ./cmd/...` or name its directory with --bin", err, o.Bin)
		}
		o.Daemon = []Program{
			{Role: "guard", Argv: []string{basculed, "guard", "--config", "{config}"}},
			{Role: "basculed", Argv: []string{basculed, "--config", "{config}"}},
		}
	}
	return o, Layout{Dir: o.Dir}.check()
}

func (o *Options) setDefaults() {
	text := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	number := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	span := func(field *time.Duration, value time.Duration) {
		if *field == 0 {
			*field = value
		}
	}
	text(&o.Dir, ".halab")
	text(&o.Corosync, "default")
	text(&o.Timing, "normal")
	text(&o.Fencing, Redfish)
	text(&o.Watchdog, "lab")
	text(&o.Bin, "bin")
	number(&o.Nodes, 3)
	number(&o.Guests, 6)
	span(&o.BootTime, 3*time.Second)
	span(&o.OffTime, 800*time.Millisecond)
	span(&o.GuestTick, 200*time.Millisecond)
	span(&o.StartTimeout, time.Minute)
	if o.Guests < 0 {
		o.Guests = 0
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
}

func (o Options) check() error {
	one := func(flag, value string, of ...string) error {
		for _, v := range of {
			if v == value {
				return nil
			}
		}
		return fmt.Errorf("--%s %s: write one of %v", flag, value, of)
	}
	if o.Nodes < 1 || o.Nodes > MaxNodes {
		return fmt.Errorf("--nodes %d: a lab has 1 to %d nodes", o.Nodes, MaxNodes)
	}
	if o.Pile < 0 || max(o.Guests, 0)+o.Pile > MaxGuests {
		return fmt.Errorf("--guests %d --pile %d: a lab has at most %d guests", o.Guests, o.Pile, MaxGuests)
	}
	if o.QDevice && !o.Witness {
		return errors.New("--qdevice: the vote comes from the witness; add --witness")
	}
	if o.Octet < 0 || o.Octet > 254 {
		return fmt.Errorf("octet %d: choose 1 to 254, or 0 for a free one", o.Octet)
	}
	for _, err := range []error{
		one("corosync", o.Corosync, "default", "tuned"),
		one("timing", o.Timing, "fast", "normal", "patient"),
		one("fencing", o.Fencing, Fencings...),
		one("watchdog", o.Watchdog, "lab", "none"),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// layout is where a lab with these options lies.
func (o Options) layout() Layout { return Layout{Dir: o.Dir, Octet: o.Octet} }

// machines lists the nodes, then the witness: everything that has power and runs basculed.
func (o Options) machines() []string {
	out := o.names()
	if o.Witness {
		out = append(out, WitnessName)
	}
	return out
}

// index is a machine's place among them, from 1: the last octet of its addresses.
func (o Options) index(machine string) int { return slices.Index(o.machines(), machine) + 1 }

// programs are what a machine runs: a witness has no guests, and so no guard.
func (o Options) programs(machine string) []Program {
	if machine != WitnessName {
		return o.Daemon
	}
	return slices.DeleteFunc(slices.Clone(o.Daemon), func(p Program) bool { return p.Role == "guard" })
}

// names lists the nodes.
func (o Options) names() []string {
	out := make([]string, o.Nodes)
	for i := range out {
		out[i] = NodeName(i + 1)
	}
	return out
}

// save writes the options where the world, and later halab commands, find them.
func (o Options) save() error {
	data, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		return fmt.Errorf("the lab's settings cannot be encoded: %w", err)
	}
	if err := os.WriteFile(o.layout().settings(), append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("the lab's settings cannot be written: %w", err)
	}
	return nil
}

// loadOptions reads what save wrote.
func loadOptions(dir string) (Options, error) {
	var o Options
	data, err := os.ReadFile(Layout{Dir: dir}.settings())
	if err != nil {
		return o, fmt.Errorf("there is no lab in %s: %w; start one with `halab up`, or name its directory with --dir", dir, err)
	}
	if err := json.Unmarshal(data, &o); err != nil {
		return o, fmt.Errorf("%s is damaged: %w; remove the directory", Layout{Dir: dir}.settings(), err)
	}
	o.Progress = func(string) {}
	return o, nil
}
