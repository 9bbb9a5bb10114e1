package pvesim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

// controlServer is a node's pvesim.sock: what its workers do by ssh on a real cluster (to other nodes) or by calling
// qm and pct (on their own). It works only where packets go both ways between the two nodes.
type controlServer struct {
	c *Cluster
	n *node
}

type controlRequest struct {
	Op     string `json:"op"` // connect, incoming, probe, resume, cancel, unlock, run
	Target string `json:"target"`
	Kind   string `json:"kind"`
	VMID   int    `json:"vmid"`
	Action string `json:"action"` // of run
}

type controlAnswer struct {
	Error string `json:"error"`
}

// controlClient is the worker's end.
type controlClient struct{ unix *unixClient }

func (k *controlClient) do(q controlRequest) error {
	var a controlAnswer
	if err := k.unix.post(q, &a); err != nil {
		return err
	}
	if a.Error != "" {
		return errors.New(a.Error)
	}
	return nil
}

// ServeHTTP carries out one request; it answers when that is over.
func (s *controlServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var q controlRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&q); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var a controlAnswer
	if err := s.remote(r.Context(), q); err != nil {
		a.Error = err.Error()
	}
	json.NewEncoder(w).Encode(a) // fails only when the worker has gone
}

//lint:ignore ST1005 ssh's own words, as task logs have them
var errNoRoute = errors.New("No route to host")

// remote runs one request on its target; if the connection breaks meanwhile, the answer is lost.
func (s *controlServer) remote(ctx context.Context, q controlRequest) error {
	target := s.c.nodes[q.Target]
	if target == nil {
		return fmt.Errorf("no node %q", q.Target)
	}
	if !s.c.connected(s.n.Name, q.Target) {
		sleep(ctx, s.c.opt.SSHNoRoute)
		return errNoRoute
	}
	done := make(chan error, 1)
	go func() { done <- s.run(target, q) }()
	watch := time.NewTicker(20 * time.Millisecond)
	defer watch.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-watch.C:
			if !s.c.connected(s.n.Name, q.Target) {
				sleep(ctx, s.c.opt.SSHNoRoute)
				return errors.New("connection to " + q.Target + " lost")
			}
		}
	}
}

func (s *controlServer) run(target *node, q controlRequest) error {
	switch q.Op {
	case "connect":
		return nil
	case "incoming":
		return s.runTask(target, workerSpec{Kind: "qemu", VMID: q.VMID, Action: "start", User: "root@pam", Incoming: s.n.Name})
	case "run":
		return s.runTask(target, workerSpec{Kind: q.Kind, VMID: q.VMID, Action: q.Action, User: "root@pam"})
	case "unlock":
		return s.unlock(target, q)
	}
	pids, running := findGuest(target.dir, "qemu", q.VMID)
	if !running {
		return fmt.Errorf("VM %d not running on %s", q.VMID, q.Target)
	}
	switch q.Op {
	case "probe":
		return nil
	case "resume":
		return sendSignal(pids.outer, syscall.SIGUSR1)
	case "cancel":
		return sendSignal(pids.outer, syscall.SIGKILL)
	}
	return errors.New("unknown operation " + q.Op)
}

// runTask starts a task and waits for its end.
func (s *controlServer) runTask(target *node, spec workerSpec) error {
	t, err := s.c.spawn(target, spec)
	if err != nil {
		return err
	}
	<-t.done
	if t.status != "OK" {
		return errors.New(t.status)
	}
	return nil
}

// unlock removes the lock of a guest that has arrived.
func (s *controlServer) unlock(target *node, q controlRequest) error {
	p := configPath(target.Name, q.Kind, q.VMID)
	data, e := s.c.fsRead(target, p)
	if e != success {
		return errors.New("Configuration file '" + p + "' does not exist")
	}
	if e := s.c.fsWrite(context.Background(), target, p, editConfig(data, map[string]string{"lock": ""})); e != success {
		return errors.New("unlock of " + strconv.Itoa(q.VMID) + " failed - " + e.text())
	}
	return nil
}
