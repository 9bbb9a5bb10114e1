package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"bascule/tests/lab/bmc"
	"bascule/tests/lab/netsw"
)

// Command is the body of every request that changes something. Each operation reads the fields it needs.
type Command struct {
	Node   string        `json:"node,omitempty"`
	From   string        `json:"from,omitempty"`    // cut, heal, link: only what comes from there
	OneWay bool          `json:"one_way,omitempty"` // cut: Node hears nothing, what it says still arrives
	Fault  string        `json:"fault,omitempty"`   // bmc, pve, storage
	Store  string        `json:"store,omitempty"`   // storage: its name
	VMID   int           `json:"vmid,omitempty"`    // operator
	Action string        `json:"action,omitempty"`  // operator
	Role   string        `json:"role,omitempty"`    // signal
	Signal string        `json:"signal,omitempty"`  // signal
	Delay  time.Duration `json:"delay,omitempty"`   // link, for datagrams; power-on: how long this boot takes, 0: Options.BootTime
	Loss   float64       `json:"loss,omitempty"`    // link, for datagrams; 0 to 1
	Port   int           `json:"port,omitempty"`    // port
}

// Done is the answer to a Command.
type Done struct {
	At     time.Time `json:"at"` // when it took effect
	Detail string    `json:"detail,omitempty"`
	Error  string    `json:"error,omitempty"`
}

// WorldStatus is the physical truth, as the world has it.
type WorldStatus struct {
	Options  Options                  `json:"options"`
	Cuts     []string                 `json:"cuts"` // cut links "a->b", isolated nodes "a"
	Counters map[string]netsw.Counter `json:"counters"`
	Nodes    []NodeStatus             `json:"nodes"`
}

// NodeStatus is one node's part of it.
type NodeStatus struct {
	Name     string         `json:"name"`
	Power    string         `json:"power"` // off, dying, booting, on
	BootID   string         `json:"boot_id"`
	BMC      string         `json:"bmc,omitempty"` // its fault, or clear; empty without a BMC
	Watchdog time.Duration  `json:"watchdog"`      // its time-out while it is armed, else 0
	Quorate  bool           `json:"quorate"`       // by the simulated corosync
	Daemons  map[string]int `json:"daemons"`       // role → pid
}

// errUnknownNode is answered with 404.
var errUnknownNode = errors.New("the lab has no such node")

// serveControl opens the control socket.
func (w *World) serveControl() error {
	path := w.layout.socket()
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("the control socket cannot be made: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("the control socket cannot be made: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(rw http.ResponseWriter, _ *http.Request) { reply(rw, http.StatusOK, w.status()) })
	for name, operation := range map[string]func(Command) (string, error){
		"power-off": w.powerOff, "power-on": w.powerOn,
		"cut": w.cut, "heal": w.heal, "link": w.link, "etcd": w.etcd, "port": w.port,
		"bmc": w.bmcFault, "pve": w.pveFault, "storage": w.storageFault, "operator": w.operator, "signal": w.signal,
		"down": w.askDown,
	} {
		mux.HandleFunc("POST /"+name, carryOut(operation))
	}
	w.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	w.wg.Go(func() { _ = w.server.Serve(l) }) // ends with ErrServerClosed
	return nil
}

// carryOut wraps an operation: it decodes the command, notes the moment before, and answers.
func carryOut(operation func(Command) (string, error)) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		var c Command
		if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
			reply(rw, http.StatusBadRequest, Done{Error: fmt.Sprintf("the command is not valid JSON: %v", err)})
			return
		}
		done := Done{At: time.Now()}
		var err error
		done.Detail, err = operation(c)
		status := http.StatusOK
		if err != nil {
			done.Error, status = err.Error(), http.StatusConflict
		}
		if errors.Is(err, errUnknownNode) {
			status = http.StatusNotFound
		}
		reply(rw, status, done)
	}
}

func reply(rw http.ResponseWriter, status int, body any) {
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(status)
	_ = json.NewEncoder(rw).Encode(body) // a client that has gone cannot be told
}

func (w *World) node(name string) (*node, error) {
	if n, ok := w.nodes[name]; ok {
		return n, nil
	}
	return nil, fmt.Errorf("%w as %q; it has %v", errUnknownNode, name, w.opt.machines())
}

func (w *World) powerOff(c Command) (string, error) {
	n, err := w.node(c.Node)
	if err != nil {
		return "", err
	}
	if n.is() == stateOff {
		return "was off", nil
	}
	return "nothing of it runs any more", n.PowerOff()
}

func (w *World) powerOn(c Command) (string, error) {
	n, err := w.node(c.Node)
	if err != nil {
		return "", err
	}
	boot := w.opt.BootTime
	if c.Delay > 0 {
		boot = c.Delay
	}
	return "it boots in " + boot.String(), n.powerOn(boot)
}

func (w *World) bmcFault(c Command) (string, error) {
	n, err := w.node(c.Node)
	if err != nil {
		return "", err
	}
	if n.bmc == nil {
		return "", fmt.Errorf("%s has no BMC: this lab was started with --fencing %s", c.Node, w.opt.Fencing)
	}
	fault, err := bmc.ParseFault(c.Fault)
	if err != nil {
		return "", err
	}
	n.bmc.SetFault(fault)
	return fault.String(), nil
}

// The faults of a node's Proxmox: its API accepts connections and does not answer, or its token has lost a privilege.
const (
	pveFreeze    = "freeze"
	pveWeakToken = "weak-token"
	pveClear     = "clear"
)

// lostPrivilege is what a weakened token lacks.
const lostPrivilege = "VM.PowerMgmt"

// pveFault sets one fault of a node's Proxmox, or clears all.
func (w *World) pveFault(c Command) (string, error) {
	n, err := w.node(c.Node)
	if err != nil {
		return "", err
	}
	switch c.Fault {
	case pveFreeze:
		w.pve.Freeze(n.name, true)
	case pveWeakToken:
		w.pve.SetPrivileges(tokenRole+n.name, slices.DeleteFunc(slices.Clone(privileges), func(p string) bool { return p == lostPrivilege })...)
	case pveClear:
		w.pve.Freeze(n.name, false)
		w.pve.SetPrivileges(tokenRole+n.name, privileges...)
	default:
		return "", fmt.Errorf("PVE fault %q: write %s, %s or %s", c.Fault, pveFreeze, pveWeakToken, pveClear)
	}
	w.events.add(EventPVE, n.name, c.Fault)
	return c.Fault, nil
}

// askDown lets Run end after the answer is out.
func (w *World) askDown(Command) (string, error) {
	w.once.Do(func() { close(w.down) })
	return "the lab is going down", nil
}

func (w *World) status() WorldStatus {
	s := WorldStatus{Options: w.opt, Cuts: w.network.Cuts(), Counters: w.network.Counters()}
	for _, name := range w.opt.machines() {
		n := w.nodes[name]
		st := NodeStatus{Name: name, Watchdog: n.watchdog.armed(), Quorate: !n.witness() && w.pve.Quorate(name), Daemons: map[string]int{}}
		if n.bmc != nil {
			st.BMC = n.bmc.Fault().String()
		}
		n.mu.Lock()
		st.Power, st.BootID = string(n.state), n.bootID
		life := n.life
		n.mu.Unlock()
		for _, p := range w.opt.programs(name) {
			if life != nil {
				st.Daemons[p.Role] = life.pid(p.Role)
			}
		}
		s.Nodes = append(s.Nodes, st)
	}
	return s
}
