package lab

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"bascule/tests/lab/bmc"
	"bascule/tests/lab/netsw"
	"bascule/tests/lab/pvesim"
)

// World is the process that owns a lab's hardware. Its methods are what the control socket offers.
type World struct {
	opt     Options
	layout  Layout
	secrets *secrets
	events  *eventLog
	network *netsw.Switch
	pve     *pvesim.Cluster
	nodes   map[string]*node

	claim  net.Listener
	server *http.Server
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	down   chan struct{} // closed when somebody asked for the end
	once   sync.Once
}

// Run is the life of a lab's world: it builds everything in the directory that Up prepared, serves the control
// socket, and takes everything down when asked to or on SIGTERM. It returns when nothing of the lab runs any more.
func Run(dir string) error {
	opt, err := loadOptions(dir)
	if err != nil {
		return err
	}
	events, err := newEventLog(opt.layout().events())
	if err != nil {
		return err
	}
	w := &World{opt: opt, events: events, nodes: map[string]*node{}, down: make(chan struct{})}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	err = w.start()
	if err != nil {
		events.add(EventFailed, "", err.Error())
	} else {
		events.add(EventReady, "", "")
		select {
		case <-w.down:
		case <-stop:
		}
	}
	return errors.Join(err, w.stop())
}

// start builds the lab and boots its nodes.
func (w *World) start() error {
	if err := w.takeOctet(); err != nil {
		return err
	}
	w.layout = w.opt.layout()
	w.events.add(EventProgress, "", fmt.Sprintf("network: 127.%d.0.0/16; making certificates and configurations", w.opt.Octet))
	if err := w.opt.save(); err != nil {
		return err
	}
	var err error
	if w.secrets, err = prepare(w.opt); err != nil {
		return err
	}
	if err := w.buildNetwork(); err != nil {
		return err
	}
	w.events.add(EventProgress, "", "making the simulated Proxmox VE cluster")
	if err := w.buildPVE(); err != nil {
		return err
	}
	if err := w.buildSBD(); err != nil {
		return err
	}
	for _, name := range w.opt.machines() {
		if err := w.buildNode(name); err != nil {
			return err
		}
	}
	if err := w.serveControl(); err != nil {
		return err
	}
	w.wg.Go(w.watchProcesses)
	w.events.add(EventProgress, "", "switching the nodes on: "+strings.Join(w.opt.machines(), ", "))
	for i, name := range w.opt.machines() {
		n := w.nodes[name]
		n.power.Lock()
		n.startBoot(time.Duration(i) * w.opt.Stagger)
		n.power.Unlock()
	}
	return nil
}

func (w *World) buildNetwork() error {
	opt := netsw.Options{
		TCPPorts: []int{PortEtcdClient, PortEtcdPeer, PortGossip, PortAPI},
		UDPPorts: []int{PortGossip},
		Owner:    newOwners(w.opt.Dir).ofSocket,
		Log:      log.Printf,
	}
	for _, name := range w.opt.machines() {
		i := w.opt.index(name)
		opt.Nodes = append(opt.Nodes, netsw.Node{Name: name, Public: w.layout.Public(i), Bind: w.layout.Bind(i)})
	}
	var err error
	if w.network, err = netsw.New(opt); err != nil {
		return err
	}
	for _, name := range w.opt.machines() {
		if err := w.network.SetPower(name, false); err != nil {
			return err
		}
	}
	return nil
}

func (w *World) buildNode(name string) error {
	i := w.opt.index(name)
	n := &node{world: w, name: name, dir: w.layout.NodeDir(name), state: stateOff}
	var err error
	if n.watchdog, err = newWatchdog(w.layout.Node(name, "watchdog.sock"), func() { n.reset("its watchdog fired") }); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	w.nodes[name] = n
	if n.witness() || w.opt.Fencing != Redfish && w.opt.Fencing != IPMI {
		return nil
	}
	at := w.layout.BMC(i).String()
	n.bmc, err = bmc.New(bmc.Options{
		Address: net.JoinHostPort(at, fmt.Sprint(PortBMC)), IPMIAddress: net.JoinHostPort(at, fmt.Sprint(PortIPMI)),
		Node: name, UUID: w.secrets.systemUUIDs[name],
		User: bmcUser, Password: w.secrets.bmcPassword, Certificate: w.secrets.bmcCerts[name].TLS,
		Machine: n, OffTime: w.opt.OffTime,
		Event: func(kind, detail string) { w.events.add(kind, name, detail) },
	})
	return err
}

// networkChanged tells the simulated corosync what the switch does.
func (w *World) networkChanged(detail string) {
	w.events.add(EventNetwork, "", detail)
	w.pve.NetworkChanged(w.network.Reachable)
}

// controlGrace is how long the answers to the last commands may take.
const controlGrace = 2 * time.Second

// stop ends everything, in the order in which nothing can start anything else any more. What did not exist yet is skipped.
func (w *World) stop() error {
	var errs []error
	w.cancel()
	if w.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), controlGrace)
		defer cancel()
		errs = append(errs, w.server.Shutdown(ctx))
	}
	for _, name := range slices.Sorted(nodeNames(w.nodes)) {
		n := w.nodes[name]
		n.power.Lock()
		n.stopLife()
		errs = append(errs, n.kill())
		n.power.Unlock()
	}
	if w.pve != nil {
		w.pve.Close() // waits for its workers, which are dead now
	}
	w.wg.Wait()
	for _, n := range w.nodes {
		if n.bmc != nil {
			errs = append(errs, n.bmc.Close())
		}
		n.watchdog.close()
	}
	if w.network != nil {
		errs = append(errs, w.network.Close())
	}
	if w.claim != nil {
		errs = append(errs, w.claim.Close())
	}
	return errors.Join(errs...)
}
