package sim

import (
	"io"
	"time"

	"bascule/ha"
)

// World is one run of a spec.
type World struct {
	spec    Spec
	loop    *Loop
	net     *Net
	store   *Store
	gossip  *Gossip
	machine *Machine
	daemons []*Daemon // by host; nil before the first
	files   []*files
	judge   *Judge
	people  people

	spoiled  map[string][]byte // by key: the record that nonsense was written over
	stopped  []bool            // by host: its basculed was stopped in order, nobody starts it again
	old      map[string]bool
	restores bool // the store is restored in this run: only then a view can contradict the one before
	steps    int  // of the nodes' machines
	rounds   int  // of leaders
}

// systemd's pauses before it starts a daemon again.
const (
	restartDaemon = time.Second
	restartGuard  = 100 * time.Millisecond
)

// NewWorld builds a site from its spec; everything is switched on and runs. out receives the readable trace when not nil.
func NewWorld(s Spec, out io.Writer) *World {
	w := &World{spoiled: map[string][]byte{}, spec: s, loop: NewLoop(s.Seed, out), old: map[string]bool{}}
	w.net = NewNet(w.loop)
	w.store = NewStore(w.loop, w.net, s.voters(), s.Timing)
	w.gossip = NewGossip(w.loop, w.net, s.Timing)
	w.machine = NewMachine(w.loop, w.net, s.Timing, s.Hosts, s.Storages, s.Guests)
	w.machine.BootCheck = true
	if s.Token != 0 {
		w.machine.Token = s.Token
	}
	if s.QDevice != "" {
		w.machine.SetQDevice(s.QDevice)
	}
	for _, d := range s.Devices {
		w.machine.AddDevice(d)
	}
	for _, n := range s.Old {
		w.old[n] = true
	}
	w.daemons, w.files, w.stopped = make([]*Daemon, len(s.Hosts)), make([]*files, len(s.Hosts)), make([]bool, len(s.Hosts))
	for i := range w.files {
		w.files[i] = &files{}
	}
	w.judge = newJudge(w)
	w.loop.after = w.judge.look
	for _, h := range w.machine.Hosts() {
		h.OnBoot = w.booted
	}
	w.Audit()
	w.machine.Start()
	for _, c := range s.Commands {
		w.restores = w.restores || c.Verb == "etcd-restore" || c.Verb == "etcd-overwrite"
		w.loop.After(c.At, func() { w.apply(c) })
	}
	return w
}

// booted starts what systemd starts.
func (w *World) booted(h *Host) {
	if !h.spec.Witness {
		h.StartGuard()
	}
	if w.stopped[h.index] {
		return
	}
	inc := h.Inc()
	w.loop.After(w.loop.Between("systemd", 200*time.Millisecond, 2*time.Second), func() {
		if h.Booted() && h.Inc() == inc && !w.running(h) && !w.stopped[h.index] {
			w.startDaemon(h)
		}
	})
}

// running says whether a basculed exists on a host.
func (w *World) running(h *Host) bool {
	return w.daemons[h.index] != nil && w.daemons[h.index].p.Alive()
}

// killDaemon ends basculed; systemd starts it again.
func (w *World) killDaemon(h *Host) {
	d := w.daemons[h.index]
	if d == nil || !d.p.Alive() {
		return
	}
	d.p.Kill()
	inc := h.Inc()
	w.loop.After(restartDaemon, func() {
		if h.Booted() && h.Inc() == inc && !w.running(h) && !w.stopped[h.index] {
			w.startDaemon(h)
		}
	})
}

// stopDaemon stops basculed in order, as systemctl stop does.
func (w *World) stopDaemon(h *Host) {
	w.stopped[h.index] = true
	if d := w.daemons[h.index]; d != nil && d.p.Alive() {
		d.leave(func() {
			d.p.Kill()
			if !w.stopped[h.index] && h.Booted() && !w.running(h) { // started again while it was still stopping
				w.startDaemon(h)
			}
		})
	}
}

// startAgain is systemctl start.
func (w *World) startAgain(h *Host) {
	w.stopped[h.index] = false
	if h.Booted() && !w.running(h) {
		w.startDaemon(h)
	}
}

// version is the daemon's that runs on a host: two versions are mixed while an upgrade goes on.
func (w *World) version(h *Host) string {
	if w.old[h.Name] {
		return "1"
	}
	return "2"
}

// clients are the addresses from which a host's boot writes to shared storages.
func (w *World) clients(h *Host) []string { return h.Clients() }

// told notes a stored transition.
func (w *World) told(d *Daemon, t ha.Transition) {
	w.loop.Logf(d.h.Name, "%s: %s -> %s (%s)", t.Subject, t.From, t.To, t.Reason)
	w.judge.told(t)
}

// inOrderFor is how long everything must have been in order before a run is over before its time.
const inOrderFor = 10 * time.Second

// Run runs the world to its end and returns the judge's findings: to the end of the faults, then until everything has been in order for a
// while, at most for the settling time.
func (w *World) Run() Result {
	w.loop.Run(w.spec.Length)
	if w.loop.halt {
		return w.judge.result()
	}
	w.calm()
	since := w.loop.Now()
	for end := w.spec.Length + w.spec.Settle; w.loop.Now() < end && !w.loop.halt; {
		w.loop.Run(min(end, w.loop.Now()+inOrderFor/4))
		if len(w.judge.stuck()) > 0 {
			since = w.loop.Now()
		} else if w.loop.Now()-since >= inOrderFor {
			break
		}
	}
	if !w.loop.halt {
		w.judge.end()
	}
	return w.judge.result()
}
