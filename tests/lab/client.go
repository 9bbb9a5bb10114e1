package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"time"
)

// Lab is a running lab, seen from outside its world. Its methods may be called from any goroutine and any process.
type Lab struct {
	Layout
	Options Options
	control *http.Client
	apis    map[string]*http.Client // by node
}

// Open connects to the lab in a directory. It fails if there is none, or if its world does not answer.
func Open(dir string) (*Lab, error) {
	l, err := attach(dir)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, err := l.Status(ctx); err != nil {
		return nil, fmt.Errorf("the lab in %s does not answer: %w; clean up with `halab down --dir %s`", l.Dir, err, l.Dir)
	}
	return l, nil
}

// OpenOffline is Open for a lab that may be down: only what lies in its directory can be read.
func OpenOffline(dir string) (*Lab, error) { return attach(dir) }

// attach reads the lab's settings and connects to nothing yet.
func attach(dir string) (*Lab, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("the path %s cannot be made absolute: %w", dir, err)
	}
	o, err := loadOptions(abs)
	if err != nil {
		return nil, err
	}
	o.Dir = abs
	l := &Lab{Layout: o.layout(), Options: o, apis: map[string]*http.Client{}}
	l.control = unixClient(l.socket())
	for _, name := range o.machines() {
		l.apis[name] = unixClient(l.APISocket(name))
	}
	return l, nil
}

// unixClient speaks HTTP over a unix socket, a connection per request, so that a daemon that was restarted is found again.
func unixClient(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		},
	}}
}

// Names lists the lab's nodes.
func (l *Lab) Names() []string { return l.Options.names() }

// Machines lists the lab's nodes, then its witness, if it has one.
func (l *Lab) Machines() []string { return l.Options.machines() }

// Do sends a command to the world. The error is the world's own.
func (l *Lab) Do(ctx context.Context, operation string, c Command) (Done, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return Done{}, fmt.Errorf("encoding a command: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://world/"+operation, bytes.NewReader(body))
	if err != nil {
		return Done{}, fmt.Errorf("%s: %w", operation, err)
	}
	var done Done
	err = call(l.control, req, &done)
	if done.Error != "" {
		return done, fmt.Errorf("%s %s: %s", operation, c.Node, done.Error)
	}
	return done, err
}

// Status asks the world for the physical truth.
func (l *Lab) Status(ctx context.Context) (WorldStatus, error) {
	var s WorldStatus
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://world/status", nil)
	if err != nil {
		return s, fmt.Errorf("asking the world: %w", err)
	}
	return s, call(l.control, req, &s)
}

// errStatus is an answer other than 200.
var errStatus = errors.New("the answer was")

func call(client *http.Client, req *http.Request, into any) error {
	resp, err := client.Do(req)
	if err != nil {
		return err // names the method and the address
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("reading the answer to %s: %w", req.URL.Path, err)
	}
	decodeErr := json.Unmarshal(data, into)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %w %s: %.300s", req.URL.Path, errStatus, resp.Status, data)
	}
	if decodeErr != nil {
		return fmt.Errorf("the answer to %s is not the expected JSON: %w", req.URL.Path, decodeErr)
	}
	return nil
}

// Kill cuts a node's power and returns the moment of the cut, when nothing of the node runs any more.
func (l *Lab) Kill(ctx context.Context, node string) (time.Time, error) {
	_, offset, err := readEvents(l.events(), 0)
	if err != nil {
		return time.Time{}, err
	}
	done, err := l.Do(ctx, "power-off", Command{Node: node})
	if err != nil {
		return done.At, err
	}
	events, _, err := readEvents(l.events(), offset)
	for _, e := range events {
		if e.Kind == EventPowerCut && e.Node == node {
			return e.At(), nil
		}
	}
	return done.At, err
}

// PowerOn gives a node its power back; it boots after Options.BootTime.
func (l *Lab) PowerOn(ctx context.Context, node string) error { return l.PowerOnFor(ctx, node, 0) }

// PowerOnFor is PowerOn with a boot that takes as long as this; 0: Options.BootTime.
func (l *Lab) PowerOnFor(ctx context.Context, node string, boot time.Duration) error {
	_, err := l.Do(ctx, "power-on", Command{Node: node, Delay: boot})
	return err
}

// Cut cuts a node off from another, or from all others if from is empty; oneWay only cuts what the node hears.
func (l *Lab) Cut(ctx context.Context, node, from string, oneWay bool) error {
	_, err := l.Do(ctx, "cut", Command{Node: node, From: from, OneWay: oneWay})
	return err
}

// Heal undoes the cuts of a node, or those between it and another.
func (l *Lab) Heal(ctx context.Context, node, from string) error {
	_, err := l.Do(ctx, "heal", Command{Node: node, From: from})
	return err
}

// Etcd makes the store dead for everybody while network and daemons are well, or lets it live again.
func (l *Lab) Etcd(ctx context.Context, up bool) error {
	_, err := l.Do(ctx, "etcd", Command{Fault: map[bool]string{true: "up", false: "down"}[up]})
	return err
}

// Port lets a TCP port of every node carry nothing between nodes, or again.
func (l *Lab) Port(ctx context.Context, port int, open bool) error {
	_, err := l.Do(ctx, "port", Command{Port: port, Fault: map[bool]string{true: "up", false: "down"}[open]})
	return err
}

// Way lets one node's connections to a TCP port of another carry nothing, or again.
func (l *Lab) Way(ctx context.Context, from, to string, port int, open bool) error {
	_, err := l.Do(ctx, "port", Command{From: from, Node: to, Port: port, Fault: map[bool]string{true: "up", false: "down"}[open]})
	return err
}

// Link gives the datagrams that from sends to node a delay and a loss (0 to 1).
func (l *Lab) Link(ctx context.Context, from, node string, delay time.Duration, loss float64) error {
	_, err := l.Do(ctx, "link", Command{Node: node, From: from, Delay: delay, Loss: loss})
	return err
}

// BMC sets a fault of a node's BMC; "clear" repairs it.
func (l *Lab) BMC(ctx context.Context, node, fault string) error {
	_, err := l.Do(ctx, "bmc", Command{Node: node, Fault: fault})
	return err
}

// PVE sets a fault of a node's Proxmox: freeze (its API does not answer), weak-token (its token lacks VM.PowerMgmt); clear ends both.
func (l *Lab) PVE(ctx context.Context, node, fault string) error {
	_, err := l.Do(ctx, "pve", Command{Node: node, Fault: fault})
	return err
}

// Storage changes how a node reaches a storage: fail, hang, slow, apart (a storage of its own under the same name), heal.
func (l *Lab) Storage(ctx context.Context, node, storage, fault string) error {
	_, err := l.Do(ctx, "storage", Command{Node: node, Store: storage, Fault: fault})
	return err
}

// Operator does to a guest what a person at the node's console would: start or stop.
func (l *Lab) Operator(ctx context.Context, node string, vmid int, action string) error {
	_, err := l.Do(ctx, "operator", Command{Node: node, VMID: vmid, Action: action})
	return err
}

// Signal sends a signal (STOP, CONT, KILL …) to a node's guard or basculed.
func (l *Lab) Signal(ctx context.Context, node, role, signal string) error {
	_, err := l.Do(ctx, "signal", Command{Node: node, Role: role, Signal: signal})
	return err
}

// Events returns what happened from a byte offset of the event log on, and the offset to go on from.
func (l *Lab) Events(offset int64) ([]Event, int64, error) { return readEvents(l.events(), offset) }
