package lab

import (
	"context"
	"fmt"
	"sync"
	"time"

	"bascule/tests/lab/bmc"
)

// electricity is a node's physical state.
type electricity string

// The physical states. Only in stateOff is nothing of the node running.
const (
	stateOff     electricity = "off"
	stateDying   electricity = "dying"   // power cut, processes being killed
	stateBooting electricity = "booting" // power is on, nothing runs yet
	stateOn      electricity = "on"
)

// node is one machine of the lab: its power, its watchdog, its BMC and the processes that the world starts on it.
type node struct {
	world    *World
	name     string
	dir      string
	watchdog *watchdog
	bmc      *bmc.BMC // nil without fencing

	power sync.Mutex // held through each change of power, so that they do not mix

	mu     sync.Mutex // guards what follows; held only for moments
	state  electricity
	bootID string
	life   *life // the current boot's processes; nil unless on
	boot   context.CancelFunc
	known  []int // its processes as of the last look, for a quick death
}

func (n *node) is() electricity {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.state
}

// witness says whether this machine only votes: it has no Proxmox VE, no guests, no BMC.
func (n *node) witness() bool { return n.name == WitnessName }

func (n *node) become(s electricity) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.state = s
}

// Powered says whether the node has power or anything of it still runs: what an honest BMC reports.
func (n *node) Powered() bool { return n.is() != stateOff }

// PowerOff cuts the power and returns when nothing of the node runs any more. It does nothing to a node that is off.
func (n *node) PowerOff() error {
	n.power.Lock()
	defer n.power.Unlock()
	if n.is() == stateOff {
		return nil
	}
	moment := n.stopLife()
	n.world.events.addAt(moment, EventPowerCut, n.name, "")
	if err := n.kill(); err != nil {
		return err
	}
	n.become(stateOff)
	n.world.events.add(EventPowerOff, n.name, fmt.Sprintf("nothing runs any more after %s", time.Since(moment).Round(100*time.Microsecond)))
	if n.bmc != nil {
		n.bmc.PowerChanged()
	}
	return nil
}

// PowerOn gives power back; the node boots after the lab's boot time. It does nothing to a node that is on.
func (n *node) PowerOn() error { return n.powerOn(n.world.opt.BootTime) }

func (n *node) powerOn(boot time.Duration) error {
	n.power.Lock()
	defer n.power.Unlock()
	switch s := n.is(); s {
	case stateOn, stateBooting:
		return nil
	case stateDying:
		return fmt.Errorf("%s cannot be switched on: processes are left of its last life; see the world's log", n.name)
	}
	n.world.events.add(EventPowerOn, n.name, "")
	if n.bmc != nil {
		n.bmc.PowerChanged()
	}
	n.startBoot(boot)
	return nil
}

// reset is what the watchdog does, or the kernel: everything dies at once and the node boots again; its power stays on, and a BMC says so.
func (n *node) reset(why string) {
	n.power.Lock()
	defer n.power.Unlock()
	if n.is() != stateOn {
		return // the power went first
	}
	moment := n.stopLife()
	n.world.events.addAt(moment, EventReset, n.name, why)
	if n.kill() != nil {
		return // reported
	}
	n.startBoot(n.world.opt.BootTime)
}

// stopLife is the moment of death: from here on nobody hears of the node, and its processes die. It returns that moment.
func (n *node) stopLife() time.Time {
	moment := time.Now()
	_ = n.world.network.SetPower(n.name, false) // fails only for unknown nodes
	n.mu.Lock()
	life := n.life
	n.state, n.life = stateDying, nil
	if n.boot != nil {
		n.boot()
		n.boot = nil
	}
	n.mu.Unlock()
	// The simulated Proxmox waits for the worker that it is just starting, which may be waiting for its death.
	told := make(chan struct{})
	go func() {
		defer close(told)
		n.world.proxmoxPower(n, false)
	}()
	if life != nil {
		life.end()
	}
	_ = killNode(n.dir) // kill looks again
	<-told
	return moment
}

// lookEvery is how often the world looks which processes the nodes have.
const lookEvery = time.Second

// watchProcesses keeps each node's list of known processes, until the world ends.
func (w *World) watchProcesses() {
	for pause(w.ctx, lookEvery) {
		found := markedBelow(w.opt.Dir)
		for _, n := range w.nodes {
			n.mu.Lock()
			n.known = found[n.dir]
			n.mu.Unlock()
		}
	}
}

// killKnown kills what was on the node at the last look, guests first of all: on a busy machine the search that follows takes long
// enough for them to write another line.
func (n *node) killKnown() {
	n.mu.Lock()
	known := n.known
	n.known = nil
	n.mu.Unlock()
	for _, pid := range known {
		killIf(pid, func() bool { return markOf(pid) == n.dir })
	}
}

// kill ends what is left of the node after stopLife, when nothing new can start any more.
func (n *node) kill() error {
	if err := killNode(n.dir); err != nil {
		n.world.events.add(EventNotDead, n.name, err.Error())
		return fmt.Errorf("power cut of %s: %w", n.name, err)
	}
	n.watchdog.powerLost()
	return nil
}

// startBoot lets the node come up after a while. The caller holds power.
func (n *node) startBoot(after time.Duration) {
	ctx, cancel := context.WithCancel(n.world.ctx)
	n.mu.Lock()
	n.state, n.boot = stateBooting, cancel
	n.mu.Unlock()
	n.world.wg.Go(func() {
		defer cancel()
		if !pause(ctx, after) {
			return
		}
		n.power.Lock()
		defer n.power.Unlock()
		if ctx.Err() != nil {
			return // the power went while it booted
		}
		if err := n.come(); err != nil {
			n.world.events.add(EventStartFailed, n.name, err.Error())
		}
	})
}

// come is the end of the boot: a new incarnation, the network, Proxmox, then the node's own software. The caller holds power.
func (n *node) come() error {
	bootID, err := newBoot(n.world.layout, n.name)
	if err != nil {
		return err
	}
	if err := n.world.network.SetPower(n.name, true); err != nil {
		return err
	}
	if err := n.world.proxmoxPower(n, true); err != nil {
		return fmt.Errorf("booting %s: %w", n.name, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.state, n.bootID, n.boot = stateOn, bootID, nil
	n.world.events.add(EventBooted, n.name, "boot id "+bootID)
	n.life = startLife(n)
	n.magicKeys(n.life.ctx)
	return nil
}

// pause waits; it says false if the context ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
