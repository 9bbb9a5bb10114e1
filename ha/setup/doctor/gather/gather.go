package gather

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/setup/doctor"
)

// Source is where a node's facts come from. What is nil is not looked at.
type Source struct {
	Config      *config.Config
	Root        string           // prefix of /sys, /usr and /etc; "" on a real node
	Version     string           // of the basculed that runs; "": none does
	HostReserve int64            // bytes that guests never get
	Now         func() time.Time // the wall clock; nil: time.Now

	ReadPVE   func(ctx context.Context, name string) ([]byte, error) // a file below /etc/pve
	Quorum    func(ctx context.Context) (doctor.Quorum, error)       // what corosync counts
	Guard     func(ctx context.Context) (doctor.Guard, error)
	Token     func(ctx context.Context) (doctor.Token, error)
	Inventory func(ctx context.Context) (ha.Inventory, error)
	Grant     func(device string) string // the command that gives a fencing device's account its rights; "" where there is none
	// Reservations asks a disk of a SAN whether it knows the reservations that fencing needs: doctor.Reservable, or what it lacks. An error: it
	// could not be asked. It changes nothing.
	Reservations func(ctx context.Context, device string) (string, error)
	Marks        func(ctx context.Context) []doctor.Marks                                         // of this node's looks at storages
	Ping         func(ctx context.Context, to ha.NodeName, address string) (time.Duration, error) // gossip's own, over UDP
}

// Gatherer gathers again and again. Its methods are safe for concurrent use.
type Gatherer struct {
	src Source
	now func() time.Time // wall clock

	mu   sync.Mutex
	busy map[string]time.Time // probes that have not come back, and since when
}

// New returns a gatherer.
func New(s Source) *Gatherer {
	if s.Now == nil {
		s.Now = time.Now
	}
	return &Gatherer{src: s, now: s.Now, busy: map[string]time.Time{}}
}

// probe is one look. It returns what is to be noted; an error stands for "it gave nothing".
type probe struct {
	name  string
	limit time.Duration
	look  func(ctx context.Context) (func(*doctor.Facts), error)
}

// Facts runs every probe side by side. It returns after the longest limit at the latest, or when ctx ends.
func (g *Gatherer) Facts(ctx context.Context) doctor.Facts {
	began := g.now()
	f := doctor.Facts{Version: doctor.FactsVersion, Node: g.src.Config.Node, Witness: g.src.Config.Role == config.RoleWitness, Daemon: g.src.Version,
		Timing: g.src.Config.Timing(), HostReserve: g.src.HostReserve, Config: common(g.src.Config)}
	for i := range f.Config.Devices {
		if d := &f.Config.Devices[i]; g.src.Grant != nil {
			d.Grant = g.src.Grant(d.Name)
		}
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, p := range g.probes() {
		wg.Go(func() {
			note, after, err := g.run(ctx, p)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				f.Silent = append(f.Silent, doctor.Silent{Probe: p.name, After: after, Why: err.Error()})
			} else if note != nil {
				note(&f)
			}
		})
	}
	wg.Wait()
	slices.SortFunc(f.Silent, func(a, b doctor.Silent) int { return cmp.Compare(a.Probe, b.Probe) })
	f.At = g.now()
	f.Took = f.At.Sub(began)
	return f
}

// run runs one probe and leaves it alone when its time is over.
func (g *Gatherer) run(ctx context.Context, p probe) (note func(*doctor.Facts), after time.Duration, err error) {
	began := time.Now()
	if since, ok := g.take(p.name, began); !ok {
		return nil, began.Sub(since), fmt.Errorf("it still hangs from an earlier look")
	}
	ctx, cancel := context.WithTimeout(ctx, p.limit)
	type result struct {
		note func(*doctor.Facts)
		err  error
	}
	done := make(chan result, 1)
	go func() {
		defer cancel()
		n, err := p.look(ctx)
		g.give(p.name) // first, or whoever asks again at once would take it for hung
		done <- result{n, err}
	}()
	select {
	case r := <-done:
		return r.note, time.Since(began), r.err
	case <-ctx.Done():
		// A look that ended at the same moment counts.
		select {
		case r := <-done:
			return r.note, time.Since(began), r.err
		default:
		}
		return nil, time.Since(began), fmt.Errorf("did not answer in %s", p.limit)
	}
}

// take begins a probe, or says since when it has not come back.
func (g *Gatherer) take(name string, now time.Time) (since time.Time, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if since, busy := g.busy[name]; busy {
		return since, false
	}
	g.busy[name] = now
	return now, true
}

func (g *Gatherer) give(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.busy, name)
}

// probes lists what is looked at on this node.
func (g *Gatherer) probes() []probe {
	s := g.src
	out := []probe{
		{"certificates", 3 * time.Second, g.certificates},
		{"clock", 2 * time.Second, g.clock},
		{"data_dir", 5 * time.Second, g.disk},
		{"disk speed", 5 * time.Second, g.diskSpeed},
		{"interface", time.Second, g.network},
		{"ports", 12 * time.Second, g.ports},
		{"packet sizes", 18 * time.Second, g.paths},
	}
	if s.Config.Role == config.RoleWitness {
		return out
	}
	out = append(out, probe{"watchdogs", 3 * time.Second, g.watchdogs}, probe{"pve-guests", time.Second, g.bootCheck}, probe{"SAN disks", 2 * time.Second, g.luns})
	if s.ReadPVE != nil {
		out = append(out, probe{"corosync.conf", 5 * time.Second, g.corosync}, probe{"storage.cfg", 5 * time.Second, g.storages})
	}
	if s.Quorum != nil {
		out = append(out, probe{"corosync", 3 * time.Second, noted(s.Quorum, func(f *doctor.Facts, v doctor.Quorum) { f.Quorum = &v })})
	}
	if s.Guard != nil {
		out = append(out, probe{"guard", 2 * time.Second, noted(s.Guard, func(f *doctor.Facts, v doctor.Guard) { f.Guard = &v })})
	}
	if s.Token != nil {
		out = append(out, probe{"token", 15 * time.Second, noted(s.Token, func(f *doctor.Facts, v doctor.Token) { f.Token = &v })})
	}
	if s.Inventory != nil {
		out = append(out, probe{"Proxmox API", 15 * time.Second, noted(s.Inventory, func(f *doctor.Facts, v ha.Inventory) { f.Inventory = &v })})
	}
	if s.Reservations != nil {
		out = append(out, probe{"SAN reservations", 5 * time.Second, g.reservations})
	}
	if s.Marks != nil {
		out = append(out, probe{"marks on storages", 6 * time.Second, g.marks})
	}
	return out
}

// noted makes a probe of a function that gives one value.
func noted[T any](get func(context.Context) (T, error), set func(*doctor.Facts, T)) func(context.Context) (func(*doctor.Facts), error) {
	return func(ctx context.Context) (func(*doctor.Facts), error) {
		v, err := get(ctx)
		if err != nil {
			return nil, err
		}
		return func(f *doctor.Facts) { set(f, v) }, nil
	}
}

// Limit bounds one gathering: the longest probe, and a little.
const Limit = 20 * time.Second
