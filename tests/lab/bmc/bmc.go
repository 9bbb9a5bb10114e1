package bmc

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"bascule/fencing/ipmi/ipmitest"
)

// Machine is the node behind the BMC.
type Machine interface {
	// PowerOff ends everything that runs on the node and returns when nothing is left, or with an error that says
	// what is.
	PowerOff() error
	// PowerOn boots the node; it returns at once, or with an error if the node cannot boot.
	PowerOn() error
	// Powered says whether the node has power or anything of it still runs.
	Powered() bool
}

// Options describes one BMC.
type Options struct {
	Address        string // host:port to listen on for Redfish
	IPMIAddress    string // the same for IPMI (UDP); "": it speaks Redfish only
	Node           string
	UUID           string // the system's
	User, Password string
	Certificate    tls.Certificate
	Machine        Machine
	OffTime        time.Duration // from an accepted ForceOff to the power's end; 0 = 800 ms
	OnTime         time.Duration // from an accepted On to the power's return; 0 = 300 ms
	Event          func(kind, detail string)
}

// BMC is one running service.
type BMC struct {
	opt    Options
	server *http.Server
	line   *line
	ipmi   *ipmitest.Server // nil: Redfish only
	done   chan struct{}    // closed by Close
	wg     sync.WaitGroup

	mu       sync.Mutex
	fault    Fault
	changed  chan struct{} // closed and replaced when the fault changes
	pending  string        // "", PoweringOff or PoweringOn
	pretends bool          // reads-off: it has "switched off"
	sessions map[string]string
}

// New starts a BMC. It fails if its address is taken.
func New(opt Options) (*BMC, error) {
	if opt.OffTime == 0 {
		opt.OffTime = 800 * time.Millisecond
	}
	if opt.OnTime == 0 {
		opt.OnTime = 300 * time.Millisecond
	}
	if opt.Event == nil {
		opt.Event = func(string, string) {}
	}
	tcp, err := net.Listen("tcp4", opt.Address)
	if err != nil {
		return nil, fmt.Errorf("the BMC of %s cannot listen on %s: %w; another lab or program holds it", opt.Node, opt.Address, err)
	}
	b := &BMC{opt: opt, done: make(chan struct{}), changed: make(chan struct{}), sessions: map[string]string{}}
	b.line = newLine(tcp, b.connection)
	b.server = &http.Server{
		Handler:           b.handler(),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(discard{}, "", 0), // failed handshakes are the clients' affair
	}
	secured := tls.NewListener(b.line, &tls.Config{Certificates: []tls.Certificate{opt.Certificate}, MinVersion: tls.VersionTLS12})
	if opt.IPMIAddress != "" {
		if err := b.serveIPMI(); err != nil {
			return nil, errors.Join(err, tcp.Close())
		}
	}
	b.wg.Go(func() { _ = b.server.Serve(secured) }) // ends with ErrServerClosed
	return b, nil
}

// discard throws a log away.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// SetFault makes the BMC fail in one way from now on; the zero Fault repairs it.
func (b *BMC) SetFault(f Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault, b.pretends = f, false
	b.wake()
	if b.ipmi != nil {
		password := b.opt.Password
		if f.Kind == WrongPassword {
			password = random(8)
		}
		_ = b.ipmi.SetPassword(password) // the account is there
	}
	b.opt.Event("bmc-fault", f.String())
}

// Fault is the fault that is set.
func (b *BMC) Fault() Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fault
}

// PowerChanged tells the BMC that its node's power changed otherwise than by its own command.
func (b *BMC) PowerChanged() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wake()
}

// wake lets held requests look again. The caller holds mu.
func (b *BMC) wake() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// PowerState is what the BMC reports: On, Off, PoweringOn or PoweringOff.
func (b *BMC) PowerState() string {
	b.mu.Lock()
	pending, kind, pretends := b.pending, b.fault.Kind, b.pretends
	b.mu.Unlock()
	switch {
	case pending != "":
		return pending
	case kind == StuckOff, kind == ReadsOff && pretends:
		return "Off"
	case b.opt.Machine.Powered():
		return "On"
	}
	return "Off"
}

// silent says whether the BMC neither hears nor answers.
func (b *BMC) silent() bool {
	kind := b.Fault().Kind
	return kind == Hang || kind == Refuse || kind == DeadWithNode && !b.opt.Machine.Powered()
}

// waited waits; it says false if the BMC ends meanwhile.
func (b *BMC) waited(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-b.done:
		return false
	}
}

// Close stops the service; a command whose time has not come is forgotten.
func (b *BMC) Close() error {
	close(b.done)
	err := b.server.Close()
	b.line.closeAll()
	if b.ipmi != nil {
		b.ipmi.Close()
	}
	b.wg.Wait()
	if err != nil {
		return fmt.Errorf("stopping the BMC of %s: %w", b.opt.Node, err)
	}
	return nil
}

// command carries out a reset of the given type after the device's own time. It says false when another one is under way.
func (b *BMC) command(reset string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pending != "" {
		return false
	}
	b.opt.Event("bmc-command", reset)
	wait, state, act := b.opt.OffTime, "PoweringOff", b.opt.Machine.PowerOff
	if reset == "On" {
		wait, state, act = b.opt.OnTime, "PoweringOn", b.opt.Machine.PowerOn
	}
	switch b.fault.Kind {
	case SaysDone, StuckOff:
		return true // 204, and nothing happens
	case ReadsOff:
		act = func() error { b.pretend(reset == "ForceOff"); return nil }
	}
	b.pending = state
	b.wg.Go(func() { b.carryOut(reset, wait, act) })
	return true
}

func (b *BMC) carryOut(reset string, wait time.Duration, act func() error) {
	if !b.waited(wait) {
		return
	}
	if err := act(); err != nil {
		b.opt.Event("bmc-failed", fmt.Sprintf("%s: %v", reset, err))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pending = ""
	b.wake()
}

func (b *BMC) pretend(off bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pretends = off
}
